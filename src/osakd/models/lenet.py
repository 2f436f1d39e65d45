"""The paper's two small convolutional networks, and a smaller one for 8x8 digits.

Each is a Sequential of named stages. The rectifier follows the pooling: the maximum and the rectifier commute, so this
is the paper's function at a quarter of the work.

Reference:
    Tzelepi and Tefas, ICME 2021, section IV-A.
"""

from collections import OrderedDict

from torch import nn

from osakd.errors import InputError


def lenet(
    num_classes: int,
    input_shape: tuple[int, int, int],
    *,
    convolutions: tuple[int, ...],
    hidden: tuple[int, ...],
    kernel: int = 5,
    padding: int = 0,
) -> nn.Sequential:
    """The network ``stage1, stage2, ..., flatten, hidden1, ..., fc``.

    It has a stage for each convolution with so many output channels, padded with zeros on each side of its input, and a
    hidden linear layer for each number of outputs.

    Raises:
        InputError: the images are too small for the poolings.
    """
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
