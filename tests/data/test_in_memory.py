"""Images given in Python train as the same images in files do."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

import osakd
from osakd.data.in_memory import given_data
from osakd.data.options import ImageOptions
from osakd.data.sources import load_data
from osakd.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 6, 3), dtype=np.uint8)
LABELS = [0, 1, 2] * 4


class Pictures(Dataset[Any]):
    """A data set as torchvision's: PIL images, whole numbers, names in ``classes``."""

    classes = ("cat", "dog", "owl")

    def __len__(self) -> int:
        return len(PIXELS)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(PIXELS[index]), LABELS[index]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSAKD_CACHE", str(tmp_path / "cache"))


def hub_dataset() -> Any:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["cat", "dog", "owl"]))
    columns = {"image": [Image.fromarray(one) for one in PIXELS], "label": LABELS}
    return datasets.Dataset.from_dict(columns, features=features)


@pytest.mark.parametrize(
    "split",
    [
        (PIXELS, LABELS),
        (PIXELS.tolist(), np.array(LABELS)),
        (torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255, torch.tensor(LABELS)),
        (PIXELS.astype(np.float64) / 255, np.array(LABELS, dtype=np.float32)),
        (PIXELS, np.array(["cat", "dog", "owl"])[LABELS]),
        TensorDataset(torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255, torch.tensor(LABELS)),
        list(zip(PIXELS, LABELS, strict=True)),
        Pictures(),
        hub_dataset,
    ],
    ids=["arrays", "lists", "tensors", "floats", "names", "TensorDataset", "list", "pictures", "datasets.Dataset"],
)
def test_every_form_gives_the_same_images(split: Any) -> None:
    split = split() if callable(split) else split
    arrays = load_data(given_data({"train": split, "test": split}))
    assert np.array_equal(arrays.train.images, PIXELS)
    assert arrays.train.target.tolist() == LABELS
    assert arrays.class_names in (("0", "1", "2"), ("cat", "dog", "owl"))


def test_the_folder_of_equal_data_is_the_same_and_of_other_data_is_not() -> None:
    one = given_data({"train": (PIXELS, LABELS), "test": (PIXELS, LABELS)})
    assert given_data({"train": (PIXELS / 255, LABELS), "test": (PIXELS.copy(), LABELS)}) == one
    assert given_data({"train": (PIXELS, LABELS[::-1]), "test": (PIXELS, LABELS)}) != one
    assert given_data("digits") == "digits"


def test_grey_images_and_a_test_split_made_of_a_single_split() -> None:
    arrays = load_data(given_data((PIXELS[..., 0], LABELS)), ImageOptions(test_fraction=0.25))
    assert (len(arrays.train), len(arrays.test), arrays.input_shape) == (9, 3, (1, 8, 6))


def test_train_compare_and_evaluate_take_them(tmp_path: Path) -> None:
    data = {"train": Pictures(), "test": (PIXELS, ["cat", "dog", "owl"] * 4)}
    options = {"model": "lenet-digits", "epochs": 1, "batch_size": 6}
    run = osakd.train(data, out=tmp_path / "run", **options)
    assert run.config.data["name"].startswith("Pictures-")
    assert osakd.evaluate(run.folder, data=Pictures())["accuracy"] == run.result.last["test"]["accuracy"]
    assert osakd.train(data, out=tmp_path / "run", resume=True, **options).result == run.result
    compared = osakd.compare(data, methods=["plain"], seeds=1, processes=1, out=tmp_path / "two", **options)
    assert compared.summary["data"]["content"] == run.config.data["content"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((PIXELS, LABELS[:3]), "has 12 images, but 3 labels"),
        ((PIXELS.astype(np.float32), LABELS), r"values from 0 to 249: give uint8 images or floats in \[0, 1\]"),
        ((PIXELS / 255 - 0.5, LABELS), "before any normalisation"),
        ((np.full((2, 8, 8), np.nan), [0, 1]), "values from nan"),
        ((PIXELS.astype(np.int64) + 1, LABELS), "values from 2 to 256"),
        ((np.zeros((2, 8, 8, 2), np.uint8), [0, 1]), r"has shape \(8, 8, 2\)"),
        ((PIXELS, np.eye(3)[LABELS]), "must be one class for each image"),
        ((PIXELS, [0.5] * 12), "must be whole numbers or names of classes, got 0.5"),
        (PIXELS, r"must be pairs \(image, class\)"),
        (3, "cannot be of type int"),
        ({}, "has no splits by name"),
        ({1: (PIXELS, LABELS)}, "has no splits by name"),
    ],
)
def test_what_is_no_data_is_refused(data: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given_data(data)


def test_a_dataset_without_images_is_refused() -> None:
    datasets = pytest.importorskip("datasets")
    with pytest.raises(InputError, match=r"has no images \(text, label\)"):
        given_data(datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}))
