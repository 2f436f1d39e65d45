"""The loss takes what ``nn.CrossEntropyLoss`` takes, with the same meaning: ignored samples, class weights, label
smoothing, reductions, class probabilities, further dimensions, masked classes; and refuses the rest in one sentence."""

import copy
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from osakd import OSAKDLoss, OutputMemory, knn_posterior
from osakd.errors import InputError

C, N = 4, 12


def with_constant_weight(**options: Any) -> OSAKDLoss:
    """Neighbours of random logits know nothing of the classes: weighted by that, the soft term would not be seen."""
    return OSAKDLoss(C, reliability=False, **options)


def batch(seed: int = 0, *shape: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(N, C, *shape, generator=generator, dtype=dtype)
    return logits, torch.randint(C, (N, *shape), generator=generator)


def mixed(target: Tensor, seed: int = 1) -> Tensor:
    """Class probabilities, as mixup makes them."""
    one_hot = nn.functional.one_hot(target, C).movedim(-1, 1).double()
    return 0.7 * one_hot + 0.3 * one_hot.roll(seed, 0)


OPTIONS = [
    {"reduction": reduction, "label_smoothing": smoothing, "weight": weight}
    for reduction, smoothing, weight in itertools.product(
        ("mean", "sum", "none"), (0.0, 0.1), (None, torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64))
    )
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", ["indices", "ignored", "probabilities"])
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_without_the_soft_term_it_is_cross_entropy(options: dict[str, Any], kind: str, shape: tuple[int, ...]) -> None:
    logits, target = batch(0, *shape)
    if kind == "ignored":
        target[::3] = -100
    given = mixed(target) if kind == "probabilities" else target
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    found = with_constant_weight(k=3, soft_weight=0.0, **options)(ours, given)
    expected = nn.CrossEntropyLoss(**options)(theirs, given)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("divergence", ["kl", "mse", "mse_sum"])
def test_the_soft_term_is_weighted_and_reduced_as_the_hard_one(divergence: Any) -> None:
    """By loops over the samples."""
    logits, target = batch()
    target[[1, 5]] = -100
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    loss = with_constant_weight(k=3, soft_weight=0.9, divergence=divergence, weight=weight)
    soft_labels = loss.soft_labels(logits, target)
    expected = total = 0.0
    for row, label in enumerate(target.tolist()):
        if label == -100:
            continue
        p = logits[row].softmax(0).tolist()
        q = soft_labels[row].tolist()
        squares = [(a - b) ** 2 for a, b in zip(p, q, strict=True)]
        kl = sum(b * math.log(b / a) for a, b in zip(p, q, strict=True) if b)
        soft = {"kl": kl, "mse": sum(squares) / C, "mse_sum": sum(squares)}[divergence]
        expected += weight[label].item() * (0.9 * soft - math.log(p[label]))
        total += weight[label].item()
    assert loss(logits, target).item() == pytest.approx(expected / total)
    none = with_constant_weight(k=3, soft_weight=0.9, divergence=divergence, weight=weight, reduction="none")(
        logits, target
    )
    assert none.shape == (N,)
    assert none[[1, 5]].tolist() == [0, 0]
    assert none.sum().item() == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_an_ignored_sample_has_no_gradient_and_no_vote(dtype: torch.dtype) -> None:
    logits, target = batch()
    target = target.to(dtype)
    ignored = target.clone()
    ignored[4] = -100
    kept = [row for row in range(N) if row != 4]
    whole = logits.clone().requires_grad_()
    without = logits[kept].clone().requires_grad_()
    loss, same = (
        with_constant_weight(k=3)(whole, ignored),
        with_constant_weight(k=3)(without, target[kept]),
    )
    torch.testing.assert_close(loss, same)
    loss.backward()
    same.backward()
    assert whole.grad is not None
    assert whole.grad[4].tolist() == [0] * C
    torch.testing.assert_close(whole.grad[kept], without.grad)


def test_an_ignored_sample_is_not_remembered() -> None:
    logits, target = batch(dtype=torch.float32)
    target[2] = -100
    loss = with_constant_weight(k=3, memory=OutputMemory(N, C))
    loss(logits, target, torch.arange(N))
    assert loss.memory is not None
    assert loss.memory.valid.tolist() == [row != 2 for row in range(N)]


def test_soft_labels_of_probabilities_are_fractional_votes() -> None:
    logits, target = batch()
    given = mixed(target)
    found = with_constant_weight(k=3, pseudo_count=0.0).soft_labels(logits, given)
    points = logits.softmax(1)
    for row in range(N):
        nearest = sorted(range(N), key=lambda other: (((points[row] - points[other]) ** 2).sum().item(), other))[:3]
        torch.testing.assert_close(found[row], sum(given[other] for other in nearest) / 3)
    one_hot = nn.functional.one_hot(target, C).double()
    torch.testing.assert_close(with_constant_weight(k=3)(logits, one_hot), with_constant_weight(k=3)(logits, target))


def test_every_position_of_an_image_is_a_sample() -> None:
    logits, target = batch(0, 2, 3)
    flat, labels = logits.movedim(1, -1).reshape(-1, C), target.reshape(-1)
    torch.testing.assert_close(with_constant_weight(k=5)(logits, target), with_constant_weight(k=5)(flat, labels))
    none = with_constant_weight(k=5, reduction="none")(logits, target)
    assert none.shape == target.shape
    torch.testing.assert_close(none.mean(), with_constant_weight(k=5)(flat, labels))


SPECIAL = [0.0, -math.inf, math.inf, math.nan, 1e30, -1e30]


@pytest.mark.parametrize("space", ["softmax", "logits"])
@pytest.mark.parametrize("divergence", ["kl", "mse", "mse_sum"])
@pytest.mark.parametrize("value", SPECIAL)
def test_it_is_finite_where_cross_entropy_is(value: float, divergence: Any, space: Any) -> None:
    logits, target = batch()
    target = torch.where(target == 1, 0, target)
    logits[::2, 1] = value  # a class that no sample has
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    found = with_constant_weight(k=3, divergence=divergence, space=space)(ours, target)
    expected = nn.CrossEntropyLoss()(theirs, target)
    assert found.isfinite() == expected.isfinite()
    if expected.isfinite():
        found.backward()
        assert ours.grad is not None
        assert ours.grad.isfinite().all()


def test_a_class_that_one_sample_masks_may_be_its_neighbours_class() -> None:
    logits = torch.zeros(4, 3, dtype=torch.float64)
    logits[0, 2] = -math.inf
    logits.requires_grad_()
    loss = OSAKDLoss(3, k=4, reliability=False)(logits, torch.tensor([0, 2, 2, 2]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("label", [-1, 4, 100, -101])
def test_classes_out_of_range_are_refused(label: int) -> None:
    logits, target = batch()
    target[3] = label
    with pytest.raises(InputError, match=rf"`target` must hold class indices from 0 to 3, or -100 .*got {label}:"):
        with_constant_weight(k=3)(logits, target)
    with pytest.raises(InputError, match=rf"`target` must hold class indices from 0 to 3, got {label}:"):
        knn_posterior(logits, logits, target, num_classes=C, k=3)
    valid = torch.arange(N) != 3
    assert (
        knn_posterior(logits, logits, target, num_classes=C, k=3, valid=valid).sum(1).allclose(torch.ones(1).double())
    )


@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        ([[0.0, 1.0]] * 4, torch.zeros(4).long(), "`logits` must be a tensor, got list"),
        (torch.zeros(4, 2), [0, 1, 0, 1], "`target` must be a tensor, got list"),
        (torch.zeros(4, 2), np.zeros(4), "`target` must be a tensor, got ndarray: convert it with torch.as_tensor"),
        (torch.zeros(4, 2), torch.zeros(3).long(), r"`target` must be class indices of shape \[4\], got \[3\]"),
        (torch.zeros(4, 2), torch.zeros(4), r"`target` must be class probabilities of shape \[4, 2\], got \[4\]"),
        (torch.zeros(4), torch.zeros(4).long(), r"`logits` must be of shape \[n, 2\], got \[4\]"),
    ],
)
@pytest.mark.unchecked
def test_what_is_no_batch_is_refused(logits: Any, target: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        OSAKDLoss(2, k=2)(logits, target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 3.5}, "`k` must be a whole number, got 3.5"),
        ({"k": True}, "`k` must be a whole number, got True"),
        ({"num_classes": "3"}, "`num_classes` must be a whole number, got '3'"),
        ({"label_smoothing": 1.5}, "`label_smoothing` .* at most 1, got 1.5"),
        ({"reduction": "batchmean"}, "Unknown reduction 'batchmean'"),
        ({"weight": torch.ones(2)}, r"`weight` must be of shape \[3\], got \[2\]"),
    ],
)
@pytest.mark.unchecked
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        OSAKDLoss(**{"num_classes": 3} | options)
    assert OSAKDLoss(np.int64(3), k=np.int32(2)).k == 2  # type: ignore[arg-type] - NumPy's integers are integers


@pytest.mark.unchecked
def test_an_index_belongs_to_each_sample() -> None:
    logits, target = batch(dtype=torch.float32)
    loss = with_constant_weight(k=3, memory=OutputMemory(N, C))
    with pytest.raises(InputError, match=r"`index` must hold one index per sample \(12\), got 3"):
        loss(logits, target, torch.arange(3))
    with pytest.raises(InputError, match="A memory holds class indices, but `target` has class probabilities"):
        loss(logits, mixed(target), torch.arange(N))


def test_other_data_cannot_overwrite_the_training_set() -> None:
    logits, target = batch(dtype=torch.float32)
    loss = with_constant_weight(k=3, memory=OutputMemory(N, C))
    loss(logits, target, torch.arange(N))
    before = copy.deepcopy(loss.state_dict())
    with pytest.raises(InputError, match=r"for other data call loss.eval\(\) first"):
        loss(logits, target)
    with pytest.raises(InputError, match=r"`index` must lie between 0 and 11 .*got 12: .*loss.eval\(\)"):
        loss(logits, target, torch.arange(N) + 1)
    with pytest.raises(InputError, match=r"`index` must lie between 0 and 11 .*got -1"):
        loss(logits, target, torch.arange(N) - 1)
    changed = target.clone()
    changed[5] = (target[5] + 1) % C
    with pytest.raises(InputError, match=f"Sample 5 had class {target[5]} and now has class {changed[5]}"):
        loss(logits, changed, torch.arange(N))
    loss.eval()
    loss(logits, target)
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_loss_in_half_precision_has_class_weights(dtype: torch.dtype) -> None:
    logits, target = batch(0, dtype=torch.float32)
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0])
    found = OSAKDLoss(C, 3, weight=weight).to(dtype)(logits.to(dtype), target)
    torch.testing.assert_close(
        found, OSAKDLoss(C, 3, weight=weight)(logits.to(dtype).float(), target), atol=0, rtol=1e-3
    )
    with torch.autocast("cpu", torch.bfloat16):
        ours = with_constant_weight(k=3, weight=weight)(logits, mixed(target).float())
    torch.testing.assert_close(ours, with_constant_weight(k=3, weight=weight)(logits, mixed(target).float()))


@pytest.mark.parametrize(
    "index",
    [torch.zeros(N), torch.arange(N)[:, None], torch.ones(N, dtype=torch.bool), torch.arange(N).byte()],
    ids=["floats", "a column", "a mask", "bytes"],
)
@pytest.mark.unchecked
def test_an_index_that_numbers_no_samples_is_refused(index: Tensor) -> None:
    logits, target = batch(0, dtype=torch.float32)
    with pytest.raises(InputError, match=r"`index` must be of shape \[12\] and type int64, got"):
        OSAKDLoss(C, 3, memory=OutputMemory(N, C))(logits, target, index)
