"""What ``make chaos`` found, each mended once."""

import errno
import io
import json
import struct
import zlib
from concurrent.futures import Future
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import osakd
from osakd import InputError, RunError
from osakd.cli.main import main
from osakd.data.cache import cached
from osakd.data.decode import decode
from osakd.data.encoded import EncodedSplit
from osakd.data.options import ImageOptions
from osakd.data.parquet import read_parquet
from osakd.durable import make_folder
from osakd.errors import NO_MEMORY, as_sentences
from osakd.paths import given_path
from osakd.records import CONFIG, METRICS, RESULT, STUDENT, read_config, read_metrics, read_result
from osakd.runner.jobs import Errors
from osakd.runner.pools import LocalPool
from osakd.runner.run import _errors
from tests.report.made import make_run


@pytest.mark.parametrize(("name", "read"), [(CONFIG, read_config), (METRICS, read_metrics), (RESULT, read_result)])
def test_another_digit_is_noticed(tmp_path: Path, name: str, read: object) -> None:
    run = make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    (run / name).write_text((run / name).read_text().replace("0.001", "0.002").replace("0.6", "0.7"))
    with pytest.raises(RunError, match=rf"{name}' is damaged \(its checksum does not fit"):
        read(run)  # type: ignore[operator]


def test_records_without_checksums_are_read(tmp_path: Path) -> None:
    run = make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    expected = read_config(run), read_metrics(run), read_result(run)
    for name in (CONFIG, METRICS, RESULT):
        text = (run / name).read_text()
        rows = [json.loads(one) for one in (text.splitlines() if name == METRICS else [text])]
        for row in rows:
            del row["crc32"]
        (run / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert (read_config(run), read_metrics(run), read_result(run)) == expected


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"epoch": "x", "train": 1}\n', '{"epoch": true, "train": 1}\n', "[3]\n"]
)
def test_rows_of_another_kind_are_named(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    (run / METRICS).write_text(text + "\n")
    (run / RESULT).unlink()
    with pytest.raises(RunError, match=r"metrics\.jsonl' is damaged"):
        read_metrics(run)
    (run / CONFIG).write_text("[" * 100_000)
    with pytest.raises(RunError, match=r"config\.json' is damaged"):
        read_config(run)


def test_another_weight_is_noticed(tmp_path: Path) -> None:
    osakd.train("digits", epochs=1, fraction=0.1, out=tmp_path)
    content = bytearray((tmp_path / STUDENT).read_bytes())
    content[-9] ^= 1
    (tmp_path / STUDENT).write_bytes(content)
    with pytest.raises(RunError, match="its checksum does not fit"):
        osakd.load(tmp_path)


@pytest.mark.parametrize("name", ["images.npy", "changes.json"])
def test_another_value_in_the_cache_is_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("OSAKD_CACHE", str(tmp_path))
    stream = io.BytesIO()
    Image.fromarray(np.full((4, 4), 7, dtype=np.uint8)).save(stream, "PNG")
    split = EncodedSplit([stream.getvalue()], [0], ["x"])
    expected, images = cached(split, None), cached(split, None).images.tolist()
    (path,) = tmp_path.glob(f"*/{name}")
    path.write_bytes(path.read_bytes().replace(b"\x07", b"\x08", 1).replace(b'"rotated": 0', b'"rotated": 1'))
    found = cached(split, None)
    assert found.images.tolist() == images
    assert found.rotated == expected.rotated


def test_names_in_parquet_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [b"x"], "label": [0], "text": ["name"]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"label", b"labe\xff"))
    with pytest.raises(InputError, match=r"a\.parquet' cannot be read"):
        read_parquet([path], ImageOptions())


def test_a_decompression_bomb_is_refused() -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    with pytest.raises(InputError, match="bomb cannot be decoded"):
        decode(EncodedSplit([bomb], [0], ["bomb"]), (32, 32))


def test_a_path_with_a_null_character_is_named() -> None:
    with pytest.raises(InputError, match="holds a null character"):
        given_path("a\0b")


def test_what_the_disk_refuses_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot be written \(Input/output error\)"), as_sentences(tmp_path):
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")]
)
def test_missing_memory_is_a_sentence(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    future: Future[Errors] = Future()
    future.set_exception(error)
    job = SimpleNamespace(folder=Path("plain-seed0"))
    (found,) = _errors(future, (job,)).values()  # type: ignore[arg-type]
    assert str(found) == NO_MEMORY
    import_module("osakd.cli.train")  # its options are those of the function that is replaced
    monkeypatch.setattr("osakd.api.train", fails)
    assert main(["train"]) == 1
    assert capsys.readouterr().err == f"osakd: {NO_MEMORY}\n"


@pytest.mark.parametrize("full", ["SimpleQueue", "Lock"])
def test_shared_memory_that_is_full_is_a_sentence(full: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if full == "SimpleQueue":
        monkeypatch.setattr("multiprocessing.context.SpawnContext.SimpleQueue", fails)
        with pytest.raises(RunError, match="/dev/shm, is full: free some"):
            LocalPool(1, 1)
        return
    pool = LocalPool(1, 1)
    monkeypatch.setattr("osakd.runner.pools.ProcessPoolExecutor", fails)
    with pytest.raises(RunError, match="--processes 1, which needs none"):
        pool.submit(lambda _: {}, ())
    pool.close()


def test_a_new_folder_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("osakd.durable.sync_folder", synced.append)
    make_folder(tmp_path / "a/b")
    assert sorted(synced) == [tmp_path, tmp_path / "a"]
