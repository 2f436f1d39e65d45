"""The tables and the figure of the paper, its claims and costs, and our studies: run, then shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.api.arguments import exit_unguarded, process_count, seed_list
from osakd.errors import InputError
from osakd.experiments.kinds import Asked, Reproduction
from osakd.paths import given_path

if TYPE_CHECKING:
    from osakd.runner.progress import OnProgress


def reproduce(
    name: str = "table1",
    *,
    data: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    cells: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    epochs: int | None = None,
    out: str | Path = "records",
    dry_run: bool = False,
    processes: int | None = None,
    scheduler: str | None = None,
    on_progress: "OnProgress | None" = None,
    **options: Any,
) -> Reproduction:
    """Runs what is missing of a table or figure of the paper, and shows ours beside theirs.

    Args:
        name: ``table1``, ``table2``, ``table2-small``, ``figure1``, ``neighbours``, ``readings``, ``beyond``,
            ``variants-search``, ``variants``, ``cost`` or ``claims``.
        data: only these columns: names of data sets, or local folders called like them.
        columns: only these columns: their names, which are those of their folders.
        cells: only these cells: their labels.
        seeds: number of seeds, or a list; by default the paper's 5.
        epochs: epochs of each run; by default the paper's.
        out: folder of the records; a run lies in ``<out>/<name>/<column>/<method>-seed<seed>``.
        dry_run: only show what is recorded, and what is missing of the whole.
        processes: see ``compare``.
        scheduler: see ``compare``.
        on_progress: see ``compare``.
        **options: ``device``, ``executor`` and ``kernels``, see ``train``.

    Returns:
        The tables. A run that fails is recorded with its error and stops no other; it is tried again the next time.

    Raises:
        InputError: an argument cannot be used.
        RunError: another runner is at work on one of the columns.
    """
    from osakd.experiments.catalogue import find_experiment

    exit_unguarded()
    out = given_path(out)
    if out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file: name the folder of the records with --out.")
    experiment = find_experiment(name)
    if not experiment.trains:
        given = {
            "data": data,
            "columns": columns,
            "cells": cells,
            "seeds": seeds,
            "epochs": epochs,
            "processes": processes,
            "scheduler": scheduler,
        }
        useless = [key for key, value in (given | options).items() if value not in (None, "auto")]
        if useless:
            raise InputError(f"`reproduce {name}` trains nothing: leave out {', '.join(useless)}.")
    if epochs is not None and epochs < 1:
        raise InputError(f"`epochs` must be at least 1, got {epochs}.")
    asked = Asked(
        out=out,
        data=[data] if isinstance(data, str) else data,
        columns=[columns] if isinstance(columns, str) else columns,
        cells=[cells] if isinstance(cells, str) else cells,
        seeds=None if seeds is None else seed_list(seeds),
        epochs=epochs,
        processes=process_count(processes),
        scheduler=scheduler,
        on_progress=on_progress or (lambda _: None),
        where={key: value for key, value in options.items() if value is not None},
        draw=not dry_run,
    )
    failed = {} if dry_run else experiment.run(asked)
    return experiment.show(asked, failed)
