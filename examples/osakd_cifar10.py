"""Online self-acquired knowledge distillation (OSAKD) in one file of plain PyTorch: LeNet on CIFAR-10.

Fetch the data, then train with the method and without it:

    hf download uoft-cs/cifar10 --repo-type dataset --local-dir cifar10
    python osakd_cifar10.py cifar10
    python osakd_cifar10.py cifar10 --soft-weight 0

Needs torch, numpy, pillow and pyarrow. An epoch takes a few seconds, on a CPU too. The package osakd does the same
with many methods, seeds and statistics; this file is to be read.

Reference:
    Tzelepi and Tefas, "Efficient training of lightweight neural networks using Online Self-Acquired Knowledge
    Distillation", ICME 2021, https://arxiv.org/abs/2108.11798
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

NUM_CLASSES = 10
# The recipe of the paper's Table I. It does not say whether the sample itself is one of its neighbours, nor how the
# images are scaled; the reading here counts the sample itself and scales to [-1, 1], as the package does.
BATCH_SIZE, LEARNING_RATE, MOMENTUM, K, SOFT_WEIGHT = 64, 0.001, 0.9, 8, 0.9


def lenet() -> nn.Sequential:
    """The paper's network for images of 3x32x32: 62,006 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(3, 6, kernel_size=5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, kernel_size=5), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        *(nn.Linear(16 * 5 * 5, 120), nn.ReLU()),
        *(nn.Linear(120, 84), nn.ReLU()),
        nn.Linear(84, NUM_CLASSES),
    )


@torch.no_grad()
def knn_posterior(outputs: Tensor, target: Tensor, k: int) -> Tensor:
    """Soft labels, eq. (4): the share of each class among the k nearest samples of the batch.

    A sample is its own nearest neighbour, at distance 0. No gradient flows into the soft labels.

    Args:
        outputs: what the network gives for the batch, after the softmax, ``[n, classes]``.
        target: the class of each sample, ``[n]``.
        k: number of neighbours; a batch of fewer samples has only n.
    """
    distances = (outputs[:, None] - outputs[None]).square().sum(dim=2)
    neighbours = distances.argsort(dim=1, stable=True)[:, :k]
    return F.one_hot(target[neighbours], outputs.shape[1]).float().mean(dim=1)


def osakd_loss(logits: Tensor, target: Tensor, k: int = K, soft_weight: float = SOFT_WEIGHT) -> Tensor:
    """Eq. (5): cross-entropy with the classes, plus the divergence KL(soft labels || predictions)."""
    soft_labels = knn_posterior(logits.softmax(dim=1), target, k)
    divergence = F.kl_div(logits.log_softmax(dim=1), soft_labels, reduction="batchmean")
    return F.cross_entropy(logits, target) + soft_weight * divergence


def load_split(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """The images, uint8 ``[n, 3, 32, 32]``, and classes of a split, from Parquet files as the hub has them."""
    paths = sorted(folder.rglob(f"{split}-*.parquet"))
    if not paths:
        raise SystemExit(
            f"{str(folder)!r} holds no file {split}-*.parquet: "
            f"fetch them with hf download uoft-cs/cifar10 --repo-type dataset --local-dir {folder}"
        )
    rows = [row for path in paths for row in pq.read_table(path, columns=["img", "label"]).to_pylist()]
    images = np.stack([np.asarray(Image.open(io.BytesIO(row["img"]["bytes"])).convert("RGB")) for row in rows])
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.tensor([row["label"] for row in rows])


def scaled(images: Tensor) -> Tensor:
    """Pixels of 0 to 255 as numbers between -1 and 1."""
    return images.float().div(127.5).sub(1)


def train_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, target: Tensor, soft_weight: float
) -> float:
    """One pass over the training set in random order; the mean loss."""
    network.train()
    total = torch.zeros((), device=images.device)
    for batch in torch.randperm(len(images), device=images.device).split(BATCH_SIZE):
        loss = osakd_loss(network(scaled(images[batch])), target[batch], soft_weight=soft_weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(batch)
    return total.item() / len(images)


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, target: Tensor) -> float:
    """The share of images whose class is predicted, in percent."""
    network.eval()
    batches = zip(images.split(1000), target.split(1000), strict=True)
    correct = sum((network(scaled(x)).argmax(dim=1) == y).sum().item() for x, y in batches)
    return 100 * correct / len(images)


def main(argv: Sequence[str] | None = None) -> None:
    """Trains one network and prints its test accuracy at each epoch."""
    parser = argparse.ArgumentParser(description="LeNet on CIFAR-10 with OSAKD.")
    parser.add_argument("data", type=Path, help="folder with the Parquet files of uoft-cs/cifar10")
    parser.add_argument("--epochs", type=int, default=100, help="passes over the training set (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and batches (default: %(default)s)")
    parser.add_argument(
        "--soft-weight", type=float, default=SOFT_WEIGHT, help="lambda; 0 is plain training (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_images, train_target = (tensor.to(device) for tensor in load_split(arguments.data, "train"))
    test_images, test_target = (tensor.to(device) for tensor in load_split(arguments.data, "test"))

    torch.manual_seed(arguments.seed)
    network = lenet().to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)
    accuracies = []
    for epoch in range(1, arguments.epochs + 1):
        loss = train_epoch(network, optimizer, train_images, train_target, arguments.soft_weight)
        accuracies.append(accuracy(network, test_images, test_target))
        print(f"epoch {epoch:3}   loss {loss:.3f}   test accuracy {accuracies[-1]:.2f} %")

    last, best = accuracies[-1], max(accuracies)
    chosen = accuracies.index(best) + 1
    print(f"last epoch:   {last:.2f} %   (the honest number: nothing is chosen on the test set)")
    print(f"best on test: {best:.2f} %   (the paper's number: epoch {chosen} is chosen on the test set)")


if __name__ == "__main__":
    main()
