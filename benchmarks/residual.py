"""What could make a ResNet-8's step faster on a CPU, measured or bounded: it prints the milliseconds of each form.

python -m benchmarks.residual > benchmarks/records/residual.md

Forms are timed in turn, several rounds; a form without a part bounds what a faster part could save.
"""

import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.engine.allocator import keep_freed_memory
from osakd.models.resnet import cifar_resnet

BATCH, SHAPE, ROUNDS = 64, (3, 32, 32), 15


def main() -> None:
    """Prints a table."""
    keep_freed_memory()
    steps = forms()
    for step in steps.values():
        step()
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            begin = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - begin)
    print("| form | milliseconds | share of the first |\n|---|---|---|")
    first = next(iter(seconds.values()))
    for name, values in seconds.items():
        share = median(value / own for value, own in zip(values, first, strict=True))
        print(f"| {name} | {1000 * median(values):.2f} | {share:.2f} |")


def forms() -> dict[str, Callable[[], object]]:
    """Forward and backward of the network in each form, and of its first layer alone."""
    images = torch.rand(BATCH, *SHAPE).contiguous(memory_format=torch.channels_last)
    stem = cifar_resnet(10, SHAPE, blocks=1).get_submodule("stem")
    return {
        "as it is: images channels-last": _step(_network(), images),
        "weights channels-last too": _step(_network().to(memory_format=torch.channels_last), images),
        "images channels-first": _step(_network(), images.contiguous()),
        "without BatchNorm": _step(_without(_network(), nn.BatchNorm2d), images),
        "the stem alone": _step(nn.Sequential(stem, nn.Flatten(), nn.Linear(16 * 32 * 32, 10)), images),
    }


def _network() -> nn.Module:
    return cifar_resnet(10, SHAPE, blocks=1)


def _without(network: nn.Module, kind: type[nn.Module]) -> nn.Module:
    """The network with nothing in place of the layers of a kind."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, kind):
                setattr(module, name, nn.Identity())
    return network


def _step(network: nn.Module, images: Tensor) -> Callable[[], object]:
    target = torch.arange(len(images)) % 10

    def step() -> None:
        network.zero_grad()
        F.cross_entropy(network(images), target).backward()

    return step


if __name__ == "__main__":
    main()
