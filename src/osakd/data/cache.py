"""Images are decoded once: the arrays of a split are kept under a key of its content and mapped into memory.

The cache is ``paths.cache_folder``; it may be deleted at any time.
"""

import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np

from osakd.data.arrays import content_hash
from osakd.data.decode import RULES, Decoded, decode
from osakd.data.encoded import EncodedSplit
from osakd.errors import RunError
from osakd.paths import cache_folder

_LAYOUT = "4"  # raise it when the files of the cache change
_IMAGES, _CHANGES = "images.npy", "changes.json"


def cached(split: EncodedSplit, resize: tuple[int, int] | None) -> Decoded:
    """The decoded images of a split, from the cache if they are there; a RunError if it cannot be written."""
    size = "" if resize is None else f"-{resize[0]}x{resize[1]}"
    folder = cache_folder() / f"{sha256(b''.join(split.keys)).hexdigest()[:16]}{size}-{RULES}.{_LAYOUT}"
    mapped = _read(folder, len(split.images))
    if mapped is None:
        logging.getLogger("osakd").info("Decoding %s images", f"{len(split.images):,}")
        decoded = decode(split, resize)
        write_folder(folder, lambda beside: _write(beside, decoded))
        mapped = _read(folder, len(split.images))
    if mapped is None:
        raise RunError(f"The cache {str(folder)!r} cannot be read back: delete it, or name another in OSAKD_CACHE.")
    return mapped


def write_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """A complete folder of the cache appears at once, in place of what is there; a RunError if it cannot be written."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder.parent))
        try:
            write(beside)
            beside.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)  # what is there could not be read
            beside.rename(folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        if folder.is_dir():  # another process was first
            return
        raise RunError(
            f"The images cannot be kept in {str(folder.parent)!r} ({error.strerror}): free space there, or name "
            "another folder in the environment variable OSAKD_CACHE."
        ) from error


def _read(folder: Path, count: int) -> Decoded | None:
    """The arrays mapped into memory; None where they are missing or damaged."""
    try:
        changes = json.loads((folder / _CHANGES).read_text(encoding="utf-8"))
        decoded = Decoded(np.load(folder / _IMAGES, mmap_mode="c"), changes["rotated"], changes["composited"])
        is_sound = len(decoded.images) == count and changes["content"] == _content(folder, decoded)
    except Exception:  # damaged files raise many kinds
        return None
    return decoded if is_sound else None


def _write(folder: Path, decoded: Decoded) -> None:
    np.save(folder / _IMAGES, decoded.images)
    changes = {"rotated": decoded.rotated, "composited": decoded.composited, "content": _content(folder, decoded)}
    (folder / _CHANGES).write_text(json.dumps(changes), encoding="utf-8")


def _content(folder: Path, decoded: Decoded) -> str:
    """The content hash of the file of images, and of how decoding changed them."""
    file = np.memmap(folder / _IMAGES, mode="r").data
    return content_hash(([file], np.array([decoded.rotated, decoded.composited])))
