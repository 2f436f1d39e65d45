"""Public names that are imported on first use (PEP 562), so that a package can be imported without torch."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: name of the package.
        modules: for each public name the module that defines it, relative to the package.

    Example:
        >>> get, names = lazy_names("osakd", {"InputError": "errors"})
        >>> get("InputError").__name__, names()
        ('InputError', ['InputError'])
    """

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{modules[name]}"), name)

    return get, lambda: sorted(modules)
