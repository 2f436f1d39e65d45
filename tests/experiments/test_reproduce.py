"""A table of the paper: what is missing is run, what is recorded is shown beside the paper's."""

import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

import osakd
from osakd import InputError, RunError
from osakd.cli.main import main
from osakd.data.sources import load_data
from osakd.engine.config import Options, configure
from osakd.experiments import catalogue, cost
from osakd.experiments.table1 import TABLE1
from osakd.plan import Experiment, Panel, PanelMethod, Published
from osakd.records import read_config, write_config
from osakd.runs import read_runs
from tests.report.made import make_run

RECORDS = Path(__file__).parents[2] / "records"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of one panel on digits."""
    cells = (PanelMethod("plain", "plain", Published(50.0, 1.0)), PanelMethod("ours", {"name": "osakd", "k": 4}))
    panel = Panel("digits", "digits", 2, cells, seeds=3, options={"batch_size": 32})
    table = Experiment("small", "A small table", (panel, replace(panel, name="other", data="other")))
    monkeypatch.setitem(catalogue.EXPERIMENTS, "small", table)


@pytest.mark.usefixtures("small")
def test_what_is_missing_is_run_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reproduce", "small", "--data", "digits", "--out", str(tmp_path), "--processes", "1"]
    assert main([*words, "--dry-run"]) == 0
    assert "| plain | 0 | - | - | 50.00 ± 1.00 | not run | - | - |" in capsys.readouterr().out
    assert main([*words, "--seeds", "2", "--epochs", "1", "--executor", "serial"]) == 0
    text = capsys.readouterr().out
    assert "too few runs (2 of 3 seeds, 1 of 2 epochs)" in text
    assert "Missing: 2 of 6 runs." in text
    assert "not in the paper" in text
    config = read_config(tmp_path / "small/digits/ours-seed1")
    assert (config.epochs, config.batch_size, config.settings["k"]) == (1, 32, 4)


@pytest.mark.usefixtures("small")
def test_names_that_are_not_there() -> None:
    with pytest.raises(InputError, match="Unknown experiment 'smal'; did you mean 'small'"):
        osakd.reproduce("smal")
    with pytest.raises(InputError, match="Unknown data set of small 'cifar100'"):
        osakd.reproduce("small", data=["cifar100"])
    with pytest.raises(InputError, match="Unknown data set of small 'digit'; did you mean 'digits'"):
        osakd.reproduce("small", data="digit")
    with pytest.raises(InputError, match="Name at least one data set of small"):
        osakd.reproduce("small", data=[])
    with pytest.raises(InputError, match="The data set 'digits' is given twice"):
        osakd.reproduce("small", data=["digits", "some/digits"])


@pytest.mark.usefixtures("small")
def test_panels_and_methods_are_chosen_by_name(tmp_path: Path) -> None:
    names = ["small", "--data", "digits", "--panels", "digits", "--methods", "ours", "--seeds", "1", "--epochs", "1"]
    assert main(["reproduce", *names, "--out", str(tmp_path), "--processes", "1"]) == 0
    assert [run.name for run in (tmp_path / "small/digits").glob("*-seed*")] == ["ours-seed0"]
    with pytest.raises(InputError, match="Unknown panel of small 'digit'; did you mean 'digits'"):
        osakd.reproduce("small", panels="digit")
    with pytest.raises(InputError, match="Unknown method of small 'our'; did you mean 'ours'"):
        osakd.reproduce("small", methods=["our"])


@pytest.mark.usefixtures("small")
def test_a_dry_run_says_where_there_are_no_records(tmp_path: Path) -> None:
    text = osakd.reproduce("small", data=["digits"], out=tmp_path / "none", dry_run=True).text
    assert f"There is no folder {str(tmp_path / 'none')!r}: name that of the records with --out." in text
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file: name the folder of the records with --out"):
        osakd.reproduce("claims", out=tmp_path / "file")


@pytest.mark.usefixtures("small")
def test_a_column_without_data_does_not_hide_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", "digits", str(tmp_path / "other"), "--seeds", "1", "--epochs", "1", "--processes", "1"]
    assert main(["reproduce", "small", "--out", str(tmp_path), *words]) == 1
    text = capsys.readouterr().out
    assert "Failed: other: The data folder" in text
    assert "| plain | 1 |" in text
    with pytest.raises(InputError, match="does not exist: check the path"):
        osakd.reproduce("small", data=[str(tmp_path / "other")], out=tmp_path)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seeds": 0}, "`seeds` must be at least 1, got 0."),
        ({"seeds": 1.5}, "`seeds` must be a whole number, got 1.5."),
        ({"seeds": []}, "`seeds` must be at least 1, got 0."),
        ({"processes": 0}, "`processes` must be at least 1, got 0."),
        ({"epochs": 0}, "`epochs` must be at least 1, got 0."),
    ],
)
def test_values_out_of_their_range(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    for dry_run in (False, True):
        with pytest.raises(InputError, match=re.escape(message)):
            osakd.reproduce("small", data=["digits"], out=tmp_path, dry_run=dry_run, **given)


@pytest.mark.usefixtures("small")
def test_runs_of_other_images_are_not_taken_together(tmp_path: Path) -> None:
    run = osakd.train("digits", epochs=1, fraction=0.5, batch_size=32, out=tmp_path / "small/digits/plain-seed7")
    config = read_config(run.folder)
    write_config(run.folder, replace(config, data=config.data | {"content": "0" * 16}))
    with pytest.raises(InputError, match=r"plain-seed7' is of other images \(content 00000000, not "):
        osakd.reproduce("small", data=["digits"], out=tmp_path, seeds=1)


@pytest.mark.usefixtures("small")
def test_damaged_and_left_out_runs_are_said_beside_the_table(tmp_path: Path) -> None:
    """A run that cannot be read hides no other, nor does a longer one without a word."""
    options: dict[str, Any] = {"data": ["digits"], "out": tmp_path, "processes": 1}
    osakd.reproduce("small", seeds=[0], epochs=1, **options)
    osakd.reproduce("small", seeds=[1], epochs=2, **options)
    (tmp_path / "small/digits/ours-seed1/metrics.jsonl").write_text(
        (tmp_path / "small/digits/ours-seed1/metrics.jsonl").read_text().replace('"accuracy": 0.', '"accuracy": "')
    )
    (tmp_path / "small/digits/ours-seed0/config.json").unlink()
    assert osakd.reproduce("small", dry_run=True, **options).failed == {}  # they are packed too
    (tmp_path / "small/digits.jsonl").unlink()
    found = osakd.reproduce("small", dry_run=True, **options)
    assert "| plain | 1 | 2 | " in found.text
    assert "1 run of another length (1 epoch) is left out: plain-seed0." in found.text
    assert "Failed: ours-seed0: " in found.text
    assert sorted(found.failed) == ["ours-seed0", "ours-seed1"]
    assert "has no config.json" in found.failed["ours-seed0"]
    assert "metrics.jsonl' is damaged" in found.failed["ours-seed1"]


@pytest.mark.usefixtures("small")
def test_packed_runs_are_finished_and_new_ones_are_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "small/digits"
    seen: list[set[str]] = []
    options: dict[str, Any] = {"data": ["digits"], "out": tmp_path, "processes": 1, "epochs": 1}
    options["on_progress"] = lambda states: seen.append({state.plan.folder.name for state in states})
    osakd.reproduce("small", seeds=1, **options)
    shutil.rmtree(folder)
    seen.clear()
    text = osakd.reproduce("small", seeds=2, **options).text
    assert set().union(*seen) == {"plain-seed1", "ours-seed1"}
    assert "| plain | 2 | 1 | " in text
    assert [run.folder.name for run in read_runs(folder.with_suffix(".jsonl"))] == [
        f"{label}-seed{seed}" for label in ("ours", "plain") for seed in (0, 1)
    ]
    seen.clear()
    content = folder.with_suffix(".jsonl").read_bytes()
    assert osakd.reproduce("small", seeds=2, **options).text == text
    assert (seen, folder.with_suffix(".jsonl").read_bytes()) == ([], content)
    osakd.reproduce("small", methods="plain", seeds=1, **(options | {"epochs": 2}))  # more epochs: trained anew
    assert {run.folder.name: run.curve.epoch for run in read_runs(folder)}["plain-seed0"] == 2
    shutil.rmtree(folder)
    panel = catalogue.EXPERIMENTS["small"].panels[0]
    slow = replace(panel, options={"batch_size": 32, "learning_rate": 1e-9})
    monkeypatch.setitem(catalogue.EXPERIMENTS, "small", replace(catalogue.EXPERIMENTS["small"], panels=(slow,)))
    with pytest.raises(InputError, match=r"'plain-seed1' is packed with another configuration \(.*learning_rate"):
        osakd.reproduce("small", methods="plain", seeds=[1], **options)


@pytest.mark.usefixtures("small")
def test_a_damaged_packed_file_stops_before_anything_is_trained(tmp_path: Path) -> None:
    make_run(tmp_path / "small/digits/plain-seed5", [0.5])
    (packed,) = osakd.pack(tmp_path / "small/digits")
    shutil.rmtree(tmp_path / "small/digits")
    with pytest.raises(InputError, match=r"digits\.jsonl' has runs of other images \(content 01234567, not"):
        osakd.reproduce("small", data="digits", out=tmp_path)
    packed.file.write_bytes(packed.file.read_bytes().replace(b"0.5", b"0.6"))
    with pytest.raises(RunError, match=r"Line 2 of .*digits\.jsonl' is damaged"):
        osakd.reproduce("small", data="digits", out=tmp_path)
    assert not (tmp_path / "small/digits").exists()


@pytest.mark.usefixtures("small")
def test_a_figure_is_drawn_from_the_table_s_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = catalogue.EXPERIMENTS["small"].panels[:1]
    monkeypatch.setitem(catalogue.EXPERIMENTS, "figure", Experiment("figure", "A figure", columns, "curves", "small"))
    assert "Nothing is recorded yet." in osakd.reproduce("figure", out=tmp_path, dry_run=True).text
    osakd.reproduce("small", data=["digits"], out=tmp_path, seeds=1, processes=1)
    text = osakd.reproduce("figure", out=tmp_path, dry_run=True).text
    assert not (tmp_path / "figure").exists()  # a dry run writes nothing
    assert "Drawn in" not in text
    drawn = osakd.reproduce("figure", data=["digits"], out=tmp_path, seeds=1, processes=1).text
    assert {path.name for path in (tmp_path / "figure/digits").iterdir()} >= {"curves.svg", "curves.png"}
    assert f"Drawn in {tmp_path / 'figure/digits/curves.svg'}" in drawn
    assert "| method | n | epoch 0 |" not in text
    assert text.count("| plain | 1 (1 of 3 seeds) |") == 1


def test_the_cost_is_counted_beside_the_paper_s(tmp_path: Path) -> None:
    """ResNet-32 has 68.9 million multiply-accumulates, with ResNet-110 321.8; two branches cost less than twice."""
    text = osakd.reproduce("cost", out=tmp_path, dry_run=True).text
    rows = [line.split(" | ")[1:] for line in text.splitlines() if " | " in line]
    assert rows[2] == ["0.07 GFLOPs", "0.069 G MACs", "reproduced |"]
    assert rows[3] == ["0.33 GFLOPs", "0.322 G MACs", "0.32 here |"]
    assert [row[1:] for row in rows[7:9]] == [["1.33 times", "does not hold |"]] * 2
    assert text.endswith("No step is timed yet: leave out --dry-run.")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"`reproduce cost` trains nothing: leave out seeds, device."):
        osakd.reproduce("cost", seeds=3, device="cpu", executor="auto")


def test_columns_of_other_lengths_leave_no_run_out_of_the_claims(tmp_path: Path) -> None:
    """CIFAR-10 with 100 epochs, Fashion-MNIST with 40: each is whole in itself."""
    for panel, epochs in (("cifar10", 100), ("fashion_mnist", 40)):
        for label in ("plain", "osakd-paper-8nn", "osakd-paper-16nn", "label-smoothing"):
            for seed in range(3):
                accuracies = [0.5 + 0.001 * seed + 0.01 * (epoch % 7) for epoch in range(epochs)]
                make_run(tmp_path / "table1" / panel / f"{label}-seed{seed}", accuracies)
    text = osakd.reproduce("claims", out=tmp_path).text
    assert "40 of 100 epochs" in text
    assert "another length" not in text


def test_the_recorded_counts_are_today_s() -> None:
    recorded = json.loads((RECORDS / "cost.json").read_text())
    assert recorded["figures"] == [asdict(one) for one in cost.counted()]
    steps = [(one["network"], list(one["seconds_per_step"])) for one in recorded["steps"]]
    assert steps == [(one.network, list(one.methods)) for one in cost.TIMINGS]


def test_the_steps_of_the_cost_are_timed_recorded_and_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With small networks in place of ResNet-32 and LeNet; the teacher of KD too."""
    small = [replace(one, model="resnet8", batch_size=32, rounds=1, steps=1) for one in cost.TIMINGS]
    monkeypatch.setattr(cost, "MODEL", "resnet8")
    monkeypatch.setattr(cost, "TIMINGS", small)
    text = osakd.reproduce("cost", out=tmp_path).text
    heads = [f"{one.network}, batch 32: step ms" for one in small]
    head, _, *rows = text[text.index("| method |") :].partition("\n\n")[0].splitlines()
    assert head == f"| method | {' | '.join(heads)} |"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    for number, one in enumerate(small, 1):
        times = {label: own[number - 1] for label, *own in cells}
        assert {label for label, cell in times.items() if cell != "-"} == set(one.methods)
        assert re.fullmatch(r"\d+\.\d", times.pop("plain"))
        assert all(re.fullmatch(r"\d+\.\d \(\d+\.\d\d times\)|-", cell) for cell in times.values())
    assert osakd.reproduce("cost", out=tmp_path, dry_run=True).text == text
    osakd.train("digits", epochs=1, out=tmp_path / "mine/plain-seed0")
    page = osakd.write_report(tmp_path).read_text(encoding="utf-8")
    for written in (page, *((tmp_path / f"tables.{kind}").read_text(encoding="utf-8") for kind in ("md", "tex"))):
        assert heads[-1] in written
        assert "osakd-paper-8nn" in written
    recorded = json.loads((tmp_path / "cost.json").read_text())
    recorded["steps"][0]["seconds_per_step"]["plain"] = []
    for damaged in ({"figures": 3}, recorded):
        (tmp_path / "cost.json").write_text(json.dumps(damaged))
        with pytest.raises(RunError, match=r"cost\.json"):
            osakd.write_report(tmp_path)


def test_the_paper_s_table_one() -> None:
    """Its numbers as the paper prints them: mean and standard deviation of every cell."""
    cells = [(c.data, cell.label, cell.published) for c in TABLE1.panels for cell in c.methods if cell.published]
    assert len(cells) == 16
    assert cells[1] == ("cifar10", "osakd-paper-8nn", Published(66.734, 0.086))
    assert cells[-1] == ("tiny_imagenet", "osakd-paper-16nn", Published(31.916, 0.982))


@pytest.mark.parametrize("name", catalogue.EXPERIMENTS)
def test_every_cell_of_every_experiment_can_be_configured(name: str) -> None:
    """Its methods and options are known and in their ranges; digits stand for the images."""
    arrays = load_data("digits")
    for panel in catalogue.EXPERIMENTS[name].panels:
        labels = [cell.label for cell in panel.methods]
        assert len(set(labels)) == len(labels)
        for cell in panel.methods:
            options = Options(
                **{"deploy": "last", "epochs": panel.epochs, "model": "resnet8", **panel.options, **cell.options}
            )
            assert configure(arrays, cell.method, 0, options).epochs == panel.epochs
