"""Methods with teachers and peers: losses against loops, gradients where they should flow and nowhere else."""

import copy

import pytest
import torch
from torch import Tensor, nn

from osakd.errors import InputError
from osakd.methods.dml import MutualLearning
from osakd.methods.kd import BornAgain, Distillation
from osakd.methods.settings.networks import DMLSettings
from osakd.methods.settings.teachers import BornAgainSettings, KDSettings
from tests.methods.made import batch, context, cross_entropy, divergence, gradients, network


def taught(student: nn.Module, *teachers: nn.Module, settings: KDSettings | None = None) -> Distillation:
    return Distillation(settings or KDSettings(), context(lambda _: student, teachers=teachers))


def peers(*networks: nn.Module) -> MutualLearning:
    left = iter(networks)
    return MutualLearning(DMLSettings(peers=[""] * (len(networks) - 1)), context(lambda _: next(left)))


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize(("hard", "soft", "temperature"), [(0.1, 0.9, 4.0), (1.0, 1.0, 3.0)])
def test_distillation_is_its_equation(num_classes: int, hard: float, soft: float, temperature: float) -> None:
    student, teacher = network(num_classes), network(num_classes, hidden=8).eval()
    settings = KDSettings(hard_weight=hard, soft_weight=soft, temperature=temperature)
    terms = taught(student, teacher, settings=settings)(batch(num_classes))
    logits, targets = student(batch().images), teacher(batch().images)
    expected_hard = cross_entropy(logits, batch(num_classes).target)
    expected_soft = temperature**2 * divergence(targets, logits, temperature)
    assert terms.parts["hard"].item() == pytest.approx(expected_hard, rel=1e-5)
    assert terms.parts["soft"].item() == pytest.approx(expected_soft, rel=1e-4, abs=1e-6)
    assert terms.total.item() == pytest.approx(hard * expected_hard + soft * expected_soft, rel=1e-4)
    assert terms.parts["weighted_hard"] + terms.parts["weighted_soft"] == pytest.approx(terms.total.item())


def test_a_teacher_is_never_trained_and_its_statistics_stay() -> None:
    teacher = network()
    before = copy.deepcopy(teacher.state_dict())
    method = taught(network(), teacher, network())
    for _ in range(3):
        method.train()
        assert method.network.training
        assert not any(module.training for module in method.teacher.modules())
        found = gradients(method, batch())
    assert all((gradient is None) == name.startswith(("teacher.", "earlier.")) for name, gradient in found.items())
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


def test_a_teacher_is_in_no_checkpoint() -> None:
    method = taught(network(), network(), network())
    state = copy.deepcopy(method.own_state())
    assert {name.partition(".")[0] for name in state} == {"network"}
    other = taught(network(), method.teacher, *method.earlier)
    other.load_own_state(state)
    assert torch.equal(other(batch()).total, method(batch()).total)
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_own_state({})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        other.load_own_state(state | {"network.9.weight": torch.zeros(1)})


def test_predictions_average_probabilities() -> None:
    first, second, third = (network().eval() for _ in range(3))
    probabilities = [one(batch().images).softmax(1) for one in (first, second, third)]
    given = context(lambda _: first, teachers=[second, third])
    generations = BornAgain(BornAgainSettings(), given).eval().predict(batch().images)
    assert list(generations) == ["student", "ensemble"]
    torch.testing.assert_close(generations["ensemble"].exp(), torch.stack(probabilities).mean(0))
    assert list(taught(first, second).eval().predict(batch().images)) == ["student"]
    mutual = peers(first, second, third).eval().predict(batch().images)
    assert list(mutual) == ["student", "peer2", "peer3", "ensemble"]
    torch.testing.assert_close(mutual["ensemble"].exp(), torch.stack(probabilities).mean(0))
    torch.testing.assert_close(mutual["student"], first(batch().images))


@pytest.mark.parametrize("count", [2, 3])
def test_mutual_learning_is_its_equation(count: int) -> None:
    networks = [network(hidden=4 + number) for number in range(count)]  # also of different sizes
    terms = peers(*networks)(batch())
    logits = [one(batch().images) for one in networks]
    expected = 0.0
    for own in range(count):
        soft = [divergence(logits[other], logits[own], 1.0) for other in range(count) if other != own]
        expected += cross_entropy(logits[own], batch().target) + sum(soft) / (count - 1)
    assert terms.total.item() == pytest.approx(expected, rel=1e-5)
    assert torch.equal(terms.logits, logits[0])
    assert {"total", "hard", "soft", "weighted_soft", "hard_2", "soft_2"} <= set(terms.parts)


def test_no_gradient_flows_from_one_peer_s_loss_into_another() -> None:
    """Each peer's gradient is that of its own loss with the others' outputs as constants."""
    torch.manual_seed(0)
    method = peers(network(), network())
    alone = copy.deepcopy(method.network)
    targets = method.peers[0](batch().images).detach()
    found = gradients(method, batch())
    settings = KDSettings(hard_weight=1.0, soft_weight=1.0, temperature=1.0)
    taught(alone, _Given(targets), settings=settings)(batch()).total.backward()
    for name, parameter in alone.named_parameters():
        torch.testing.assert_close(found[f"network.{name}"], parameter.grad)


def test_mutual_learning_needs_a_peer() -> None:
    with pytest.raises(InputError, match="at least one other peer"):
        peers(network())


class _Given(nn.Module):
    def __init__(self, outputs: Tensor) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, images: Tensor) -> Tensor:
        return self.outputs
