"""A comparison from runs to table and picture."""

import json
from pathlib import Path
from typing import Any

import pytest

import osakd
from osakd import InputError, RunError
from osakd.api import IncompleteError
from osakd.cli.main import main
from osakd.records import SUMMARY, read_result
from osakd.report.layout import read_panels
from osakd.report.tables.results import comparison_table
from osakd.runner.progress import Progress
from tests.needs import leaf

SMALL: dict[str, Any] = {"methods": ["plain", {"name": "osakd", "k": 4}], "seeds": 3, "epochs": 4, "processes": 1}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparison")
    osakd.compare("digits", out=folder, **SMALL)
    return folder


def test_every_value_is_in_the_summary(comparison: Path) -> None:
    summary = json.loads((comparison / SUMMARY).read_text())
    plain, ours = summary["methods"]
    assert (plain["label"], ours["label"], ours["seeds"]) == ("plain", "osakd-4nn", [0, 1, 2])
    for method in (plain, ours):
        results = [read_result(comparison / f"{method['label']}-seed{seed}") for seed in range(3)]
        assert method["values"]["last"] == [result.last["test"]["accuracy"] for result in results if result]
        assert method["values"]["best_on_test"] == [result.best_on_test["accuracy"] for result in results if result]
        assert len(method["curves"]) == 3
        assert all(len(curve) == 4 for curve in method["curves"])


def test_it_ends_with_the_report_that_osakd_report_writes(comparison: Path, tmp_path: Path) -> None:
    path = osakd.write_report(comparison, out=tmp_path)
    assert path == tmp_path / "report.html"
    assert path.read_bytes() == (comparison / "report.html").read_bytes()
    assert ">osakd-4nn<" in next((tmp_path / "figures").glob("*.svg")).read_text()
    assert next((tmp_path / "figures").glob("*.png")).read_bytes().startswith(b"\x89PNG")
    assert not list(comparison.glob("*.png"))


def test_the_same_again_runs_nothing_and_gives_the_same(comparison: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in comparison.rglob("*") if path.is_file()}
    looks: list[list[Progress]] = []
    osakd.compare("digits", out=comparison, on_progress=looks.append, **SMALL)
    assert [len(states) for states in looks] == [6]
    for path, (time, content) in before.items():
        assert path.read_bytes() == content
        if path.parent != comparison:
            assert path.stat().st_mtime_ns == time


def test_what_is_missing_is_run(comparison: Path, tmp_path: Path) -> None:
    for folder in comparison.glob("*-seed0"):
        (tmp_path / folder.name).mkdir()
        for path in folder.iterdir():
            (tmp_path / folder.name / path.name).write_bytes(path.read_bytes())
    (tmp_path / "plain-seed0/result.json").unlink()
    again = osakd.compare("digits", out=tmp_path, **(SMALL | {"seeds": [0]}))
    methods = again.summary["methods"]
    assert [method["spreads"]["last"]["std"] for method in methods] == [None, None]
    assert methods[1]["differences"]["last"]["low"] is None
    assert "±" not in again.table()


def test_the_table_is_of_the_deployed_networks(comparison: Path) -> None:
    table = comparison_table(read_panels(comparison, [])[0])
    assert table.head[:6] == ["method", "n", "accuracy %", "vs plain [95 % CI]", "NLL", "ECE %"]
    methods = json.loads((comparison / SUMMARY).read_text())["methods"]
    assert set(methods[0]["spreads"]) >= {"deployed", "deployed_nll", "deployed_ece", "validation"}
    for row, method in zip(table.cells, methods, strict=True):
        results = [read_result(comparison / f"{row[0]}-seed{seed}") for seed in method["seeds"]]
        mean = sum(result.deployed["test"]["accuracy"] for result in results) / len(results)
        assert row[1:3] == [str(len(results)), f"{100 * mean:.2f} ± {100 * method['spreads']['deployed']['std']:.2f}"]


def test_another_configuration_is_refused_before_anything_runs(comparison: Path) -> None:
    with pytest.raises(InputError, match=r"has a run of another configuration \(.*batch_size: 64, not 32"):
        osakd.compare("digits", out=comparison, batch_size=32, **SMALL)


def test_one_bad_run_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "osakd-4nn-seed1").mkdir(parents=True)
    (tmp_path / "osakd-4nn-seed1/other.txt").write_text("not a run")
    with pytest.raises(IncompleteError, match=r"1 of 6 runs failed, osakd-4nn-seed1 among them; .* is not empty") as it:
        osakd.compare("digits", out=tmp_path, **(SMALL | {"epochs": 1}))
    assert [path.name for path in (tmp_path / "osakd-4nn-seed1").iterdir()] == ["other.txt"]
    assert "| osakd-4nn | 2 |" in it.value.comparison.table()
    summary = json.loads((tmp_path / SUMMARY).read_text())
    assert [method["spreads"]["last"]["n"] for method in summary["methods"]] == [3, 2]
    assert summary["methods"][1]["differences"]["last"]["n"] == 2
    words = ["--epochs", "1", "--seeds", "2", "--methods", "plain", '{"name": "osakd", "k": 4}', "--processes", "1"]
    assert main(["compare", "--out", str(tmp_path), *words]) == 1
    printed = capsys.readouterr()
    assert "osakd-4nn" in printed.out  # the table of the others comes first
    assert printed.err.startswith("osakd: 1 of 4 runs failed")


def test_when_every_run_fails_the_reason_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="The loss is not finite"):
        osakd.compare("digits", methods=["plain"], seeds=1, epochs=1, learning_rate=1e39, processes=1, out=tmp_path)


@pytest.fixture
def random_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network that draws random numbers: it cannot be fused."""
    (tmp_path / "dropout_model.py").write_text(
        "from torch import nn\n"
        "def net(num_classes, input_shape):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(64, num_classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    return "dropout_model:net"


@leaf("native")
@pytest.mark.compiler
def test_auto_fuses_what_it_can_and_runs_the_rest_one_by_one(tmp_path: Path, random_model: str) -> None:
    options: dict[str, Any] = {"methods": ["plain", "osakd"], "seeds": 2, "epochs": 1, "processes": 1}
    together = osakd.compare("digits", out=tmp_path / "a", **options).summary
    assert [e["executor"].partition("/")[0] for e in together["environments"]] == ["fused"]
    alone = osakd.compare("digits", out=tmp_path / "b", model=random_model, **options).summary
    assert [environment["executor"] for environment in alone["environments"]] == ["serial"]
    assert [len(method["seeds"]) for method in alone["methods"]] == [2, 2]


def test_serial_on_request_gives_what_train_gives(tmp_path: Path) -> None:
    options: dict[str, Any] = {"methods": ["plain"], "seeds": 2, "epochs": 2, "processes": 1, "executor": "serial"}
    osakd.compare("digits", out=tmp_path / "a", **options)
    osakd.train("digits", seed=1, epochs=2, out=tmp_path / "b")
    student = "student.safetensors"
    assert (tmp_path / "a/plain-seed1" / student).read_bytes() == (tmp_path / "b" / student).read_bytes()


def test_fused_on_request_is_refused_where_it_cannot_be(tmp_path: Path, random_model: str) -> None:
    with pytest.raises(InputError, match=r"These networks cannot be fused \(.*channels: Dropout"):
        osakd.compare("digits", methods=["plain"], seeds=2, epochs=1, model=random_model, executor="fused")


def test_no_methods_and_no_seeds() -> None:
    with pytest.raises(InputError, match="Give at least one method"):
        osakd.compare("digits", methods=[])
    with pytest.raises(InputError, match="`seeds` must be at least 1, got 0"):
        osakd.compare("digits", seeds=[])
    with pytest.raises(InputError, match="Seed 3 is given twice"):
        osakd.compare("digits", seeds=[3, 3])
