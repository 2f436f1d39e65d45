"""The fused executor: many replicas of one network in one program, each with its own seed and method.

The networks run folded (or mapped) into one; the losses of replicas with the same method are mapped over them. Losses
are summed, never averaged, so no replica feels another.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, vmap

from osakd.engine.evaluate import DeviceSplit, scores, to_floats
from osakd.engine.executors.base import EpochOutcome
from osakd.engine.executors.fused.channels import FoldedNetwork
from osakd.engine.executors.fused.mapped import MappedNetwork
from osakd.engine.executors.fused.replicas import Layout, NotLowerableError, Parts
from osakd.engine.executors.steps import EagerSteps, GraphedSteps
from osakd.engine.optim import ScheduledOptimizer
from osakd.engine.precision import autocast
from osakd.methods.base import Batch, Method

Lowering = type[FoldedNetwork] | type[MappedNetwork]
EVALUATION_IMAGES = 100


class FusedExecutor:
    """Runs the epochs of many replicas at once.

    Args:
        methods: one per replica, the replicas of one seed side by side, each seed with as many.
        keys: what a method is, one per replica; those with equal keys share one mapped loss.
        splits: the data of each group (seed) by name; groups may share them.
        lowering: how the networks become one.
        optimizer: builds the optimizer of a list of parameters.
        batch_size: images per step and replica.
        clip: largest norm of each replica's gradient, or None.
        total_steps: of the whole schedule, for the clock.
        precision: of the forward pass: ``float32``, ``tf32`` or ``bf16``.
        graphed: the whole step is captured once and replayed.
    """

    def __init__(
        self,
        methods: Sequence[Method],
        keys: Sequence[str],
        splits: Sequence[dict[str, DeviceSplit]],
        *,
        lowering: Lowering,
        optimizer: Callable[[Sequence[nn.Parameter]], torch.optim.Optimizer],
        batch_size: int,
        clip: float | None,
        total_steps: int,
        precision: str = "float32",
        graphed: bool = False,
    ) -> None:
        self.methods, self.splits = list(methods), list(splits)
        self.layout = Layout(len(methods), len(splits))
        self.clip, self.precision = clip, precision
        height, width, channels = splits[0]["train"].images.shape[1:]
        (self.child,) = methods[0].networks()
        if any(not name.startswith(f"{self.child}.") for name, _ in methods[0].named_parameters()):
            raise NotLowerableError("a method with parameters outside of its network")
        networks = [method.networks()[self.child] for method in methods]
        self.network = lowering(networks, self.layout, (channels, height, width)).to(splits[0]["train"].images.device)
        self.losses = [
            _MappedLoss([methods[r] for r in rows], rows, self.child)
            for key in dict.fromkeys(keys)
            if (rows := [r for r, k in enumerate(keys) if k == key])
        ]
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = ScheduledOptimizer(optimizer(self.parameters), captured=graphed)
        clock = {"batch_size": batch_size, "total_steps": total_steps}
        self.steps = GraphedSteps(self.step, self._state, **clock) if graphed else EagerSteps(self.step, **clock)

    def run_epoch(
        self, orders: Sequence[NDArray[np.int64]], *, rate: float, first_step: int, on_step: Callable[[int], None]
    ) -> list[EpochOutcome]:
        """One pass over the training set for every replica."""
        self.network.train()
        self.optimizer.set_rate(rate)
        every = self.layout.replicas // self.layout.groups
        order = torch.from_numpy(np.stack([orders[r] for r in range(0, self.layout.replicas, every)]))
        order = order.to(self.splits[0]["train"].classes.device)
        values, sizes = self.steps.run(order, first_step=first_step, on_step=on_step)
        # The last step may spoil the weights after its own loss was fine.
        weights = torch.stack(
            [torch.isfinite(p).unflatten(0, (self.layout.replicas, -1)).flatten(1).all(1) for p in self.parameters]
        )
        fine = weights.all(0).tolist()
        shares = torch.tensor(sizes, dtype=torch.float64, device=values.device) / sum(sizes)
        outcomes: dict[int, EpochOutcome] = {}
        for loss, part in zip(self.losses, values.split([loss.width for loss in self.losses], dim=1), strict=True):
            outcomes |= loss.outcomes(part, shares, fine)
        return [outcomes[r] for r in range(self.layout.replicas)]

    def step(self, rows: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """One step on these rows of each group's training set ``[groups, n]``; the parts of every loss, flat."""
        every = self.layout.replicas // self.layout.groups
        classes = torch.stack(
            [s["train"].classes.index_select(0, r) for s, r in zip(self.splits, rows.unbind(), strict=True)]
        )
        batch = (classes.repeat_interleave(every, 0), rows.repeat_interleave(every, 0), step, progress)
        with autocast(self.precision, rows.device):
            logits = self.network(self._images("train", rows))
            totals, parts = zip(*[loss(logits, *batch) for loss in self.losses], strict=True)
        torch.stack([total.sum() for total in totals]).sum().backward()
        if self.clip is not None:
            self._clip(self.clip)
        self.optimizer.step()
        return torch.cat(parts)

    @torch.no_grad()
    def scores(self, split: str) -> list[dict[str, float]]:
        """The scores of every replica on a split; groups that share it see its images once."""
        self.network.eval()
        splits = [group[split] for group in self.splits]
        shared = all(one.images is splits[0].images for one in splits)
        rows = torch.arange(len(splits[0].classes), device=splits[0].classes.device)
        rows = rows.expand(1 if shared else self.layout.groups, -1)
        parts = [self.network(self._images(split, part)) for part in rows.split(EVALUATION_IMAGES, dim=1)]
        logits = torch.cat(parts, dim=1)
        every = self.layout.replicas // self.layout.groups
        return [scores(logits[r], splits[r // every].classes) for r in range(self.layout.replicas)]

    def states(self) -> list[dict[str, Any]]:
        """State dicts of each replica, the same as the serial executor's."""
        self._write_back()
        groups = self.optimizer.state_dict()["param_groups"]
        found = []
        for r, method in enumerate(self.methods):
            homes = [self._home(name) for name, p in method.named_parameters() if p.requires_grad]
            shapes = [p.shape for p in method.parameters() if p.requires_grad]
            moments = {
                index: {key: _part(value, home, r, shape) for key, value in self.optimizer.state[home].items()}
                for index, (home, shape) in enumerate(zip(homes, shapes, strict=True))
                if home in self.optimizer.state
            }
            optimizer = {"state": moments, "param_groups": [groups[0] | {"params": list(range(len(homes)))}]}
            found.append({"method": method.state_dict(), "optimizer": optimizer})
        return found

    @torch.no_grad()
    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Goes on from these states."""
        for r, (method, state) in enumerate(zip(self.methods, states, strict=True)):
            method.load_state_dict(state["method"])
            for name, tensor in self._tensors(method):
                self.network.stacked(name, tensor.shape)[r].copy_(tensor)
        for loss in self.losses:
            loss.read([self.methods[r] for r in loss.rows])
        names = [name for name, p in self.methods[0].named_parameters() if p.requires_grad]
        for index, name in enumerate(names):
            home = self._home(name)
            parts = [state["optimizer"]["state"].get(index, {}) for state in states]
            self.optimizer.state[home] = {
                key: _joined([part[key] for part in parts], home) for key in parts[0] if parts[0][key] is not None
            }
        self.steps.forget()

    def deployed(self) -> list[nn.Module]:
        """The deployed networks, each by itself."""
        self._write_back()
        return [next(iter(method.predictors().values())) for method in self.methods]

    def _images(self, split: str, rows: Tensor) -> Parts:
        """The images of each group's rows ``[groups or 1, n]``."""
        sources = [group[split].images for group in self.splits]
        return [to_floats(source.index_select(0, row)) for source, row in zip(sources, rows.unbind(), strict=False)]

    def _clip(self, largest: float) -> None:
        """As ``nn.utils.clip_grad_norm_``, for each replica by itself."""
        shape = (self.layout.replicas, -1)
        gradients = [cast(Tensor, p.grad).unflatten(0, shape) for p in self.parameters]
        norms = torch.stack([torch.linalg.vector_norm(g, dim=tuple(range(1, g.ndim))) for g in gradients]).norm(dim=0)
        factors = (largest / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))

    def _state(self) -> list[Tensor]:
        buffers = [tensor for loss in self.losses for tensor in loss.state.values()]
        return [*self.network.parameters(), *self.network.buffers(), *buffers, *self.optimizer.tensors()]

    def _home(self, name: str) -> nn.Parameter:
        """The parameter of all replicas that holds the one which each calls ``name``."""
        return self.network.home(name.removeprefix(f"{self.child}."))

    def _tensors(self, method: Method) -> list[tuple[str, Tensor]]:
        network = method.networks()[self.child]
        return [*network.named_parameters(), *network.named_buffers()]

    @torch.no_grad()
    def _write_back(self) -> None:
        """Gives every method its own weights and buffers."""
        for r, method in enumerate(self.methods):
            for name, tensor in self._tensors(method):
                tensor.copy_(self.network.stacked(name, tensor.shape)[r])
        for loss in self.losses:
            loss.write([self.methods[r] for r in loss.rows])


class _Given(nn.Module):
    """Stands for a network whose outputs are known already."""

    outputs: Tensor

    def forward(self, images: Tensor) -> Tensor:  # noqa: ARG002 - a network's interface
        return self.outputs


class _MappedLoss:
    """The loss of replicas with the same method: mapped over them, their buffers stacked."""

    def __init__(self, methods: Sequence[Method], rows: Sequence[int], child: str) -> None:
        self.rows = list(rows)
        self.index = torch.tensor(self.rows, device=next(methods[0].parameters()).device)
        self.names: list[str] = []
        self.buffers = [name for name, _ in methods[0].named_buffers() if not name.startswith(f"{child}.")]
        self.state: dict[str, Tensor] = {}
        self.read(methods)
        self.template = copy.deepcopy(methods[0])
        self.given = _Given()
        setattr(self.template, child, self.given)
        self.template.train()

    def __call__(
        self, logits: Tensor, classes: Tensor, index: Tensor, step: Tensor, progress: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Totals ``[rows]`` and parts ``[width]`` of these replicas."""

        def one(state: dict[str, Tensor], z: Tensor, y: Tensor, i: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            self.given.outputs = z
            terms = functional_call(self.template, state, (Batch(z, y, i, step, progress),))
            return terms.total, terms.parts

        own = (tensor.index_select(0, self.index) for tensor in (logits, classes, index))
        totals, parts = vmap(one)(self.state, *own)
        self.names = list(parts)
        return totals, torch.cat(list(parts.values()))

    @property
    def width(self) -> int:
        """How many values a step gives."""
        return len(self.names) * len(self.rows)

    def outcomes(self, values: Tensor, shares: Tensor, weights_fine: Sequence[bool]) -> dict[int, EpochOutcome]:
        """What an epoch leaves of each replica, by its number; ``values`` are of its steps ``[steps, width]``."""
        table = values.double().unflatten(1, (len(self.names), -1))
        means = torch.einsum("spr,s->rp", table, shares).tolist()
        finite = torch.isfinite(table[:, self.names.index("total")]).tolist()
        found = {}
        for number, row in enumerate(self.rows):
            spoilt = None if weights_fine[row] else len(finite) - 1
            bad = next((step for step, fine in enumerate(finite) if not fine[number]), spoilt)
            found[row] = EpochOutcome(dict(zip(self.names, means[number], strict=True)), bad)
        return found

    def read(self, methods: Sequence[Method]) -> None:
        """Takes the buffers of the methods."""
        self.state = {name: torch.stack([method.get_buffer(name) for method in methods]) for name in self.buffers}

    def write(self, methods: Sequence[Method]) -> None:
        """Gives the buffers back to the methods."""
        for name, stacked in self.state.items():
            for method, value in zip(methods, stacked, strict=True):
                method.get_buffer(name).copy_(value)


def _part(value: Any, home: Tensor, replica: int, shape: torch.Size) -> Any:
    """A replica's part of an optimizer's state; what is not per element is the same for all."""
    if isinstance(value, Tensor) and value.shape == home.shape:
        return value.view(-1, *shape)[replica].clone()
    return copy.deepcopy(value)


def _joined(values: Sequence[Any], home: Tensor) -> Any:
    if not isinstance(values[0], Tensor) or values[0].ndim == 0:
        return copy.deepcopy(values[0])
    joined = torch.zeros_like(home)
    for part, value in zip(joined.view(-1, *values[0].shape), values, strict=True):
        part.copy_(value)
    return joined
