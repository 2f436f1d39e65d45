"""Predictions for images as users have them."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import osakd
from osakd.cli.main import main
from osakd.data.sources import load_data
from osakd.engine.predict import Prediction, pixels_of
from tests.engine.runs import digits_run

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_run(tmp_path_factory.mktemp("digits")).folder


def test_every_kind_of_image_gives_the_same_prediction(run: Path, tmp_path: Path) -> None:
    network, test = osakd.load(run), load_data("digits").test
    pixels = test.images[0, ..., 0]
    Image.fromarray(pixels).save(tmp_path / "one.png")
    kinds = [
        tmp_path / "one.png",
        str(tmp_path / "one.png"),
        Image.fromarray(pixels),
        pixels,
        pixels[None],
        pixels[..., None] / 255,
        torch.from_numpy(pixels / np.float32(255)),
        np.repeat(pixels[..., None], 3, axis=2),  # grey in colour
    ]
    expected = network(torch.from_numpy(test.images[:1]).permute(0, 3, 1, 2) / 255).softmax(1)[0]
    for found in network.predict(kinds):
        assert list(found.probabilities) == [str(digit) for digit in range(10)]
        np.testing.assert_allclose(list(found.probabilities.values()), expected.detach(), rtol=1e-4, atol=1e-6)
        assert found.class_name == str(int(expected.argmax()))
        assert found.probability == max(found.probabilities.values())
    assert isinstance(network.predict(pixels)[0], Prediction)


def test_accuracy_of_the_predictions_is_the_run_s(run: Path) -> None:
    test = load_data("digits").test
    names = [found.class_name for found in osakd.load(run).predict(test.images)]
    accuracy = np.mean(np.array(names) == test.target.astype(str))
    assert accuracy == pytest.approx(osakd.evaluate(run)["accuracy"])
    assert accuracy > 0.4


def test_images_are_resized_as_in_training() -> None:
    large = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8))
    expected = np.asarray(large.resize((8, 8), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(pixels_of(large, SHAPE)[0, ..., 0], expected)


def test_other_modes_and_numbers_are_converted() -> None:
    picture = Image.new("RGB", (8, 8), (255, 0, 0))
    for mode in ("CMYK", "HSV", "YCbCr"):
        red = pixels_of(picture.convert(mode), (3, 8, 8))[0, 0, 0]
        np.testing.assert_allclose(red, [255, 0, 0], atol=1)
    half = torch.full((8, 8), 0.5)
    np.testing.assert_array_equal(pixels_of(half.bfloat16(), SHAPE), pixels_of(half, SHAPE))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (np.full((8, 8), 200.0), r"image 0 has values from 200 to 200: give uint8 images or floats in \[0, 1\]"),
        (np.full((8, 8), -1.0), "has values from -1 to -1"),
        (np.full((8, 8), np.nan), "has values from nan"),
        (np.zeros((0, 8), np.uint8), r"image 0 has shape \(0, 8\): it has no pixels"),
        (np.full((8, 8), "a"), "image 0 is an array of <U1: give PIL images"),
        ({}, "image 0 is of type dict: give PIL images"),
        (Image.new("F", (8, 8)), "image 0 has more than 8 bits per channel"),
        (Path(), r"'\.' cannot be read \(Is a directory\): check it and its permissions"),
        (np.zeros((2, 8, 8, 8), np.uint8), r"image 0 has shape \(8, 8, 8\): images are"),
        (np.zeros((3, 8, 8), np.uint8), r"is one colour image or 3 grey ones: give \(1, 3, 8, 8\) or \(3, 1, 8, 8\)"),
        ([], "There is no image"),
        ("missing.png", r"'missing\.png' cannot be read \(No such file or directory\)"),
    ],
)
def test_wrong_images_are_refused(images: object, says: str) -> None:
    with pytest.raises(osakd.InputError, match=says):
        pixels_of(images, SHAPE)


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("no image")
    with pytest.raises(osakd.InputError, match=r"notes\.png cannot be decoded as an image"):
        pixels_of(tmp_path / "notes.png", SHAPE)


def test_the_command_prints_names_and_probabilities(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.BytesIO()
    Image.fromarray(load_data("digits").test.images[0, ..., 0]).save(stream, format="PNG")
    path = tmp_path / "one.png"
    path.write_bytes(stream.getvalue())
    found = osakd.load(run).predict(path)[0]
    assert main(["predict", str(run), str(path), str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{path}: {found.class_name} {100 * found.probability:.1f} %, ")
    assert main(["predict", str(run), str(path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["image"] == str(path)
    assert printed["class_name"] == found.class_name
    assert sum(printed["probabilities"].values()) == pytest.approx(1)
