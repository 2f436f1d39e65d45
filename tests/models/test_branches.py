"""Networks as trunk and head."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from osakd.errors import InputError
from osakd.models.branches import channels_at, head, run, shared_stage, stages_of
from osakd.models.build import build_model
from osakd.models.registry import MODELS


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("resnet50", "resnet110", "resnet110-conv")])
def test_every_network_can_be_cut_at_every_stage(name: str) -> None:
    shape = (1, 8, 8) if name == "lenet-digits" else (1, 28, 28) if name == "lenet-fashion" else (3, 32, 32)
    network = build_model(name, num_classes=5, input_shape=shape).eval()
    images = torch.rand(2, *shape)
    with torch.no_grad():
        expected = network(images)
        for stage in stages_of(network):
            features = run(network, images, until=stage)
            assert features.shape[1] == channels_at(network, stage, shape)
            torch.testing.assert_close(run(network, features, after=stage), expected)
            torch.testing.assert_close(head(network, stage)(features), expected)
    assert shared_stage(network, None) == stages_of(network)[-2]


def test_channels_are_found_without_touching_the_network() -> None:
    network = build_model("resnet8", num_classes=5, input_shape=(3, 8, 8))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert channels_at(network, "stage2", (3, 8, 8)) == 32
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


class Skips(nn.Sequential):
    """More than its children in order."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name, child in self.named_children():
            x = x + child(x) if name == "stage2" else child(x)
        return x


def test_a_network_that_is_more_than_its_children_is_refused() -> None:
    conv = [nn.Conv2d(channels, 4, 3, padding=1) for channels in (1, 4, 4)]
    parts = {"stage1": conv[0], "stage2": conv[1], "stage3": conv[2], "flatten": nn.Flatten(), "fc": nn.Linear(64, 2)}
    for kind, fine in ((nn.Sequential, True), (Skips, False)):
        network = nn.Sequential(OrderedDict(normalise=nn.Identity(), network=kind(OrderedDict(parts))))
        if fine:
            assert channels_at(network, "stage2", (1, 4, 4)) == 4
        else:
            with pytest.raises(InputError, match="does more than its children in order"):
                channels_at(network, "stage2", (1, 4, 4))
    flat = nn.Sequential(OrderedDict(stage1=nn.Flatten(), stage2=nn.Linear(16, 4), stage3=nn.Linear(4, 2)))
    with pytest.raises(InputError, match=r"Branches need maps .* but the stage 'stage2' gives 2 axes"):
        channels_at(nn.Sequential(OrderedDict(normalise=nn.Identity(), network=flat)), "stage2", (1, 4, 4))


def test_a_network_without_stages_is_refused() -> None:
    hidden = nn.Sequential(OrderedDict(normalise=nn.Identity(), network=nn.Linear(3, 2)))
    with pytest.raises(InputError, match=r"does not show its stages: .* called stage1, stage2"):
        stages_of(hidden)
    network = build_model("resnet8", num_classes=5, input_shape=(3, 8, 8))
    with pytest.raises(InputError, match="Unknown stage 'stage4'; did you mean 'stage"):
        shared_stage(network, "stage4")
    with pytest.raises(InputError, match="Branches need a stage of their own behind the shared ones"):
        shared_stage(network, "stage3")
