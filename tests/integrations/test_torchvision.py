"""The policies of torchvision itself, where it can be imported: it must be built for the installed torch."""

from typing import get_args

import pytest
import torch

from osakd.data.policies import PolicyName, build_policy

try:
    import torchvision  # noqa: F401 - whether it works
except Exception as error:  # it raises anything where it does not fit torch
    pytest.skip(f"torchvision cannot be imported ({error})", allow_module_level=True)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", get_args(PolicyName))
def test_each_policy_augments_alike_by_seed(name: str, channels: int) -> None:
    images = torch.randint(256, (16, 9, 12, channels), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    policy, seeds = build_policy([name], (9, 12)), torch.arange(16)
    found = policy(images, seeds)
    assert (found.shape, found.dtype) == (images.shape, torch.uint8)
    assert not torch.equal(found, images)
    assert torch.equal(found[3:5], policy(images[3:5], seeds[3:5]))
