"""The order in which jobs start."""

from pathlib import Path

from osakd import records
from osakd.durable import append
from osakd.engine.config import Options
from osakd.runner.jobs import longest_first
from osakd.runner.planning import plan_comparison


def test_the_longest_start_first_and_equals_as_they_come(tmp_path: Path) -> None:
    methods = ["plain", "osakd", {"name": "osakd", "k": 5, "pool": "memory"}]
    _, jobs = plan_comparison("digits", methods, [0, 1], Options(epochs=4), tmp_path)
    begun = jobs[0].folder
    begun.mkdir()
    append(begun / records.METRICS, {"epoch": 1, "train": {"total": 1.0}})
    found = [job.folder.name for job in longest_first(jobs)]
    assert found == [
        "osakd-5nn-memory-seed0",
        "osakd-5nn-memory-seed1",
        "osakd-seed0",
        "plain-seed1",
        "osakd-seed1",
        "plain-seed0",
    ]
