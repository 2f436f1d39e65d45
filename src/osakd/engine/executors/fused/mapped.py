"""The vmap lowering: any method, with all of its networks; the replicas of each method stacked and mapped."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from osakd.engine.executors.fused.replicas import Clock, Layout, LossGroup, Parts, StackedParameter
from osakd.methods.base import Batch, Method


class MappedMethods:
    """Replicas of any methods.

    Args:
        methods: one per replica, those of a seed side by side.
        keys: what a method is; those with equal keys are mapped together.
        layout: how many, in how many groups.
        input_shape: channels, height and width of an image.
    """

    def __init__(
        self,
        methods: Sequence[Method],
        keys: Sequence[str],
        layout: Layout,
        input_shape: tuple[int, int, int],  # noqa: ARG002 - a lowering's interface
    ) -> None:
        every = layout.replicas // layout.groups
        self.stacks = [
            _Stack([methods[r] for r in rows], rows, [r // every for r in rows])
            for key in dict.fromkeys(keys)
            if (rows := [r for r, k in enumerate(keys) if k == key])
        ]
        self.stack_of = {row: stack for stack in self.stacks for row in stack.rows}

    def held(self) -> list[StackedParameter]:
        """The stacked parameters, each of the replicas of one method."""
        return [StackedParameter(p, stack.rows) for stack in self.stacks for p in stack.parameters.values()]

    def home(self, replica: int, name: str) -> StackedParameter:
        """The stacked parameter of the replica's method."""
        stack = self.stack_of[replica]
        return StackedParameter(stack.parameters[name], stack.rows)

    def tensors(self) -> list[Tensor]:
        """Parameters and buffers."""
        return [tensor for stack in self.stacks for tensor in (*stack.parameters.values(), *stack.constants.values())]

    def losses(self, images: Parts, target: Tensor, rows: Tensor, clock: Clock) -> tuple[Tensor, Tensor]:
        """The sum of all losses, and the parts of each, flat."""
        totals, parts = zip(*[stack.losses(images, target, rows, clock) for stack in self.stacks], strict=True)
        return torch.stack(totals).sum(), torch.cat(parts)

    def loss_groups(self) -> list[LossGroup]:
        """Each method."""
        return [LossGroup(stack.rows, stack.names) for stack in self.stacks]

    def predict(self, images: Parts) -> list[tuple[list[int], dict[str, Tensor]]]:
        """What each method predicts."""
        return [(stack.rows, stack.predict(images)) for stack in self.stacks]

    @torch.no_grad()
    def write(self) -> None:
        """Gives every method its own weights and buffers."""
        for stack in self.stacks:
            for name, values in stack.state().items():
                for tensor, value in zip(stack.tensors_of(name), values, strict=True):
                    tensor.copy_(value)

    @torch.no_grad()
    def read(self) -> None:
        """Takes the weights and buffers of the methods."""
        for stack in self.stacks:
            for name, values in stack.state().items():
                values.copy_(torch.stack(stack.tensors_of(name)))


class _Stack:
    """The replicas of one method: what trains (``parameters``), and what does not (``constants``), stacked."""

    def __init__(self, methods: Sequence[Method], rows: list[int], seeds: list[int]) -> None:
        self.methods, self.rows = list(methods), rows
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
        self.template = _Both(copy.deepcopy(methods[0]))

    def tensors_of(self, name: str) -> list[Tensor]:
        """What each replica calls ``name``."""
        owner, _, leaf = name.rpartition(".")
        return [getattr(method.get_submodule(owner), leaf) for method in self.methods]

    def state(self) -> dict[str, Tensor]:
        """Everything, by name."""
        return {**self.parameters, **self.constants}

    def losses(self, images: Parts, target: Tensor, rows: Tensor, clock: Clock) -> tuple[Tensor, Tensor]:
        """The sum of the replicas' losses, and their parts, flat."""

        def one(state: dict[str, Tensor], x: Tensor, y: Tensor, i: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            terms = functional_call(self.template, state, (Batch(x, y, i, *clock),))
            return terms.total, terms.parts

        self.template.train()
        x, axis = self._images(images)
        own = (tensor.index_select(0, self.seeds) for tensor in (target, rows))
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
        """The images of each replica and their axis, or those that all share."""
        if len(images) == 1:
            return images[0], None
        return torch.stack(images).index_select(0, self.seeds), 0


class _Both(nn.Module):
    """A method that takes a batch, or images alone, since ``functional_call`` calls a module."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method

    def forward(self, given: Batch | Tensor) -> object:
        return self.method.predict(given) if isinstance(given, Tensor) else self.method(given)
