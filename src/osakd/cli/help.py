"""What ``osakd COMMAND --help`` prints: the usage, the common options, then the others in groups."""

import shutil
import textwrap
from collections.abc import Iterable

from osakd.cli.options import GROUPS, Option
from osakd.cli.values import placeholder, takes_several

INDENT = 26
"""Column at which the descriptions begin."""
ONE_LIST = 16
"""Up to so many options are one list; more of them are shown in groups."""
MOST_COLUMNS = 100


def help_page(name: str, description: str, options: Iterable[Option], method: str) -> str:
    """The help of a command, with the settings of a method among its options."""
    options = list(options)
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
    settings = f"settings of {method}"
    titles = {name: title for title, names in GROUPS.items() for name in names.split()}
    lists: dict[str, list[Option]] = {title: [] for title in ("", settings, *GROUPS)}
    for option in options:
        title = titles.get(option.name, "") if len(options) > ONE_LIST else ""
        lists[settings if option.name.startswith("method.") else title].append(option)
    nameless = [f" {option.flag}{' ...' * takes_several(option.kind)}" for option in options if option.positional]
    parts = [f"usage: osakd {name}{''.join(nameless)} [options]", textwrap.fill(description, width)]
    for title, options_of_title in lists.items():
        if options_of_title:
            entries = [_entry(option, width) for option in options_of_title]
            parts.append("\n".join([f"{title}:", *entries] if title else entries))
    if method:
        parts.append(f"osakd {name} --method NAME --help shows the settings of that method, too.")
    if len(options) > ONE_LIST:
        parts.append("--no-NAME turns a switch off, such as one that a --config file turns on.")
    return "\n\n".join(parts) + "\n"


def _entry(option: Option, width: int) -> str:
    """The lines of an option."""
    left = f"  {option.flag}"
    if option.kind is bool and option.default is not False:
        left = f"  --[no-]{option.flag.removeprefix('--')}"
    elif option.kind is not bool and not option.positional:
        left += f" {placeholder(option.kind, option.name)}"
    margin = " " * INDENT
    above, first = ("", left.ljust(INDENT)) if len(left) < INDENT - 1 else (f"{left}\n", margin)
    return above + textwrap.fill(_described(option), width, initial_indent=first, subsequent_indent=margin)


def _described(option: Option) -> str:
    """The description, with the default where there is one that it does not name."""
    if option.required or isinstance(option.default, bool) or option.default in (None, []) or "default" in option.help:
        return option.help
    values = option.default if isinstance(option.default, list | tuple) else [option.default]
    words = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return f"{option.help} (default: {' '.join(words)})"
