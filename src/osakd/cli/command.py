"""A command: a function that prints what functions for Python return, with the parameters of these as options."""

import inspect
import shlex
from collections.abc import Callable, Collection, Sequence
from typing import Any

from osakd.cli.arguments import Arguments
from osakd.cli.help import help_page
from osakd.cli.options import options_of
from osakd.cli.terminal import say_lines


def command(
    *calls: Callable[..., Any],
    positional: Collection[str] = (),
    without: Collection[str] = (),
    continues: Sequence[str] | None = None,
) -> Callable[[Callable[..., int | None]], Callable[[Sequence[str]], int]]:
    """Makes a command of a function: it is called with the words after the command's name, and returns the exit code.

    The function's own parameters are options that only the terminal has. It gets those of the functions that it calls
    as ``**options``: what is declared there, with its type, its default and its description, is declared once. The
    first paragraph of its docstring is the description of the command.

    Args:
        *calls: functions whose parameters are options, with docstrings that have ``Args``.
        positional: parameters that the terminal takes without their names.
        without: parameters that only a caller from Python can give.
        continues: words to add to the same command line, which then continues after Ctrl-C; None where it does not.
    """

    def made(function: Callable[..., int | None]) -> Callable[[Sequence[str]], int]:
        name = function.__name__.rstrip("_")
        description = (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " ")
        declared = [option for each in (*calls, function) for option in options_of(each, positional, without)]

        def run(argv: Sequence[str]) -> int:
            arguments = Arguments(declared, argv)
            if {"--help", "-h"} & set(argv):
                say_lines(help_page(name, description, arguments.options.values(), arguments.method))
                return 0
            values = arguments.values()
            try:
                return function(**values) or 0
            except KeyboardInterrupt:
                if continues is None:
                    raise
                more = [word for word in continues if word not in argv]
                raise KeyboardInterrupt(f"Continue with: {shlex.join(['osakd', name, *argv, *more])}") from None

        return run

    return made
