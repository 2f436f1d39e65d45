"""Signatures and docstrings as the one place where an option is declared: Python's help and the terminal read them."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from osakd.engine.config import Options

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
_INDENT = "    "


def takes_options(function: FunctionT) -> FunctionT:
    """Shows the fields of ``Options`` where a function has ``**options``, in its signature and in its docstring.

    The body still gets a dictionary. The fields cannot be written out as types of ``**options`` (PEP 692) without a
    ``TypedDict`` that repeats each of them.

    Example:
        >>> @takes_options
        ... def train(data, **options):
        ...     '''Trains.
        ...
        ...     Args:
        ...         data: a name.
        ...         **options: see ``Options``.
        ...     '''
        >>> list(inspect.signature(train).parameters)[:3], argument_texts(train)["epochs"]
        (['data', 'recipe', 'model'], "number of passes over the training set; by default the recipe's.")
    """
    signature = inspect.signature(function)
    named = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    parameters = [*named, *inspect.signature(Options).parameters.values()]
    function.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore[reportFunctionMemberAccess]
    lines = (inspect.getdoc(function) or "").splitlines()
    texts = [f"{_INDENT}{name}: {text}" for name, text in argument_texts(Options).items()]
    for number, line in enumerate(lines):
        if line.startswith(f"{_INDENT}**"):
            lines[number : number + 1] = texts
            break
    function.__doc__ = "\n".join(lines)
    return function


def argument_texts(documented: Callable[..., Any]) -> dict[str, str]:
    """The descriptions in the section ``Args`` of a docstring in Google's style, by the name of the argument."""
    texts: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(documented) or "").partition("\nArgs:\n")[2].splitlines():
        if line.startswith(2 * _INDENT):
            texts[name] += f" {line.strip()}"
        elif line.startswith(_INDENT):
            name, _, texts_of_name = line.strip().partition(": ")
            texts[name] = texts_of_name
        else:
            break
    return texts
