"""Files that are damaged after they were written: flipped bits, cut short, empty."""

import os
import random
import shutil
import stat
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from chaos.children import At, continued, run, train_one, undisturbed_one
from chaos.outcome import Outcome
from osakd import records
from osakd.data.cache import cached
from osakd.data.encoded import EncodedSplit
from osakd.engine.executors.registry import EXECUTORS
from osakd.engine.state import load_student, read_checkpoints
from osakd.errors import InputError, RunError
from osakd.leaves import load
from tests.data.made import encode, made_images

_COMPILER = """#!/bin/sh
[ "$1" = --version ] && echo made && exit
while [ "$1" != -o ]; do shift; done
head -c 4000 /dev/zero > "$2"
"""


def files(place: Path, rng: random.Random, flips: int = 100) -> list[Outcome]:
    """Damages every file of a run and of the cache; each must be named, or make no difference.

    Args:
        place: folder to work in.
        rng: which bits are flipped.
        flips: number of flips in each file.
    """
    folder = place / "damaged"
    shutil.copytree(undisturbed_one(place), folder)
    shutil.copy(folder / records.CHECKPOINT, folder / records.PREVIOUS)

    def read() -> records.RunFiles:
        files = records.read_run(folder)
        if files.damage is not None:
            raise RunError(files.damage)
        return files

    readers: dict[Path, Callable[[], object]] = {
        folder / records.CONFIG: lambda: read().config,
        folder / records.METRICS: lambda: read().rows,
        folder / records.RESULT: lambda: asdict(read().result),  # type: ignore[arg-type]
        folder / records.CHECKPOINT: lambda: _flat(read_checkpoints(folder, torch.device("cpu"))[0]),
        folder / records.STUDENT: lambda: _flat(load_student(folder).state_dict()),
        **_cache(place),
    }
    return [_damaged(path, read_file, rng, flips) for path, read_file in readers.items()]


def resumed(place: Path, rng: random.Random) -> Outcome:
    """A run whose last checkpoint is damaged goes on from the one before, and ends as if nothing had happened."""
    outcome, folder = Outcome("last checkpoint damaged, then resumed"), place / "stopped"
    reference = undisturbed_one(place)
    damages: list[Callable[[bytes], bytes]] = [
        partial(_flipped, rng=rng),
        lambda content: content[: len(content) // 2],
        lambda _: b"",
    ]
    for damage in damages:
        shutil.rmtree(folder, ignore_errors=True)
        run(lambda: train_one(folder, At(4, lambda: os._exit(9))), place / "log")
        (folder / records.CHECKPOINT).write_bytes(damage((folder / records.CHECKPOINT).read_bytes()))
        wrong = continued(lambda: train_one(folder), folder, reference, place / "log")
        outcome.add("the one before was used, equal bit for bit", wrong=wrong)
    return outcome


def _damaged(path: Path, read: Callable[[], object], rng: random.Random, flips: int) -> Outcome:
    name = f"kernel{path.suffix}" if path.suffix in (".so", ".sha256") else path.name
    outcome, content, expected = Outcome(f"{name} flipped, cut, empty"), path.read_bytes(), read()
    contents = [_flipped(content, rng) for _ in range(flips)]
    contents += [content[: rng.randrange(len(content))] for _ in range(10)]
    for damaged in [*contents, b""]:
        path.write_bytes(damaged)
        try:
            value = read()
        except (InputError, RunError) as error:
            outcome.add("refused by name", wrong="" if path.name in str(error) else f"unnamed: {error}")
        except Exception as error:
            outcome.add("", wrong=repr(error))
        else:
            outcome.add("used what is sound", wrong="" if value == expected else "another value")
        path.write_bytes(content)
    return outcome


def _flipped(content: bytes, rng: random.Random) -> bytes:
    place, changed = rng.randrange(len(content)), bytearray(content)
    changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flat(state: dict[str, Any]) -> list[tuple[str, object]]:
    """The values of a state by name, tensors as their bytes, without the notes on how it was read."""
    flat: list[tuple[str, object]] = []
    for key, value in sorted(state.items(), key=lambda item: str(item[0])):
        if isinstance(value, dict):
            flat += [(f"{key}.{name}", inner) for name, inner in _flat(value)]
        elif key != "notes":
            flat.append((str(key), value.numpy().tobytes() if isinstance(value, torch.Tensor) else value))
    return flat


def _cache(place: Path) -> dict[Path, Callable[[], object]]:
    """The files of the cache, which are made again where they are damaged."""
    os.environ["OSAKD_CACHE"] = str(place / "cache")
    compiler = place / "compiler"
    compiler.write_text(_COMPILER)
    compiler.chmod(stat.S_IRWXU)
    os.environ["CC"] = str(compiler)
    images = [encode(image) for image in made_images(8, 0)]
    split = EncodedSplit(images, [0] * 8, [str(number) for number in range(8)])

    def decoded() -> object:
        images = cached(split, None)
        return images.images.tobytes(), images.rotated, images.composited

    decoded()
    files = dict.fromkeys(sorted((place / "cache").glob("*/*.*")), decoded)
    if "serial/native" in EXECUTORS:
        built_library: Callable[[], Path] = load("osakd.native.kernels.build:built_library")
        library = built_library()
        kernel = [library, library.with_suffix(".sha256")]
        files |= dict.fromkeys(kernel, lambda: built_library().read_bytes())
    return files
