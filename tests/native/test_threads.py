"""The kernel's tasks are shared over PyTorch's own threads, or over its own where those are not known."""

import subprocess
import sys

import pytest
import torch

from osakd.native.kernels import library

SCRIPT = """
import ctypes, sys
import torch
from osakd.native.kernels import library
if sys.argv[1] == "own":
    library._openmp = lambda: None
from osakd.native.kernels.operators import Plan, Stage, network
torch.manual_seed(0)
images = torch.rand(64, 3, 32, 32)
parameters = [torch.randn(6, 3, 5, 5), torch.randn(6), torch.randn(10, 6 * 14 * 14), torch.randn(10)]
plan = Plan((Stage(3, 32, 32, 6, 5, 0),), (6 * 14 * 14, 10), 64)
one, two = (network([images], parameters, torch.ones(1, 3), torch.zeros(1, 3), plan, n) for n in (1, 2))
assert torch.equal(one, two)
print(one.sum().item())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="loaded libraries are listed on Linux")
def test_pytorch_s_threads_are_found() -> None:
    assert torch.get_num_threads() >= 1
    assert library._openmp() is not None


@pytest.mark.compiler
def test_both_kinds_of_threads_compute_the_same() -> None:
    outputs = [
        subprocess.run([sys.executable, "-c", SCRIPT, kind], capture_output=True, text=True, check=True).stdout
        for kind in ("openmp", "own")
    ]
    assert outputs[0] == outputs[1]
