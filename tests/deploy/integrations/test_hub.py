"""Networks in huggingface_hub's folders. Nothing is downloaded or uploaded."""

from pathlib import Path

import pytest
import torch

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


def test_a_folder_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(osakd.InputError, match="is not a run folder"):
        osakd.OSAKDModel.from_pretrained(tmp_path)
