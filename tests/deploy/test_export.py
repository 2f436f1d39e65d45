"""Exports that need no other package: their proof, their metadata, and every mistake in one sentence."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

import osakd
from osakd.cli.main import main
from osakd.data.sources import load_data
from osakd.deploy.export import LARGEST_LOSS, lost_accuracy
from osakd.deploy.exported import ExportedNetwork
from tests.data.made import encode, made_images, write_class_folder, write_image_folder, write_table
from tests.deploy import made_format
from tests.engine.runs import digits_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_run(tmp_path_factory.mktemp("digits")).folder


@pytest.fixture(scope="module")
def file(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return osakd.export(run, tmp_path_factory.mktemp("file") / "model.made", license="apache-2.0").path


def test_an_exported_program_is_the_network(run: Path, file: Path) -> None:
    network, exported = osakd.load(run), osakd.load(file)
    images = load_data("digits").test.images[:20]
    for ours, theirs in zip(exported.predict(images), network.predict(images), strict=True):
        assert ours.class_name == theirs.class_name
        np.testing.assert_allclose(list(ours.probabilities.values()), list(theirs.probabilities.values()), rtol=1e-4)
    assert osakd.evaluate(file)["accuracy"] == osakd.evaluate(run)["accuracy"]


def test_a_run_and_its_exported_file_know_where_the_images_were(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "pets", classes=("cat", "dog", "owl"))
    run = osakd.train(str(folder), out=tmp_path / "run", resize=12, model="lenet-digits", epochs=1, batch_size=4)
    named = osakd.evaluate(run.folder, data=str(folder))
    again = osakd.evaluate(run.folder)
    assert (again, again.answers) == (named, named.answers)
    file = osakd.export(run.folder, tmp_path / "pets.made").path
    assert osakd.evaluate(file)["accuracy"] == named["accuracy"]
    records = b"".join(path.read_bytes() for path in run.folder.iterdir() if path.suffix in (".json", ".jsonl"))
    assert str(tmp_path).encode() not in records + file.read_bytes()
    write_class_folder(folder, {"train/cat/more.png": encode(made_images(1, 5, (12, 12, 3))[0])})
    for place in (run.folder, file):
        with pytest.raises(osakd.InputError, match="trained on a local folder called 'pets': name it with --data"):
            osakd.evaluate(place)


def test_the_file_says_what_it_is(run: Path, file: Path) -> None:
    exported = osakd.load(file)
    assert isinstance(exported, ExportedNetwork)
    metadata = exported.metadata
    assert metadata.class_names == tuple("0123456789")
    assert (metadata.model, metadata.method, metadata.data) == ("lenet-digits", "plain", "digits")
    assert metadata.license == "apache-2.0"
    assert (metadata.input_shape, metadata.input, metadata.number_format) == ((1, 8, 8), "float", "float32")
    assert (metadata.mean, metadata.std) == ([0.5], [0.5])
    assert (metadata.parameters, metadata.test_images) == (13_706, 1197)
    assert metadata.accuracy == osakd.evaluate(run)["accuracy"]


def test_pixels_as_input(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.made"
    assert main(["export", str(run), "--to", str(path), "--input", "uint8"]) == 0
    assert "images uint8 [n, 1, 8, 8]" in capsys.readouterr().out
    assert osakd.evaluate(path) == pytest.approx(osakd.evaluate(run), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda logits: logits + 1e-3 * torch.arange(10), "logits by up to 0.009"),
        (lambda logits: logits.roll(1, 1), r"of 1197 predictions differ"),
        (lambda logits: logits * torch.nan, "logits by up to nan"),
    ],
)
def test_a_file_that_computes_something_else_is_not_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, says: str
) -> None:
    monkeypatch.setattr(made_format, "changed", change)
    with pytest.raises(osakd.RunError, match=f"{says}.* was not written"):
        osakd.export(run, tmp_path / "model.made")
    assert list(tmp_path.iterdir()) == []


def test_int8_may_lose_a_point_and_no_more(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(made_format, "changed", lambda logits: logits.roll(1, 1))
    with pytest.raises(
        osakd.RunError, match=r"int8 loses \d+\.\d+ to \d.* points of accuracy .* was not written: leave"
    ):
        osakd.export(run, tmp_path / "model.made", int8=True)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(made_format, "changed", lambda logits: logits + 0.01)
    assert main(["export", str(run), "--to", str(tmp_path / "model.made"), "--int8"]) == 0
    assert "int8 loses 0.00 to 0.00 points of accuracy (each bound with 95 %)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("images", "worse", "better", "refused"),
    [
        (160, 4, 0, False), (50, 1, 0, False), (20, 5, 0, True), (1197, 122, 0, True), (1000, 30, 30, False),
        (10_000, 300, 150, True), (10_000, 280, 170, False), (100, 0, 0, False),
    ],
)  # fmt: skip
def test_an_interval_over_the_test_images_decides(images: int, worse: int, better: int, refused: bool) -> None:
    """Neither one image of few nor four of 160 show that more than a point is lost."""
    target, before, predicted = (torch.zeros(images, dtype=torch.long) for _ in range(3))
    predicted[:worse] = 1
    before[worse : worse + better] = 1
    low, high = lost_accuracy(predicted, before, target)
    assert (low > LARGEST_LOSS) == refused
    assert low <= (worse - better) / images <= high
    if worse and not better:  # 5 % that all that changed became worse
        assert low == pytest.approx((2 * 0.05 ** (1 / worse) - 1) * worse / images)


def own(num_classes: int, input_shape: tuple[int, int, int]) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(math.prod(input_shape), num_classes))


def test_a_network_of_one_s_own_is_deployed_with_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, to = digits_run(tmp_path, f"{__name__}:own").folder, tmp_path / "model.made"
    PIL.Image.new("L", (8, 8)).save(tmp_path / "x.png")
    for words in (["export", "--to", str(to)], ["latency", "--calls", "1"], ["predict", str(tmp_path / "x.png")]):
        command = [words[0], str(run), *words[1:]]
        assert main(command) == 2
        assert "give --trust" in capsys.readouterr().err
        assert main([*command, "--trust"]) == 0
    hub = pytest.importorskip("osakd.deploy.hub").OSAKDModel
    with pytest.raises(osakd.InputError, match="trust=True"):
        hub.from_pretrained(run)
    hub.from_pretrained(run, trust=True).save_pretrained(tmp_path / "saved")
    assert hub.from_pretrained(tmp_path / "saved", trust=True).class_names == osakd.load(to).class_names


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            "No decomposition for <OpOverload(op='aten.linear')>",
            r"no form of the layer hidden1.0 \(Linear\); '.*model.made' was not",
        ),
        ("Operator torch._ops.aten.fft_rfft.default is not", "no form of the operator fft_rfft; "),
        ("\x1b[96mfile a bug\n", r"no form of a layer of the network \(\\u001b\[96mfile a bug\); "),
    ],
)
def test_a_layer_that_a_converter_does_not_know_is_one_sentence(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, says: str
) -> None:
    def write(*_: Any) -> None:
        raise RuntimeError(error)

    monkeypatch.setattr(made_format, "write", write)
    with pytest.raises(osakd.InputError, match=says):
        osakd.export(run, tmp_path / "model.made")


def test_wrong_targets_are_one_sentence_each(run: Path, file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.made").write_bytes(file.read_bytes()[:1])
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "flipped.made").write_bytes(content)
    (tmp_path / "other.made").write_bytes(file.read_bytes().partition(b"\n")[0] + b"\n")
    write_table(tmp_path / "letters/test.parquet", {"label": list("abcdefghijkl")})
    wrong: list[tuple[Any, str]] = [
        (lambda: osakd.export(run, tmp_path / "model.tflite"), "unknown ending"),
        (
            lambda: osakd.export(run, tmp_path / "model.pt2"),
            r"unknown ending: .*\.onnx \(ONNX\) or \.pte \(ExecuTorch\)",
        ),
        (lambda: osakd.export(run, tmp_path / "no/model.made"), "The folder .*no' does not exist"),
        (lambda: osakd.latency([run], record=tmp_path / "no/record.json"), "The folder .*no' does not exist"),
        (lambda: osakd.latency([run], record=tmp_path / "empty"), "empty' is a folder: name the file to write"),
        (lambda: osakd.export(run, tmp_path / "x.made", calibrate=0), "`calibrate` must be at least 1"),
        (lambda: osakd.export(run, tmp_path / "x.made", input="bytes"), "Unknown input 'bytes'"),  # type: ignore[arg-type]
        (lambda: osakd.export(tmp_path / "empty", tmp_path / "x.made"), "is not a run folder"),
        (lambda: osakd.export(file, tmp_path / "x.made"), r"is not a run folder \(it is a file\)"),
        (lambda: osakd.export(run, tmp_path / "x.made", data=str(tmp_path / "letters")), "takes images of 8x8|classes"),
        (lambda: osakd.load(tmp_path / "empty"), "is not a run folder"),
        (lambda: osakd.load(tmp_path / "missing.onnx"), "it does not exist"),
        (lambda: osakd.load(tmp_path / "damaged.made"), "cannot be loaded as made up, it is damaged"),
        (lambda: osakd.load(tmp_path / "flipped.made"), "it is damaged or of another kind .*checksum"),
        (lambda: osakd.load(tmp_path / "other.made"), "was not written by this version of `osakd export`"),
        (lambda: osakd.evaluate(file, data=str(tmp_path / "letters"), resize=8), "knows the classes 0, 1, 2"),
    ]
    for call, says in wrong:
        with pytest.raises(osakd.InputError, match=says):
            call()


def test_a_folder_without_permission_is_one_sentence(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(osakd.RunError, match=r"No permission to write to .*: choose another folder"):
        osakd.export(run, tmp_path / "model.made")


@pytest.mark.parametrize(
    ("ending", "extra", "package"), [("onnx", "onnx", "onnxruntime"), ("pte", "executorch", "executorch")]
)
def test_a_missing_extra_is_one_sentence(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, extra: str, package: str
) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime", "executorch", "torchao"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    (tmp_path / f"a.{ending}").write_bytes(b"x")
    says = rf"This needs the package '{package}', which is not installed: pip install 'osakd\[{extra}\]'\."
    with pytest.raises(osakd.InputError, match=says):
        osakd.export(run, tmp_path / f"model.{ending}")
    with pytest.raises(osakd.InputError, match=says):
        osakd.load(tmp_path / f"a.{ending}")
    assert not (tmp_path / f"model.{ending}").exists()
