"""Starting weights from files of several kinds: what is taken, what is made anew, what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import osakd
from osakd import build_model
from osakd.engine.state import load_student
from osakd.errors import InputError
from osakd.models.weights import load_weights

CLASSES = ("cat", "dog", "owl")


def network(num_classes: int = 3, *, seed: int = 0, model: str = "resnet8") -> nn.Module:
    torch.manual_seed(seed)
    return build_model(model, num_classes=num_classes, input_shape=(3, 8, 8))


def bare(num_classes: int = 3) -> dict[str, Tensor]:
    """Without the input normalisation."""
    state = network(num_classes, seed=1).state_dict()
    return {name.removeprefix("network."): state[name] for name in state if name.startswith("network.")}


def body_and_head(of: nn.Module) -> tuple[Tensor, Tensor]:
    state = of.state_dict()
    return state["network.stage3.0.conv1.weight"], state["network.fc.weight"]


@pytest.mark.parametrize(
    "content",
    [
        bare(),
        {f"module.{name}": value for name, value in bare().items()},
        {"epoch": 3, "state_dict": {f"model.{name}": value for name, value in bare().items()}},
        network(seed=1).state_dict(),
        {f"module.{name}": value for name, value in network(seed=1).state_dict().items()},
    ],
    ids=["bare", "parallel", "lightning", "whole", "whole, parallel"],
)
def test_weights_are_taken_whatever_the_prefix_of_their_names(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pt")
    filled, expected = network(), network(seed=1)
    assert load_weights(filled, tmp_path / "weights.pt", CLASSES) == "Starting weights: weights.pt."
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in filled.state_dict().items())


@pytest.mark.parametrize("content", [bare(5), {name: value for name, value in bare().items() if "fc." not in name}])
def test_a_head_of_another_size_is_made_anew(content: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(content, tmp_path / "weights.safetensors")
    filled = network()
    note = load_weights(filled, tmp_path / "weights.safetensors", CLASSES)
    assert note == "Starting weights: weights.safetensors; the head is made anew, for 3 classes."
    (body, head), (_, new) = map(body_and_head, (filled, network()))
    assert torch.equal(body, content["stage3.0.conv1.weight"])
    assert torch.equal(head, new)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({name: value for name, value in bare().items() if "bn1" not in name}, r"\('.*bn1.*' is missing\)"),
        (bare() | {"more": torch.ones(1)}, "the network has no '.*more'"),
        (bare() | {"stage1.0.conv1.weight": torch.ones(2)}, r"has shape \[2\], in the network \[16, 16, 3, 3\]"),
        ({"weights": [1, 2]}, "cannot be read .it is not a state dict.: give"),
        (b"nothing", "cannot be read .*: give a safetensors file"),
    ],
)
def test_weights_that_do_not_fit(content: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(InputError, match=message):
        load_weights(network(), path, CLASSES)


@pytest.mark.usefixtures("checkpoint_every_epoch")
def test_a_run_starts_from_the_network_of_another_one(tmp_path: Path) -> None:
    first = osakd.train("digits", model="resnet8", epochs=1, deploy="last", out=tmp_path / "first")
    options: Any = {"model": "resnet8", "learning_rate": 1e-9, "weights": first.folder, "epochs": 1, "deploy": "last"}
    run = osakd.train("digits", method="codistillation", out=tmp_path / "second", **options)
    (body, head), (old, old_head) = (body_and_head(load_student(each.folder)) for each in (run, first))
    assert torch.allclose(body, old, atol=1e-6)
    assert torch.allclose(head, old_head, atol=1e-6)
    assert run.config.weights is not None
    assert run.config.weights.startswith("sha256:")
    assert "Starting weights: student.safetensors." in run.result.notes
    osakd.train("digits", out=tmp_path / "second", method="codistillation", resume=True, **options)
    with pytest.raises(InputError, match="are neither a file nor the folder of a finished run"):
        osakd.train("digits", weights=tmp_path / "nothing")


def test_classes_of_other_names_have_a_new_head(tmp_path: Path) -> None:
    run = osakd.train("digits", model="resnet8", epochs=1, out=tmp_path)
    other = build_model("resnet8", num_classes=10, input_shape=(1, 8, 8))
    assert "made anew" in load_weights(other, run.folder / "student.safetensors", tuple("abcdefghij"))
    assert "made anew" not in load_weights(other, run.folder / "student.safetensors", tuple("0123456789"))
