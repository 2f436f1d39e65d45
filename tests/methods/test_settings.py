"""The settings of the methods by name: defaults, shorthands, what they take from the network, ranges."""

from dataclasses import asdict, fields
from typing import Any

import pytest

from osakd.errors import InputError
from osakd.methods.lookup import method_label, resolve_method
from osakd.methods.registry import METHODS, PRESETS, SHORTHANDS
from osakd.methods.settings.base import RunDefaults


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_is_described(name: str) -> None:
    settings = METHODS[name].settings
    assert all(one.metadata["help"] and not one.metadata["help"].endswith(".") for one in fields(settings))
    assert "Source: " in (settings.__doc__ or "").splitlines()[0]


def test_shorthands_are_settings() -> None:
    assert asdict(resolve_method("kd-additive")[1]) | {"teacher": None} == {
        "teacher": None, "hard_weight": 1.0, "soft_weight": 1.0, "temperature": 3.0,
    }  # fmt: skip
    assert resolve_method({"name": "kd-additive", "temperature": 5})[1].temperature == 5.0
    assert resolve_method("ffl-unshared", RunDefaults(model="lenet"))[1].peer == "lenet"
    assert [method_label(name) for name in SHORTHANDS] == list(SHORTHANDS)


def test_presets_are_settings() -> None:
    """They say everything that the method leaves to its defaults, but for the data set's weight."""
    for preset, meant in PRESETS.items():
        name, settings = resolve_method(preset)
        assert asdict(settings) == {key: value for key, value in meant.items() if key != "name"} | {"soft_weight": 0.9}
        assert (name, resolve_method({"name": preset, "k": 16})[1].k) == (meant["name"], 16)


def test_further_networks_follow_the_network() -> None:
    assert resolve_method("kd", RunDefaults(model="resnet32"))[1].teacher == "resnet110"
    assert resolve_method("kd", RunDefaults(model="lenet"))[1].teacher == "resnet20"
    assert resolve_method("dml", RunDefaults(model="lenet"))[1].peers == ["lenet"]
    peers = resolve_method({"name": "dml", "peers": ("resnet20", "resnet32")}, RunDefaults(model="lenet"))[1].peers
    assert peers == ["resnet20", "resnet32"]


def test_labels_name_what_is_not_default() -> None:
    assert method_label({"name": "kd", "teacher": "some/where/resnet110-seed0/"}) == "kd-resnet110-seed0"
    assert method_label({"name": "kd", "teacher": "mine.nets:big"}) == "kd-mine.nets-big"
    assert method_label({"name": "uniform-smoothing", "k": 16}) == "uniform-smoothing-16nn"
    assert method_label({"name": "one", "branches": 3}) == "one-branches=3"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"name": "kd", "temperature": 0}, "`temperature` must be above 0, got 0.0"),
        ({"name": "kd", "hard_weight": -1}, "`hard_weight` must be at least 0, got -1.0"),
        ({"name": "kd", "teacher": 3}, "`teacher` must be a name, got 3"),
        ({"name": "born-again", "generations": 0}, "`generations` must be at least 1, got 0"),
        ({"name": "codistillation", "copies": 1}, "`copies` must be at least 2, got 1"),
        ({"name": "codistillation", "burn_in": 1.5}, "`burn_in` must be at least 0 and at most 1, got 1.5"),
        ({"name": "codistillation", "refresh": 0}, "`refresh` must be at least 1, got 0"),
        ({"name": "one", "branches": 1}, "`branches` must be at least 2, got 1"),
        ({"name": "one", "ramp_end": 0}, "`ramp_end` must be above 0, got 0.0"),
        ({"name": "ffl", "peer": "resnet20"}, "`peer` is the second whole network of ffl: it needs `shared` false"),
        ({"name": "ffl", "shared": False, "share": "stage1"}, "`share` names the last shared stage of ffl"),
        ({"name": "dml", "peers": "resnet20"}, "`peers` must be a list of names, got 'resnet20'"),
        ({"name": "osakd", "soft_weight": -1}, "`soft_weight` must be at least 0, got -1.0"),
        ({"name": "osakd", "soft_weight": 2, "balance": "convex"}, "at most 1 with balance 'convex', got 2.0"),
        ("kd-aditive", r"Unknown method 'kd-aditive'.*kd-additive"),
    ],
)
def test_values_out_of_their_range(method: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve_method(method)
