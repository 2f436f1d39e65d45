"""Finds out whether the native kernel computes a network, from what torch.fx traces, and what the kernel must know."""

import math
import re
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.errors import UnsupportedError
from osakd.models.normalise import Normalise
from osakd.native.kernels.checks import check
from osakd.native.kernels.operators import Plan, Stage

MOST_KERNEL = 7
_LETTERS: dict[type[nn.Module], str] = {
    Normalise: "n",
    nn.Conv2d: "c",
    nn.MaxPool2d: "p",
    nn.ReLU: "r",
    nn.Flatten: "f",
    nn.Linear: "l",
    nn.Identity: "",
}
_ORDER = re.compile("n?(c(pr|rp))+(f|f(lr)*l)?")
_POOLING = {"stride": (None, 2), "padding": (0,), "dilation": (1,), "ceil_mode": (False,), "return_indices": (False,)}
Shape = tuple[int, int, int]
"""Channels, height and width of an image."""


class Layers(NamedTuple):
    """Input scaling, convolutions with pooling and ReLU, then linear layers with ReLU between.

    Attributes:
        normalise: name of the input scaling; None without.
        flat: whether the outputs are flat; else they are maps.
    """

    normalise: str | None
    convolutions: tuple[str, ...]
    linears: tuple[str, ...]
    flat: bool

    @property
    def weighted(self) -> tuple[str, ...]:
        """Names of the layers with weights, in their order."""
        return (*self.convolutions, *self.linears)

    def plan(self, network: nn.Module, shape: Shape) -> Plan:
        """What the kernel computes for an image of a shape, compared with PyTorch; an UnsupportedError if it cannot."""
        stages: list[Stage] = []
        features = shape
        layers: list[Any] = [network.get_submodule(name) for name in self.weighted]
        for layer in layers[: len(self.convolutions)]:
            if layer.in_channels != features[0]:
                raise UnsupportedError(f"{features[0]} channels for a convolution of {layer.in_channels}")
            stages.append(Stage(*features, layer.out_channels, layer.kernel_size[0], layer.padding[0]))
            features = stages[-1].pooled
            if min(features) < 1:
                raise UnsupportedError("images that are too small")
        linears = layers[len(self.convolutions) :]
        widths = [math.prod(features), *(layer.out_features for layer in linears)] if linears else []
        if any(layer.in_features != width for layer, width in zip(linears, widths, strict=False)):
            raise UnsupportedError("images of another size than its linear layers expect")
        check(tuple(stages), tuple(widths))
        return Plan(tuple(stages), tuple(widths), images=1)


def find_layers(network: nn.Module) -> Layers:
    """The layers of a network that the kernel computes; an UnsupportedError that names an unknown one."""
    unknown = next((type(module).__name__ for module in network.modules() if _is_unknown(module)), None)
    if unknown:
        raise UnsupportedError(unknown)
    was_training = network.training
    graphs = [_Tracer().trace(network.train(mode)) for mode in (True, False)]
    network.train(was_training)
    if str(graphs[0]) != str(graphs[1]):
        raise UnsupportedError("other layers in training than in evaluation")
    letters: list[str] = []
    names: dict[str, list[str]] = {letter: [] for letter in _LETTERS.values()}
    previous: fx.Node | None = None
    for node in graphs[0].nodes:
        if node.op != "placeholder" and node.all_input_nodes != [previous]:
            raise UnsupportedError("layers that do not follow one another")
        if node.op not in ("placeholder", "output"):
            letters.append(_letter(node, network))
            names[letters[-1]].append(str(node.target))
        previous = node
    if not _ORDER.fullmatch("".join(letters)):
        raise UnsupportedError("layers in another order than convolution, max-pooling and ReLU, then linear layers")
    layers = Layers(next(iter(names["n"]), None), tuple(names["c"]), tuple(names["l"]), "f" in letters)
    if len(set(layers.weighted)) < len(layers.weighted):
        raise UnsupportedError("a layer that is used twice")
    return layers


def weights_and_biases(layers: list[Any]) -> list[Tensor]:
    """The tensors that the kernel takes of layers; an empty one stands for no bias."""
    tensors = []
    for layer in layers:
        tensors += [layer.weight, layer.weight.new_empty(0) if layer.bias is None else layer.bias]
    return tensors


class Scaling:
    """The factors and terms of an input scaling; they are computed anew only where its mean or deviation changed."""

    def __init__(self) -> None:
        self.versions: tuple[Any, ...] = ()
        self.values = (torch.empty(0), torch.empty(0))

    def of(self, layer: Any, seeds: int, channels: int, *, unit: float = 1.0) -> tuple[Tensor, Tensor]:
        """Factors and terms ``[seeds, channels]`` of a layer whose buffers hold those of every replica.

        Without a layer only the unit counts: what a value of 1 in the images stands for.
        """
        versions = (seeds,) if layer is None else (seeds, layer.mean._version, layer.std._version)
        if versions != self.versions:
            factors, terms = torch.ones(seeds, channels), torch.zeros(seeds, channels)
            if layer is not None:
                mean, std = (buffer.view(seeds, -1, channels)[:, 0] for buffer in (layer.mean, layer.std))
                factors, terms = 1 / std, -mean / std
            self.versions, self.values = versions, (factors * unit, terms)
        return self.values


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _LETTERS or super().is_leaf_module(m, module_qualified_name)


def _is_unknown(module: nn.Module) -> bool:
    """Whether a module is another layer of PyTorch, or calls something before or after itself."""
    of_pytorch = type(module).__module__.startswith("torch.nn") and type(module) is not nn.Sequential
    hooks = bool(module._forward_hooks or module._forward_pre_hooks)
    return hooks or (of_pytorch and type(module) not in _LETTERS and not isinstance(module, nn.ModuleList))


def _letter(node: fx.Node, network: nn.Module) -> str:
    if node.op == "call_module":
        layer = network.get_submodule(str(node.target))
        letter = _LETTERS.get(type(layer))
        if letter is None or not _is_plain(layer):
            raise UnsupportedError(str(layer))
        return letter
    rest = node.args[1:]
    if node.target in (F.relu, torch.relu, "relu"):
        return "r"
    if node.target in (torch.flatten, "flatten") and rest == (1,) and not node.kwargs:
        return "f"
    if node.target is F.max_pool2d and rest and _pools_two(rest[0], node.kwargs, rest[1:]):
        return "p"
    raise UnsupportedError(str(node.target))


def _is_plain(layer: Any) -> bool:
    """Whether a layer is as the kernel computes it."""
    if isinstance(layer, nn.MaxPool2d):
        return _pools_two(layer.kernel_size, {name: getattr(layer, name) for name in _POOLING}, ())
    if isinstance(layer, nn.Flatten):
        return (layer.start_dim, layer.end_dim) == (1, -1)
    if not isinstance(layer, nn.Conv2d):
        return True
    square = layer.kernel_size[0] == layer.kernel_size[1] <= MOST_KERNEL and layer.padding_mode == "zeros"
    even = isinstance(layer.padding, tuple) and layer.padding[0] == layer.padding[1]
    return square and even and layer.groups == 1 and layer.stride == layer.dilation == (1, 1)


def _pools_two(size: Any, options: Any, more: tuple[Any, ...]) -> bool:
    pooling = dict(zip(_POOLING, more, strict=False)) | dict(options)
    plain = all(_single(value) in _POOLING[name] for name, value in pooling.items())
    return _single(size) == 2 and plain


def _single(value: Any) -> Any:
    """The number that a pair of equal numbers stands for."""
    return value[0] if isinstance(value, tuple | list) and len(set(value)) == 1 else value
