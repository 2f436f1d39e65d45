"""The channels lowering of methods that train one network: the networks are folded into one, the losses are mapped."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from osakd.engine.averaging import is_statistic
from osakd.engine.executors.base import Replicas, TrainingSpec
from osakd.engine.executors.fused.channels import FoldedNetwork
from osakd.engine.executors.fused.executor import FusedExecutor
from osakd.engine.executors.fused.replicas import (
    Clock,
    Layout,
    NotLowerableError,
    Parts,
    StackedParameter,
    layout_of,
    replicas_by_key,
)
from osakd.engine.executors.stepwise import LossGroup
from osakd.methods.base import Batch, Method

_NETWORK = "network."
Fold = Callable[[Sequence[nn.Module], Layout, tuple[int, int, int]], Any]
"""Makes networks one, from their layout and the shape of an image; with the interface of ``FoldedNetwork``."""


def build(replicas: Replicas, spec: TrainingSpec) -> FusedExecutor:
    """Builds the executor whose networks are folded into channels."""
    return FusedExecutor(replicas, spec, FoldedMethods)


class FoldedMethods:
    """Replicas of methods that train one network each.

    Args:
        replicas: the methods and their data.
        fold: makes their networks one, from the networks, their layout and the shape of an image.

    Raises:
        NotLowerableError: a network that cannot be folded, or a method with more than one.
    """

    def __init__(self, replicas: Replicas, fold: Fold = FoldedNetwork) -> None:
        self.methods, self.layout = list(replicas.methods), layout_of(replicas)
        if any(not name.startswith(_NETWORK) for method in self.methods for name, _ in method.named_parameters()):
            raise NotLowerableError("a method with parameters outside of its network")
        networks = [method.network for method in self.methods]
        height, width, channels = replicas.splits[0]["train"].images.shape[1:]
        device = next(networks[0].parameters()).device
        self.network = fold(networks, self.layout, (channels, height, width)).to(device)
        self.mapped = [
            _MappedLoss([self.methods[number] for number in numbers], numbers) for numbers in replicas_by_key(replicas)
        ]
        self.takes_bytes = self.network.takes_bytes
        self.every_replica = list(range(self.layout.replicas))

    def stacked_parameters(self) -> list[StackedParameter]:
        """The folded parameters, each of all replicas."""
        return [StackedParameter(p, self.every_replica) for p in self.network.parameters() if p.requires_grad]

    def find(self, replica: int, name: str) -> StackedParameter:  # noqa: ARG002 - a lowering's interface
        """The folded parameter, which includes the parameter of every replica."""
        return StackedParameter(self.network.find(name.removeprefix(_NETWORK)), self.every_replica)

    def tensors(self) -> list[Tensor]:
        """The parameters and buffers of the network, and the buffers of the losses."""
        buffers = [tensor for loss in self.mapped for tensor in loss.state.values()]
        return [*self.network.parameters(), *self.network.buffers(), *buffers]

    def statistics(self) -> list[Tensor]:
        """The running statistics of normalisation layers, folded."""
        return [buffer for name, buffer in self.network.named_buffers() if is_statistic(name)]

    def losses(self, images: Parts, target: Tensor, index: Tensor, clock: Clock) -> tuple[Tensor, Tensor]:
        """The sum of all losses, and the parts of each, flat."""
        per_group = self.layout.per_group
        logits = self.network.train()(images)
        batch = (target.repeat_interleave(per_group, 0), index.repeat_interleave(per_group, 0), *clock)
        totals, parts = zip(*[loss(logits, *batch) for loss in self.mapped], strict=True)
        return torch.stack([total.sum() for total in totals]).sum(), torch.cat(parts)

    def loss_groups(self) -> list[LossGroup]:
        """One group per mapped loss."""
        return [LossGroup(loss.replicas, loss.names) for loss in self.mapped]

    def predict(self, images: Parts) -> list[tuple[list[int], dict[str, Tensor]]]:
        """The networks' logits."""
        return [(self.every_replica, {"student": self.network.eval()(images)})]

    @torch.no_grad()
    def copy_to_methods(self) -> None:
        """Copies weights and buffers to the method of each replica."""
        for number, method in enumerate(self.methods):
            for name, tensor in _tensors(method.network):
                tensor.copy_(self.network.stacked(name, tensor.shape)[number])
        for loss in self.mapped:
            loss.copy_to([self.methods[number] for number in loss.replicas])

    @torch.no_grad()
    def copy_from_methods(self) -> None:
        """Copies weights and buffers from the method of each replica."""
        for number, method in enumerate(self.methods):
            for name, tensor in _tensors(method.network):
                self.network.stacked(name, tensor.shape)[number].copy_(tensor)
        for loss in self.mapped:
            loss.copy_from([self.methods[number] for number in loss.replicas])


class _KnownOutputs(nn.Module):
    """Stands for a network whose outputs are already computed."""

    outputs: Tensor

    def forward(self, images: Tensor) -> Tensor:  # noqa: ARG002 - a network's interface
        return self.outputs


class _MappedLoss:
    """The loss of replicas of one method, mapped over them; their buffers are stacked."""

    def __init__(self, methods: Sequence[Method], replicas: Sequence[int]) -> None:
        self.replicas = list(replicas)
        self.index = torch.tensor(self.replicas, device=next(methods[0].parameters()).device)
        self.names: list[str] = []
        self.buffers = [name for name, _ in methods[0].named_buffers() if not name.startswith(_NETWORK)]
        self.state: dict[str, Tensor] = {}
        self.copy_from(methods)
        self.template = copy.deepcopy(methods[0])
        self.network = self.template.network = _KnownOutputs()
        self.template.train()

    def __call__(
        self, logits: Tensor, target: Tensor, index: Tensor, step: Tensor, progress: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The totals ``[replicas]`` and the parts, flat, of these replicas."""

        def one(state: dict[str, Tensor], z: Tensor, y: Tensor, i: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            self.network.outputs = z
            terms = functional_call(self.template, state, (Batch(z, y, i, step, progress),))
            return terms.total, terms.parts

        own = (tensor.index_select(0, self.index) for tensor in (logits, target, index))
        totals, parts = vmap(one)(self.state, *own)
        self.names = list(parts)
        return totals, torch.cat(list(parts.values()))

    def copy_from(self, methods: Sequence[Method]) -> None:
        """Stacks the buffers of the methods."""
        self.state = {name: torch.stack([method.get_buffer(name) for method in methods]) for name in self.buffers}

    def copy_to(self, methods: Sequence[Method]) -> None:
        """Copies the buffers back to the methods."""
        for name, stacked in self.state.items():
            for method, value in zip(methods, stacked, strict=True):
                method.get_buffer(name).copy_(value)


def _tensors(network: nn.Module) -> list[tuple[str, Tensor]]:
    return [*network.named_parameters(), *network.named_buffers()]
