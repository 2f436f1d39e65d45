"""The example in one file computes what the library computes, and trains."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

import osakd
from tests.data.made import encode, made_images, write_parquet

PATH = Path(__file__).parents[2] / "examples/osakd_cifar10.py"
EXAMPLE: dict[str, Any] = runpy.run_path(str(PATH))


def batch(rows: int = 64, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 10, generator=generator), torch.randint(10, (rows,), generator=generator)


def test_it_is_short_and_does_without_osakd() -> None:
    lines = PATH.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert not [line for line in lines if line.startswith(("import osakd", "from osakd"))]


def test_its_network_is_the_library_s() -> None:
    ours, example = osakd.build_model("lenet", num_classes=10, input_shape=(3, 32, 32)), EXAMPLE["lenet"]()
    sizes = [[parameter.shape for parameter in network.parameters()] for network in (ours, example)]
    assert sizes[0] == sizes[1]
    with torch.no_grad():
        for own, theirs in zip(ours.parameters(), example.parameters(), strict=True):
            theirs.copy_(own)
    images = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(example(EXAMPLE["scaled"](images)), ours(images / 255))


@pytest.mark.parametrize("k", [1, 8, 16])
def test_its_soft_labels_are_the_library_s(k: int) -> None:
    logits, target = batch()
    outputs = logits.softmax(1)
    expected = osakd.knn_posterior(outputs, outputs, target, num_classes=10, k=k)
    torch.testing.assert_close(EXAMPLE["knn_posterior"](outputs, target, k), expected)


@pytest.mark.parametrize("rows", [64, 16, 5])
def test_its_loss_and_gradient_are_the_library_s(rows: int) -> None:
    logits, target = batch(rows)
    ours, example = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = osakd.OSAKDLoss(10, reliability=False, pseudo_count=0.0).eval()  # there a batch may be smaller than k
    expected, computed = loss(ours, target), EXAMPLE["osakd_loss"](example, target)
    torch.testing.assert_close(computed, expected)
    expected.backward()
    computed.backward()
    torch.testing.assert_close(example.grad, ours.grad)


def test_a_weight_of_zero_is_plain_training() -> None:
    logits, target = batch()
    expected = torch.nn.functional.cross_entropy(logits, target)
    torch.testing.assert_close(EXAMPLE["osakd_loss"](logits, target, soft_weight=0), expected)


def write_data(folder: Path) -> Path:
    """200 made images of 10 classes in the hub's layout; the brightness gives the class."""
    for split in ("train", "test"):
        target = [row % 10 for row in range(200)]
        noise = made_images(200, seed=0, size=(32, 32, 3))
        images = [encode(pixels // 10 + 25 * label) for pixels, label in zip(noise, target, strict=True)]
        write_parquet(folder / f"plain_text/{split}-00000-of-00001.parquet", images, target, image_column="img")
    return folder


def test_it_trains_on_made_images_and_names_both_accuracies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    EXAMPLE["main"]([str(write_data(tmp_path)), "--epochs", "2"])
    *epochs, last, best = capsys.readouterr().out.splitlines()
    accuracies = [float(line.split()[-2]) for line in epochs]
    assert [line.split()[1] for line in epochs] == ["1", "2"]
    assert last.startswith(f"last epoch:   {accuracies[-1]:.2f} %")
    assert best.startswith(f"best on test: {max(accuracies):.2f} %")
    assert "chosen on the test set" in best


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    images, target = EXAMPLE["load_split"](write_data(tmp_path), "train")
    assert (images.shape, images.dtype, target.tolist()[:3]) == ((200, 3, 32, 32), torch.uint8, [0, 1, 2])
    torch.manual_seed(0)
    network = EXAMPLE["lenet"]()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    losses = [EXAMPLE["train_epoch"](network, optimizer, images, target, 0.9) for _ in range(10)]
    assert losses[-1] < losses[0] - 0.2
    assert EXAMPLE["accuracy"](network, images, target) > 15


def test_a_folder_without_the_files_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        EXAMPLE["main"]([str(tmp_path)])
    assert str(refused.value) == (
        f"{str(tmp_path)!r} holds no file train-*.parquet: "
        f"fetch them with hf download uoft-cs/cifar10 --repo-type dataset --local-dir {tmp_path}"
    )


@pytest.mark.real
def test_a_few_steps_on_cifar10(real_images: Path) -> None:
    images, target = EXAMPLE["load_split"](real_images / "cifar10", "test")  # 10,000 images: quickly decoded
    assert target.bincount().tolist() == [1000] * 10
    torch.manual_seed(0)
    network = EXAMPLE["lenet"]()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    for _ in range(3):
        EXAMPLE["train_epoch"](network, optimizer, images[:6400], target[:6400], 0.9)
    assert EXAMPLE["accuracy"](network, images[6400:], target[6400:]) > 20
