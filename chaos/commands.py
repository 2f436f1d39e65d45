"""Signals to stop at every stage of every command, whole processes without it, and then the same command again."""

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

from chaos.children import difference, ended, run, start
from chaos.outcome import Outcome
from osakd.cli.main import COMMANDS, main
from osakd.errors import STOPPING
from tests.data.made import encode, made_images, write_parquet

STOPPED = (*(128 + number for number in STOPPING), *(-number for number in STOPPING), -signal.SIGABRT)
"""How an interrupted command may end; C++ code of a library aborts where it cannot pass the interrupt on."""
_SMALL = ["--epochs", "2", "--fraction", "0.2", "--executor", "serial", "--kernels", "torch", "--device", "cpu"]
_PANEL = ["--panels", "cifar10", "--methods", "plain", "--seeds", "1", "--epochs", "2"]


def all_commands(place: Path, rng: random.Random, times: int) -> Outcome:
    """Interrupts every command so many times, at moments that are spread over the time that it takes."""
    ready, image, images = str(place / "ready"), place / "image.png", place / "cifar10"
    run(lambda: main(["train", "--method", "osakd", *_SMALL, "--out", ready]), place / "log")
    image.write_bytes(encode(made_images(1, 0, (8, 8))[0]))
    for split, count in (("train", 60), ("test", 20)):
        pictures = [encode(array) for array in made_images(count, 0, (32, 32, 3))]
        labels = [number % 10 for number in range(count)]
        write_parquet(images / f"{split}-00000-of-00001.parquet", pictures, labels, image_column="img")
    words = {
        "train": [*_SMALL, "--out", "{}/plain-seed0", "--resume"],
        "compare": ["--methods", "plain", "born-again", "--seeds", "1", *_SMALL, "--processes", "1", "--out", "{}"],
        "reproduce": ["table1", *_PANEL, "--data", str(images), "--processes", "1", "--device", "cpu", "--out", "{}"],
        "evaluate": [ready, "--device", "cpu"],
        "predict": [ready, str(image)],
        "export": [ready, "--to", "{}/model.onnx"],
        "latency": [ready, "--calls", "300", "--record", "{}/record.json"],
        "card": [ready, "--to", "{}/card.md"],
        "pack": [ready, "--to", "{}/runs.jsonl"],
        "report": [ready, "--out", "{}", "--gallery"],
        "status": [ready],
        "cost": ["--model", "lenet", "--methods", "plain", "osakd"],
        "list": [],
    }
    if set(words) != set(COMMANDS):
        raise RuntimeError(f"commands without a fault: {set(COMMANDS) ^ set(words)}")
    outcome = Outcome(f"Ctrl-C, SIGTERM, SIGHUP at every stage of the {len(words)} commands")
    for name, arguments in words.items():
        _interrupted(outcome, place, rng, [name, *arguments], times)
    return outcome


def _interrupted(outcome: Outcome, place: Path, rng: random.Random, words: list[str], times: int) -> None:
    log, name = place / "log", words[0]

    def command(folder: Path) -> int:
        return main([word.format(folder) for word in words])

    expected = place / f"{name}-undisturbed"
    expected.mkdir()
    begun = time.monotonic()
    status, text = run(lambda: command(expected), log)
    takes = time.monotonic() - begun
    if status:
        outcome.add("", wrong=f"{name} failed undisturbed: exit {status} {text}")
        return
    for number in range(times):
        folder = place / f"{name}-{number}"
        folder.mkdir()
        log.unlink(missing_ok=True)
        work = start(lambda folder=folder: command(folder), log)
        time.sleep((number + rng.random()) / times * takes)
        with suppress(ProcessLookupError):
            for sent in range(rng.choice((1, 2))):  # the second must not cut off what the first saves
                time.sleep(0.02 * sent)
                os.kill(work, rng.choice(STOPPING))
        status = ended(work)
        wrong = "" if status in (0, *STOPPED) else f"exit {status}: {log.read_text() if log.exists() else ''}"
        empty = [path.name for path in folder.glob("*") if path.is_file() and not path.stat().st_size]
        if empty and empty[0] != ".lock":  # a file that is being written is whole or not there
            wrong = wrong or f"an empty {empty[0]}"
        again, text = run(lambda folder=folder: command(folder), log)
        wrong = wrong or (f"then exit {again}: {text}" if again else _other(folder, expected))
        answer = "it had ended" if status == 0 else "stopped; then as if undisturbed"
        outcome.add(answer, wrong=f"{name}: {wrong}" if wrong else "")


def _other(folder: Path, expected: Path) -> str:
    """What differs from what the undisturbed command wrote: runs, and the files that are equal on every day."""
    runs = sorted({path for path in expected.rglob("*-seed0") if path.is_dir()})
    differences = [difference(folder / run.relative_to(expected), run) for run in runs]
    if not runs:
        files = [name for name in ("card.md", "report.html", "runs.jsonl", "tables.md") if (expected / name).exists()]
        changed = [name for name in files if (folder / name).read_bytes() != (expected / name).read_bytes()]
        differences += [f"another {name}" for name in changed]
    missing = {path.name for path in expected.iterdir()} - {path.name for path in folder.iterdir()}
    return next(filter(None, [*differences, f"no {', '.join(missing)}" if missing else ""]), "")
