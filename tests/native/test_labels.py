"""The kernel's soft labels are PyTorch's: neighbours with ties, votes, the whole loss and its gradient."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import vmap

from osakd.errors import UnsupportedError
from osakd.labels.posterior import VOTE_COUNTERS, Pool, count_votes
from osakd.labels.reliability import Reliability
from osakd.losses.osakd import LOSSES, OSAKDLoss
from osakd.native.kernels import checks
from osakd.native.kernels import labels as kernel
from osakd.native.kernels.labels import native_labels, native_loss

pytestmark = [pytest.mark.usefixtures("instructions"), pytest.mark.compiler]


@settings(max_examples=40)
@given(
    n=st.integers(1, 70),
    m=st.integers(1, 1100),
    columns=st.integers(1, 20),
    k=st.integers(1, 20),
    values=st.integers(1, 5),
    masked=st.booleans(),
    excluded=st.booleans(),
    seed=st.integers(0, 99),
)
def test_neighbours_are_those_of_a_stable_sort(n, m, columns, k, values, masked, excluded, seed) -> None:
    """Small whole numbers: sums are exact, and most distances are ties."""
    generator = torch.Generator().manual_seed(seed)
    queries, references = (torch.randint(values, (rows, columns), generator=generator).float() for rows in (n, m))
    target, k = torch.randint(4, (m,), generator=generator), min(k, m)
    exclude = torch.randint(m, (n,), generator=generator) if excluded else None
    valid = torch.rand(m, generator=generator) < 0.5 if masked else None
    pool = Pool(references, target, valid, exclude)
    with native_labels():
        found = count_votes(queries, pool, 4, k, include_self=False)
    distances = (queries[:, None] - references).double().square().sum(2)
    if valid is not None:
        distances[:, ~valid] = torch.inf
    if exclude is not None:
        distances[torch.arange(n), exclude] = torch.inf
    values_of, order = distances.sort(dim=1, stable=True)
    present = values_of[:, :k].isfinite()
    assert torch.equal(found.rows[present], order[:, :k][present])
    classes = (target[order[:, :k]][:, :, None] == torch.arange(4)) & present[:, :, None]
    assert torch.equal(found.classes, classes.sum(1).float())
    assert torch.equal(found.shares(), count_votes(queries, pool, 4, k, include_self=False).shares())


SETTINGS: list[dict[str, Any]] = [
    {},
    {"include_self": False},
    {"divergence": "mse"},
    {"divergence": "mse_sum", "balance": "convex", "pseudo_count": 0.5},
    {"balance": "convex_reversed", "soft_weight": 0.3, "include_self": False, "pseudo_count": 1.0},
    {"reliability": 0.9},
    {"reliability": 0.0, "balance": "convex", "divergence": "mse", "include_self": False},
    {"reliability": 0.5, "balance": "convex_reversed", "soft_weight": 0.3, "divergence": "mse_sum"},
    {"label_smoothing": 0.1, "include_self": False},
    {"reliability": 0.9, "power": 2.0, "label_smoothing": 0.3, "pseudo_count": 1.0},
    {"reliability": 0.5, "power": 0.5, "balance": "convex"},
    {"pool": "queue", "queue_size": 100, "reliability": 0.9},
    {"pool": "queue", "queue_size": 100, "include_self": False, "pseudo_count": 0.0},
]
"""A number is the momentum of the reliability that weights the divergence."""


def loss_of(classes: int, **options: Any) -> OSAKDLoss:
    momentum, power = options.pop("reliability", None), options.pop("power", 1.0)
    reliability = momentum is not None and Reliability(momentum=momentum, power=power)
    return OSAKDLoss(classes, ignore_index=None, reliability=reliability, **options)


def both(logits: Tensor, target: Tensor, **options: Any) -> list[tuple[dict[str, Tensor], Tensor]]:
    """The parts and the gradient of the second batch, the kernel's and PyTorch's in float64."""
    found = []
    for own in (logits.clone(), logits.double()):
        loss = loss_of(logits.shape[1], **options)
        with native_labels():
            loss.measured(own.flip(0), target.flip(0))
            total, figures = loss.measured(own.requires_grad_(), target)
        total.backward()
        assert own.grad is not None
        found.append((figures, own.grad))
    return found


@pytest.mark.parametrize("options", SETTINGS, ids=str)
@pytest.mark.parametrize(("n", "classes", "k"), [(64, 10, 8), (9, 3, 5), (70, 200, 16)])
def test_the_loss_and_its_gradient_are_pytorchs(options: dict[str, Any], n: int, classes: int, k: int) -> None:
    generator = torch.Generator().manual_seed(n)
    logits = 3 * torch.randn(n, classes, generator=generator)
    target = torch.randint(classes, (n,), generator=generator)
    logits += 3 * nn.functional.one_hot(target, classes)  # the neighbours know something of the classes
    (parts, gradient), (expected, true_gradient) = both(logits, target, k=k, **options)
    assert list(parts) == list(expected)
    for name, value in parts.items():
        assert value.item() == pytest.approx(expected[name].item(), abs=2e-5), name
    assert torch.allclose(gradient.double(), true_gradient, atol=1e-7)


@pytest.mark.parametrize("shares", [[0.9, 0.1], [0.5, 0.3, 0.2, 0.0], [1.0, 0.0]])
def test_classes_that_are_rare_or_absent(shares: list[float]) -> None:
    """Every class of the batch counts the same in the reliability; of one class alone there is none."""
    target = torch.multinomial(torch.tensor(shares), 64, replacement=True, generator=torch.Generator().manual_seed(0))
    logits = torch.randn(64, len(shares), generator=torch.Generator().manual_seed(1))
    logits += 4 * nn.functional.one_hot(target, len(shares))
    (parts, _), (expected, _) = both(logits, target, k=5, reliability=0.5)
    assert parts["soft_label_reliability"].item() == pytest.approx(expected["soft_label_reliability"].item(), abs=1e-6)
    assert (expected["soft_label_reliability"] > 0) == (shares[0] < 1)


def test_masked_classes_and_confident_outputs() -> None:
    """Logits of minus infinity add nothing to the divergence; equal rows are ties."""
    logits = torch.tensor([[40.0, -40.0, -torch.inf], [40.0, -40.0, -torch.inf], [0.0, 1.0, -torch.inf]]).repeat(4, 1)
    target = torch.tensor([0, 1, 1]).repeat(4)
    (parts, gradient), (expected, true_gradient) = both(logits, target, k=3)
    for name, value in parts.items():
        assert value.item() == pytest.approx(expected[name].item(), rel=1e-5), name
    assert torch.allclose(gradient.double(), true_gradient, atol=1e-7)


def test_a_loss_that_is_not_a_number_stays_one() -> None:
    logits = torch.randn(12, 3)
    logits[4, 1] = torch.nan
    (parts, gradient), _ = both(logits, torch.arange(12) % 3, k=3)
    assert parts["total"].isnan()
    assert gradient[4].isnan().all()
    assert gradient[5].isfinite().all()


def test_a_short_batch_at_the_end_of_an_epoch_uses_the_neighbours_that_it_has() -> None:
    loss = OSAKDLoss(3, k=8, include_self=False, ignore_index=None)
    with native_labels():
        for samples in (12, 5):
            assert loss.measured(torch.randn(samples, 3), torch.arange(samples) % 3).total.isfinite()


def test_replicas_are_mapped() -> None:
    logits, target = torch.randn(5, 12, 3), torch.randint(3, (5, 12))
    scores = torch.stack([-20 * torch.rand(5, 3), torch.full((5, 3), 60.0)], dim=1)
    queue = torch.rand(5, 20, 3), torch.rand(5, 20, 3), torch.rand(5, 20) < 0.9, torch.randint(19, (5,))
    weights = [1.0, 0.9, 0.0, 0.0, 0.5, 1.0, 0.0, 0.1]

    def loss(z: Tensor, y: Tensor, s: Tensor, *queue: Tensor) -> tuple[Tensor, ...]:
        kept = [part[None] for part in queue] or [None] * 4
        return kernel._DISTILLATION(z[None], y[None], s[None], *kept, [3, 1, 0], weights)

    def search(z: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        return kernel._NEIGHBOURS(z[None], logits[:1], y[None], None, None, 4, 3, True)

    mapped, searched = vmap(loss)(logits, target, scores), vmap(search)(logits, target)
    mapped_queue, queues = ([part.clone() for part in queue] for _ in range(2))
    from_queues = vmap(loss)(logits, target, scores, *mapped_queue)
    assert mapped[1][:, 0, 0].unique().numel() == 5
    for number, (z, y, s, *kept) in enumerate(zip(logits, target, scores, *queues, strict=True)):
        alone = (*loss(z, y, s), *search(z, y), *loss(z, y, s, *kept))
        for of_all, expected in zip((*mapped, *searched, *from_queues), alone, strict=True):
            assert torch.equal(of_all[number], expected)
    for before, ours, theirs in zip(queue, mapped_queue, queues, strict=True):
        assert torch.equal(ours, theirs)
        assert not torch.equal(ours, before)


def test_the_operators_are_well_registered() -> None:
    logits, target = torch.randn(2, 12, 3, requires_grad=True), torch.randint(3, (2, 12))
    queue = (torch.rand(2, 20, 3), torch.rand(2, 20, 3), torch.rand(2, 20) < 0.9, torch.randint(19, (2,)))
    for scores, kept in ((None, [None] * 4), (torch.rand(2, 2, 3), queue)):
        given = (logits, target, scores, *kept, [3, 1, 0], [1.0, 0.9, 0.5, 0.0, 0.9, 2.0, 0.1, 0.1])
        torch.library.opcheck(kernel._DISTILLATION, given)
    with pytest.raises(ValueError, match=r"reads 7 weights and the pseudo-counts of the scores, got 7"):
        kernel._DISTILLATION(logits.detach(), target, *[None] * 5, [3, 1, 0], [1.0] * 7)
    points = logits.detach()
    torch.library.opcheck(kernel._NEIGHBOURS, (points, points, target, None, None, 4, 3, True))


@pytest.mark.parametrize(
    "options",
    [{"reduction": "sum"}, {"weight": torch.ones(3)}, {"k": 13}, {"space": "logits"}, {"ignore_index": -100}],
    ids=str,
)
def test_what_the_kernel_does_not_know_is_left_to_pytorch(options: dict[str, Any]) -> None:
    criterion = OSAKDLoss(3, **({"k": 3, "ignore_index": None} | options))
    assert native_loss(criterion, torch.randn(12, 3), torch.arange(12) % 3) is None


def test_the_kernel_is_used_inside_its_context_alone() -> None:
    assert not VOTE_COUNTERS
    with native_labels():
        assert VOTE_COUNTERS
        assert LOSSES
    assert not VOTE_COUNTERS
    assert not LOSSES


def test_a_difference_switches_the_kernel_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_labels_difference", lambda: 0.5)
    with pytest.raises(UnsupportedError, match=r"differ by 0\.5 on soft labels"):
        checks.check_labels()
