"""Codistillation: its loss against loops, what its copies know of each other and when, and its kinship with DML."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import nn

from osakd.methods.codistillation import Codistillation
from osakd.methods.dml import MutualLearning
from osakd.methods.settings.networks import CodistillationSettings, DMLSettings
from tests.methods.made import N, batch, context, cross_entropy, gradients, network, softmax


def codistillation(*networks: nn.Module, **changes: Any) -> Codistillation:
    """With the settings' defaults."""
    left = iter(networks)
    return Codistillation(CodistillationSettings(copies=len(networks), **changes), context(lambda _: next(left)))


def test_it_is_its_equation_with_three_copies() -> None:
    networks = [network(hidden=4 + number) for number in range(3)]
    method = codistillation(*networks, burn_in=0.0, soft_weight=0.5)
    given = batch(progress=0.5)
    terms = method(given)
    # The older weights are those of now (step 0), but in eval mode.
    old = [softmax(copy.deepcopy(one).eval()(given.images)) for one in method.stale]
    expected = 0.0
    for own, one in enumerate(networks):
        logits = one(given.images)
        others = [probabilities for number, probabilities in enumerate(old) if number != own]
        soft = 0.0
        for row, p in enumerate(softmax(logits)):
            targets = [sum(other[row][label] for other in others) / 2 for label in range(3)]
            soft -= sum(q * math.log(p[label]) for label, q in enumerate(targets)) / N
        expected += cross_entropy(logits, given.target) + 0.5 * soft
    assert terms.total.item() == pytest.approx(expected, rel=1e-5)
    assert {"hard", "soft", "weighted_soft", "hard_3", "soft_3"} <= set(terms.parts)


def test_during_the_burn_in_it_is_plain_training() -> None:
    method = codistillation(network(), network(), burn_in=0.3)
    before, after = method(batch(progress=0.29)), method(batch(progress=0.31))
    assert before.parts["weighted_soft"] == 0
    assert before.parts["soft"] > 0
    torch.testing.assert_close(before.total, before.parts["hard"] + before.parts["hard_2"])
    assert after.parts["weighted_soft"] == after.parts["soft"]


def test_weights_are_exchanged_every_so_many_steps_and_statistics_with_them() -> None:
    method = codistillation(network(), network(), refresh=3)
    for step in range(5):
        before = copy.deepcopy(method.stale.state_dict())
        method(batch(step=step))
        with torch.no_grad():
            for parameter in (*method.network.parameters(), *method.copies.parameters()):
                parameter.add_(1.0)
        changed = any(not torch.equal(value, before[name]) for name, value in method.stale.state_dict().items())
        assert changed == (step == 3)  # step 0 exchanges the initial weights, which the copies have already
    assert method.stale.state_dict()["0.2.num_batches_tracked"] == 3


def test_the_older_weights_predict_in_eval_mode_and_get_no_gradient() -> None:
    method = codistillation(network(), network())
    for _ in range(2):
        method.train()
        assert not any(module.training for module in method.stale.modules())
        statistics = method.stale.state_dict()["0.2.running_mean"].clone()
        found = gradients(method, batch(step=1))
        assert torch.equal(statistics, method.stale.state_dict()["0.2.running_mean"])
    assert all((gradient is None) == name.startswith("stale.") for name, gradient in found.items())


def test_without_batchnorm_and_delay_its_gradient_is_that_of_mutual_learning() -> None:
    """DML's divergence and the cross-entropy with the same targets have the same gradient."""
    torch.manual_seed(0)
    first, second = network(norm=False), network(norm=False)
    left = iter(copy.deepcopy([first, second]))
    peers = MutualLearning(DMLSettings(peers=[""]), context(lambda _: next(left)))
    copies = codistillation(first, second, burn_in=0.0, refresh=1)
    for step in range(3):
        given = batch(step=step, progress=step / 3)
        expected, found = gradients(peers, given), gradients(copies, given)
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name.replace("peers", "copies")], gradient)
        for method in (peers, copies):
            torch.optim.SGD(method.parameters(), 0.1).step()


def test_what_the_copies_know_is_in_the_checkpoint() -> None:
    method = codistillation(network(), network())
    assert {name.partition(".")[0] for name in method.own_state()} == {"network", "copies", "stale"}


def test_it_predicts_with_each_copy() -> None:
    assert list(codistillation(network(), network()).predict(batch().images)) == ["student", "copy2", "ensemble"]
