import json
import sys
from dataclasses import asdict, replace
from math import cos, pi
from pathlib import Path

import numpy as np
import pytest

from osakd.data.recipes import recipe_in_words
from osakd.data.sources import load_data
from osakd.engine.config import Options, can_continue, configure, recorded_config
from osakd.engine.environment import pick_device
from osakd.engine.optim import learning_rate
from osakd.errors import InputError
from osakd.methods.registry import settings_of
from osakd.records import RunConfig, write_config


def config(method: str | dict = "plain", seed: int = 0, **options: object) -> RunConfig:
    return configure(load_data("digits"), method, seed, Options(**{"deploy": "last"} | options))


def test_defaults_are_the_recipe_s() -> None:
    found = config()
    assert (found.model, found.learning_rate, found.momentum) == ("lenet-digits", 0.02, 0.9)
    assert (found.batch_size, found.epochs, found.scaling, found.schedule) == (64, 40, "half", "constant")


def test_what_is_given_wins() -> None:
    found = config(epochs=3, learning_rate=0.5, scaling="unit", max_grad_norm=1.0)
    assert (found.epochs, found.learning_rate, found.scaling, found.max_grad_norm) == (3, 0.5, "unit", 1.0)


def test_images_of_the_user_have_the_recipe_for_photos() -> None:
    digits = replace(load_data("digits"), kind="folder")
    found = configure(digits, "plain", 0, Options(fraction=0.5))
    assert (found.recipe, found.model, found.schedule, found.nesterov) == ("photos", "ds-cnn", "cosine", True)
    assert (found.crop, found.flip, found.weight_decay) == (1, False, 5e-4)
    given = {"recipe": "photos", "momentum": 0.0, "model": "lenet", "crop": 0, "flip": True, "schedule": "constant"}
    by_hand = config(**given)
    assert given == {key: getattr(by_hand, key) for key in given}
    assert (by_hand.nesterov, by_hand.learning_rate) == (False, 0.01)
    assert "flip" in recipe_in_words(by_hand, digits.class_names)
    assert "no flip since classes are numbers" in recipe_in_words(found, digits.class_names)
    paper = configure(digits, "plain", 0, Options(recipe="paper"))
    assert (paper.recipe, paper.model, paper.learning_rate, paper.crop) == ("paper", "lenet", 0.001, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "`epochs` must be at least 1, got -1"),
        ({"epochs": True}, "`epochs` must be a whole number, got True"),
        ({"epochs": "3"}, "`epochs` must be a whole number, got '3'"),
        ({"flip": "no"}, "`flip` must be true or false, got 'no'"),
        ({"milestones": 0.5}, "`milestones` must be a list of numbers"),
        ({"crop_padding": "edge"}, "Unknown crop_padding 'edge'"),
        ({"evaluate_every": 0}, "`evaluate_every` must be at least 1, got 0"),
        ({"batch_size": 1}, "`batch_size` must be at least 2, got 1"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0, got 0.0"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be a finite number"),
        ({"learning_rate": float("inf")}, "`learning_rate` must be a finite number"),
        ({"recipe": "photo"}, "Unknown recipe 'photo'; did you mean 'photos'"),
        ({"warmup_epochs": -1}, "`warmup_epochs` must be at least 0"),
        ({"augment": ("autoaugment",)}, "Unknown augment 'autoaugment'; did you mean 'randaugment'"),
        ({"mixup": -0.1}, "`mixup` must be at least 0"),
        ({"weight_decay": -1.0}, "`weight_decay` must be at least 0"),
        ({"momentum": -0.1}, "`momentum` must be at least 0"),
        ({"gamma": -0.1}, "`gamma` must be at least 0"),
        ({"max_grad_norm": 0.0}, "`max_grad_norm` must be above 0, got 0.0"),
        ({"momentum": 0.0, "nesterov": True}, "`nesterov` needs a `momentum` above 0"),
        ({"milestones": (0.7, 0.5)}, "`milestones` must be a list of numbers that rise"),
        ({"milestones": (0.5, 1.5)}, "`milestones` must be a list of numbers that rise"),
        ({"optimizer": "adam"}, "Unknown optimizer 'adam'; did you mean 'adamw'"),
        ({"schedule": "linear"}, "Unknown schedule 'linear'"),
        ({"scaling": "halve"}, "Unknown scaling 'halve'; did you mean 'half'"),
        ({"precision": "fp16"}, "Unknown precision 'fp16'"),
        ({"ema": 1.0}, "`ema` must be above 0 and below 1, got 1.0"),
        ({"ema": 0}, "`ema` must be above 0"),
        ({"ema": 0.9, "ema_epochs": 2.0}, "give one of them"),
        ({"deploy": "first"}, "Unknown deploy 'first'"),
        ({"patience": 3}, "`patience` needs `deploy` best"),
        ({"patience": 3, "deploy": "best", "validation": 0.1}, "at least 200 validation images, got 60"),
        ({"crop": 8}, "`crop` must be smaller than the images, got 8"),
        ({"validation": 1.0}, "`validation` must be at least 0 and below 1"),
    ],
)
def test_values_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        config(**options)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"name": "osakd", "soft_weight": -1.0}, "`soft_weight` must be at least 0, got -1.0"),
        ({"name": "osakd", "soft_weight": 2, "balance": "convex"}, "`soft_weight` must be at most 1"),
        ({"name": "label-smoothing", "smoothing": 1.0}, "`smoothing` must be at least 0 and below 1, got 1.0"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_runs(method: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        config(method)


def test_numbers_become_what_can_be_recorded() -> None:
    found = config(seed=np.int64(3), epochs=np.int32(2), learning_rate=np.float32(0.5), milestones=np.array([0.5]))
    assert json.loads(json.dumps(asdict(found)))["learning_rate"] == 0.5
    for options in ({"epochs": 1.5}, {"batch_size": 64.0}, {"learning_rate": [1]}):
        with pytest.raises(InputError, match=r"must be a (whole|finite) number"):
            config(**options)
    with pytest.raises(InputError, match=r"`seed` must be a whole number, got 0\.5"):
        config(seed=0.5)


def test_policies(torchvision: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config(augment="erasing", recipe="photos").crop == 1
    monkeypatch.setattr("osakd.data.policies._TRANSFORMS", {"random-resized-crop": ("RandomErasing", {})})
    monkeypatch.setattr("osakd.data.policies.RESIZED", "")
    assert config(augment="random-resized-crop", recipe="photos").crop == 0
    assert config(augment="random-resized-crop", recipe="photos", crop=2).crop == 2
    monkeypatch.setitem(sys.modules, "torchvision.transforms.v2", None)
    with pytest.raises(InputError, match=r"needs the package torchvision, .*pip install 'osakd\[augment\]'"):
        config(augment=["erasing"])


def test_a_memory_of_images_has_no_mixed_ones() -> None:
    with pytest.raises(InputError, match="The method 'osakd' cannot learn from mixed images"):
        config({"name": "osakd", "pool": "memory"}, cutmix=1.0)


@pytest.mark.parametrize(("k", "include_self", "largest"), [(64, False, 63), (65, True, 64), (0, False, 63)])
def test_k_out_of_range(k: int, include_self: bool, largest: int) -> None:
    with pytest.raises(InputError, match=f"`k` must be between 1 and {largest} .* got {k}"):
        config({"name": "osakd", "k": k, "include_self": include_self})


def test_a_batch_larger_than_the_training_set_counts_as_that_set() -> None:
    with pytest.raises(InputError, match="between 1 and 600"):
        config({"name": "osakd", "k": 601}, batch_size=1000)


def test_a_training_set_of_one_image() -> None:
    digits = load_data("digits")
    with pytest.raises(InputError, match="The training set must hold at least 2 images, got 1"):
        configure(replace(digits, train=digits.train.take(np.arange(1))), "plain", 0, Options())


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seed_out_of_range(seed: int) -> None:
    with pytest.raises(InputError, match=rf"`seed` must be at least 0 and below 2\^64, got {seed}"):
        config(seed=seed)


def test_what_may_go_on() -> None:
    old = config(epochs=5)
    assert can_continue(old, old)
    assert can_continue(old, replace(old, epochs=6))
    assert not can_continue(old, replace(old, epochs=4))
    assert not can_continue(old, replace(old, epochs=6, seed=1))
    cosine = replace(old, schedule="cosine")
    assert not can_continue(cosine, replace(cosine, epochs=6))
    rising = replace(old, warmup_epochs=2)
    assert can_continue(rising, replace(rising, epochs=6))
    share = replace(old, warmup_epochs=0.5)
    assert not can_continue(share, replace(share, epochs=6))
    progressive = replace(old, method="ps-kd", settings={"soft_weight": 0.8})  # its targets follow the schedule
    assert not can_continue(progressive, replace(progressive, epochs=6))


def test_schedules() -> None:
    constant = config(epochs=8, learning_rate=1.0)
    assert [learning_rate(constant, epoch) for epoch in (1, 8)] == [1.0, 1.0]
    step = replace(constant, schedule="step", milestones=[0.5, 0.75])
    rates = [learning_rate(step, epoch) for epoch in range(1, 9)]
    assert rates == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])
    cosine = replace(constant, schedule="cosine")
    expected = [(1 + cos(pi * (epoch - 1) / 8)) / 2 for epoch in range(1, 9)]
    assert [learning_rate(cosine, epoch) for epoch in range(1, 9)] == pytest.approx(expected)
    expected = [0.25, 0.5, 0.75] + [(1 + cos(pi * epoch / 5)) / 2 for epoch in range(5)]
    for warmup_epochs in (3, 3 / 8):
        rising = replace(cosine, warmup_epochs=warmup_epochs)
        assert [learning_rate(rising, epoch) for epoch in range(1, 9)] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "meta"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(InputError, match=f"The device '{name}' cannot be used here .*take cpu"):
        pick_device(name)


def test_settings_that_came_later_are_as_they_were_before(tmp_path: Path) -> None:
    """A run that was recorded without a setting goes on, with the value that it had without a word."""
    now = config(method={"name": "osakd", "reliability": False})
    older = {key: value for key, value in now.settings.items() if key != "reliability"}
    write_config(tmp_path, replace(now, settings=older))
    assert settings_of(replace(now, settings=older)).reliability is False  # type: ignore[attr-defined]
    assert recorded_config(tmp_path) == now
    assert config(method="osakd").settings["reliability"] is True
    gone = replace(now, settings=older | {"removed": 1})
    write_config(tmp_path / "gone", gone)
    assert recorded_config(tmp_path / "gone") == gone
    assert recorded_config(tmp_path / "nothing") is None
