"""From photos to a file for a board: the commands of the README, on 1,600 photos of 16 animals.

python -m benchmarks.photos TINY_IMAGENET OUT

TINY_IMAGENET is a folder of Parquet files of Tiny ImageNet in the hub's layout. Its photos are written to OUT/animals;
then the commands run in OUT, some minutes of one core, and print what the README shows.
"""

import argparse
import contextlib
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from osakd.cli.main import main as osakd

ANIMALS = {
    "n01443537": "goldfish",
    "n01641577": "bullfrog",
    "n01698640": "alligator",
    "n01770393": "scorpion",
    "n01855672": "goose",
    "n01882714": "koala",
    "n01910747": "jellyfish",
    "n01944390": "snail",
    "n02056570": "king penguin",
    "n02099601": "golden retriever",
    "n02123045": "tabby cat",
    "n02129165": "lion",
    "n02132136": "brown bear",
    "n02165456": "ladybug",
    "n02206856": "bee",
    "n02504458": "African elephant",
}
SPLITS = {"train": ("train", 100), "val": ("valid", 25)}
"""How the files of a split begin, and the photos of each class that are taken."""
COMMANDS = (
    "osakd train --data animals --method osakd --epochs 30 --out runs/animals",
    "osakd evaluate runs/animals",
    "osakd export runs/animals --to animals.pte --int8",
    "osakd latency runs/animals animals.pte",
    "osakd predict animals.pte photo.jpg",
)


def write_photos(source: Path, folder: Path) -> None:
    """Writes ``folder/SPLIT/CLASS/NUMBER.jpg``."""
    for split, (start, most) in SPLITS.items():
        (file,) = source.rglob(f"{start}-*.parquet")
        table, taken = pq.read_table(file), Counter[str]()
        names = table.schema.metadata[b"huggingface"].decode().partition('"names": [')[2].partition("]")[0]
        numbers = [name.strip(' "') for name in names.split(",")]
        for row in table.to_pylist():
            animal = ANIMALS.get(numbers[row["label"]])
            if animal and taken[animal] < most:
                taken[animal] += 1
                photo = folder / split / animal / f"{taken[animal]:03}.jpg"
                photo.parent.mkdir(parents=True, exist_ok=True)
                photo.write_bytes(row["image"]["bytes"])


def main(argv: Sequence[str]) -> int:
    """Writes the photos and runs the commands; returns the exit code of the first that failed, or 0."""
    parser = argparse.ArgumentParser(prog="benchmarks.photos", description="From photos to a file for a board.")
    parser.add_argument("source", type=Path, help="folder with Tiny ImageNet's Parquet files")
    parser.add_argument("out", type=Path, help="folder for the photos, the run and the exported file")
    options = parser.parse_args(argv)
    write_photos(options.source, options.out / "animals")
    with contextlib.chdir(options.out):
        Path("photo.jpg").write_bytes(Path("animals/val/king penguin/001.jpg").read_bytes())
        for command in COMMANDS:
            print(f"$ {command}", flush=True)
            if code := osakd(shlex.split(command)[1:]):
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
