"""The vmap lowering of any method, with all its networks: the replicas of each method are stacked and mapped."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from osakd.engine.averaging import is_statistic
from osakd.engine.executors.base import Replicas, TrainingSpec
from osakd.engine.executors.fused.executor import FusedExecutor
from osakd.engine.executors.fused.replicas import Clock, Parts, StackedParameter, layout_of, replicas_by_key
from osakd.engine.executors.stepwise import LossGroup
from osakd.methods.base import Batch, Method


def build(replicas: Replicas, spec: TrainingSpec) -> FusedExecutor:
    """Builds the executor whose methods are mapped over their replicas."""
    return FusedExecutor(replicas, spec, MappedMethods)


class MappedMethods:
    """Replicas of any methods.

    Args:
        replicas: the methods and their data.
    """

    takes_bytes = False

    def __init__(self, replicas: Replicas) -> None:
        per_group = layout_of(replicas).per_group
        self.stacks = [
            _Stack([replicas.methods[r] for r in numbers], numbers, [r // per_group for r in numbers])
            for numbers in replicas_by_key(replicas)
        ]
        self.stack_of = {number: stack for stack in self.stacks for number in stack.replicas}

    def stacked_parameters(self) -> list[StackedParameter]:
        """The stacked parameters, each of the replicas of one method."""
        return [StackedParameter(p, stack.replicas) for stack in self.stacks for p in stack.parameters.values()]

    def find(self, replica: int, name: str) -> StackedParameter:
        """The stacked parameter of the replica's method."""
        stack = self.stack_of[replica]
        return StackedParameter(stack.parameters[name], stack.replicas)

    def tensors(self) -> list[Tensor]:
        """The parameters and buffers of all methods."""
        return [tensor for stack in self.stacks for tensor in stack.state().values()]

    def statistics(self) -> list[Tensor]:
        """The running statistics of normalisation layers, stacked."""
        return [value for stack in self.stacks for name, value in stack.constants.items() if is_statistic(name)]

    def losses(self, images: Parts, target: Tensor, index: Tensor, clock: Clock) -> tuple[Tensor, Tensor]:
        """The sum of all losses, and the parts of each, flat."""
        totals, parts = zip(*[stack.losses(images, target, index, clock) for stack in self.stacks], strict=True)
        return torch.stack(totals).sum(), torch.cat(parts)

    def loss_groups(self) -> list[LossGroup]:
        """One group per method."""
        return [LossGroup(stack.replicas, stack.names) for stack in self.stacks]

    def predict(self, images: Parts) -> list[tuple[list[int], dict[str, Tensor]]]:
        """What each method predicts."""
        return [(stack.replicas, stack.predict(images)) for stack in self.stacks]

    @torch.no_grad()
    def copy_to_methods(self) -> None:
        """Copies weights and buffers to the method of each replica."""
        for stack in self.stacks:
            for name, values in stack.state().items():
                for tensor, value in zip(stack.tensors_of(name), values, strict=True):
                    tensor.copy_(value)

    @torch.no_grad()
    def copy_from_methods(self) -> None:
        """Copies weights and buffers from the method of each replica."""
        for stack in self.stacks:
            for name, values in stack.state().items():
                values.copy_(torch.stack(stack.tensors_of(name)))


class _Stack:
    """The replicas of one method, stacked: what trains (``parameters``) and what does not (``constants``)."""

    def __init__(self, methods: Sequence[Method], replicas: list[int], seeds: list[int]) -> None:
        self.methods, self.replicas = list(methods), replicas
        self.seeds = torch.tensor(seeds, device=next(methods[0].parameters()).device)
        self.names: list[str] = []
        self.parameters: dict[str, nn.Parameter] = {}
        self.constants: dict[str, Tensor] = {}
        for name, parameter in methods[0].named_parameters():
            stacked = torch.stack([tensor.detach() for tensor in self.tensors_of(name)])
            if parameter.requires_grad:
                self.parameters[name] = nn.Parameter(stacked)
            else:
                self.constants[name] = stacked
        for name, _ in methods[0].named_buffers():
            self.constants[name] = torch.stack(self.tensors_of(name))
        self.template = _LossOrPrediction(copy.deepcopy(methods[0]))

    def tensors_of(self, name: str) -> list[Tensor]:
        """The tensor called ``name`` in each replica."""
        owner, _, leaf = name.rpartition(".")
        return [getattr(method.get_submodule(owner), leaf) for method in self.methods]

    def state(self) -> dict[str, Tensor]:
        """All stacked tensors, by name."""
        return {**self.parameters, **self.constants}

    def losses(self, images: Parts, target: Tensor, index: Tensor, clock: Clock) -> tuple[Tensor, Tensor]:
        """The sum of the replicas' losses, and their parts, flat."""

        def one(state: dict[str, Tensor], x: Tensor, y: Tensor, i: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            terms = functional_call(self.template, state, (Batch(x, y, i, *clock),))
            return terms.total, terms.parts

        self.template.train()
        x, axis = self._images(images)
        own = (tensor.index_select(0, self.seeds) for tensor in (target, index))
        totals, parts = vmap(one, in_dims=(0, axis, 0, 0))(self._named(), x, *own)
        self.names = list(parts)
        return totals.sum(), torch.cat(list(parts.values()))

    def predict(self, images: Parts) -> dict[str, Tensor]:
        """The logits of everything that is evaluated, by name ``[replicas, n, c]``."""
        self.template.eval()
        x, axis = self._images(images)
        return vmap(lambda state, x: functional_call(self.template, state, (x,)), in_dims=(0, axis))(self._named(), x)

    def _named(self) -> dict[str, Tensor]:
        return {f"method.{name}": value for name, value in self.state().items()}

    def _images(self, images: Parts) -> tuple[Tensor, int | None]:
        """The images of each replica and the axis of replicas, or the images that all share and None."""
        if len(images) == 1:
            return images[0], None
        return torch.stack(images).index_select(0, self.seeds), 0


class _LossOrPrediction(nn.Module):
    """A module that calls ``forward`` of a method for a batch and ``predict`` for images, for ``functional_call``."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, given: Batch | Tensor) -> object:
        return self.method.predict(given) if isinstance(given, Tensor) else self.method(given)
