"""Steps are timed in turns, on synthetic images."""

from functools import partial

import numpy as np
import pytest
import torch

from osakd.engine import timing
from osakd.engine.averaging import WeightAverage
from osakd.engine.timing import RunSteps, Timed, interleaved, step_times, synthetic_images

CPU = torch.device("cpu")


@pytest.fixture
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "IMAGES", 2_000)


def test_rounds_are_interleaved_after_a_warm_up() -> None:
    calls: list[tuple[str, int]] = []

    def build(name: str) -> RunSteps:
        def run(steps: int) -> float:
            calls.append((name, steps))
            return float(steps * len(calls))

        return run

    seconds = interleaved({"a": Timed(partial(build, "a"), 50), "b": Timed(partial(build, "b"), 5)}, 4, warm_up=20)
    assert calls == [("a", 20), ("b", 5), *[("a", 50), ("b", 5)] * 4]
    assert seconds["a"] == [3.0, 5.0, 7.0, 9.0]


def test_synthetic_images_are_images(few_images: None) -> None:
    split = synthetic_images(CPU)
    assert split.images.shape == (2_000, 32, 32, 3)
    assert split.images.dtype == torch.uint8
    assert len(np.unique(split.target)) == 10


def test_averaged_weights_are_a_part_of_the_step(few_images: None, monkeypatch: pytest.MonkeyPatch) -> None:
    updated = []
    monkeypatch.setattr(WeightAverage, "update", lambda average: updated.append(average.rest))
    methods = {"plain": "plain", "averaged": "plain"}
    step_times(methods, "lenet", 16, rounds=2, steps=3, device=CPU, ema={"averaged": 0.75})
    assert updated == [0.25] * 9


def test_each_method_has_a_time_for_each_round(few_images: None) -> None:
    """Teachers, peers and memories included."""
    methods = {"plain": "plain", "kd": "kd", "dml": "dml", "memory": {"name": "osakd", "pool": "memory"}}
    seconds = step_times(methods, "lenet", 16, rounds=2, steps=1, device=CPU)
    assert list(seconds) == list(methods)
    assert all(len(of_method) == 2 and min(of_method) > 0 for of_method in seconds.values())
