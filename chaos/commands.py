"""Ctrl-C at every stage of every command, whole processes without it, and then the same command again."""

import io
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from chaos.children import difference, ended, run, start
from chaos.outcome import Outcome
from osakd.cli.main import COMMANDS, main

STOPPED = 130
_SMALL = ["--epochs", "2", "--fraction", "0.2", "--executor", "serial", "--kernels", "torch", "--device", "cpu"]
_COLUMN = ["--columns", "cifar10", "--cells", "plain", "--seeds", "1", "--epochs", "2"]


def all_commands(place: Path, rng: random.Random, times: int) -> Outcome:
    """Interrupts every command so many times, at moments that are spread over the time that it takes."""
    ready, image, images = place / "ready", place / "image.png", place / "cifar10"
    run(lambda: main(["train", "--method", "osakd", *_SMALL, "--out", str(ready)]), place / "log")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(image)
    _made_images(images)
    there = str(ready)
    words = {
        "train": [*_SMALL, "--out", "{}/plain-seed0", "--resume"],
        "compare": ["--methods", "plain", "born-again", "--seeds", "1", *_SMALL, "--processes", "1", "--out", "{}"],
        "reproduce": ["table1", *_COLUMN, "--data", str(images), "--processes", "1", "--device", "cpu", "--out", "{}"],
        "evaluate": [there, "--device", "cpu"],
        "predict": [there, str(image)],
        "export": [there, "--to", "{}/model.onnx"],
        "latency": [there, "--calls", "300", "--record", "{}/record.json"],
        "card": [there, "--to", "{}/card.md"],
        "report": [there, "--out", "{}", "--gallery"],
        "status": [there],
        "cost": ["--model", "lenet", "--methods", "plain", "osakd"],
        "list": [],
    }
    if set(words) != set(COMMANDS):
        raise RuntimeError(f"commands without a fault: {set(COMMANDS) ^ set(words)}")
    outcome = Outcome(f"Ctrl-C at every stage of the {len(words)} commands")
    for name, given in words.items():
        _interrupted(outcome, place, rng, name, given, times)
    return outcome


def _interrupted(outcome: Outcome, place: Path, rng: random.Random, name: str, words: list[str], times: int) -> None:
    log = place / "log"

    def given(folder: Path) -> list[str]:
        return [name, *(word.format(folder) for word in words)]

    expected = place / f"{name}-undisturbed"
    expected.mkdir()
    begun = time.monotonic()
    status, text = run(lambda: main(given(expected)), log)
    takes = time.monotonic() - begun
    if status:
        outcome.add("failed undisturbed", wrong=f"{name}: exit {status} {text}")
        return
    for number in range(times):
        folder = place / f"{name}-{number}"
        folder.mkdir()
        log.unlink(missing_ok=True)
        work = start(lambda folder=folder: main(given(folder)), log)
        time.sleep((number + rng.random()) / times * takes)
        with suppress(ProcessLookupError):
            os.kill(work, signal.SIGINT)
        status = ended(work)
        wrong = "" if status in (0, STOPPED, -signal.SIGINT) else f"exit {status}: {log.read_text()}"
        wrong = wrong or _left_overs(folder)
        again, text = run(lambda folder=folder: main(given(folder)), log)
        wrong = wrong or (f"then exit {again}: {text}" if again else _other(folder, expected))
        answer = "it had ended" if status == 0 else "stopped; then as if undisturbed"
        outcome.add("wrong" if wrong else answer, wrong=f"{name}: {wrong}" if wrong else "")


def _left_overs(folder: Path) -> str:
    """A single file that is being written is whole or not there."""
    found = [path.name for path in folder.glob("*") if path.is_file() and not path.stat().st_size]
    return f"an empty {found[0]}" if found and found[0] != ".lock" else ""


def _other(folder: Path, expected: Path) -> str:
    """What differs from what the undisturbed command wrote: runs, and the files that are equal on every day."""
    runs = [path.parent for path in expected.rglob("*-seed0") if path.is_dir()]
    found = [difference(folder / one.relative_to(expected), one) for one in dict.fromkeys(runs)]
    alike = [] if runs else [name for name in ("card.md", "report.html", "tables.md") if (expected / name).exists()]
    found += [f"another {one}" for one in alike if (folder / one).read_bytes() != (expected / one).read_bytes()]
    missing = {path.name for path in expected.iterdir()} - {path.name for path in folder.iterdir()}
    return next(filter(None, [*found, f"no {', '.join(missing)}" if missing else ""]), "")


def _made_images(folder: Path) -> None:
    """A few images in the layout of CIFAR-10 on the hub."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 20)):
        encoded = []
        for _ in range(count):
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(stream, "PNG")
            encoded.append({"bytes": stream.getvalue(), "path": None})
        table = pa.table({"img": encoded, "label": [number % 10 for number in range(count)]})
        pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")
