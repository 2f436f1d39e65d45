"""Tables and figures beside the page: Markdown, LaTeX, CSV, PDF, SVG, PNG; equal for equal records."""

import csv
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from osakd.plan import PanelMethod
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.text import figure_text, panel_text
from osakd.report.write import write_report
from tests.report.made import DATA, panel_of, planned, run_of

ACCURACIES = {"plain": [0.6, 0.58], "osakd-8nn": [0.62, 0.6019]}


def made(**changes: object) -> RecordedPanel:
    runs = [
        run_of(label, seed, [0.5, best + 0.001 * seed, last + 0.001 * seed], **changes)
        for label, (best, last) in ACCURACIES.items()
        for seed in range(3)
    ]
    return replace(panel_of(runs), place="comparison", name="mine")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    write_report("mine", [made()], folder)
    return folder


def files(folder: Path) -> dict[str, str]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_the_files_and_that_they_are_equal_for_equal_records(out: Path, tmp_path: Path) -> None:
    write_report("mine", [made()], tmp_path)
    assert files(tmp_path) == files(out)
    figures = [f"figures/comparison-mine.{kind}" for kind in ("pdf", "png", "svg")]
    assert list(files(out)) == [*figures, "report.html", "tables.csv", "tables.md", "tables.tex"]
    assert (out / figures[0]).read_bytes().startswith(b"%PDF")
    assert (out / figures[1]).read_bytes().startswith(b"\x89PNG")


def test_several_panels_stand_in_one_picture(tmp_path: Path) -> None:
    panels = [replace(made(), name=name) for name in ("first", "second", "third")]
    assert f"{tmp_path / 'figure.svg'}, {tmp_path / 'figure.png'}, {tmp_path / 'figure.pdf'}" in figure_text(
        "figure", panels, tmp_path, draw=True
    )
    picture = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert [picture.count(f"{name}, lenet, 3 epochs") for name in ("first", "second", "third")] == [1, 1, 1]
    assert (picture.count(">osakd-8nn<"), picture.count("mean of 3 seeds")) == (1, 3)  # one legend
    assert figure_text("figure", panels, tmp_path, draw=False) == ""
    assert figure_text("one", panels[:1], tmp_path, draw=True) == ""
    assert not (tmp_path / "one.svg").exists()


def test_every_value_is_in_the_csv_exactly(tmp_path: Path) -> None:
    """Of validation the best accuracy, not the last epoch's, and the test accuracy of its epoch."""
    panel = panel_of([run_of("plain", 4, [0.5, 0.7, 0.6], validations=[0.1, 0.30000000000000004, 0.2], fraction=0.5)])
    write_report("x", [panel], tmp_path)
    with (tmp_path / "tables.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["experiment", "panel", "method", "seed", "epochs", "fraction", "quantity", "value"]
    assert {(row["method"], row["seed"], row["epochs"], row["fraction"]) for row in rows} == {
        ("plain", "4", "3", "0.5")
    }
    assert {row["quantity"]: row["value"] for row in rows} == {
        "deployed": "0.6", "deployed_nll": "1.4", "deployed_ece": "0.1",
            "last": "0.6", "best_on_test": "0.7", "best_epoch": "2", "nll": "1.4", "ece": "0.1", "step_ms": "2.5",
        "memory_mib": "7.0", "validation": "0.30000000000000004", "chosen_on_validation": "0.7", "seconds": "12.5",
    }  # fmt: skip


def test_markdown(out: Path) -> None:
    text = (out / "tables.md").read_text(encoding="utf-8")
    assert text.startswith("# mine\n\n## comparison, mine\n\ncifar10 (50,000 + 10,000 images")
    row = "| osakd-8nn | 3 | 60.29 ± 0.10 | +2.19 [+2.19, +2.19] |"
    assert row in text


def test_latex(out: Path) -> None:
    text = (out / "tables.tex").read_text(encoding="utf-8")
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(rf"\{rule}") == 1
    assert r"osakd-8nn & 3 & 60.29 $\pm$ 0.10 &" in text
    assert r"\label{tab:comparison-mine-Accuracy-calibration-and-cost}" in text
    assert DATA["content"][:8] not in text
    # What has a meaning of LaTeX's is escaped, and mathematics opens and closes.
    assert not re.search(r"(?<!\\)[%#_^~]", text.partition("\n")[2])
    assert text.count("$") % 2 == 0
    assert text.isascii()


def test_names_are_not_mathematics_and_a_share_of_the_images_is_named(tmp_path: Path) -> None:
    """Between two dollar signs matplotlib would read a formula, and stop at what is not one."""
    label = r"$\frac{$a^_$b"
    run = run_of(label, 0, [0.5, 0.6], data=DATA | {"name": r"a$\x{$b"}, fraction=0.1)
    write_report("x", [replace(panel_of([run]), name="runs")], tmp_path)
    drawn = (tmp_path / "figures/table1-runs.svg").read_text(encoding="utf-8")
    assert f">{label}<" in drawn
    assert r"a$\x{$b, lenet, 2 epochs, 10 % of the training images" in drawn


def test_the_curves_in_words_say_what_falls_short_and_is_missing(tmp_path: Path) -> None:
    methods = [PanelMethod("plain", "plain"), PanelMethod("osakd-8nn", "osakd")]
    panel = panel_of([run_of("plain", 0, [0.5, 0.6], fraction=0.1)], planned("x", methods, seeds=5, epochs=100))
    text = panel_text(panel, "curves", tmp_path / "drawn")
    assert "| plain | 1 (1 of 5 seeds, 2 of 100 epochs, 10 % of the images) | " in text
    assert "Missing: 9 of 10 runs." in text
    assert f"{tmp_path}/drawn/curves.svg, {tmp_path}/drawn/curves.png" in text
    assert (tmp_path / "drawn/curves.svg").exists()
    assert "Drawn" not in panel_text(panel, "curves")
