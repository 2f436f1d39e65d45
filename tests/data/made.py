"""Small made data in the layouts that users have."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def encode(array: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format=kind)
    return stream.getvalue()


def made_images(count: int, seed: int, size: tuple[int, ...] = (8, 8, 3)) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, size=(count, *size), dtype=np.uint8))


def write_parquet(
    path: Path,
    images: list[bytes],
    labels: list[int],
    *,
    image_column: str = "image",
    label_column: str = "label",
    names: list[str] | None = None,
) -> None:
    """One file as the hub stores it: a struct of bytes and path, and features in the schema's metadata."""
    struct = pa.array(
        [{"bytes": image, "path": None} for image in images], pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    )
    table = pa.table({image_column: struct, label_column: pa.array(labels, pa.int64())})
    if names is not None:
        features = {image_column: {"_type": "Image"}, label_column: {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def write_parquet_folder(
    folder: Path, *, classes: int = 3, train: int = 30, test: int = 12, test_name: str = "test", **columns: str
) -> Path:
    for name, count, seed in (("train", train, 0), (test_name, test, 1)):
        images = [encode(image) for image in made_images(count, seed)]
        labels = [row % classes for row in range(count)]
        names = [f"class {label}" for label in range(classes)]
        write_parquet(folder / "data" / f"{name}-00000-of-00001.parquet", images, labels, names=names, **columns)
    return folder


def write_image_folder(folder: Path, *, classes: tuple[str, ...] = ("cat", "dog"), per_class: int = 6) -> Path:
    for split, seed in (("train", 0), ("test", 1)):
        images = iter(made_images(per_class * len(classes), seed))
        for name in classes:
            home = folder / split / name
            home.mkdir(parents=True)
            for number in range(per_class):
                (home / f"{number}.png").write_bytes(encode(next(images)))
    return folder


def write_table(path: Path, columns: dict[str, Any], features: dict[str, Any] | None = None) -> Path:
    """A Parquet file of these columns, beside images in the column ``image`` unless there is one."""
    count = len(next(iter(columns.values())))
    table = pa.table({"image": [encode(image) for image in made_images(count, int("test" in path.stem))]} | columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def write_splits(folder: Path, columns: dict[str, Any], features: dict[str, Any] | None = None) -> str:
    """The same table as the training and as the test split; returns the folder as a user gives it."""
    for split in ("train", "test"):
        write_table(folder / f"{split}.parquet", columns, features)
    return str(folder)


def write_class_folder(folder: Path, images: dict[str, bytes]) -> Path:
    """Files by their path within a folder."""
    for name, content in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
