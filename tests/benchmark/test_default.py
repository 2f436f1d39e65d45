"""The study of the default: its table in the documentation is that of its records."""

from pathlib import Path

import numpy as np

from benchmarks.default import joined, some, table
from benchmarks.recipe import table as recipes
from osakd.data.arrays import Split

ROOT = Path(__file__).parents[2]


def test_the_tables_of_the_pages_are_printed_from_the_records() -> None:
    assert table(ROOT / "benchmarks/records/default") in (ROOT / "docs/soft-labels.md").read_text(encoding="utf-8")
    assert recipes(ROOT / "benchmarks/records/recipe.jsonl") in (ROOT / "docs/recipes.md").read_text(encoding="utf-8")


def test_classes_are_taken_and_joined() -> None:
    split = Split(np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1), np.array([0, 1, 2, 0, 1, 2, 0, 1]))
    part = some({"train": split, "test": split}, {2: 1, 0: 2}, {2: 2, 0: 1})
    assert part["train"][0].ravel().tolist() == [2, 0, 3]
    assert part["train"][1].tolist() == [0, 1, 1]
    assert joined([part, part])["test"][1].tolist() == [0, 0, 1, 2, 2, 3]
