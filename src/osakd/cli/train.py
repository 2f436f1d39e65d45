"""``osakd train``: one network, one method."""

from typing import Any

from osakd import api
from osakd.cli.command import command


@command(api.train, without=("callbacks",), continues=("--resume",))
def train(**options: Any) -> None:
    """Train one network with one method, and keep it in a run folder."""
    from osakd.cli.progress import TrainingProgress
    from osakd.engine.allocator import keep_freed_memory
    from osakd.methods.registry import run_notes

    keep_freed_memory()
    with TrainingProgress() as progress:
        run = api.train(**options, callbacks=[progress])
    last, best = run.result.last["test"], run.result.best_on_test
    print(
        f"{run.folder}: epoch {run.result.epochs}, test accuracy {100 * last['accuracy']:.2f} %, "
        f"NLL {last['nll']:.3f}, ECE {100 * last['ece']:.2f} %; "
        f"best on test {100 * best['accuracy']:.2f} % (epoch {best['epoch']}), {run.result.seconds:.1f} s"
    )
    chosen = run.result.chosen_on_validation
    if chosen:
        print(f"Chosen on validation: epoch {chosen['epoch']}, test accuracy {100 * chosen['accuracy']:.2f} %")
    for note in run_notes(run.config) + run.result.notes:
        if note not in progress.notes:  # those of the data are printed at the start
            print(note)
