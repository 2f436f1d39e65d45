"""What every test relies on: one thread, a cache of its own, the real images where they are."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("osakd", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("osakd")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images of a test session stay out of the user's cache."""
    monkeypatch.setenv("OSAKD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in torchvision's place, whose erasing blackens one pixel."""

    def erase(image: torch.Tensor) -> torch.Tensor:
        image = image.clone(memory_format=torch.contiguous_format)
        image.view(-1)[torch.randint(image.numel(), ())] = 0
        return image

    fake: Any = ModuleType("torchvision.transforms.v2")
    fake.RandomErasing = lambda: erase
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", fake)


@pytest.fixture
def checkpoint_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osakd.engine.loop.SECONDS_BETWEEN_CHECKPOINTS", 0.0)


@pytest.fixture(scope="session")
def real_images() -> Path:
    """The folder of the real images; tests that need it are skipped, saying so, where it is unset."""
    folder = os.environ.get("OSAKD_DATASETS")
    if not folder:
        pytest.skip("OSAKD_DATASETS is unset: no real images here")
    return Path(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``gpu`` are skipped, with the reason, where there is none."""
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no gpu here"))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A test file that cannot be imported ends the session: pytest's search for doctests would skip it in silence."""
    is_test = Path(report.nodeid).name.startswith("test_")
    if is_test and report.skipped and "unable to import module" in str(report.longrepr):
        pytest.exit(f"{report.nodeid} cannot be imported: python -c 'import {report.nodeid[:-3].replace('/', '.')}'", 1)


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder that nobody may write; root may all the same, unless it works ``as_ordinary_user``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Permissions bind: root becomes another user, who may not read root's files: import and load them before."""
    nobody = 65534
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(nobody)
    try:
        yield
    finally:
        os.seteuid(0)
