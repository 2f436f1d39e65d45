from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score
from torch import nn

from osakd.data.sources import load_data
from osakd.engine.evaluate import DeviceSplit, evaluate, evaluate_on, expected_calibration_error, scores, to_floats
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


def test_evaluation_leaves_the_network_in_its_mode_and_does_not_depend_on_the_batches() -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3)).train()
    images = torch.randint(256, (30, 2, 2, 1), dtype=torch.uint8)
    split = DeviceSplit(images, torch.arange(30) % 3)
    found = evaluate(network, split, batch_size=7)
    assert network.training
    assert network[1].num_batches_tracked == 0
    assert found["nll"] == pytest.approx(evaluate(network, split, batch_size=30)["nll"])


def test_stored_images_become_floats_in_channels_last_memory() -> None:
    images = torch.randint(256, (5, 4, 3, 2), dtype=torch.uint8)
    floats = to_floats(images)
    assert floats.shape == (5, 2, 4, 3)
    assert floats.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(floats[1, 1, 3, 2], images[1, 3, 2, 1] / 255)


def test_data_that_the_network_cannot_take() -> None:
    digits, cpu = load_data("digits"), torch.device("cpu")
    with pytest.raises(InputError, match=r"cannot take the images of 'digits' \(1x8x8\)"):
        evaluate_on(nn.Sequential(nn.Flatten(), nn.Linear(9, 10)), digits, cpu)
    with pytest.raises(InputError, match="knows 7 classes, but 'digits' has 10"):
        evaluate_on(nn.Sequential(nn.Flatten(), nn.Linear(64, 7)), digits, cpu)


def test_data_of_other_classes_are_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    network.class_names = tuple("abcdefghij")  # digits' names are mere numbers: they may be these
    evaluate_on(network, load_data("digits"), torch.device("cpu"))
    letters = replace(load_data("digits"), class_names=tuple("bacdefghij"))
    with pytest.raises(InputError, match=r"knows the classes a, b, .* but 'digits' has b, a"):
        evaluate_on(network, letters, torch.device("cpu"))


def test_grey_data_for_a_colour_network() -> None:
    network = nn.Sequential(nn.Conv2d(3, 10, 8), nn.Flatten())
    assert 0 <= evaluate_on(network, load_data("digits"), torch.device("cpu"))["accuracy"] <= 1
