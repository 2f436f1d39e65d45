"""The paper's two small convolutional networks, and a smaller one for 8x8 digits.

Each is a Sequential of named stages. The rectifier follows the pooling: the maximum and the rectifier commute, so this
is the paper's function at a quarter of the work.

Reference:
    Tzelepi and Tefas, ICME 2021, section IV-A.
"""

from collections import OrderedDict

from torch import nn

from osakd.errors import InputError


def lenet(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """Conv 6 and 16 (5x5), FC 120 and 84: CIFAR-10 and SVHN; 62,006 parameters at 3x32x32 and 10 classes."""
    return _lenet(num_classes, input_shape, convolutions=(6, 16), hidden=(120, 84), kernel=5, padding=0)


def lenet_fashion(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """Conv 20 and 50 (5x5), FC 500: Fashion-MNIST; 431,080 parameters at 1x28x28 and 10 classes."""
    return _lenet(num_classes, input_shape, convolutions=(20, 50), hidden=(500,), kernel=5, padding=0)


def lenet_digits(num_classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """Conv 16 and 32 (3x3), FC 64: 8x8 digits; 13,706 parameters at 1x8x8 and 10 classes."""
    return _lenet(num_classes, input_shape, convolutions=(16, 32), hidden=(64,), kernel=3, padding=1)


def _lenet(
    num_classes: int,
    input_shape: tuple[int, int, int],
    *,
    convolutions: tuple[int, ...],
    hidden: tuple[int, ...],
    kernel: int,
    padding: int,
) -> nn.Module:
    channels, height, width = input_shape
    layers: dict[str, nn.Module] = {}
    for number, filters in enumerate(convolutions, start=1):
        convolution = nn.Conv2d(channels, filters, kernel, padding=padding)
        layers[f"stage{number}"] = nn.Sequential(convolution, nn.MaxPool2d(2), nn.ReLU())
        channels = filters
        height, width = ((side - kernel + 1 + 2 * padding) // 2 for side in (height, width))
        if min(height, width) < 1:
            raise InputError(
                f"Images of {input_shape[1]}x{input_shape[2]} pixels are too small for this network: "
                "take larger images, or the model lenet-digits."
            )
    features = channels * height * width
    layers["flatten"] = nn.Flatten()
    for number, width_out in enumerate(hidden, start=1):
        layers[f"hidden{number}"] = nn.Sequential(nn.Linear(features, width_out), nn.ReLU())
        features = width_out
    return nn.Sequential(OrderedDict(layers, fc=nn.Linear(features, num_classes)))
