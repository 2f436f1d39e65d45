"""Images that are damaged, missing or do not fit: each is named in one sentence."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from osakd.data.sources import load_data
from osakd.errors import InputError, RunError
from tests.data.made import encode, made_images, write_parquet, write_parquet_folder

IMAGES = [encode(image) for image in made_images(2, 0)]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (([0, 1], ["cat", "dog"]), ([0, 1], ["dog", "cat"]), "cat, dog for training but dog, cat for testing"),
        (([0, 2], ["a", "b"]), ([0, 2], ["a", "b"]), r"2 classes, but .*train\.parquet, row 1 is of class 2 \(counted"),
        (([0, 1], ["a", "b", "c"]), ([0, 2], ["a", "b", "c"]), r"row 1 is of class 'c', .*no training.*classes: a, b"),
        (([0, 1], None), ([0, 5], None), "has 2 classes, but .*row 1 is of class 5, .*no training image"),
    ],
    ids=["names disagree", "beyond the names", "named, not in training", "not in training"],
)
def test_classes_that_do_not_fit(tmp_path: Path, train: Any, test: Any, message: str) -> None:
    for split, (labels, names) in (("train", train), ("test", test)):
        write_parquet(tmp_path / f"{split}.parquet", IMAGES, labels, names=names)
    with pytest.raises(InputError, match=message):
        load_data(str(tmp_path))


def test_class_names_that_disagree_between_files_of_a_split(tmp_path: Path) -> None:
    write_parquet_folder(tmp_path)
    write_parquet(tmp_path / "data/train-00001-of-00002.parquet", IMAGES, [0, 1], names=["class 1", "class 0"])
    with pytest.raises(InputError, match=r"classes class 0, .*00002\.parquet' names them class 1, class 0"):
        load_data(str(tmp_path))


def test_plain_bytes_and_damaged_metadata_in_parquet(tmp_path: Path) -> None:
    for split in ("train", "test"):
        table = pa.table({"image": IMAGES, "label": [0, 1]})
        pq.write_table(table.replace_schema_metadata({"huggingface": "[1"}), tmp_path / f"{split}_0.parquet")
    assert load_data(str(tmp_path)).class_names == ("0", "1")


def test_parquet_files_without_a_split(tmp_path: Path) -> None:
    write_parquet(tmp_path / "part-0.parquet", IMAGES[:1], [0])
    with pytest.raises(InputError, match=r"has no test split \(part-0\.parquet\): add Parquet files .*--test-fraction"):
        load_data(str(tmp_path))


def test_several_configurations(tmp_path: Path) -> None:
    for config in ("a", "b"):
        for split in ("train", "test"):
            write_parquet(tmp_path / config / f"{split}.parquet", IMAGES[:1], [0])
    with pytest.raises(InputError, match="holds several data sets: give one of"):
        load_data(str(tmp_path))


def test_missing_columns_are_named(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_parquet(tmp_path / f"{split}.parquet", [b"x"], [0], image_column="label2", label_column="other")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "train.parquet")
    with pytest.raises(InputError, match=r"train\.parquet has no column .* image, .*columns are text \(string\)"):
        load_data(str(tmp_path))


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in the way").write_text("")
    monkeypatch.setenv("OSAKD_CACHE", str(tmp_path / "in the way"))
    with pytest.raises(RunError, match=r"cannot be kept in .*OSAKD_CACHE"):
        load_data(str(write_parquet_folder(tmp_path / "data")))
