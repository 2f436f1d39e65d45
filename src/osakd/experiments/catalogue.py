"""The experiments by name. Nothing here imports torch."""

from osakd.errors import unknown_name
from osakd.experiments.neighbours import NEIGHBOURS
from osakd.experiments.readings import READINGS
from osakd.experiments.table1 import FIGURE1, TABLE1
from osakd.experiments.table2 import TABLE2, TABLE2_SMALL
from osakd.experiments.variants import VARIANTS
from osakd.plan import Experiment

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (TABLE1, TABLE2, TABLE2_SMALL, FIGURE1, NEIGHBOURS, READINGS, VARIANTS)
}
"""What is trained."""
COST, CLAIMS = "cost", "claims"
DECIDE_CLAIMS = (TABLE1, NEIGHBOURS)
"""What decides the paper's claims beyond its tables."""


def find_experiment(name: str) -> Experiment:
    """The experiment of that name that is trained.

    Raises:
        InputError: there is none.
    """
    if name not in EXPERIMENTS:
        raise unknown_name("experiment", name, [*EXPERIMENTS, COST, CLAIMS])
    return EXPERIMENTS[name]
