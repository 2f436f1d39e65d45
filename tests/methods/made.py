"""Small networks, a batch, and losses as loops, for the tests of methods."""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from osakd.methods.base import Batch, BuildContext, Method

N, FEATURES = 6, 5


def network(num_classes: int = 3, *, hidden: int = 4, norm: bool = True) -> nn.Module:
    """With BatchNorm, whose statistics show whether it was in training mode."""
    layers = [nn.Flatten(), nn.Linear(FEATURES, hidden), *([nn.BatchNorm1d(hidden)] if norm else [])]
    return nn.Sequential(*layers, nn.Linear(hidden, num_classes))


def staged(num_classes: int = 3, *, width: int = 4) -> nn.Module:
    """A network with three stages, as the library builds them: ``Sequential(normalise, network)``."""
    stages = OrderedDict[str, nn.Module](
        stage1=nn.Conv2d(1, width, 3, padding=1),
        stage2=nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()),
        stage3=nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU()),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(2 * width, num_classes),
    )
    return nn.Sequential(OrderedDict[str, nn.Module](normalise=nn.Identity(), network=nn.Sequential(stages)))


def batch(
    num_classes: int = 3, *, step: int = 0, progress: float = 0.0, shape: tuple[int, ...] = (1, 1, FEATURES)
) -> Batch:
    images = torch.randn(N, *shape, generator=torch.Generator().manual_seed(0))
    return Batch(images, torch.arange(N) % num_classes, torch.arange(N), torch.tensor(step), torch.tensor(progress))


def context(
    build_network: Callable[[str | None], nn.Module],
    *,
    num_classes: int = 3,
    num_samples: int = N,
    input_shape: tuple[int, int, int] = (1, 1, FEATURES),
    teachers: Sequence[nn.Module] = (),
) -> BuildContext:
    """What a method is built from; the first call of ``build_network`` gives the deployed network."""
    return BuildContext.of(
        build_network, num_classes=num_classes, num_samples=num_samples, input_shape=input_shape, teachers=teachers
    )


def softmax(logits: Tensor, temperature: float = 1.0) -> list[list[float]]:
    rows = (logits.detach().double() / temperature).tolist()
    return [[math.exp(z) / sum(math.exp(other) for other in row) for z in row] for row in rows]


def cross_entropy(logits: Tensor, target: Tensor) -> float:
    return -sum(math.log(row[label]) for row, label in zip(softmax(logits), target.tolist(), strict=True)) / N


def divergence(targets: Tensor, logits: Tensor, temperature: float) -> float:
    pairs = zip(softmax(targets, temperature), softmax(logits, temperature), strict=True)
    return sum(q * math.log(q / p) for qs, ps in pairs for q, p in zip(qs, ps, strict=True)) / N


def gradients(method: Method, given: Batch) -> dict[str, Tensor | None]:
    method.zero_grad()
    method(given).total.backward()
    return {name: parameter.grad for name, parameter in method.named_parameters()}
