"""A report of what is recorded, to look at in a browser, and its tables and figures for a paper."""

from pathlib import Path
from typing import TYPE_CHECKING

from osakd.api.galleries import galleries_of
from osakd.errors import InputError
from osakd.paths import given_path

if TYPE_CHECKING:
    from osakd.report.statistics.column import RecordedColumn


def write_report(
    folder: str | Path,
    *,
    out: str | Path | None = None,
    gallery: bool = False,
    data: str | None = None,
    trust: bool = False,
) -> Path:
    """Writes a report of the runs in a folder: one page, tables, figures. Nothing is trained.

    Args:
        folder: folder of records, of one experiment, column or comparison, or of a run.
        out: folder to write into; by default the same.
        gallery: also show training images with their soft labels, the most ambiguous first; these are images of the
            data. That needs the images and the networks of finished runs.
        data: where the gallery's images are, as for train; by default the data that the runs were trained on.
        trust: call functions that the runs name as their networks, for a gallery: their code runs.

    Returns:
        The path of ``report.html``; ``tables.md``, ``tables.tex``, ``tables.csv`` and ``figures/`` lie beside it.

    Raises:
        InputError: there are no runs, or none that a gallery can be made of.
        RunError: the disk cannot be written, or the complexity figures beside the runs are damaged. A damaged run is
            shown as one, beside the others.
    """
    from osakd.report.layout import read_complexity
    from osakd.report.tables.complexity import complexity_tables
    from osakd.report.write import write_report as write

    if data is not None and not gallery:
        raise InputError("`data` says where a gallery's images are: give `gallery` too, or leave it out.")
    place = given_path(folder)
    columns = recorded_columns(place)
    galleries = galleries_of(columns, data, trust=trust) if gallery else []
    where = place if out is None else given_path(out)
    complexity = read_complexity(place)
    return write(
        place.resolve().name,
        columns,
        where,
        galleries=galleries,
        complexity=complexity_tables(complexity) if complexity else [],
    )


def recorded_columns(folder: Path) -> "list[RecordedColumn]":
    """What is recorded in a folder, beside what the experiments plan.

    Raises:
        InputError: there are no runs.
    """
    from osakd.experiments.catalogue import EXPERIMENTS
    from osakd.report import layout

    return layout.recorded_columns(folder, [one for one in EXPERIMENTS.values() if one.has_own_runs])
