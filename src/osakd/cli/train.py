"""``osakd train``: one network, one method."""

from collections.abc import Sequence

from osakd.cli.options import (
    add_log,
    add_method_options,
    add_training_options,
    chosen_method,
    new_parser,
    parse,
    training_options,
)


def command(argv: Sequence[str]) -> int:
    """Trains one run and prints how it ended."""
    parser = new_parser("train", "Train one network with one method, and keep it in a run folder.")
    parser.add_argument(
        "--data", type=str, default="digits", help="data set: name (osakd list), local folder, or hub id"
    )
    add_method_options(parser, chosen_method(argv, "plain"))
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers")
    parser.add_argument(
        "--out", type=str | None, default=None, help="folder of the run; by default runs/DATA-MODEL-METHOD-seedSEED"
    )
    parser.add_argument("--resume", action="store_true", help="resume a run that was stopped")
    add_log(parser)
    add_training_options(parser)
    found = parse(parser, argv)
    if found is None:
        return 0

    from osakd import api
    from osakd.cli.progress import TrainingProgress, continue_with
    from osakd.engine.allocator import keep_freed_memory
    from osakd.methods.registry import run_notes

    keep_freed_memory()
    again = [*argv, *([] if "--resume" in argv else ["--resume"])]
    with TrainingProgress() as progress, continue_with("train", *again):
        run = api.train(
            found.data,
            method=found.method.as_dict(),
            seed=found.seed,
            out=found.out,
            resume=found.resume,
            callbacks=[progress],
            log=found.log,
            **training_options(found),
        )
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
    return 0
