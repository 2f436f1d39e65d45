"""Exported files that were damaged, read as ``osakd predict`` and ``osakd latency`` read them.

Their runtimes are not Python, so each part of the cases has a process of its own: one that dies is a wrong answer.
"""

import importlib.util
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from chaos.children import options_of, run, say
from chaos.fuzz import changed, outcome_of
from chaos.outcome import Outcome
from osakd.api.runs import load
from osakd.deploy.api import export
from osakd.runner.planning import plan_comparison
from osakd.runner.run import run_jobs

RUNTIMES = {".onnx": "onnxruntime", ".pte": "executorch"}
_IN_A_PROCESS = 100


def files(place: Path, rng: random.Random, count: int) -> list[Outcome]:
    """Damaged files of every format whose library is installed.

    Args:
        place: folder to work in.
        rng: what is random.
        count: number of cases of each format.
    """
    outcomes = []
    for ending, library in RUNTIMES.items():
        if importlib.util.find_spec(library) is None:
            say(f"{library} is not installed: no {ending} file is damaged")
            continue
        outcomes.append(_damaged(place, ending, rng, count))
    return outcomes


def _damaged(place: Path, ending: str, rng: random.Random, count: int) -> Outcome:
    outcome, file = Outcome(f"damaged {ending} files"), place / f"model{ending}"

    def make() -> None:
        _, jobs = plan_comparison("digits", ["plain"], [0], options_of("serial", epochs=1), place / "runs")
        run_jobs(jobs, processes=1, on_progress=lambda _: None)
        export(jobs[0].folder, file, data="digits")

    status, text = run(make, place / "log")
    if status:
        outcome.add("not written", wrong=text)
        return outcome
    while outcome.times < count:
        part, told = min(_IN_A_PROCESS, count - outcome.times), place / "told"
        seed = rng.random()

        def cases(part: int = part, seed: float = seed, told: Path = told) -> None:
            own = random.Random(seed)  # noqa: S311 - faults, no secrets
            found = outcome_of("", _case(file), own, part)
            told.write_text(json.dumps([found.answers, found.details]))

        status, text = run(cases, place / "log")
        if status:
            outcome.add("the process died", wrong=f"{ending}, seed {seed}: exit {status} {text[-400:]}")
            return outcome
        answers, details = json.loads(told.read_text())
        outcome.times += part
        outcome.wrong += len(details)
        outcome.answers.update(answers)
        outcome.details += details
    return outcome


def _case(file: Path) -> Callable[[random.Random], None]:
    content, damaged = file.read_bytes(), file.with_stem("damaged")
    image = np.random.default_rng(0).integers(0, 255, (8, 8), dtype=np.uint8)
    expected = load(file).predict(image)

    def case(rng: random.Random) -> None:
        text = changed(content, rng)
        damaged.write_bytes(text)
        if load(damaged).predict(image) != expected and text != content:
            raise RuntimeError("another prediction, without a word")

    return case
