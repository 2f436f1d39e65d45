"""A network of depthwise-separable convolutions, as keyword spotters and vision on microcontrollers use it.

A block is a 3x3 convolution of each channel for itself and a 1x1 convolution over all of them, each with BatchNorm and
ReLU: about an eighth of the multiply-accumulates of a full 3x3 convolution.

Reference:
    Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications", 2017; Zhang et
    al., "Hello Edge: keyword spotting on microcontrollers", 2017 (DS-CNN).
"""

from collections import OrderedDict

from torch import nn

from osakd.models.resnet import GlobalAverage, check_size

_STEM = 32
_BLOCKS = ((64, 2), (64, 1), (128, 2), (128, 1), (128, 1))
"""Output channels and stride of each block."""


def ds_cnn(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Sequential:
    """The network ``stem, stage1 ... stage5, avgpool, flatten, fc``; an InputError below 4x4 pixels."""
    check_size(input_shape, smallest=4)
    layers: dict[str, nn.Module] = {"stem": nn.Sequential(*_convolution(input_shape[0], _STEM, 3))}
    channels = _STEM
    for number, (filters, stride) in enumerate(_BLOCKS, start=1):
        depthwise = _convolution(channels, channels, 3, stride, groups=channels)
        layers[f"stage{number}"] = nn.Sequential(*depthwise, *_convolution(channels, filters, 1))
        channels = filters
    last = {"avgpool": GlobalAverage(), "flatten": nn.Flatten(), "fc": nn.Linear(channels, num_classes)}
    return nn.Sequential(OrderedDict(layers | last))


def _convolution(in_channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(filters), nn.ReLU()]
