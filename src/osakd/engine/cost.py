"""The cost of each method, counted on fake tensors, without data and without training."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeCopyMode,
    FakeTensorMode,
)

from osakd.data.arrays import DataArrays, Split
from osakd.engine.build import method_of
from osakd.engine.config import Options, configure
from osakd.engine.stages import previous_stage
from osakd.errors import InputError
from osakd.labels.distances import uses_block_search
from osakd.losses.osakd import OSAKDLoss
from osakd.methods.base import Batch, Method
from osakd.methods.lookup import method_label
from osakd.methods.registry import settings_of
from osakd.models.build import build_model
from osakd.models.cost import count_macs, count_parameters, flop_counter
from osakd.records import RunConfig


@dataclass(frozen=True)
class Cost:
    """The cost of a method. A multiply-accumulate (MAC) is two FLOPs.

    Attributes:
        deployed_parameters: parameters of the deployed network.
        deployed_macs: MACs of its forward pass per image.
        products_elsewhere: MACs of that pass outside convolutions and linear layers, not in ``deployed_macs``.
        passes: forward passes per step, in units of the plain network's; those of teachers and older copies count.
        flops: FLOPs of training per image: forward, backward, and the search for neighbours.
        search_flops: FLOPs of the search for neighbours per image.
        kept_bytes: bytes in memory beside what is trained: outputs, older copies, teachers.
        flops_before: FLOPs of training the earlier stages.
        total_flops: FLOPs of the whole training, earlier stages included.
        relative: ``total_flops`` divided by those of plain training.
    """

    label: str
    deployed_parameters: int
    deployed_macs: int
    products_elsewhere: int
    trained_parameters: int
    passes: float
    flops: float
    search_flops: float
    kept_bytes: int
    flops_before: float
    total_flops: float
    relative: float


def costs(data: DataArrays, methods: Sequence[str | Mapping[str, Any]], options: Options) -> list[Cost]:
    """The cost of each method on data of that shape and size.

    Args:
        data: a data set, or ``shaped(...)`` without one.
        methods: names, shorthands, or mappings with ``name`` and settings.
        options: training options, of which network, epochs and batch size matter.

    Raises:
        InputError: as ``configure`` and ``build_method``; or a network that cannot be counted.
    """
    counter = _Counter(configure(data, "plain", 0, options))
    return [counter.cost(method_label(method), configure(data, method, 0, options)) for method in methods]


def shaped(*, num_classes: int, input_shape: tuple[int, int, int], train: int) -> DataArrays:
    """Black images of a shape and number that take no memory; an InputError for one class or a size below 1."""
    if num_classes < 2:
        raise InputError(f"`num_classes` must be at least 2, got {num_classes}.")
    if min(*input_shape, train) < 1:
        shape = " ".join(map(str, input_shape))
        raise InputError(f"`input_shape` and `train_size` must be at least 1, got {shape} and {train}.")
    channels, height, width = input_shape

    def black(images: int) -> Split:
        pixels = np.broadcast_to(np.uint8(0), (images, height, width, channels))
        return Split(pixels, np.arange(images) % num_classes)

    names = tuple(map(str, range(num_classes)))
    return DataArrays(name="", kind="", content="", class_names=names, train=black(train), test=black(num_classes))


def search_flops(criterion: OSAKDLoss, batch_size: int, num_classes: int) -> float:
    r"""FLOPs for each image of the search for its neighbours, among :math:`m` references of :math:`c` classes.

    In a mini-batch or queue of m images every difference is taken directly: :math:`3 m c` (subtract, square, add). A
    memory of
    many rows is searched by one matrix product: :math:`2 m c`. Comparisons are not counted; nor, over a memory, are
    the m additions of its norms and the direct differences to the few rows that are left, as what works element by
    element is not counted in a network. (A GPU takes every difference of a memory directly too: :math:`3 m c`.)
    """
    searched = criterion.memory or criterion.queue
    rows = batch_size if searched is None else len(searched.outputs)
    return (2 if uses_block_search(batch_size, rows, criterion.k) else 3) * rows * num_classes


class _Counted(NamedTuple):
    """A method on fake tensors, and its FLOPs per image: forward; forward, backward and search; search alone."""

    method: Method
    forward: float
    flops: float
    search: float


class _Counter:
    """Counts methods and plain training with the same network; shared parts are built and counted once."""

    def __init__(self, plain: RunConfig) -> None:
        self.mode = FakeTensorMode()
        self.networks: dict[str, nn.Module] = {}
        self.counted: dict[str, _Counted] = {}
        self.plain_forward = self._counted(plain).forward
        self.plain_total = self._total(plain)

    def cost(self, label: str, config: RunConfig) -> Cost:
        """The cost of a run."""
        method, forward, flops, search = self._counted(config)
        with self.mode:
            macs = count_macs(method.network, torch.zeros(1, *config.data["input_shape"]))
        earlier = previous_stage(config)
        total = self._total(config)
        return Cost(
            label=label,
            deployed_parameters=count_parameters(method.network),
            deployed_macs=macs,
            products_elsewhere=round(self.plain_forward / 2) - macs,
            trained_parameters=count_parameters(method, trained=True),
            passes=forward / self.plain_forward,
            flops=flops,
            search_flops=search,
            kept_bytes=_kept_bytes(method),
            flops_before=self._total(earlier) if earlier else 0.0,
            total_flops=total,
            relative=total / self.plain_total,
        )

    def _total(self, config: RunConfig) -> float:
        """FLOPs of training a run and all stages before it."""
        earlier = previous_stage(config)
        last = self._counted(config).flops * config.epochs * config.data["train"]
        return last + (self._total(earlier) if earlier else 0.0)

    def _counted(self, config: RunConfig) -> "_Counted":
        key = f"{config.model} {config.method} {config.settings}"
        if key not in self.counted:
            self.counted[key] = self._count(config, self._method(config))
        return self.counted[key]

    def _count(self, config: RunConfig, method: Method) -> "_Counted":
        images, classes = min(config.batch_size, config.data["train"]), len(config.data["class_counts"])
        try:
            with self.mode, flop_counter() as counter:
                index = torch.arange(images)
                pixels = torch.zeros(images, *config.data["input_shape"])
                batch = Batch(pixels, index % classes, index, torch.tensor(0), torch.tensor(0.0))
                loss = method.train()(batch).total
                forward = counter.get_total_flops() / images
                loss.backward()
                both = counter.get_total_flops() / images
        except (DataDependentOutputException, DynamicOutputShapeException) as error:
            raise InputError(
                f"The cost of model {config.model!r} with method {config.method!r} cannot be counted: a step asks for "
                "the values of tensors, and counting knows their shapes alone."
            ) from error
        losses = [module for module in method.modules() if isinstance(module, OSAKDLoss)]
        search = sum(search_flops(criterion, images, classes) for criterion in losses)
        return _Counted(method, forward, both + search, search)

    def _method(self, config: RunConfig) -> Method:
        """The method of a run on fake tensors, with untrained teachers."""
        teachers, cpu = self._teachers(config), torch.device("cpu")
        method = method_of(config, lambda name: self._network(name or config.model, config), teachers, cpu)
        with FakeCopyMode(self.mode):
            return copy.deepcopy(method)

    def _teachers(self, config: RunConfig) -> list[nn.Module]:
        """The networks of earlier stages, the latest first."""
        earlier = previous_stage(config)
        if earlier is None and settings_of(config).given_teacher() is not None:
            raise InputError("A teacher's cost is counted from the name of its network: give that, not a run's folder.")
        return [self._network(earlier.model, config), *self._teachers(earlier)] if earlier else []

    def _network(self, name: str, config: RunConfig) -> nn.Module:
        if name not in self.networks:
            classes, (channels, height, width) = len(config.data["class_counts"]), config.data["input_shape"]
            self.networks[name] = build_model(name, num_classes=classes, input_shape=(channels, height, width))
        return copy.deepcopy(self.networks[name])


def _kept_bytes(method: Method) -> int:
    """The bytes of children without trained parameters."""
    idle = [child for child in method.children() if not count_parameters(child, trained=True)]
    return sum(
        tensor.numel() * tensor.element_size()
        for child in idle
        for tensor in chain(child.parameters(), child.buffers())
    )
