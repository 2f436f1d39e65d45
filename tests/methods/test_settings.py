"""The settings of the methods by name: defaults, shorthands, what they take from the network, ranges."""

from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest

from osakd.data.sources import load_data
from osakd.engine.config import Options, configure
from osakd.errors import InputError
from osakd.methods.lookup import method_label, resolve_method
from osakd.methods.registry import METHODS, PRESETS, RETIRED, run_notes, settings_of
from osakd.methods.settings.base import RunDefaults
from osakd.records import RunConfig


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


def test_the_paper_s_reading_depends_on_no_default() -> None:
    """It says everything, but for the data set's weight."""
    settings = asdict(resolve_method("osakd-paper")[1])
    assert settings.pop("soft_weight") == 0.9
    assert settings == {key: value for key, value in PRESETS["osakd-paper"].items() if key != "name"}


LABELS = [
    ("plain", "plain"),
    ("osakd", "osakd"),
    ("osakd-8nn", "osakd"),
    ("osakd-16nn", "osakd-16nn"),
    ({"name": "osakd", "k": 16}, "osakd-16nn"),
    ("osakd-paper", "osakd-paper-8nn"),
    ("osakd-paper-16nn", "osakd-paper-16nn"),
    ({"name": "osakd-paper", "k": 16, "divergence": "mse"}, "osakd-paper-16nn-mse"),
    ("osakd-constant", "osakd-constant"),
    ({"name": "osakd-constant", "k": 16}, "osakd-constant-16nn"),
    ({"name": "osakd", "soft_weight": 0.3, "space": "logits"}, "osakd-soft_weight=0.3-logits"),
    ({"name": "osakd", "include_self": False}, "osakd-include_self=False"),
    ("uniform-smoothing-16nn", "osakd-uniform-16nn"),
    ("kd-additive", "kd-additive"),
    ("ffl-unshared", "ffl-unshared"),
    ({"name": "kd", "teacher": "some/where/resnet110-seed0/"}, "kd-resnet110-seed0"),
    ({"name": "kd", "teacher": "mine.nets:big"}, "kd-mine.nets-big"),
    ({"name": "one", "branches": 3}, "one-branches=3"),
]


@pytest.mark.parametrize(("method", "label"), LABELS, ids=str)
def test_a_label_names_the_method_and_what_differs_from_it(method: Any, label: str) -> None:
    assert method_label(method) == label


@pytest.mark.parametrize("label", ["osakd", "osakd-16nn", "osakd-paper-8nn", "osakd-constant-16nn", "ffl-unshared"])
def test_a_label_can_be_given_as_a_method(label: str) -> None:
    assert method_label(label) == label


def test_values_are_in_python_s_types_and_open_ones_follow_the_data_set() -> None:
    settings = resolve_method({"name": "osakd", "k": np.int64(3), "soft_weight": np.float32(0.5)})[1]
    assert (settings.k, type(settings.k), settings.soft_weight, type(settings.soft_weight)) == (3, int, 0.5, float)
    assert resolve_method("osakd")[1].soft_weight == 0.9
    assert resolve_method("osakd", RunDefaults(soft_weight=0.99))[1].soft_weight == 0.99


def recorded(method: str, settings: dict[str, Any]) -> RunConfig:
    return replace(configure(load_data("digits"), "plain", 0, Options(deploy="last")), method=method, settings=settings)


@pytest.mark.parametrize("name", RETIRED)
def test_runs_of_retired_methods_are_shown_but_not_trained(name: str) -> None:
    for door in (lambda: resolve_method(name), lambda: settings_of(recorded(name, {"k": 8}))):
        with pytest.raises(InputError, match=f"{name}.*retired.*fe0a4ef"):
            door()
    assert run_notes(recorded(name, {"k": 8})) == []


def test_a_recorded_setting_that_is_not_known_is_named() -> None:
    with pytest.raises(InputError, match="'tune' of method 'label-smoothing'"):
        settings_of(recorded("label-smoothing", {"smoothing": 0.1, "tune": 3}))


def test_further_networks_follow_the_network() -> None:
    assert resolve_method("kd", RunDefaults(model="resnet32"))[1].teacher == "resnet110"
    assert resolve_method("kd", RunDefaults(model="lenet"))[1].teacher == "resnet20"
    assert resolve_method("dml", RunDefaults(model="lenet"))[1].peers == ["lenet"]
    peers = resolve_method({"name": "dml", "peers": ("resnet20", "resnet32")}, RunDefaults(model="lenet"))[1].peers
    assert peers == ["resnet20", "resnet32"]


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
        ("osakdd", "Unknown method 'osakdd'; did you mean 'osakd'"),
        ({"k": 3}, "Unknown method ''"),
        ({"name": "osakd", "kk": 3}, "Unknown setting of method 'osakd' 'kk'; did you mean 'k'"),
        ({"name": "plain", "k": 3}, "Method 'plain' has no settings, got 'k'"),
        ("plain-8nn", "Method 'plain' has no settings, got 'k'"),
        ({"name": "osakd", "pool": "Memory"}, "Unknown pool 'Memory'; did you mean 'memory'"),
        ({"name": "osakd", "k": 2.5}, "`k` must be a whole number, got 2.5"),
        ({"name": "osakd", "k": True}, "`k` must be a whole number, got True"),
        ({"name": "osakd", "k": "3"}, "`k` must be a whole number, got '3'"),
        ({"name": "osakd", "soft_weight": float("nan")}, "`soft_weight` must be a finite number, got nan"),
        ({"name": "osakd", "include_self": 1}, "`include_self` must be true or false, got 1"),
        ({"name": "label-smoothing", "smoothing": None}, "`smoothing` must be a finite number, got None"),
    ],
)
def test_values_out_of_their_range(method: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve_method(method)


@pytest.mark.parametrize(("size", "words"), [(150, []), (300, []), (301, ["take a `queue_size` of 150 at most"])])
def test_a_queue_that_holds_images_twice_is_warned_of(size: int, words: list[str]) -> None:
    notes = resolve_method({"name": "osakd-queue", "queue_size": size})[1].notes(64, [60] * 10)
    assert len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes, strict=True))
