"""Rewrites a network of known layers so that its replicas are folded into channels.

The replicas of one seed share images, so the first convolution is wide, one for each seed; later convolutions are
grouped; linear layers are batched products. A replica's parameter is a slice of a folded one.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.engine.executors.fused import layers as folded_layers
from osakd.engine.executors.fused.layers import Layout, Parts
from osakd.errors import UnsupportedError
from osakd.models.normalise import Normalise
from osakd.models.resnet import GlobalAverage, PaddedShortcut


class FoldedNetwork(nn.Module):
    """Replicas of a network, those of a group side by side, folded into one; an UnsupportedError where it cannot be."""

    takes_bytes = False

    def __init__(self, networks: Sequence[nn.Module], layout: Layout, input_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.replicas = layout.replicas
        parameters = list(networks[0].parameters())
        if len({id(p) for p in parameters}) != sum(
            len(list(m.parameters(recurse=False))) for m in networks[0].modules()
        ):
            raise UnsupportedError("tied weights")
        was_training = networks[0].training
        graph = _KnownLayers().trace(networks[0].train())
        if str(graph) != str(_KnownLayers().trace(networks[0].eval())):
            raise UnsupportedError("other layers in training than in evaluation")
        traced = fx.GraphModule(networks[0], graph)
        ShapeProp(traced).propagate(
            torch.zeros(2, *input_shape, dtype=parameters[0].dtype, device=parameters[0].device)
        )
        networks[0].train(was_training)
        root = nn.Module()
        self.folded_names: dict[str, str] = {}
        """The folded layer of each layer, by name."""
        for node in graph.nodes:
            _fold(node, networks, layout, root, self.folded_names)
        self.folded = fx.GraphModule(root, graph)
        for name, parameter in networks[0].named_parameters():
            self.find(name).requires_grad_(parameter.requires_grad)

    def forward(self, images: Parts) -> Tensor:
        """Logits ``[replicas, n, c]`` of the images of each group, or of all, ``[n, channels, h, w]``."""
        return self.folded(images)

    def find(self, name: str) -> Any:
        """The folded parameter or buffer that includes the one called ``name`` in each replica."""
        module, _, leaf = name.rpartition(".")
        return getattr(self.folded.get_submodule(self.folded_names[module]), leaf)

    def stacked(self, name: str, shape: torch.Size) -> Tensor:
        """The parameter or buffer called ``name`` in each replica, as a view ``[replicas, *shape]``."""
        folded = self.find(name)
        # All replicas share one counter of batches.
        return folded.view(-1, *shape) if shape else folded.expand(self.replicas)


class _KnownLayers(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in (*_LAYERS, *_CHANNELWISE) or super().is_leaf_module(m, module_qualified_name)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)


class _Proxy(fx.Proxy):
    def __iadd__(self, other: object) -> fx.Proxy:
        # Python would use the plain sum instead, which hides that other names of this value see the change.
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


_LAYERS: dict[type[nn.Module], Callable[[Any, Layout], nn.Module]] = {
    Normalise: folded_layers.Normalise,
    nn.Conv2d: folded_layers.Conv2d,
    nn.BatchNorm2d: folded_layers.BatchNorm2d,
    PaddedShortcut: folded_layers.PaddedShortcut,
    nn.Linear: folded_layers.Linear,
}
# What works on each channel separately works on folded channels unchanged.
_CHANNELWISE = (nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Identity, GlobalAverage)
_CHANNELWISE_FUNCTIONS = (F.relu, torch.relu)
_SUMS = (operator.add, torch.add, operator.iadd)


def _fold(
    node: fx.Node, networks: Sequence[nn.Module], layout: Layout, root: nn.Module, folded_names: dict[str, str]
) -> None:
    """Replaces what a node calls by its folded counterpart, which becomes a child of ``root``."""
    if node.op in ("placeholder", "output"):
        return
    if node.op == "call_module":
        target = str(node.target)
        layers = [network.get_submodule(target) for network in networks]
        kind = type(layers[0])
        if kind in _LAYERS:
            folded = _LAYERS[kind](layers, layout)
        elif kind is nn.Flatten and (layers[0].start_dim, layers[0].end_dim) == (1, -1):
            folded = _flatten(node, layout)
        elif kind in _CHANNELWISE:
            folded = folded_layers.Each(layers[0])
        else:
            raise UnsupportedError(kind.__name__)
        folded_names[target] = target.replace(".", "_")
        root.add_module(folded_names[target], folded)
        node.target = folded_names[target]
        return
    if node.op == "call_function" and node.target in _SUMS and _adds_alike(node):
        _call(node, root, folded_layers.Add(_channels(node.all_input_nodes[0]), layout))
    elif (node.op, node.target) in (("call_function", torch.flatten), ("call_method", "flatten")) and (
        node.args[1:] == (1,) and not node.kwargs
    ):
        _call(node, root, _flatten(node, layout))
    elif node.op == "call_function" and node.target in _CHANNELWISE_FUNCTIONS:
        _call(node, root, folded_layers.Each(cast(Any, node.target)))
    else:
        raise UnsupportedError(str(node.target))


def _adds_alike(node: fx.Node) -> bool:
    """Whether a node adds two values of one shape; the folded sum is a new value, so ``+=`` must be the last use."""
    left, right = node.all_input_nodes if len(node.all_input_nodes) == 2 else (node, node)
    if left is right or node.kwargs or left.meta["tensor_meta"].shape != right.meta["tensor_meta"].shape:
        return False
    return node.target is not operator.iadd or all(user <= node for user in left.users)


def _call(node: fx.Node, root: nn.Module, module: nn.Module) -> None:
    root.add_module(node.name, module)
    node.op, node.target, node.args, node.kwargs = "call_module", node.name, tuple(node.all_input_nodes), {}


def _flatten(node: fx.Node, layout: Layout) -> nn.Module:
    source = node.all_input_nodes[0]
    if len(source.meta["tensor_meta"].shape) == 2:  # flat already
        return nn.Identity()
    return folded_layers.Flatten(_channels(source), layout)


def _channels(node: fx.Node) -> int:
    return node.meta["tensor_meta"].shape[1]
