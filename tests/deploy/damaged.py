"""Exported files that are not what was written."""

from pathlib import Path

import pytest

import osakd


def refuses_other_bits(file: Path, folder: Path, runtime: str) -> None:
    """A weight would be another one, without a word of the runtime: the checksum finds it, wherever the bit is."""
    content = bytearray(file.read_bytes())
    flipped = folder / f"flipped{file.suffix}"
    for place in range(100, len(content), len(content) // 7):
        content[place] ^= 1
        flipped.write_bytes(content)
        with pytest.raises(osakd.InputError, match=rf"cannot be loaded as {runtime}, .*its checksum does not fit"):
            osakd.load(flipped)
        content[place] ^= 1
