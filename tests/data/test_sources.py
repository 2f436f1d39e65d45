import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from osakd.data import cache
from osakd.data.recipes import DATA
from osakd.data.sources import load_data
from osakd.errors import InputError, RunError
from tests.data.made import encode, made_images, write_image_folder, write_parquet, write_parquet_folder


def test_digits_are_the_fixed_stratified_split() -> None:
    data = load_data("digits")
    assert (len(data.train), len(data.test), data.num_classes, data.input_shape) == (600, 1197, 10, (1, 8, 8))
    assert data.train.images.max() == 255
    shares = np.bincount(data.train.target) / 600 - np.bincount(data.test.target) / 1197
    assert np.abs(shares).max() < 0.002
    assert data.content == "daa58e556c28d270"  # the same on every machine


def test_parquet_folder_in_the_hub_s_layout(tmp_path: Path) -> None:
    data = load_data(str(write_parquet_folder(tmp_path / "mine")))
    assert (data.name, data.kind, data.class_names) == ("mine", "folder", ("class 0", "class 1", "class 2"))
    np.testing.assert_array_equal(data.train.images, np.stack(made_images(30, 0)))
    np.testing.assert_array_equal(data.test.images, np.stack(made_images(12, 1)))
    assert data.train.target.tolist() == [row % 3 for row in range(30)]


def test_several_files_of_a_split(tmp_path: Path) -> None:
    write_parquet_folder(tmp_path)
    write_parquet(tmp_path / "data/train-00001-of-00002.parquet", [encode(made_images(1, 7)[0])], [2])
    data = load_data(str(tmp_path))
    assert len(data.train) == 31
    assert data.class_names[2] == "class 2"


def test_grey_and_colour_become_one(tmp_path: Path) -> None:
    grey, colour = made_images(1, 0, (8, 8))[0], made_images(1, 1)[0]
    write_parquet(tmp_path / "train.parquet", [encode(grey), encode(colour)], [0, 1])
    write_parquet(tmp_path / "test.parquet", [encode(grey)], [0])
    data = load_data(str(tmp_path))
    assert data.input_shape == (3, 8, 8)
    np.testing.assert_array_equal(data.train.images[0], np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(data.train.images[1], colour)


def test_decoded_once_and_cached_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSAKD_CACHE", str(tmp_path / "cache"))
    first = load_data(str(write_parquet_folder(tmp_path / "a")))
    monkeypatch.setattr(cache, "decode", lambda *_: pytest.fail("decoded twice"))
    second = load_data(str(write_parquet_folder(tmp_path / "b")))  # the same content elsewhere
    assert first.content == second.content
    np.testing.assert_array_equal(first.train.images, second.train.images)
    assert isinstance(second.train.images, np.memmap)


@pytest.mark.parametrize("name", [name for name in DATA if name != "digits"])
def test_hub_data_of_the_same_schema(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real `datasets` library reads a local folder under the hub's columns, splits and configuration."""
    columns = {"cifar10": {"image_column": "img"}, "tiny_imagenet": {"test_name": "valid"}}.get(name, {})
    folder = write_parquet_folder(tmp_path / "hub", classes=4, **columns)
    if DATA[name].config:
        (folder / "README.md").write_text(
            f"---\nconfigs:\n- config_name: {DATA[name].config}\n  data_files:\n  - split: train\n"
            "    path: data/train-*.parquet\n  - split: test\n    path: data/test-*.parquet\n---\n"
        )
    load = datasets.load_dataset
    asked = []

    def load_local(hub_id: str, config: str | None) -> datasets.DatasetDict:
        asked.append((hub_id, config))
        return load(str(folder), config, cache_dir=str(tmp_path / "hf"))

    monkeypatch.setattr(datasets, "load_dataset", load_local)
    data = load_data(name)
    assert asked == [(DATA[name].hub, DATA[name].config)]
    assert (data.name, data.kind, len(data.train), len(data.test)) == (name, "named", 30, 12)
    assert data.class_names == tuple(f"class {label}" for label in range(4))
    np.testing.assert_array_equal(data.train.images, np.stack(made_images(30, 0)))


def test_a_configuration_of_a_hub_id_and_one_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(hub_id: str, config: str | None) -> None:
        raise datasets.exceptions.DatasetNotFoundError(f"no {hub_id} with {config}")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(InputError, match=r"neither a folder here nor .*\(no their/set with small\): check the name"):
        load_data("their/set:small")


def test_any_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load, folder = datasets.load_dataset, write_parquet_folder(tmp_path / "hub")
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: load(str(folder), cache_dir=str(tmp_path / "hf")))
    data = load_data("someone/their-images")
    assert (data.name, data.kind) == ("someone/their-images", "hub")


def test_the_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ConnectionError("no route\nto the hub")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(RunError, match=r"'uoft-cs/cifar10' is not a folder here, and .* \(no route\).*Parquet"):
        load_data("cifar10")


def test_without_the_datasets_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        InputError, match=r"needs the package 'datasets', which is not installed: pip install 'osakd\[train\]'"
    ):
        load_data("cifar10")


def test_hub_data_without_a_test_split(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = datasets.DatasetDict({"train": datasets.Dataset.from_dict({"label": [0]})})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: splits)
    with pytest.raises(InputError, match=r"has no test split \(train\): take data with .*--test-fraction 0\.2"):
        load_data("some/thing")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("cifar", "Unknown data 'cifar'; did you mean 'cifar10'.*a local folder, or a hub id"),
        ("./nowhere", "The data folder './nowhere' does not exist"),
        ("/no/where/at/all", "does not exist"),
    ],
)
def test_data_that_are_not_there(data: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_data(data)


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty: it needs train/CLASS"):
        load_data(str(tmp_path))
    (tmp_path / "train/cat").mkdir(parents=True)
    (tmp_path / "test/cat").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no images"):
        load_data(str(tmp_path))
    (tmp_path / "x").write_text("")
    with pytest.raises(InputError, match="is a file: give the folder"):
        load_data(str(tmp_path / "x"))


def test_a_linked_class_folder_and_what_changes_nothing(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "pets")
    content = load_data(str(tmp_path / "pets")).content
    (tmp_path / "pets/notes.parquet").write_bytes(b"its name is not that of a split")
    (tmp_path / "pets/train/dog/1.png").rename(tmp_path / "pets/train/dog/1.PNG")
    (tmp_path / "pets/train/cat").rename(tmp_path / "elsewhere")
    (tmp_path / "pets/train/cat").symlink_to(tmp_path / "elsewhere")
    assert load_data(str(tmp_path / "pets")).content == content


def test_an_empty_class_folder(tmp_path: Path) -> None:
    write_image_folder(tmp_path)
    (tmp_path / "train/aaa").mkdir()
    with pytest.raises(InputError, match=r"The class folder .*train/aaa' holds no images: remove it"):
        load_data(str(tmp_path))


@pytest.mark.parametrize("mode", ["P", "RGBA", "1", "LA"])
def test_other_kinds_of_images(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(made_images(1, 0)[0]).convert(mode)
    for home in ("train/a", "train/b", "test/a"):
        (tmp_path / home).mkdir(parents=True)
        image.save(tmp_path / home / "0.png")
    channels = 1 if mode in ("1", "LA") else 3
    data = load_data(str(tmp_path))
    assert data.input_shape == (channels, 8, 8)
    expected = np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(8, 8, channels)
    np.testing.assert_array_equal(data.train.images[0], expected)


@pytest.mark.real
def test_real_images(real_images: Path) -> None:
    data = load_data(str(real_images / "tiny-imagenet-subset"))
    assert (len(data.train), len(data.test), data.num_classes) == (20_000, 5_000, 200)
    assert data.input_shape == (3, 64, 64)
    data = load_data(str(real_images / "fashion_mnist"))
    assert (len(data.train), len(data.test), data.num_classes) == (60_000, 10_000, 10)
    assert data.class_names[9] == "Ankle boot"
