"""A format of exported files that needs no extra, ``.made``."""

from collections.abc import Iterator

import pytest

from osakd.deploy.exported import FORMATS


@pytest.fixture(scope="module", autouse=True)
def made_format() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FORMATS, ".made", "tests.deploy.made_format")
        yield
