"""A ``.pt2`` file that someone made: PyTorch would unpickle it, call what it names and evaluate its text."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import osakd
from osakd.cli.main import main
from osakd.deploy import pt2_format
from osakd.models.build import build_model
from tests.deploy.runs import digits_run
from tests.hostile.test_code import Evil

Entries = dict[str, bytes]
CODE = "().__class__.__base__ and __import__('os').mkdir({marker!r})"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("file")
    return osakd.export(digits_run(folder).folder, folder / "model.pt2").path


def entries(file: Path) -> Entries:
    with zipfile.ZipFile(file) as archive:
        return {one: archive.read(one) for one in archive.namelist()}


def pickled(marker: Path) -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": Evil(marker)}, stream)
    return stream.getvalue()


def changed(found: Entries, end: str, change: Callable[[Any], None]) -> Entries:
    (name,) = [one for one in found if one.endswith(end)]
    value = json.loads(found[name])
    change(value)
    return found | {name: json.dumps(value).encode()}


def as_pickle(config: Any) -> None:
    next(iter(config["config"].values()))["use_pickle"] = True


def as_text(key: str, text: str) -> Callable[[Any], None]:
    """Sets the first value of a key in a program, at any depth."""

    def change(value: Any) -> bool:
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            if name == key:
                value[key] = [text] if isinstance(one, list) else text
                return True
            if isinstance(one, dict | list) and change(one):
                return True
        return False

    return change  # type: ignore[return-value]


def planted(found: Entries, marker: Path) -> dict[str, Entries]:
    """Every way to have code run: the file as PyTorch loads it."""
    code = CODE.format(marker=str(marker))
    ends = ("sample_inputs/model.pt", "weight_0")
    example, weight = (next(one for one in found if one.endswith(end)) for end in ends)
    return {
        "example": found | {example: pickled(marker)},
        "weight": changed(found, "model_weights_config.json", as_pickle) | {weight: pickled(marker)},
        "constant": changed(
            found,
            "model_constants_config.json",
            lambda one: one.update(config={"x": {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}}),
        )
        | {"archive/data/constants/opaque_obj_0": pickle.dumps(Evil(marker))},
        "legacy": found | {"archive/data/weights/model.pt": pickled(marker)},
        "size": changed(found, "models/model.json", as_text("expr_str", code)),
        "argument": changed(found, "models/model.json", as_text("forward_arg_names", f"x={code}")),
        "target": changed(found, "models/model.json", as_text("target", "torch.os.system")),
        "library": found | {"archive/data/aotinductor/model/model.so": b"\x7fELF"},
    }


def written(path: Path, found: Entries) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in found.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "way", ["example", "weight", "constant", "legacy", "size", "argument", "target", "library", "compressed"]
)
def test_nothing_in_an_exported_program_runs(
    file: Path, way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker, path = tmp_path / "ran", tmp_path / "sent.pt2"
    if way == "compressed":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("archive/data/weights/weight_0", bytes(10**6))
    else:
        written(path, planted(entries(file), marker)[way])
    image = tmp_path / "image.png"
    image.write_bytes(b"")
    codes = [main(["evaluate", str(path), "--data", "digits"]), main(["predict", str(path), str(image)])]
    assert not marker.exists()
    assert codes == ([0, 2] if way == "example" else [2, 2])  # that one is left out
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    assert way == "example" or errors.count("could run code") == 2


@pytest.mark.parametrize("way", ["example", "weight", "size"])
def test_pytorch_alone_would_run_it(file: Path, way: str, tmp_path: Path) -> None:
    """The files are what they are meant to be."""
    marker = tmp_path / "ran"
    written(tmp_path / "sent.pt2", planted(entries(file), marker)[way])
    with pytest.raises(Exception, match=r"."):
        torch.export.load(tmp_path / "sent.pt2").module()(torch.zeros(1))
    assert marker.is_dir()


class Parts(nn.Module):
    """Operators of several outputs, and sizes that are computed from that of the batch."""

    def forward(self, images: Tensor) -> Tensor:
        left, right = images.chunk(2, dim=3)
        both = torch.cat([left, right]).flatten(1)
        return both.reshape(2 * images.shape[0], -1).sum(1).reshape(images.shape[0], 2)


@pytest.mark.parametrize("network", ["ds-cnn", "resnet20", None])
def test_sound_programs_pass(network: str | None) -> None:
    net = build_model(network, num_classes=10, input_shape=(3, 32, 32)).eval() if network else Parts()
    images = torch.rand(5, 3, 32, 32)
    content = pt2_format.write(net, images[:2], None)("sound")
    runtime, about = pt2_format.read(content)
    assert about == "sound"
    alone = torch.export.load(io.BytesIO(content)).module()  # without this package
    with torch.no_grad():
        torch.testing.assert_close(runtime(images), net(images))
        torch.testing.assert_close(alone(images), net(images))
    assert b"site-packages" not in content  # what PyTorch writes for readers: the paths of the machine
    assert b"test_pt2.py" not in content
