"""Bad input: made at random, or sound input that was changed. Only our own errors may come out."""

import io
import json
import random
import shutil
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from chaos.outcome import Outcome
from osakd import records
from osakd.cli.main import main
from osakd.data.decode import decode
from osakd.data.encoded import EncodedSplit
from osakd.data.options import ImageOptions
from osakd.data.parquet import read_parquet
from osakd.errors import InputError, RunError
from osakd.losses import OSAKDLoss

Case = Callable[[random.Random], None]
_WORDS = ["train", "compare", "evaluate", "report", "status", "cost", "list", "--data", "--method", "osakd", "--epochs"]
_WORDS += [
    "-1",
    "nan",
    "{",
    "[1",
    "--method.k",
    "--config",
    "\x00",
    "--out",
    "\u202e",
    "1e999",
    "!!python/name:os",
    "--",
]
_PIECES = ["{", "}", "[", "]", ":", ",", '"', "null", "1e999", "NaN", "\\u0000", "epoch", "\n", "-", "9" * 30, "\ufeff"]


def all_kinds(place: Path, rng: random.Random, count: int) -> list[Outcome]:
    """Every kind of bad input; the count is divided among the kinds, images and records having the most.

    Args:
        place: folder to work in.
        rng: what is random.
        count: number of cases.
    """
    kinds: dict[str, tuple[float, Case]] = {
        "images": (0.45, _image_case()),
        "Parquet files": (0.15, _parquet_case(place)),
        "records": (0.25, _record_case(place)),
        "command lines and YAML": (0.05, _command_case(place)),
        "tensors into the loss": (0.1, _loss_case),
    }
    return [outcome_of(f"bad {name}", case, rng, max(1, round(share * count))) for name, (share, case) in kinds.items()]


def outcome_of(name: str, case: Case, rng: random.Random, count: int) -> Outcome:
    """What became of so many cases of a kind."""
    outcome = Outcome(name)
    warnings.simplefilter("ignore")  # Pillow's, about damaged tags
    for _ in range(count):
        try:
            case(rng)
        except (InputError, RunError):
            outcome.add("refused in a sentence")
        except Exception as error:
            outcome.add("a traceback", wrong=f"{name}: {error!r}")
        else:
            outcome.add("read")
    return outcome


def changed(content: bytes, rng: random.Random) -> bytes:
    """The content of a file cut short, with other bytes, with more, or something else."""
    kind = rng.randrange(5)
    if kind == 0:
        return content[: rng.randrange(len(content) + 1)]
    if kind == 1:
        return rng.randbytes(rng.randrange(200))
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 20)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed if kind < 4 else changed + content)


def _image_case() -> Case:
    samples = []
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"):
        for size in ((1, 1), (7, 5)):
            array = np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
            image = Image.fromarray(array).convert("L" if mode == "I;16" else mode)
            image = image.convert("I;16") if mode == "I;16" else image
            for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "JPEG2000"):
                stream = io.BytesIO()
                try:
                    image.save(stream, kind)
                except (OSError, ValueError, KeyError):
                    continue
                samples.append(stream.getvalue())

    def case(rng: random.Random) -> None:
        content = rng.choice(samples)
        content = changed(content, rng) if rng.random() < 0.9 else content
        decode(EncodedSplit([content], [0], ["x"]), (4, 4) if rng.random() < 0.5 else None)

    return case


def _parquet_case(place: Path) -> Case:
    path = place / "made.parquet"
    pq.write_table(pa.table({"image": [b"x", b"y"], "label": [0, 1], "text": ["a", None]}), path)
    content = path.read_bytes()

    def case(rng: random.Random) -> None:
        path.write_bytes(changed(content, rng))
        read_parquet([path], ImageOptions())

    return case


def _record_case(place: Path) -> Case:
    from chaos.damage import _sound

    folder = place / "records"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    source = Path(__file__).parent.parent / "records"
    sound = next(source.rglob(records.RESULT)).parent
    texts = {name: (sound / name).read_bytes() for name in (records.CONFIG, records.METRICS, records.RESULT)}

    def case(rng: random.Random) -> None:
        for name, text in texts.items():
            (folder / name).write_bytes(text)
        name = rng.choice(list(texts))
        kind = rng.randrange(3)
        if kind == 0:
            content = "".join(rng.choices(_PIECES, k=rng.randrange(30))).encode()
        elif kind == 1:
            content = _other_values(texts[name], rng)
        else:
            content = changed(texts[name], rng)
        (folder / name).write_bytes(content)
        records.read_config(folder)
        _sound(folder)

    return case


def _other_values(text: bytes, rng: random.Random) -> bytes:
    """A record with one value of another kind."""
    lines = text.splitlines() if b"\n{" in text else [text]
    value = json.loads(lines[0])
    inner = value
    while True:
        key = rng.choice(list(inner))
        if isinstance(inner[key], dict) and inner[key] and rng.random() < 0.6:
            inner = inner[key]
            continue
        inner[key] = rng.choice([None, [], {}, "x", -1, 1e999, True, [{}]])
        return b"\n".join([json.dumps(value).encode(), *lines[1:], b""])


def _command_case(place: Path) -> Case:
    config = place / "options.yaml"

    def case(rng: random.Random) -> None:
        config.write_bytes(changed(b"epochs: 2\nmethod: {name: osakd, k: 4}\nmodel: lenet\n", rng))
        words = rng.choices(_WORDS, k=rng.randrange(6)) + ["--config", str(config)] * (rng.random() < 0.5)
        words = [*words, "--no-such-option"]  # nothing shall be trained
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            status = main(words)
        if status == 1 or "unexpected" in said.getvalue():
            raise RuntimeError(f"{words}: {said.getvalue()}")
        if status == 2:
            raise InputError("refused")

    return case


def _loss_case(rng: random.Random) -> None:
    """Logits and classes of odd shapes, types and values: a loss that is finite where the logits are, or an error."""
    n, c = rng.choice([0, 1, 2, 5]), rng.choice([0, 1, 2, 7])
    kind = rng.choice([torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64])
    logits = (torch.randn(n, c) * rng.choice([1, 1e4])).to(kind)
    fill = rng.choice([None, None, float("nan"), float("inf")])
    if fill is not None and logits.is_floating_point() and logits.numel():
        logits.view(-1)[0] = fill
    if rng.random() < 0.3:
        logits = logits.t().contiguous().t()
    target = torch.randint(-1 if rng.random() < 0.2 else 0, max(1, c), (n if rng.random() < 0.8 else n + 1,))
    target = target.to(rng.choice([torch.int64, torch.int64, torch.int32, torch.float32]))
    loss = OSAKDLoss(c, k=rng.choice([1, 2, 9]))(logits, target)
    if fill is None and not bool(torch.isfinite(loss)):
        raise RuntimeError(f"a loss of {loss} for {list(logits.shape)} {kind}")
    if fill is not None and logits.is_floating_point() and logits.numel() and bool(torch.isfinite(loss)):
        raise RuntimeError(f"a finite loss for logits with {fill}")
