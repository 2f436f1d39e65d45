"""Tables and figures beside the page: Markdown, LaTeX, CSV, PDF, SVG, PNG; equal for equal records."""

import csv
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from osakd.api.reports import recorded_columns
from osakd.plan import Cell
from osakd.records import RESULT
from osakd.report.text import column_text, panels_text
from osakd.report.write import write_report
from tests.report.made import DATA, column_of, make_comparison, make_run, planned, read


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_comparison(tmp_path_factory.mktemp("runs") / "mine", {"plain": 0.0, "osakd-8nn": 0.02})


@pytest.fixture(scope="module")
def out(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    write_report("mine", recorded_columns(runs), folder)
    return folder


def files(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_the_files_and_that_they_are_equal_for_equal_records(runs: Path, out: Path, tmp_path: Path) -> None:
    write_report("mine", recorded_columns(runs), tmp_path)
    assert files(tmp_path) == files(out)
    figures = [f"figures/comparison-mine.{kind}" for kind in ("pdf", "png", "svg")]
    assert list(files(out)) == [*figures, "report.html", "tables.csv", "tables.md", "tables.tex"]
    assert (out / figures[0]).read_bytes().startswith(b"%PDF")
    assert (out / figures[1]).read_bytes().startswith(b"\x89PNG")


def test_several_columns_are_panels_of_one_picture(runs: Path, tmp_path: Path) -> None:
    (column,) = recorded_columns(runs)
    columns = [replace(column, name=name) for name in ("first", "second", "third")]
    said = panels_text("figure", columns, tmp_path, draw=True)
    assert said == f"All of them: {tmp_path / 'figure.svg'}, {tmp_path / 'figure.png'}."
    picture = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert [picture.count(f"{name}, lenet, 3 epochs") for name in ("first", "second", "third")] == [1, 1, 1]
    assert picture.count("osakd-8nn (n = 3)") == 3
    assert (
        panels_text("figure", columns, tmp_path, draw=False) == panels_text("one", [column], tmp_path, draw=True) == ""
    )
    assert not (tmp_path / "one.svg").exists()


def test_every_value_is_in_the_csv_exactly(runs: Path, out: Path) -> None:
    with (out / "tables.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["experiment", "column", "method", "seed", "epochs", "fraction", "quantity", "value"]
    for run in runs.glob("*-seed*"):
        label, _, seed = run.name.rpartition("-seed")
        result = json.loads((run / RESULT).read_text())
        own = {row["quantity"]: float(row["value"]) for row in rows if (row["method"], row["seed"]) == (label, seed)}
        assert own["last"] == result["last"]["test"]["accuracy"]
        assert own["best_on_test"] == result["best_on_test"]["accuracy"]
        assert own["nll"] == result["last"]["test"]["nll"]
        assert (own["memory_mib"], own["seconds"]) == (7.0, 12.5)
    assert {(row["epochs"], row["fraction"]) for row in rows} == {("3", "1.0")}


def test_what_validation_chose_is_in_the_csv(tmp_path: Path) -> None:
    """The best validation accuracy, not the last epoch's, and the test accuracy of its epoch."""
    make_run(tmp_path / "runs/plain-seed0", [0.5, 0.7, 0.6], validation=0.1, fraction=0.5)
    write_report("x", recorded_columns(tmp_path / "runs"), tmp_path / "out")
    lines = (tmp_path / "out/tables.csv").read_text(encoding="utf-8").splitlines()
    assert f"comparison,runs,plain,0,3,0.5,validation,{0.7 + 0.01}" in lines
    assert "comparison,runs,plain,0,3,0.5,chosen_on_validation,0.7" in lines


def test_markdown(out: Path) -> None:
    text = (out / "tables.md").read_text(encoding="utf-8")
    assert text.startswith("# mine\n\n## comparison, mine\n\ncifar10 (50,000 + 10,000 images")
    assert (
        "| osakd-8nn | 3 | 3 | 62.10 ± 0.10 | 60.19 ± 0.19 | - | +2.00 [+2.00, +2.00] | +2.04 [+1.94, +2.14] |" in text
    )
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines[:4]}) == 1


def test_names_are_not_mathematics(tmp_path: Path) -> None:
    """Between two dollar signs matplotlib would read a formula, and stop at what is none."""
    label = r"$\frac{$a^_$b"
    make_run(tmp_path / f"runs/{label}-seed0", [0.5], data=DATA | {"name": r"a$\x{$b"})
    write_report("x", recorded_columns(tmp_path / "runs"), tmp_path / "out")
    drawn = (tmp_path / "out/figures/comparison-runs.svg").read_text(encoding="utf-8")
    assert f"{label} (n = 1)" in drawn
    assert r"a$\x{$b (50,000" in drawn


def test_a_figure_says_that_it_is_of_fewer_images(tmp_path: Path) -> None:
    make_run(tmp_path / "runs/plain-seed0", [0.5, 0.6], fraction=0.1)
    write_report("x", recorded_columns(tmp_path / "runs"), tmp_path / "out")
    drawn = (tmp_path / "out/figures/comparison-runs.svg").read_text(encoding="utf-8")
    assert "lenet, 2 epochs, 10 % of the training images" in drawn


def test_the_curves_in_words_say_what_is_smaller_and_missing(tmp_path: Path) -> None:
    runs = [read(make_run(tmp_path / "plain-seed0", [0.5, 0.6], fraction=0.1))]
    cells = [Cell("plain", "plain"), Cell("osakd-8nn", "osakd")]
    column = column_of(runs, planned("x", cells, seeds=5, epochs=100))
    text = column_text(column, "curves")
    assert "| plain | 1 (1 of 5 seeds, 2 of 100 epochs, 10 % of the images) | " in text
    assert text.endswith("Missing: 9 of 10 runs.")
    drawn = column_text(column, "curves", tmp_path / "drawn")
    assert f"Drawn in {tmp_path}/drawn/curves.svg, {tmp_path}/drawn/curves.png." in drawn
    assert (tmp_path / "drawn/curves.svg").exists()


def test_latex(out: Path) -> None:
    text = (out / "tables.tex").read_text(encoding="utf-8")
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(rf"\{rule}") == 2
    assert r"osakd-8nn & 3 & 3 & 62.10 $\pm$ 0.10 & 60.19 $\pm$ 0.19 & - &" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    columns = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", text)
    assert [row.count(" & ") + 1 for row in rows[:3]] == [len(columns[0])] * 3
    # What has a meaning of LaTeX's is escaped, and mathematics opens and closes.
    assert not re.search(r"(?<!\\)[%#_^~]", text.partition("\n")[2])
    assert text.count("$") % 2 == 0
    assert text.isascii()
