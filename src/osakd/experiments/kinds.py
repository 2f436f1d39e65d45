"""What kinds of experiments there are, and how each is run and shown. Nothing here imports torch before it is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from osakd.errors import InputError, RunError, unknown_name
from osakd.plan import Column, Experiment

if TYPE_CHECKING:
    from osakd.report.statistics.column import RecordedColumn
    from osakd.runner.progress import OnProgress


@dataclass(frozen=True)
class Asked:
    """What is asked of an experiment.

    Attributes:
        out: folder of the records.
        data: names of data sets, or local folders called like them; None for all, by name.
        columns: names of the columns; None for all.
        cells: labels of the cells; None for all.
        seeds: seeds of the runs; None for those of the experiment.
        epochs: epochs of each run; None for those of the experiment.
        processes: cores to use.
        scheduler: address of a dask.distributed scheduler; None for this machine.
        submitit: parameters of submitit's jobs; None for this machine.
        on_progress: called with the progress of every run.
        where: where to run: ``device``, ``executor`` and ``kernels``, where they are given.
        draw: whether figures are drawn, not only their numbers shown.
    """

    out: Path
    data: Sequence[str] | None
    columns: Sequence[str] | None
    cells: Sequence[str] | None
    seeds: list[int] | None
    epochs: int | None
    processes: int
    scheduler: str | None
    submitit: Mapping[str, Any] | None
    on_progress: "OnProgress"
    where: Mapping[str, Any]
    draw: bool


@dataclass(frozen=True)
class Reproduction:
    """An experiment, run and shown.

    Attributes:
        text: a table for each column as Markdown, with what is missing and what failed.
        failed: why runs failed, by their name.
    """

    text: str
    failed: dict[str, str] = field(default_factory=dict)


class Kind(Protocol):
    """An experiment that can be run and shown."""

    @property
    def trains(self) -> bool:
        """Whether it trains networks, so that it takes data, seeds, epochs, and where to run."""
        ...

    def run(self, asked: Asked) -> dict[str, str]:
        """Runs what is missing, and returns why columns failed, by their name."""
        ...

    def show(self, asked: Asked, failed: Mapping[str, str]) -> Reproduction:
        """Shows what is recorded, and what failed."""
        ...


@dataclass(frozen=True)
class Trained:
    """A table, a figure or a study: columns of runs."""

    experiment: Experiment
    trains: bool = True

    def run(self, asked: Asked) -> dict[str, str]:
        """Runs what is missing of every column. A column that cannot be run does not stop the others.

        Raises:
            InputError, RunError: no column could be run.
        """
        from osakd.experiments.reproduce import run_column

        columns, errors = self.columns(asked), {}
        for column, data in columns:
            try:
                run_column(column, data, asked.out / self.experiment.folder_of(column), asked)
            except (InputError, RunError) as error:
                errors[column.name] = error
        if len(errors) == len(columns):
            raise next(iter(errors.values()))
        return {name: str(error) for name, error in errors.items()}

    def show(self, asked: Asked, failed: Mapping[str, str]) -> Reproduction:
        """Shows every column, and what failed."""
        from osakd.report.layout import planned_column
        from osakd.report.text import column_text, panels_text, study_texts

        texts, why, shown = [], dict(failed), []
        for column, _ in self.columns(asked):
            recorded = planned_column(self.experiment, column, asked.out / self.experiment.folder_of(column))
            drawn = asked.out / self.experiment.name / column.name if asked.draw else None
            texts.append(column_text(recorded, self.experiment.view, drawn))
            why |= failed_runs(recorded)
            shown.append(recorded)
        if self.experiment.view == "curves":
            texts.append(panels_text(self.experiment.name, shown, asked.out / self.experiment.name, draw=asked.draw))
        if self.experiment.view == "settings":
            before, after = study_texts(shown)
            texts = [before, *texts, after]
        said = [f"Failed: {name}: {error}" for name, error in why.items()]
        parts = [f"# {self.experiment.title}", *filter(None, texts), *said, *no_folder(asked.out)]
        return Reproduction("\n\n".join(parts), why)

    def columns(self, asked: Asked) -> list[tuple[Column, str]]:
        """The columns to run or show, with the cells that are asked for, each with where its images come from.

        Raises:
            InputError: a name that the experiment does not have.
        """
        name, data, columns = self.experiment.name, asked.data, self.experiment.chosen(asked.columns, asked.cells)
        known = list(dict.fromkeys(column.data for column in columns))
        given = known if data is None else data
        if not given:
            raise InputError(f"Name at least one data set of {name}, or leave `data` out.")
        names = [Path(one).name for one in given]
        for one in names:
            if one not in known:
                raise unknown_name(f"data set of {name}", one, known)
        twice = next((one for one in names if names.count(one) > 1), None)
        if twice is not None:
            raise InputError(f"The data set {twice!r} is given twice.")
        where = dict(zip(names, given, strict=True))
        return [(column, where[column.data]) for column in columns if column.data in where]


@dataclass(frozen=True)
class Claims:
    """The paper's claims beyond its tables, decided by the runs of other experiments and by counting."""

    experiments: tuple[Experiment, ...]
    trains: bool = False

    def run(self, asked: Asked) -> dict[str, str]:  # noqa: ARG002 - of the protocol
        """Nothing is run: the claims are decided by what is recorded."""
        return {}

    def show(self, asked: Asked, failed: Mapping[str, str]) -> Reproduction:  # noqa: ARG002 - of the protocol
        """Shows every claim with its verdict, and which runs have no say."""
        from osakd.experiments.cost import counted
        from osakd.report.layout import planned_column
        from osakd.report.statistics.claims import FAILS, HOLDS, Claim, claims
        from osakd.report.tables.study import all_claims_table
        from osakd.report.tables.table import markdown

        judged, said = [], []
        notes: dict[str, list[str]] = {}
        for experiment, column in [(one, column) for one in self.experiments for column in one.columns]:
            recorded = planned_column(experiment, column, asked.out / experiment.folder_of(column))
            judged += claims(recorded)
            if column.note:
                notes.setdefault(column.note, []).append(column.name)
            said += [f"{column.name}: {sentence}." for sentence in recorded.left_out]
            said += [f"Failed: {name}: {why}" for name, why in failed_runs(recorded).items()]
        said += [f"{', '.join(names)}: {note}." for note, names in notes.items()]
        decided = [one for one in counted() if one.verdict in (HOLDS, FAILS)]
        judged += [Claim(one.what, "counted", one.ours, one.verdict) for one in decided]
        return Reproduction("\n\n".join(["# Claims", markdown(all_claims_table(judged)), *said, *no_folder(asked.out)]))


@dataclass(frozen=True)
class Cost:
    """What the methods cost: counted, and timed."""

    trains: bool = False

    def run(self, asked: Asked) -> dict[str, str]:
        """Times the steps, and writes all figures into the folder of the records."""
        from osakd.experiments.cost import measure

        measure(asked.out)
        return {}

    def show(self, asked: Asked, failed: Mapping[str, str]) -> Reproduction:  # noqa: ARG002 - of the protocol
        """Shows the recorded figures, or those that are counted where no step is timed yet."""
        from osakd.experiments.cost import counted
        from osakd.report.layout import read_complexity
        from osakd.report.tables.complexity import complexity_tables, figures_table
        from osakd.report.tables.table import markdown

        recorded = read_complexity(asked.out)
        tables = complexity_tables(recorded) if recorded else [figures_table(counted())]
        said = [text for table in tables for text in (f"**{table.title}**", markdown(table), table.note)]
        untimed = [] if recorded else ["No step is timed yet: leave out --dry-run."]
        return Reproduction("\n\n".join(["# Complexity", *said, *untimed]))


def failed_runs(column: "RecordedColumn") -> dict[str, str]:
    """Why runs of a column have no result to show, by their name: they failed, or their records are damaged."""
    return {run.folder.name: run.error for run in column.runs if run.error is not None}


def no_folder(out: Path) -> list[str]:
    """A sentence where there is no folder of records."""
    return [] if out.exists() else [f"There is no folder {str(out)!r}: name that of the records with --out."]
