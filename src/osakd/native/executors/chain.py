"""Finds out whether a network is a chain that the native kernel computes, from what torch.fx traces."""

import math
import re
from typing import Any, NamedTuple

import torch
from torch import fx, nn
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.engine.executors.base import UnsupportedError
from osakd.models.normalise import Normalise
from osakd.native.kernels.operators import Stage

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
_CHAIN = re.compile("n?(c(pr|rp))+(f|f(lr)*l)?")
_POOLING = {"stride": (None, 2), "padding": (0,), "dilation": (1,), "ceil_mode": (False,), "return_indices": (False,)}


class Chain(NamedTuple):
    """Input scaling, convolutions with pooling and ReLU, then linear layers with ReLU between.

    Attributes:
        normalise: name of the input scaling; None without.
        convolutions: names of the convolutions.
        linears: names of the linear layers.
        flat: whether the outputs are flat; else they are maps.
    """

    normalise: str | None
    convolutions: tuple[str, ...]
    linears: tuple[str, ...]
    flat: bool

    def layers(self, network: nn.Module) -> list[Any]:
        """The layers with weights, in their order."""
        return [network.get_submodule(name) for name in (*self.convolutions, *self.linears)]

    def stages(self, network: nn.Module, shape: tuple[int, int, int]) -> tuple[tuple[Stage, ...], tuple[int, ...]]:
        """What the kernel computes for images of a shape: the convolutions, and the widths of the linear layers.

        Raises:
            UnsupportedError: the network cannot take such images.
        """
        stages: list[Stage] = []
        features = shape
        layers = self.layers(network)
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
        return tuple(stages), tuple(widths)


def find_chain(network: nn.Module) -> Chain:
    """The chain that a network is.

    Raises:
        UnsupportedError: it is none; the message names what is unknown.
    """
    unknown = next((type(one).__name__ for one in network.modules() if _is_unknown(one)), None)
    if unknown:
        raise UnsupportedError(unknown)
    was_training = network.training
    graphs = [_Tracer().trace(network.train(mode)) for mode in (True, False)]
    network.train(was_training)
    if str(graphs[0]) != str(graphs[1]):
        raise UnsupportedError("other layers in training than in evaluation")
    letters, names = "", []
    previous: fx.Node | None = None
    for node in graphs[0].nodes:
        if node.op != "placeholder" and node.all_input_nodes != [previous]:
            raise UnsupportedError("layers that are no chain")
        if node.op not in ("placeholder", "output"):
            letter = _letter(node, network)
            letters += letter
            names.append((letter, str(node.target)))
        previous = node
    if not _CHAIN.fullmatch(letters):
        raise UnsupportedError("layers in another order than convolution, max-pooling and ReLU, then linear layers")
    found = {kind: tuple(name for letter, name in names if letter == kind) for kind in "ncl"}
    if len({*found["c"], *found["l"]}) < len(found["c"]) + len(found["l"]):
        raise UnsupportedError("a layer that is used twice")
    return Chain(next(iter(found["n"]), None), found["c"], found["l"], "f" in letters)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _LETTERS or super().is_leaf_module(m, module_qualified_name)


def _is_unknown(module: nn.Module) -> bool:
    """Whether a module is a layer of PyTorch that no chain has, or calls something before or after itself."""
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
    given = dict(zip(_POOLING, more, strict=False)) | dict(options)
    plain = all(_single(value) in _POOLING[name] for name, value in given.items())
    return _single(size) == 2 and plain


def _single(value: Any) -> Any:
    """The number that a pair of equal ones stands for."""
    return value[0] if isinstance(value, tuple | list) and len(set(value)) == 1 else value
