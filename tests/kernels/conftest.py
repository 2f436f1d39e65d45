from collections.abc import Iterator

import pytest

from osakd.kernels import checks, library


@pytest.fixture
def anew() -> Iterator[None]:
    """The kernel is looked for once more, and again after the test."""
    for cached in (library._found, checks._difference):
        cached.cache_clear()
    yield
    for cached in (library._found, checks._difference):
        cached.cache_clear()
