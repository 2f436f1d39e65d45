"""What the contract tests run: methods on a small network or a LeNet, on any executor, or planned as whole runs."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from osakd.data.augment import draws_of
from osakd.data.sources import load_data
from osakd.data.streams import permutation
from osakd.engine.build import on_device
from osakd.engine.config import Options, configure
from osakd.engine.executors.base import Executor, Replicas
from osakd.engine.executors.registry import EXECUTORS, REFERENCE, build_executor
from osakd.engine.plan import DataSource, Plan, plan_run
from osakd.methods.base import BuildContext, Method
from osakd.methods.lookup import resolve_method
from osakd.methods.plain import Plain
from osakd.methods.registry import METHODS, build_method
from osakd.methods.settings.base import RunDefaults, Settings, Stage
from osakd.methods.settings.plain import PlainSettings
from osakd.models.build import build_model
from osakd.models.normalise import Normalise
from osakd.records import RunConfig

SEEDS = (0, 1)
FOLDING: list[Any] = [
    *(name for name, method in METHODS.items() if method.settings.single_network),
    {"name": "osakd", "k": 5, "pool": "memory", "reliability": False},
    {"name": "osakd", "k": 5, "pool": "queue", "queue_size": 170},
    {"name": "osakd", "divergence": "mse_sum"},
]
"""Methods that train one network, which can be folded into channels."""
OTHERS: list[Any] = [
    *(name for name, method in METHODS.items() if not method.settings.single_network),
    {"name": "born-again", "generations": 2},
    {"name": "codistillation", "copies": 3, "burn_in": 0.4, "refresh": 7},
    {"name": "dml", "peers": ["resnet8", "lenet-digits"]},
    {"name": "ffl", "shared": False, "peer": "resnet8"},
]
VARIANTS = [*FOLDING, *OTHERS]
TOGETHER = [name for name, entry in EXECUTORS.items() if entry.together and entry.kernels == "torch"]
"""The executors that run many replicas together; the native kernel, which has no float64, has its own tests."""
ALONE = [name for name, entry in EXECUTORS.items() if not entry.together and entry.kernels == "torch"]
"""The executors that run one replica, but for the native kernel."""
STEPS, EPOCHS = 10, 5
CPU = torch.device("cpu")


class Residual(nn.Module):
    """Every layer that can be folded, in one small network."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.left = nn.Conv2d(6, 6, 3, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(6)
        self.pool = nn.AvgPool2d(2)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 8, bias=False), nn.ReLU())
        self.out = nn.Linear(8, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.stem(images)
        x = torch.relu(self.norm(self.left(x)) + x)
        return self.out(torch.flatten(self.head(self.pool(x)), 1))


def staged(num_classes: int) -> nn.Module:
    """The residual network as stages, for branches."""
    whole = Residual(num_classes)
    features = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=2), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(4))
    parts = {"stage1": whole.stem, "stage2": features, "head": whole.head, "out": whole.out}
    return nn.Sequential(OrderedDict(parts))


def method_of(
    variant: Any, seed: int, model: str, device: str = "cpu", class_weights: torch.Tensor | None = None
) -> Method:
    torch.manual_seed(seed)

    def build_network(other: str | None) -> nn.Module:
        name = other or model
        if name in ("residual", "staged"):
            body = Residual(10) if name == "residual" else staged(10)
            return nn.Sequential(OrderedDict(normalise=Normalise([0.4 + 0.1 * seed], [0.5]), network=body))
        return build_model(name, num_classes=10, input_shape=(1, 8, 8))

    name, settings = resolve_method(variant, RunDefaults(model=model))
    context = BuildContext(
        network=build_network(None),
        num_classes=10,
        num_samples=600,
        input_shape=(1, 8, 8),
        build_network=build_network,
        teachers=[build_network(stage.model and "resnet8").eval() for stage in earlier_stages(settings)],
        class_weights=class_weights,
    )
    method = build_method(name, settings, context)
    return method.to(device).to(memory_format=torch.channels_last)


def plain_method(network: nn.Module) -> Plain:
    shape = {"num_classes": 10, "num_samples": 600, "input_shape": (1, 8, 8)}
    return Plain(PlainSettings(), BuildContext.of(lambda _: network, **shape))


def earlier_stages(settings: Settings | None) -> list[Stage]:
    """The latest first."""
    stage = settings.previous_stage() if settings else None
    return [stage, *earlier_stages(stage.settings)] if stage else []


def variants_of(name: str) -> list[Any]:
    """What an executor can run."""
    return FOLDING if EXECUTORS[name].together else VARIANTS


def config(**changes: Any) -> RunConfig:
    """SGD with momentum, weight decay and clipping, on the digits."""
    sgd = {"learning_rate": 0.02, "momentum": 0.9, "weight_decay": 1e-3, "max_grad_norm": 2.0}
    return configure(
        load_data("digits"),
        "plain",
        0,
        Options(**{"epochs": EPOCHS, "batch_size": 64, "deploy": "last"} | sgd | changes),
    )


def run(
    executor: Executor, seeds: Sequence[int], epochs: Sequence[int], rate: float = 0.02
) -> list[list[dict[str, float]]]:
    history = []
    for epoch in epochs:
        orders = [permutation(600, seed=seed, stage=0, stream="order", epoch=epoch) for seed in seeds]
        drawn = [draws_of(replace(executor.config, seed=seed), epoch) for seed in seeds]
        first_step = STEPS * (epoch - 1)
        done = executor.run_epoch(orders, rate=rate, first_step=first_step, on_step=lambda _: None, drawn=drawn)
        assert all(outcome.first_bad_step is None for outcome in done)
        history.append([outcome.parts for outcome in done])
    return history


def together(
    name: str,
    model: str,
    variants: Sequence[Any] = FOLDING,
    device: str = "cpu",
    *,
    captured: bool = False,
    **changes: Any,
) -> Any:
    """The executor of that name, with every variant for each seed."""
    methods = [method_of(variant, seed, model, device) for seed in SEEDS for variant in variants]
    keys = [str(variant) for _ in SEEDS for variant in variants]
    return build_executor(name, replicas(methods, keys, device, **changes), captured=captured)


def alone(
    name: str, variant: Any, seed: int, model: str, device: str = "cpu", *, captured: bool = False, **changes: Any
) -> Any:
    """The executor of that name, with one replica."""
    methods = [method_of(variant, seed, model, device)]
    return build_executor(name, replicas(methods, [""], device, **changes), captured=captured)


def serial(variant: Any, seed: int, model: str, device: str = "cpu", **changes: Any) -> Any:
    """The executor that all others must agree with."""
    return alone(REFERENCE, variant, seed, model, device, **changes)


def replicas(
    methods: Sequence[Method], keys: Sequence[str] | None = None, device: str = "cpu", **changes: Any
) -> Replicas:
    """Methods of as many seeds as ``SEEDS``, or one method, on the digits."""
    splits = on_device(load_data("digits"), torch.device(device))
    seeds = len(SEEDS) if len(methods) > 1 else 1
    return Replicas(methods, [splits] * seeds, config(**changes), keys or ["plain"] * len(methods))


def plans_of(folder: Path, variants: Sequence[Any] = ("plain", "osakd"), **options: Any) -> list[Plan]:
    """The plans of every variant for each seed, which must be trained together, by PyTorch's operators."""
    source = DataSource("digits")
    chosen = Options(**{"executor": "fused", "kernels": "torch", "deploy": "last"} | options)
    names = [variant if isinstance(variant, str) else variant["name"] for variant in variants]
    return [
        plan_run(source, variant, seed, chosen, folder / f"{name}-seed{seed}", label=name)
        for seed in SEEDS
        for name, variant in zip(names, variants, strict=True)
    ]
