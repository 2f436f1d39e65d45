"""What names of files and folders mean: splits, and what a desktop or an editor leaves among the data."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from osakd.errors import InputError
from osakd.read_json import Seen, is_first

_SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation"),
    "validation": ("valid", "validation", "val", "dev"),
}
_WORDS = {word: kind for kind, words in _SPLITS.items() for word in words}
_LEFT_BY_DESKTOPS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "__pycache__", "@eadir"} | {
    "$recycle.bin",
    "system volume information",
    "lost+found",
}


class NamedSplit(NamedTuple):
    """The kind of split that a name stands for, and how surely: 0 the whole name, 1 its first word, 2 another word."""

    kind: str
    rank: int


def split_named(name: str) -> NamedSplit | None:
    """The split that a name stands for, in upper or lower case, with other words beside it.

    Example:
        >>> split_named("Training"), split_named("val-00000-of-00001"), split_named("my_train")
        (NamedSplit(kind='train', rank=0), NamedSplit(kind='validation', rank=1), NamedSplit(kind='train', rank=2))
        >>> split_named("contest") is None, split_named("my_train_and_test") is None
        (True, True)
    """
    words = re.findall(r"[^\W\d_]+", name.lower())
    kinds = [_WORDS[word] for word in words if word in _WORDS]
    if not kinds:
        return None
    if words[0] in _WORDS:
        return NamedSplit(kinds[0], 0 if len(words) == 1 and name.lower() == words[0] else 1)
    return NamedSplit(kinds[0], 2) if len(set(kinds)) == 1 else None


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not data: hidden (``.name``), or left by a desktop (``Thumbs.db``, ``__MACOSX``)."""
    return name.startswith(".") or name.lower() in _LEFT_BY_DESKTOPS


def visible(folder: Path) -> list[Path]:
    """What a person sees in a folder, sorted; an InputError for one that cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    except OSError as error:
        raise InputError(
            f"The folder {str(folder)!r} cannot be read ({error.strerror}): check its permissions."
        ) from error


def visible_files(folder: Path) -> list[Path]:
    """Every visible file below a folder, sorted; links are followed, each folder once."""
    return sorted(_walk(folder, set()))


def folders_by_split(folder: Path) -> dict[str, Path]:
    """The folders of splits: their names say so, and at least one holds folders of classes, or nothing yet.

    Where a folder is called ``train`` and holds only images, it is a class. A name that only contains the word counts
    if there are folders of two splits.

    Raises:
        InputError: two folders of one split.
    """
    named = [(path, split) for path in visible(folder) if path.is_dir() and (split := split_named(path.name))]
    if not any(path.is_dir() for home, _ in named for path in visible(home) or [home]):
        return {}
    kinds = dict.fromkeys(split.kind for _, split in named)
    chosen: dict[str, Path] = {}
    for kind in kinds:
        rank = min(split.rank for _, split in named if split.kind == kind)
        paths = [path for path, split in named if split == (kind, rank)]
        if rank == 2 and len(kinds) == 1:
            continue
        if len(paths) > 1:
            raise InputError(
                f"The folder {str(folder)!r} has several folders of the {kind} split, "
                f"{' and '.join(path.name for path in paths)}: keep one, or rename the others."
            )
        chosen[kind] = paths[0]
    return chosen


def files_by_split(files: Iterable[Path], folder: Path) -> dict[str, list[Path]]:
    """Files by the split that their own name stands for, or else that of the nearest folder; the surest names count."""
    named: dict[str, dict[int, list[Path]]] = {}
    for path in files:
        parts = [path.stem, *path.relative_to(folder).parts[-2::-1]]
        split = next((split for part in parts if (split := split_named(part))), None)
        if split:
            named.setdefault(split.kind, {}).setdefault(max(split.rank, 1), []).append(path)
    return {kind: by_rank[min(by_rank)] for kind, by_rank in named.items()}


def _walk(folder: Path, seen: Seen) -> Iterator[Path]:
    if is_first(folder, seen):
        for path in visible(folder):
            if path.is_dir():
                yield from _walk(path, seen)
            else:
                yield path
