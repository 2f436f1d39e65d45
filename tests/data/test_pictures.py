"""Images are decoded as a viewer shows them, and resized once."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from osakd.data import decode
from osakd.data.options import ImageOptions
from osakd.data.sources import load_data
from osakd.errors import InputError
from tests.data.made import encode, made_images, write_class_folder, write_image_folder, write_parquet_folder

PICTURE = Image.fromarray(made_images(1, 0)[0])


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_first(folder: Path, first: bytes, kind: str = "png") -> str:
    """A folder whose first training image is this one."""
    write_image_folder(folder)
    (folder / "train/cat/0.png").unlink()
    write_class_folder(folder, {f"train/cat/0.{kind}": first})
    return str(folder)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_rotated_by_their_exif_orientation(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = load_data(with_first(tmp_path, saved(PICTURE, exif=exif)))
    tagged = Image.open(io.BytesIO(saved(PICTURE, exif=exif)))
    np.testing.assert_array_equal(data.train.images[0], np.asarray(ImageOps.exif_transpose(tagged)))
    assert (not np.array_equal(data.train.images[0], np.asarray(PICTURE))) == (orientation > 1)
    assert data.notes == (("Images rotated by their EXIF orientation: 1.",) if orientation > 1 else ())


def test_an_orientation_by_hand(tmp_path: Path) -> None:
    """Orientation 6: what the camera stored must be turned by a quarter clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = load_data(with_first(tmp_path, saved(PICTURE, exif=exif)))
    np.testing.assert_array_equal(data.train.images[0], np.rot90(np.asarray(PICTURE), -1))


@pytest.mark.parametrize(("kind", "ending"), [("JPEG", "jpg"), ("WEBP", "webp"), ("TIFF", "tif")])
def test_formats_that_turn_images_themselves_turn_them_once(tmp_path: Path, kind: str, ending: str) -> None:
    image = Image.fromarray(np.repeat(np.repeat(np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8), 1, 0), 1, 1))
    exif = Image.Exif()
    exif[0x0112] = 3
    stored = saved(image.convert("RGB"), kind, exif=exif, **({"quality": 100} if kind != "TIFF" else {}))
    data = load_data(with_first(tmp_path, stored, ending))
    expected = np.rot90(np.asarray(image.convert("RGB")).astype(int), 2)
    assert np.abs(data.train.images[0] - expected).max() < 40
    assert np.abs(data.train.images[0] - expected[::-1, ::-1]).max() > 200


@pytest.mark.parametrize("damaged", [b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff", b"Exif\x00\x00nothing", b""])
def test_damaged_exif_data_do_not_matter(tmp_path: Path, damaged: bytes) -> None:
    data = load_data(with_first(tmp_path, saved(PICTURE, exif=damaged)))
    np.testing.assert_array_equal(data.train.images[0], np.asarray(PICTURE))


def test_transparent_pixels_are_white(tmp_path: Path) -> None:
    red = np.zeros((8, 8, 4), dtype=np.uint8)
    red[..., 0] = 255  # transparent red
    red[:2, :, 3], red[2:4, :, 3] = 255, 51
    data = load_data(with_first(tmp_path, encode(red)))
    first = data.train.images[0]
    assert first[0, 0].tolist() == [255, 0, 0]
    assert first[3, 0].tolist() == [255, 204, 204]
    assert first[7, 7].tolist() == [255, 255, 255]
    assert data.notes == ("Images with transparency, put on white: 1.",)


def transparent(mode: str) -> bytes:
    """A black image whose left half is transparent, in several ways of saying so."""
    alpha = Image.fromarray(np.repeat(np.array([[0] * 4 + [255] * 4], dtype=np.uint8), 8, 0))
    if mode == "LA":
        return saved(Image.merge("LA", [Image.new("L", (8, 8)), alpha]))
    if mode in ("P", "GIF"):
        indices = Image.fromarray(np.asarray(alpha) // 255).convert("P")
        indices.putpalette([255, 0, 0, 0, 0, 0])
        return saved(indices, "GIF" if mode == "GIF" else "PNG", transparency=0)
    if mode == "P with bytes":
        indices = Image.fromarray(np.asarray(alpha) // 255).convert("P")
        indices.putpalette([255, 0, 0, 0, 0, 0])
        return saved(indices, transparency=b"\x00\xff")
    if mode == "L with a colour":
        return saved(Image.fromarray(np.where(np.asarray(alpha), 0, 7).astype(np.uint8)), transparency=7)
    if mode == "RGB with a colour":
        grey = Image.fromarray(np.where(np.asarray(alpha), 0, 7).astype(np.uint8))
        return saved(grey.convert("RGB"), transparency=(7, 7, 7))
    return saved(Image.merge("RGBA", [Image.new("L", (8, 8))] * 3 + [alpha]), mode)


@pytest.mark.parametrize(
    "mode", ["LA", "P", "P with bytes", "GIF", "L with a colour", "RGB with a colour", "PNG", "WEBP"]
)
def test_every_kind_of_transparency_is_put_on_white(tmp_path: Path, mode: str) -> None:
    data = load_data(with_first(tmp_path, transparent(mode)))
    assert (data.train.images[0][:, :4] == 255).all()
    assert (data.train.images[0][:, 4:] < 16).all()
    assert data.notes == ("Images with transparency, put on white: 1.",)


def test_content_tells_what_decoding_changed_and_stays_where_it_changed_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    plain = str(write_parquet_folder(tmp_path / "plain"))
    turned = with_first(tmp_path / "turned", saved(PICTURE, exif=exif))
    before = [load_data(one).content for one in (plain, turned)]
    for module in ("cache", "sources"):
        monkeypatch.setattr(f"osakd.data.{module}.RULES", "next")
    decoded = []
    original = decode.decode
    monkeypatch.setattr("osakd.data.cache.decode", lambda *given: decoded.append(1) or original(*given))
    after = [load_data(one).content for one in (plain, turned)]
    assert len(decoded) == 3  # no split comes from the cache of other rules; both have the same test images
    assert before[0] == after[0]
    assert before[1] != after[1]


def of_sizes(folder: Path, *sizes: tuple[int, int]) -> str:
    write_image_folder(folder)
    for number, size in enumerate(sizes):
        write_class_folder(folder, {f"train/cat/s{number}.png": encode(made_images(1, number, (*size, 3))[0])})
    return str(folder)


def test_images_of_several_sizes_are_resized_when_asked(tmp_path: Path) -> None:
    folder = of_sizes(tmp_path / "pets", (64, 48), (8, 8), (7, 100))
    with pytest.raises(InputError, match=r"train/cat/s0\.png is 64x48 and .*0\.png is 8x8: choose one with --resize"):
        load_data(folder)
    data = load_data(folder, ImageOptions(resize=(16, 12)))
    assert data.input_shape == (3, 16, 12)
    assert data.record(channels=3, validation=0.0, seed=0)["resize"] == [16, 12]
    expected = Image.open(Path(folder) / "train/cat/s0.png").resize((12, 16), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(data.train.images[6], np.asarray(expected))


def test_resizing_is_antialiased(tmp_path: Path) -> None:
    """Stripes of one pixel become grey; without antialiasing they would stay black or white."""
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    for home in ("train/a", "train/b", "test/a"):
        write_class_folder(tmp_path, {f"{home}/0.png": encode(stripes)})
    images = load_data(str(tmp_path), ImageOptions(resize=(8, 8))).train.images.astype(int)
    assert np.abs(images - 128).max() < 20


def test_images_are_rotated_and_put_on_white_before_they_are_resized(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    tall = Image.fromarray(made_images(1, 0, (8, 20, 3))[0])
    data = load_data(with_first(tmp_path, saved(tall, exif=exif)), ImageOptions(resize=(10, 4)))
    expected = tall.transpose(Image.Transpose.ROTATE_270).resize((4, 10), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(data.train.images[0], np.asarray(expected))


def test_another_size_is_other_content_and_another_entry_of_the_cache(tmp_path: Path) -> None:
    folder = of_sizes(tmp_path)
    sizes = [None, (8, 8), (16, 16), (16, 8)]
    loaded = [load_data(folder, ImageOptions(resize=size)) for size in sizes]
    assert len({data.content for data in loaded}) == len(sizes)
    assert [data.input_shape[1:] for data in loaded] == [(8, 8), (8, 8), (16, 16), (16, 8)]


def test_digits_are_resized_too() -> None:
    data = load_data("digits", ImageOptions(resize=(16, 16)))
    assert (data.input_shape, data.content == load_data("digits").content) == ((1, 16, 16), False)
