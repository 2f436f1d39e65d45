"""The channels lowering of methods that train one network: the networks folded into one, the losses mapped."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from osakd.engine.executors.fused.channels import FoldedNetwork
from osakd.engine.executors.fused.replicas import Clock, Layout, LossGroup, NotLowerableError, Parts, StackedParameter
from osakd.methods.base import Batch, Method

_NETWORK = "network."


class FoldedMethods:
    """Replicas of methods with one network each.

    Args:
        methods: one per replica, those of a seed side by side.
        keys: what a method is; those with equal keys share one mapped loss.
        layout: how many, in how many groups.
        input_shape: channels, height and width of an image.

    Raises:
        NotLowerableError: a network that cannot be folded, or a method with more than one.
    """

    def __init__(
        self, methods: Sequence[Method], keys: Sequence[str], layout: Layout, input_shape: tuple[int, int, int]
    ) -> None:
        if any(not name.startswith(_NETWORK) for method in methods for name, _ in method.named_parameters()):
            raise NotLowerableError("a method with parameters outside of its network")
        self.methods, self.layout = list(methods), layout
        networks = [method.network for method in methods]
        device = next(networks[0].parameters()).device
        self.network = FoldedNetwork(networks, layout, input_shape).to(device)
        self.mapped = [
            _MappedLoss([methods[r] for r in rows], rows)
            for key in dict.fromkeys(keys)
            if (rows := [r for r, k in enumerate(keys) if k == key])
        ]
        self.rows = list(range(layout.replicas))

    def held(self) -> list[StackedParameter]:
        """The folded parameters, each of all replicas."""
        return [StackedParameter(p, self.rows) for p in self.network.parameters() if p.requires_grad]

    def home(self, replica: int, name: str) -> StackedParameter:  # noqa: ARG002 - a lowering's interface
        """The folded parameter; it holds the one of every replica."""
        return StackedParameter(self.network.home(name.removeprefix(_NETWORK)), self.rows)

    def tensors(self) -> list[Tensor]:
        """Parameters and buffers, those of the losses among them."""
        own = [tensor for loss in self.mapped for tensor in loss.state.values()]
        return [*self.network.parameters(), *self.network.buffers(), *own]

    def losses(self, images: Parts, target: Tensor, rows: Tensor, clock: Clock) -> tuple[Tensor, Tensor]:
        """The sum of all losses, and the parts of each, flat."""
        every = self.layout.replicas // self.layout.groups
        logits = self.network.train()(images)
        batch = (target.repeat_interleave(every, 0), rows.repeat_interleave(every, 0), *clock)
        totals, parts = zip(*[loss(logits, *batch) for loss in self.mapped], strict=True)
        return torch.stack([total.sum() for total in totals]).sum(), torch.cat(parts)

    def loss_groups(self) -> list[LossGroup]:
        """Each mapped loss."""
        return [LossGroup(loss.rows, loss.names) for loss in self.mapped]

    def predict(self, images: Parts) -> list[tuple[list[int], dict[str, Tensor]]]:
        """The networks' logits."""
        return [(self.rows, {"student": self.network.eval()(images)})]

    @torch.no_grad()
    def write(self) -> None:
        """Gives every method its own weights and buffers."""
        for r, method in enumerate(self.methods):
            for name, tensor in _tensors(method.network):
                tensor.copy_(self.network.stacked(name, tensor.shape)[r])
        for loss in self.mapped:
            loss.write([self.methods[r] for r in loss.rows])

    @torch.no_grad()
    def read(self) -> None:
        """Takes the weights and buffers of the methods."""
        for r, method in enumerate(self.methods):
            for name, tensor in _tensors(method.network):
                self.network.stacked(name, tensor.shape)[r].copy_(tensor)
        for loss in self.mapped:
            loss.read([self.methods[r] for r in loss.rows])


class _Given(nn.Module):
    """Stands for a network whose outputs are known already."""

    outputs: Tensor

    def forward(self, images: Tensor) -> Tensor:  # noqa: ARG002 - a network's interface
        return self.outputs


class _MappedLoss:
    """The loss of replicas with the same method: mapped over them, their buffers stacked."""

    def __init__(self, methods: Sequence[Method], rows: Sequence[int]) -> None:
        self.rows = list(rows)
        self.index = torch.tensor(self.rows, device=next(methods[0].parameters()).device)
        self.names: list[str] = []
        self.buffers = [name for name, _ in methods[0].named_buffers() if not name.startswith(_NETWORK)]
        self.state: dict[str, Tensor] = {}
        self.read(methods)
        self.template = copy.deepcopy(methods[0])
        self.given = self.template.network = _Given()
        self.template.train()

    def __call__(
        self, logits: Tensor, target: Tensor, index: Tensor, step: Tensor, progress: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Totals ``[rows]`` and parts, flat, of these replicas."""

        def one(state: dict[str, Tensor], z: Tensor, y: Tensor, i: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            self.given.outputs = z
            terms = functional_call(self.template, state, (Batch(z, y, i, step, progress),))
            return terms.total, terms.parts

        own = (tensor.index_select(0, self.index) for tensor in (logits, target, index))
        totals, parts = vmap(one)(self.state, *own)
        self.names = list(parts)
        return totals, torch.cat(list(parts.values()))

    def read(self, methods: Sequence[Method]) -> None:
        """Takes the buffers of the methods."""
        self.state = {name: torch.stack([method.get_buffer(name) for method in methods]) for name in self.buffers}

    def write(self, methods: Sequence[Method]) -> None:
        """Gives the buffers back to the methods."""
        for name, stacked in self.state.items():
            for method, value in zip(methods, stacked, strict=True):
                method.get_buffer(name).copy_(value)


def _tensors(network: nn.Module) -> list[tuple[str, Tensor]]:
    return [*network.named_parameters(), *network.named_buffers()]
