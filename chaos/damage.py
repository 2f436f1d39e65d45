"""Files that are damaged after they were written: flipped bits, cut short, empty."""

import os
import random
import shutil
import stat
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chaos.children import run, train
from chaos.kills import undisturbed
from chaos.outcome import Outcome
from osakd import records
from osakd.data.cache import cached
from osakd.data.encoded import EncodedSplit
from osakd.engine.state import load_student, read_checkpoints
from osakd.errors import InputError, RunError
from osakd.kernels.build import built_library

FLIPS = 100
_COMPILER = """#!/bin/sh
[ "$1" = --version ] && echo made && exit
while [ "$1" != -o ]; do shift; done
head -c 4000 /dev/zero > "$2"
"""


def files(place: Path, rng: random.Random, flips: int = FLIPS) -> list[Outcome]:
    """Damages every file of a run and of the cache; each must be named, or make no difference.

    Args:
        place: folder to work in.
        rng: which bits are flipped.
        flips: number of flips in each file.
    """
    reference, _ = undisturbed(place, "serial")
    folder = place / "damaged"
    shutil.copytree(next(reference.glob("osakd-*seed0")), folder, dirs_exist_ok=True)
    shutil.copy(folder / records.CHECKPOINT, folder / records.PREVIOUS)
    readers: dict[Path, Callable[[], object]] = {
        folder / records.CONFIG: lambda: _sound(folder).config,
        folder / records.METRICS: lambda: _sound(folder).rows,
        folder / records.RESULT: lambda: asdict(_sound(folder).result),  # type: ignore[arg-type]
        folder / records.CHECKPOINT: lambda: _flat(read_checkpoints(folder, torch.device("cpu"))[0]),
        folder / records.STUDENT: lambda: _flat(load_student(folder).state_dict()),
        **_cache(place),
    }
    return [_damaged(path, read, rng, flips) for path, read in readers.items()]


def _damaged(path: Path, read: Callable[[], object], rng: random.Random, flips: int) -> Outcome:
    outcome, content = Outcome(f"{_named(path)} flipped, cut, empty"), path.read_bytes()
    expected = read()
    kinds = [_flipped(content, rng) for _ in range(flips)] + [content[: rng.randrange(len(content))] for _ in range(10)]
    for damaged in [*kinds, b""]:
        path.write_bytes(damaged)
        try:
            found = read()
        except (InputError, RunError) as error:
            named = path.name in str(error)
            outcome.add("refused by name" if named else "refused", wrong="" if named else f"unnamed: {error}")
        except Exception as error:
            outcome.add("a traceback", wrong=f"{_named(path)}: {error!r}")
        else:
            same = found == expected
            how = "used what is sound" if damaged != content else "nothing changed"
            outcome.add(how if same else "another value", wrong="" if same else f"{_named(path)}: another value")
        path.write_bytes(content)
    return outcome


def _flipped(content: bytes, rng: random.Random) -> bytes:
    place, changed = rng.randrange(len(content)), bytearray(content)
    changed[place] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _named(path: Path) -> str:
    return f"kernel{path.suffix}" if path.suffix in (".so", ".sha256") else path.name


def _sound(folder: Path) -> records.RunFiles:
    files = records.read_run(folder)
    if files.damage is not None:
        raise RunError(files.damage)
    return files


def _flat(state: dict[str, Any]) -> bytes:
    """Every tensor of a state, as bytes that are equal for equal states."""
    parts = []
    for key, value in sorted(state.items(), key=lambda pair: str(pair[0])):
        if key == "notes":
            continue
        inner = value.numpy().tobytes() if isinstance(value, torch.Tensor) else value
        parts.append(
            _flat(inner) if isinstance(inner, dict) else inner if isinstance(inner, bytes) else repr(inner).encode()
        )
    return b"\0".join(parts)


def _cache(place: Path) -> dict[Path, Callable[[], object]]:
    """The files of the cache, which are made again where they are damaged."""
    import io

    from PIL import Image

    os.environ["OSAKD_CACHE"] = str(place / "cache")
    compiler = place / "compiler"
    compiler.write_text(_COMPILER)
    compiler.chmod(stat.S_IRWXU)
    os.environ["CC"] = str(compiler)
    encoded = []
    for number in range(8):
        stream = io.BytesIO()
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(stream, "PNG")
        encoded.append(stream.getvalue())
    split = EncodedSplit(encoded, [0] * 8, [str(number) for number in range(8)])

    def decoded() -> bytes:
        found = cached(split, None)
        return found.images.tobytes() + repr((found.rotated, found.composited)).encode()

    decoded()
    library = built_library()
    kept = {path: decoded for path in sorted((place / "cache").glob("*/*.*")) if path.parent != library.parent}
    return {
        **kept,
        library: lambda: built_library().read_bytes(),
        library.with_suffix(".sha256"): lambda: built_library().read_bytes(),
    }


def resumed(place: Path, rng: random.Random) -> Outcome:
    """A run whose last checkpoint is damaged goes on from the one before, and ends as if nothing had happened."""
    from chaos.children import difference
    from osakd.engine import loop

    outcome = Outcome("last checkpoint damaged, then resumed")
    reference, _ = undisturbed(place, "serial")
    folder = place / "stopped"

    def stop() -> None:
        def at(self: object, states: object) -> None:
            save(self, states)  # type: ignore[arg-type]
            if states[0]["epoch"] == 3:  # type: ignore[index]
                os._exit(9)

        save, loop.Loop._save = loop.Loop._save, at  # type: ignore[method-assign, assignment]
        train(folder)

    for number in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        run(stop, place / "log")
        path = next(folder.glob("*-seed0")) / records.CHECKPOINT
        content = path.read_bytes()
        path.write_bytes([_flipped(content, rng), content[: len(content) // 2], b""][number])
        status, text = run(lambda: train(folder), place / "log")
        found = difference(folder, reference) if status == 0 else f"exit {status}: {text}"
        outcome.add("not equal" if found else "the one before was used, equal bit for bit", wrong=found)
    return outcome
