"""Crops and mirror images: against NumPy's padding, sample by sample, and what is drawn."""

import numpy as np
import pytest
import torch

from osakd.data.augment import crop_and_flip, draw

PADDING = 3


@pytest.mark.parametrize("reflect", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_is_cropped_and_mirrored_as_drawn(reflect: bool, channels: int) -> None:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (20, 5, 7, channels), dtype=np.uint8)
    drawn = draw(20, padding=PADDING, flip=True, seed=1, stage=0, epoch=2)
    rows = torch.from_numpy(generator.permutation(20)[:12])
    found = crop_and_flip(torch.from_numpy(images), rows, torch.from_numpy(drawn)[rows], reflect=reflect)
    around = ((PADDING, PADDING), (PADDING, PADDING), (0, 0))
    for number, row in enumerate(rows.tolist()):
        padded = np.pad(images[row], around, mode="reflect" if reflect else "constant")
        top, left = drawn[row, :2] + PADDING
        expected = padded[top : top + 5, left : left + 7]
        expected = expected[:, ::-1] if drawn[row, 2] else expected
        assert np.array_equal(found[number].numpy(), expected)


def test_what_is_drawn_is_spread_evenly_and_keyed() -> None:
    key = {"padding": 4, "flip": True, "seed": 0, "stage": 0, "epoch": 1}
    drawn = draw(9000, **key)
    for axis in (0, 1):
        values, counts = np.unique(drawn[:, axis], return_counts=True)
        assert values.tolist() == list(range(-4, 5))
        assert counts.min() > 850
    assert abs(drawn[:, 2].mean() - 0.5) < 0.02
    assert np.array_equal(drawn, draw(9000, **key))
    for change in ({"seed": 1}, {"stage": 1}, {"epoch": 2}):
        assert not np.array_equal(drawn, draw(9000, **{**key, **change}))
    assert not draw(50, padding=0, flip=False, seed=0, stage=0, epoch=1).any()


def test_what_is_drawn_stays_the_same() -> None:
    """Runs made with another version must come out the same."""
    found = draw(3, padding=4, flip=True, seed=0, stage=0, epoch=1)
    assert found.tolist() == [[4, -4, 1], [1, -1, 1], [1, -3, 0]]
