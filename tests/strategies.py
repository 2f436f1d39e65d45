"""Strategies of Hypothesis for input that is damaged or odd, each with what reads it; tests and ``chaos`` use them.

Whatever a strategy gives, reading it must give a value, or an error of ours in one line: see ``answer_of``.
"""

import copy
import io
import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from hypothesis import strategies as st
from PIL import Image

import osakd
from osakd import records
from osakd.api.reports import read_panels
from osakd.cli.main import main
from osakd.data.decode import decode
from osakd.data.encoded import EncodedSplit
from osakd.data.options import ImageOptions
from osakd.data.parquet import read_parquet
from osakd.data.sources import load_data
from osakd.errors import InputError, RunError
from osakd.leaves import load, offered
from osakd.losses import OSAKDLoss
from osakd.report.page.page import page
from osakd.runs import pack_runs, read_runs
from tests.data.made import encode, made_images, write_class_folder
from tests.report.made import make_run

READ, REFUSED = "read", "refused in a sentence"
Content = st.SearchStrategy[bytes]
_VALUES = [None, [], {}, "x", "\u202e\x1b[2J", -1, 0, 2**70, 1e999, float("nan"), True, [{}]]
_PIECES = ["{", "}", "[", "]", ":", ",", '"', "null", "1e999", "NaN", "\\u0000", "epoch", "\n", "-", "9" * 30, "\ufeff"]


def answer_of(read: Callable[[], object]) -> str:
    """How input is answered: it is read, or refused in one line; any other error comes through."""
    try:
        read()
    except (InputError, RunError) as error:
        if not str(error) or len(str(error).splitlines()) > 1:
            raise AssertionError(f"{error!r} is not one line") from error
        return REFUSED
    return READ


def damaged(content: bytes) -> Content:
    """A file's content cut short, with other bytes, followed by itself, or other content."""

    def changed(bytes_by_place: list[tuple[int, int]]) -> bytes:
        array = bytearray(content)
        for place, byte in bytes_by_place:
            array[place] = byte
        return bytes(array)

    cut = st.integers(0, len(content)).map(lambda end: content[:end])
    places = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    other = st.lists(places, min_size=1, max_size=20).map(changed)
    return st.one_of(cut, other, other.map(lambda start: start + content), st.binary(max_size=200))


def damaged_json(text: bytes) -> Content:
    """A JSON record, or JSON lines: damaged, with a value of another kind or without it, or with lines in disorder."""
    values = _values_of(text)
    places = [(line, *path) for line, value in enumerate(values) for path in _paths(value)]

    def other(place: tuple[Any, ...], value: object, *, gone: bool) -> bytes:
        changed: Any = _values_of(text)
        inner = changed
        for key in place[:-1]:
            inner = inner[key]
        if gone:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value
        return _as_lines(changed)

    lines = st.lists(st.sampled_from(values), max_size=len(values) + 2).map(_as_lines)
    pieces = st.lists(st.sampled_from(_PIECES), max_size=30).map(lambda some: "".join(some).encode())
    others = st.builds(other, st.sampled_from(places), st.sampled_from(_VALUES), gone=st.booleans())
    return st.one_of(damaged(text), others, lines, pieces)


def _values_of(text: bytes) -> list[Any]:
    """The values of JSON or of JSON lines, without their checksums: a change that their writer made."""
    try:
        values = [json.loads(text)]
    except ValueError:
        values = [json.loads(line) for line in text.splitlines()]
    return [{key: inner for key, inner in value.items() if key != "crc32"} for value in values]


def _as_lines(values: list[Any]) -> bytes:
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def _paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside of a value."""
    if not isinstance(value, dict | list):
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value[:2]):
        yield (key,)
        for path in _paths(inner):
            yield (key, *path)


def images() -> Content:
    """Small images of many modes and formats, sound or damaged."""
    encoded = []
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"):
        for size in ((1, 1, 3), (5, 7, 3)):
            (array,) = made_images(1, 0, size)
            image = Image.fromarray(array).convert("L" if mode == "I;16" else mode)
            image = image.convert("I;16") if mode == "I;16" else image
            for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "JPEG2000"):
                stream = io.BytesIO()
                try:
                    image.save(stream, kind)
                except (OSError, ValueError, KeyError):
                    continue
                encoded.append(stream.getvalue())
    sound = st.sampled_from(encoded)
    return st.one_of(sound, sound.flatmap(damaged), sound.flatmap(damaged))


def image_folders() -> st.SearchStrategy[dict[str, bytes]]:
    """The files of folders by name, in layouts that are right or nearly so."""
    folders = st.sampled_from(
        ["train/cat", "train/dog", "test/cat", "test/dog", "val/cat", "cat", "test/\u202e a\xfc", "."]
    )
    names = st.sampled_from(["0.png", "1.png", "x.jpg", "x.gif", ".hidden.png", "notes.txt", "train.parquet"])
    sound = st.just(encode(made_images(1, 0)[0]))
    odd = st.dictionaries(st.builds("{}/{}".format, folders, names), sound | images(), max_size=6)
    whole = {f"{split}/{name}/sound.png": encode(made_images(1, 0)[0]) for split in ("train", "test") for name in "ab"}
    return st.one_of(odd, odd.map(lambda files: whole | files))


def parquet_files() -> Content:
    """Parquet files that are damaged, or whose columns are of odd types and names."""
    columns = st.sampled_from(
        [
            [b"x", b"y"],
            [0, 1],
            [-1, None],
            ["a", None],
            [1.5, float("nan")],
            [True, False],
            [[1], []],
            [{"bytes": b"x"}] * 2,
        ]
    )
    names = st.sampled_from(["image", "img", "label", "labels", "text", "", "\u202e"])

    def written(table: dict[str, Any]) -> bytes:
        stream = io.BytesIO()
        pq.write_table(pa.table(table), stream)
        return stream.getvalue()

    sound = written({"image": [b"x", b"y"], "label": [0, 1], "text": ["a", None]})
    return st.one_of(damaged(sound), st.dictionaries(names, columns, min_size=1, max_size=4).map(written))


class Command(NamedTuple):
    """The words of a command, and its file of options."""

    words: list[str]
    config: bytes | None


def commands() -> st.SearchStrategy[Command]:
    """Command lines that must be refused, since they end with an option that does not exist."""
    words = shlex.split("train compare evaluate report status cost list --data --method osakd --epochs -1 nan { [1 --")
    words += ["--method.k", "--config", "\x00", "--out", "\u202e", "1e999", "!!python/name:os"]
    files = st.none() | damaged(b"epochs: 2\nmethod: {name: osakd, k: 4}\nmodel: lenet\n")
    return st.builds(Command, st.lists(st.sampled_from(words), max_size=6), files)


@st.composite
def loss_inputs(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor, int, int]:
    """Logits and classes of odd shapes, types and values; a number of classes, and of neighbours."""
    n, c = draw(st.sampled_from([0, 1, 2, 5])), draw(st.sampled_from([0, 1, 2, 7]))
    kinds = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64]
    logits = (torch.arange(n * c).reshape(n, c) % 3 * draw(st.sampled_from([1, 1e4]))).to(draw(st.sampled_from(kinds)))
    value = draw(st.sampled_from([None, None, float("nan"), float("inf")]))
    if value is not None and logits.is_floating_point() and logits.numel():
        logits.view(-1)[0] = value
    logits = logits.t().contiguous().t() if draw(st.booleans()) else logits
    least, most = draw(st.sampled_from([(0, 0), (0, 0), (-1, 0), (0, 1)]))
    classes = draw(st.lists(st.integers(least, max(0, c - 1) + most), min_size=n, max_size=n + draw(st.integers(0, 1))))
    target = torch.tensor(classes).to(draw(st.sampled_from([torch.int64, torch.int32, torch.float32])))
    return logits, target, c, draw(st.sampled_from([1, 2, 9]))


class Kind(NamedTuple):
    """A kind of input: what it may be, and what reads it."""

    inputs: st.SearchStrategy[Any]
    read: Callable[[Any], object]


def _run_file(name: str, place: Path) -> Kind:
    run = make_run(place / "plain-seed0", [0.5, 0.6])
    content = (run / name).read_bytes()

    def read(text: bytes) -> None:
        (run / name).write_bytes(text)
        (found,) = read_runs(run)
        if found.damaged:
            raise RunError(str(found.error))
        records.read_config(run)
        records.read_metrics(run)
        page("x", read_panels(run))

    return Kind(damaged_json(content), read)


def _checkpoints(place: Path) -> Kind:
    """Checkpoints of which one value is another; the run goes on from them for an epoch."""
    options: dict[str, Any] = {"method": {"name": "osakd", "pool": "queue"}, "fraction": 0.1, "out": place / "run"}
    osakd.train("digits", epochs=1, **options)
    files = {path: path.read_bytes() for path in (place / "run").iterdir()}
    state = torch.load(place / "run" / records.CHECKPOINT, weights_only=True)
    tensors = [torch.zeros(()), torch.full((1,), -1), torch.zeros(1).expand(9), torch.eye(2).to_sparse()]
    values = st.sampled_from([*_VALUES, *tensors, torch.zeros(99, 99), torch.zeros(1, dtype=torch.float16)])

    def read(change: tuple[tuple[Any, ...], Any]) -> None:
        path, value = change
        changed = inner = copy.deepcopy(state)
        for key in path[:-1]:
            inner = inner[key]
        before = inner[path[-1]]
        of_its_shape = isinstance(before, torch.Tensor) and isinstance(value, int | float) and value != 2**70
        inner[path[-1]] = before.double().fill_(value).to(before.dtype) if of_its_shape else value
        for file, content in files.items():
            file.write_bytes(content)
        torch.save(changed, place / "run" / records.CHECKPOINT)
        osakd.train("digits", epochs=2, resume=True, **options)

    return Kind(st.tuples(st.sampled_from(list(_paths(state))), values), read)


def _parquet(place: Path) -> Kind:
    def read(content: bytes) -> None:
        (place / "made.parquet").write_bytes(content)
        read_parquet([place / "made.parquet"], ImageOptions())

    return Kind(parquet_files(), read)


def _folders(place: Path) -> Kind:
    numbers = iter(range(10**9))

    def read(files: dict[str, bytes]) -> None:
        load_data(str(write_class_folder(place / str(next(numbers)), files)))

    return Kind(image_folders(), read)


def _metadata(place: Path) -> Kind:
    names = {"model": "lenet", "method": "osakd", "data": "digits", "data_kind": "named", "data_content": "0"}
    numbers = {"parameters": 1, "macs": 1, "test_images": 1, "accuracy": 0.5, "mean": [0.5], "std": [0.5]}
    of_file = {"class_names": ("a", "b"), "input_shape": (1, 8, 8), "input": "float", "int8": False}
    metadata = load("osakd.deploy.metadata:Metadata")
    sound = metadata(**names, **numbers, **of_file, commit=None, license=None, osakd="0").to_json()
    text = damaged_json(sound.encode()).map(lambda content: content.decode(errors="replace"))
    return Kind(text, lambda content: metadata.from_json(content, "x.onnx"))


def _packed(place: Path) -> Kind:
    runs = [make_run(place / f"runs/plain-seed{seed}", [0.5, 0.6]) for seed in (0, 1)]
    path = place / "packed.jsonl"
    pack_runs(path, [run for folder in runs for run in read_runs(folder)])

    def read(content: bytes) -> None:
        path.write_bytes(content)
        damages = [run.error for run in read_runs(path) if run.damaged]
        if damages:
            raise RunError(damages[0])

    return Kind(damaged_json(path.read_bytes()), read)


def _commands(place: Path) -> Kind:
    path = place / "options.yaml"

    def read(command: Command) -> None:
        words = [*command.words, "--no-such-option"]  # nothing is trained
        if command.config is not None:
            path.write_bytes(command.config)
            words = [*command.words, "--config", str(path), "--no-such-option"]
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            status = main(words)
        if status == 1:
            raise AssertionError(f"{words}: {printed.getvalue()}")
        if status == 2:
            raise InputError("refused")

    return Kind(commands(), read)


def _loss_of(given: tuple[torch.Tensor, torch.Tensor, int, int]) -> None:
    """A loss is finite where the logits are, and only there."""
    logits, target, classes, k = given
    loss = OSAKDLoss(classes, k=k)(logits, target)
    if bool(torch.isfinite(loss)) != bool(torch.isfinite(logits).all()):
        raise AssertionError(f"a loss of {loss} for {logits}")


KINDS: dict[str, Callable[[Path], Kind]] = {
    "images": lambda place: Kind(images(), lambda content: decode(EncodedSplit([content], [0], ["x"]), (4, 4))),
    "folders of images": _folders,
    "Parquet files": _parquet,
    **{name: partial(_run_file, name) for name in (records.CONFIG, records.METRICS, records.RESULT)},
    "checkpoints": _checkpoints,
    "packed runs": _packed,
    **({"metadata of exported files": _metadata} if "exported" in offered("loaders") else {}),
    "command lines and YAML": _commands,
    "tensors into the loss": lambda place: Kind(loss_inputs(), _loss_of),
}
"""Every kind of input; each is given a folder to work in."""
