"""Whole runs that go on in one program: what they leave, and how they stop, fail and go on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osakd import InputError
from osakd.engine import loop, state, train
from osakd.engine.executors.fused.executor import FusedExecutor
from osakd.records import read_metrics, read_result
from tests.contracts.replicas import CPU, plans_of
from tests.engine.runs import MEMORY, StopAt, same_weights


@pytest.mark.parametrize("options", [{}, {"validation": 0.2, "class_weights": "balanced", "cutmix": 1.0}])
def test_fused_runs_leave_what_serial_runs_leave(tmp_path: Path, options: dict[str, Any]) -> None:
    plans = plans_of(tmp_path / "fused", epochs=3, **options)
    assert train.run_together(plans, loop.Callback()) == {}
    for plan in plans:
        alone = tmp_path / "serial" / plan.folder.name
        expected = train.run(replace(plan, folder=alone, executor="serial"), loop.Callback())
        found = read_result(plan.folder)
        assert found.environment["executor"].startswith("fused/")
        assert found.last["train"].keys() == expected.last["train"].keys()
        # Rounding may decide a neighbour: where samples are counted, one may differ.
        for name, value in expected.last["train"].items():
            within = 1.5 / 480 if name == "soft_label_agreement" else 1e-3
            assert found.last["train"][name] == pytest.approx(value, abs=within), name
        assert found.last["test"]["accuracy"] == pytest.approx(expected.last["test"]["accuracy"], abs=0.005)
        assert [row.keys() for row in read_metrics(plan.folder)] == [row.keys() for row in read_metrics(alone)]
        assert sorted(p.name for p in plan.folder.iterdir()) == sorted(p.name for p in alone.iterdir())


@pytest.mark.usefixtures("checkpoint_every_epoch")
def test_stopped_fused_runs_go_on_bit_for_bit(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train.run_together(plans_of(tmp_path / "a", ["plain", MEMORY], epochs=4), StopAt(3, 3))
    for place in ("a", "b"):
        train.run_together(plans_of(tmp_path / place, ["plain", MEMORY], epochs=4), loop.Callback())
    for run in (tmp_path / "a").iterdir():
        assert same_weights(run, tmp_path / "b" / run.name)


@pytest.mark.usefixtures("checkpoint_every_epoch")
def test_killed_between_two_checkpoints_they_go_back_to_the_same_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = state.save_checkpoint

    def killed(folder: Path, what: dict[str, Any], **how: Any) -> None:
        if what["epoch"] == 3 and folder == plans[2].folder:
            raise KeyboardInterrupt
        save(folder, what, **how)

    plans = plans_of(tmp_path / "a", epochs=4)
    with monkeypatch.context() as patch:
        patch.setattr(state, "save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            train.run_together(plans, loop.Callback())
    assert [state.read_checkpoints(plan.folder, CPU)[0]["epoch"] for plan in plans] == [3, 3, 2, 2]
    for place in ("a", "b"):
        train.run_together(plans_of(tmp_path / place, epochs=4), loop.Callback())
    for plan in plans:
        assert same_weights(plan.folder, tmp_path / "b" / plan.folder.name)
        assert not (plan.folder / "checkpoint.previous.pt").exists()


def test_a_run_that_fails_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_epoch = FusedExecutor.run_epoch

    def spoil(self: FusedExecutor, orders: Sequence[np.ndarray], **rest: Any) -> Any:
        found = run_epoch(self, orders, **rest)
        return [found[0], found[1]._replace(first_bad_step=4), *found[2:]]

    monkeypatch.setattr(FusedExecutor, "run_epoch", spoil)
    plans = plans_of(tmp_path, epochs=2)
    errors = train.run_together(plans, loop.Callback())
    assert list(errors) == [plans[1].folder]
    assert "not finite at step 5 of epoch 1" in str(errors[plans[1].folder])
    assert [read_result(plan.folder) is not None for plan in plans] == [True, False, True, True]


def test_networks_that_cannot_be_fused_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "random_model.py").write_text(
        "from torch import nn\n"
        "def net(num_classes, input_shape):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, num_classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    plans = plans_of(tmp_path / "runs", epochs=1, model="random_model:net")
    with pytest.raises(InputError, match=r"cannot be fused \(channels: Dropout\): take --executor serial"):
        train.run_together(plans, loop.Callback())
    assert not list((tmp_path / "runs").rglob("config.json"))


def test_runs_at_different_epochs_are_refused(tmp_path: Path) -> None:
    plans = plans_of(tmp_path, epochs=1)
    train.run(replace(plans[0], executor="serial"), loop.Callback())
    more = plans_of(tmp_path, epochs=2)
    with pytest.raises(InputError, match="Runs that stopped at different epochs cannot continue together"):
        train.run_together(more, loop.Callback())
