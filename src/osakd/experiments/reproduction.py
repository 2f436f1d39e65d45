"""Shows an experiment: what is recorded of it, beside what the paper reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from osakd.errors import InputError, unknown_name
from osakd.plan import Experiment, Panel

if TYPE_CHECKING:
    from osakd.report.statistics.panel import RecordedPanel


@dataclass(frozen=True)
class Reproduction:
    """An experiment, run and shown: its tables as Markdown, with what is missing, and by their name why runs failed."""

    text: str
    failed: dict[str, str] = field(default_factory=dict)


def chosen_panels(
    experiment: Experiment, data: Sequence[str] | None, panels: Sequence[str] | None, methods: Sequence[str] | None
) -> list[tuple[Panel, str]]:
    """The panels that are asked for, with the methods that are asked for, each with where its images come from.

    ``data`` are names of data sets, or local folders called like them; None stands for all.

    Raises:
        InputError: a name that the experiment does not have.
    """
    names = [panel.name for panel in experiment.panels]
    labels = list(dict.fromkeys(method.label for panel in experiment.panels for method in panel.methods))
    for kind, wanted, all_names in (("panel", panels, names), ("method", methods, labels)):
        for name in wanted or []:
            if name not in all_names:
                raise unknown_name(f"{kind} of {experiment.name}", name, all_names)
    chosen = [
        replace(panel, methods=of_panel)
        for panel in experiment.panels
        if (panels is None or panel.name in panels)
        and (of_panel := tuple(one for one in panel.methods if methods is None or one.label in methods))
    ]
    known = list(dict.fromkeys(panel.data for panel in chosen))
    places = known if data is None else data
    if not places:
        raise InputError(f"Name at least one data set of {experiment.name}, or leave `data` out.")
    by_name: dict[str, str] = {}
    for place in places:
        name = Path(place).name
        if name not in known:
            raise unknown_name(f"data set of {experiment.name}", name, known)
        if name in by_name:
            raise InputError(f"The data set {name!r} is given twice.")
        by_name[name] = place
    return [(panel, by_name[panel.data]) for panel in chosen if panel.data in by_name]


def show_experiment(
    experiment: Experiment, panels: Sequence[Panel], out: Path, failed: Mapping[str, str], *, draw: bool
) -> Reproduction:
    """Shows panels of runs, and by their name why panels failed; figures are drawn, or only their numbers shown."""
    from osakd.report.layout import read_panel
    from osakd.report.text import figure_text, panel_text, study_texts

    folder, texts, errors = out / experiment.name, [], dict(failed)
    shown = [read_panel(experiment, panel, out / experiment.folder_of(panel)) for panel in panels]
    for recorded in shown:
        texts.append(panel_text(recorded, experiment.view, folder / recorded.name if draw else None))
        errors |= _failed_runs(recorded)
    if experiment.view == "curves":
        texts.append(figure_text(experiment.name, shown, folder, draw=draw))
    if experiment.view == "study":
        before, after = study_texts(shown)
        texts = [before, *texts, after]
    texts += [f"Failed: {name}: {error}" for name, error in errors.items()]
    return Reproduction(_text(experiment.title, texts, out), errors)


def show_claims(experiments: Sequence[Experiment], out: Path) -> Reproduction:
    """Shows the paper's claims beyond its tables, decided by the runs of these experiments and by counting."""
    from osakd.experiments.cost import counted
    from osakd.report.layout import read_panel
    from osakd.report.statistics.claims import FAILS, HOLDS, Claim, claims
    from osakd.report.tables.study import all_claims_table
    from osakd.report.tables.table import markdown

    judged, sentences = [], []
    notes: dict[str, list[str]] = {}
    for experiment, panel in [(table, panel) for table in experiments for panel in table.panels]:
        recorded = read_panel(experiment, panel, out / experiment.folder_of(panel))
        judged += claims(recorded)
        if panel.note:
            notes.setdefault(panel.note, []).append(panel.name)
        sentences += [f"{panel.name}: {sentence}." for sentence in recorded.shorter_runs]
        sentences += [f"Failed: {name}: {why}" for name, why in _failed_runs(recorded).items()]
    sentences += [f"{', '.join(names)}: {note}." for note, names in notes.items()]
    decided = [figure for figure in counted() if figure.verdict in (HOLDS, FAILS)]
    judged += [Claim(figure.what, "counted", figure.ours, figure.verdict) for figure in decided]
    return Reproduction(_text("Claims", [markdown(all_claims_table(judged)), *sentences], out))


def show_cost(out: Path) -> Reproduction:
    """Shows what the methods cost: the recorded figures, or those that are counted where no step is timed yet."""
    from osakd.experiments.cost import counted
    from osakd.report.layout import complexity_tables
    from osakd.report.tables.complexity import figures_table
    from osakd.report.tables.table import titled

    recorded = complexity_tables(out)
    texts = [text for table in recorded or [figures_table(counted())] for text in titled(table)]
    untimed = [] if recorded else ["No step is timed yet: leave out --dry-run."]
    return Reproduction("\n\n".join(["# Complexity", *texts, *untimed]))


def _failed_runs(panel: "RecordedPanel") -> dict[str, str]:
    """Why runs of a panel have no result to show, by their name: they failed, or their records are damaged."""
    return {run.folder.name: run.error for run in panel.runs if run.error is not None}


def _text(title: str, texts: Sequence[str], out: Path) -> str:
    nowhere = "" if out.exists() else f"There is no folder {str(out)!r}: name that of the records with --out."
    return "\n\n".join(filter(None, [f"# {title}", *texts, nowhere]))
