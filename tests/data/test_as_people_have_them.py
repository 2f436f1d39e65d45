"""Data as people have them: paths in tables, parts of data sets, copies, moved folders, very large images."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torch.utils.data import ConcatDataset, Subset, random_split

import osakd
from osakd import InputError
from osakd.data.in_memory import given_data
from osakd.data.indexed import WithIndex
from osakd.data.options import ImageOptions
from osakd.data.sources import load_data
from tests.data.made import encode, made_images, write_class_folder, write_image_folder


def pixels(data: str) -> list[Any]:
    arrays = load_data(data)
    return [arrays.class_names, arrays.train.images.tolist(), arrays.test.images.tolist(), arrays.train.target.tolist()]


def paths_in_parquet(folder: Path, *, beside: str) -> str:
    """The images of a folder as Parquet files that name them, as ``Dataset.to_parquet`` writes data that were paths."""
    for split in ("train", "test"):
        files = sorted((folder / split).rglob("*.png"))
        images = [{"bytes": None, "path": str(file.relative_to(folder))} for file in files]
        table = pa.table({"image": images, "label": [file.parent.name for file in files]})
        (folder / beside).mkdir(exist_ok=True)
        pq.write_table(table, folder / beside / f"{split}-0.parquet")
    return str(folder)


@pytest.mark.parametrize("beside", [".", "data"])
def test_a_table_may_hold_paths_relative_to_the_data_set(tmp_path: Path, beside: str) -> None:
    expected = pixels(str(write_image_folder(tmp_path / "pets")))
    assert pixels(paths_in_parquet(tmp_path / "pets", beside=beside)) == expected
    for name in ("train/cat", "x" * 5000):  # a folder, and a name that no file can have
        table = pa.table({"image": [{"bytes": None, "path": name}] * 2, "label": ["cat", "dog"]})
        pq.write_table(table, tmp_path / "pets" / beside / "train-0.parquet")
        with pytest.raises(InputError, match=rf"row 0 names the image '{name}', which does not exist: bring it back"):
            load_data(str(tmp_path / "pets"))


def test_a_hugging_face_dataset_may_hold_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    folder = write_image_folder(tmp_path / "pets")
    expected = pixels(str(folder))
    as_loaded = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(tmp_path / "cache"))
    assert pixels(given_data(as_loaded)) == expected
    files = {split: sorted(map(str, (folder / split).rglob("*.png"))) for split in ("train", "test")}
    columns = {
        split: {"image": names, "label": [Path(name).parent.name for name in names]} for split, names in files.items()
    }
    cast = {
        split: datasets.Dataset.from_dict(values).cast_column("image", datasets.Image())
        for split, values in columns.items()
    }
    assert pixels(given_data(cast)) == expected
    Path(files["train"][0]).unlink()
    for lost in (cast, {"train": cast["train"].map(lambda _: {"image": {"bytes": None, "path": "a\0b"}})}):
        with pytest.raises(InputError, match="The split 'train' names an image that cannot be read"):
            given_data(lost)
    stream = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=str(tmp_path), streaming=True)
    with pytest.raises(InputError, match="The split 'train' is a stream: load it without `streaming`"):
        given_data(stream)


class Pets:
    """As torchvision's ``ImageFolder``."""

    classes: Any = ("cat", "dog")
    target_transform: Callable[[int], int] | None = None

    def __len__(self) -> int:
        return 8

    def __getitem__(self, row: int) -> tuple[Any, int]:
        label = row % 2
        return made_images(8, 3)[row], label if self.target_transform is None else self.target_transform(label)


@pytest.mark.parametrize(
    "part",
    [
        lambda pets: Subset(pets, range(8)),
        lambda pets: random_split(pets, [7, 1])[0],
        lambda pets: ConcatDataset([Subset(pets, [0, 1]), pets]),
        WithIndex,
    ],
)
def test_parts_of_a_data_set_keep_the_names_of_its_classes(part: Callable[[Any], Any]) -> None:
    data = load_data(given_data(part(Pets())), ImageOptions(test_fraction=0.5))
    assert data.class_names == ("cat", "dog")


def test_parts_with_other_classes_are_refused() -> None:
    others = Pets()
    others.classes = ["dog", "cat"]
    with pytest.raises(InputError, match="parts of a ConcatDataset name their classes differently"):
        given_data(ConcatDataset([Pets(), others]))


def test_numbers_that_a_target_transform_made_have_no_names() -> None:
    pets = Pets()
    pets.target_transform = lambda label: 1 - label
    with pytest.warns(UserWarning, match="`target_transform` may have made others of them"):
        data = load_data(given_data(Subset(pets, range(8))), ImageOptions(test_fraction=0.5))
    assert data.class_names == ("0", "1")


def test_of_several_names_of_a_class_the_first_counts_and_equal_ones_are_refused() -> None:
    pets = Pets()
    pets.classes = [("cat", "felis"), ("dog",)]
    assert load_data(given_data(pets), ImageOptions(test_fraction=0.5)).class_names == ("cat", "dog")
    pets.classes = [("crane", "bird"), ("crane ", "machine")]
    with pytest.raises(InputError, match="classes 0 and 1 of 'train' are all called 'crane'"):
        given_data(pets)


def test_copies_between_the_splits_and_between_classes_are_counted(tmp_path: Path) -> None:
    images = [encode(image) for image in made_images(6, 0)]
    files = {f"train/{name}/{row}.png": images[row] for row, name in enumerate(["cat", "cat", "dog", "dog"])}
    files |= {"train/dog/again.png": images[0], "test/cat/0.png": images[0], "test/cat/1.png": images[1]}
    data = load_data(str(write_class_folder(tmp_path / "pets", files | {"test/dog/5.png": images[5]})))
    assert data.notes == (
        "Warning: 2 of 3 test images are training images too, such as test/cat/0.png: their scores say nothing of new "
        "images.",
        "Warning: 1 images are in several classes, such as train/cat/0.png: look at their labels.",
    )


def test_copies_stay_on_one_side_of_a_test_split_that_is_made(tmp_path: Path) -> None:
    images = [encode(image) for image in made_images(20, 0)]
    files = {
        f"{name}/{row}-{copy}.png": images[row] for row in range(20) for copy in (0, 1) for name in ["ab"[row % 2]]
    }
    files |= {f"c/{copy}.png": encode(made_images(1, 9)[0]) for copy in range(4)}  # copies alone
    data = load_data(str(write_class_folder(tmp_path, files)), ImageOptions(test_fraction=0.3))
    train, test = ({image.tobytes() for image in split.images} for split in (data.train, data.test))
    assert not train & test
    assert len(test) >= 4
    assert set(data.train.target) == {0, 1, 2}
    assert data.notes == ()


def test_a_folder_that_has_moved_goes_on_by_its_content(tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 2, "recipe": "paper", "model": "lenet-digits", "batch_size": 4}
    data = write_class_folder(
        tmp_path / "pets",
        {f"{split}/{name}/{row}.png": encode(image) for row, (split, name, image) in enumerate(
            (split, name, image) for split, seed in (("train", 0), ("test", 1)) for name in ("cat", "dog")
            for image in made_images(4, seed + 7 * len(name + split), (8, 8))
        )},
    )  # fmt: skip
    first = osakd.train(str(data), out=tmp_path / "run", **options)
    comparison = osakd.compare(str(data), out=tmp_path / "all", methods="plain", seeds=1, processes=1, **options)
    moved = data.rename(tmp_path / "elsewhere")
    assert osakd.train(str(moved), out=tmp_path / "run", resume=True, **options).result == first.result
    more = osakd.train(str(moved), out=tmp_path / "run", resume=True, **options | {"epochs": 3})
    assert (more.result.epochs, more.config.data["name"]) == (3, "elsewhere")
    again = osakd.compare(str(moved), out=tmp_path / "all", methods="plain", seeds=2, processes=1, **options)
    assert again.panel.runs[0].result == comparison.panel.runs[0].result
    next((moved / "train/cat").iterdir()).unlink()
    with pytest.raises(InputError, match="another configuration"):
        osakd.train(str(moved), out=tmp_path / "run", resume=True, **options)


def test_a_very_large_image_is_refused_for_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    folder = str(write_image_folder(tmp_path / "pets"))  # 64 pixels: Pillow warns
    assert load_data(folder).input_shape == (3, 8, 8)
    (tmp_path / "pets/train/cat/0.png").write_bytes(encode(made_images(1, 0, (9, 9, 3))[0]))
    with pytest.raises(InputError, match=r"cat/0\.png has more than 80 pixels, the most that are read: make it small"):
        load_data(folder, ImageOptions(resize=(8, 8)))


def test_memory_is_that_of_decoded_images(tmp_path: Path) -> None:
    """Eight files of 750 KB each, of which 8x8 pixels are kept: never two of them at once."""
    large = made_images(8, 0, (500, 500, 3))
    files = {f"{'test' if row > 3 else 'train'}/{row % 2}/{row}.png": encode(large[row]) for row in range(8)}
    folder = str(write_class_folder(tmp_path, files))
    load_data(folder, ImageOptions(resize=(8, 8)))
    tracemalloc.start()
    try:
        load_data(folder, ImageOptions(resize=(8, 8)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.mean([len(content) for content in files.values()]) > 700_000
    assert most < 2_500_000
