"""Folders as users have them: other names of splits, no splits, what was meant to be somewhere else."""

from pathlib import Path

import numpy as np
import pytest

from osakd.data.arrays import DataArrays
from osakd.data.layout import split_named
from osakd.data.options import ImageOptions
from osakd.data.sources import load_data, load_test
from osakd.errors import InputError
from tests.data.made import (
    encode,
    made_images,
    write_class_folder,
    write_image_folder,
    write_parquet_folder,
    write_table,
)

FIFTH = ImageOptions(test_fraction=0.2)


def renamed(folder: Path, train: str, test: str) -> str:
    write_image_folder(folder)
    (folder / "train").rename(folder / train)
    (folder / "test").rename(folder / test)
    return str(folder)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("training", "testing"),
        ("train", "val"),
        ("Training", "Validation"),
        ("train", "valid"),
        ("train", "dev"),
        ("training_set", "test_set"),
        ("seg_train", "seg_test"),
        ("train2017", "val2017"),
        ("train", "evaluation"),
    ],
)
def test_usual_names_of_splits(tmp_path: Path, train: str, test: str) -> None:
    data = load_data(renamed(tmp_path / "pets", train, test))
    np.testing.assert_array_equal(data.train.images, np.stack(made_images(12, 0)))
    np.testing.assert_array_equal(data.test.images, np.stack(made_images(12, 1)))


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("my_train.parquet", "my_test.parquet"),
        ("Train.parquet", "TEST-0001.PARQUET"),
        ("pets-training.parquet", "pets.validation.parquet"),
        ("train/part-0.parquet", "val/part-0.parquet"),
        ("data/Train/a/0.parquet", "data/Test/a/0.parquet"),
    ],
)
def test_usual_names_of_parquet_files(tmp_path: Path, train: str, test: str) -> None:
    write_table(tmp_path / train, {"label": [0, 1, 0]})
    write_table(tmp_path / test, {"label": [0, 1]})
    data = load_data(str(tmp_path))
    assert (len(data.train), len(data.test)) == (3, 2)


@pytest.mark.parametrize("name", ["contest", "latest", "trainer", "evaluate", "invalid", "my_train_and_test", ""])
def test_words_that_are_no_split(name: str) -> None:
    assert split_named(name) is None


def test_the_validation_split_stands_in_for_a_missing_test_split_and_that_is_said(tmp_path: Path) -> None:
    data = load_data(renamed(tmp_path / "pets", "train", "val"))
    assert data.notes == ("The data 'pets' has no test split: val/ is used as the test split.",)


def test_what_is_not_used_is_said(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "pets")
    image = encode(made_images(1, 0)[0])
    write_class_folder(tmp_path / "pets", {"val/cat/0.png": image, "extra/cat/0.png": image, "models/net.pt": b"x"})
    first, second = load_data(str(tmp_path / "pets")).notes
    assert first == "The data 'pets' has folders of no split, which are not used: extra/."
    assert second.startswith("The split val/ of 'pets' is not used: validation images are a share of the training")
    write_parquet_folder(tmp_path / "tables")
    write_table(tmp_path / "tables/data/extra-0.parquet", {"label": [0]})
    (note,) = load_data(str(tmp_path / "tables")).notes
    assert note == "The data 'tables' has Parquet files of no split, which are not used: data/extra-0.parquet."


def test_images_beside_parquet_files_are_not_used_and_that_is_said(tmp_path: Path) -> None:
    write_parquet_folder(write_image_folder(tmp_path / "both"))
    data = load_data(str(tmp_path / "both"))
    assert (len(data.train), data.num_classes) == (30, 3)
    assert data.notes == ("The data 'both' has images beside its Parquet files, which are not used: test/, train/.",)


def test_the_surest_name_counts(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "pets")
    image = encode(made_images(1, 7)[0])
    write_class_folder(tmp_path / "pets", {"train_masks/cat/0.png": image, "old_test/cat/0.png": image})
    assert len(load_data(str(tmp_path / "pets")).train) == 12
    for name in ("train", "my_train", "test"):
        write_table(tmp_path / "tables" / f"{name}.parquet", {"label": [0, 1]})
    assert len(load_data(str(tmp_path / "tables")).train) == 2


def test_two_folders_of_one_split(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    write_class_folder(tmp_path, {"Train/cat/0.png": encode(made_images(1, 0)[0])})
    with pytest.raises(
        InputError, match="has several folders of the train split, Train and train: keep one, or rename"
    ):
        load_data(str(tmp_path))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.png", "b.png"], r"holds a\.png, b\.png: it needs train/CLASS/NAME\.png and test/CLASS/NAME\.png, CLASS/"),
        (["pets/train/cat/0.png", "pets/test/cat/0.png"], "holds only the folder pets/: give that one"),
        (["train/0.png", "train/1.png", "test/0.png"], r"the images of test/ and train/ lie in no class folder: move"),
        (["train/cat/0.png", "train/dog/0.png", "test/0.png"], r"test/0\.png' lies in no class folder: move it into"),
        (
            ["train/cat/0.png", "train/dog/0.png"],
            r"has no test split \(train/\): add the folder .*--test-fraction 0\.2",
        ),
        (["test/cat/0.png", "test/dog/0.png"], r"has no training split \(test/\): add the folder of that split"),
        (["cat/0.png", "dog/0.png"], r"has no test split \(class folders without a split\): name the share of a fixed"),
    ],
)
def test_what_is_there_and_what_is_expected(tmp_path: Path, names: list[str], message: str) -> None:
    write_class_folder(tmp_path, dict.fromkeys(names, encode(made_images(1, 0)[0])))
    with pytest.raises(InputError, match=message):
        load_data(str(tmp_path))


def rows(data: DataArrays) -> list[set[bytes]]:
    return [{image.tobytes() for image in split.images} for split in (data.train, data.test)]


def class_folders(folder: Path, **counts: int) -> str:
    images = iter(made_images(sum(counts.values()), 3))
    write_class_folder(
        folder, {f"{name}/{i}.png": encode(next(images)) for name, n in counts.items() for i in range(n)}
    )
    return str(folder)


def test_classes_without_a_split_are_split_in_a_fixed_stratified_way(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "pets", cat=20, dog=10, ant=2)
    data = load_data(folder, FIFTH)
    assert data.class_names == ("ant", "cat", "dog")
    assert np.bincount(data.train.target).tolist() == [1, 16, 8]
    assert np.bincount(data.test.target).tolist() == [1, 4, 2]
    train, test = rows(data)
    assert not train & test
    assert len(train | test) == 32
    assert rows(load_data(folder, FIFTH)) == [train, test]
    record = data.record(channels=3, validation=0.0, seed=0)
    assert (record["test_fraction"], record["test"]) == (0.2, 7)
    assert load_data(folder, ImageOptions(test_fraction=0.5)).content != data.content


def test_a_class_called_train(tmp_path: Path) -> None:
    data = load_data(class_folders(tmp_path, bus=5, car=5, train=5), FIFTH)
    assert data.class_names == ("bus", "car", "train")


def test_a_training_split_alone_is_split(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "a")
    (folder / "test").rename(tmp_path / "elsewhere")
    assert len(load_data(str(folder), FIFTH).test) == 2
    write_table(tmp_path / "b/images.parquet", {"label": [0, 1] * 10})
    assert len(load_data(str(tmp_path / "b"), FIFTH).test) == 4


def test_a_test_split_of_its_own_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has a test split \(test/\): leave `test_fraction` out"):
        load_data(str(write_image_folder(tmp_path)), FIFTH)


def test_a_class_with_one_image_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="The class 'dog' has a single image here, and `test_fraction` needs one on each"
    ):
        load_data(class_folders(tmp_path, cat=5, dog=1), FIFTH)


def test_the_test_images_alone(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "pets")
    whole = load_data(str(folder))
    alone = load_test(str(folder))
    assert (len(alone.train), alone.input_shape, alone.class_names) == (0, (3, 8, 8), ("cat", "dog"))
    np.testing.assert_array_equal(alone.test.images, whole.test.images)
    (folder / "train").rename(tmp_path / "elsewhere")
    np.testing.assert_array_equal(load_test(str(folder)).test.images, whole.test.images)
    np.testing.assert_array_equal(load_test(str(folder / "test")).test.images, whole.test.images)
    (folder / "test").rename(folder / "train")
    with pytest.raises(InputError, match=r"has no test split \(train/\): add the folder"):
        load_test(str(folder))


def test_only_the_test_part_of_the_images_that_a_run_split(tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "pets", cat=20, dog=10)
    data = load_data(folder, FIFTH)
    same = load_test(folder, FIFTH, trained_on=data.content)
    np.testing.assert_array_equal(same.test.images, data.test.images)
    other = class_folders(tmp_path / "other", cat=5, dog=5)
    assert len(load_test(other, FIFTH, trained_on=data.content).test) == 10
    assert len(load_test(str(write_image_folder(tmp_path / "split")), FIFTH, trained_on=data.content).test) == 12


def test_a_link_to_a_folder_above_is_followed_once(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "pets")
    content = load_data(str(tmp_path / "pets")).content
    (tmp_path / "pets/train/cat/again").symlink_to(tmp_path / "pets/train/cat")
    assert load_data(str(tmp_path / "pets")).content == content
