import math
import pickle
from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from osakd import OSAKDLoss, OutputMemory, osakd_loss
from osakd.errors import InputError
from osakd.labels.ceiling import usual_pseudo_count
from osakd.losses.terms import BALANCES, DIVERGENCES, loss_parts

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]], dtype=torch.float64)
CLASSES = torch.tensor([0, 2])
SOFT_LABELS = torch.tensor([[0.75, 0.25, 0.0], [0.0, 0.5, 0.5]], dtype=torch.float64)


def reference(
    logits: list[list[float]], target: list[int], soft: list[list[float]], weight: float, divergence: str, balance: str
) -> float:
    """The loss by loops over samples and classes."""
    hard_total = soft_total = 0.0
    for row, label, labels in zip(logits, target, soft, strict=True):
        total = sum(exp(value) for value in row)
        p = [exp(value) / total for value in row]
        hard_total -= log(p[label])
        for q_j, p_j in zip(labels, p, strict=True):
            if divergence == "kl":
                soft_total += q_j * (log(q_j) - log(p_j)) if q_j > 0 else 0.0
            else:
                soft_total += (p_j - q_j) ** 2
    n = len(logits)
    hard, distance = hard_total / n, soft_total / n
    if divergence == "mse":
        distance /= len(logits[0])
    return {
        "additive": hard + weight * distance,
        "convex": (1 - weight) * hard + weight * distance,
        "convex_reversed": weight * hard + (1 - weight) * distance,
    }[balance]


@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_equals_the_loops(divergence: str, balance: str) -> None:
    found = osakd_loss(LOGITS, CLASSES, SOFT_LABELS, soft_weight=0.7, divergence=divergence, balance=balance)
    expected = reference(LOGITS.tolist(), CLASSES.tolist(), SOFT_LABELS.tolist(), 0.7, divergence, balance)
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_a_value_to_check_by_hand() -> None:
    # p = (1/2, 1/2): CE = ln 2, KL((1, 0) || p) = ln 2, squared errors 1/4 + 1/4.
    logits, target, soft_labels = torch.zeros(1, 2), torch.tensor([1]), torch.tensor([[1.0, 0.0]])
    assert osakd_loss(logits, target, soft_labels, soft_weight=1.0).item() == pytest.approx(2 * log(2))
    assert osakd_loss(logits, target, soft_labels, soft_weight=1.0, divergence="mse").item() == pytest.approx(
        log(2) + 0.25
    )
    assert osakd_loss(logits, target, soft_labels, soft_weight=1.0, divergence="mse_sum").item() == pytest.approx(
        log(2) + 0.5
    )


def test_kl_is_not_averaged_over_the_classes_too() -> None:
    p = LOGITS.log_softmax(1)
    expected = F.kl_div(p, SOFT_LABELS, reduction="batchmean")
    found = loss_parts(LOGITS, CLASSES, SOFT_LABELS, soft_weight=1.0, divergence="kl", balance="additive").soft
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_gradients(divergence: str) -> None:
    logits = LOGITS.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: osakd_loss(z, CLASSES, SOFT_LABELS, divergence=divergence), logits)


def test_no_gradient_flows_into_the_soft_labels() -> None:
    soft_labels = SOFT_LABELS.clone().requires_grad_()
    logits = LOGITS.clone().requires_grad_()
    osakd_loss(logits, CLASSES, soft_labels).backward()
    assert soft_labels.grad is None


def test_parts_add_up() -> None:
    parts = loss_parts(LOGITS, CLASSES, SOFT_LABELS, soft_weight=0.9, divergence="kl", balance="convex")
    torch.testing.assert_close(parts.weighted_hard, 0.1 * parts.hard)
    torch.testing.assert_close(parts.weighted_soft, 0.9 * parts.soft)
    torch.testing.assert_close(parts.total, parts.weighted_hard + parts.weighted_soft)


@given(st.integers(0, 10**6), st.integers(2, 6), st.integers(3, 20))
def test_without_weight_it_is_cross_entropy(seed: int, c: int, n: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, c, generator=generator, requires_grad=True)
    target = torch.randint(c, (n,), generator=generator)
    loss = OSAKDLoss(c, k=2, reliability=False, soft_weight=0.0)(logits, target)
    torch.testing.assert_close(loss, F.cross_entropy(logits, target))


def test_module_is_labels_then_loss() -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(30, 4)))
    target = torch.from_numpy(rng.integers(4, size=30))
    loss = OSAKDLoss(4, 5, 0.4, reliability=False, divergence="mse_sum", include_self=False)
    terms = loss.terms(logits, target)
    points = logits.softmax(1)
    expected = []
    for row in range(30):
        order = sorted((((points[row] - points[o]) ** 2).sum().item(), o) for o in range(30) if o != row)
        expected.append(np.bincount([int(target[o]) for _, o in order[:5]], minlength=4))
    count = usual_pseudo_count(4)
    expected = (np.array(expected) + count) / (5 + 4 * count)
    np.testing.assert_allclose(terms.soft_labels, expected)
    torch.testing.assert_close(
        loss(logits, target), osakd_loss(logits, target, terms.soft_labels, soft_weight=0.4, divergence="mse_sum")
    )


def test_the_sample_itself_can_be_counted() -> None:
    logits, target = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 1, 0])
    assert OSAKDLoss(2, k=1, reliability=False).soft_labels(logits, target).argmax(1).tolist() == [0, 1, 0]


def test_spaces_differ_where_confidence_saturates() -> None:
    # As logits the second is nearer to the third; as softmax outputs the first two coincide.
    logits, target = torch.tensor([[90.0, 0.0], [30.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1, 1])
    assert OSAKDLoss(2, k=1, space="softmax", include_self=False).soft_labels(logits, target)[1].argmax() == 0
    assert OSAKDLoss(2, k=1, space="logits", include_self=False).soft_labels(logits, target)[1].argmax() == 1


@pytest.mark.parametrize("pool", ["batch", "queue", "memory", "large memory"])
@pytest.mark.parametrize("size", [1.0, 1e19, 1e25, 3e38, math.inf])
def test_logits_of_any_size_have_their_true_neighbours(size: float, pool: str) -> None:
    """Some rows are so large, or (inf) have masked classes; the neighbours are those of a float64 sort."""
    n, rows, c = 64, 6000 if pool == "large memory" else 90, 4
    stream = torch.Generator().manual_seed(0)
    logits, target = torch.randn(rows, c, generator=stream), torch.randint(c, (rows,), generator=stream)
    logits[::3] *= min(size, 5e37)
    if math.isinf(size):
        logits = torch.randn(rows, c, generator=stream)
        logits[::3, 1] = -math.inf
    if pool == "batch":
        n = rows
    more = {"memory": OutputMemory(rows, c)} if "memory" in pool else {"pool": pool, "queue_size": rows}
    loss = OSAKDLoss(c, k=5, space="logits", include_self=False, pseudo_count=0.0, reliability=False, **more)
    if pool != "batch":
        loss.soft_labels(logits[n:], target[n:], torch.arange(n, rows) if "memory" in pool else None)
    found = loss.soft_labels(logits[:n], target[:n], torch.arange(n) if "memory" in pool else None)
    points = logits.double().clamp(min=torch.finfo(torch.float32).min)
    distances = (points[:n, None] - points).square().sum(2).fill_diagonal_(math.inf)
    order = torch.arange(rows).roll(-n if pool == "queue" else 0)  # as they were taken up, which decides ties
    nearest = order[distances[:, order].sort(dim=1, stable=True).indices[:, :5]]
    assert torch.equal(found, F.one_hot(target[nearest], c).float().mean(1))


def test_thousands_of_classes_take_memory_of_their_number() -> None:
    samples, c = 128, 3000
    logits, target = torch.randn(samples, c, requires_grad=True), torch.arange(samples)
    loss = OSAKDLoss(c, k=8)
    with torch.profiler.profile(profile_memory=True) as profiled:
        loss(logits, target).backward()
    largest = max(event.self_cpu_memory_usage for event in profiled.events())
    assert largest <= 3 * 4 * samples * c  # it was samples times the logits


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_give_a_float32_loss(dtype: torch.dtype) -> None:
    logits = torch.randn(12, 3).to(dtype).requires_grad_()
    target = torch.arange(12) % 3
    loss = OSAKDLoss(3, k=4, reliability=False)(logits, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, OSAKDLoss(3, k=4, reliability=False)(logits.float(), target))
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.dtype == dtype


def test_a_sample_without_neighbours_keeps_its_hard_label() -> None:
    loss = OSAKDLoss(3, k=1, pseudo_count=0.0, reliability=False)
    loss.soft_labels(torch.randn(4, 3), torch.tensor([0, 1, 2, 0]))
    assert loss.soft_labels(torch.randn(1, 3), torch.tensor([2])).tolist() == [[0.0, 0.0, 1.0]]


def test_a_short_last_batch_uses_what_neighbours_it_has() -> None:
    loss = OSAKDLoss(2, k=4, pseudo_count=0.0, include_self=False)
    loss(torch.randn(5, 2), torch.tensor([0, 1, 0, 1, 0]))
    assert loss.soft_labels(torch.randn(3, 2), torch.tensor([0, 1, 1]))[0].tolist() == [0.0, 1.0]


def test_the_first_batch_must_hold_more_than_k() -> None:
    with pytest.raises(InputError, match=r"`k` must be between 1 and 3 \(3 other samples in the batch\), got 4"):
        OSAKDLoss(2, k=4, reliability=False, include_self=False)(torch.randn(4, 2), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(InputError, match=r"between 1 and 4 \(4 samples in the batch\), got 5"):
        OSAKDLoss(2, k=5, reliability=False)(torch.randn(4, 2), torch.tensor([0, 1, 0, 1]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, "`num_classes` must be at least 2, got 1"),
        ({"k": 0}, "`k` must be at least 1, got 0"),
        ({"soft_weight": -0.1}, "`soft_weight` must be at least 0, got -0.1"),
        ({"soft_weight": math.nan}, "`soft_weight` must be a finite number, got nan"),
        ({"pseudo_count": math.nan}, "`pseudo_count` must be a finite number, got nan"),
        ({"k": 1}, "With `k` = 1 the only neighbour is the sample itself"),
        ({"soft_weight": 1.5, "balance": "convex"}, "`soft_weight` must be at most 1 with balance 'convex'"),
    ],
)
def test_values_out_of_range(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        OSAKDLoss(**({"num_classes": 3} | arguments))


@pytest.mark.unchecked
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": [1.0, 2.0, 3.0]}, "`weight` must be a tensor, got list"),
        ({"reliability": "yes"}, "`reliability` must be True, False or a Reliability, got 'yes'"),
        ({"space": "sofmax"}, "Unknown space 'sofmax'; did you mean 'softmax'"),
        ({"divergence": "l1"}, "Unknown divergence 'l1'"),
        ({"balance": "sum"}, "Unknown balance 'sum'"),
    ],
)
def test_unknown_options(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        OSAKDLoss(**({"num_classes": 3} | arguments))


def test_outputs_of_another_width_are_named() -> None:
    with pytest.raises(InputError, match="gives 4 outputs, but `num_classes` is 3"):
        OSAKDLoss(3, k=1, reliability=False)(torch.zeros(3, 4), torch.zeros(3, dtype=torch.int64))


def test_can_be_pickled() -> None:
    loss = pickle.loads(pickle.dumps(OSAKDLoss(3, k=2, reliability=False)))
    assert loss.k == 2


@pytest.mark.unchecked
def test_logits_of_another_rank_are_named() -> None:
    with pytest.raises(InputError, match=r"`logits` must be of shape \[n, 3\], got \[3\]"):
        OSAKDLoss(3, k=1, reliability=False)(torch.zeros(3), torch.zeros(3, dtype=torch.int64))


def test_prints_its_settings() -> None:
    assert "k=8, soft_weight=0.9, space='softmax'" in str(OSAKDLoss(10))


def test_by_default_the_soft_term_waits_for_neighbours_that_know_the_classes() -> None:
    """Neighbours that know nothing have no weight; those that know everything get the whole weight in some steps."""
    target = torch.arange(64) % 4
    known, unknown = 9 * F.one_hot(target, 4).float(), torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    loss = OSAKDLoss(4, k=5, include_self=False)
    parts = [loss.terms(unknown, target) for _ in range(60)][-1]
    assert parts.weighted_soft.item() < 0.02 * parts.soft.item()
    parts = [loss.terms(known, target) for _ in range(60)][-1]
    assert parts.weighted_soft.item() == pytest.approx(0.9 * loss.reliability.value.item() ** 2 * parts.soft.item())
    assert 0.95 < loss.reliability.value.item() < 1
    constant = OSAKDLoss(4, k=5, include_self=False, reliability=False).terms(unknown, target)
    assert constant.weighted_soft.item() == pytest.approx(0.9 * constant.soft.item())
    assert not dict(OSAKDLoss(4, reliability=False).named_buffers())
