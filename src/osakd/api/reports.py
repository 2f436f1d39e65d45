"""A report of what is recorded, to look at in a browser, with tables and figures for a paper; and runs in one file."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from osakd.errors import InputError, needing
from osakd.paths import given_path

if TYPE_CHECKING:
    from osakd.report.statistics.panel import RecordedPanel


@needing("train")
def write_report(
    folder: str | Path,
    *,
    out: str | Path | None = None,
    gallery: bool = False,
    data: str | None = None,
    trust: bool = False,
) -> Path:
    """Writes a report of the runs in a folder or a packed file: one page, tables, figures. Nothing is trained.

    Args:
        folder: folder of records, of one experiment, panel or comparison, or of a run; or a packed file.
        out: folder to write into; by default the same, for a packed file the folder of its name.
        gallery: also show training images with their soft labels, the most ambiguous first; these are images of the
            data. That needs the images and the networks of finished runs.
        data: where the gallery's images are, as for train; by default the data that the runs were trained on.
        trust: call functions that the runs name as their networks, for a gallery: their code runs.

    Returns:
        The path of ``report.html``; ``tables.md``, ``tables.tex``, ``tables.csv`` and ``figures/`` lie beside it.

    Raises:
        InputError: there are no runs, or none that a gallery can be made of.
        RunError: the disk cannot be written, or the first line of the packed file or the complexity figures beside the
            runs are damaged. A damaged run is shown as one, beside the others.
    """
    from osakd.api.galleries import galleries_of
    from osakd.report.layout import complexity_tables
    from osakd.report.write import write_report as write

    if data is not None and not gallery:
        raise InputError("`data` says where a gallery's images are: give `gallery` too, or leave it out.")
    place = given_path(folder)
    panels = read_panels(place)
    galleries = galleries_of(panels, data, trust=trust) if gallery else []
    place = place.with_suffix("") if place.is_file() else place
    to = place if out is None else given_path(out)
    return write(place.resolve().name, panels, to, galleries=galleries, complexity=complexity_tables(place))


def read_panels(folder: Path) -> "list[RecordedPanel]":
    """What is recorded in a folder, beside what experiments plan.

    Raises:
        InputError: there are no runs.
    """
    from osakd.leaves import load, offered
    from osakd.report import layout

    planned = [experiment for place in offered("experiments").values() for experiment in load(place).values()]
    return layout.read_panels(folder, [experiment for experiment in planned if experiment.has_own_runs])


class Packed(NamedTuple):
    """A file of packed runs, how many it holds, and by their names why runs are not in it: unfinished, or damaged."""

    file: Path
    runs: int
    left: dict[str, str]


@needing("train")
def pack(folder: str | Path, *, to: str | Path | None = None) -> list[Packed]:
    """Packs the runs in a folder in one file, without their networks: to share, to commit, to make a report of.

    Runs that have finished or failed are added to those that the file has. Nothing is deleted.

    Args:
        folder: folder of runs, such as a comparison; or folder of records, which gives a file for each panel.
        to: file for one folder of runs; by default the folder's name with the ending ``.jsonl``, beside it.

    Returns:
        The files that were written.

    Raises:
        InputError: there are no runs, several folders of runs for one file, or another file is there.
        RunError: a line of the file is damaged, or it cannot be written.
    """
    from osakd.report.layout import places
    from osakd.runs import PACKED, pack_runs, packed_file, read_runs

    place = given_path(folder)
    place = place.resolve() if place.name in ("", "..") else place
    file = None if to is None else given_path(to)
    if file is not None and file.suffix != PACKED:
        raise InputError(f"`to` must be a file that ends with {PACKED}, got {str(file)!r}.")
    columns = [(path, runs) for path, _ in places(place) if (runs := read_runs(path))]
    if not columns:
        raise InputError(f"{str(place)!r} holds no runs: give the folder of a comparison or of records.")
    if file is not None and len(columns) > 1:
        raise InputError(
            f"{str(place)!r} holds {len(columns)} folders of runs, each of which has its file: leave `to` out."
        )
    packed = []
    for path, runs in columns:
        target = file or (path if path.is_file() else packed_file(path))
        done = [run for run in runs if run.state in ("finished", "failed")]
        left = {run.folder.name: run.state_in_words for run in runs if run.state not in ("finished", "failed")}
        packed.append(Packed(target, pack_runs(target, done), left))
    return packed
