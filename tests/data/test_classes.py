"""How labels become classes without gaps, and how classes of two data sets are matched."""

from pathlib import Path

import pytest

from osakd.data.classes import listed, match_classes
from osakd.data.sources import load_data
from osakd.errors import InputError
from tests.data.made import (
    encode,
    made_images,
    write_class_folder,
    write_image_folder,
    write_splits,
    write_table,
)


@pytest.mark.parametrize("labels", [[1, 2, 3], [10, 20, 30], [100, 200, 700], [0, 1, 5_000_000]])
def test_gaps_are_closed_and_noted_and_names_stay(tmp_path: Path, labels: list[int]) -> None:
    data = load_data(write_splits(tmp_path / "numbers", {"label": labels[::-1]}))
    names = tuple(map(str, labels))
    assert data.class_names == names
    assert data.train.target.tolist() == data.test.target.tolist() == [2, 1, 0]
    assert f"'numbers' are not 0 to 2: {', '.join(names)}; " in data.notes[0]
    assert load_data(write_splits(tmp_path / "others", {"label": [0, 2, 1]})).notes == ()


def test_declared_classes_without_images_are_left_out_with_a_note(tmp_path: Path) -> None:
    features = {"label": {"_type": "ClassLabel", "names": ["a", "b", "c", "d"]}}
    data = load_data(write_splits(tmp_path / "x", {"label": [3, 1, 3]}, features))
    assert (data.class_names, data.train.target.tolist()) == (("b", "d"), [1, 0, 1])
    assert data.notes == ("2 of 4 classes of 'x' have no training images and are left out: a, c.",)


def test_a_test_set_may_lack_a_class(tmp_path: Path) -> None:
    write_table(tmp_path / "train.parquet", {"label": ["a", "b", "c"]})
    write_table(tmp_path / "test.parquet", {"label": ["c", "b"]})
    assert load_data(str(tmp_path)).test.target.tolist() == [2, 1]


def test_labels_of_splits_are_matched_by_name(tmp_path: Path) -> None:
    """Text in one split and whole numbers in the other, as pandas makes them of one CSV file."""
    write_table(tmp_path / "train.parquet", {"label": ["10", "9", "1"]})
    write_table(tmp_path / "test.parquet", {"label": [9, 10]})
    data = load_data(str(tmp_path))
    assert data.class_names == ("1", "10", "9")
    assert data.test.target.tolist() == [2, 1]


def test_two_classes_of_one_name_are_refused(tmp_path: Path) -> None:
    """ImageNet has two classes called crane, which a prediction by name could not tell apart."""
    features = {"label": {"_type": "ClassLabel", "names": ["crane", "dog", "crane"]}}
    with pytest.raises(
        InputError, match=r"classes 0 and 2 of '.*' are all called 'crane': give each a name of its own"
    ):
        load_data(write_splits(tmp_path, {"label": [0, 1, 2]}, features))


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The data 'x' has one class, '7': at least two are needed"):
        load_data(write_splits(tmp_path / "x", {"label": [7, 7]}))
    with pytest.raises(InputError, match=r"has one class, 'cat': at least two are needed"):
        load_data(str(write_image_folder(tmp_path / "y", classes=("cat",))))


def test_folders_of_one_name_in_two_spellings_are_one_class(tmp_path: Path) -> None:
    image = encode(made_images(1, 0)[0])
    names = ["train/e\u0301/0.png", "train/x/0.png", "test/\u00e9/0.png"]
    data = load_data(str(write_class_folder(tmp_path, dict.fromkeys(names, image))))
    assert (data.class_names, data.test.target.tolist()) == (("x", "\u00e9"), [1])


@pytest.mark.parametrize(
    ("known", "names", "indices"),
    [
        (["a", "b"], ["b", "a"], [1, 0]),
        (["a", "b"], ["b"], [1]),
        (["a", "b"], ["b", "c"], [1, None]),
        (["0", "1", "10", "11", "2"], ["0", "1", "2", "10", "11"], [0, 1, 4, 2, 3]),
        (["00", "01", "02"], ["0", "1", "2"], [0, 1, 2]),
        (["0", "1"], ["cat", "dog"], [None, None]),
        (["cat", "dog"], ["0", "1"], [None, None]),
        (["0", "1"], ["1", "2"], [1, None]),
        (["1", "01"], ["01", "1"], [1, 0]),
        (["crane", "dog", "crane"], ["crane", "dog", "crane"], [0, 1, 2]),
        (["crane", "dog", "crane"], ["dog", "crane"], [1, None]),
        (["Cat", "dog"], ["cat", "dog"], [None, 1]),
        (["\u00b2", "1"], ["2", "1"], [None, 1]),
    ],
)
def test_classes_are_matched_by_name(known: list[str], names: list[str], indices: list[int | None]) -> None:
    assert match_classes(known, names) == indices


def test_long_lists_are_cut_after_ten_names() -> None:
    assert listed(list("abcdefghij")) == "a, b, c, d, e, f, g, h, i, j"
    assert listed(list("abcdefghijk")) == "a, b, c, d, e, f, g, h, i, j, ... (11 in all)"
