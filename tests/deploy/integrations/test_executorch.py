"""Export to ExecuTorch, in its runtime."""

from pathlib import Path

import numpy as np
import pytest
import torch

import osakd
from osakd.data.sources import load_data
from osakd.deploy.exported import ExportedNetwork
from tests.deploy.damaged import refuses_other_bits
from tests.engine.runs import digits_run
from tests.needs import needs

runtime = needs("executorch.runtime")
needs("torchao")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_run(tmp_path_factory.mktemp("digits")).folder


@pytest.fixture(scope="module")
def file(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return osakd.export(run, tmp_path_factory.mktemp("file") / "model.pte").path


def test_the_runtime_alone_computes_the_network(run: Path, file: Path) -> None:
    program = runtime.Runtime.get().load_program(file)
    images = torch.from_numpy(load_data("digits").test.images[:30]).permute(0, 3, 1, 2).contiguous() / 255
    expected = osakd.load(run)(images).detach()
    for image, logits in zip(images.split(1), expected, strict=True):
        torch.testing.assert_close(program.load_method("forward").execute((image,))[0][0], logits, rtol=1e-4, atol=1e-4)


def test_it_says_nothing_of_the_machine_and_has_no_opset(run: Path, file: Path, tmp_path: Path) -> None:
    for word in (str(Path.cwd()), str(Path(osakd.__file__).parent), "/tmp", ".py", "return "):
        assert word.encode() not in file.read_bytes()
    with pytest.raises(osakd.InputError, match="ExecuTorch files have no opset: leave --opset out"):
        osakd.export(run, tmp_path / "x.pte", opset=18)


def test_two_files_at_once(run: Path, file: Path, tmp_path: Path) -> None:
    int8 = osakd.export(run, tmp_path / "int8.pte", int8=True, calibrate=100, input="uint8").path
    assert int8.stat().st_size < 0.6 * file.stat().st_size
    plain, small = osakd.load(file), osakd.load(int8)
    assert isinstance(small, ExportedNetwork)
    assert (small.metadata.number_format, small.metadata.input) == ("int8", "uint8")
    assert small.class_names == plain.class_names
    assert osakd.evaluate(int8)["accuracy"] >= osakd.evaluate(run)["accuracy"] - 0.01
    images = load_data("digits").test.images[:5]
    expected = [list(one.probabilities.values()) for one in osakd.load(run).predict(images)]
    for network, tolerance in ((plain, 1e-5), (small, 0.1)):
        found = [list(one.probabilities.values()) for one in network.predict(images)]
        np.testing.assert_allclose(found, expected, atol=tolerance)


def test_a_damaged_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.pte").write_bytes(file.read_bytes()[:200])
    with pytest.raises(osakd.InputError, match="cannot be loaded as ExecuTorch, it is damaged"):
        osakd.load(tmp_path / "damaged.pte")


def test_another_bit_is_noticed(file: Path, tmp_path: Path) -> None:
    refuses_other_bits(file, tmp_path, "ExecuTorch")
