"""The soft terms against loops and hand-made values."""

import math

import pytest
import torch

from osakd.errors import InputError
from osakd.losses.distillation import distillation_loss, ramp


def by_loops(logits: list[list[float]], targets: list[list[float]], temperature: float, form: str) -> float:
    total = 0.0
    for z, t in zip(logits, targets, strict=True):
        p = [math.exp(value / temperature) / sum(math.exp(v / temperature) for v in z) for value in z]
        q = [math.exp(value / temperature) / sum(math.exp(v / temperature) for v in t) for value in t]
        for one, other in zip(p, q, strict=True):
            total += other * (math.log(other / one) if form == "kl" else -math.log(one))
    return temperature**2 * total / len(logits)


@pytest.mark.parametrize("form", ["kl", "cross_entropy"])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("num_classes", [2, 7])
def test_equals_loops(form: str, temperature: float, num_classes: int) -> None:
    logits, targets = torch.randn(2, 5, num_classes, dtype=torch.float64)
    found = distillation_loss(logits, targets, temperature=temperature, form=form)  # type: ignore[arg-type] - a str
    assert found.item() == pytest.approx(by_loops(logits.tolist(), targets.tolist(), temperature, form))


def test_both_forms_have_one_gradient_and_none_flows_into_the_targets() -> None:
    gradients = []
    for form in ("kl", "cross_entropy"):
        generator = torch.Generator().manual_seed(0)
        logits = torch.randn(4, 3, generator=generator, requires_grad=True)
        targets = torch.randn(4, 3, generator=generator, requires_grad=True)
        distillation_loss(logits, targets, temperature=2.0, form=form).backward()
        assert targets.grad is None
        gradients.append(logits.grad)
    torch.testing.assert_close(*gradients)


def test_the_gradient_keeps_its_size_as_the_temperature_grows() -> None:
    """That is what the square of the temperature is for."""
    sizes = []
    for temperature in (4.0, 40.0):
        logits = torch.tensor([[1.0, 0.0, -1.0]], requires_grad=True)
        distillation_loss(logits, torch.tensor([[0.0, 1.0, 0.0]]), temperature=temperature).backward()
        assert logits.grad is not None
        sizes.append(logits.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.1)


def test_half_types_are_compared_in_float32() -> None:
    found = distillation_loss(torch.zeros(2, 3).bfloat16(), torch.ones(2, 3).bfloat16())
    assert found.dtype == torch.float32


@pytest.mark.unchecked
def test_values_out_of_range_are_named() -> None:
    with pytest.raises(InputError, match=r"`temperature` must be above 0, got 0"):
        distillation_loss(torch.zeros(1, 2), torch.zeros(1, 2), temperature=0)
    with pytest.raises(InputError, match=r"[Uu]nknown form 'mse'"):
        distillation_loss(torch.zeros(1, 2), torch.zeros(1, 2), form="mse")  # type: ignore[arg-type] - on purpose


def test_ramp() -> None:
    """One at its end and after; at the start exp(-5)."""
    end = 80 / 300
    for progress, expected in ((0.0, math.exp(-5)), (end / 2, math.exp(-1.25)), (end, 1.0), (1.0, 1.0)):
        assert ramp(torch.tensor(progress), end).item() == pytest.approx(expected)
