"""A command as a program of its own, for tests that interrupt it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def started(
    program: str, *argv: str, stdout: int = subprocess.DEVNULL, module: bool = True, ignored: int = signal.SIGUSR1
) -> Iterator[subprocess.Popen[str]]:
    """A module or a file in a session of its own, where Ctrl-C works even if it is ignored here; nothing is left."""

    def prepare() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, ignored):
            signal.signal(number, signal.SIG_IGN if number == ignored else signal.SIG_DFL)

    process = subprocess.Popen(
        [sys.executable, *["-m"] * module, program, *argv],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=prepare,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
