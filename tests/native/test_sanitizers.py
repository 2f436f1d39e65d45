"""The kernel under AddressSanitizer and UndefinedBehaviorSanitizer, on random shapes, in a process of its own."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SANITIZED = "gcc -fsanitize=address,undefined -fno-sanitize-recover=all"
NETWORKS = """
import random, sys
import torch
torch.set_num_threads(1)
from osakd.native.kernels.build import built_library
from osakd.native.kernels.operators import Plan, network
from tests.native.networks import made
rng = random.Random(0)
for number in range(int(sys.argv[1])):
    side, channels, images = rng.randrange(6, 15), rng.randrange(1, 6), rng.randrange(1, 40)
    convolutions = [(rng.randrange(1, 10), rng.choice([1, 3, 5]), rng.randrange(3)) for _ in range(rng.randrange(1, 3))]
    try:
        net = made((channels, side, side), convolutions, [rng.randrange(1, 20)] * rng.randrange(3), seed=number)
        if any(min(stage.pooled) < 1 or min(stage.height, stage.width) < stage.kernel for stage in net.stages):
            continue
    except RuntimeError:  # no network of that shape
        continue
    for dtype in (torch.float32, torch.uint8):
        x = (torch.rand(images, channels, side, side) * 255).to(dtype).requires_grad_(dtype == torch.float32)
        net.outputs(x, threads=rng.randrange(1, 3)).sum().backward()
print(number + 1, "shapes")
"""
OVERFLOW = """
import torch
from osakd.native.kernels.operators import Plan, Stage, network
wrong = torch.randn(9, 16)  # the plan says 10 outputs
plan = Plan((Stage(1, 8, 8, 1, 1, 0),), (16, 10), 4)
network([torch.rand(4, 1, 8, 8)], [torch.randn(1, 1, 1, 1), torch.randn(1), wrong, torch.randn(10)],
        torch.ones(1, 1), torch.zeros(1, 1), plan, 1)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    if sys.platform != "linux" or not shutil.which("gcc"):
        pytest.skip("gcc on Linux has the sanitizers that are used here")
    library = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    if not Path(library.strip()).is_absolute():
        pytest.skip("this gcc comes without AddressSanitizer")
    root = Path(__file__).parents[2]
    return os.environ | {
        "CC": SANITIZED,
        "LD_PRELOAD": str(Path(library.strip()).resolve()),
        "ASAN_OPTIONS": "detect_leaks=0",
        "OSAKD_KERNEL_MARCH": "x86-64-v3" if platform.machine() == "x86_64" else "native",  # half the time to build
        "OSAKD_CACHE": str(tmp_path_factory.mktemp("sanitized")),
        "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)]),
    }


def in_python(script: str, environment: dict[str, str], *given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *given]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=500)


def test_random_shapes_touch_no_memory_but_their_own(environment: dict[str, str]) -> None:
    done = in_python(NETWORKS, environment, "40")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "40 shapes\n"


def test_the_sanitizer_sees_the_kernel(environment: dict[str, str]) -> None:
    done = in_python(OVERFLOW, environment)
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
