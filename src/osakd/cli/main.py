"""``osakd COMMAND ...``: finds the command, and turns every error into one sentence and an exit code."""

import signal
import sys
import traceback
from collections.abc import Sequence

from osakd import __version__
from osakd.cli.terminal import Doing, guarded_output, say, say_lines, stopped_by_signals
from osakd.errors import (
    NO_MEMORY,
    STOPPING,
    InputError,
    RunError,
    is_out_of_memory,
    needing,
    one_line,
    unknown_name,
)
from osakd.leaves import load, offered

COMMANDS = {
    "compare": ("osakd.cli.commands:compare", "train several methods over several seeds and show who wins"),
    "train": ("osakd.cli.commands:train", "train one network with one method"),
    "evaluate": ("osakd.cli.commands:evaluate", "score a trained network on a test set"),
    "predict": ("osakd.cli.commands:predict", "predict the classes of images"),
    "report": ("osakd.cli.commands:report", "show what is recorded: one page for a browser, tables and figures"),
    "pack": ("osakd.cli.commands:pack", "put the runs of a folder in one file, without their networks"),
    "status": ("osakd.cli.commands:status", "show how far the runs in a folder are, from any terminal"),
    "cost": ("osakd.cli.cost:cost", "count what each method costs, in training and deployed"),
    "list": ("osakd.cli.commands:list_", "show the known data, models and methods"),
    **offered("commands"),
}
"""Each command: ``module:name`` of what runs it, and what it does. The module is imported when it is called."""
_USAGE = """usage: osakd COMMAND [options]     (osakd COMMAND --help shows the options)

Train small neural networks without a teacher.

commands:
{commands}

options:
  --help        show this
  --version     show the version
  --traceback   show Python's traceback when something goes wrong
"""


def run() -> None:
    """The entry point of the console script."""
    sys.excepthook = lambda *error: say_lines("".join(traceback.format_exception(*error)), error=True)
    code = main(sys.argv[1:])
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)  # there is nothing left to stop
    sys.exit(code)


def main(argv: Sequence[str]) -> int:
    """Runs a command; the exit code is 0, 2 for the user's mistake, 1 for a failure, 128 + a signal that stopped it."""
    arguments = [argument for argument in argv if argument != "--traceback"]
    try:
        with guarded_output() as output:
            code = _run(arguments, raises="--traceback" in argv)
            # A reader of our output that has gone (osakd list | head) wants no more.
            if output.error and not isinstance(output.error, BrokenPipeError):
                _complain(f"the output could not be written ({output.error.strerror}); the rest was done.")
                code = code or 1
    except KeyboardInterrupt:  # just before the command began, or after its end
        _complain("stopped.")
        return 128 + signal.SIGINT
    return code


def _run(arguments: list[str], *, raises: bool) -> int:
    """Runs a command; the exit code."""
    with stopped_by_signals() as received:
        try:
            with Doing():
                return _dispatch(arguments)
        except KeyboardInterrupt as stopped:
            say("", error=True)
            _complain(f"stopped. {stopped}".rstrip())
            return 128 + (received or [signal.SIGINT])[0]
        except Exception as error:
            if raises:
                raise
            if isinstance(error, InputError | RunError):
                _complain(str(error))
                return 2 if isinstance(error, InputError) else 1
            words = f"{type(error).__name__}: {one_line(error) or 'no message'}"
            _complain(NO_MEMORY if is_out_of_memory(error) else f"unexpected {words} (--traceback shows where)")
            return 1


def _complain(sentence: str) -> None:
    say(f"osakd: {sentence}", error=True)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        commands = "\n".join(f"  {name:<12}{what}" for name, (_, what) in COMMANDS.items())
        say_lines(_USAGE.format(commands=commands))
        return 0
    if arguments[0] == "--version":
        say(f"osakd {__version__}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    with needing("train"):
        return load(COMMANDS[name][0])(arguments[1:])
