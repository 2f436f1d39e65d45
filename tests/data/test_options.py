import numpy as np
import pytest

from osakd.data.options import ImageOptions, recorded_options
from osakd.errors import InputError


@pytest.mark.parametrize(
    ("resize", "size"),
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
def test_sizes(resize: object, size: tuple[int, int] | None) -> None:
    assert ImageOptions(resize=resize).resize == size


@pytest.mark.parametrize("resize", [0, -3, 1.5, "x", "", "32x", "1x2x3", (1, 2, 3), [], True, "0x4", {"h": 3}])
def test_what_is_not_a_size(resize: object) -> None:
    with pytest.raises(InputError, match="`resize` must be a size in pixels such as 32 or 64x48"):
        ImageOptions(resize=resize)


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.5, float("nan"), "0.2"])
def test_fractions_out_of_range(fraction: object) -> None:
    with pytest.raises(InputError, match="`test_fraction` must be"):
        ImageOptions(test_fraction=fraction)


def test_what_is_recorded_is_read_again() -> None:
    options = ImageOptions((64, 48), 0.2, "kind", "picture")
    assert recorded_options(options.record()) == options
    assert ImageOptions().record() == {}
    assert recorded_options({"name": "of an earlier version"}) == ImageOptions()
