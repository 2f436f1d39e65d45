"""Where the runs of a report are: from a folder of records, of an experiment, panel, comparison or run, or a file.

The only file of the report that reads: every record file is opened once, and all else takes the runs from here.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osakd.errors import InputError, RunError
from osakd.methods.registry import METHODS, run_notes
from osakd.plan import BASELINE, Experiment, Panel
from osakd.read_json import Seen, is_first, load_json, read_bytes, read_json, subfolders
from osakd.records import SUMMARY
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.tables.complexity import Figure, Steps, figures_table, steps_table
from osakd.report.tables.table import Table
from osakd.runs import PACKED, Curve, RunRecord, is_run, packed_file, read_runs

DEPTH = 3
"""Folders from the records to a run: experiment, panel, run."""
COST = "cost.json"
"""The complexity figures that ``osakd reproduce cost`` leaves beside the runs."""


@dataclass(frozen=True)
class Group:
    """Runs that are shown together: a panel of an experiment, or a comparison.

    Attributes:
        place: name of the folder above, such as ``table1``; of a run alone, ``run``.
        name: name of the group itself, such as ``cifar10``.
        depth: how far below the folder of the report it lies, 0 for that folder itself.
    """

    place: str
    name: str
    depth: int
    runs: tuple[RunRecord, ...]


def read_panels(folder: Path, experiments: Sequence[Experiment]) -> list[RecordedPanel]:
    """What is recorded in a folder beside what was planned, and the planned panels that were not run.

    The experiments come in their own order, then everything else. A panel that was never run is shown where the report
    is of the folder above it: the other panels of a table with the table, the other tables of the paper with all
    records.

    Raises:
        InputError: the folder is not there, cannot be read, or holds no runs.
        RunError: the packed file is damaged.
    """
    groups = find_groups(folder)
    planned = {
        (experiment.folder, panel.name): (experiment, panel)
        for experiment in experiments
        for panel in experiment.panels
    }
    known = [group for group in groups if (group.place, group.name) in planned]
    tables = {group.place for group in known if group.depth >= 1}
    whole = any(group.depth >= 2 for group in known)
    left = {(group.place, group.name): group for group in groups}
    panels = []
    for place, (experiment, panel) in planned.items():
        if place in left:
            runs = in_order(left.pop(place).runs, [method.label for method in panel.methods])
            panels.append(RecordedPanel(*place, runs, experiment, panel))
        elif experiment.view == "paper" and (whole or experiment.folder in tables):
            panels.append(RecordedPanel(*place, (), experiment, panel))
    others = [_renamed(group) for group in left.values()]
    return panels + [RecordedPanel(group.place, group.name, group.runs) for group in others]


def read_panel(experiment: Experiment, panel: Panel, folder: Path) -> RecordedPanel:
    """What is recorded of the methods of a panel in its folder, which may be missing."""
    labels = [method.label for method in panel.methods]
    runs = in_order([run for run in _read(folder) if run.label in labels or run.damaged], labels)
    return RecordedPanel(experiment.folder, panel.name, runs, experiment, panel)


def find_groups(folder: Path) -> list[Group]:
    """The groups of runs in a folder or a packed file, in the order of their paths.

    Raises:
        InputError: the folder is not there, cannot be read, or holds no runs.
        RunError: the packed file is damaged.
    """
    root = folder.resolve()
    if root.is_file():
        return _split(root.with_suffix(""), 0, _read(root))
    if not root.exists() and not packed_file(root).exists():
        raise InputError(f"The folder {str(folder)!r} does not exist: give the folder of a run or of records.")
    if is_run(root):
        return [Group("run", root.name, 0, tuple(_read(root)))]
    groups = [group for place, depth in places(root) for group in _split(place, depth, _read(place))]
    if not groups:
        raise InputError(
            f"{str(folder)!r} holds no runs: give the folder of a run, of a comparison (osakd compare) or of records "
            "(osakd reproduce), or a file of osakd pack."
        )
    return groups


def _read(path: Path) -> list[RunRecord]:
    """The runs at a path; one with settings that its method cannot have here is a damaged one."""
    runs = _told_apart(read_runs(path))
    for number, run in enumerate(runs):
        try:
            if run.config:
                run_notes(run.config)
        except InputError as wrong:
            runs[number] = RunRecord(run.label, run.seed, run.folder, None, None, Curve(), str(wrong), damaged=True)
    return runs


def _told_apart(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Runs of one label, seed, data and network are called as their folders: neither takes the place of the other."""

    def key(run: RunRecord) -> tuple[object, ...]:
        return run.label, run.seed, run.config and (run.config.data["content"], run.config.model)

    counts = Counter(map(key, runs))
    return [replace(run, label=run.folder.name) if counts[key(run)] > 1 else run for run in runs]


def places(folder: Path, depth: int = 0, seen: Seen | None = None) -> Iterator[tuple[Path, int]]:
    """Each folder that may hold runs, or whose runs may be packed beside it, with how far below the first it lies."""
    seen = set() if seen is None else seen
    if not is_first(folder, seen):
        return
    yield folder, depth
    if depth < DEPTH - 1:
        inside = {path for path in subfolders(folder) if not is_run(path)}
        for place in sorted(inside | {path.with_suffix("") for path in folder.glob(f"[!.]*{PACKED}")}):
            yield from places(place, depth + 1, seen)


def as_compared(panels: Sequence[RecordedPanel], labels: Sequence[str]) -> list[RecordedPanel]:
    """Panels with the runs of a comparison in the order in which its methods were given."""
    return [panel if panel.planned else replace(panel, runs=in_order(panel.runs, labels)) for panel in panels]


def in_order(runs: Sequence[RunRecord], first: Sequence[str]) -> tuple[RunRecord, ...]:
    """Runs sorted by method, then by seed: first the labels given, then plain training, then as osakd lists methods."""
    places = {label: number for number, label in enumerate(dict.fromkeys([*first, BASELINE]))}
    methods = {method: number for number, method in enumerate(METHODS)}

    def key(run: RunRecord) -> tuple[int, int, list[tuple[int, str]], int]:
        method = methods.get(run.config.method, len(methods)) if run.config else len(methods)
        return places.get(run.label, len(places)), method, _natural(run.label), run.seed or 0

    return tuple(sorted(runs, key=key))


def complexity_tables(folder: Path) -> list[Table[Any]]:
    """The tables of the complexity figures in a folder of records; none where nothing is recorded.

    Raises:
        RunError: the file is damaged, or cannot be read.
    """
    content = read_bytes(folder / COST)
    if content is None:
        return []
    try:
        values = load_json(content)
        figures = [
            Figure(*(str(figure[key]) for key in ("what", "paper", "ours", "verdict"))) for figure in values["figures"]
        ]
        steps = [
            Steps(str(network["network"]), int(network["batch_size"]), _seconds(network["seconds_per_step"]))
            for network in values["steps"]
        ]
        device, machine, threads, torch = (values["made_by"][key] for key in ("device", "machine", "threads", "torch"))
        if not figures:
            raise ValueError("no figures")
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{str(folder / COST)!r} is damaged ({error}): delete it, and run osakd reproduce cost again."
        ) from error
    machine = f"{device}, {machine}, {threads} threads, torch {torch}"
    return [figures_table(figures), steps_table(steps, machine)]


def _seconds(values: dict[str, list[float]]) -> dict[str, list[float]]:
    """Seconds of a step by label and round.

    Raises:
        ValueError: a method has no rounds, others than the rest, or a time that is none.
    """
    rounds = {len(seconds) for seconds in values.values()}
    if len(rounds) != 1 or rounds == {0} or any(not second > 0 for seconds in values.values() for second in seconds):
        raise ValueError("times of steps")
    return values


def _split(place: Path, depth: int, recorded: Sequence[RunRecord]) -> list[Group]:
    """A group for each data set and network: only runs that share them are compared."""
    if not recorded:
        return []
    parts: dict[tuple[str, str], list[RunRecord]] = {}
    unknown = []
    for run in recorded:
        if run.config is None:
            unknown.append(run)
        else:
            parts.setdefault((run.config.data["content"], run.config.model), []).append(run)
    above = place.parent.name
    if not parts:
        return [Group(above, place.name, depth, in_order(unknown, []))]
    order = _compared(place)
    groups = []
    for runs in parts.values():
        config = runs[0].config
        name = f"{place.name}: {config.data['name']}, {config.model}" if config and len(parts) > 1 else place.name
        groups.append(Group(above, name, depth, in_order(runs + (unknown if not groups else []), order)))
    return groups


def _compared(folder: Path) -> list[str]:
    """The labels in the order in which they were given to ``osakd compare``."""
    try:
        methods = (read_json(folder / SUMMARY) or {"methods": []})["methods"]
        return [str(method["label"]) for method in methods if method["predictor"] is None]
    except (RunError, KeyError, TypeError):
        return []


def _renamed(group: Group) -> Group:
    """The folder above the report's own is the user's affair: it may have their name."""
    return replace(group, place="comparison") if group.depth == 0 and group.place != "run" else group


def _natural(label: str) -> list[tuple[int, str]]:
    """A key that puts 8nn before 16nn."""
    parts = re.split(r"([0-9]+)", label)
    return [(int(part), "") if part.isdecimal() else (10**9, part) for part in parts]
