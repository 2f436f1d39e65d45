"""The fused executor: many replicas in one program, each with its own seed and method.

Losses are summed, never averaged, and replicas share nothing but images, so none influences another.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from osakd.engine.evaluate import scores, to_floats
from osakd.engine.executors.base import Replicas, TrainingSpec
from osakd.engine.executors.fused.replicas import BuildLowering, StackedParameter, layout_of
from osakd.engine.executors.stepwise import LossGroup, StepwiseExecutor
from osakd.engine.optim import Groups, names_by_decay, parameter_group
from osakd.engine.precision import autocast
from osakd.methods.base import Method

EVALUATION_IMAGES = 100


class FusedExecutor(StepwiseExecutor):
    """Runs the epochs of many replicas at once.

    Args:
        replicas: the methods to train and their data.
        spec: how to train them.
        lower: makes the replicas one program.
    """

    def __init__(self, replicas: Replicas, spec: TrainingSpec, lower: BuildLowering) -> None:
        self.methods, self.layout = list(replicas.methods), layout_of(replicas)
        self.lowered = lower(replicas)
        self.stacked = self.lowered.stacked_parameters()
        self.numbers = [torch.tensor(one.replicas, device=replicas.device) for one in self.stacked]
        super().__init__(replicas, self._groups(), spec)

    def step(self, index: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """Trains on the images at these indices ``[groups, n]``; the parts of every loss, flat."""
        each = list(enumerate(index.unbind()))
        target = torch.stack([self.splits[group]["train"].target.index_select(0, own) for group, own in each])
        images = [self._as_taken(self.images.take(group, own)) for group, own in each]
        with autocast(self.spec.precision, index.device):
            total, parts = self.lowered.losses(images, target, index, (step, progress))
        total.backward()
        if self.spec.max_grad_norm is not None:
            self._clip_gradients(self.spec.max_grad_norm)
        self._apply_gradients()
        return parts

    @torch.no_grad()
    def _scores(self, split: str) -> list[dict[str, dict[str, float]]]:
        """The scores of everything that is evaluated; groups that share a split evaluate its images once."""
        splits = [group[split] for group in self.splits]
        shared = all(one.images is splits[0].images for one in splits)
        sources = splits[:1] if shared else splits
        index = torch.arange(len(splits[0].target), device=splits[0].target.device)
        parts = index.split(EVALUATION_IMAGES)
        images = ([self._as_taken(one.images.index_select(0, part)) for one in sources] for part in parts)
        chunks = [self.lowered.predict(given) for given in images]
        by_replica: dict[int, dict[str, dict[str, float]]] = {}
        for number, (replicas, names) in enumerate(chunks[0]):
            logits = {name: torch.cat([chunk[number][1][name] for chunk in chunks], dim=1) for name in names}
            for place, replica in enumerate(replicas):
                target = splits[replica // self.layout.per_group].target
                by_replica[replica] = {name: scores(values[place], target) for name, values in logits.items()}
        return [by_replica[replica] for replica in range(self.layout.replicas)]

    def _as_taken(self, images: Tensor) -> Tensor:
        """Images of 0 to 255 ``[n, h, w, channels]`` as the program takes them."""
        return images.permute(0, 3, 1, 2) if self.lowered.takes_bytes else to_floats(images)

    def _states(self) -> list[dict[str, Any]]:
        self.lowered.copy_to_methods()
        settings = {
            id(parameter): {key: value for key, value in saved.items() if key != "params"}
            for group, saved in zip(
                self.optimizer.optimizer.param_groups, self.optimizer.state_dict()["param_groups"], strict=True
            )
            for parameter in group["params"]
        }
        states = []
        for replica, method in enumerate(self.methods):
            moments: dict[int, Any] = {}
            groups: Groups = []
            first = 0
            for names in names_by_decay(method).values():
                stacked = [self.lowered.find(replica, name) for name in names]
                own = settings[id(stacked[0].parameter)] if stacked else groups[0]
                groups.append(own | {"params": list(range(first, first + len(names)))})
                for number, (name, one) in enumerate(zip(names, stacked, strict=True), start=first):
                    shape = method.get_parameter(name).shape
                    if state := self.optimizer.state.get(one.parameter):
                        moments[number] = {key: _part(value, one, replica, shape) for key, value in state.items()}
                first += len(names)
            optimizer = {"state": moments, "param_groups": groups}
            states.append({"method": method.own_state(), "optimizer": optimizer})
        return states

    @torch.no_grad()
    def _load(self, states: Sequence[dict[str, Any]]) -> None:
        for method, state in zip(self.methods, states, strict=True):
            method.load_own_state(state["method"])
        self.lowered.copy_from_methods()
        parameters: dict[int, nn.Parameter] = {}
        parts: dict[int, list[dict[str, Any]]] = {}
        for replica, (method, state) in enumerate(zip(self.methods, states, strict=True)):
            names = [name for names in names_by_decay(method).values() for name in names]
            for number, name in enumerate(names):
                parameter = self.lowered.find(replica, name).parameter
                parameters[id(parameter)] = parameter
                parts.setdefault(id(parameter), []).append(state["optimizer"]["state"].get(number, {}))
        for key, parameter in parameters.items():
            first = parts[key][0]
            self.optimizer.state[parameter] = {
                name: _joined(name, [part[name] for part in parts[key]], parameter)
                for name in first
                if first[name] is not None
            }

    def _updated_methods(self) -> list[Method]:
        self.lowered.copy_to_methods()
        return self.methods

    def _statistics(self) -> list[Tensor]:
        return self.lowered.statistics()

    def _groups(self) -> Groups:
        """The parameters of all replicas by weight decay: first those with the configured one."""
        by_decay: dict[float | None, dict[int, nn.Parameter]] = {None: {}}
        for replica, method in enumerate(self.methods):
            for decay, names in names_by_decay(method).items():
                for name in names:
                    parameter = self.lowered.find(replica, name).parameter
                    by_decay.setdefault(decay, {})[id(parameter)] = parameter
        return [parameter_group(list(parameters.values()), decay) for decay, parameters in by_decay.items()]

    def _loss_groups(self) -> list[LossGroup]:
        return self.lowered.loss_groups()

    def _finite_weights(self) -> Tensor:
        bad = torch.zeros(self.layout.replicas, dtype=torch.int64, device=self.numbers[0].device)
        for (parameter, replicas), numbers in zip(self.stacked, self.numbers, strict=True):
            spoilt = (~torch.isfinite(parameter)).unflatten(0, (len(replicas), -1)).flatten(1).any(1)
            bad.index_add_(0, numbers, spoilt.long())
        return bad == 0

    def _clip_gradients(self, max_norm: float) -> None:
        """Clips as ``nn.utils.clip_grad_norm_`` does, each replica with its own norm."""
        gradients, numbers = [], []
        for (parameter, replicas), own in zip(self.stacked, self.numbers, strict=True):
            if parameter.grad is not None:
                gradients.append(parameter.grad.unflatten(0, (len(replicas), -1)))
                numbers.append(own)
        norms = [torch.linalg.vector_norm(g, dim=tuple(range(1, g.ndim))) for g in gradients]
        squares = torch.zeros(self.layout.replicas, dtype=norms[0].dtype, device=norms[0].device)
        for own, norm in zip(numbers, norms, strict=True):
            squares.index_add_(0, own, norm * norm)
        factors = (max_norm / (squares.sqrt() + 1e-6)).clamp(max=1.0)
        for gradient, own in zip(gradients, numbers, strict=True):
            gradient.mul_(factors.index_select(0, own).view(-1, *[1] * (gradient.ndim - 1)))

    def _state(self) -> list[Tensor]:
        average = [] if self.average is None else self.average.state()
        return [*self.lowered.tensors(), *self.optimizer.tensors(), *average]


def _part(value: Any, stacked: StackedParameter, replica: int, shape: torch.Size) -> Any:
    """A replica's part of an optimizer's state; what is not per element is the same for all replicas."""
    if isinstance(value, Tensor) and value.shape == stacked.parameter.shape:
        return value.view(-1, *shape)[stacked.replicas.index(replica)].clone()
    return copy.deepcopy(value)


def _joined(key: str, values: Sequence[Any], stacked: Tensor) -> Any:
    """The optimizer's state of a stacked parameter from its parts; all replicas share one count of steps."""
    if key == "step" or not isinstance(values[0], Tensor):
        return copy.deepcopy(values[0])
    joined = torch.zeros_like(stacked)
    for part, value in zip(joined.view(-1, *values[0].shape), values, strict=True):
        part.copy_(value)
    return joined
