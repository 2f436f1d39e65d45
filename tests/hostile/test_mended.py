"""What ``make chaos`` found, each mended once."""

import errno
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from osakd import InputError, RunError
from osakd.cli.main import main
from osakd.durable import make_folder
from osakd.errors import NO_MEMORY, as_sentences
from osakd.paths import given_path
from osakd.runner.pools import LocalPool
from osakd.runner.run import _errors
from osakd.runner.worker import Errors


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
    plan = SimpleNamespace(folder=Path("plain-seed0"))
    (found,) = _errors(future, (plan,)).values()  # type: ignore[arg-type]
    assert str(found) == NO_MEMORY
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
        pool.submit(())
    pool.close()


def test_a_new_folder_reaches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("osakd.durable.sync_folder", synced.append)
    make_folder(tmp_path / "a/b")
    assert sorted(synced) == [tmp_path, tmp_path / "a"]
