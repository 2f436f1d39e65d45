"""Export to ONNX, in ONNX Runtime."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import osakd
from osakd.cli.main import main
from osakd.data.sources import load_data
from tests.deploy.damaged import refuses_other_bits
from tests.engine.runs import digits_run
from tests.needs import needs

onnxruntime = needs("onnxruntime")
onnx = needs("onnx")
needs("onnxscript")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_run(tmp_path_factory.mktemp("digits")).folder


@pytest.fixture(scope="module")
def file(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return osakd.export(run, tmp_path_factory.mktemp("file") / "model.onnx", license="mit").path


def test_onnx_runtime_alone_computes_the_network(run: Path, file: Path) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    test = load_data("digits").test
    images = test.images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    logits = session.run(None, {"images": images})[0]  # a batch of any size
    assert np.mean(logits.argmax(1) == test.target) == osakd.evaluate(run)["accuracy"]
    about = json.loads(session.get_modelmeta().custom_metadata_map["osakd"])
    assert (about["class_names"], about["license"], about["mean"]) == (list("0123456789"), "mit", [0.5])
    onnx.checker.check_model(onnx.load(file))


def test_int8_weights_in_a_quarter_of_the_bytes(run: Path, file: Path, tmp_path: Path) -> None:
    path = tmp_path / "int8.onnx"
    assert main(["export", str(run), "--to", str(path), "--int8", "--calibrate", "200", "--input", "uint8"]) == 0
    assert path.stat().st_size < 0.6 * file.stat().st_size  # a network of 13,706 parameters
    stored = {tensor.data_type for tensor in onnx.load(path).graph.initializer if np.prod(tensor.dims) > 100}
    assert stored == {onnx.TensorProto.INT8}  # those of weights; scales and biases are smaller
    assert osakd.evaluate(path)["accuracy"] >= osakd.evaluate(run)["accuracy"] - 0.01
    images = load_data("digits").test.images[:200]
    predicted, expected = ([image.class_name for image in osakd.load(place).predict(images)] for place in (path, run))
    assert np.mean(np.array(predicted) == np.array(expected)) > 0.85


def test_files_say_nothing_of_the_machine_and_old_runtimes_read_them(
    run: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By hand: onnxruntime 1.15.0 and 1.16.3 compute the same logits, bit for bit; opset 18 and IR 8 are from 2022."""
    files = {18: [file, tmp_path / "int8.onnx"], 17: [tmp_path / "17.onnx"]}
    osakd.export(run, files[18][1], int8=True)
    assert main(["export", str(run), "--to", str(files[17][0]), "--opset", "17"]) == 0
    for opset, paths in files.items():
        for path in paths:
            model, content = onnx.load(path), path.read_bytes()
            assert ([(one.domain, one.version) for one in model.opset_import], model.ir_version) == ([("", opset)], 8)
            for word in (str(Path.cwd()), str(Path(osakd.__file__).parent), "/tmp", ".py", "line ", "return "):
                assert word.encode() not in content, (path.name, word)
    with pytest.raises(osakd.InputError, match="cannot be written with opset 9, but with 18: give --opset 18"):
        osakd.export(run, tmp_path / "x.onnx", opset=9)


def test_int8_weights_leave_a_bit_for_processors_that_saturate(run: Path, tmp_path: Path) -> None:
    model = onnx.load(osakd.export(run, tmp_path / "int8.onnx", int8=True).path)
    tensors = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    assert 50 < max(abs(int(tensor.min())) for tensor in tensors if tensor.dtype == np.int8 and tensor.size > 100) <= 64


def own(num_classes: int, input_shape: tuple[int, int, int]) -> torch.nn.Module:
    layers = torch.nn.Conv2d(input_shape[0], 4, 3), torch.nn.AdaptiveMaxPool2d(5), torch.nn.Flatten()
    return torch.nn.Sequential(*layers, torch.nn.Linear(100, num_classes))


def test_a_layer_that_the_format_lacks_is_named(tmp_path: Path) -> None:
    run = digits_run(tmp_path, f"{__name__}:own").folder
    with pytest.raises(
        osakd.InputError, match=r"ONNX has no form of the layer 1 \(AdaptiveMaxPool2d\); .*take another"
    ):
        osakd.export(run, tmp_path / "x.onnx", trust=True)


def test_damaged_and_foreign_files(file: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.onnx").write_bytes(file.read_bytes()[:-500])
    with pytest.raises(osakd.InputError, match="cannot be loaded as ONNX, it is damaged"):
        osakd.load(tmp_path / "damaged.onnx")
    foreign = onnx.load(file)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / "foreign.onnx")
    with pytest.raises(osakd.InputError, match="was not written by this version of `osakd export`"):
        osakd.load(tmp_path / "foreign.onnx")


def test_another_bit_is_noticed(file: Path, tmp_path: Path) -> None:
    refuses_other_bits(file, tmp_path, "ONNX")
