"""Folders of images as people have them, read by a process that may add little memory: refused by name, or read."""

import io
import resource
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from chaos.children import REFUSED, run
from chaos.outcome import Outcome
from osakd.data.sources import load_data

_MIB, _SIDE, _MANY = 400, 20_000, 2_000
"""Memory that a folder may take, the side of an image that would take 1,200, and the number of files of a large one."""
_RNG = np.random.default_rng(0)
Files = dict[str, bytes]


def _encoded(kind: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(_RNG.integers(0, 255, (*size[::-1], 3), dtype=np.uint8))
    image.convert(mode).save(stream, kind)
    return stream.getvalue()


def _bombs() -> Files:
    """Small files that say that they hold an image of 20,000 x 20,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(50_000_000), 1))
    bitmap = struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, _SIDE, _SIDE, 1, 24, *[0] * 6
    )
    return {
        "png": b"\x89PNG\r\n\x1a\n" + head + rows + chunk(b"IEND", b""),
        "gif": b"GIF89a" + struct.pack("<HH", _SIDE, _SIDE) + b"\xf0\0\0" + bytes(6) + b",\0\0\0\0"
        + struct.pack("<HH", _SIDE, _SIDE) + b"\0\x02\x02\x4c\x01\0;",
        "bmp": bitmap + bytes(1000),
        "ppm": f"P6 {_SIDE} {_SIDE} 255\n".encode() + bytes(1000),
    }  # fmt: skip


def _odd() -> dict[str, tuple[Files, bool]]:
    """Files that one class holds beside sound ones, and whether they are read."""
    frames = [Image.new("P", (8, 8), number) for number in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    deep = io.BytesIO()
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(deep, "PNG")
    return {
        **{f"20,000 x 20,000 pixels, {ending}": ({f"x.{ending}": one}, False) for ending, one in _bombs().items()},
        "16 bits": ({"x.png": deep.getvalue()}, False),
        "CMYK": ({"x.jpg": _encoded("JPEG", "CMYK")}, True),
        "palette": ({"x.png": _encoded("PNG", "P")}, True),
        "animated": ({"x.gif": stream.getvalue()}, True),
        "wrong ending": ({"x.jpg": _encoded("PNG")}, True),
        "zero bytes": ({"x.png": b""}, False),
        "text": ({"x.png": b"<html>404</html>"}, False),
        "cut short": ({"x.png": _encoded(size=(64, 64))[:200]}, False),
        "1 x 1 among others": ({"x.png": _encoded(size=(1, 1))}, False),
        "many tiny files": ({f"{number}.png": _encoded() for number in range(_MANY)}, True),
    }


def folders(place: Path) -> Outcome:
    """Loads a folder for each oddity; it must be refused with the name of the file, or give an image more each."""
    outcome = Outcome("folders with odd images")
    for number, (what, (files, read)) in enumerate(_odd().items()):
        folder = place / str(number)
        for split in ("train", "test"):
            for label in ("cat", "dog"):
                (folder / split / label).mkdir(parents=True)
                (folder / split / label / "sound.png").write_bytes(_encoded())
        for name, content in files.items():
            (folder / "train/cat" / name).write_bytes(content)
        _loaded(outcome, place, what, folder, len(files) + 2 if read else None, next(iter(files)))
    for what, gone in (("a class without test images", "test/dog"), ("a test class without images", "train/dog")):
        folder = place / gone.replace("/", "-")
        for one in ("train/cat", "train/dog", "train/bird", "test/cat", "test/dog"):
            (folder / one).mkdir(parents=True)
            if one != gone:
                (folder / one / "x.png").write_bytes(_encoded())
        _loaded(outcome, place, what, folder, 3 if gone.startswith("test") else None, "dog")
    return outcome


def _loaded(outcome: Outcome, place: Path, what: str, folder: Path, count: int | None, name: str) -> None:
    def work() -> int:
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _MIB * 2**20, resource.RLIM_INFINITY))
        return 0 if len(load_data(str(folder)).train.images) == count else 1

    status, text = run(work, place / "log")
    right = status == (0 if count else REFUSED) and (count is not None or name in text)
    answer = "read" if count else "refused by name"
    outcome.add(answer if right else "wrong", wrong="" if right else f"{what}: exit {status} {text[-300:]}")
