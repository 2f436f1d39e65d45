"""The vmap lowering: replicas of any network, their parameters stacked, mapped over groups and within groups."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from osakd.engine.executors.fused.replicas import Layout, Parts


class MappedNetwork(nn.Module):
    """Replicas of one network in one.

    Args:
        networks: the replicas, the ones of a group side by side.
        layout: how many, in how many groups.
        input_shape: channels, height and width of an image.
    """

    def __init__(self, networks: Sequence[nn.Module], layout: Layout, input_shape: tuple[int, int, int]) -> None:  # noqa: ARG002 - a lowering's interface
        super().__init__()
        self.layout = layout
        parameters, buffers = stack_module_state(list(networks))
        self.names = {name.replace(".", "/"): name for name in [*parameters, *buffers]}
        for key, name in self.names.items():
            if name in parameters:
                self.register_parameter(key, nn.Parameter(parameters[name].detach()))
            else:
                self.register_buffer(key, buffers[name])
        for name, parameter in networks[0].named_parameters():
            self.home(name).requires_grad_(parameter.requires_grad)
        # Kept out of the list of children: its own parameters are not ours.
        self._skeleton = [networks[0]]

    def forward(self, images: Parts) -> Tensor:
        """Logits ``[replicas, n, c]`` of the images of each group, or of all, ``[n, channels, h, w]``."""
        state = {name: getattr(self, key).unflatten(0, (self.layout.groups, -1)) for key, name in self.names.items()}
        per_group = vmap(self._one, in_dims=(0, None))
        if len(images) == 1:
            return vmap(per_group, in_dims=(0, None))(state, images[0]).flatten(0, 1)
        return vmap(per_group, in_dims=(0, 0))(state, torch.stack(images)).flatten(0, 1)

    def home(self, name: str) -> Any:
        """The stacked parameter or buffer that holds what each replica calls ``name``."""
        return getattr(self, name.replace(".", "/"))

    def stacked(self, name: str, shape: torch.Size) -> Tensor:
        """The parameter or buffer that replicas call ``name``, as a view ``[replicas, *shape]``."""
        return self.home(name).view(-1, *shape)

    def _one(self, state: dict[str, Tensor], images: Tensor) -> Tensor:
        return functional_call(self._skeleton[0].train(self.training), state, (images,))
