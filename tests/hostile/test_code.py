"""Files that others made: none of them makes osakd run code, or write outside of the folder that it was given."""

import io
import os
import pickle
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import osakd
from osakd import InputError
from osakd.cli.main import main
from osakd.records import CHECKPOINT, CONFIG, METRICS, RESULT, STUDENT, SUMMARY
from tests.data.made import write_image_folder

OWN = """
from pathlib import Path
from torch import nn
Path({marker!r}).write_text("ran")
def small(num_classes, input_shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
"""


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def pickles(marker: Path) -> dict[str, bytes]:
    """The pickle itself, and in the archives that torch and NumPy write."""
    raw = pickle.dumps(Evil(marker))
    zipped = io.BytesIO()
    torch.save({"epoch": 1, "inner": Evil(marker)}, zipped)
    array, archive = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([Evil(marker)], dtype=object), allow_pickle=True)
    np.savez(archive, images=np.array([Evil(marker)], dtype=object))
    legacy = io.BytesIO()
    torch.save(Evil(marker), legacy, _use_new_zipfile_serialization=False)
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as stream:
        stream.writestr("archive/data.pkl", raw)
        stream.writestr("archive/version", b"3")
        stream.writestr("../../outside.txt", b"escaped")
    made = {"raw": raw, "zip": zipped, "npy": array, "npz": archive, "legacy": legacy, "nested": nested}
    return {name: one if isinstance(one, bytes) else one.getvalue() for name, one in made.items()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    osakd.train("digits", epochs=1, fraction=0.1, out=folder)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    for path in finished.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def use(run: Path) -> None:
    """Everything that reads a run folder."""
    more = ["--data", "digits", "--fraction", "0.1", "--epochs", "2", "--out", str(run), "--resume"]
    for command in (["train", *more], ["evaluate", str(run)], ["status", str(run)], ["report", str(run), "--gallery"]):
        assert main(command) in (0, 1, 2)


@pytest.mark.parametrize("name", [CHECKPOINT, "checkpoint.previous.pt", STUDENT, CONFIG, METRICS, RESULT, SUMMARY])
def test_no_pickle_is_loaded_from_a_run(
    run: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / "ran"
    assert pickle.loads(pickles(marker)["raw"]) is None
    assert marker.is_dir()  # the pickle does what it says where it is loaded
    marker.rmdir()
    for content in pickles(marker).values():
        before = (run / name).read_bytes() if (run / name).exists() else None
        (run / name).write_bytes(content)
        use(run)
        assert not marker.exists()
        assert not (tmp_path / "outside.txt").exists()
        (run / name).unlink(missing_ok=True)
        if before is not None:
            (run / name).write_bytes(before)
    assert "Traceback" not in capsys.readouterr().err


def test_no_pickle_is_loaded_from_the_cache_of_decoded_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from osakd.data.sources import load_data

    monkeypatch.setenv("OSAKD_CACHE", str(tmp_path / "cache"))
    data = write_image_folder(tmp_path / "data")
    expected = load_data(str(data)).train.images.tolist()
    for content in pickles(tmp_path / "ran").values():
        for path in (tmp_path / "cache").glob("*/images.npy"):
            path.write_bytes(content)
        assert load_data(str(data)).train.images.tolist() == expected
    assert not (tmp_path / "ran").exists()


def test_yaml_makes_no_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marker, config = tmp_path / "ran", tmp_path / "options.yaml"
    config.write_text(f"model: !!python/object/apply:os.mkdir ['{marker}']\n")
    assert main(["train", "--config", str(config)]) == 2
    assert main(["train", "--epochs", f"!!python/object/apply:os.mkdir ['{marker}']"]) == 2
    assert not marker.exists()
    assert "Traceback" not in capsys.readouterr().err


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of someone's own, which leaves a file when it is imported, and that file."""
    marker = tmp_path / "ran"
    (tmp_path / "planted_network.py").write_text(OWN.format(marker=str(marker)))
    monkeypatch.syspath_prepend(tmp_path)
    yield marker
    sys.modules.pop("planted_network", None)


def test_a_function_that_a_folder_names_is_called_only_with_trust(
    tmp_path: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"epochs": 1, "fraction": 0.1, "model": "planted_network:small"}
    osakd.train("digits", method="osakd", out=tmp_path / "sent", **small)  # the user names it
    assert own.exists()
    own.unlink()
    del sys.modules["planted_network"]
    for call in (osakd.load, osakd.evaluate, lambda run: osakd.export(run, tmp_path / "to.onnx")):
        with pytest.raises(InputError, match=r"names a function as its network, 'planted_network:small', .* --trust"):
            call(tmp_path / "sent")
    kd = {"name": "kd", "teacher": str(tmp_path / "sent")}
    with pytest.raises(InputError, match="whose code would run"):
        osakd.train("digits", method=kd, epochs=1, fraction=0.1, out=tmp_path / "kd")
    assert main(["report", str(tmp_path / "sent"), "--gallery"]) == 2
    assert main(["report", str(tmp_path / "sent")]) == 0
    assert main(["status", str(tmp_path / "sent")]) == 0
    assert main(["evaluate", str(tmp_path / "sent")]) == 2
    assert not own.exists()
    assert main(["evaluate", str(tmp_path / "sent"), "--trust"]) == 0
    assert own.exists()
    assert "accuracy" in capsys.readouterr().out
    osakd.train("digits", method=kd, epochs=1, fraction=0.1, out=tmp_path / "kd", trust=True)


def test_a_network_of_another_name_than_its_run_is_damaged(run: Path, own: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(run / STUDENT, framework="pt") as stored:
        about, tensors = stored.metadata(), {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    save_file(tensors, run / STUDENT, {"osakd": about["osakd"].replace("lenet-digits", "planted_network:small")})
    with pytest.raises(osakd.RunError, match="is damaged"):
        osakd.load(run, trust=True)
    assert not own.exists()


@pytest.mark.parametrize("name", [METRICS, CHECKPOINT, RESULT, CONFIG, STUDENT, ".lock", "report.html", "error.json"])
def test_a_link_out_of_the_run_folder_is_not_followed_to_write(run: Path, name: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    content = (run / name).read_bytes() if (run / name).exists() else b"precious"
    outside.write_bytes(content)
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(outside)
    use(run)
    assert outside.read_bytes() == content


def test_a_teacher_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/teacher").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="is a link to another folder"):
        osakd.train("digits", method="born-again", epochs=1, fraction=0.1, out=tmp_path / "run")
    assert not list((tmp_path / "outside").iterdir())
