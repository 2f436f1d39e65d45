"""The real libraries: a file's tests are skipped where its library is not installed, unless all must be.

``make test-integrations`` runs them in an environment that has all, and sets ``OSAKD_INTEGRATIONS=all``.
"""

import importlib
import os
from types import ModuleType

import pytest


def needs(library: str) -> ModuleType:
    """The library, imported."""
    if os.environ.get("OSAKD_INTEGRATIONS") == "all":
        return importlib.import_module(library)
    return pytest.importorskip(library)
