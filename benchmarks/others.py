"""What else could teach a small network: other methods, and the default's controls, beside the confirmation's runs.

python -m benchmarks.others DATASETS OUT [SETTING ...]
python -m benchmarks.others --table benchmarks/records/confirm

OUT is that of ``benchmarks.confirm``, whose seeds and settings these are. With at most 16 classes a teacher is tried
too: a ``ds-cnn`` of the same recipe.
"""

from pathlib import Path
from typing import Any

from benchmarks import confirm
from benchmarks.default import run_study

METHODS: dict[str, Any] = {
    "osakd": "osakd",
    "uniform-smoothing": "uniform-smoothing",
    "shuffled-neighbours": "shuffled-neighbours",
    "osakd-paper-8nn-queue": {"name": "osakd-paper", "pool": "queue"},
    "ps-kd": "ps-kd",
    "bake": "bake",
}
TEACHER = {"kd-ds-cnn": {"name": "kd", "teacher": "ds-cnn"}}


def table(folder: Path) -> str:
    """Gains on plain training, as ``benchmarks.confirm`` has them; of the teacher where it was tried."""
    return "\n\n".join(confirm.table(folder, list(names)) for names in (METHODS, TEACHER))


def methods(classes: int) -> list[Any]:
    """The cells by number of classes."""
    return [confirm.BASELINE, *(METHODS | (TEACHER if classes <= 16 else {})).values()]


if __name__ == "__main__":
    run_study("benchmarks.others", confirm.SEEDS, table, methods)
