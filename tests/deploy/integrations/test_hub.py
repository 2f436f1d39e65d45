"""Networks in huggingface_hub's folders. Nothing is downloaded or uploaded."""

import copy
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import osakd
from tests.engine.runs import digits_run
from tests.needs import needs

huggingface_hub = needs("huggingface_hub")


def test_from_a_run_to_a_folder_and_back(tmp_path: Path) -> None:
    run = digits_run(tmp_path).folder
    network, images = osakd.OSAKDModel.from_pretrained(run), torch.rand(3, 1, 8, 8)
    assert torch.equal(network(images), osakd.load(run)(images))
    network.save_pretrained(tmp_path / "saved")
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {"README.md", "config.json", "model.safetensors"}
    again = osakd.OSAKDModel.from_pretrained(str(tmp_path / "saved"))
    assert torch.equal(again(images), network(images))
    assert again.predict(images) == network.predict(images)
    assert again.class_names == tuple("0123456789")
    card = huggingface_hub.ModelCard.load(tmp_path / "saved/README.md")
    assert card.data.library_name == "osakd"
    assert card.data.eval_results[0].metric_type == "accuracy"
    again.save_pretrained(tmp_path / "twice")
    for name in ("README.md", "config.json", "model.safetensors"):
        assert (tmp_path / "twice" / name).read_bytes() == (tmp_path / "saved" / name).read_bytes()


@pytest.mark.parametrize("place", ["{}/none", "./none", "none", "a/b/c", "{}/no/none", "me/none"])
def test_a_place_that_is_not_there_is_one_sentence(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    says = (
        "the hub gives no network of that name" if place == "me/none" else "does not exist: give a folder, or a hub id"
    )
    with pytest.raises(osakd.InputError, match=says):
        osakd.OSAKDModel.from_pretrained(place.format(tmp_path))


def test_a_network_of_timm_is_saved_as_timm_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a module in timm's place, with timm's rules: strict names, and its keys of the configuration."""
    body, fake = nn.Sequential(nn.Conv2d(1, 5, 3), nn.Flatten(), nn.Linear(180, 10)), ModuleType("timm")
    body.pretrained_cfg = {"classifier": "2", "first_conv": "0", "url": "x", "mean": (0.5,) * 3, "std": (0.5,) * 3}
    fake.is_model, fake.create_model = lambda name: True, lambda *_, **__: copy.deepcopy(body)
    monkeypatch.setitem(sys.modules, "timm", fake)
    network = osakd.OSAKDModel.from_pretrained(digits_run(tmp_path, "timm:any").folder)
    network.save_pretrained(tmp_path / "saved")
    config = json.loads((tmp_path / "saved/config.json").read_text())
    assert (config["architecture"], config["num_classes"], config["model_args"]["in_chans"]) == ("any", 10, 1)
    images, shown = torch.rand(3, 1, 8, 8), config["pretrained_cfg"]
    assert (shown["input_size"], shown["classifier"], "url" in shown) == ([1, 8, 8], "2", False)
    theirs = copy.deepcopy(body)
    theirs.load_state_dict(load_file(tmp_path / "saved/model.safetensors"))
    expected = network(images)
    mean, std = (torch.tensor(shown[name]).view(-1, 1, 1) for name in ("mean", "std"))
    torch.testing.assert_close(theirs((images - mean) / std), expected)
    assert torch.equal(osakd.OSAKDModel.from_pretrained(tmp_path / "saved")(images), expected)


def test_a_folder_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(osakd.InputError, match="is not a run folder"):
        osakd.OSAKDModel.from_pretrained(tmp_path)
