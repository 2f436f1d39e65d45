"""The methods that learn from their own predictions, or from other labels of the classes: each against loops."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from osakd.errors import InputError
from osakd.methods.bake import propagate
from osakd.methods.base import Batch, Method
from osakd.methods.cs_kd import next_of_class
from osakd.methods.lookup import resolve_method
from osakd.methods.registry import build_method
from tests.methods.made import context, softmax

M, N, C, WIDTH = 8, 5, 4, 3
GENERATOR = torch.Generator().manual_seed(0)
IMAGES, CLASSES = torch.randn(M, 1, 1, WIDTH, generator=GENERATOR), torch.tensor([0, 1, 0, 2, 1, 0, 3, 2])


def method_of(name: str, **settings: Any) -> Method:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(WIDTH, 6), nn.Linear(6, C))
    given = context(lambda _: network, num_classes=C, num_samples=M, input_shape=(1, 1, WIDTH))
    return build_method(*resolve_method({"name": name, **settings}), given)


def batches(epochs: int) -> Iterator[Batch]:
    """Each epoch has a batch of five and one of three samples, in another order."""
    generator = torch.Generator().manual_seed(1)
    for epoch in range(epochs):
        for part, index in enumerate(torch.randperm(M, generator=generator).split(N)):
            step = 2 * epoch + part
            yield Batch(IMAGES[index], CLASSES[index], index, torch.tensor(step), torch.tensor(step / (2 * epochs)))


def one_hot(label: int) -> list[float]:
    return [float(label == other) for other in range(C)]


def cross_entropy(targets: list[list[float]], p: list[list[float]]) -> float:
    pairs = [(q, r) for qs, ps in zip(targets, p, strict=True) for q, r in zip(qs, ps, strict=True) if q]
    return -sum(q * math.log(r) for q, r in pairs) / len(p)


def divergence(targets: list[list[float]], p: list[list[float]], temperature: float = 1.0) -> float:
    return temperature**2 * (cross_entropy(targets, p) - cross_entropy(targets, targets))


def hard(batch: Batch, p: list[list[float]]) -> float:
    return cross_entropy([one_hot(label) for label in batch.target.tolist()], p)


Reference = Callable[[Batch, Tensor], float]


def virtual_teacher() -> Reference:
    def loss(batch: Batch, logits: Tensor) -> float:
        teacher = []
        for label in batch.target.tolist():
            scores = [math.exp((0.9 if other == label else 0.1 / (C - 1)) / 5) for other in range(C)]
            teacher.append([score / sum(scores) for score in scores])
        return 0.7 * hard(batch, softmax(logits)) + 0.3 * divergence(teacher, softmax(logits))

    return loss


def zipf() -> Reference:
    def loss(batch: Batch, logits: Tensor) -> float:
        targets, predictions = [], []
        for row, label in zip(logits.tolist(), batch.target.tolist(), strict=True):
            others = [other for other in range(C) if other != label]
            shares = [1 / (1 + sum(z > row[other] for z in row)) ** 2 for other in others]
            targets.append([share / sum(shares) for share in shares])
            scores = [math.exp(row[other]) for other in others]
            predictions.append([score / sum(scores) for score in scores])
        return hard(batch, softmax(logits)) + 0.4 * divergence(targets, predictions)

    return loss


def online_label_smoothing() -> Reference:
    labels = np.full((C, C), 1 / C)
    sums, seen = np.zeros((C, C)), 0

    def loss(batch: Batch, logits: Tensor) -> float:
        nonlocal seen
        if seen == M:  # an epoch is over
            for label in range(C):
                if sums[label].sum():
                    labels[label] = sums[label] / sums[label].sum()
            sums[:], seen = 0, 0
        p, target = softmax(logits), batch.target.tolist()
        for row, label in zip(p, target, strict=True):
            if np.argmax(row) == label:
                sums[label] += row
        seen += len(p)
        return 0.6 * hard(batch, p) + 0.4 * cross_entropy([labels[label].tolist() for label in target], p)

    return loss


def progressive() -> Reference:
    last: dict[int, list[float]] = {}

    def loss(batch: Batch, logits: Tensor) -> float:
        p, targets, weight = softmax(logits), [], 0.8 * float(batch.progress)
        for sample, label, row in zip(batch.index.tolist(), batch.target.tolist(), p, strict=True):
            earlier = last.get(sample, one_hot(label))
            targets.append([(1 - weight) * y + weight * q for y, q in zip(one_hot(label), earlier, strict=True)])
            last[sample] = row
        return cross_entropy(targets, p)

    return loss


def bayesian() -> Reference:
    evidence: dict[int, list[float]] = {}

    def loss(batch: Batch, logits: Tensor) -> float:
        p, targets = softmax(logits), []
        for sample, label, row in zip(batch.index.tolist(), batch.target.tolist(), p, strict=True):
            before = evidence.get(sample, [3 * y for y in one_hot(label)])
            evidence[sample] = [0.8 * a + q for a, q in zip(before, row, strict=True)]
            targets.append([a / sum(evidence[sample]) for a in evidence[sample]])
        return cross_entropy(targets, p)

    return loss


def last_visit() -> Reference:
    last: dict[int, list[float]] = {}

    def loss(batch: Batch, logits: Tensor) -> float:
        soft, p = 0.0, softmax(logits, 2.0)
        for row, sample in enumerate(batch.index.tolist()):
            soft += divergence([last[sample]], [p[row]], 2.0) / len(p) if sample in last else 0.0
            last[sample] = p[row]
        return hard(batch, softmax(logits)) + 0.5 * soft

    return loss


def class_wise() -> Reference:
    def loss(batch: Batch, logits: Tensor) -> float:
        soft, p, target = 0.0, softmax(logits, 2.0), batch.target.tolist()
        for row, label in enumerate(target):
            order = [(row + step) % len(target) for step in range(1, len(target))]
            partner = next((other for other in order if target[other] == label), row)
            soft += divergence([p[partner]], [p[row]], 2.0) / len(p)
        return hard(batch, softmax(logits)) + 0.5 * soft

    return loss


REFERENCES: dict[str, tuple[Callable[[], Reference], dict[str, Any]]] = {
    "tf-kd": (virtual_teacher, {"correct": 0.9, "soft_weight": 0.3, "temperature": 5.0}),
    "zipf": (zipf, {"soft_weight": 0.4, "power": 2.0}),
    "online-label-smoothing": (online_label_smoothing, {"hard_weight": 0.6}),
    "ps-kd": (progressive, {}),
    "bayesian-self-distillation": (bayesian, {"prior": 3.0, "forgetting": 0.8}),
    "dlb": (last_visit, {"soft_weight": 0.5, "temperature": 2.0}),
    "cs-kd": (class_wise, {"soft_weight": 0.5, "temperature": 2.0}),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_it_is_its_equation_while_it_trains(name: str) -> None:
    make, settings = REFERENCES[name]
    method, reference = method_of(name, **settings), make()
    optimizer = torch.optim.SGD(method.parameters(), 0.5)
    losses = []
    for batch in batches(3):
        expected = reference(batch, method.network(batch.images).detach())
        terms = method(batch)
        assert terms.total.item() == pytest.approx(expected, rel=1e-4)
        losses.append(expected - hard(batch, softmax(terms.logits)))
        optimizer.zero_grad()
        terms.total.backward()
        optimizer.step()
    assert abs(losses[-1]) > 1e-3  # it is more than the cross-entropy


@pytest.mark.parametrize("name", ["ps-kd", "dlb", "bayesian-self-distillation", "online-label-smoothing"])
def test_in_eval_mode_nothing_is_written(name: str) -> None:
    method = method_of(name)
    first, second = list(batches(1))
    method(first)
    before = {key: value.clone() for key, value in method.eval().own_state().items()}
    method(second)
    assert all(torch.equal(value, before[key]) for key, value in method.own_state().items())


@pytest.mark.parametrize("name", ["cs-kd", "bake"])
def test_no_gradient_flows_into_the_targets(name: str) -> None:
    """The gradient is that of divergences from constants: predictions less targets."""
    method = method_of(name, soft_weight=0.5, temperature=2.0)
    batch = next(batches(1))
    terms = method(batch)
    (found,) = torch.autograd.grad(terms.total, terms.logits)
    network: Any = method.network
    p, softened = terms.logits.softmax(1).detach(), (terms.logits / 2).softmax(1).detach()
    if name == "bake":
        targets = propagate(network[:2](batch.images).detach(), softened, 0.5)
    else:
        targets = softened[next_of_class(batch.target)]
    expected = (p - nn.functional.one_hot(batch.target, C) + 0.5 * 2 * (softened - targets)) / N
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_partners_are_of_the_same_class_and_everybody_is_somebody_s() -> None:
    partners = next_of_class(CLASSES)
    assert torch.equal(CLASSES[partners], CLASSES)
    assert sorted(partners.tolist()) == list(range(M))
    assert [row for row, partner in enumerate(partners.tolist()) if row == partner] == [6]  # alone in its class


@pytest.mark.parametrize("name", ["ps-kd", "online-label-smoothing", "bayesian-self-distillation"])
def test_half_precision_ends_at_the_logits(name: str) -> None:
    """Under autocast the targets and the loss are those of the same logits in float32."""
    nothing = torch.tensor(1.0)
    logits = [torch.randn(M, C, generator=GENERATOR).bfloat16() for _ in range(3)]
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        method = method_of(name)
        method.network = nn.Identity()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            steps = [Batch(one.to(dtype), CLASSES, torch.arange(M), nothing, nothing) for one in logits]
            found.append([method(step).total for step in steps])
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@pytest.mark.parametrize("propagation", [0.0, 0.5, 0.9])
def test_predictions_are_propagated_without_end(propagation: float) -> None:
    """By doing so until nothing changes."""
    features, logits = (torch.randn(N, 6, generator=GENERATOR, dtype=torch.float64) for _ in range(2))
    predictions = logits[:, :C].softmax(1)
    affinity = np.zeros((N, N))
    for row in range(N):
        a = features[row].numpy()
        for other in range(N):
            b = features[other].numpy()
            affinity[row, other] = math.exp(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) if other != row else 0
        affinity[row] /= affinity[row].sum()
    expected = predictions.numpy()
    for _ in range(1000):
        expected = propagation * affinity @ expected + (1 - propagation) * predictions.numpy()
    found = propagate(features, predictions, propagation)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(found.sum(1).numpy(), 1)
    assert torch.equal(propagate(features[:1], predictions[:1], propagation), predictions[:1])  # nobody else


def test_bake_is_its_equation() -> None:
    method = method_of("bake", soft_weight=0.5, temperature=2.0, propagation=0.3)
    batch = next(batches(1))
    terms = method(batch)
    network: Any = method.network
    p = torch.tensor(softmax(terms.logits, 2.0))
    propagated = propagate(network[:2](batch.images).double().detach(), p.double(), 0.3)
    expected = hard(batch, softmax(terms.logits)) + 0.5 * divergence(propagated.tolist(), p.tolist(), 2.0)
    assert terms.total.item() == pytest.approx(expected, rel=1e-4)


def test_bake_needs_a_network_that_shows_its_features() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(WIDTH, C), nn.Identity())
    with pytest.raises(InputError, match="This network does not show its features"):
        build_method(*resolve_method("bake"), context(lambda _: network, num_classes=C, input_shape=(1, 1, WIDTH)))
