"""Local folders: Parquet files or folders of images, ``CLASS/NAME.png``, in splits or without any."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path

from osakd.data.classes import clean_name
from osakd.data.decode import FORMATS
from osakd.data.encoded import EncodedSplit, OnDemand, Source, read_file
from osakd.data.layout import files_by_split, folders_by_split, split_named, visible, visible_files
from osakd.data.options import ImageOptions
from osakd.data.parquet import read_parquet
from osakd.errors import InputError

_EXPECTED = (
    "it needs train/CLASS/NAME.png and test/CLASS/NAME.png, CLASS/NAME.png with --test-fraction 0.2, or Parquet files "
    "called train-... and test-..."
)
_PLUGINS = {".heic": "pillow-heif", ".heif": "pillow-heif", ".hif": "pillow-heif", ".jxl": "pillow-jxl-plugin"} | {
    ".avif": "pillow-avif-plugin"
}


def folder_source(folder: Path, options: ImageOptions) -> Source:
    """The splits of a local folder, in this order: Parquet files of splits, folders of splits, files, class folders.

    Raises:
        InputError: nothing that can be read, or several data sets.
    """
    tables = [path for path in visible_files(folder) if path.suffix.lower() == ".parquet"]
    by_split = files_by_split(tables, folder)
    if by_split:
        return _parquet_source(folder, by_split, tables, options)
    homes = folders_by_split(folder)
    if homes:
        return _image_source(folder, homes, options)
    if tables:
        return _parquet_source(folder, {"whole": tables}, tables, options)
    return _class_folders(folder, options)


def _parquet_source(
    folder: Path, by_split: dict[str, list[Path]], tables: Sequence[Path], options: ImageOptions
) -> Source:
    homes = {kind: sorted({_home(path) for path in paths}) for kind, paths in by_split.items()}
    if len(by_split) > 1 and all(len(places) > 1 for places in homes.values()):
        raise InputError(
            f"{str(folder)!r} holds several data sets: give one of "
            f"{', '.join(repr(str(home)) for home in next(iter(homes.values())))}."
        )
    source = Source(
        folder.resolve().name,
        {kind: partial(read_parquet, paths, options) for kind, paths in by_split.items()},
        {kind: paths[0].relative_to(folder).as_posix() for kind, paths in by_split.items()},
        "add Parquet files of that split, called train-00000-of-00001.parquet and test-00000-of-00001.parquet",
    )
    used = {path for paths in by_split.values() for path in paths}
    left = [path.relative_to(folder).as_posix() for path in tables if path not in used]
    pictures = [f"{path.name}/" for path in visible(folder) if path.is_dir() and holds_images(path)]
    if pictures:
        source.notes.append(
            f"The data {source.data!r} has images beside its Parquet files, which are not used: {', '.join(pictures)}."
        )
    if left:
        source.notes.append(
            f"The data {source.data!r} has Parquet files of no split, which are not used: {', '.join(left)}."
        )
    return source


def _home(path: Path) -> Path:
    """The folder of a file's data set; folders such as ``label=cat`` are parts of one table."""
    return next(folder for folder in path.parents if "=" not in folder.name)


def _image_source(folder: Path, homes: dict[str, Path], options: ImageOptions) -> Source:
    _refuse_columns(folder, options)
    notes: list[str] = []
    left = [path for path in visible(folder) if path.is_dir() and path not in homes.values() and holds_images(path)]
    if left:
        names = ", ".join(f"{path.name}/" for path in left)
        notes.append(f"The data {folder.resolve().name!r} has folders of no split, which are not used: {names}.")
    return Source(
        folder.resolve().name,
        {
            kind: partial(read_image_folder, home, notes, needed=kind == "train")  # tests may lack a class
            for kind, home in homes.items()
        },
        {kind: f"{home.name}/" for kind, home in homes.items()},
        "add the folder of that split, train/CLASS/NAME.png or test/CLASS/NAME.png",
        notes,
    )


def _class_folders(folder: Path, options: ImageOptions) -> Source:
    """Class folders that are in no split."""
    inside = visible(folder)
    homes = [path for path in inside if path.is_dir() and holds_images(path)]
    if not homes:
        names = [f"{path.name}/" if path.is_dir() else path.name for path in inside]
        holds = f"holds {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else "is empty"
        raise InputError(f"The folder {str(folder)!r} {holds}: {_EXPECTED}.")
    if len(homes) == 1 and any(path.is_dir() for path in visible(homes[0])):
        raise InputError(f"The folder {str(folder)!r} holds only the folder {homes[0].name}/: give that one.")
    if all(split_named(path.name) for path in homes):
        names = " and ".join(f"{path.name}/" for path in homes)
        raise InputError(
            f"In {str(folder)!r}, the images of {names} lie in no class folder: move them into {homes[0].name}/CLASS/."
        )
    _refuse_columns(folder, options)
    notes: list[str] = []
    return Source(
        folder.resolve().name,
        {"whole": partial(read_image_folder, folder, notes, needed=True)},
        {"whole": "class folders without a split"},
        "name the share of a fixed, stratified test split with --test-fraction 0.2",
        notes,
    )


def _refuse_columns(folder: Path, options: ImageOptions) -> None:
    if options.label_column or options.image_column:
        option = "label_column" if options.label_column else "image_column"
        raise InputError(
            f"`{option}` is for Parquet files, but {str(folder)!r} holds folders of images, which name the classes: "
            f"leave `{option}` out."
        )


def read_image_folder(folder: Path, notes: list[str], *, needed: bool) -> EncodedSplit:
    """The images of a split; what was skipped is noted. If ``needed``, every class folder must hold images.

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
        notes.append(f"Skipped in {folder.name}/, since they are not images: {counts}.")
    return EncodedSplit(OnDemand(read_file, images), list(labels), [str(path) for path in images])


def holds_images(folder: Path) -> bool:
    """Whether there is an image anywhere in a folder."""
    return any(path.suffix.lower() in image_endings() | _PLUGINS.keys() for path in visible_files(folder))


@lru_cache(maxsize=1)
def image_endings() -> frozenset[str]:
    """Endings of ``FORMATS`` that Pillow reads here, in lower case."""
    from PIL import Image

    formats: Mapping[str, str] = Image.registered_extensions()
    readable = FORMATS & Image.OPEN.keys() | {"MPO"}  # which JPEG's decoder opens
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
