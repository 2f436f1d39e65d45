"""examples/microcontroller.py: every operation of a network is compiled, for a Cortex-M55 and for an Ethos-U55."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from osakd import build_model
from osakd.deploy.export import DeployableNetwork
from osakd.deploy.exported import using_extra
from tests.engine.runs import digits_run
from tests.needs import needs

needs("executorch.exir")
needs("tosa_serializer")
needs("ethosu.vela")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of the compilers


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).parents[3] / "examples/microcontroller.py"))


@pytest.mark.parametrize("target", ["cortex-m55", "ethos-u55-128"])
def test_a_run_is_compiled(
    example: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str], target: str
) -> None:
    run, to = digits_run(tmp_path).folder, tmp_path / "model.pte"
    assert example["main"]([str(run), str(to), "--target", target]) == 0
    printed = capfd.readouterr().out
    assert 10_000 < to.stat().st_size < 30_000  # of 13,706 parameters
    if target == "cortex-m55":
        difference = re.search(r"CMSIS-NN, on 20 of them: logits differ by up to ([\d.]+)%", printed)
        assert difference
        assert float(difference[1]) < 2
    else:
        assert re.search(r"CPU operators = 0 .*NPU operators = [1-9]", printed, re.DOTALL)


def test_depthwise_convolutions_are_of_cmsis_nn_too(example: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = build_model("ds-cnn", num_classes=10, input_shape=(3, 8, 8)).eval()
    images = torch.rand(4, 3, 8, 8).to(memory_format=torch.channels_last)
    form = DeployableNetwork(network, pixels=False).to(memory_format=torch.channels_last)
    with using_extra("microcontroller"):
        program = example["quantised"](form, example["quantizer_of"]("cortex-m55"), images)
        compiled, _ = example["for_cortex_m"](program, images[:1])
    names = {str(node.target) for node in compiled.graph.nodes if node.op == "call_function"}
    assert not [name for name in names if "aten.convolution" in name or "aten.linear" in name or "aten.addmm" in name]
    assert [name for name in names if "cortex_m.quantized_depthwise_conv2d" in name]
    torch.testing.assert_close(compiled(images[:1]), network(images[:1]), atol=0.01, rtol=0)


def test_mistakes_are_one_sentence_each(
    example: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example["main"]([str(tmp_path), str(tmp_path / "model.pte")]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert example["main"]([str(tmp_path), str(tmp_path / "no/model.pte")]) == 2
    assert "no' does not exist" in capsys.readouterr().err
