"""The fused executor: many runs of methods with a single network at once, each with its own seed and method.

The networks are folded into one. The losses of the replicas of one method are mapped over them by ``torch.func.vmap``,
and the losses of all replicas are summed, never averaged: replicas share nothing but images, and none influences
another.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from osakd.engine.averaging import is_statistic
from osakd.engine.evaluate import scores, to_floats
from osakd.engine.executors.base import Executor, LossGroup, Replicas
from osakd.engine.executors.fused.channels import FoldedNetwork
from osakd.engine.executors.fused.layers import Layout
from osakd.engine.precision import autocast
from osakd.errors import UnsupportedError
from osakd.methods.base import Batch, Method

_NETWORK = "network."
Fold = Callable[[Sequence[nn.Module], Layout, tuple[int, int, int]], Any]
"""Makes networks one, from their layout and the shape of an image; with the interface of ``FoldedNetwork``."""


class FusedExecutor(Executor):
    """Runs the epochs of many replicas at once; ``fold`` makes their networks one, or raises an UnsupportedError."""

    def __init__(self, replicas: Replicas, *, captured: bool = False, fold: Fold = FoldedNetwork) -> None:
        self.methods = list(replicas.methods)
        self.layout = Layout(len(self.methods), len(replicas.splits))
        if any(not name.startswith(_NETWORK) for method in self.methods for name, _ in method.named_parameters()):
            raise UnsupportedError("a method with parameters outside of its network")
        networks = [method.network for method in self.methods]
        height, width, channels = replicas.splits[0]["train"].images.shape[1:]
        self.network = fold(networks, self.layout, (channels, height, width)).to(replicas.device)
        by_key: dict[str, list[int]] = {}
        for number, key in enumerate(replicas.keys):
            by_key.setdefault(key, []).append(number)
        self.losses = [_MappedLoss([self.methods[n] for n in numbers], numbers) for numbers in by_key.values()]
        if any(method.weight_decays() for method in self.methods):
            raise UnsupportedError("a method with weight decays of its own")
        self.parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        super().__init__(replicas, [{"params": self.parameters}], captured=captured)

    def step(self, index: Tensor, step: Tensor, progress: Tensor) -> Tensor:
        """Trains on the images at these indices ``[seeds, n]``; the parts of every loss, flat."""
        each = list(enumerate(index.unbind()))
        target = torch.stack([self._target(seed, rows) for seed, rows in each])
        images = [self._as_taken(self._images(seed, rows)) for seed, rows in each]
        with autocast(self.config.precision, index.device):
            logits = self.network.train()(images)
            per_seed = self.layout.per_group
            batch = (target.repeat_interleave(per_seed, 0), index.repeat_interleave(per_seed, 0), step, progress)
            totals, parts = zip(*[loss(logits, *batch) for loss in self.losses], strict=True)
            total = torch.stack([of_method.sum() for of_method in totals]).sum()
        total.backward()
        if self.config.max_grad_norm is not None:
            self._clip_gradients(self.config.max_grad_norm)
        self._apply_gradients()
        return torch.cat(parts)

    @torch.no_grad()
    def _scores(self, split: str) -> list[dict[str, dict[str, float]]]:
        """The scores of every deployed network; seeds that share a split evaluate its images once."""
        splits = [seed[split] for seed in self.splits]
        shared = all(other.images is splits[0].images for other in splits)
        sources = splits[:1] if shared else splits
        index = torch.arange(len(splits[0].target), device=splits[0].target.device)
        how = self.evaluation(split)
        self.network.eval()
        logits = torch.cat(
            [
                self.network([self._as_taken(source.images.index_select(0, part)) for source in sources])
                for part in index.split(how["batch_size"])
            ],
            dim=1,
        )
        targets = [splits[replica // self.layout.per_group].target for replica in range(self.layout.replicas)]
        together = zip(logits, targets, strict=True)
        return [{"student": scores(of_replica, target, refined=how["refined"])} for of_replica, target in together]

    def _as_taken(self, images: Tensor) -> Tensor:
        """Images of 0 to 255 ``[n, h, w, channels]`` as the folded network takes them."""
        return images.permute(0, 3, 1, 2) if self.network.takes_bytes else to_floats(images)

    def _states(self) -> list[dict[str, Any]]:
        self._copy_to_methods()
        rate = self.optimizer.state_dict()["lr"]
        states = []
        for replica, method in enumerate(self.methods):
            moments: dict[int, Any] = {}
            names = _trained(method)
            for number, name in enumerate(names):
                parameter = self._folded(name)
                if state := self.optimizer.state.get(parameter):
                    shape = method.get_parameter(name).shape
                    moments[number] = {key: _part(value, parameter, replica, shape) for key, value in state.items()}
            optimizer = {"state": moments, "lr": rate}
            states.append({"method": method.own_state(), "optimizer": optimizer})
        return states

    @torch.no_grad()
    def _load(self, states: Sequence[dict[str, Any]]) -> None:
        for method, state in zip(self.methods, states, strict=True):
            method.load_own_state(state["method"])
        for number, method in enumerate(self.methods):
            for name, tensor in _named_tensors(method.network):
                self.network.stacked(name, tensor.shape)[number].copy_(tensor)
        for loss in self.losses:
            loss.copy_from([self.methods[number] for number in loss.replicas])
        for number, name in enumerate(_trained(self.methods[0])):
            parts = [state["optimizer"]["state"].get(number, {}) for state in states]
            parameter = self._folded(name)
            self.optimizer.state[parameter] = {
                key: _joined(key, [part[key] for part in parts], parameter)
                for key, value in parts[0].items()
                if value is not None
            }

    def _updated_methods(self) -> list[Method]:
        self._copy_to_methods()
        return self.methods

    def _statistics(self) -> list[Tensor]:
        return [buffer for name, buffer in self.network.named_buffers() if is_statistic(name)]

    def _loss_groups(self) -> list[LossGroup]:
        return [LossGroup(loss.replicas, loss.names) for loss in self.losses]

    def _finite_weights(self) -> Tensor:
        each = [torch.isfinite(parameter).unflatten(0, (self.layout.replicas, -1)) for parameter in self.parameters]
        return torch.stack([finite.flatten(1).all(1) for finite in each]).all(0)

    def _clip_gradients(self, max_norm: float) -> None:
        """Clips as ``nn.utils.clip_grad_norm_`` does, each replica with its own norm."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        by_replica = [gradient.unflatten(0, (self.layout.replicas, -1)) for gradient in gradients]
        norms = [torch.linalg.vector_norm(g, dim=tuple(range(1, g.ndim))) for g in by_replica]
        squares = torch.zeros_like(norms[0])
        for norm in norms:
            squares += norm * norm
        factors = (max_norm / (squares.sqrt() + 1e-6)).clamp(max=1.0)
        for gradient in by_replica:
            gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))

    def _tensors(self) -> list[Tensor]:
        buffers = [tensor for loss in self.losses for tensor in loss.state.values()]
        return [*self.network.parameters(), *self.network.buffers(), *buffers]

    @torch.no_grad()
    def _copy_to_methods(self) -> None:
        """Copies weights and buffers to the method of each replica."""
        for number, method in enumerate(self.methods):
            for name, tensor in _named_tensors(method.network):
                tensor.copy_(self.network.stacked(name, tensor.shape)[number])
        for loss in self.losses:
            loss.copy_to([self.methods[number] for number in loss.replicas])

    def _folded(self, name: str) -> nn.Parameter:
        """The folded parameter that holds the method's parameter of this name for every replica."""
        return self.network.find(name.removeprefix(_NETWORK))


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

        def loss_of(state: dict[str, Tensor], z: Tensor, y: Tensor, i: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            self.network.outputs = z
            terms = functional_call(self.template, state, (Batch(z, y, i, step, progress),))
            return terms.total, terms.parts

        of_replicas = (tensor.index_select(0, self.index) for tensor in (logits, target, index))
        totals, parts = vmap(loss_of)(self.state, *of_replicas)
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


def _trained(method: Method) -> list[str]:
    """Names of the parameters that train, in the order of the serial executor's optimizer."""
    return [name for name, parameter in method.named_parameters() if parameter.requires_grad]


def _named_tensors(network: nn.Module) -> list[tuple[str, Tensor]]:
    return [*network.named_parameters(), *network.named_buffers()]


def _part(value: Any, parameter: nn.Parameter, replica: int, shape: torch.Size) -> Any:
    """A replica's part of an optimizer's state; what is not per element is the same for all replicas."""
    if isinstance(value, Tensor) and value.shape == parameter.shape:
        return value.view(-1, *shape)[replica].clone()
    return copy.deepcopy(value)


def _joined(key: str, values: Sequence[Any], folded: Tensor) -> Any:
    """The optimizer's state of a folded parameter from its parts; all replicas share one count of steps."""
    if key == "step" or not isinstance(values[0], Tensor):
        return copy.deepcopy(values[0])
    joined = torch.zeros_like(folded)
    for part, value in zip(joined.view(-1, *values[0].shape), values, strict=True):
        part.copy_(value)
    return joined
