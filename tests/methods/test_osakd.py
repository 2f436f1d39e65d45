"""OSAKD and its controls, and training with the classes alone."""

from math import log
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from osakd import OSAKDLoss
from osakd.labels.reliability import explained
from osakd.methods.base import Batch
from osakd.methods.lookup import resolve_method
from osakd.methods.osakd import uniform_labels
from osakd.methods.registry import METHODS, build_method
from tests.methods.made import context

IMAGES, CLASSES = torch.rand(10, 1, 2, 2), torch.arange(10) % 3
CONTROLS = ["uniform-smoothing", "shuffled-neighbours"]


def batch_of(images: Tensor, target: Tensor) -> Batch:
    return Batch(images, target, torch.arange(len(target)), torch.tensor(0), torch.tensor(0.0))


def method_of(name: str, *, num_classes: int = 3, **settings: Any) -> Any:
    """A method around a linear network that starts with the same weights each time."""

    def network(_: str | None) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(4, num_classes))

    given = context(network, num_classes=num_classes, num_samples=12, input_shape=(1, 2, 2))
    return build_method(*resolve_method({"name": name, **settings}), given)


@pytest.mark.parametrize(("name", "smoothing"), [("plain", 0.0), ("label-smoothing", 0.1)])
def test_plain_and_label_smoothing_are_cross_entropy(name: str, smoothing: float) -> None:
    method = method_of(name)
    terms = method(batch_of(IMAGES, CLASSES))
    target = torch.full((10, 3), smoothing / 3)
    for row, label in enumerate(CLASSES):
        target[row, label] += 1 - smoothing
    torch.testing.assert_close(terms.total, -(target * method.network(IMAGES).log_softmax(1)).sum(1).mean())
    assert set(terms.parts) == {"total"}


def test_osakd_logs_every_term_by_name_unweighted_and_weighted() -> None:
    method = method_of("osakd-constant", k=2, soft_weight=0.5)
    terms, logits = method(batch_of(IMAGES, CLASSES)), method.network(IMAGES)
    torch.testing.assert_close(terms.total, method.criterion(logits, CLASSES))
    torch.testing.assert_close(terms.parts["hard"], F.cross_entropy(logits, CLASSES).detach())
    torch.testing.assert_close(terms.parts["weighted_soft"], 0.5 * terms.parts["soft"])
    assert not any(part.requires_grad for part in terms.parts.values())
    assert {"soft_label_mass", "soft_label_entropy", "soft_label_agreement"} <= set(terms.parts)


def test_osakd_weighted_by_reliability() -> None:
    """The weight follows the running share of the classes' entropy that the neighbours explain."""
    method, scores, running = method_of("osakd", k=2, soft_weight=0.5, include_self=False), 0.0, 0.0
    separated = IMAGES + 9 * F.one_hot(CLASSES, 4).view(10, 1, 2, 2)  # as well as their classes
    for images in (separated, IMAGES, separated):
        scores = 0.9 * scores + method.criterion.posterior(method.network(images), CLASSES).scores()
        running = explained(scores).item()
        parts = method(batch_of(images, CLASSES)).parts
        assert parts["weighted_soft"].item() == pytest.approx(0.5 * running**2 * parts["soft"].item(), rel=1e-5)
    assert 0.05 < running < method.criterion.posterior(method.network(images), CLASSES).reliability().item() - 0.05
    assert parts["soft_label_reliability"].item() == pytest.approx(running)
    assert parts["soft_weight"].item() == pytest.approx(0.5 * running**2)
    assert parts["soft_share"].item() == pytest.approx(parts["weighted_soft"].item() / parts["total"].item())


@pytest.mark.parametrize("name", ["osakd", *CONTROLS])
def test_the_loss_has_the_settings_and_by_default_the_same_as_in_a_loop(name: str) -> None:
    settings = {"reliability_power": 3.0, "pseudo_count": 0.5, "label_smoothing": 0.1}
    changed, default, loop = method_of(name, **settings).criterion, method_of(name).criterion, OSAKDLoss(3)
    assert [changed.reliability.power, changed.pseudo_count, changed.label_smoothing] == list(settings.values())
    for loss in (default, loop):
        assert [loss.reliability.power, loss.pseudo_count, loss.label_smoothing] == [2.0, 2.5 / 8 / 3, 0.0]


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.settings.has_soft_labels])
def test_a_run_is_of_one_process(name: str) -> None:
    """Beside others that are joined too it would wait for their batches, or mix with them."""
    modules = method_of(name).modules()
    assert [module.gather for module in modules if isinstance(module, OSAKDLoss)] == [False]


def test_figures_of_the_soft_labels_by_hand() -> None:
    loss = OSAKDLoss(2, k=2)
    posterior = loss.posterior(torch.zeros(3, 2), torch.tensor([0, 1, 0]))
    soft_labels = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75]])
    figures = loss.measured_from(posterior._replace(soft_labels=soft_labels)).figures
    assert figures["soft_label_mass"].item() == pytest.approx((1 + 0.5 + 0.25) / 3)
    entropy = (0 + log(2) - 0.25 * log(0.25) - 0.75 * log(0.75)) / 3
    assert figures["soft_label_entropy"].item() == pytest.approx(entropy)
    assert figures["soft_label_agreement"].item() == pytest.approx(1 / 3)  # of equal classes the lowest counts


def test_the_deployed_network_is_the_plain_one() -> None:
    method = method_of("osakd")
    torch.testing.assert_close(method.predict(IMAGES)["student"], method.network(IMAGES))
    assert sum(p.numel() for p in method.parameters()) == sum(p.numel() for p in method.network.parameters())


@pytest.mark.parametrize("num_classes", [2, 3])
def test_uniform_labels_have_osakd_s_mean_mass_and_know_nothing_else(num_classes: int) -> None:
    given = batch_of(IMAGES, torch.arange(10) % num_classes)
    osakd, control = (method_of(name, num_classes=num_classes, k=4) for name in ("osakd", "uniform-smoothing"))
    mass = osakd(given).parts["soft_label_mass"]
    torch.testing.assert_close(control(given).parts["soft_label_mass"], mass)
    labels = uniform_labels(osakd.criterion.posterior(osakd.network(IMAGES), given.target)).soft_labels
    for row, label in enumerate(given.target.tolist()):
        expected = [mass.item() if c == label else (1 - mass.item()) / (num_classes - 1) for c in range(num_classes)]
        assert labels[row].tolist() == pytest.approx(expected, abs=1e-6)


def test_shuffled_labels_are_those_of_neighbours_with_other_classes() -> None:
    target = torch.tensor([0, 1, 2, 2, 1, 0, 1, 0, 2, 0])
    method = method_of("shuffled-neighbours", k=4, include_self=False, pseudo_count=0.0)
    seen = []
    method.criterion.observe = lambda parts, _: seen.append(parts.soft_labels)
    terms = method(batch_of(IMAGES, target))
    lent = [int(target[row - 1]) for row in range(10)]  # each sample's class goes to the next one
    points = method.network(IMAGES).softmax(1).detach()
    for row in range(10):
        others = [other for other in range(10) if other != row]
        near = sorted((float((points[row] - points[other]).square().sum()), other) for other in others)
        counts = [sum(lent[other] == c for _, other in near[:4]) / 4 for c in range(3)]
        assert seen[0][row].tolist() == pytest.approx(counts)
    torch.testing.assert_close(terms.parts["hard"], F.cross_entropy(method.network(IMAGES), target).detach())


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_weigh_as_much_as_osakd_s_labels(name: str) -> None:
    """The reliability is that of the neighbours' own classes; the labels are others."""
    target, parts = torch.arange(12) % 4, []
    target[0] = 1  # so that the labels of one cluster are uncertain
    given = batch_of(torch.eye(4).repeat(3, 1)[:, None], target)
    for method in (method_of("osakd", num_classes=4, k=2), method_of(name, num_classes=4, k=2)):
        nn.init.eye_(method.network[1].weight)
        found = method(given).parts
        assert found["soft_label_reliability"] == method.criterion.reliability.value
        parts.append((found["soft_label_reliability"], found["soft"]))
    (running, soft), (control_running, control_soft) = parts
    assert running == control_running > 0.05
    assert abs(soft - control_soft) > 1e-3
