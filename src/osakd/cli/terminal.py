"""What a command prints, where that cannot be written, and the signals that stop it."""

import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, TextIO

from osakd.errors import STOPPING, printable, printable_lines


def say(line: str, *, error: bool = False) -> None:
    """Prints one line, whatever names it holds. Commands print with this function and ``say_lines`` alone."""
    print(printable(line), file=sys.stderr if error else sys.stdout, flush=True)


def say_lines(text: str, *, error: bool = False) -> None:
    """Prints text whose lines are ours, not those of a name."""
    for line in printable_lines(text).removesuffix("\n").split("\n"):
        say(line, error=error)


class Doing(logging.Handler):
    """Shows on a terminal what takes a while: what the logger ``osakd`` says, and imports of large libraries.

    A finder of modules is asked before they are imported.
    """

    _LARGE: ClassVar = {"torch": "PyTorch", "executorch": "ExecuTorch", "matplotlib": "Matplotlib"}

    def emit(self, record: logging.LogRecord) -> None:
        """Prints the message."""
        if sys.stderr.isatty():
            say(f"{record.getMessage()} ...", error=True)

    def find_spec(self, name: str, *_: object) -> None:
        """Says that a library is imported; others find it."""
        if name in self._LARGE:
            logging.getLogger("osakd").info("Importing %s", self._LARGE[name])

    def __enter__(self) -> None:
        logger = logging.getLogger("osakd")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
        sys.meta_path.insert(0, self)  # type: ignore[arg-type]

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)  # type: ignore[arg-type]
        logging.getLogger("osakd").removeHandler(self)


class _Output:
    """A standard stream whose errors end nothing: the first is kept, and what follows is not written."""

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        self._stream, self.error = stream, None

    def write(self, text: str) -> int:
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, call: Callable[..., object], *arguments: str) -> None:
        try:
            call(*arguments)
        except OSError as error:
            self.error = self.error or error
            if not isinstance(error, BlockingIOError):  # which the next line may not meet
                with suppress(OSError):  # what is buffered goes nowhere, or Python complains at its end
                    os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())


@contextmanager
def guarded_output() -> "Iterator[_Output]":
    """Guards the standard streams, also where they are closed; yields that of standard output."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = outputs = [_Output(stream or io.StringIO()) for stream in before]  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():  # also those of libraries, which may hold names
            warnings.showwarning = lambda message, *_: say(f"Warning: {message}", error=True)  # type: ignore[assignment]
            yield outputs[0]
    finally:
        sys.stdout, sys.stderr = before


@contextmanager
def stopped_by_signals() -> Iterator[list[int]]:
    """Makes a Ctrl-C of every signal that stops a command; yields the numbers of those that came.

    The first stops the command, which saves; the second changes nothing; the third ends the process at once. What is
    ignored from the start, as by nohup, stays so.
    """
    received: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        received.append(number)
        if len(received) == 1:
            raise KeyboardInterrupt
        if len(received) > 2:
            os._exit(128 + received[0])
        with suppress(OSError):
            os.write(2, b"\nosakd: saving; a third signal ends it without.\n")

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        kept = [number for number in STOPPING if signal.getsignal(number) not in (signal.SIG_IGN, None)]
        before = {number: signal.signal(number, on_signal) for number in kept}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
