"""Which column is the class and which the image: by name or declared type, never by a guess."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from osakd.data.options import ImageOptions
from osakd.data.parquet import LABEL_NAMES
from osakd.data.sources import load_data
from osakd.errors import InputError
from tests.data.made import encode, made_images, write_image_folder, write_splits, write_table

LABELS = ["cat", "dog", "cat", "ant"]


@pytest.mark.parametrize("index", ["id", "width", "index", "__index_level_0__", "Unnamed: 0", "ID", "file_id", "x"])
def test_a_column_of_whole_numbers_is_no_class(tmp_path: Path, index: str) -> None:
    data = load_data(write_splits(tmp_path, {index: range(4), "species": LABELS, "label": LABELS}))
    assert data.class_names == ("ant", "cat", "dog")
    with pytest.raises(InputError, match=r"no column that is known to hold the label, .*--label-column; the columns"):
        load_data(write_splits(tmp_path / "other", {index: range(4), "species": LABELS}))


def test_a_frame_of_pandas(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"image": [encode(image) for image in made_images(4, 0)], "species": pd.Categorical(LABELS)})
    for split in ("train", "test"):
        frame[frame["species"] != "nothing"].iloc[[3, 0, 1, 2]].to_parquet(tmp_path / f"{split}.parquet")
    with pytest.raises(
        InputError, match=r"no column .* image \(binary\), species \(dictionary<.*__index_level_0__ \(int64"
    ):
        load_data(str(tmp_path))
    assert load_data(str(tmp_path), ImageOptions(label_column="species")).class_names == ("ant", "cat", "dog")


@pytest.mark.parametrize(
    ("values", "names", "target"),
    [
        (["b", "a", "b", "c"], ("a", "b", "c"), [1, 0, 1, 2]),
        ([True, False, True, True], ("False", "True"), [1, 0, 1, 1]),
        ([2.0, 0.0, 1.0, 1.0], ("0", "1", "2"), [2, 0, 1, 1]),
        (pa.array([1, 0, 0, 1], pa.uint8()), ("0", "1"), [1, 0, 0, 1]),
        (pa.array(["b", "a", "b", "a"]).dictionary_encode(), ("a", "b"), [1, 0, 1, 0]),
        (pa.array(["b", "a", "b", "a"], pa.large_string()), ("a", "b"), [1, 0, 1, 0]),
        ([" b", "b ", "a", "a"], ("a", "b"), [1, 1, 0, 0]),
        (["e\u0301", "\u00e9", "a", "a"], ("a", "\u00e9"), [1, 1, 0, 0]),
        (["10", "9", "10", "9"], ("10", "9"), [0, 1, 0, 1]),
    ],
    ids=["text", "bool", "float", "uint8", "dictionary", "large", "spaces", "unicode", "digits as text"],
)
def test_labels_of_every_type_become_named_classes(tmp_path: Path, values: Any, names: Any, target: list[int]) -> None:
    data = load_data(write_splits(tmp_path, {"label": values}))
    assert data.class_names == names
    assert data.train.target.tolist() == target


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.5, 1.0, 2.0, 0.0], r"The column 'label' of .* holds 0\.5 in row 0, which is not a class"),
        ([0.0, float("inf"), 1.0, 1.0], "holds inf in row 1"),
        ([0.0, float("nan"), 1.0, 1.0], "images without a class .* row 1 of the column 'label'"),
        (["a", "", "b", "b"], "images without a class .* row 1"),
        (["a", None, "b", "b"], "images without a class .* row 1"),
        ([1, -1, 1, -1], "images without a class .* row 1 .*or number the classes from 0"),
        ([[1, 0], [0, 1], [1, 0], [0, 1]], r"no column that is known to hold the label.*label \(list<"),
    ],
)
def test_values_that_are_no_classes(tmp_path: Path, values: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_data(write_splits(tmp_path, {"label": values}))


@pytest.mark.parametrize(
    ("columns", "features", "both"),
    [
        ({"label": [0, 1, 0, 1], "class": LABELS}, None, "label and class"),
        ({"fine_label": [0, 1, 0, 1], "coarse_label": [0, 0, 1, 1]}, None, "fine_label and coarse_label"),
        (
            {"breed": [0, 1, 0, 1], "label": [0, 0, 1, 1]},
            {"breed": {"_type": "ClassLabel", "names": ["a", "b"]}},
            "breed and label",
        ),
    ],
)
def test_two_candidates_are_listed_with_all_columns(tmp_path: Path, columns: Any, features: Any, both: str) -> None:
    folder = write_splits(tmp_path, columns, features)
    with pytest.raises(InputError, match=rf"several columns that may hold the label, {both}: name it .*image \(binary"):
        load_data(folder)
    name = both.split(" and ")[1]
    assert load_data(folder, ImageOptions(label_column=name)).options.record() == {"label_column": name}


def test_the_page_on_data_lists_the_names() -> None:
    page = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
    section = page.partition("## Columns")[2].partition("## Classes")[0]
    assert all(f"`{name}`" in section for name in LABEL_NAMES)


def test_the_declared_type_makes_a_column_the_class(tmp_path: Path) -> None:
    features = {"breed": {"_type": "ClassLabel", "names": ["terrier", "beagle"]}}
    data = load_data(write_splits(tmp_path, {"id": range(4), "breed": [0, 1, 0, 1]}, features))
    assert data.class_names == ("terrier", "beagle")


def test_names_of_columns_in_capitals(tmp_path: Path) -> None:
    assert load_data(write_splits(tmp_path, {"Label": [0, 1, 0, 1]})).num_classes == 2


def test_the_image_column(tmp_path: Path) -> None:
    pictures = [encode(image) for image in made_images(4, 5)]
    masks = {"mask": pictures, "label": [0, 1, 0, 1]}
    by_name = load_data(write_splits(tmp_path / "a", masks))  # beside the column image
    other = load_data(str(tmp_path / "a"), ImageOptions(image_column="mask"))
    assert (by_name.train.images == made_images(4, 0)).all()
    assert (other.train.images == made_images(4, 5)).all()
    with pytest.raises(InputError, match="several columns that may hold the image, image and img: name it"):
        load_data(write_splits(tmp_path / "b", {"img": pictures, "label": [0, 1, 0, 1]}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ImageOptions(label_column="kind"),
            r"The column 'kind' of .* does not exist: --label-column needs .*the columns are",
        ),
        (
            ImageOptions(label_column="image"),
            r"The column 'image' of .* is of type binary: --label-column needs one of whole",
        ),
        (
            ImageOptions(image_column="label"),
            r"The column 'label' of .* is of type int64: --image-column needs one of encoded",
        ),
    ],
)
def test_a_named_column_that_does_not_fit(tmp_path: Path, options: ImageOptions, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_data(write_splits(tmp_path, {"label": [0, 1, 0, 1]}), options)


def test_columns_are_for_parquet_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`label_column` is for Parquet files, but .* holds folders of images"):
        load_data(str(write_image_folder(tmp_path)), ImageOptions(label_column="x"))
    with pytest.raises(InputError, match=r"'digits' has splits and classes .*leave `image_column` out"):
        load_data("digits", ImageOptions(image_column="x"))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (
            {"class": [0, 1]},
            "the class column 'label' of whole numbers, but .* has .* the class column 'class' of whole",
        ),
        ({"label": ["a", "b"]}, "the class column 'label' of whole numbers, but .* the class column 'label' of names"),
    ],
)
def test_the_files_of_a_split_must_agree(tmp_path: Path, second: dict[str, Any], message: str) -> None:
    write_splits(tmp_path, {"label": [0, 1, 0]})
    write_table(tmp_path / "train_2.parquet", second)
    with pytest.raises(InputError, match=f"{message}.*: the files of a split must agree"):
        load_data(str(tmp_path))


def test_folders_that_are_values_of_a_column(tmp_path: Path) -> None:
    for name in ("train/kind=cat", "train/kind=dog", "test/kind=cat", "test/kind=dog"):
        write_table(tmp_path / name / "0.parquet", {"id": [0, 1]})
    with pytest.raises(InputError, match=r"kind=cat/0\.parquet has no column that is known to hold the label"):
        load_data(str(tmp_path))


def test_features_that_are_no_description_of_a_column(tmp_path: Path) -> None:
    assert (
        load_data(write_splits(tmp_path, {"label": [0, 1]}, {"label": [{"_type": "x"}], "image": 3})).num_classes == 2
    )
