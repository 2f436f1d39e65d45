"""The fused executor: many replicas in one program, each with its own seed and method.

Losses are summed, never averaged, and nothing is shared but images, so no replica feels another.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from osakd.engine.evaluate import DeviceSplit, scores, to_floats
from osakd.engine.executors.base import EpochOutcome, TrainingImages
from osakd.engine.executors.fused.replicas import Layout, Lowering, Parts, StackedParameter
from osakd.engine.executors.steps import CUDAGraphSteps, EagerSteps
from osakd.engine.optim import Groups, ScheduledOptimizer, names_by_decay, parameter_group
from osakd.engine.precision import autocast
from osakd.methods.base import Method

BuildLowering = Callable[[Sequence[Method], Sequence[str], Layout, tuple[int, int, int]], Lowering]
EVALUATION_IMAGES = 100


class FusedExecutor:
    """Runs the epochs of many replicas at once.

    Args:
        methods: one per replica, the replicas of one seed side by side, each seed with as many.
        keys: what a method is, one per replica; those with equal keys are mapped together.
        splits: the data of each group (seed) by name; groups may share them.
        lowering: how the replicas become one program.
        optimizer: builds the optimizer of groups of parameters.
        batch_size: images per step and replica.
        max_grad_norm: largest norm of each replica's gradient, or None.
        total_steps: of the whole schedule, for the clock.
        precision: of the forward pass: ``float32``, ``tf32`` or ``bf16``.
        reflect: a crop's padding is reflected, else black.
        cuda_graph: the whole step is captured once and replayed.
    """

    def __init__(
        self,
        methods: Sequence[Method],
        keys: Sequence[str],
        splits: Sequence[dict[str, DeviceSplit]],
        *,
        lowering: BuildLowering,
        optimizer: Callable[[Groups], torch.optim.Optimizer],
        batch_size: int,
        max_grad_norm: float | None,
        total_steps: int,
        precision: str = "float32",
        reflect: bool = False,
        cuda_graph: bool = False,
    ) -> None:
        self.methods, self.splits = list(methods), list(splits)
        self.layout = Layout(len(methods), len(splits))
        self.every = self.layout.replicas // self.layout.groups
        self.max_grad_norm, self.precision = max_grad_norm, precision
        self.images = TrainingImages(splits, reflect)
        height, width, channels = splits[0]["train"].images.shape[1:]
        self.lowered = lowering(methods, keys, self.layout, (channels, height, width))
        self.held = self.lowered.held()
        device = splits[0]["train"].target.device
        self.rows = [torch.tensor(one.rows, device=device) for one in self.held]
        self.optimizer = ScheduledOptimizer(optimizer(self._groups()), captured=cuda_graph)
        clock = {"batch_size": batch_size, "total_steps": total_steps}
        self.steps = CUDAGraphSteps(self.step, self._state, **clock) if cuda_graph else EagerSteps(self.step, **clock)

    def run_epoch(
        self,
        orders: Sequence[NDArray[np.int64]],
        *,
        rate: float,
        first_step: int,
        on_step: Callable[[int], None],
        drawn: Sequence[NDArray[np.int64]] | None = None,
    ) -> list[EpochOutcome]:
        """One pass over the training set for every replica."""
        self.optimizer.set_rate(rate)
        self.images.draw(None if drawn is None else drawn[:: self.every])
        order = torch.from_numpy(np.stack(orders[:: self.every])).to(self.splits[0]["train"].target.device)
        values, sizes = self.steps.run(order, first_step=first_step, on_step=on_step)
        fine = self._finite().tolist()
        shares = torch.tensor(sizes, dtype=torch.float64, device=values.device) / sum(sizes)
        groups = self.lowered.loss_groups()
        widths = [len(group.names) * len(group.rows) for group in groups]
        outcomes: dict[int, EpochOutcome] = {}
        for group, part in zip(groups, values.split(widths, dim=1), strict=True):
            outcomes |= group.outcomes(part, shares, fine)
        return [outcomes[r] for r in range(self.layout.replicas)]

    def step(self, rows: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """One step on these rows of each group's training set ``[groups, n]``; the parts of every loss, flat."""
        each = list(enumerate(rows.unbind()))
        target = torch.stack([self.splits[group]["train"].target.index_select(0, row) for group, row in each])
        images = [self.images.take(group, row) for group, row in each]
        with autocast(self.precision, rows.device):
            total, parts = self.lowered.losses(images, target, rows, (step, progress))
        total.backward()
        if self.max_grad_norm is not None:
            self._clip_gradients(self.max_grad_norm)
        self.optimizer.step()
        return parts

    @torch.no_grad()
    def scores(self, split: str) -> list[dict[str, dict[str, float]]]:
        """The scores of everything that is evaluated; groups that share a split see its images once."""
        splits = [group[split] for group in self.splits]
        shared = all(one.images is splits[0].images for one in splits)
        sources = splits[:1] if shared else splits
        rows = torch.arange(len(splits[0].target), device=splits[0].target.device)
        chunks = [self.lowered.predict(_images(sources, part)) for part in rows.split(EVALUATION_IMAGES)]
        found: dict[int, dict[str, dict[str, float]]] = {}
        for number, (replicas, names) in enumerate(chunks[0]):
            logits = {name: torch.cat([chunk[number][1][name] for chunk in chunks], dim=1) for name in names}
            for place, r in enumerate(replicas):
                target = splits[r // self.every].target
                found[r] = {name: scores(values[place], target) for name, values in logits.items()}
        return [found[r] for r in range(self.layout.replicas)]

    def states(self) -> list[dict[str, Any]]:
        """State dicts of each replica, the same as the serial executor's."""
        self.lowered.write()
        settings = {
            id(parameter): {key: value for key, value in saved.items() if key != "params"}
            for group, saved in zip(
                self.optimizer.optimizer.param_groups, self.optimizer.state_dict()["param_groups"], strict=True
            )
            for parameter in group["params"]
        }
        found = []
        for r, method in enumerate(self.methods):
            moments: dict[int, Any] = {}
            groups: Groups = []
            first = 0
            for names in names_by_decay(method).values():
                homes = [self.lowered.home(r, name) for name in names]
                own = settings[id(homes[0].parameter)] if homes else groups[0]
                groups.append(own | {"params": list(range(first, first + len(names)))})
                for number, (name, home) in enumerate(zip(names, homes, strict=True), start=first):
                    shape = method.get_parameter(name).shape
                    if state := self.optimizer.state.get(home.parameter):
                        moments[number] = {key: _part(value, home, r, shape) for key, value in state.items()}
                first += len(names)
            optimizer = {"state": moments, "param_groups": groups}
            found.append({"method": method.own_state(), "optimizer": optimizer})
        return found

    @torch.no_grad()
    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Goes on from these states."""
        for method, state in zip(self.methods, states, strict=True):
            method.load_own_state(state["method"])
        self.lowered.read()
        homes: dict[int, StackedParameter] = {}
        parts: dict[int, list[dict[str, Any]]] = {}
        for r, (method, state) in enumerate(zip(self.methods, states, strict=True)):
            names = [name for names in names_by_decay(method).values() for name in names]
            for number, name in enumerate(names):
                home = self.lowered.home(r, name)
                homes[id(home.parameter)] = home
                parts.setdefault(id(home.parameter), []).append(state["optimizer"]["state"].get(number, {}))
        for place, home in homes.items():
            first = parts[place][0]
            self.optimizer.state[home.parameter] = {
                key: _joined(key, [part[key] for part in parts[place]], home.parameter)
                for key in first
                if first[key] is not None
            }
        self.steps.forget()

    def deployed(self) -> list[nn.Module]:
        """The deployed networks, each by itself."""
        self.lowered.write()
        return [method.network for method in self.methods]

    def _groups(self) -> Groups:
        """The parameters of all replicas by weight decay: first those that have the configuration's."""
        found: dict[float | None, dict[int, nn.Parameter]] = {None: {}}
        for r, method in enumerate(self.methods):
            for decay, names in names_by_decay(method).items():
                for name in names:
                    parameter = self.lowered.home(r, name).parameter
                    found.setdefault(decay, {})[id(parameter)] = parameter
        return [parameter_group(list(parameters.values()), decay) for decay, parameters in found.items()]

    def _finite(self) -> Tensor:
        """Whether the weights of each replica are finite ``[replicas]``."""
        bad = torch.zeros(self.layout.replicas, dtype=torch.int64, device=self.rows[0].device)
        for (parameter, rows), index in zip(self.held, self.rows, strict=True):
            spoilt = (~torch.isfinite(parameter)).unflatten(0, (len(rows), -1)).flatten(1).any(1)
            bad.index_add_(0, index, spoilt.long())
        return bad == 0

    def _clip_gradients(self, largest: float) -> None:
        """As ``nn.utils.clip_grad_norm_``, for each replica by itself."""
        found = [(p.grad, rows, index) for (p, rows), index in zip(self.held, self.rows, strict=True)]
        used = [(gradient, rows, index) for gradient, rows, index in found if gradient is not None]
        gradients = [gradient.unflatten(0, (len(rows), -1)) for gradient, rows, _ in used]
        indices = [index for _, _, index in used]
        norms = [torch.linalg.vector_norm(g, dim=tuple(range(1, g.ndim))) for g in gradients]
        squares = torch.zeros(self.layout.replicas, dtype=norms[0].dtype, device=norms[0].device)
        for index, norm in zip(indices, norms, strict=True):
            squares.index_add_(0, index, norm * norm)
        factors = (largest / (squares.sqrt() + 1e-6)).clamp(max=1.0)
        for gradient, index in zip(gradients, indices, strict=True):
            gradient.mul_(factors.index_select(0, index).view(-1, *[1] * (gradient.ndim - 1)))

    def _state(self) -> list[Tensor]:
        return [*self.lowered.tensors(), *self.optimizer.tensors()]


def _images(splits: Sequence[DeviceSplit], rows: Tensor) -> Parts:
    return [to_floats(split.images.index_select(0, rows)) for split in splits]


def _part(value: Any, home: StackedParameter, replica: int, shape: torch.Size) -> Any:
    """A replica's part of an optimizer's state; what is not per element is the same for all."""
    if isinstance(value, Tensor) and value.shape == home.parameter.shape:
        return value.view(-1, *shape)[home.rows.index(replica)].clone()
    return copy.deepcopy(value)


def _joined(key: str, values: Sequence[Any], home: Tensor) -> Any:
    """The replicas' parts of an optimizer's state; its count of steps is one for all."""
    if key == "step" or not isinstance(values[0], Tensor):
        return copy.deepcopy(values[0])
    joined = torch.zeros_like(home)
    for part, value in zip(joined.view(-1, *values[0].shape), values, strict=True):
        part.copy_(value)
    return joined
