"""The channels lowering: a network of known layers, rewritten so that its replicas are folded into channels.

The replicas of one seed share images, so the first convolution is wide; later ones are grouped; linear layers are
batched products. Everything stays in channels-last memory. A replica's parameter is a slice of a folded one.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

from osakd.engine.executors.fused.replicas import Layout
from osakd.models.normalise import Normalise
from osakd.models.resnet import GlobalAverage, PaddedShortcut


class NotLowerableError(Exception):
    """The network has a layer or an operation that this lowering does not know."""


class FoldedNetwork(nn.Module):
    """Replicas of one network in one.

    Args:
        networks: the replicas, the ones of a group side by side.
        layout: how many, in how many groups.
        input_shape: channels, height and width of an image.

    Raises:
        NotLowerableError: the network holds something unknown.
    """

    def __init__(self, networks: Sequence[nn.Module], layout: Layout, input_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.replicas = layout.replicas
        parameters = list(networks[0].parameters())
        if len({id(p) for p in parameters}) != sum(
            len(list(m.parameters(recurse=False))) for m in networks[0].modules()
        ):
            raise NotLowerableError("tied weights")
        was_training = networks[0].training
        graph = _KnownLayers().trace(networks[0].train())
        if str(graph) != str(_KnownLayers().trace(networks[0].eval())):
            raise NotLowerableError("other layers in training than in evaluation")
        traced = fx.GraphModule(networks[0], graph)
        ShapeProp(traced).propagate(
            torch.zeros(2, *input_shape, dtype=parameters[0].dtype, device=parameters[0].device)
        )
        networks[0].train(was_training)
        root = nn.Module()
        self.homes: dict[str, str] = {}
        for node in graph.nodes:
            _lower(node, networks, layout, root, self.homes)
        self.folded = fx.GraphModule(root, graph)
        for name, parameter in networks[0].named_parameters():
            self.home(name).requires_grad_(parameter.requires_grad)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[replicas, n, c]`` of folded images ``[n, copies * channels, h, w]``."""
        return self.folded(images)

    def home(self, name: str) -> Any:
        """The folded parameter or buffer that holds what each replica calls ``name``."""
        module, _, leaf = name.rpartition(".")
        return getattr(self.folded.get_submodule(self.homes[module]), leaf)

    def stacked(self, name: str, shape: torch.Size) -> Tensor:
        """The parameter or buffer that replicas call ``name``, as a view ``[replicas, *shape]``."""
        home = self.home(name)
        # A counter of batches is one for all.
        return home.view(-1, *shape) if shape else home.expand(self.replicas)


class _KnownLayers(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in (*_LAYERS, *_CHANNELWISE) or super().is_leaf_module(m, module_qualified_name)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)


class _Proxy(fx.Proxy):
    def __iadd__(self, other: object) -> fx.Proxy:
        # Python would take the plain sum instead, and forget that other names of this value see the change.
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


class _Normalise(nn.Module):
    def __init__(self, layers: Sequence[Normalise], layout: Layout) -> None:
        super().__init__()
        self.layout, self.channels = layout, layers[0].mean.shape[0]
        self.register_buffer("mean", torch.cat([layer.mean for layer in layers]))
        self.register_buffer("std", torch.cat([layer.std for layer in layers]))
        first = layers[0]
        self.equal = all(torch.equal(la.mean, first.mean) and torch.equal(la.std, first.std) for la in layers)

    def forward(self, images: Tensor) -> Tensor:
        copies = images.shape[1] // self.channels
        if copies == 1 and not self.equal:
            images, copies = self.layout.spread(images, self.channels, self.layout.groups), self.layout.groups
        # The replicas of a group have the same statistics: every (replicas / copies)-th one speaks for its group.
        every = self.layout.replicas // copies
        shape = (self.layout.replicas, self.channels, 1, 1)
        mean, std = (cast(Tensor, b).view(shape)[::every].reshape(-1, 1, 1) for b in (self.mean, self.std))
        return (images - mean) / std


class _Conv2d(nn.Module):
    def __init__(self, layers: Sequence[nn.Conv2d], layout: Layout) -> None:
        super().__init__()
        first = layers[0]
        if first.padding_mode != "zeros":
            raise NotLowerableError(f"padding mode {first.padding_mode!r}")
        self.layout, self.channels, self.inner_groups = layout, first.in_channels, first.groups
        self.stride, self.padding, self.dilation = first.stride, first.padding, first.dilation
        weight = torch.cat([layer.weight.detach() for layer in layers])
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        biases = [layer.bias for layer in layers if layer.bias is not None]
        self.bias = nn.Parameter(torch.cat([bias.detach() for bias in biases])) if biases else None

    def forward(self, images: Tensor) -> Tensor:
        copies = images.shape[1] // self.channels
        if self.inner_groups > 1 and copies != self.layout.replicas:
            images, copies = self.layout.spread(images, self.channels, self.layout.replicas), self.layout.replicas
        return F.conv2d(
            images, self.weight, self.bias, self.stride, self.padding, self.dilation, self.inner_groups * copies
        )


class _BatchNorm2d(nn.BatchNorm2d):
    def __init__(self, layers: Sequence[nn.BatchNorm2d], layout: Layout) -> None:
        first = layers[0]
        if first.momentum is None:
            raise NotLowerableError("BatchNorm2d without momentum")
        super().__init__(
            layout.replicas * first.num_features, first.eps, first.momentum, first.affine, first.track_running_stats
        )
        self.layout, self.channels = layout, first.num_features
        for name, tensor in [*first.named_parameters(), *first.named_buffers()]:
            if tensor.ndim:
                stacked = torch.cat(
                    [
                        layer.get_parameter(name) if name in first._parameters else layer.get_buffer(name)
                        for layer in layers
                    ]
                )
                getattr(self, name).data = stacked.detach().clone()
        self.num_batches_tracked = (
            cast(Tensor, first.num_batches_tracked).clone() if first.track_running_stats else None
        )

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of the class it extends
        return super().forward(self.layout.spread(input, self.channels, self.layout.replicas))


class _PaddedShortcut(nn.Module):
    def __init__(self, layers: Sequence[PaddedShortcut], layout: Layout) -> None:  # noqa: ARG002 - as its siblings
        super().__init__()
        self.layer = layers[0]

    def forward(self, images: Tensor) -> Tensor:
        layer = self.layer
        # Channels last, so that the result is: padding a middle dimension would lay it out anew.
        pixels = images[:, :, :: layer.stride, :: layer.stride].permute(0, 2, 3, 1)
        padded = F.pad(pixels.unflatten(3, (-1, layer.in_channels)), (layer.before, layer.behind))
        return padded.flatten(3).permute(0, 3, 1, 2)


class _Linear(nn.Module):
    def __init__(self, layers: Sequence[nn.Linear], layout: Layout) -> None:
        super().__init__()
        self.replicas = layout.replicas
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        biases = [layer.bias for layer in layers if layer.bias is not None]
        self.bias = nn.Parameter(torch.stack([bias.detach() for bias in biases])) if biases else None

    def forward(self, features: Tensor) -> Tensor:
        if features.ndim != 3:
            raise NotLowerableError("a linear layer on images")
        weight = self.weight.transpose(1, 2)
        return features @ weight if self.bias is None else torch.baddbmm(self.bias[:, None], features, weight)


class _Flatten(nn.Module):
    def __init__(self, channels: int, layout: Layout) -> None:
        super().__init__()
        self.channels, self.layout = channels, layout

    def forward(self, images: Tensor) -> Tensor:
        images = self.layout.spread(images, self.channels, self.layout.replicas)
        n, _, height, width = images.shape
        return images.reshape(n, self.layout.replicas, self.channels * height * width).transpose(0, 1)


class _Add(nn.Module):
    def __init__(self, channels: int, layout: Layout) -> None:
        super().__init__()
        self.channels, self.layout = channels, layout

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        if left.ndim == 4:
            left, right = (self.layout.spread(side, self.channels, self.layout.replicas) for side in (left, right))
        return left + right


_LAYERS: dict[type[nn.Module], Callable[[Any, Layout], nn.Module]] = {
    Normalise: _Normalise,
    nn.Conv2d: _Conv2d,
    nn.BatchNorm2d: _BatchNorm2d,
    PaddedShortcut: _PaddedShortcut,
    nn.Linear: _Linear,
}
# What works on each channel by itself is the same on folded ones.
_CHANNELWISE = (nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Identity, GlobalAverage)
_CHANNELWISE_FUNCTIONS = (F.relu, torch.relu)
_SUMS = (operator.add, torch.add, operator.iadd)


def _lower(
    node: fx.Node, networks: Sequence[nn.Module], layout: Layout, root: nn.Module, homes: dict[str, str]
) -> None:
    """Replaces what a node calls by its folded counterpart, kept in ``root``."""
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
            folded = layers[0]
        else:
            raise NotLowerableError(kind.__name__)
        homes[target] = target.replace(".", "_")
        root.add_module(homes[target], folded)
        node.target = homes[target]
        return
    if node.op == "call_function" and node.target in _SUMS and _adds_alike(node):
        _call(node, root, _Add(_channels(node.all_input_nodes[0]), layout))
    elif (node.op, node.target) in (("call_function", torch.flatten), ("call_method", "flatten")) and (
        node.args[1:] == (1,) and not node.kwargs
    ):
        _call(node, root, _flatten(node, layout))
    elif node.op != "call_function" or node.target not in _CHANNELWISE_FUNCTIONS:
        raise NotLowerableError(str(node.target))


def _adds_alike(node: fx.Node) -> bool:
    """Whether it adds two values of one shape; the folded sum is a new value, so ``+=`` must be the last use."""
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
    return _Flatten(_channels(source), layout)


def _channels(node: fx.Node) -> int:
    return node.meta["tensor_meta"].shape[1]
