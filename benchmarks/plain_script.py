"""An ordinary PyTorch training script, written as most people write theirs: the benchmark compares with it.

A Dataset, a DataLoader, an eager loop, `.item()` at each step; the paper's LeNet on images of CIFAR-10's shape, or its
network for Fashion-MNIST on images of that shape.
It prints the seconds of the timed steps.

    python benchmarks/plain_script.py --steps 200 --workers 0 --threads 2
"""

import argparse
import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Images(Dataset):
    """Images of 0 to 255 in memory; each is normalised when it is asked for."""

    def __init__(self, count: int, shape: tuple[int, int, int]) -> None:
        generator = np.random.default_rng(0)
        self.images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
        self.target = generator.integers(0, 10, count)

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = torch.from_numpy(self.images[index]).permute(2, 0, 1).float() / 255
        return (image - 0.5) / 0.5, int(self.target[index])


class LeNet(nn.Module):
    """Two convolutions, three linear layers, 62,006 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


class LeNetFashion(nn.Module):
    """Two convolutions, two linear layers, 431,080 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.fc1, self.fc2 = nn.Linear(800, 500), nn.Linear(500, 10)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc2(x)


MODELS = {"lenet": (LeNet, (32, 32, 3)), "lenet-fashion": (LeNetFashion, (28, 28, 1))}


def main() -> None:
    """Trains for so many steps and prints the seconds they took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default="lenet", choices=MODELS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    device = torch.device(options.device)
    model, shape = MODELS[options.model]
    loader = DataLoader(Images(50_000, shape), batch_size=64, shuffle=True, num_workers=options.workers)
    network = model().to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)

    running_loss, done, start = 0.0, 0, 0.0
    while done < options.warm_up + options.steps:
        for images, classes in loader:
            if done == options.warm_up:
                start = time.perf_counter()
            images, classes = images.to(device), classes.to(device)
            optimizer.zero_grad()
            loss = criterion(network(images), classes)
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
            done += 1
            if done == options.warm_up + options.steps:
                break
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
