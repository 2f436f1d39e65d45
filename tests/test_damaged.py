"""Damaged files: each is refused in one line that names it, and whatever else a file holds is read or refused so too.

A new kind of damage is a row of ``RUN_FILES``, ``TRAINED_FILES`` or ``SOURCES``: the file, what happens to it, and what
the line must say.
"""

import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

import osakd
from osakd import InputError, RunError
from osakd.data.cache import cached
from osakd.data.encoded import EncodedSplit
from osakd.data.sources import load_data
from osakd.records import CHECKPOINT, CONFIG, METRICS, RESULT, STUDENT, read_config, read_metrics, read_result, read_run
from tests.data.made import encode, made_images, write_image_folder, write_parquet, write_parquet_folder
from tests.report.made import make_run
from tests.strategies import KINDS, answer_of

Damage = Callable[[Path], object]


def cut(end: int | None) -> Damage:
    """The file ends there."""
    return lambda path: path.write_bytes(path.read_bytes()[:end])


def holds(content: str | bytes) -> Damage:
    """The file holds something else."""
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def flipped(place: int) -> Damage:
    """A bit of a byte is another."""

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)

    return damage


def replaced(text: str, by: str) -> Damage:
    """A text in the file is another."""

    def damage(path: Path) -> None:
        assert text in path.read_text()
        path.write_text(path.read_text().replace(text, by))

    return damage


def without(*keys: str) -> Damage:
    """A value of a JSON file is missing, and was when it was written."""

    def damage(path: Path) -> None:
        values = json.loads(path.read_text())
        del values["crc32"]
        inner = values
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]
        path.write_text(json.dumps(values))

    return damage


def first_line(path: Path) -> None:
    path.write_text(path.read_text().partition("\n")[0] + "\n")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


NESTED = "[" * 100_000
RUN_FILES: list[tuple[str, Damage, str]] = [
    (CONFIG, cut(1), "is damaged"),
    (CONFIG, holds(NESTED), "is damaged"),
    (CONFIG, holds('{"colour": 1}'), "another version"),
    (CONFIG, without("seed"), "another version"),
    (CONFIG, without("data", "content"), r"no data\.content"),
    (CONFIG, replaced("0.001", "0.002"), "checksum"),
    (METRICS, Path.unlink, "before the first epoch, its run at"),
    (METRICS, holds(""), "before the first epoch, its run at"),
    (METRICS, first_line, "at epoch 1, its run at epoch 2"),
    (METRICS, holds("[]\n"), "is damaged"),
    (METRICS, holds("[3]\n"), "is damaged"),
    (METRICS, holds("{}{\n"), "is damaged"),
    (METRICS, holds(NESTED + "\n"), "is damaged"),
    (METRICS, holds('{"epoch": "x", "train": 1}\n'), "is damaged"),
    (METRICS, holds('{"epoch": true, "train": 1}\n'), "is damaged"),
    (METRICS, replaced("0.6", "0.7"), "checksum"),
    (METRICS, folder, "Is a directory"),
    (RESULT, without("last", "test"), r"no last\.test"),
    (RESULT, without("best_on_test", "accuracy"), r"no best_on_test\.accuracy"),
    (RESULT, replaced('"last": {', '"last": 3, "before": {'), "is damaged"),
    (RESULT, replaced("0.6", "0.7"), "checksum"),
]
"""A file of a run that has finished, what happens to it, and how it is refused."""


@pytest.mark.parametrize(("name", "damage", "words"), RUN_FILES)
def test_a_damaged_file_of_a_run_is_named(name: str, damage: Damage, words: str, tmp_path: Path) -> None:
    run = make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    damage(run / name)
    text = read_run(run).damage
    assert text is not None
    assert name in text
    with pytest.raises(RunError, match=words):
        raise RunError(text)
    readers: dict[str, Callable[[Path], Any]] = {CONFIG: read_config, METRICS: read_metrics, RESULT: read_result}
    with pytest.raises((InputError, RunError), match=words):
        readers[name](run)


def test_records_without_checksums_are_read(tmp_path: Path) -> None:
    """Earlier versions wrote none."""
    run = make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    expected = read_run(run)
    for name in (CONFIG, METRICS, RESULT):
        lines = (run / name).read_text().splitlines() if name == METRICS else [(run / name).read_text()]
        values = [{key: value for key, value in json.loads(line).items() if key != "crc32"} for line in lines]
        (run / name).write_text("".join(json.dumps(value) + "\n" for value in values))
    assert read_run(run) == expected


TRAINED_FILES: list[tuple[str, Damage, str]] = [
    (CHECKPOINT, cut(-500), "delete it"),
    (CHECKPOINT, holds(b""), "delete it"),
    (STUDENT, holds(b"nothing"), "is damaged"),
    (STUDENT, flipped(-9), "checksum"),
    (STUDENT, flipped(9), "is damaged"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return osakd.train("digits", epochs=1, fraction=0.1, out=tmp_path_factory.mktemp("trained") / "run").folder


@pytest.mark.parametrize(("name", "damage", "words"), TRAINED_FILES)
def test_a_damaged_file_of_a_network_is_named(name: str, damage: Damage, words: str, trained: Path) -> None:
    def read() -> object:
        if name == STUDENT:
            return osakd.load(trained)
        return osakd.train("digits", epochs=2, fraction=0.1, out=trained, resume=True)

    content = (trained / name).read_bytes()
    damage(trained / name)
    try:
        with pytest.raises(RunError, match=rf"{name}.*{words}"):
            read()
    finally:
        (trained / name).write_bytes(content)


PNG, PARQUET = "train/cat/3.png", "data/train-00000-of-00001.parquet"


def other_rows(*images: bytes, labels: list[Any], **columns: str) -> Damage:
    return lambda path: write_parquet(path, list(images), labels, **columns)  # type: ignore[arg-type]


def names_not_utf8(path: Path) -> None:
    pq.write_table(pa.table({"image": [b"x"], "label": [0], "text": ["name"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"label", b"labe\xff"))


def bomb(path: Path) -> None:
    """A small file that says that it holds an image of 20,000 x 20,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


SOUND = encode(made_images(1, 0)[0])
SOURCES: list[tuple[str, Damage, str]] = [
    (PNG, cut(40), "cannot be decoded as an image"),
    (PNG, holds(b""), "cannot be decoded"),
    (PNG, holds("<html>404</html>"), "cannot be decoded"),
    (PNG, bomb, "more than 178,956,970 pixels"),
    (PNG, holds(encode(np.zeros((8, 8), np.uint16))), "more than 8 bits"),
    (PNG, holds(encode(made_images(1, 0, (9, 8, 3))[0])), "9x8.*--resize"),
    (PARQUET, cut(-200), "cannot be read"),
    (PARQUET, names_not_utf8, "cannot be read"),
    (PARQUET, other_rows(SOUND, SOUND, b"no image", labels=[0, 1, 2]), "row 2 cannot be decoded"),
    (PARQUET, other_rows(SOUND, b"", SOUND, labels=[0, 1, 2]), "row 1 holds no image"),
    (PARQUET, other_rows(SOUND, SOUND, labels=[0, -1]), "row 1 .*'label'"),
    (PARQUET, other_rows(SOUND, labels=[None]), "without a class"),
    (PARQUET, other_rows(labels=[]), "empty split"),
    (PARQUET, other_rows(SOUND, labels=[0], image_column="a", label_column="b"), "no column.*'?label"),
]
"""A file of a source of images, what happens to it, and how it is refused."""


@pytest.mark.parametrize(("name", "damage", "words"), SOURCES)
def test_a_damaged_source_is_named(name: str, damage: Damage, words: str, tmp_path: Path) -> None:
    (write_image_folder if name == PNG else write_parquet_folder)(tmp_path)
    damage(tmp_path / name)
    with pytest.raises(InputError, match=words) as refused:
        load_data(str(tmp_path))
    assert Path(name).name in str(refused.value) or "split" in words or "class" in words


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("images.npy", Path.unlink),
        ("images.npy", cut(300)),
        ("images.npy", flipped(-1)),
        ("changes.json", holds("[]")),
        ("changes.json", replaced('"rotated": 0', '"rotated": 1')),
    ],
)
def test_a_damaged_cache_is_made_again(
    name: str, damage: Damage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSAKD_CACHE", str(tmp_path))
    stream = io.BytesIO()
    Image.fromarray(made_images(1, 0)[0]).save(stream, "PNG")
    split = EncodedSplit([stream.getvalue()], [0], ["x"])
    expected = cached(split, None)
    values = expected.images.tolist(), expected.rotated, expected.composited
    (path,) = tmp_path.glob(f"*/{name}")
    damage(path)
    again = cached(split, None)
    assert (again.images.tolist(), again.rotated, again.composited) == values


@pytest.mark.filterwarnings("ignore")  # Pillow's, about damaged tags
@pytest.mark.parametrize(
    # Without run-time shape checks, wrong types of tensors reach our own messages.
    "kind",
    [pytest.param(kind, marks=pytest.mark.unchecked) if "loss" in kind else kind for kind in KINDS],
)
def test_any_input_is_read_or_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    inputs, read = KINDS[kind](tmp_path)

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def each(content: object) -> None:
        answer_of(lambda: read(content))

    each()
