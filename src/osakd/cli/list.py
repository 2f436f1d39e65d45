"""``osakd list``: what is known by name."""

from collections.abc import Sequence

from osakd.cli.options import new_parser, parse
from osakd.data.recipes import DATA
from osakd.kernels.build import NoKernelError
from osakd.kernels.library import instruction_set
from osakd.methods.registry import METHODS, PRESETS
from osakd.models.registry import MODELS


def command(argv: Sequence[str]) -> int:
    """Prints the data, models and methods, a line each with its source, and what computes small networks."""
    parser = new_parser("list", "Show the known data, models and methods, with their sources.")
    if parse(parser, argv) is None:
        return 0
    print("data (--data; also a local folder, or any hub id)")
    for name, data in DATA.items():
        print(f"  {name:<18}{data.description}. {data.source}" + (f" (hub: {data.hub})" if data.hub else ""))
    print("models (--model; also timm:NAME, and package.module:function)")
    for name, model in MODELS.items():
        print(f"  {name:<18}{model.description}. {model.source}")
    print("methods (--method; osakd train --method NAME --help shows its settings)")
    for name, method in METHODS.items():
        print(f"  {name:<28}{(method.settings.__doc__ or '').splitlines()[0]}")
    print(f"shorthands (--method; methods with other settings): osakd-16nn, {', '.join(PRESETS)}")
    print(f"kernels (--kernels; small convolutional networks on a CPU): {_kernels()}")
    return 0


def _kernels() -> str:
    """What this machine has; the native kernel is built where it was not yet."""
    try:
        return f"native ({instruction_set()}), torch"
    except NoKernelError as error:
        return f"torch, since {error}"
