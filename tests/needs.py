"""What tests need beside the trunk: a leaf, or a real library.

A file's tests are skipped where its library is not installed, unless all must be.

``make test-integrations`` runs them in an environment that has all, and sets ``OSAKD_INTEGRATIONS=all``.
"""

import importlib
import os
from types import ModuleType

import pytest

from osakd.leaves import LEAVES


def needs(library: str) -> ModuleType:
    """The library, imported."""
    if os.environ.get("OSAKD_INTEGRATIONS") == "all":
        return importlib.import_module(library)
    return pytest.importorskip(library)


def leaf(name: str) -> pytest.MarkDecorator:
    """The mark of a test that is skipped where a leaf is left out."""
    return pytest.mark.skipif(name not in LEAVES, reason=f"the leaf {name} is left out")
