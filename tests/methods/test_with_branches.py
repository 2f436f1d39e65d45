"""ONE and FFL: losses against loops, gradients where they should flow, what is shared and what is deployed."""

import copy
import math

import pytest
import torch
from torch import Tensor

from osakd.errors import InputError
from osakd.methods.ffl import FeatureFusion, Fusion
from osakd.methods.one import NativeEnsemble
from osakd.methods.settings.networks import FFLSettings, ONESettings
from osakd.models.branches import run
from tests.methods.made import N, batch, context, cross_entropy, divergence, gradients, staged

SHAPE = (1, 4, 4)


def native(num_classes: int = 3, branches: int = 2) -> NativeEnsemble:
    torch.manual_seed(0)
    settings = ONESettings(branches=branches, share="stage2", ramp_end=0.5)
    return NativeEnsemble(settings, context(lambda _: staged(num_classes), num_classes=num_classes, input_shape=SHAPE))


def fused(num_classes: int = 3, *, shared: bool = True) -> FeatureFusion:
    """Without a shared trunk the second network is smaller."""
    torch.manual_seed(0)
    settings = FFLSettings(shared=shared, share="stage2" if shared else None, peer=None if shared else "", ramp_end=0.5)
    return FeatureFusion(
        settings,
        context(
            lambda name: staged(num_classes, width=4 if name is None else 3),
            num_classes=num_classes,
            input_shape=SHAPE,
        ),
    )


def weight(progress: float) -> float:
    return math.exp(-5 * (1 - min(progress / 0.5, 1)) ** 2)


@pytest.mark.parametrize(("num_classes", "branches", "progress"), [(2, 2, 0.0), (3, 3, 0.25), (3, 2, 0.9)])
def test_one_is_its_equation(num_classes: int, branches: int, progress: float) -> None:
    method = native(num_classes, branches)
    given = batch(num_classes, progress=progress, shape=SHAPE)
    terms = method(given)
    again = copy.deepcopy(method)
    features = run(again.network, given.images, until="stage2")
    logits = [run(again.network, features, after="stage2"), *(one(features) for one in again.heads)]
    pooled = torch.tensor([[row.mean().item() for row in image] for image in features.detach()])
    gates = again.gate(pooled).detach().exp()
    gated = torch.zeros(N, num_classes)
    for row in range(N):
        for number in range(branches):
            gated[row] += gates[row, number] / gates[row].sum() * logits[number][row].detach()
    expected = cross_entropy(gated, given.target)
    for one in logits:
        expected += cross_entropy(one, given.target) + weight(progress) * 9 * divergence(gated, one, 3.0)
    assert terms.total.item() == pytest.approx(expected, rel=1e-4)
    assert torch.equal(terms.logits, logits[0])
    assert {"hard_gated", "soft", "weighted_soft", "soft_2"} <= set(terms.parts)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("num_classes", "progress"), [(2, 0.0), (3, 0.25), (3, 0.9)])
def test_ffl_is_its_equation(num_classes: int, progress: float, shared: bool) -> None:
    method = fused(num_classes, shared=shared)
    given = batch(num_classes, progress=progress, shape=SHAPE)
    terms = method(given)
    again = copy.deepcopy(method)
    trunk = run(again.network, given.images, until="stage2")
    first = run(again.network, trunk, after="stage2", until="stage3")
    second = run(again.other, trunk if shared else given.images, until="stage3")
    one, two = run(again.network, first, after="stage3"), run(again.other, second, after="stage3")
    z = again.fusion(first, second)
    mean = (one + two) / 2
    expected = sum(cross_entropy(logits, given.target) for logits in (one, two, z))
    soft = divergence(z, one, 3.0) + divergence(z, two, 3.0) + divergence(mean, z, 3.0)
    assert terms.total.item() == pytest.approx(expected + weight(progress) * 9 * soft, rel=1e-4)
    assert {"hard", "hard_2", "hard_fused", "soft_fused", "weighted_soft_fused"} <= set(terms.parts)


def test_soft_targets_are_constants() -> None:
    """The gate learns from its own cross-entropy alone, whatever the weight of the soft terms; so does the fusion."""
    for method, part, term in ((native(), "gate", "hard_gated"), (fused(), "fusion", "hard_fused")):
        given = batch(progress=0.9, shape=SHAPE)
        found = gradients(method, given)
        alone = copy.deepcopy(method)
        alone.zero_grad()
        outputs = alone._outputs(given.images)
        classifier = outputs[-1]
        loss = torch.nn.functional.cross_entropy(classifier, given.target)
        assert loss.item() == pytest.approx(method(given).parts[term].item())
        if part == "fusion":  # it learns from the mean of the sub-networks too
            mean = ((outputs[0] + outputs[1]) / 2).detach()
            p, q = (classifier / 3).log_softmax(1), (mean / 3).log_softmax(1)
            loss = loss + 9 * (q.exp() * (q - p)).sum(1).mean()
        loss.backward()
        for name, parameter in alone.get_submodule(part).named_parameters():
            torch.testing.assert_close(found[f"{part}.{name}"], parameter.grad)


@pytest.mark.parametrize("method", [native(), native(branches=3), fused(), fused(shared=False)])
def test_everything_learns(method: NativeEnsemble | FeatureFusion) -> None:
    found = gradients(method, batch(progress=0.9, shape=SHAPE))
    assert None not in found.values()
    # A bias before BatchNorm has a gradient of 0 but for rounding.
    assert all(gradient.abs().sum() > 0 for name, gradient in found.items() if name.endswith("weight"))


def test_the_trunk_is_shared_and_runs_once() -> None:
    calls: list[Tensor] = []
    for method in (native(), fused()):
        calls.clear()
        method.network.get_submodule("network.stage1").register_forward_hook(lambda *given: calls.append(given[2]))
        method(batch(shape=SHAPE))
        assert len(calls) == 1


def test_the_deployed_network_is_whole_by_itself() -> None:
    for method in (native(), fused(), fused(shared=False)):
        images = batch(shape=SHAPE).images
        predicted = method.eval().predict(images)
        torch.testing.assert_close(predicted["student"], method.network(images))
    assert list(native(branches=3).predict(images)) == ["student", "branch2", "branch3", "ensemble", "gated"]
    assert list(predicted) == ["student", "branch2", "ensemble", "fused"]


def test_maps_of_two_sizes_are_not_fused() -> None:
    with pytest.raises(InputError, match="must be of one size to be fused, got 4x4 and 2x2"):
        Fusion((2, 2), 3)(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 2, 2))


def test_the_fusion_module_has_its_own_weight_decay() -> None:
    assert fused().weight_decays() == {"fusion": 1e-5}
    assert native().weight_decays() == {}
