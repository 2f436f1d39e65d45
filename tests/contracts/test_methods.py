"""What every method must satisfy, as a whole run on digits: it learns, resumes bit for bit in any stage, deploys the
plain network. A new method passes through here once registered."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

import osakd
from osakd.data.sources import load_data
from osakd.engine.build import balanced_weights, build
from osakd.engine.config import Options, configure
from osakd.engine.evaluate import to_floats
from osakd.errors import InputError
from osakd.methods.base import Batch
from osakd.methods.registry import METHODS
from osakd.models.build import build_model
from osakd.records import read_config, read_metrics, read_result
from tests.contracts.replicas import CPU, method_of
from tests.engine.runs import StopAt, curve

GENERATIONS = {"name": "born-again", "generations": 2}
# With Hinton's weighting, in which the classes count for a tenth, 30 steps are not enough for half of the images.
WHOLE: list[Any] = [
    *(name for name in METHODS if name != "kd"),
    {"name": "kd-additive", "teacher": "resnet8"},
    GENERATIONS,
    {"name": "dml", "peers": ["resnet20", "resnet8-conv"]},
    {"name": "ffl", "shared": False, "peer": "resnet8-conv"},
]
# The tests of one method share its run, so they go to one worker.
each_method = pytest.mark.parametrize(
    "method", [pytest.param(method, marks=pytest.mark.xdist_group(str(method)), id=str(method)) for method in WHOLE]
)
EPOCHS = 3


def train(method: Any, out: Path, **more: Any) -> osakd.Run:
    """Three epochs in each stage, with the digits recipe, on the smallest network that has stages and BatchNorm."""
    epochs = 2 * EPOCHS if method == "srdl" else EPOCHS
    return osakd.train("digits", method=method, model="resnet8", epochs=epochs, out=out, crop=1, **more)


def stages(folder: Path) -> list[Path]:
    """The folders of all stages, the last one first."""
    return [folder, *(stages(folder / "teacher") if (folder / "teacher").exists() else [])]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every method's run, made when it is first asked for."""
    made: dict[str, Path] = {}

    def get(method: Any) -> Path:
        if str(method) not in made:
            made[str(method)] = tmp_path_factory.mktemp("run")
            train(method, made[str(method)])
        return made[str(method)]

    return get


@each_method
def test_every_stage_learns_and_is_recorded(finished: Any, method: Any) -> None:
    folders = stages(finished(method))
    name = method if isinstance(method, str) else method["name"]
    assert len(folders) == {"kd-additive": 2, "srdl": 2, "born-again": 2}.get(name, 1) + (method == GENERATIONS)
    for number, folder in enumerate(folders):
        config, result = read_config(folder), read_result(folder)
        assert config.stage == number
        assert len(read_metrics(folder)) == result.epochs == EPOCHS
        assert result.last["test"]["accuracy"] > 0.5
        assert result.cost["step_ms"] > 0
        assert result.cost["memory_mib"] > 0


@pytest.mark.usefixtures("checkpoint_every_epoch")
@each_method
def test_a_run_resumes_bit_for_bit_in_the_middle_of_any_stage(finished: Any, method: Any, tmp_path: Path) -> None:
    expected = stages(finished(method))
    for stage in range(len(expected)):
        out = tmp_path / str(stage)
        with pytest.raises(KeyboardInterrupt):
            train(method, out, callbacks=[StopAt(2, 5, stage=stage)])
        train(method, out, resume=True)
        for one, other in zip(expected, stages(out), strict=True):
            assert (one / "student.safetensors").read_bytes() == (other / "student.safetensors").read_bytes()
            assert curve(one) == curve(other)


@each_method
def test_the_plain_network_is_deployed_and_predicts_what_the_method_predicts(finished: Any, method: Any) -> None:
    folder = finished(method)
    network = osakd.load(folder)
    plain = build_model("resnet8", num_classes=10, input_shape=(1, 8, 8))
    assert {name: value.shape for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }
    config = read_config(folder)
    data = load_data("digits").view(config)
    trained = build(config, data, CPU, folder)
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    trained.load_own_state(state["method"] | state["average"])
    result = read_result(folder)
    assert result is not None
    assert result.deployed is not None
    images = to_floats(torch.from_numpy(data.test.images[:50]))
    with torch.no_grad():
        predicted = trained.eval().predict(images)
        logits = next(iter(predicted.values())) / result.deployed["temperature"]
        torch.testing.assert_close(logits, network(images), rtol=1e-5, atol=2e-5)
    assert osakd.evaluate(folder)["accuracy"] == pytest.approx(result.deployed_scores()["accuracy"], abs=2e-3)
    assert list(result.last.get("others", {})) == ["averaged", *list(predicted)[1:]]


@each_method
def test_the_state_makes_a_round_trip_and_holds_no_teacher(finished: Any, method: Any) -> None:
    folder = finished(method)
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert not any(name.startswith(("teacher.", "earlier.")) for name in saved["method"])
    assert saved["teacher"].startswith("teacher/student.safetensors ") == (folder / "teacher").exists()
    config = read_config(folder)
    built = build(config, load_data("digits").view(config), CPU, folder)
    built.load_own_state(copy.deepcopy(saved["method"]))
    assert all(torch.equal(value, saved["method"][name]) for name, value in built.own_state().items())


@each_method
def test_every_method_starts_from_plain_s_weights(method: Any, finished: Any) -> None:
    """So differences between methods are paired; and earlier stages start from others."""
    data = load_data("digits")
    starts = {}
    for name in ("plain", method):
        config = configure(data, name, 0, Options(deploy="last", model="resnet8", epochs=6))
        view = data.view(config)
        folder = finished(method) if name == method else Path()
        starts[str(name)] = build(config, view, CPU, folder).network.state_dict()
    assert all(torch.equal(value, starts["plain"][name]) for name, value in starts[str(method)].items())


@pytest.mark.xdist_group(str(GENERATIONS))
def test_stages_draw_their_own_random_numbers(finished: Any) -> None:
    folder = finished(GENERATIONS)
    curves = [json.dumps([row["train"]["total"] for row in read_metrics(one)][:1]) for one in stages(folder)]
    assert len(set(curves)) == 3


def loss(method: str, target: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    images = to_floats(torch.from_numpy(load_data("digits").train.images[:64]))
    batch = Batch(images, target, torch.arange(64), torch.tensor(0), torch.tensor(0.5))
    return method_of(method, 0, "staged", class_weights=weights)(batch).total


TARGET = torch.from_numpy(load_data("digits").train.target[:64])


@pytest.mark.parametrize("method", METHODS)
def test_every_cross_entropy_has_class_weights(method: str) -> None:
    weights = torch.arange(1.0, 11.0)
    assert not torch.isclose(loss(method, TARGET), loss(method, TARGET, weights), rtol=1e-3)
    assert "class_weights" not in method_of(method, 0, "staged", class_weights=weights).own_state()


@pytest.mark.parametrize("method", METHODS)
def test_a_method_takes_class_probabilities_or_refuses_mixed_images(method: str) -> None:
    if METHODS[method].settings.takes_mixed_images:
        assert torch.isclose(loss(method, TARGET), loss(method, torch.eye(10)[TARGET]))
    else:
        with pytest.raises(InputError, match="cannot learn from mixed images"):
            configure(load_data("digits"), method, 0, Options(mixup=0.2))


def test_balanced_weights_are_scikit_learn_s() -> None:
    target = np.repeat([0, 1, 2], [70, 20, 10])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=target)
    assert balanced_weights([70, 20, 10]).tolist() == pytest.approx(expected.tolist())
