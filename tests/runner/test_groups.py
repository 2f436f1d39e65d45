"""Which runs are trained together, and in which order runs start."""

from pathlib import Path

from osakd import records
from osakd.durable import append
from osakd.engine.config import Options
from osakd.engine.plan import DataSource, plan_runs
from osakd.runner.run import groups_of, longest_first


def test_the_longest_start_first_and_equals_as_they_come(tmp_path: Path) -> None:
    methods = ["plain", "osakd", {"name": "osakd", "k": 5, "pool": "memory"}]
    plans = plan_runs(DataSource("digits"), methods, [0, 1], Options(deploy="last", epochs=4), tmp_path)
    begun = plans[0].folder
    begun.mkdir()
    append(begun / records.METRICS, {"epoch": 1, "seconds": 1.0, "train": {"total": 1.0}})
    assert [plan.folder.name for plan in longest_first(plans)] == [
        "osakd-5nn-memory-seed0",
        "osakd-5nn-memory-seed1",
        "osakd-seed0",
        "plain-seed1",
        "osakd-seed1",
        "plain-seed0",
    ]


def test_runs_of_a_group_differ_in_seed_and_method_alone(tmp_path: Path) -> None:
    source, methods = DataSource("digits"), ["plain", "osakd", "label-smoothing", "dml"]
    plans = plan_runs(source, methods, [0, 1, 2], Options(deploy="last"), tmp_path)
    (whole,) = groups_of(plans)
    assert [plan.config.seed for plan in whole] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert {plan.config.method for plan in whole} == {"plain", "osakd", "label-smoothing"}  # dml has several networks
    first, second = groups_of([plan for plan in plans if (plan.label, plan.config.seed) != ("plain", 1)])
    assert (len(first), len(second)) == (6, 2)
    assert groups_of(plans[:1]) == []
