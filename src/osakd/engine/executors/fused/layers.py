"""The layers of a folded network: each does for all replicas what the layer it stands for does for one.

Images are passed as a list of parts, each ``[n, copies * channels, h, w]`` in channels-last memory: one part, or one
for each group, with one copy for all replicas of a part, or one for each. Convolutions of what a group shares stay
separate, since wide ordinary convolutions are much faster than grouped ones; later layers join the parts. Features are
``[replicas, n, f]``.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.errors import UnsupportedError
from osakd.models.normalise import Normalise as NormaliseLayer
from osakd.models.normalise import normalised
from osakd.models.resnet import PaddedShortcut as PaddedShortcutLayer

Parts = list[Tensor]
"""The images of all replicas: one tensor for all, or one for each seed."""


class Layout(NamedTuple):
    """The arrangement of ``replicas`` networks in ``groups`` of equal size; a group shares its images."""

    replicas: int
    groups: int

    @property
    def per_group(self) -> int:
        """Number of replicas in a group."""
        return self.replicas // self.groups

    def join(self, parts: Parts, channels: int) -> Tensor:
        """Joins parts ``[n, copies * channels, h, w]`` to one tensor ``[n, replicas * channels, h, w]``."""
        n, folded, height, width = parts[0].shape
        wanted = self.replicas // len(parts)
        copies = folded // channels
        if copies != wanted:
            shape = (n, wanted * channels, height, width)
            split = (part.view(n, copies, 1, channels, height, width) for part in parts)
            parts = [part.expand(n, copies, wanted // copies, channels, height, width).reshape(shape) for part in split]
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]


class Normalise(nn.Module):
    """Scales the images of each group with the group's statistics."""

    def __init__(self, layers: Sequence[NormaliseLayer], layout: Layout) -> None:
        super().__init__()
        self.layout, self.channels = layout, layers[0].mean.shape[0]
        self.register_buffer("mean", torch.cat([layer.mean for layer in layers]))
        self.register_buffer("std", torch.cat([layer.std for layer in layers]))
        first = layers[0]
        self.equal = all(torch.equal(la.mean, first.mean) and torch.equal(la.std, first.std) for la in layers)

    def forward(self, images: Parts) -> Parts:
        """Scales the images."""
        if len(images) == 1 and not self.equal:
            images = images * self.layout.groups
        # All replicas of a part have the same statistics.
        mean, std = (
            cast(Tensor, buffer).view(len(images), -1, self.channels, 1, 1)[:, 0] for buffer in (self.mean, self.std)
        )
        return [normalised(part, mean[number], std[number]) for number, part in enumerate(images)]


class Conv2d(nn.Module):
    """Wide ordinary convolutions of images that replicas share, else one grouped convolution."""

    def __init__(self, layers: Sequence[nn.Conv2d], layout: Layout) -> None:
        super().__init__()
        first = layers[0]
        if first.padding_mode != "zeros":
            raise UnsupportedError(f"padding mode {first.padding_mode!r}")
        self.layout, self.channels, self.inner_groups = layout, first.in_channels, first.groups
        self.stride, self.padding, self.dilation = first.stride, first.padding, first.dilation
        weight = torch.cat([layer.weight.detach() for layer in layers])
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        biases = [layer.bias for layer in layers if layer.bias is not None]
        self.bias = nn.Parameter(torch.cat([bias.detach() for bias in biases])) if biases else None

    def forward(self, images: Parts) -> Parts:
        """Computes the maps of every replica."""
        shared = len(images) == 1 or len(images) < self.layout.replicas
        if shared and images[0].shape[1] == self.channels and self.inner_groups == 1:
            biases = [None] * len(images) if self.bias is None else self.bias.chunk(len(images))
            weights = self.weight.chunk(len(images))
            return [self._convolve(*part, groups=1) for part in zip(images, weights, biases, strict=True)]
        joined = self.layout.join(images, self.channels)
        return [self._convolve(joined, self.weight, self.bias, groups=self.inner_groups * self.layout.replicas)]

    def _convolve(self, images: Tensor, weight: Tensor, bias: Tensor | None, *, groups: int) -> Tensor:
        return F.conv2d(images, weight, bias, self.stride, self.padding, self.dilation, groups)


class BatchNorm2d(nn.BatchNorm2d):
    """Normalises each channel of each replica with its own statistics."""

    def __init__(self, layers: Sequence[nn.BatchNorm2d], layout: Layout) -> None:
        first = layers[0]
        if first.momentum is None:
            raise UnsupportedError("BatchNorm2d without momentum")
        super().__init__(
            layout.replicas * first.num_features, first.eps, first.momentum, first.affine, first.track_running_stats
        )
        self.layout, self.channels = layout, first.num_features
        for name, tensor in [*first.named_parameters(), *first.named_buffers()]:
            if tensor.ndim:
                each = [getattr(layer, name).detach() for layer in layers]
                getattr(self, name).data = torch.cat(each).clone()
        self.num_batches_tracked = (
            cast(Tensor, first.num_batches_tracked).clone() if first.track_running_stats else None
        )

    def forward(self, input: Any) -> Any:  # noqa: A002 - the name of the class it extends
        """Normalises the maps."""
        return [super().forward(self.layout.join(input, self.channels))]


class PaddedShortcut(nn.Module):
    """Takes fewer pixels, and adds channels of zeros within each replica."""

    def __init__(self, layers: Sequence[PaddedShortcutLayer], layout: Layout) -> None:  # noqa: ARG002 - as its siblings
        super().__init__()
        self.layer = layers[0]

    def forward(self, images: Parts) -> Parts:
        """Computes the maps of the shortcut."""
        return [self._pad(part) for part in images]

    def _pad(self, part: Tensor) -> Tensor:
        layer = self.layer
        # Channels last, so that the result is, too: padding a middle dimension would change the memory format.
        pixels = part[:, :, :: layer.stride, :: layer.stride].permute(0, 2, 3, 1)
        padded = F.pad(pixels.unflatten(3, (-1, layer.in_channels)), (layer.before, layer.behind))
        return padded.flatten(3).permute(0, 3, 1, 2)


class Each(nn.Module):
    """Applies a function that works on each value, or each channel, separately."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, values: Parts | Tensor) -> Parts | Tensor:
        """Applies the function to every part."""
        return self.function(values) if isinstance(values, Tensor) else [self.function(part) for part in values]


class Linear(nn.Module):
    """Multiplies the features of all replicas in one batched product."""

    def __init__(self, layers: Sequence[nn.Linear], layout: Layout) -> None:
        super().__init__()
        self.replicas = layout.replicas
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        biases = [layer.bias for layer in layers if layer.bias is not None]
        self.bias = nn.Parameter(torch.stack([bias.detach() for bias in biases])) if biases else None

    def forward(self, features: Tensor) -> Tensor:
        """Computes the features of every replica."""
        if not isinstance(features, Tensor):
            raise UnsupportedError("a linear layer on images")
        weight = self.weight.transpose(1, 2)
        return features @ weight if self.bias is None else torch.baddbmm(self.bias[:, None], features, weight)


class Flatten(nn.Module):
    """Flattens maps to features."""

    def __init__(self, channels: int, layout: Layout) -> None:
        super().__init__()
        self.channels, self.layout = channels, layout

    def forward(self, images: Parts) -> Tensor:
        """Computes the features of every replica."""
        joined = self.layout.join(images, self.channels)
        n, _, height, width = joined.shape
        return joined.reshape(n, self.layout.replicas, self.channels * height * width).transpose(0, 1)


class Add(nn.Module):
    """Adds two maps or two features."""

    def __init__(self, channels: int, layout: Layout) -> None:
        super().__init__()
        self.channels, self.layout = channels, layout

    def forward(self, left: Any, right: Any) -> Parts | Tensor:
        """Computes the sum of every replica."""
        if isinstance(left, Tensor):
            return left + right
        return [self.layout.join(left, self.channels) + self.layout.join(right, self.channels)]
