"""The form in which a network is exported: the same function, in operations that small runtimes have."""

import copy

from jaxtyping import Float
from torch import Tensor, nn

from osakd.models.normalise import Normalise


class DeployedForm(nn.Module):
    """The plain network with its normalisation as one product and one sum, and ReLU before max-pooling.

    The maximum and ReLU commute, so that exchange changes no bit; behind a convolution, ReLU costs nothing on a device.

    Args:
        network: ``Sequential(normalise, network)``, as ``build_model`` makes it; it is not changed.
        pixels: images are ``uint8`` pixels, 0 to 255, instead of floats in [0, 1].
    """

    scale: Float[Tensor, "1 channels 1 1"]
    shift: Float[Tensor, "1 channels 1 1"]

    def __init__(self, network: nn.Sequential, *, pixels: bool) -> None:
        super().__init__()
        normalise, body = copy.deepcopy(network).eval().children()
        if not isinstance(normalise, Normalise):
            raise TypeError("The first layer of a network that osakd trained is its normalisation.")
        self.register_buffer("scale", 1 / normalise.std[None] / (255 if pixels else 1))
        self.register_buffer("shift", -(normalise.mean / normalise.std)[None])
        self.network = _relu_first(body)
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Float[Tensor, "n classes"]:
        """The logits of images ``[n, channels, h, w]``."""
        return self.network(images.to(self.scale.dtype) * self.scale + self.shift)


def _relu_first(network: nn.Module) -> nn.Module:
    """Exchanges every max-pooling with the ReLU behind it."""
    for sequence in network.modules():
        if isinstance(sequence, nn.Sequential):
            for place in range(len(sequence) - 1):
                if isinstance(sequence[place], nn.MaxPool2d) and isinstance(sequence[place + 1], nn.ReLU):
                    sequence[place], sequence[place + 1] = sequence[place + 1], sequence[place]
    return network
