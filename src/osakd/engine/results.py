"""What a run records: the rows of its learning curve, its result, or its error."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from osakd import records
from osakd.engine.executors.base import EpochOutcome
from osakd.errors import RunError
from osakd.records import Result, RunConfig


def not_finite(outcome: EpochOutcome, epoch: int, folder: Path) -> RunError:
    """The error of a run whose loss or weights are not finite."""
    step = (outcome.first_bad_step or 0) + 1
    kept = f"; the last good checkpoint is in {str(folder)!r}" if records.has_checkpoint(folder) else ""
    return RunError(
        f"The loss is not finite at step {step} of epoch {epoch}: take a smaller learning rate or --max-grad-norm, "
        f"with another --out{kept}."
    )


def curve_row(config: RunConfig, epoch: int, rate: float, seconds: float, outcome: EpochOutcome) -> dict[str, Any]:
    """A row of the learning curve without scores; ``seconds`` is the run's share of the program's time."""
    return {
        "epoch": epoch,
        "learning_rate": rate,
        "seconds": round(seconds, 3),
        "images_per_second": round(config.data["train"] / seconds, 1),
        "train": outcome.parts,
    }


def with_scores(row: dict[str, Any], scores: dict[str, dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Adds what was evaluated: the deployed network's scores by split, the scores of others by name and split."""
    deployed = {split: next(iter(by_name.values())) for split, by_name in scores.items()}
    names = [name for by_name in scores.values() for name in list(by_name)[1:]]
    others = {name: {split: by_name[name] for split, by_name in scores.items()} for name in dict.fromkeys(names)}
    return row | deployed | ({"others": others} if others else {})


def result_of(
    config: RunConfig,
    rows: list[dict[str, Any]],
    seconds: float,
    made_by: dict[str, Any],
    steps: int,
    memory: float,
    data_notes: Sequence[str],
) -> Result:
    """The result of a run.

    Args:
        config: its configuration.
        rows: its learning curve.
        seconds: time of training and evaluation.
        made_by: its environment and executor.
        steps: number of steps in an epoch.
        memory: peak memory in MiB.
        data_notes: notes on its data.
    """
    evaluated = [row for row in rows if "test" in row]
    best = max(evaluated, key=lambda row: row["test"]["accuracy"])
    chosen = max(evaluated, key=lambda row: row["validation"]["accuracy"]) if "validation" in rows[-1] else None
    notes = list(data_notes)
    if config.data["train"] % config.batch_size == 1:
        notes.append("The last batch of each epoch held one image and was dropped.")
    return Result(
        epochs=config.epochs,
        last=rows[-1],
        best_on_test={"accuracy": best["test"]["accuracy"], "epoch": best["epoch"]},
        chosen_on_validation=chosen
        and {
            "accuracy": chosen["test"]["accuracy"],
            "validation_accuracy": chosen["validation"]["accuracy"],
            "epoch": chosen["epoch"],
        },
        seconds=round(seconds, 3),
        environment=made_by,
        notes=notes,
        cost={"step_ms": round(1000 * median(row["seconds"] for row in rows) / steps, 3), "memory_mib": memory},
    )
