"""What is written is on the disk, and so is its entry in the folder: a layer that loses what was not synced agrees."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from osakd.durable import append, write_atomic


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reaches the file system, in order."""
    seen: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        seen.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        fsync(descriptor)

    def renamed(source: Any, target: Any) -> None:
        seen.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    return seen


def test_a_rename_reaches_the_disk(tmp_path: Path, calls: list[str]) -> None:
    write_atomic(tmp_path / "file", b"content")
    assert calls == ["sync file", "rename", "sync folder"]
    assert (tmp_path / "file").read_bytes() == b"content"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_new_file_reaches_the_folder(tmp_path: Path, calls: list[str]) -> None:
    append(tmp_path / "rows.jsonl", {"epoch": 1})
    append(tmp_path / "rows.jsonl", {"epoch": 2})
    assert calls == ["sync file", "sync folder", "sync file"]
    assert (tmp_path / "rows.jsonl").read_text().splitlines() == [
        '{"epoch": 1, "crc32": "fac9bcd2"}',
        '{"epoch": 2, "crc32": "63c0ed68"}',
    ]
