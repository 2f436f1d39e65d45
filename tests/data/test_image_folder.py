"""Which files of a folder are images, and what is said of the others."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from osakd.data import folders
from osakd.data.folders import image_endings
from osakd.data.sources import load_data
from osakd.errors import InputError
from tests.conftest import as_ordinary_user
from tests.data.made import encode, made_images, write_class_folder, write_image_folder

IMAGE = encode(made_images(1, 0)[0])


@pytest.mark.parametrize(
    "name",
    [
        "train/cat/.ipynb_checkpoints/x.png",
        "train/.ipynb_checkpoints/x.png",
        "train/cat/deep/.hidden/x.png",
        "train/cat/__MACOSX/._0.png",
        "__MACOSX/train/cat/x.png",
        "train/__MACOSX/x.png",
        "train/cat/Thumbs.db",
        "train/Thumbs.db",
        "train/cat/.DS_Store",
        "test/desktop.ini",
        "train/@eaDir/x.png",
        "train/cat/@eaDir/0.png/thumb.jpg",
        ".cache/train.parquet",
        ".git/x.png",
    ],
)
def test_what_is_hidden_is_no_data_and_not_spoken_of(tmp_path: Path, name: str) -> None:
    folder = write_image_folder(tmp_path / "pets")
    before = load_data(str(folder))
    write_class_folder(folder, {name: IMAGE})
    after = load_data(str(folder))
    assert (after.content, after.notes) == (before.content, ())


def test_what_is_skipped_is_counted_by_its_ending(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "pets")
    names = ["train/cat/a.txt", "train/dog/b.TXT", "train/cat/c.mp4", "train/dog/README", "train/labels.csv"]
    write_class_folder(folder, dict.fromkeys([*names, "test/cat/a.json"], b"x"))
    (folder / "train/cat/broken.png").symlink_to(tmp_path / "nowhere.png")
    assert load_data(str(folder)).notes == (
        "Skipped in train/, since they are not images: 1 .csv, 1 .mp4, 2 .txt, 1 broken link, 1 without an ending.",
        "Skipped in test/, since they are not images: 1 .json.",
    )


@pytest.mark.parametrize(
    "ending", ["jfif", "JPE", "webp", "bmp", "tga", "ppm", "avif", "gif", "tif", "ico", "jp2", "mpo"]
)
def test_every_format_that_pillow_reads_is_read(tmp_path: Path, ending: str) -> None:
    if f".{ending.lower()}" not in image_endings():
        pytest.skip("this Pillow cannot read it")
    folder = write_image_folder(tmp_path / "pets")
    kind = Image.registered_extensions()[f".{ending.lower()}"]
    write_class_folder(folder, {f"train/cat/9.{ending}": encode(made_images(1, 5)[0], kind)})
    data = load_data(str(folder))
    assert (len(data.train), data.notes) == (13, ())


def test_formats_that_are_no_pictures_are_not_among_them() -> None:
    assert {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"} <= image_endings()
    assert not {".pdf", ".h5", ".mpg", ".eps", ".mp4", ".txt", ".npy"} & image_endings()


@pytest.mark.parametrize(("ending", "plugin"), [(".heic", "pillow-heif"), (".JXL", "pillow-jxl-plugin")])
def test_images_that_need_a_plugin_are_named_with_the_remedy(tmp_path: Path, ending: str, plugin: str) -> None:
    folder = write_image_folder(tmp_path)
    write_class_folder(folder, {f"train/cat/IMG_1{ending}": b"x"})
    with pytest.raises(
        InputError, match=rf"IMG_1{ending}' is a {ending.lower()} image.*convert it .*install {plugin}\."
    ):
        load_data(str(folder))


def test_a_plugin_that_is_installed_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def register() -> None:
        monkeypatch.setitem(Image.EXTENSION, ".heic", "PNG")

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(register_heif_opener=register))
    folder = write_image_folder(tmp_path)
    write_class_folder(folder, {"train/cat/IMG_1.heic": IMAGE})
    assert len(load_data(str(folder)).train) == 13
    folders.image_endings.cache_clear()


def test_folders_within_a_class_belong_to_it(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path)
    write_class_folder(folder, {"train/cat/2019/may/x.png": IMAGE})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/y.png").write_bytes(IMAGE)
    (folder / "train/cat/linked").symlink_to(tmp_path / "elsewhere")
    assert np.bincount(load_data(str(folder)).train.target).tolist() == [8, 6]


def test_files_and_folders_that_may_not_be_read(tmp_path: Path) -> None:
    folder = write_image_folder(tmp_path / "pets")
    load_data(str(folder))
    for parent in (tmp_path, *tmp_path.parents[:3]):
        parent.chmod(0o755)
    for path in (folder / "train/cat/0.png", folder / "train/cat"):
        path.chmod(0)
        with (
            as_ordinary_user(),
            pytest.raises(InputError, match=r"(0\.png'|cat') cannot be read \(Permission denied\)"),
        ):
            load_data(str(folder))
        path.chmod(0o755)
