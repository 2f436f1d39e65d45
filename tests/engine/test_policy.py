"""Who runs what, without building anything."""

import subprocess
import sys
from typing import get_args

import pytest

from osakd.engine.executors import registry
from osakd.engine.executors.registry import AUTO, EXECUTORS, REFERENCE, ExecutorEntry, ExecutorName, KernelsName
from osakd.errors import InputError
from tests.needs import leaf


def test_the_registry_needs_no_torch() -> None:
    code = "import sys, osakd.engine.executors.registry; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_options_are_those_of_the_registry() -> None:
    assert get_args(ExecutorName) == ("auto", "serial", "cuda_graph", "fused")
    assert get_args(KernelsName)[:2] == ("auto", "torch")
    assert EXECUTORS[REFERENCE] == ExecutorEntry(EXECUTORS[REFERENCE].builder)  # any device, no condition


@pytest.mark.parametrize(
    ("asked", "device", "expected"),
    [
        (AUTO, "cpu", ["serial/native", "serial"]),
        (AUTO, "cuda", ["cuda_graph", "serial"]),
        ("serial", "cuda", ["serial"]),
        ("cuda_graph", "cuda", ["cuda_graph"]),
    ],
)
def test_executors_of_a_single_run(asked: str, device: str, expected: list[str]) -> None:
    assert registry.executors_alone(asked, device) == [name for name in expected if name in EXECUTORS]


@pytest.mark.parametrize(
    ("device", "kernels", "recorded", "expected"),
    [
        ("cpu", "torch", "", ["serial"]),
        pytest.param("cpu", "native", "", ["serial/native"], marks=leaf("native")),
        ("cpu", AUTO, "serial", ["serial"]),
        ("cpu", AUTO, "serial/native", ["serial/native", "serial"]),
        ("cpu", "torch", "serial/native", ["serial"]),
        ("cpu", AUTO, "serial/ranks (4 processes)", ["serial/native", "serial"]),  # of an earlier version
        ("cuda", AUTO, "serial", ["cuda_graph", "serial"]),
    ],
)
def test_what_computes_small_networks(device: str, kernels: str, recorded: str, expected: list[str]) -> None:
    known = [name for name in expected if name in EXECUTORS]
    assert registry.executors_alone(AUTO, device, kernels, recorded) == known


def test_the_kernel_is_for_a_cpu() -> None:
    with pytest.raises(InputError, match="The native kernel does not run with the executor auto on cuda"):
        registry.executors_alone(AUTO, "cuda", "native")


@pytest.mark.parametrize(
    ("asked", "device", "kernels", "recorded", "expected"),
    [
        (AUTO, "cpu", AUTO, "", ["fused/native"]),
        (AUTO, "cpu", "torch", "", []),
        (AUTO, "cuda", AUTO, "", ["fused/channels", "fused/native"]),
        ("fused", "cpu", "torch", "", ["fused/channels"]),
        ("serial", "cpu", AUTO, "", []),
        ("cuda_graph", "cuda", AUTO, "", []),
        ("fused", "cpu", AUTO, "serial", ["fused/channels", "fused/native"]),
        ("fused", "cpu", AUTO, "fused/vmap (3 replicas)", ["fused/channels", "fused/native"]),  # an earlier version's
        pytest.param(AUTO, "cpu", AUTO, "fused/native (4 replicas)", ["fused/native"], marks=leaf("native")),
    ],
)
def test_which_executors_train_runs_together(
    asked: str, device: str, kernels: str, recorded: str, expected: list[str]
) -> None:
    known = [name for name in expected if name in EXECUTORS]
    assert registry.executors_together(asked, device, kernels, recorded) == known


def test_a_run_that_is_left_alone_takes_an_executor_of_single_runs() -> None:
    alone = {asked: registry.for_single_run(asked) for asked in get_args(ExecutorName)}
    assert alone == {"auto": "auto", "serial": "serial", "cuda_graph": "cuda_graph", "fused": "auto"}


def test_what_needs_cuda() -> None:
    assert registry.needs_cuda("cuda_graph", "float32")
    assert registry.needs_cuda(AUTO, "tf32")
    assert not any(registry.needs_cuda(asked, "bf16") for asked in (AUTO, "serial", "fused"))
    registry.check_device("cuda_graph", "tf32", "cuda")
    with pytest.raises(
        InputError, match="The executor cuda_graph needs a CUDA device, this run is on cpu: take serial"
    ):
        registry.check_device("cuda_graph", "float32", "cpu")
    with pytest.raises(InputError, match="`precision` tf32 needs a CUDA device, this run is on mps: take float32"):
        registry.check_device(AUTO, "tf32", "mps")
