"""float32 means IEEE float32; TF32 and bfloat16 are explicit choices; soft labels are at least float32."""

from typing import Any

import pytest
import torch

import osakd
from osakd import InputError, OSAKDLoss
from osakd.engine.precision import autocast, matmul_precision
from tests.contracts.replicas import run, serial, together

CUDA = torch.device("cuda")


def settings() -> list[str]:
    backends: Any = [torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn]
    return [backend.fp32_precision for backend in backends]


@pytest.mark.parametrize(("precision", "expected"), [("float32", "ieee"), ("tf32", "tf32"), ("bf16", "ieee")])
def test_products_of_float32_are_ieee_unless_asked_otherwise(precision: str, expected: str) -> None:
    before = settings()
    with matmul_precision(precision, CUDA):
        assert settings() == [expected] * 3
    assert settings() == before


def test_precision_is_set_back_after_an_error() -> None:
    before = settings()
    with pytest.raises(ZeroDivisionError), matmul_precision("tf32", CUDA):
        raise ZeroDivisionError
    assert settings() == before


def test_tf32_without_cuda_is_refused(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="tf32 needs a CUDA device, this run is on cpu: take float32"):
        osakd.train("digits", precision="tf32", epochs=1, out=tmp_path, device="cpu")


def test_bf16_is_recorded_and_trains(tmp_path: Any) -> None:
    run = osakd.train("digits", precision="bf16", epochs=8, out=tmp_path, device="cpu")
    assert run.config.precision == "bf16"
    assert run.result.last["test"]["accuracy"] > 0.6


def test_soft_labels_in_bf16_are_those_of_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(32, 10, generator=generator).bfloat16()
    classes = torch.arange(32) % 10
    loss = OSAKDLoss(10, 4)
    expected = loss.soft_labels(logits.float(), classes)
    with autocast("bf16", torch.device("cpu")):
        found = loss.soft_labels(logits, classes)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_fused_and_serial_agree_in_bf16_as_far_as_it_goes() -> None:
    shared = run(together("fused/channels", "residual", ["plain", "osakd"], precision="bf16"), [0, 0, 1, 1], [1])
    alone = run(serial("osakd", 0, "residual", precision="bf16"), [0], [1])
    exact = run(serial("osakd", 0, "residual"), [0], [1])
    assert shared[0][1]["total"] == pytest.approx(alone[0][0]["total"], abs=0.02)
    assert alone[0][0]["total"] != exact[0][0]["total"]
