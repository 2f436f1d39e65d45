"""The commands: the function of ``osakd.api`` that each calls, and how the result is printed."""

import json as to_json
import shlex
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from osakd import api
from osakd.cli.command import command
from osakd.cli.terminal import say
from osakd.data.recipes import DATA
from osakd.durable import dumps, write_atomic
from osakd.methods.registry import METHODS, PRESETS, run_notes
from osakd.models.registry import MODELS, is_function
from osakd.paths import given_path, out_path

if TYPE_CHECKING:
    from osakd.runner.status import RunStatus

SHOWN = 3
"""The most classes that ``predict`` prints for an image."""


@command(api.compare, without=("on_progress",), continues=())
def compare(**options: Any) -> None:
    """Train several methods over several seeds and compare them. The same command continues after a stop."""
    from osakd.cli.progress import ComparisonProgress, print_comparison
    from osakd.engine.allocator import keep_freed_memory

    keep_freed_memory()
    incomplete = None
    with ComparisonProgress() as progress:
        try:
            comparison = api.compare(**options, on_progress=progress.on_progress)
        except api.IncompleteError as error:
            comparison, incomplete = error.comparison, error
    print_comparison(comparison.panel)
    say(f"Every value is in {comparison.folder}/summary.json; open {comparison.folder}/report.html in a browser.")
    say(f"Tables and figures for a paper: {shlex.join(['osakd', 'report', str(comparison.folder)])}")
    if incomplete is not None:
        raise incomplete


@command(api.train, without=("callbacks",), continues=("--resume",))
def train(**options: Any) -> None:
    """Train one network with one method, and keep it in a run folder."""
    from osakd.cli.progress import TrainingProgress
    from osakd.engine.allocator import keep_freed_memory

    keep_freed_memory()
    with TrainingProgress() as progress:
        run = api.train(**options, callbacks=[progress])
    say(str(run))
    for note in run_notes(run.config) + run.result.notes:
        if note not in progress.notes:  # those of the data are printed at the start
            say(note)
    if weights := run.soft_weights:
        ends = f"{weights[0]:.3f} in the first epoch, {weights[-1]:.3f} in the last"
        say(f"Weight of the soft labels: {fmean(weights):.3f} on average, {ends}.")
    commands = [["evaluate", str(run.folder)], ["export", str(run.folder), "--to", "model.onnx"]]
    trusted = ["--trust"] * is_function(run.config.model)
    say(f"Next: {'; '.join(shlex.join(['osakd', *words, *trusted]) for words in commands)}")


@command(api.evaluate, positional=("run",), without=("on_note",))
def evaluate(*, json: bool = False, csv: str | Path | None = None, **options: Any) -> None:
    """Score the network of a finished run, or an exported file, on a test set; show its mistakes.

    Args:
        json: print scores, confusion matrix and mistakes as JSON.
        csv: file to write, a line for each image: file, class, predicted class and its probability.
        **options: those of ``osakd.evaluate``.
    """
    from osakd.cli.evaluation import csv_of, print_evaluation

    out_file = None if csv is None else out_path(csv)
    evaluation = api.evaluate(**options, on_note=partial(say, error=json))
    if out_file is not None:
        write_atomic(out_file, csv_of(evaluation).encode())
    if json:
        say(dumps(evaluation.summary()))
    else:
        print_evaluation(evaluation)


@command(positional=("model", "images"))
def predict(model: str, images: Sequence[str], *, json: bool = False, trust: bool = False) -> None:
    """Predict the classes of images, which are decoded and resized as in training.

    Args:
        model: folder of a finished run, or an exported file.
        images: image files.
        json: print every probability as JSON, an object for each image.
        trust: call a function that the run's folder names as its network: its code runs.
    """
    for path, prediction in zip(images, api.load(model, trust=trust).predict(images), strict=True):
        if json:
            say(to_json.dumps({"image": path, **prediction._asdict()}, ensure_ascii=False))
            continue
        by_probability = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        say(f"{path}: " + ", ".join(f"{name} {100 * share:.1f} %" for name, share in by_probability[:SHOWN]))


@command(api.write_report, positional=("folder",))
def report(**options: Any) -> None:
    """Show what is recorded: one page for a browser, tables and figures. Nothing is run."""
    path = api.write_report(**options)
    say(f"Open {path} in a browser; tables.md, tables.tex, tables.csv and figures/ lie beside it.")


@command(api.pack, positional=("folder",))
def pack(**options: Any) -> None:
    """Put the runs of a folder in one file, without their networks. Nothing is deleted."""
    for packed in api.pack(**options):
        say(f"{packed.file}: {packed.runs} run{'s' * (packed.runs != 1)}")
        for name, why in packed.left.items():
            say(f"  not packed: {name}: {why}")


@command(positional=("folder",))
def status(folder: str, *, all: bool = False) -> None:  # noqa: A002 - as the option of the command
    """Show how far the runs in a folder are. This command changes nothing.

    Args:
        folder: folder of a comparison, an experiment, all records, or one run.
        all: also show a line for each finished run.
    """
    from osakd.runner.status import status_of

    for status_of_folder in status_of(given_path(folder)):
        counts = Counter(run.state for run in status_of_folder.runs)
        counted = ", ".join(f"{n} {state}" for state, n in counts.items())
        say(f"{status_of_folder.folder}: {counted}")
        runner = status_of_folder.runner
        if runner:
            doubt = "" if runner.certain else " (or it was killed: its lock belongs to another user)"
            who = f"process {runner.process} on {runner.host}, since {runner.since}"
            say(f"  run by {who}{doubt}")
        for run in status_of_folder.runs:
            if all or run.state != "finished":
                say(_run_line(run))


def _run_line(run: "RunStatus") -> str:
    """The state of a run in a line: ``plain-seed0: running, epoch 3/40, test 81.20 %, 2 min left``."""
    from osakd.cli.progress import duration

    words = [run.state]
    if run.epochs is not None:
        words.append(f"epoch {run.epoch}/{run.epochs}")
    if run.row is not None and "test" in run.row:
        words.append(f"test {100 * run.row['test']['accuracy']:.2f} %")
    if run.seconds_left is not None:
        words.append(f"{duration(run.seconds_left)} left")
    return f"  {run.name}: {', '.join(words)}" + (f": {run.error}" if run.state in ("failed", "damaged") else "")


@command()
def list_() -> None:
    """Show the known data, models and methods, with their sources."""
    say("data (--data; also a local folder, or any hub id)")
    for name, data in DATA.items():
        say(f"  {name:<18}{data.description}. {data.source}" + (f" (hub: {data.hub})" if data.hub else ""))
    say("models (--model; also timm:NAME, and package.module:function)")
    for name, model in MODELS.items():
        say(f"  {name:<18}{model.description}. {model.source}")
    say("methods (--method; osakd train --method NAME --help shows its settings)")
    for name, method in METHODS.items():
        say(f"  {name:<28}{(method.settings.__doc__ or '').splitlines()[0]}")
    say(f"shorthands (--method; methods with other settings): osakd-16nn, {', '.join(PRESETS)}")
