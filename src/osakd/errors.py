"""The errors that osakd raises on purpose: a mistake of the caller, and a run that failed.

Every message is one sentence that names what was wrong, the rule, the value got, and what to do about it.
The command line prints that sentence alone, without a traceback.
"""

import difflib
import errno
import re
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_UNSEEN = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\xad\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff]"
)
"""Characters that steer a terminal, end a line, turn the direction of a text around, or are in no encoding."""


class InputError(ValueError):
    """The caller's input cannot be used. The command line exits with code 2."""


class RunError(RuntimeError):
    """A run failed for a reason other than the caller's input. The command line exits with code 1."""


STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Ctrl-C, and what a scheduler and a closed terminal send: a run is saved, then its command ends."""
NO_MEMORY = (
    "There is not enough memory: take a smaller --batch-size or network, or fewer runs at a time (--executor serial, "
    "fewer --processes)."
)


class UnsupportedError(Exception):
    """An executor or a kernel cannot be used for a run; the message says why, to follow "since"."""


class NotFusedError(InputError):
    """These runs cannot be fused into one program; they can run one at a time."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left: Python's own, or PyTorch's for a CPU or a GPU."""
    sentences = ("DefaultCPUAllocator", "out of memory", "could not create a primitive")  # the last is oneDNN's
    named = isinstance(error, RuntimeError) and any(sentence in str(error) for sentence in sentences)
    return isinstance(error, MemoryError) or named


def unknown_name(kind: str, got: str, known: Iterable[str], remedy: str = "") -> InputError:
    """The error for a name that is not in a table, with the nearest known one.

    Args:
        kind: what the name stands for, such as ``"model"``.
        got: the unknown name.
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


def one_line(error: object) -> str:
    r"""The message of an error of another library, without its line breaks and indents.

    Example:
        >>> one_line(ValueError("bad value:\n    3"))
        'bad value: 3'
    """
    return " ".join(str(error).split())


def printable(text: str) -> str:
    r"""One line, whatever names it holds: characters that steer what shows it are written out, as JSON writes them.

    Example:
        >>> printable("cat\x1b[2J\n"), printable("\u202egnp.exe")
        ('cat\\u001b[2J\\u000a', '\\u202egnp.exe')
    """
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def printable_lines(text: str) -> str:
    """Text of several lines, each of them ``printable``."""
    return "\n".join(map(printable, text.split("\n")))


@contextmanager
def as_sentences(path: Path) -> Iterator[None]:
    """Turns what the file system refuses into one sentence that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise RunError(
                f"The disk is full at {str(path)!r}: free some space and give the same command again; "
                "everything written before is complete."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise RunError(
                f"No permission to write {str(path)!r}: choose another folder or change its permissions."
            ) from error
        if error.errno == errno.ENOENT:
            raise InputError(
                f"The parent folder of {str(path)!r} does not exist: create it or choose another folder."
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise InputError(f"{str(path)!r} cannot be made, a file is in the way: choose another folder.") from error
        raise RunError(
            f"{str(path)!r} cannot be written ({error.strerror}): look at its disk, then give the same command again."
        ) from error


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Turns a package that is missing into one sentence that names the extra which has it; also a decorator."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or extra).partition(".")[0]
        if package == "osakd":
            raise
        raise InputError(
            f"This needs the package {package!r}, which is not installed: pip install 'osakd[{extra}]'."
        ) from error


def _plain(name: str) -> str:
    """The name without what people spell differently."""
    return name.lower().replace("-", "").replace("_", "")
