"""``osakd cost``: the cost of each method in training and deployment, counted without data and training."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from osakd.cli.command import command
from osakd.cli.terminal import say
from osakd.errors import InputError
from osakd.report.tables.table import table_of

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays
    from osakd.engine.cost import Cost

DEFAULT_METHODS = ("plain", "osakd", "kd", "born-again", "srdl", "dml", "codistillation")
"""Methods that any network can have: the methods one and ffl need networks with stages."""
_SHAPE: dict[str, Any] = {"num_classes": 10, "input_shape": [3, 32, 32], "train_size": 50_000}
_SCHEDULE = {"epochs": 300, "batch_size": 128}
_TRAINING = ["method", "params", "passes", "FLOP/\nimage", "kept\nMiB", "teacher\nFLOP", "total\nFLOP", "x\nplain"]
_DEPLOYED = ["method", "params", "MAC/image"]
_COLUMNS = [
    "params: trained parameters. passes: forward passes per step, in units of the plain network's, teachers' included.",
    "FLOP/image: forward, backward, and the search for neighbours; two per multiply-accumulate (MAC).",
    "kept: memory beside trained parameters: outputs, older copies, teachers. teacher FLOP: earlier stages.",
    "total FLOP: all epochs, earlier stages included.",
]


@command()
def cost(
    *,
    model: str = "resnet32",
    methods: Sequence[str | Mapping[str, Any]] = DEFAULT_METHODS,
    data: str | None = None,
    num_classes: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
    train_size: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
) -> None:
    """Count what each method costs, in training and deployed. Nothing is trained.

    Args:
        model: name of the network (osakd list).
        methods: names, shorthands such as osakd-16nn, or (in a YAML file) name and settings.
        data: take classes, shape, size, epochs and batch size from this data set.
        num_classes: number of classes, without --data; by default 10.
        input_shape: channels, height and width, without --data; by default 3 32 32.
        train_size: number of training images, without --data; by default 50000.
        epochs: number of epochs; by default 300, or the data set's.
        batch_size: number of images per step; by default 128, or the data set's.
    """
    from osakd.engine.config import Options
    from osakd.engine.cost import costs

    shape = {"num_classes": num_classes, "input_shape": input_shape, "train_size": train_size}
    arrays = _data(data, {name: value for name, value in shape.items() if value is not None})
    schedule: dict[str, Any] = {} if data else dict(_SCHEDULE)
    schedule |= {name: value for name, value in (("epochs", epochs), ("batch_size", batch_size)) if value is not None}
    rows = costs(arrays, methods, Options(deploy="last", model=model, **schedule))
    _print(rows)
    elsewhere = quantity(rows[0].products_elsewhere)
    more = f"Not in MAC/image: {elsewhere} in products outside convolutions and linear layers (attention)."
    for line in _COLUMNS + [more] * (elsewhere != "-"):
        say(line)


def quantity(value: float) -> str:
    """A number in four digits with its decimal prefix, ``-`` for none: ``68.86 M``.

    Example:
        >>> quantity(68_862_592), quantity(412), quantity(0)
        ('68.86 M', '412.0', '-')
    """
    for size, prefix in ((1e18, " E"), (1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:#.4g}{prefix}"
    return f"{value:#.4g}" if value else "-"


def _data(name: str | None, options: dict[str, Any]) -> "DataArrays":
    """The data set of that name, or black images of the shape and the number that the options say."""
    from osakd.data.sources import load_data
    from osakd.engine.cost import shaped

    if name is None:
        shape = _SHAPE | options
        channels, height, width = shape["input_shape"]
        size = {"num_classes": shape["num_classes"], "train": shape["train_size"]}
        return shaped(input_shape=(channels, height, width), **size)
    if options:
        option = next(iter(options)).replace("_", "-")
        raise InputError(f"--{option} is taken from the data set {name!r}: give either it or --data.")
    return load_data(name)


def _print(rows: "Sequence[Cost]") -> None:
    """One table for training and one for what is deployed."""
    from osakd.cli.progress import print_table

    trained_rows = [
        [
            row.label,
            f"{row.trained_parameters:,}",
            f"{row.passes:.2f}",
            quantity(row.flops),
            f"{row.kept_bytes / 2**20:.2f}" if row.kept_bytes else "-",
            quantity(row.flops_before),
            quantity(row.total_flops),
            f"{row.relative:.3f}",
        ]
        for row in rows
    ]
    deployed_rows = [[row.label, f"{row.deployed_parameters:,}", quantity(row.deployed_macs)] for row in rows]
    for table in (table_of("training", _TRAINING, trained_rows), table_of("deployed", _DEPLOYED, deployed_rows)):
        say(table.title)
        print_table(table)
