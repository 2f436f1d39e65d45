"""Crops, mirror images and mixtures: against NumPy, sample by sample, and what is drawn."""

import numpy as np
import pytest
import torch
from scipy.stats import beta, kstest

from osakd.data.augment import crop_and_flip, draw, draw_mixes, mix, mixed_targets
from osakd.data.policies import build_policy

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
    found = draw_mixes(2, (8, 6), mixup=0.4, cutmix=1.0, seed=0, stage=0, epoch=1)
    assert found.round(4).tolist() == [[0.04, 0, 8, 0, 6], [0, 2, 6, 0, 4]]


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_each_image_is_mixed_with_the_one_before_it_and_so_are_their_classes(mixup: float, cutmix: float) -> None:
    generator = np.random.default_rng(0)
    images, target = generator.integers(0, 256, (50, 5, 7, 3), dtype=np.uint8), generator.integers(0, 4, 50)
    drawn = draw_mixes(50, (5, 7), mixup=mixup, cutmix=cutmix, seed=1, stage=0, epoch=2)
    found = mix(torch.from_numpy(images), torch.from_numpy(drawn)).numpy()
    classes = mixed_targets(torch.from_numpy(target), torch.from_numpy(drawn), (5, 7), 4).numpy()
    for number, (share, *box) in enumerate(drawn):
        top, bottom, left, right = map(int, box)
        expected, own = images[number].astype(float), np.ones((5, 7))
        own[top:bottom, left:right] = share
        expected = own[..., None] * expected + (1 - own[..., None]) * images[number - 1]
        assert np.abs(found[number] - expected).max() <= 0.501
        of_classes = np.zeros(4)
        of_classes[target[number]] += own.mean()
        of_classes[target[number - 1]] += 1 - own.mean()
        assert classes[number] == pytest.approx(of_classes, abs=1e-6)


def test_mixtures_have_the_distributions_of_their_papers() -> None:
    key = {"seed": 0, "stage": 0, "epoch": 1}
    share = draw_mixes(20_000, (8, 8), mixup=0.4, cutmix=0.0, **key)[:, 0]
    assert kstest(share, beta(0.4, 0.4).cdf).pvalue > 0.01
    both = draw_mixes(20_000, (8, 8), mixup=0.4, cutmix=1.0, **key)
    assert abs((both[:, 0] == 0).mean() - 0.5) < 0.02
    large = draw_mixes(20_000, (1000, 1000), mixup=0.0, cutmix=1.0, **key)
    _, top, bottom, left, right = large.T
    whole = (top > 0) & (bottom < 1000) & (left > 0) & (right < 1000)  # not cut by an edge
    assert np.allclose(bottom[whole] - top[whole], right[whole] - left[whole], atol=1)
    assert not np.array_equal(large, draw_mixes(20_000, (1000, 1000), mixup=0.0, cutmix=1.0, **key | {"seed": 1}))


def test_a_policy_draws_from_the_seed_of_each_image(torchvision: None) -> None:
    policy = build_policy(["erasing", "erasing"], (5, 7))
    images, seeds = torch.full((6, 5, 7, 3), 9, dtype=torch.uint8), torch.tensor([1, 2, 3, 1, 2, 3])
    state = torch.get_rng_state()
    found = policy(images, seeds)
    assert torch.equal(found[:3], found[3:])
    assert not torch.equal(found[0], found[1])
    assert torch.equal(policy(images[4:], seeds[4:]), found[4:])
    assert torch.equal(torch.get_rng_state(), state)
    assert (images == 9).all()
