import numpy as np
import pytest
from PIL import Image

from osakd.data.arrays import DataArrays, Split
from osakd.data.sources import load_data
from osakd.data.streams import permutation, raw, torch_seed
from osakd.errors import InputError
from tests.data.made import made_images


def test_held_out_images_are_stratified_and_drawn_by_seed() -> None:
    data = load_data("digits")
    views = [data.hold_out(0.2, seed) for seed in (0, 0, 1)]
    for view in views:
        assert view.validation is not None
        assert len(view.validation) + len(view.train) == 600
        held = np.bincount(view.validation.target)
        np.testing.assert_allclose(held, 0.2 * np.bincount(data.train.target), atol=0.5)
    first, again, other = (view.validation.images for view in views if view.validation is not None)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    both = np.concatenate([views[0].train.images, first]).reshape(600, -1)
    whole = data.train.images.reshape(600, -1)
    assert np.array_equal(both[np.lexsort(both.T)], whole[np.lexsort(whole.T)])
    assert data.hold_out(0, 0) is data


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_share_out_of_range(share: float) -> None:
    with pytest.raises(InputError, match=f"`validation` must be at least 0 and below 1.*got {share}"):
        load_data("digits").hold_out(share, 0)


def test_statistics_and_grey() -> None:
    images = np.stack(made_images(20, 0))
    split = Split(images, np.zeros(20, dtype=np.int64))
    data = DataArrays("made", "folder", "0", ("a",), split, split)
    mean, std = data.statistics()
    np.testing.assert_allclose(mean, (images / 255).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(std, (images / 255).std(axis=(0, 1, 2)))
    grey = data.with_channels(1).train.images
    expected = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])
    assert np.abs(grey[..., 0].astype(int) - expected).max() <= 1
    assert data.with_channels(3).train.images is images


def test_streams_are_keyed_by_everything_and_stable() -> None:
    key = {"seed": 3, "stage": 0, "stream": "order", "epoch": 2}
    first = raw(4, **key)
    assert first.tolist() == raw(8, **key)[:4].tolist()
    for change in ({"seed": 4}, {"stage": 1}, {"stream": "noise"}, {"epoch": 3}):
        assert raw(4, **(key | change)).tolist() != first.tolist()
    # Recorded once: a change here would change every run.
    assert permutation(6, **key).tolist() == [4, 5, 2, 1, 3, 0]
    assert 0 <= torch_seed(**key) < 2**63
