"""Input of the strategies of ``tests/strategies.py``, many thousand cases: only our own errors may come out."""

import importlib.util
import json
import random
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

import osakd
from chaos.children import compare, run, say
from chaos.outcome import Outcome
from tests.data.made import made_images
from tests.strategies import KINDS, answer_of, damaged

RUNTIMES = {".onnx": "onnxruntime", ".pte": "executorch"}


def all_kinds(place: Path, rng: random.Random, count: int) -> list[Outcome]:
    """So many cases of every kind of input, each kind in a folder of its own below ``place``."""
    outcomes = []
    for name, kind in KINDS.items():
        folder = place / name
        folder.mkdir()
        outcomes.append(outcome_of(f"input: {name}", *kind(folder), rng, count))
    return outcomes


def exported(place: Path, rng: random.Random, count: int) -> list[Outcome]:
    """So many damaged files of each format whose runtime is installed.

    Runtimes are not Python, so that each format has a process of its own: a wrong answer where it dies.
    """
    outcomes = []
    for ending, library in RUNTIMES.items():
        if importlib.util.find_spec(library) is None:
            say(f"{library} is not installed: no {ending} file is damaged")
            continue
        answers = place / "answers"

        def cases(ending: str = ending, answers: Path = answers) -> None:
            file = place / f"model{ending}"
            osakd.export(compare(["plain"], place / ending, epochs=1, ema=None), file, data="digits")
            outcome = outcome_of(f"damaged {ending} files", damaged(file.read_bytes()), _reader(file), rng, count)
            answers.write_text(json.dumps(vars(outcome)))

        status, text = run(cases, place / "log")
        outcomes.append(Outcome(f"damaged {ending} files"))
        if status:
            outcomes[-1].add("", wrong=f"the process died: exit {status} {text[-400:]}")
        else:
            made = json.loads(answers.read_text())
            outcomes[-1] = Outcome(**made | {"answers": Counter(made["answers"])})
    return outcomes


def outcome_of(
    name: str, inputs: SearchStrategy[Any], read: Callable[[Any], object], rng: random.Random, count: int
) -> Outcome:
    """What became of so many cases of a kind of input."""
    outcome = Outcome(name)
    warnings.simplefilter("ignore")  # Pillow's, about damaged tags

    @seed(rng.randrange(2**32))
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(inputs)
    def each(content: object) -> None:
        try:
            outcome.add(answer_of(lambda: read(content)))
        except Exception as error:
            outcome.add("", wrong=f"{content!r:.300}: {error!r}")

    each()
    return outcome


def _reader(file: Path) -> Callable[[bytes], None]:
    content, changed = file.read_bytes(), file.with_stem("damaged")
    (image,) = made_images(1, 0, (8, 8))
    expected = osakd.load(file).predict(image)

    def read(damage: bytes) -> None:
        changed.write_bytes(damage)
        if osakd.load(changed).predict(image) != expected and damage != content:
            raise RuntimeError("another prediction, without a word")

    return read
