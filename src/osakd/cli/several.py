"""A command in several processes, which torchrun starts: which of them says why it stops, and what ends them."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

from osakd.engine.launch import process_count, process_number
from osakd.errors import RunError

SECONDS_TO_ASK = 5


def speaks() -> bool:
    """Whether this process may say why it stops: no other one of its command has said why yet, so it knows best."""
    if process_count() == 1:
        return True
    # A process that lost the connection to this one in the meantime finds that it was not the first.
    from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage] - its documented name

    place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = TCPStore(*place, is_master=False, timeout=timedelta(seconds=SECONDS_TO_ASK))
        return store.add(f"osakd said why {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", 1) == 1
    except RuntimeError:  # the launcher has ended, or was another one
        return process_number() == 0


@contextmanager
def stopped_by_launcher() -> Iterator[None]:
    """Turns the signal by which torchrun ends a process, after another one has failed, into an error.

    After any error the signal is ignored: the process ends, but it has to say why first.
    """

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's interface
        raise RunError(
            "The launcher has stopped this run, as it does where one of its processes has ended: see what it said, "
            "then give the same command with --resume."
        )

    if process_count() == 1:
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except BaseException:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise
    signal.signal(signal.SIGTERM, before)
