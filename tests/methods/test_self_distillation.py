from collections.abc import Callable
from math import log

import numpy as np
import pytest
import torch
from osakd.methods.self_distillation import (
    SelfDistillation,
    diagnostics,
    neighbours_of,
    shuffled_labels,
    uniform_labels,
)
from torch import Tensor, nn
from torch.nn import functional as F

from osakd import OSAKDLoss
from osakd.errors import InputError
from osakd.labels.posterior import Posterior
from osakd.labels.reliability import Reliability, explained
from osakd.methods.base import Batch, BuildContext
from osakd.methods.lookup import method_label, resolve_method
from osakd.methods.registry import METHODS, build_method
from osakd.methods.settings.base import RunDefaults


def batch_of(images: Tensor, target: Tensor) -> Batch:
    return Batch(images, target, torch.arange(len(target)), torch.tensor(0), torch.tensor(0.0))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3))


IMAGES, CLASSES = torch.rand(10, 1, 2, 2), torch.arange(10) % 3


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_plain_and_label_smoothing_are_cross_entropy(smoothing: float) -> None:
    net = network()
    terms = SelfDistillation(net, smoothing=smoothing)(batch_of(IMAGES, CLASSES))
    p = net(IMAGES).log_softmax(1)
    target = torch.full((10, 3), smoothing / 3)
    for row, label in enumerate(CLASSES):
        target[row, label] += 1 - smoothing
    torch.testing.assert_close(terms.total, -(target * p).sum(1).mean())
    assert set(terms.parts) == {"total"}


def test_osakd_logs_every_term_by_name_unweighted_and_weighted() -> None:
    net = network()
    criterion = OSAKDLoss(3, k=2, soft_weight=0.5, reliability=False)
    terms = SelfDistillation(net, criterion)(batch_of(IMAGES, CLASSES))
    torch.testing.assert_close(terms.total, criterion(net(IMAGES), CLASSES))
    torch.testing.assert_close(terms.parts["hard"], F.cross_entropy(net(IMAGES), CLASSES).detach())
    torch.testing.assert_close(terms.parts["weighted_soft"], 0.5 * terms.parts["soft"])
    assert not any(part.requires_grad for part in terms.parts.values())
    assert {"soft_label_mass", "soft_label_entropy", "soft_label_agreement"} <= set(terms.parts)


def test_osakd_weighted_by_reliability() -> None:
    """The weight follows the running share of the classes' entropy that the neighbours explain."""
    context = BuildContext(
        network=network(), num_classes=3, num_samples=10, input_shape=(1, 2, 2), build_network=lambda _: network()
    )
    options = {"name": "osakd", "k": 2, "reliability": True, "soft_weight": 0.5, "include_self": False}
    method, scores, running = build_method(*resolve_method(options), context), torch.zeros(2, 3), 0.0
    apart = IMAGES + 9 * F.one_hot(CLASSES, 4).view(10, 1, 2, 2)  # as well as their classes
    for images in (apart, IMAGES, apart):
        given = batch_of(images, CLASSES)
        scores = 0.9 * scores + method.criterion.posterior(method.network(images), CLASSES).scores()
        running = explained(scores).item()
        parts = method(given).parts
        assert parts["weighted_soft"].item() == pytest.approx(0.5 * running**2 * parts["soft"].item(), rel=1e-5)
    assert 0.05 < running < parts["soft_label_reliability"].item() - 0.05


@pytest.mark.parametrize("name", ["osakd", "uniform-smoothing", "shuffled-neighbours"])
def test_the_loss_has_the_settings_and_by_default_the_same_as_in_a_loop(name: str) -> None:
    context = BuildContext(
        network=network(), num_classes=3, num_samples=10, input_shape=(1, 2, 2), build_network=lambda _: network()
    )
    own = {"reliability_power": 3.0, "pseudo_count": 0.5, "label_smoothing": 0.1}
    changed, default = (build_method(*resolve_method({"name": name, **given}), context) for given in (own, {}))
    changed, default = changed.criterion, default.criterion
    assert [changed.reliability.power, changed.pseudo_count, changed.label_smoothing] == list(own.values())
    loop = OSAKDLoss(3)
    assert loop.reliability is not None
    assert [default.reliability.power, default.pseudo_count, default.label_smoothing] == [2.0, 2.5 / 3, 0.0]
    assert [loop.reliability.power, loop.pseudo_count, loop.label_smoothing] == [2.0, 2.5 / 3, 0.0]


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.settings.has_soft_labels])
def test_a_run_is_of_one_process(name: str) -> None:
    """Beside others that are joined too it would wait for their batches, or mix with them."""
    context = BuildContext(
        network=network(), num_classes=3, num_samples=10, input_shape=(1, 2, 2), build_network=lambda _: network()
    )
    method = build_method(*resolve_method(name), context)
    assert [module.gather for module in method.modules() if isinstance(module, OSAKDLoss)] == [False]


def test_diagnostics_by_hand() -> None:
    soft_labels = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75]])
    found = diagnostics(soft_labels, torch.tensor([0, 1, 0]))
    assert found["soft_label_mass"].item() == pytest.approx((1 + 0.5 + 0.25) / 3)
    entropy = (0 + log(2) - 0.25 * log(0.25) - 0.75 * log(0.75)) / 3
    assert found["soft_label_entropy"].item() == pytest.approx(entropy)
    assert found["soft_label_agreement"].item() == pytest.approx(1 / 3)  # of equal classes the lowest counts


def test_the_deployed_network_is_the_plain_one() -> None:
    net = network()
    method = SelfDistillation(net, OSAKDLoss(3, k=2))
    assert method.network is net
    torch.testing.assert_close(method.predict(IMAGES)["student"], net(IMAGES))
    assert sum(p.numel() for p in method.parameters()) == sum(p.numel() for p in net.parameters())


def test_names_shorthands_and_labels() -> None:
    assert resolve_method("osakd-16nn") == resolve_method({"name": "osakd", "k": 16})
    assert resolve_method("osakd")[1].soft_weight == 0.9
    assert resolve_method("osakd", RunDefaults(soft_weight=0.99))[1].soft_weight == 0.99
    assert resolve_method({"name": "osakd", "k": np.int64(3), "soft_weight": np.float32(0.5)})[1].k == 3
    assert method_label("plain") == "plain"
    assert method_label("osakd") == "osakd-8nn"
    assert method_label({"name": "osakd", "soft_weight": 0.3, "space": "logits"}) == "osakd-8nn-soft_weight=0.3-logits"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("osakdd", "Unknown method 'osakdd'; did you mean 'osakd'"),
        ({"k": 3}, "Unknown method ''"),
        ({"name": "osakd", "kk": 3}, "Unknown setting of method 'osakd' 'kk'; did you mean 'k'"),
        ({"name": "plain", "k": 3}, "Method 'plain' has no settings, got 'k'"),
        ({"name": "osakd", "pool": "Memory"}, "Unknown pool 'Memory'; did you mean 'memory'"),
        ({"name": "osakd", "k": 2.5}, "`k` must be a whole number, got 2.5"),
        ({"name": "osakd", "k": True}, "`k` must be a whole number, got True"),
        ({"name": "osakd", "k": "3"}, "`k` must be a whole number, got '3'"),
        ({"name": "osakd", "soft_weight": float("nan")}, "`soft_weight` must be a finite number, got nan"),
        ({"name": "osakd", "include_self": 1}, "`include_self` must be true or false, got 1"),
        ({"name": "label-smoothing", "smoothing": None}, "`smoothing` must be a finite number, got None"),
    ],
)
def test_unknown_names_and_values(method: str | dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve_method(method)


def test_smoothing_out_of_range() -> None:
    with pytest.raises(InputError, match="`smoothing` must be at least 0 and below 1, got 1"):
        SelfDistillation(network(), smoothing=1.0)
    with pytest.raises(InputError, match="`smoothing` goes with plain training"):
        SelfDistillation(network(), OSAKDLoss(3), smoothing=0.1)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_uniform_labels_have_osakd_s_mean_mass_and_know_nothing_else(num_classes: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, num_classes))
    given = batch_of(IMAGES, torch.arange(10) % num_classes)
    criterion = OSAKDLoss(num_classes, k=4)
    mass = SelfDistillation(net, criterion)(given).parts["soft_label_mass"]
    terms = SelfDistillation(net, criterion, find=uniform_labels)(given)
    torch.testing.assert_close(terms.parts["soft_label_mass"], mass)
    labels = uniform_labels(criterion, net(IMAGES), given).soft_labels
    for row, label in enumerate(given.target.tolist()):
        expected = [mass.item() if c == label else (1 - mass.item()) / (num_classes - 1) for c in range(num_classes)]
        assert labels[row].tolist() == pytest.approx(expected, abs=1e-6)


def test_shuffled_labels_are_those_of_neighbours_with_other_classes() -> None:
    net, target = network(), torch.tensor([0, 1, 2, 2, 1, 0, 1, 0, 2, 0])
    given = batch_of(IMAGES, target)
    criterion = OSAKDLoss(3, k=4, include_self=False, pseudo_count=0.0)
    labels = shuffled_labels(criterion, net(IMAGES), given).soft_labels
    lent = [int(target[row - 1]) for row in range(10)]  # each sample's class goes to the next one
    points = net(IMAGES).softmax(1).detach()
    for row in range(10):
        others = [other for other in range(10) if other != row]
        near = sorted((float((points[row] - points[other]).square().sum()), other) for other in others)
        counts = [sum(lent[other] == c for _, other in near[:4]) / 4 for c in range(3)]
        assert labels[row].tolist() == pytest.approx(counts)
    terms = SelfDistillation(net, criterion, find=shuffled_labels)(given)
    torch.testing.assert_close(terms.parts["hard"], F.cross_entropy(net(IMAGES), target).detach())


@pytest.mark.parametrize("find", [uniform_labels, shuffled_labels])
def test_controls_weigh_as_much_as_osakd_s_labels(find: Callable[..., Posterior]) -> None:
    """The reliability is that of the neighbours' own classes; the labels are others."""
    images, target = torch.eye(4).repeat(3, 1)[:, None], torch.arange(12) % 4
    given, parts = batch_of(images, target), []
    for own in (neighbours_of, find):
        criterion = OSAKDLoss(4, k=2, reliability=Reliability(momentum=0.5))
        net = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
        nn.init.eye_(net[1].weight)
        terms = SelfDistillation(net, criterion, find=own)(given)
        assert criterion.reliability is not None
        parts.append((terms.parts["soft_label_reliability"], criterion.reliability.value, terms.parts["soft"]))
    (now, running, soft), (control_now, control_running, control_soft) = parts
    assert now == control_now > 0.5
    assert running == control_running > 0.25
    assert soft != control_soft
