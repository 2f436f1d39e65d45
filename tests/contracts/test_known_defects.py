"""Defects of known distillation libraries, each as a test.

Elsewhere: the divergence is summed over classes, not averaged (losses against loops in tests/methods); teachers get no
gradient (tests/methods/test_with_teachers.py); whether a sample is its own neighbour is an option
(tests/losses/test_osakd.py); the best epoch on the test set is named so and stands beside the last
(tests/engine/test_train.py). On several ranks the memories are equal (tests/losses/test_ranks.py).
"""

from pathlib import Path
from typing import Any

import pytest
import torch

import osakd
from osakd.records import read_metrics
from tests.contracts.replicas import run, serial
from tests.engine.runs import StopAt


@pytest.mark.parametrize("variant", ["plain", "kd", "dml", "codistillation", "one", "ffl"])
def test_students_train_in_training_mode_after_they_were_evaluated(variant: str) -> None:
    executor = serial(variant, 0, "staged")
    modes: list[bool] = []
    executor.method.get_submodule("network.network.stage2").register_forward_hook(
        lambda module, *_: modes.append(module.training)
    )
    for epoch in (1, 2):
        modes.clear()
        run(executor, [0], [epoch])
        assert modes
        assert all(modes)
        executor.scores("test")
        assert executor.method.training


def test_a_teacher_sees_the_very_images_that_the_student_sees() -> None:
    """Its outputs are kept nowhere, so no order of samples can be mixed up, and augmentation is the same."""
    executor = serial("kd", 0, "staged", crop=2)
    seen: dict[str, list[torch.Tensor]] = {"network": [], "teacher": []}
    for name, images in seen.items():
        executor.method.get_submodule(name).register_forward_pre_hook(
            lambda _, given, images=images: images.append(given[0].clone())
        )
    run(executor, [0], [1])
    assert len(seen["network"]) == len(seen["teacher"]) == 10
    assert all(torch.equal(one, other) for one, other in zip(seen["network"], seen["teacher"], strict=True))
    assert not torch.equal(seen["network"][0], seen["network"][1])


@pytest.mark.usefixtures("checkpoint_every_epoch")
@pytest.mark.parametrize("schedule", ["step", "cosine"])
def test_the_learning_rate_is_right_after_a_resume(schedule: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"epochs": 5, "schedule": schedule, "milestones": [0.4, 0.7]}
    osakd.train("digits", out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", out=tmp_path / "parts", callbacks=[StopAt(4, 1)], **options)
    osakd.train("digits", out=tmp_path / "parts", resume=True, **options)
    whole, parts = (
        [(row["learning_rate"], row["train"]["total"]) for row in read_metrics(tmp_path / name)]
        for name in ("whole", "parts")
    )
    assert whole == parts
    assert len({rate for rate, _ in whole}) > 2


def test_a_memory_is_in_the_checkpoint_whole(tmp_path: Path) -> None:
    osakd.train("digits", method={"name": "osakd", "pool": "memory"}, epochs=1, deploy="last", out=tmp_path)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["method"]
    assert state["criterion.memory.valid"].sum() == 600
    assert {"criterion.memory.outputs", "criterion.memory.target", "criterion.memory.norms"} <= set(state)
