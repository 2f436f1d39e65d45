"""Data sets on the Hugging Face hub."""

import logging
from functools import partial
from typing import Any

from osakd.data.encoded import EncodedSplit, Source
from osakd.data.layout import split_named
from osakd.data.options import ImageOptions
from osakd.data.parquet import split_from_table
from osakd.errors import InputError, RunError, needing


def hub_source(hub_id: str, config: str | None, options: ImageOptions) -> Source:
    """The splits of a data set ``owner/name`` on the hub, or in the hub's cache on this machine.

    Raises:
        InputError: there is no such data set or configuration, or `datasets` is not installed.
        RunError: the hub cannot be reached.
    """
    with needing("train"):
        import datasets
        from datasets.exceptions import DatasetNotFoundError
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries; how they end is said below
    try:
        tables: dict[str, Any] = dict(datasets.load_dataset(hub_id, config).items())  # type: ignore[union-attr] - of splits
    except (DatasetNotFoundError, ValueError) as error:
        raise InputError(
            f"{hub_id!r} is neither a folder here nor a data set on the Hugging Face hub ({_first_line(error)}): "
            "check the name; owner/name:config names one of several configurations."
        ) from error
    except Exception as error:  # the hub's client raises many kinds
        raise RunError(
            f"{hub_id!r} is not a folder here, and the Hugging Face hub could not be asked ({_first_line(error)}): "
            "check the name and the connection, or give the folder of its Parquet files."
        ) from error
    ranks = {name: split for name in tables if (split := split_named(name))}
    names: dict[str, str] = {}
    for name in sorted(ranks, key=lambda name: ranks[name].rank):  # the surest name of each split
        names.setdefault(ranks[name].kind, name)
    if not names and len(tables) == 1:
        names = {"whole": next(iter(tables))}
    left = [name for name in tables if name not in names.values()]
    if not names:
        raise InputError(f"{hub_id!r} has the splits {', '.join(tables)}: a train and a test split are needed.")
    notes = [f"The data {hub_id!r} has splits that are not used: {', '.join(left)}."] if left else []
    return Source(
        hub_id,
        {kind: partial(_read, tables[name], f"{hub_id}, {name}", options) for kind, name in names.items()},
        names,
        "take data with a train and a test split",
        notes,
    )


def _read(table: Any, origin: str, options: ImageOptions) -> EncodedSplit:
    # The Arrow table below the data set holds the images still encoded.
    return split_from_table(table.with_format("arrow")[:], origin, options)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
