"""The cost of methods: known numbers, sums by hand, and what every method must satisfy."""

from pathlib import Path
from typing import Any

import pytest

import osakd
from osakd.engine.config import Options
from osakd.engine.cost import Cost, costs, shaped
from osakd.errors import InputError
from osakd.methods.registry import METHODS

MEMORY = {"name": "osakd", "pool": "memory"}
CIFAR10 = {"num_classes": 10, "input_shape": (3, 32, 32), "train": 50_000}


def cost(method: Any, model: str, *, epochs: int = 300, batch_size: int = 64, **shape: Any) -> Cost:
    options = Options(deploy="last", model=model, epochs=epochs, batch_size=batch_size)
    return costs(shaped(**(CIFAR10 | shape)), [method], options)[0]


def test_known_numbers_of_the_paper_s_networks() -> None:
    kd, osakd = costs(
        shaped(**CIFAR10), ["kd", "osakd"], Options(deploy="last", model="resnet32", epochs=300, batch_size=128)
    )
    assert osakd.deployed_macs == kd.deployed_macs == pytest.approx(68.9e6, rel=1e-3)
    assert osakd.flops == pytest.approx(412e6, rel=1e-3)
    assert kd.flops == pytest.approx(918e6, rel=1e-3)
    assert kd.passes == pytest.approx(1 + 252.9 / 68.9, rel=1e-3)
    assert kd.flops_before == pytest.approx(1516.4e6 * 300 * 50_000, rel=1e-4)
    assert kd.total_flops / osakd.total_flops == pytest.approx(5.9, abs=0.01)


def test_the_search_adds_much_to_a_small_network_and_little_to_a_large_one() -> None:
    shares = {}
    for model in ("lenet", "resnet32"):
        for method in ("osakd", MEMORY):
            found = cost(method, model)
            shares[model, str(method)] = found.search_flops / (found.flops - found.search_flops)
            assert found.relative == pytest.approx(1 + shares[model, str(method)])
    assert shares["lenet", str(MEMORY)] == pytest.approx(0.31, abs=0.01)
    assert shares["resnet32", str(MEMORY)] == pytest.approx(0.0024, abs=0.0001)
    assert 0 < shares["resnet32", "osakd"] < shares["lenet", "osakd"] < 0.001


def test_a_small_memory_is_searched_as_a_batch_is() -> None:
    assert cost(MEMORY, "resnet8", train=600).search_flops == 3 * 600 * 10
    assert cost("osakd", "resnet8", batch_size=32).search_flops == 3 * 32 * 10
    # A batch is never larger than the training set.
    assert cost("osakd", "resnet8", train=20).search_flops == 3 * 20 * 10


def test_every_method_has_a_row_and_deploys_the_plain_network() -> None:
    data = shaped(num_classes=10, input_shape=(3, 16, 16), train=1000)
    methods = [{"name": "kd", "teacher": "resnet20"} if name == "kd" else name for name in METHODS]
    rows = costs(data, methods, Options(deploy="last", model="resnet8", epochs=4, batch_size=32))
    plain = rows[0]
    assert len(rows) == len(METHODS)
    assert plain.label == "plain"
    assert plain.relative == plain.passes == 1
    assert plain.kept_bytes == plain.flops_before == plain.search_flops == plain.products_elsewhere == 0
    for row in rows:
        assert (row.deployed_parameters, row.deployed_macs) == (plain.deployed_parameters, plain.deployed_macs)
        assert row.trained_parameters >= plain.trained_parameters == 75_290
        assert row.relative == pytest.approx(row.total_flops / plain.total_flops)
        assert row.relative >= 1


def test_peers_copies_and_generations_by_hand() -> None:
    two, three, stale, born, grandchild, halves, plain = costs(
        shaped(**CIFAR10),
        [
            "dml",
            {"name": "dml", "peers": ["resnet8", "resnet8"]},
            "codistillation",
            "born-again",
            {"name": "born-again", "generations": 2},
            "srdl",
            "plain",
        ],
        Options(deploy="last", model="resnet8", epochs=10, batch_size=64),
    )
    once, forward = plain.total_flops, 2 * plain.deployed_macs * 10 * 50_000
    assert (two.passes, two.relative) == (2, 2)
    assert (three.passes, three.relative) == (3, 3)
    assert (stale.passes, stale.total_flops) == (4, 2 * once + 2 * forward)
    assert born.total_flops == 2 * once + forward
    assert born.flops_before == once
    assert grandchild.total_flops == 3 * once + 2 * forward
    assert halves.total_flops == once + forward / 2
    assert halves.flops_before == once / 2


def test_what_is_kept_beside_what_trains() -> None:
    reliability = 7 * 10 * 4
    assert cost(MEMORY, "resnet8").kept_bytes == 50_000 * (10 * 4 + 8 + 1 + 8) + reliability
    assert cost("osakd", "resnet8").kept_bytes == reliability
    assert cost("osakd-queue", "resnet8").kept_bytes == reliability + 2049 * (2 * 10 * 4 + 1) + 8
    assert cost("osakd-paper", "resnet8").kept_bytes == 0
    # Weights, BatchNorm's statistics and counters, and the six numbers that scale the input.
    norms, widths = 1 + 2 * 3, 16 * 3 + 32 * 2 + 64 * 2
    copies = 75_290 * 4 + 2 * widths * 4 + norms * 8 + 6 * 4
    assert cost("born-again", "resnet8").kept_bytes == copies
    assert cost("codistillation", "resnet8").kept_bytes == 2 * copies
    # A later generation keeps all earlier ones, whose average is reported.
    assert cost({"name": "born-again", "generations": 2}, "resnet8").kept_bytes == 2 * copies


@pytest.mark.parametrize("classes", [2, 200])
def test_any_number_of_classes(classes: int) -> None:
    for method in ("osakd", MEMORY, "one"):
        found = cost(method, "resnet8", num_classes=classes)
        assert found.deployed_parameters == 75_290 + (classes - 10) * 65
        assert found.relative > 1


def test_branches_train_more_parameters() -> None:
    plain, one, ffl = (cost(method, "resnet8") for method in ("plain", "one", "ffl"))
    stage = 32 * 64 * 9 + 64 * 64 * 9 + 4 * 64
    head = stage + 65 * 10
    gate = 32 * 2 + 2 + 2 * 2
    assert one.trained_parameters == plain.trained_parameters + head + gate
    fusion = 128 * 9 + 2 * 128 + 128 * 64 + 2 * 64 + 65 * 10
    assert ffl.trained_parameters == plain.trained_parameters + head + fusion
    assert 1 < one.relative < ffl.relative < 2


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "costed_models.py").write_text(
        "from torch import nn\n"
        "class Attention(nn.Module):\n"
        "    def forward(self, x):\n"
        "        x = x.flatten(2)\n"
        "        return ((x @ x.mT) @ x).flatten(1)\n"
        "class Asks(nn.Flatten):\n"
        "    def forward(self, x):\n"
        "        return super().forward(x) * (2 if x.sum().item() > 0 else 1)\n"
        "def attention(num_classes, input_shape):\n"
        "    return nn.Sequential(Attention(), nn.Linear(3 * 64, num_classes))\n"
        "def asks(num_classes, input_shape):\n"
        "    return nn.Sequential(Asks(), nn.Linear(3 * 64, num_classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "costed_models"


def test_products_outside_of_layers_are_named(own_models: str) -> None:
    found = cost("plain", f"{own_models}:attention", input_shape=(3, 8, 8))
    assert found.deployed_macs == 3 * 64 * 10
    assert found.products_elsewhere == 2 * 3 * 3 * 64


def test_a_network_that_asks_for_values_is_refused(own_models: str) -> None:
    with pytest.raises(InputError, match="cannot be counted: a step asks for the values of tensors"):
        cost("plain", f"{own_models}:asks", input_shape=(3, 8, 8))


def test_a_teacher_is_given_by_the_name_of_its_network(tmp_path: Path) -> None:
    osakd.train("digits", epochs=1, fraction=0.2, out=tmp_path)
    with pytest.raises(InputError, match="from the name of its network: give that, not a run's folder"):
        cost({"name": "kd", "teacher": str(tmp_path)}, "lenet-digits", input_shape=(1, 8, 8))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"num_classes": 1}, "`num_classes` must be at least 2, got 1"),
        ({"input_shape": (3, 0, 32)}, "must be at least 1, got 3 0 32 and 50000"),
        ({"train": 0}, "must be at least 1, got 3 32 32 and 0"),
    ],
)
def test_shapes_that_cannot_be(shape: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        shaped(**(CIFAR10 | shape))
