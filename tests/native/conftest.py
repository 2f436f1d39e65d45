import platform
from collections.abc import Iterator

import pytest

from osakd.native.kernels import checks, library
from osakd.native.kernels.build import compilers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``compiler`` are skipped, with the reason, where there is none."""
    for item in items:
        if item.get_closest_marker("compiler") and not any(compilers()):
            item.add_marker(pytest.mark.skip(reason="no compiler here"))


def look_again() -> None:
    for cached in (library._found, checks._network_difference, checks._labels_difference):
        cached.cache_clear()


@pytest.fixture
def anew() -> Iterator[None]:
    """The kernel is looked for once more, and again after the test."""
    look_again()
    yield
    look_again()


@pytest.fixture(params=["native", "x86-64-v3"], scope="module")
def instructions(request: pytest.FixtureRequest) -> Iterator[None]:
    """The tests run with this machine's instruction set and, on x86-64, once more restricted to AVX2."""
    if request.param != "native" and platform.machine() != "x86_64":
        pytest.skip("no AVX2 here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSAKD_KERNEL_MARCH", request.param)
        look_again()
        yield
    look_again()
