"""The experiments by name. Nothing here imports torch."""

from osakd.errors import unknown_name
from osakd.experiments.beyond import BEYOND
from osakd.experiments.kinds import Claims, Cost, Kind, Trained
from osakd.experiments.neighbours import NEIGHBOURS
from osakd.experiments.readings import READINGS
from osakd.experiments.table1 import FIGURE1, TABLE1
from osakd.experiments.table2 import TABLE2, TABLE2_SMALL
from osakd.experiments.variants import VARIANTS, VARIANTS_SEARCH

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        TABLE1,
        TABLE2,
        TABLE2_SMALL,
        FIGURE1,
        NEIGHBOURS,
        READINGS,
        BEYOND,
        VARIANTS_SEARCH,
        VARIANTS,
    )
}
"""What has runs."""
_OTHERS: dict[str, Kind] = {"cost": Cost(), "claims": Claims((TABLE1, NEIGHBOURS))}
"""What has no runs of its own: the costs are counted, the claims decided by the runs of Table I and ``neighbours``."""
NAMES = (*EXPERIMENTS, *_OTHERS)


def find_experiment(name: str) -> Kind:
    """The experiment of that name.

    Raises:
        InputError: there is none.
    """
    if name in EXPERIMENTS:
        return Trained(EXPERIMENTS[name])
    if name not in _OTHERS:
        raise unknown_name("experiment", name, [*EXPERIMENTS, *_OTHERS])
    return _OTHERS[name]
