import numpy as np
import pytest

from osakd.data.options import ImageOptions, image_options, recorded_options
from osakd.errors import InputError


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (32, (32, 32)),
        (np.int64(32), (32, 32)),
        ("32", (32, 32)),
        ("64x48", (64, 48)),
        (" 64 X 48 ", (64, 48)),
        ("64\u00d748", (64, 48)),
        ((64, 48), (64, 48)),
        ([64], (64, 64)),
        (None, None),
    ],
)
def test_sizes(given: object, size: tuple[int, int] | None) -> None:
    assert image_options(resize=given).resize == size


@pytest.mark.parametrize("given", [0, -3, 1.5, "x", "", "32x", "1x2x3", (1, 2, 3), [], True, "0x4", {"h": 3}])
def test_what_is_no_size(given: object) -> None:
    with pytest.raises(InputError, match=r"`resize` must be a size in pixels such as 32 or 64x48 \(height x width\)"):
        image_options(resize=given)


@pytest.mark.parametrize("given", [-0.1, 1, 1.5, float("nan")])
def test_fractions_out_of_range(given: float) -> None:
    with pytest.raises(InputError, match="`test_fraction` must be at least 0 and below 1"):
        image_options(test_fraction=given)
    with pytest.raises(InputError, match=r"`test_fraction` must be a number, got '0\.2'"):
        image_options(test_fraction="0.2")


def test_what_is_recorded_is_read_again() -> None:
    given = ImageOptions((64, 48), 0.2, "kind", "picture")
    assert recorded_options(given.record()) == given
    assert ImageOptions().record() == {}
    assert recorded_options({"name": "of an earlier version"}) == ImageOptions()
