"""Fixed shares of each class: at least one image of each on both sides; balanced data as they always were."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osakd.data.arrays import DataArrays, Split
from osakd.data.sources import load_data
from osakd.errors import InputError


def made(*counts: int) -> DataArrays:
    target = np.repeat(np.arange(len(counts)), counts)
    split = Split(np.arange(len(target), dtype=np.uint8).reshape(-1, 1, 1, 1), target)
    return DataArrays("made", "folder", "", tuple("abcdef"[: len(counts)]), split, split)


def digest(split: Split | None) -> str:
    return hashlib.sha256(split.images.tobytes() + split.target.tobytes()).hexdigest()[:16]


def test_the_rows_of_recorded_runs_are_chosen_again() -> None:
    """Digests of what version 0.1.0 chose, so that its runs can go on."""
    data = load_data("digits")
    assert [digest(data.part(share).train) for share in (0.1, 0.25, 0.5)] == [
        "3158046e289acd24",
        "1f0a9b849209bd79",
        "b8533f0b9d8e60ee",
    ]
    view = data.hold_out(0.2, 3)
    assert (digest(view.train), digest(view.validation)) == ("d44fbe670a795d5c", "632ea40e9a44dac3")


@pytest.mark.real
def test_the_rows_of_recorded_runs_on_real_images_are_chosen_again(real_images: Path) -> None:
    data = load_data(str(real_images / "cifar10"))
    assert data.content == "e12d9a8d35d5b920"
    assert digest(data.part(0.1).train) == "1179a13e81520f6c"
    view = data.hold_out(0.1, 0)
    assert (digest(view.train), digest(view.validation)) == ("2cc6b71405e9f945", "cb747510cc5a36bf")


def test_a_fraction_keeps_an_image_of_every_class() -> None:
    part = made(40, 30, 2, 1).part(0.1)
    assert np.bincount(part.train.target).tolist() == [4, 3, 1, 1]


def test_a_validation_split_has_an_image_of_every_class_and_leaves_one() -> None:
    view = made(40, 30, 2).hold_out(0.1, 0)
    assert np.bincount(view.validation.target).tolist() == [4, 3, 1]
    view = made(40, 30, 2).hold_out(0.9, 0)
    assert np.bincount(view.train.target).tolist() == [4, 3, 1]


def test_a_class_with_a_single_image_cannot_be_on_both_sides() -> None:
    with pytest.raises(InputError, match=r"The class 'b' has a single image here, and `validation` needs one on each"):
        made(40, 1).hold_out(0.1, 0)


@pytest.mark.parametrize("option", ["fraction", "validation"])
def test_a_share_below_one_image_of_every_class(option: str) -> None:
    with pytest.raises(InputError, match=rf"A `{option}` share of 0\.01 of 60 images leaves one side empty: take"):
        made(30, 30).part(0.01) if option == "fraction" else made(30, 30).hold_out(0.01, 0)


def test_the_sizes_of_the_classes_are_described() -> None:
    assert made(30, 30).describe_classes() == ["Classes: 2; training images of each: 30."]
    assert made(30, 40, 60).describe_classes() == ["Classes: 3; training images of each: 30 to 60."]
    assert made(30, 4, 600).describe_classes() == ["Classes: 3; training images of each: 4 ('b') to 600 ('c')."]
    lines = made(1, 1, 2).describe_classes()
    assert lines[1].startswith("Warning: 3 classes for 4 training images: are these the classes?")
    assert len(made(2, 2).describe_classes()) == 1


def test_a_class_without_images_takes_no_part() -> None:
    data = made(4, 0, 4)
    assert np.bincount(data.part(0.5).train.target, minlength=3).tolist() == [2, 0, 2]
    assert replace(data, notes=("said",)).part(0.5).notes == ("said",)
