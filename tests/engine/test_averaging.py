"""The moving average of weights: its formula, its checkpoints, its scores, what is deployed."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import osakd
from osakd.engine.averaging import WeightAverage
from osakd.engine.executors.registry import EXECUTORS
from osakd.engine.state import load_student
from osakd.records import read_metrics
from tests.contracts.replicas import SEEDS, TOGETHER, run, serial, together
from tests.engine.runs import StopAt

DECAY = 0.9


def test_it_is_that_of_pytorch_but_for_its_start() -> None:
    network, steps = nn.Linear(3, 2).double(), 0

    def corrected(averaged: Any, current: Any, _: Any) -> None:
        torch._foreach_lerp_(averaged, current, 1 - min(DECAY, steps / (10 + steps)))

    theirs = torch.optim.swa_utils.AveragedModel(network, multi_avg_fn=corrected)
    ours = WeightAverage(list(network.parameters()), DECAY)
    for step in range(150):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        ours.update()
        steps = step
        theirs.update_parameters(network)
    assert float(ours.weight) == pytest.approx(1 - DECAY)
    for average, other in zip(ours.averages, theirs.module.parameters(), strict=True):
        torch.testing.assert_close(average, other.detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("name", TOGETHER)
def test_every_executor_averages_alike(float64: None, name: str, averaged: bool) -> None:
    """Weights and BatchNorm's statistics; in a checkpoint, in the scores, and as what is deployed."""
    variants, changes = ["plain", "label-smoothing"], {"ema": DECAY}
    shared = together(name, "residual", variants, **changes)
    assert EXECUTORS[name].together
    order = [(seed, variant) for seed in SEEDS for variant in variants]
    run(shared, [seed for seed, _ in order], [1])
    states, scores, networks = shared.states(), shared.scores("test"), shared.networks(averaged=averaged)
    for number, (seed, variant) in enumerate(order):
        reference = serial(variant, seed, "residual", **changes)
        run(reference, [seed], [1])
        (state,), (expected,) = reference.states(), reference.scores("test")
        assert list(expected) == ["student", "averaged"]
        assert expected["student"] != expected["averaged"]
        for key, values in expected.items():
            assert scores[number][key] == pytest.approx(values, abs=1e-9)
        for part in ("method", "average"):
            assert any("running_var" in key for key in state["average"])
            for key, tensor in state[part].items():
                torch.testing.assert_close(states[number][part][key], tensor, rtol=0, atol=1e-9)
        which = "average" if averaged else "method"
        for key, tensor in networks[number].state_dict().items():
            if f"network.{key}" in state[which]:
                torch.testing.assert_close(tensor, state[which][f"network.{key}"], rtol=0, atol=1e-9)


def test_it_is_loaded_by_any_executor(float64: None) -> None:
    source = serial("plain", 0, "residual", ema=DECAY)
    run(source, [0], [1])
    state = copy.deepcopy(source.states())
    run(source, [0], [2])
    target = together(TOGETHER[0], "residual", ["plain"], ema=DECAY)
    target.load([state[0], state[0]])
    run(target, [0, 0], [2])
    for key, tensor in source.states()[0]["average"].items():
        torch.testing.assert_close(target.states()[0]["average"][key], tensor, rtol=0, atol=1e-9)


def test_a_run_with_it_resumes_exactly_and_deploys_it(tmp_path: Path) -> None:
    options: dict[str, Any] = {"method": "osakd", "epochs": 4, "ema": 0.95, "deploy": "averaged", "validation": 0.1}
    whole = osakd.train("digits", out=tmp_path / "whole", **options)

    with pytest.raises(KeyboardInterrupt):
        osakd.train("digits", out=tmp_path / "cut", callbacks=[StopAt(3)], **options)
    resumed = osakd.train("digits", out=tmp_path / "cut", resume=True, **options)
    assert resumed.result.last["test"] == whole.result.last["test"]
    assert resumed.result.deployed == whole.result.deployed
    assert read_metrics(whole.folder)[0]["others"]["averaged"]["validation"]["accuracy"] > 0
    assert osakd.evaluate(whole.folder) == pytest.approx(whole.result.deployed_scores(), abs=1e-6)
    for one, other in zip(*(load_student(of.folder).parameters() for of in (whole, resumed)), strict=True):
        assert torch.equal(one, other)
    assert json.loads((whole.folder / "config.json").read_text())["ema"] == 0.95
