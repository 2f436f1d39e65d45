"""The two kinds of error that osakd raises on purpose: the caller's mistake, and a run that failed.

Every message is one sentence that names what was wrong, the rule, the value got, and what to do about it.
The command line prints that sentence alone, without a traceback.
"""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """The caller's input cannot be used. The command line exits with code 2."""


class RunError(RuntimeError):
    """A run failed for a reason other than the caller's input. The command line exits with code 1."""


class NotFusedError(InputError):
    """These runs cannot be fused into one program; they can run one at a time."""


def unknown_name(kind: str, got: str, known: Iterable[str], remedy: str = "") -> InputError:
    """The error for a name that is not in a table, with the nearest known one.

    Args:
        kind: what the name stands for, such as ``"model"``.
        got: name that was given.
        known: names that are known.
        remedy: text to append after the names.

    Example:
        >>> str(unknown_name("model", "lenett", ["lenet", "resnet20"]))
        "Unknown model 'lenett'; did you mean 'lenet'? Known: lenet, resnet20."
        >>> str(unknown_name("data", "CIFAR-10", ["cifar10", "digits"]))
        "Unknown data 'CIFAR-10'; did you mean 'cifar10'? Known: cifar10, digits."
    """
    names = list(known)
    by_spelling = {_plain(name): name for name in names}
    near = difflib.get_close_matches(_plain(got), by_spelling, n=1)
    guess = f"; did you mean {by_spelling[near[0]]!r}?" if near else "."
    return InputError(f"Unknown {kind} {got!r}{guess} Known: {', '.join(names)}{remedy}.")


def _plain(name: str) -> str:
    """The name without what people spell differently."""
    return name.lower().replace("-", "").replace("_", "")
