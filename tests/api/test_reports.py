"""A report of what is recorded, and its gallery of soft labels."""

import base64
import io
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import osakd
from osakd import InputError
from osakd.api.galleries import COUNT
from osakd.data.sources import load_data
from osakd.data.streams import permutation
from osakd.engine.gallery import most_ambiguous
from osakd.records import read_config
from tests.data.made import write_image_folder

SMALL: dict[str, Any] = {"epochs": 3, "model": "lenet-digits", "batch_size": 32}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OSAKD run on digits, with a validation split."""
    folder = tmp_path_factory.mktemp("gallery") / "osakd-4nn-seed1"
    osakd.train("digits", method={"name": "osakd", "k": 4}, seed=1, validation=0.1, out=folder, **SMALL)
    return folder


def test_the_most_ambiguous_soft_labels_are_those_of_the_last_batches(run: Path) -> None:
    """By loops: every batch of the last epoch, its nearest softmax outputs, its own among them, their classes."""
    config = read_config(run)
    view = load_data("digits").view(config)
    with torch.no_grad():
        images = torch.from_numpy(view.train.images).permute(0, 3, 1, 2).float() / 255
        outputs = osakd.load(run)(images).softmax(1).numpy()
    order = permutation(len(outputs), seed=1, stage=0, stream="order", epoch=3)
    expected = {}
    for start in range(0, len(order), 32):
        batch = order[start : start + 32]
        for row in batch:
            near = sorted(batch, key=lambda other: float(((outputs[row] - outputs[other]) ** 2).sum()))[:4]
            shares = (np.bincount(view.train.target[near], minlength=10) + 0.25) / (len(near) + 10 * 0.25)
            expected[int(row)] = shares
    entropy = {row: -sum(p * np.log(p) for p in shares if p > 0) for row, shares in expected.items()}
    found = most_ambiguous(config, view, run, torch.device("cpu"), count=30)
    targets = view.train.target[[one.row for one in found]].tolist()
    for turn in range(3):  # of each class in turn the next one, the classes by their first
        assert targets[10 * turn : 10 * turn + 10] == targets[:10]
        for label, one in zip(targets[:10], found[10 * turn :], strict=False):
            of_class = sorted((entropy[row] for row in entropy if view.train.target[row] == label), reverse=True)
            assert one.entropy == pytest.approx(of_class[turn], abs=1e-6)
    assert sorted(targets[:10]) == list(range(10))
    for one in found:
        assert one.soft_label == pytest.approx(expected[one.row], abs=1e-6)


def test_equal_soft_labels_are_shown_by_chance_with_the_run_s_seed(tmp_path: Path) -> None:
    """A network at chance has the same label for all images of a class: not those that come first are shown."""
    rows = []
    for seed in (0, 0, 1):
        options = SMALL | {"epochs": 1, "learning_rate": 1e-9, "batch_size": 600, "deploy": "last"}
        folder = tmp_path / f"seed{len(rows)}"
        osakd.train("digits", method={"name": "osakd", "k": 600}, seed=seed, out=folder, **options)
        config, view = read_config(folder), load_data("digits").view(read_config(folder))
        rows.append([one.row for one in most_ambiguous(config, view, folder, torch.device("cpu"), count=24)])
    assert rows[0] == rows[1] != rows[2]
    assert any(later < first for first, later in zip(rows[0], rows[0][10:], strict=False))  # the next of a class


def test_the_soft_labels_of_a_memory_are_those_of_all_training_images(tmp_path: Path) -> None:
    osakd.train("digits", method={"name": "osakd", "k": 5, "pool": "memory"}, out=tmp_path / "run", **SMALL)
    config = read_config(tmp_path / "run")
    view = load_data("digits").view(config)
    with torch.no_grad():
        images = torch.from_numpy(view.train.images).permute(0, 3, 1, 2).float() / 255
        outputs = osakd.load(tmp_path / "run")(images).softmax(1).double()
    distances = torch.cdist(outputs, outputs, compute_mode="donot_use_mm_for_euclid_dist")
    for one in most_ambiguous(config, view, tmp_path / "run", torch.device("cpu"), count=10):
        near = distances[one.row].argsort()[:5].numpy()
        counts = np.bincount(view.train.target[near], minlength=10)
        assert one.soft_label == pytest.approx((counts + 0.25) / (5 + 10 * 0.25), abs=1e-6)


def test_the_soft_labels_of_a_queue_are_those_of_the_images_before(tmp_path: Path) -> None:
    method = {"name": "osakd", "k": 5, "pool": "queue", "queue_size": 96}
    osakd.train("digits", method=method, out=tmp_path / "run", **SMALL)
    config = read_config(tmp_path / "run")
    view = load_data("digits").view(config)
    with torch.no_grad():
        images = torch.from_numpy(view.train.images).permute(0, 3, 1, 2).float() / 255
        outputs = osakd.load(tmp_path / "run")(images).softmax(1).numpy()
    order = permutation(len(outputs), seed=0, stage=0, stream="order", epoch=3).tolist()
    for found in most_ambiguous(config, view, tmp_path / "run", torch.device("cpu"), count=10):
        end = 32 * (order.index(found.row) // 32 + 1)
        latest = [*order[-96:], *order[:end]][-96:]
        near = sorted(latest, key=lambda other: float(((outputs[found.row] - outputs[other]) ** 2).sum()))[:5]
        counts = np.bincount(view.train.target[near], minlength=10)
        assert found.soft_label == pytest.approx((counts + 0.25) / (5 + 10 * 0.25), abs=1e-6)


def test_a_gallery_is_on_the_page(run: Path, tmp_path: Path) -> None:
    page = osakd.write_report(run, out=tmp_path, gallery=True).read_text(encoding="utf-8")
    assert "k = 4 neighbours, the image itself among them, in mini-batches of 32, those of the last" in page
    pictures = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="a training image of the class (\d)">', page)
    assert len(pictures) == COUNT
    config = read_config(run)
    view = load_data("digits").view(config)
    first = most_ambiguous(config, view, run, torch.device("cpu"), count=1)[0]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(pictures[0][0]))))
    np.testing.assert_array_equal(pixels, view.train.images[first.row][..., 0])
    assert pictures[0][1] == str(view.train.target[first.row])
    # Without being asked, no pixel of the data is in a report.
    assert "<img" not in osakd.write_report(run, out=tmp_path).read_text(encoding="utf-8")


def test_a_gallery_that_cannot_be_had(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    (copy / "student.safetensors").unlink()
    with pytest.raises(InputError, match=r"No finished run here has soft labels .* network \(student.safetensors\)"):
        osakd.write_report(copy, gallery=True)
    osakd.train("digits", method="shuffled-neighbours", out=tmp_path / "shuffled", epochs=1)
    with pytest.raises(InputError, match="No finished run here has soft labels"):
        osakd.write_report(tmp_path / "shuffled", gallery=True)
    view = load_data("digits").view(read_config(tmp_path / "shuffled"))
    with pytest.raises(InputError, match="A run of 'shuffled-neighbours' has no soft labels of neighbours to show"):
        most_ambiguous(read_config(tmp_path / "shuffled"), view, tmp_path / "shuffled", torch.device("cpu"), count=1)
    with pytest.raises(InputError, match="`data` says where a gallery's images are"):
        osakd.write_report(run, data="digits")


def test_a_gallery_of_other_images_is_refused(run: Path, tmp_path: Path) -> None:
    write_image_folder(tmp_path / "other", classes=tuple("0123456789"), per_class=1)
    with pytest.raises(
        InputError, match=r"'other' \(content \w{8}\) are not those that 'osakd-4nn-seed1' was trained on"
    ):
        osakd.write_report(run, out=tmp_path, gallery=True, data=str(tmp_path / "other"))
    assert not (tmp_path / "report.html").exists()


def test_a_local_folder_that_is_gone_must_be_named(tmp_path: Path) -> None:
    data = str(write_image_folder(tmp_path / "mine", classes=tuple("0123456789"), per_class=4))
    osakd.train(data, method="osakd-4nn", out=tmp_path / "run", **(SMALL | {"epochs": 1}))
    assert osakd.write_report(tmp_path / "run", gallery=True).exists()
    moved = Path(data).rename(tmp_path / "moved")
    with pytest.raises(InputError, match="trained on a local folder called 'mine': name it with --data"):
        osakd.write_report(tmp_path / "run", gallery=True)
    assert osakd.write_report(tmp_path / "run", gallery=True, data=str(moved)).exists()
