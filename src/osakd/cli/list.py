"""``osakd list``: what is known by name."""

from osakd.cli.command import command
from osakd.data.recipes import DATA
from osakd.methods.registry import METHODS, PRESETS
from osakd.models.registry import MODELS


@command()
def list_() -> None:
    """Show the known data, models and methods, with their sources."""
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
