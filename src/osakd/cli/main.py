"""``osakd COMMAND ...``: finds the command, and turns every error into one sentence and an exit code."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from osakd import __version__
from osakd.cli.several import speaks
from osakd.engine.launch import process_count
from osakd.errors import NO_MEMORY, InputError, RunError, is_out_of_memory, one_line, printable, unknown_name

COMMANDS = {
    "compare": "train several methods over several seeds and show who wins",
    "train": "train one network with one method",
    "evaluate": "score a trained network on a test set",
    "predict": "predict the classes of images",
    "export": "write a trained network for a device: ONNX, ExecuTorch or torch.export",
    "latency": "compare trained networks and exported files: accuracy, size, time, memory",
    "card": "write the model card of a run",
    "reproduce": "run what is missing of a table of the paper, and show ours beside theirs",
    "report": "show what is recorded: one page for a browser, tables and figures",
    "status": "show how far the runs in a folder are, from any terminal",
    "cost": "count what each method costs, in training and deployed",
    "list": "show the known data, models and methods",
}
_SEVERAL = ("train",)
"""Commands that several processes, which torchrun starts, do together."""
_USAGE = """usage: osakd COMMAND [options]     (osakd COMMAND --help shows the options)

Train small neural networks better without a teacher.

commands:
{commands}

options:
  --help        show this
  --version     show the version
  --traceback   show Python's traceback when something goes wrong
"""


def run() -> None:
    """The entry point of the console script."""
    code = main(sys.argv[1:])
    if process_count() > 1:
        # At once: a thread of gloo that waits for the interpreter can abort a process while Python ends.
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    sys.exit(code)


def main(argv: Sequence[str]) -> int:
    """Runs a command.

    Args:
        argv: the arguments after ``osakd``.

    Returns:
        The exit code: 0; 2 for the user's mistake, 1 for a failure, 130 after Ctrl-C.
    """
    arguments = [argument for argument in argv if argument != "--traceback"]
    try:
        return _dispatch(arguments)
    except KeyboardInterrupt as stopped:
        how = f" {stopped}" if str(stopped) else ""
        _say(f"\nosakd: stopped.{how}")
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (osakd list | head): nothing more to say.
        sys.stderr.close()
        return 1
    except Exception as error:
        if "--traceback" in argv:
            raise
        if isinstance(error, InputError | RunError):
            _say(printable(f"osakd: {error}"))
            return 2 if isinstance(error, InputError) else 1
        if is_out_of_memory(error):
            _say(f"osakd: {NO_MEMORY}")
            return 1
        words = one_line(error) or "no message"
        _say(printable(f"osakd: unexpected {type(error).__name__}: {words} (--traceback shows where)"))
        return 1


def _say(sentence: str) -> None:
    """Prints why the command stops, once for all its processes."""
    if speaks():
        print(sentence, file=sys.stderr)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        commands = "\n".join(f"  {name:<12}{what}" for name, what in COMMANDS.items())
        print(_USAGE.format(commands=commands), end="")
        return 0
    if arguments[0] == "--version":
        print(f"osakd {__version__}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    if name not in _SEVERAL and process_count() > 1:
        raise InputError(f"osakd {name} is one process, but {process_count()} were started: start it without torchrun.")
    try:
        module = import_module(f"osakd.cli.{name}")
        return module.command(arguments[1:])
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "osakd":
            raise
        raise InputError(
            f"This command needs the package {error.name!r}, which is not installed: pip install 'osakd[train]'."
        ) from error
