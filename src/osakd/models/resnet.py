"""Residual networks: the CIFAR ResNets with 6n + 2 layers, and ResNet-50.

A block is ``relu(f(x) + shortcut(x))``. Each network is a Sequential whose named children, run in order, are the
network, so a trunk up to any of them can be cut off by name.

Reference:
    He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016. Initial weights: He et al.,
    "Delving deep into rectifiers", ICCV 2015.
"""

from collections import OrderedDict
from typing import no_type_check

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.errors import InputError


def cifar_resnet(
    num_classes: int, input_shape: tuple[int, int, int], *, blocks: int, projection: bool = False
) -> nn.Sequential:
    """The ResNet of ``6 * blocks + 2`` layers: ``stem, stage1, stage2, stage3, avgpool, flatten, fc``.

    Shortcuts between stages are padded copies (option A), or 1x1 convolutions where ``projection``.

    Raises:
        InputError: the images have less than 4x4 pixels.

    Example:
        >>> network = cifar_resnet(10, (3, 32, 32), blocks=5)
        >>> sum(parameter.numel() for parameter in network.parameters())
        464154
        >>> [name for name, _ in network.named_children()]
        ['stem', 'stage1', 'stage2', 'stage3', 'avgpool', 'flatten', 'fc']
    """
    check_size(input_shape, smallest=4)
    stem = OrderedDict[str, nn.Module](conv=_conv3x3(input_shape[0], 16), bn=nn.BatchNorm2d(16), relu=nn.ReLU())
    layers: dict[str, nn.Module] = {"stem": nn.Sequential(stem)}
    channels = 16
    for number, width in enumerate((16, 32, 64), start=1):
        first = BasicBlock(channels, width, stride=width // channels, projection=projection)
        layers[f"stage{number}"] = nn.Sequential(first, *[BasicBlock(width, width) for _ in range(blocks - 1)])
        channels = width
    return _finished(layers, channels, num_classes)


def resnet50(num_classes: int, input_shape: tuple[int, int, int], *, small: bool = False) -> nn.Sequential:
    """ResNet-50 with torchvision's names, whose weights can be loaded; in each stage the first 3x3 has the stride.

    For ``small`` images the stem is a 3x3 convolution without stride or pooling.

    Raises:
        InputError: the images have less than 32x32 pixels (8x8 where ``small``).
    """
    check_size(input_shape, smallest=8 if small else 32)
    kernel, stride = (3, 1) if small else (7, 2)
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(input_shape[0], 64, kernel, stride, kernel // 2, bias=False),
        "bn1": nn.BatchNorm2d(64),
        "relu": nn.ReLU(),
    }
    if not small:
        layers["maxpool"] = nn.MaxPool2d(3, stride=2, padding=1)
    channels = 64
    for number, blocks in enumerate((3, 4, 6, 3), start=1):
        width = 32 * 2**number
        first = Bottleneck(channels, width, stride=1 if number == 1 else 2)
        channels = 4 * width
        layers[f"layer{number}"] = nn.Sequential(first, *[Bottleneck(channels, width) for _ in range(blocks - 1)])
    return _finished(layers, channels, num_classes)


class PaddedShortcut(nn.Module):
    """The paper's option A: every ``stride``-th pixel, and zeros for the additional channels.

    Half of the new channels stand before the old ones and half behind them.

    Example:
        >>> import torch
        >>> PaddedShortcut(1, 3, 2)(torch.ones(1, 1, 4, 4)).sum((0, 2, 3))
        tensor([0., 4., 0.])
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.in_channels, self.stride = in_channels, stride
        self.before = (out_channels - in_channels) // 2
        self.behind = out_channels - in_channels - self.before

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n new_c new_h new_w"]:
        """Subsamples the pixels and pads the channels."""
        return F.pad(images[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.behind))


class GlobalAverage(nn.Module):
    """The mean of each channel.

    As ``nn.AdaptiveAvgPool2d(1)``, which vmap maps only by a loop, with a warning, in channels-last memory.
    """

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 1 1"]:
        """Averages over all pixels."""
        return images.mean((2, 3), keepdim=True)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, the first with the stride."""

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1, projection: bool = False) -> None:
        super().__init__()
        self.conv1 = _conv3x3(in_channels, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = _conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride, projection)

    @no_type_check  # torch.fx traces it with proxies, which are no tensors
    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n new_c new_h new_w"]:
        """The output of the block."""
        x = F.relu(self.bn1(self.conv1(images)))
        return F.relu(self.bn2(self.conv2(x)) + self.downsample(images))


class Bottleneck(nn.Module):
    """A 3x3 convolution, with the stride, between two 1x1 convolutions; the last has four times the channels."""

    def __init__(self, in_channels: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(in_channels, 4 * width, stride, projection=True)

    @no_type_check  # torch.fx traces it with proxies, which are no tensors
    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n new_c new_h new_w"]:
        """The output of the block."""
        x = F.relu(self.bn1(self.conv1(images)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + self.downsample(images))


def _conv3x3(in_channels: int, channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)


def _shortcut(in_channels: int, channels: int, stride: int, projection: bool) -> nn.Module:
    if stride == 1 and in_channels == channels:
        return nn.Identity()
    if projection:
        return nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
    return PaddedShortcut(in_channels, channels, stride)


def _finished(layers: dict[str, nn.Module], channels: int, num_classes: int) -> nn.Sequential:
    """The network, with its last layers and its initial weights."""
    last = {"avgpool": GlobalAverage(), "flatten": nn.Flatten(), "fc": nn.Linear(channels, num_classes)}
    network = nn.Sequential(OrderedDict(layers | last))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network


def check_size(input_shape: tuple[int, int, int], smallest: int) -> None:
    """Checks that images have ``smallest`` pixels on each side, enough for the last stride; else an InputError."""
    _, height, width = input_shape
    if min(height, width) < smallest:
        raise InputError(
            f"Images of {height}x{width} pixels are too small for this network: take images of at least "
            f"{smallest}x{smallest}, or a smaller network."
        )
