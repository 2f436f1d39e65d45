"""The recipes of docs/your-own-loop.md that need torch alone, run as they stand there."""

import re
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import osakd
from tests.integrations.pages import PAGE, blocks, run

CLASSES = 10


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the page writes a checkpoint


def test_a_plain_loop_trains_and_its_validation_writes_nothing() -> None:
    loop, *_ = blocks("A plain loop")
    names = run(loop)
    chance = torch.tensor(CLASSES).log().item()
    assert names["validation"] < chance
    assert names["loss"].memory.valid.all()
    norm = torch.stack([one.grad.norm() for one in names["network"].parameters()]).norm()
    assert norm <= 1.0001


def test_the_loss_is_computed_in_float32_in_autocast() -> None:
    logits = torch.randn(32, CLASSES, generator=torch.Generator().manual_seed(0)).bfloat16()
    target = torch.arange(32) % CLASSES
    expected = osakd.OSAKDLoss(CLASSES, k=8).terms(logits.float(), target)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = osakd.OSAKDLoss(CLASSES, k=8).terms(logits, target)
    for name, value in found._asdict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, getattr(expected, name))


def test_it_resumes_exactly() -> None:
    loop, save, load = blocks("A plain loop")
    epochs = "for epoch in range(2):"
    assert epochs in loop
    shuffled, in_order = "shuffle=True", "shuffle=False"
    whole = run(loop.replace(shuffled, in_order).replace(epochs, "for epoch in range(3):"))
    first = run(loop.replace(shuffled, in_order), save)
    # A new process makes everything anew: an epoch of none trains nothing.
    made = loop.replace(shuffled, in_order).replace(epochs, "for epoch in range(0):")
    made = made.replace("OutputMemory(len(dataset), 10)", "OutputMemory(0, 10)")
    last = loop[loop.index(epochs) :].replace(epochs, "for epoch in range(state['epoch'] + 1, 3):")
    resumed = run(made, load, last)
    assert first["loss"].memory.valid.all()
    for part in ("network", "loss"):
        expected = whole[part].state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in resumed[part].state_dict().items())
        assert resumed[part].state_dict().keys() == expected.keys()


def test_scripts_of_others_go_on_with_the_loss_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's dictionary, and timm's task by its own rule: what ``get_task_state`` gives is saved."""
    loop, *_ = blocks("A plain loop")
    torchvisions, timms = blocks("In a training script of others")
    fake: Any = ModuleType("timm.task")
    fake.ClassificationTask = type("ClassificationTask", (), {"__init__": lambda self, criterion: None})
    monkeypatch.setitem(sys.modules, "timm", ModuleType("timm"))
    monkeypatch.setitem(sys.modules, "timm.task", fake)
    names = run(
        loop,
        torchvisions.replace(
            "loss.load", "before, loss = loss, osakd.OSAKDLoss(10, memory=osakd.OutputMemory(0, 10))\nloss.load"
        ),
        timms,
    )
    first, second = names["OSAKDTask"](None), names["OSAKDTask"](None)
    first.criterion, second.criterion = names["before"], osakd.OSAKDLoss(10, memory=osakd.OutputMemory(0, 10))
    assert first.get_task_state(ema=True) == {}
    second.load_task_state(None)
    second.load_task_state(first.get_task_state())
    for loss in (names["loss"], second.criterion):
        for name, value in names["before"].state_dict().items():
            assert torch.equal(loss.state_dict()[name], value), name


def test_gradient_accumulation_with_a_memory() -> None:
    loop, *_ = blocks("A plain loop")
    (accumulation,) = blocks("Gradient accumulation")
    names = run(loop, accumulation)
    assert names["loss"].memory.valid.sum() == 87 * 16  # the last 8 of 1,400 are dropped
    assert names["loss"].k > 16
    mass, larger = (osakd.soft_label_ceiling(size, [0.1] * CLASSES, 8) for size in (16, 64))
    assert re.search(rf"a mass of {mass:.2f} instead of {larger:.2f}", PAGE)


def test_a_compiled_network(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, *_ = blocks("A plain loop")
    (compiled,) = blocks("torch.compile")
    states = []
    for compile_ in (partial(torch.compile, backend="aot_eager"), nn.Identity()):
        monkeypatch.setattr(torch, "compile", compile_)
        names = run(loop, compiled)
        states.append(names["network"].state_dict() | names["loss"].state_dict())
    torch.testing.assert_close(*states)
