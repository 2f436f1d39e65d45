"""A report of what is recorded, to look at in a browser, and its tables and figures for a paper."""

from pathlib import Path
from typing import TYPE_CHECKING

from osakd.api.galleries import galleries_of
from osakd.errors import InputError
from osakd.paths import given_path

if TYPE_CHECKING:
    from osakd import plan as spec
    from osakd.report.plan import Column, PlannedColumn
    from osakd.report.verdicts import PaperCell


def write_report(
    folder: str | Path, *, out: str | Path | None = None, gallery: bool = False, data: str | None = None
) -> Path:
    """Writes a report of the runs in a folder: one page, tables, figures. Nothing is trained.

    Args:
        folder: of records, of one experiment, column or comparison, or of a run.
        out: folder to write into; by default the same.
        gallery: show training images with their soft labels too, the most ambiguous first. That takes the images and
            the networks of finished runs.
        data: where the images are, as for ``train``; by default what the runs were trained on, if known by name.

    Returns:
        The path of ``report.html``; ``tables.md``, ``tables.tex``, ``tables.csv`` and ``figures/`` lie beside it.

    Raises:
        InputError: no runs are there, or a gallery is not to be had from them.
        RunError: the disk cannot be written, or the complexity figures beside the runs are damaged. A damaged run is
            shown as one, beside the others.
    """
    from osakd.report.complexity import complexity
    from osakd.report.write import write_report as write

    if data is not None and not gallery:
        raise InputError("`data` says where a gallery's images are: give `gallery` too, or leave it out.")
    place = given_path(folder)
    columns = recorded_columns(place)
    galleries = galleries_of(columns, data) if gallery else []
    where = place if out is None else given_path(out)
    return write(place.resolve().name, columns, where, galleries=galleries, complexity=complexity(place))


def recorded_columns(folder: Path) -> "list[Column]":
    """What is recorded in a folder, beside what the experiments plan.

    Raises:
        InputError: no runs are there.
    """
    from osakd.report.layout import find_groups
    from osakd.report.plan import columns_of

    return columns_of(find_groups(folder), _plans())


def paper_cells(column: "spec.Column") -> "tuple[PaperCell, ...]":
    """The cells of an experiment's column, as the report takes them."""
    from osakd.report.verdicts import PaperCell

    return tuple(
        PaperCell(
            cell.label, cell.published and (cell.published.mean, cell.published.std), cell.averaged, cell.baseline
        )
        for cell in column.cells
    )


def _plans() -> "list[PlannedColumn]":
    """The columns of all experiments that have runs of their own, as the report takes them."""
    from osakd.experiments.catalogue import EXPERIMENTS
    from osakd.report.plan import PlannedColumn

    return [
        PlannedColumn(
            experiment=experiment.folder,
            title=experiment.title,
            name=column.name,
            cells=paper_cells(column),
            seeds=column.seeds,
            epochs=column.epochs,
            chose=column.chose,
            rivals=column.rivals,
            kind="readings" if experiment.view == "readings" else "paper",
        )
        for experiment in EXPERIMENTS.values()
        if experiment.view != "curves"
        for column in experiment.columns
    ]
