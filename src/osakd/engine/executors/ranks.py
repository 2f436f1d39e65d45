"""The serial executor on several processes that ``torch.distributed`` joins: each runs networks on a part of a batch.

Each process takes the whole batch and computes the whole loss, but runs the networks on its own part of the images
only: their outputs are gathered over the ranks. So every method is the same as on one process, and what it keeps of
samples is equal on all ranks without being sent. In the backward pass a rank's networks get the gradient of their own
outputs, times the number of ranks; averaged over the ranks that is the gradient of the loss. Parameters that a method
uses outside of its networks have the whole gradient on every rank, which the average keeps.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from osakd.engine.executors.base import Replicas, TrainingSpec
from osakd.engine.executors.fused.replicas import NotLowerableError
from osakd.engine.executors.native.serial import check_kind, lower_method
from osakd.engine.executors.serial import SerialExecutor
from osakd.engine.processes import answered, of_all
from osakd.labels.ranks import Ranks
from osakd.labels.samples import at_least_float32
from osakd.methods.base import Method

Outputs = Tensor | Sequence[Tensor]
"""One row for each image, or several tensors of rows."""


def build(replicas: Replicas, spec: TrainingSpec) -> "RanksExecutor":
    """Builds the executor of one replica on all ranks."""
    return RanksExecutor(replicas, spec)


def build_native(replicas: Replicas, spec: TrainingSpec) -> "RanksExecutor":
    """Builds the same, with networks that the native kernel computes.

    Raises:
        NotLowerableError: the kernel computes none of them on one of the ranks.
    """
    reason = ""
    try:
        check_kind(replicas, spec)
        height, width, channels = replicas.splits[0]["train"].images.shape[1:]
        lower_method(replicas.methods[0], (channels, height, width))
    except NotLowerableError as error:
        reason = str(error)
    reasons = [one for one in of_all(reason) if one]
    if reasons:
        raise NotLowerableError(reasons[0])
    return RanksExecutor(replicas, spec)


class RanksExecutor(SerialExecutor):
    """Runs the epochs of one method on all ranks; every one of them must call what the others call.

    Args:
        replicas: one replica, the same on every rank; rank 0's initial weights count.
        spec: how to train it.
    """

    def __init__(self, replicas: Replicas, spec: TrainingSpec) -> None:
        super().__init__(replicas, spec)
        with torch.no_grad(), answered():
            for tensor in (*self.method.parameters(), *self.method.buffers()):
                value = tensor.clone(memory_format=torch.contiguous_format)
                dist.broadcast(value, 0)
                tensor.copy_(value)
        split_networks(self.method)

    def _share_gradients(self) -> None:
        """Averages the gradients in one collective; a parameter that no rank has used keeps none."""
        own = [parameter.grad for parameter in self.parameters]
        used = self.parameters[0].new_tensor([gradient is not None for gradient in own])
        rows = [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, own, strict=True)]
        joined = torch.cat([used, *(row.flatten() for row in rows)])
        with answered():
            dist.all_reduce(joined)
        used, *parts = joined.split([len(own), *(parameter.numel() for parameter in self.parameters)])
        for number, (parameter, part) in enumerate(zip(self.parameters, parts, strict=True)):
            if own[number] is not None or used[number] > 0:
                rows[number].copy_(part.view_as(parameter) / dist.get_world_size())
                parameter.grad = rows[number]


def split_networks(method: Method) -> None:
    """Lets each rank compute the networks of a method on its part of a batch, and BatchNorm over the whole batch."""
    turn = _Turn()
    for name in method.of_each_image:
        found = getattr(method, name)
        if isinstance(found, nn.Module):
            for network in found if isinstance(found, nn.ModuleList) else [found]:
                network.forward = _Split(network.forward, turn)
        else:
            setattr(method, name, _Split(found, turn))
    for module in method.modules():
        if isinstance(module, _BatchNorm) and not isinstance(module, nn.SyncBatchNorm):
            module.forward = _WholeBatchNorm(module, turn)


class _Turn:
    """Whether a network runs on this rank's part of a batch just now."""

    running = False


class _Split:
    """Computes a function of images on this rank's part of them, and gathers its outputs over the ranks.

    Args:
        function: gives one row for each image.
        turn: shared by everything of one method.
    """

    def __init__(self, function: Callable[[Tensor], Outputs], turn: _Turn) -> None:
        self.function, self.turn = function, turn

    def __call__(self, images: Tensor) -> Outputs:
        """The outputs for all images; if there are less images than ranks, every rank computes all."""
        world, rank = dist.get_world_size(), dist.get_rank()
        if self.turn.running or len(images) < world:
            return self.function(images)
        parts = images.tensor_split(world)
        ranks = Ranks([len(part) for part in parts], rank, None)
        # Outside of the networks random numbers are the same on all ranks; inside (dropout) each has its own.
        seed = int(torch.randint(2**62, ()))
        with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
            torch.manual_seed(seed + rank)
            self.turn.running = True
            try:
                outputs = self.function(parts[rank])
            finally:
                self.turn.running = False
        if isinstance(outputs, Tensor):
            return _Gather.apply(ranks, outputs)[0]
        return _Gather.apply(ranks, *outputs)


class _WholeBatchNorm:
    """BatchNorm over the parts of all ranks together, on any device, where its network runs on a part of a batch.

    Args:
        norm: the layer.
        turn: says when.
    """

    def __init__(self, norm: _BatchNorm, turn: _Turn) -> None:
        self.norm, self.turn = norm, turn

    def __call__(self, input: Tensor) -> Tensor:  # noqa: A002 - the layer's word
        """The normalised values; running statistics are updated as the layer does."""
        norm = self.norm
        if not self.turn.running or not (norm.training or norm.running_mean is None):
            return type(norm).forward(norm, input)
        norm._check_input_dim(input)
        others = [0, *range(2, input.ndim)]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        values = at_least_float32(input)
        own = values.new_tensor([values.numel() / values.shape[1]])
        count, total = _Sum.apply(torch.cat([own, values.sum(others)])).split([1, values.shape[1]])
        centred = values - (total / count).view(shape)
        variance = _Sum.apply(centred.square().sum(others)) / count
        if norm.training and norm.track_running_stats:
            self._update((total / count).detach(), (variance * count / (count - 1)).detach())
        outputs = centred * (variance + norm.eps).rsqrt().view(shape)
        if norm.affine:
            outputs = outputs * norm.weight.view(shape) + norm.bias.view(shape)
        return outputs.to(input.dtype)

    @torch.no_grad()
    def _update(self, mean: Tensor, variance: Tensor) -> None:
        norm: Any = self.norm
        norm.num_batches_tracked.add_(1)
        share = 1 / norm.num_batches_tracked if norm.momentum is None else norm.momentum
        for running, now in ((norm.running_mean, mean), (norm.running_var, variance)):
            running.copy_((1 - share) * running + share * now)


class _Gather(torch.autograd.Function):
    """The rows of all ranks. Each rank has the gradient of its own rows alone, times the number of ranks."""

    @staticmethod
    def forward(ctx: Any, ranks: Ranks, *own: Tensor) -> tuple[Tensor, ...]:
        ctx.ranks = ranks
        with answered():
            return tuple(ranks.gather(*own))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        sizes, own, _ = ctx.ranks
        return None, *(len(sizes) * gradient.split(sizes)[own] for gradient in gradients)


class _Sum(torch.autograd.Function):
    """The sum over the ranks, whose gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:  # noqa: ARG004 - autograd's interface
        return _sum(own)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004 - autograd's interface
        return _sum(gradients[0])


def _sum(own: Tensor) -> Tensor:
    total = own.clone(memory_format=torch.contiguous_format)
    with answered():
        dist.all_reduce(total)
    return total
