from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, top_k_accuracy_score
from torch import nn

from osakd.data.arrays import DataArrays
from osakd.data.sources import load_data
from osakd.engine.evaluate import (
    DeviceSplit,
    expected_calibration_error,
    final_scores,
    logits_of,
    outputs_on,
    scores,
    to_floats,
)
from osakd.errors import InputError


def case(classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(400, classes, generator=generator), torch.randint(classes, (400,), generator=generator)


def test_equals_scikit_learn() -> None:
    logits, classes = case(120)
    found = scores(logits, classes)
    p = logits.double().softmax(1).numpy()
    labels = np.arange(120)
    assert found["accuracy"] == pytest.approx(accuracy_score(classes, p.argmax(1)))
    assert found["nll"] == pytest.approx(log_loss(classes, p, labels=labels))
    assert found["top5"] == pytest.approx(top_k_accuracy_score(classes, p, k=5, labels=labels))


def test_top5_only_from_a_hundred_classes_on() -> None:
    assert "top5" not in scores(*case(99))


def test_calibration_error_by_loops() -> None:
    logits, classes = case(4, seed=1)
    p = logits.double().softmax(1).numpy()
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(p, classes.tolist(), strict=True):
        confidence = row.max()
        number = next(b for b in range(15) if confidence <= (b + 1) / 15)
        bins.setdefault(number, []).append((confidence, row.argmax() == label))
    expected = sum(
        len(members) / 400 * abs(np.mean([right for _, right in members]) - np.mean([c for c, _ in members]))
        for members in bins.values()
    )
    assert float(expected_calibration_error(logits, classes)) == pytest.approx(expected)


def test_perfect_and_certain_is_calibrated() -> None:
    found = scores(1000 * torch.eye(3, dtype=torch.float64), torch.arange(3))
    assert found == {"accuracy": 1.0, "nll": 0.0, "ece": 0.0}


def test_balanced_accuracy_is_scikit_learn_s() -> None:
    logits, target = case(5, seed=2)
    target[::2] = target[::2].clamp(max=2)
    expected = balanced_accuracy_score(target, logits.argmax(1))
    assert final_scores(logits, target)["balanced_accuracy"] == pytest.approx(expected)


def test_evaluation_leaves_the_network_in_its_mode_and_does_not_depend_on_the_batches() -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3)).train()
    images = torch.randint(256, (30, 2, 2, 1), dtype=torch.uint8)
    split = DeviceSplit(images, torch.arange(30) % 3)
    found = logits_of(network, split, batch_size=7)
    assert network.training
    assert network[1].num_batches_tracked == 0
    torch.testing.assert_close(found, logits_of(network, split, batch_size=30))


def test_stored_images_become_floats_in_channels_last_memory() -> None:
    images = torch.randint(256, (5, 4, 3, 2), dtype=torch.uint8)
    floats = to_floats(images)
    assert floats.shape == (5, 2, 4, 3)
    assert floats.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(floats[1, 1, 3, 2], images[1, 3, 2, 1] / 255)


def a_network(names: tuple[str, ...], layer: nn.Module | None = None, channels: int = 1) -> nn.Module:
    """A network that knows its classes and the shape of its images, as a loaded one does."""
    torch.manual_seed(0)
    network = nn.Sequential(layer or nn.Flatten(), nn.Linear(64, len(names)) if layer is None else nn.Flatten())
    network.class_names, network.input_shape = names, (channels, 8, 8)
    return network


def evaluate_on(network: nn.Module, data: DataArrays, device: torch.device) -> dict[str, float]:
    return final_scores(*outputs_on(network, data, device))


def test_data_that_the_network_cannot_take() -> None:
    network = a_network(tuple("0123456789"), nn.Linear(9, 10))
    with pytest.raises(InputError, match=r"cannot take the images of 'digits' \(1x8x8\)"):
        evaluate_on(network, load_data("digits"), torch.device("cpu"))


def test_classes_are_matched_by_name() -> None:
    """The same network with its outputs in another order gives the same scores on data in any order."""
    digits, cpu = load_data("digits"), torch.device("cpu")
    network = a_network(digits.class_names)
    expected = evaluate_on(network, digits, cpu)
    order = [3, 0, 1, 9, 2, 8, 4, 7, 5, 6]
    other = a_network(tuple(str(label) for label in order))
    with torch.no_grad():
        for new, old in zip(other.parameters(), network.parameters(), strict=True):
            new.copy_(old[order])
    assert evaluate_on(other, digits, cpu) == pytest.approx(expected)
    places = np.argsort(order)
    turned = replace(
        digits, class_names=other.class_names, test=replace(digits.test, target=places[digits.test.target])
    )
    assert evaluate_on(network, turned, cpu) == pytest.approx(expected)


def test_data_may_lack_classes_of_the_network() -> None:
    digits, cpu = load_data("digits"), torch.device("cpu")
    network, rows = a_network(digits.class_names), np.flatnonzero(np.isin(digits.test.target, [3, 7]))
    part = replace(digits, test=digits.test.take(rows))
    alone = replace(part, class_names=("3", "7"), test=replace(part.test, target=(part.test.target == 7).astype(int)))
    assert evaluate_on(network, alone, cpu) == evaluate_on(network, part, cpu)


def test_classes_without_test_images_need_not_be_known() -> None:
    digits = load_data("digits")
    more = replace(digits, class_names=(*digits.class_names, "10"))
    assert evaluate_on(a_network(digits.class_names), more, torch.device("cpu"))


@pytest.mark.parametrize(
    ("known", "given"), [("abcdefghij", "0123456789"), ("0123456789", "abcdefghij"), ("abcdefghij", "abcdefghik")]
)
def test_data_of_other_classes_are_refused_with_both_lists(known: str, given: str) -> None:
    data = replace(load_data("digits"), class_names=tuple(given))
    both = f"knows the classes {', '.join(known)}, but 'digits' has {', '.join(given)}: take data whose classes"
    with pytest.raises(InputError, match=both):
        evaluate_on(a_network(tuple(known)), data, torch.device("cpu"))


def test_grey_data_for_a_colour_network() -> None:
    network = a_network(tuple("0123456789"), nn.Conv2d(3, 10, 8), channels=3)
    assert 0 <= evaluate_on(network, load_data("digits"), torch.device("cpu"))["accuracy"] <= 1
