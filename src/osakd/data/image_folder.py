"""Folders of images, one folder for each class: ``CLASS/NAME.png``, with folders below that count to the class."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from osakd.data.classes import clean_name
from osakd.data.encoded import EncodedSplit
from osakd.data.layout import visible, visible_files
from osakd.errors import InputError

_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}  # formats that Pillow knows, but does not draw itself
_PLUGINS = {".heic": "pillow-heif", ".heif": "pillow-heif", ".hif": "pillow-heif", ".jxl": "pillow-jxl-plugin"} | {
    ".avif": "pillow-avif-plugin"
}


def read_image_folder(folder: Path, notes: list[str], *, needed: bool) -> EncodedSplit:
    """The images of a split.

    Args:
        folder: folder of class folders.
        notes: what was skipped is added here.
        needed: every class folder must hold images.

    Raises:
        InputError: an image outside of a class folder, a class or a split without images, or a format that cannot be
            read here.
    """
    skipped: Counter[str] = Counter()
    images: list[Path] = []
    labels: list[str] = []
    for home in visible(folder):
        if home.is_dir():
            paths = _images(visible_files(home), skipped)
            if not paths and needed:
                raise InputError(f"The class folder {str(home)!r} holds no images: remove it, or put images there.")
            images += paths
            labels += [clean_name(home.name)] * len(paths)
        elif _images([home], skipped):
            raise InputError(f"{str(home)!r} lies in no class folder: move it into {folder}/CLASS/.")
    if not images:
        raise InputError(f"The folder {str(folder)!r} holds no images: it needs CLASS/NAME.png files.")
    if skipped:
        counts = ", ".join(f"{count} {ending}" for ending, count in sorted(skipped.items()))
        notes.append(f"Skipped in {folder.name}/, since they are no images: {counts}.")
    return EncodedSplit([_read(path) for path in images], list(labels), [str(path) for path in images])


def holds_images(folder: Path) -> bool:
    """Whether there is an image anywhere in a folder."""
    return any(path.suffix.lower() in image_endings() | _PLUGINS.keys() for path in visible_files(folder))


@lru_cache(maxsize=1)
def image_endings() -> frozenset[str]:
    """Endings of the formats that Pillow reads here, in lower case."""
    from PIL import Image

    formats: Mapping[str, str] = Image.registered_extensions()
    readable = {*Image.OPEN, "MPO"} - _NO_PICTURES  # JPEG's decoder opens MPO
    return frozenset(ending for ending, name in formats.items() if name in readable)


def _images(paths: list[Path], skipped: Counter[str]) -> list[Path]:
    """The images among files; the others are counted by their ending."""
    _load_plugins(paths)
    images = []
    for path in paths:
        ending = path.suffix.lower()
        if not path.is_file():
            skipped["broken link"] += 1
        elif ending in image_endings():
            images.append(path)
        elif ending in _PLUGINS:
            raise InputError(
                f"{str(path)!r} is a {ending} image, which cannot be read here: convert it to JPEG or PNG, or pip "
                f"install {_PLUGINS[ending]}."
            )
        else:
            skipped[ending or "without an ending"] += 1
    return images


def _load_plugins(paths: list[Path]) -> None:
    """Pillow's plugins for the formats that are here and that it does not read itself, where they are installed."""
    missing = {path.suffix.lower() for path in paths} & _PLUGINS.keys() - image_endings()
    for ending in missing:
        try:
            if _PLUGINS[ending] == "pillow-heif":
                import_module("pillow_heif").register_heif_opener()
            else:
                import_module(_PLUGINS[ending].removesuffix("-plugin").replace("-", "_"))
        except ImportError:
            continue
        image_endings.cache_clear()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror}): check it and its permissions.") from error
