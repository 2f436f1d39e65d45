"""The page: whole in itself, escaped, complete, honest about what is missing; equal for equal records."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean, stdev

import pytest

from osakd.api.reports import read_panels
from osakd.records import write_error
from osakd.report.page.page import page
from osakd.report.statistics.panel import RecordedPanel
from osakd.report.statistics.scores import LAST
from osakd.report.tables.results import comparison_table
from tests.needs import leaf
from tests.report.made import DATA, OSAKD, make_comparison, make_run, panel_of, run_of

RECORDS = Path(__file__).parents[3] / "records"


class Page(HTMLParser):
    """What a page shows: the cells of its tables, its findings, every attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.findings: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self._into: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
            self._into = self.tables[-1][-1]
        elif ("class", "finding") in attrs:
            self.findings.append("")
            self._into = self.findings

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td", "p"):
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += data


def plain(text: str) -> str:
    """With a keyboard's signs for a typesetter's."""
    for sign, key in {"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{NO-BREAK SPACE}": " "}.items():
        text = text.replace(sign, key)
    return text


def read(folder: Path) -> Page:
    return Page(plain(page("x", read_panels(folder))))


@pytest.fixture(scope="module")
def table1() -> str:
    return page("table1", read_panels(RECORDS / "table1"))


def test_nothing_is_fetched_and_the_size_is_bounded(table1: str) -> None:
    assert len(table1.encode()) < 1_000_000
    assert not re.search(r"https?:|//[a-z]|@import|url\(", table1, re.IGNORECASE)
    found = Page(table1).attributes
    linked = [(tag, value) for tag, name, value in found if name in ("src", "href", "srcset", "data", "action")]
    assert linked
    assert all(tag == "a" and value.startswith("#") for tag, value in linked)
    assert "Content-Security-Policy" in table1


@leaf("experiments")
def test_the_table_is_what_the_committed_records_say(table1: str) -> None:
    """Every number computed again from the lines of the file."""
    head, *rows = Page(plain(table1)).tables[0]
    assert head[3:] == [
        *("best on test %", "paper %", "verdict", "best vs plain [95 % CI]", "last epoch %"),
        "last vs plain [95 % CI]",
    ]
    for cells, published in zip(rows[:3], ("64.73 ± 0.65", "66.73 ± 0.09", "65.97 ± 0.73"), strict=True):
        runs = [json.loads(line) for line in (RECORDS / "table1/cifar10.jsonl").read_text().splitlines()[1:]]
        runs = [run for run in runs if run["label"] == cells[0]]
        best = [100 * run["result"]["best_on_test"]["accuracy"] for run in runs]
        last = [100 * group["test.accuracy"][-1] for run in runs for group in run["curve"] if "test.accuracy" in group]
        assert cells[1:4] == [str(len(best)), "100", f"{fmean(best):.2f} ± {stdev(best):.2f}"]
        assert cells[4] == published
        assert cells[7] == f"{fmean(last):.2f} ± {stdev(last):.2f}"
    assert len(Page(table1).findings) == 5  # a verdict for each panel, run or not


@leaf("experiments")
def test_columns_not_run_say_so(table1: str) -> None:
    svhn = next(table for table in Page(plain(table1)).tables if table[1][4:5] == ["88.71 ± 0.31"])
    assert [row[5] for row in svhn[1:]] == ["not run"] * 4
    assert "Not run or not finished: 20 of 20 runs" in table1


def test_the_copy_of_the_images_is_named_where_it_was_used(table1: str, tmp_path: Path) -> None:
    make_run(tmp_path / "plain-seed0", [0.5])
    words = "The images are a JPEG copy of CIFAR-10"
    assert words in table1
    assert words not in page("x", read_panels(tmp_path))


def test_the_same_records_give_the_same_page(table1: str) -> None:
    assert page("table1", read_panels(RECORDS / "table1")) == table1


def test_failed_unfinished_and_smaller_runs_are_listed(tmp_path: Path) -> None:
    make_comparison(tmp_path, {"plain": 0.0})
    make_run(tmp_path / "osakd-8nn-seed0", [0.3, 0.4], finished=False, epochs=9)
    write_error(tmp_path / "osakd-8nn-seed1", "The loss is <not> finite.")
    make_run(tmp_path / "label-smoothing-seed0", [0.3], fraction=0.1)
    text = page("x", read_panels(tmp_path))
    assert "Runs: 4 finished, 1 unfinished, 1 failed." in text
    assert "osakd-8nn, seed 0: unfinished: epoch 2 of 9" in text
    assert "osakd-8nn, seed 1: failed: The loss is &lt;not&gt; finite." in text
    states = [row[-1] for table in Page(text).tables if table[0][-1] == "state" for row in table[1:]]
    assert states.count("finished") == 4
    assert "failed: The loss is <not> finite." in states
    (tmp_path / "small").mkdir()
    make_run(tmp_path / "small/plain-seed0", [0.3], fraction=0.1)
    assert "A smaller version: 10 % of the training images" in plain(page("x", read_panels(tmp_path / "small")))


def test_a_folder_without_a_finished_run(tmp_path: Path) -> None:
    make_run(tmp_path / "plain-seed0", [0.3], finished=False, epochs=9)
    text = page("x", read_panels(tmp_path))
    assert "No run has finished yet." in text
    assert "unfinished: epoch 1 of 9" in text


def test_names_are_escaped(tmp_path: Path) -> None:
    make_run(tmp_path / "<b>bold&-seed0", [0.5], data=DATA | {"name": "<i>"})
    text = page("<u>", read_panels(tmp_path))
    assert not re.search(r"<(b>bold|i>|u>)", text)
    assert "&lt;b&gt;bold&amp;" in text


def test_the_best_on_test_never_stands_alone() -> None:
    """Wherever it is a panel, the last epoch is another."""
    for table in read(RECORDS).tables:
        assert ("best on test %" in table[0]) <= ("last epoch %" in table[0])


def test_every_setting_and_environment_is_there(tmp_path: Path) -> None:
    make_comparison(tmp_path, {"plain": 0.0, "osakd-8nn": 0.0}, 2)
    text = page("x", read_panels(tmp_path))
    for words in (
        "<dt>learning_rate</dt><dd>0.001</dd>",
        "<dt>data.class_counts</dt><dd>10 x 5000</dd>",
        "commit abcdef",
    ):
        assert words in text
    (own,) = [table for table in Page(text).tables if table[0][-1] == "settings"]
    assert own[1] == ["plain", "0, 1", "method plain"]
    assert own[2] == ["osakd-8nn", "0, 1", "method osakd"]
    assert "<dt>method.k</dt><dd>8</dd>" in text


def test_what_differs_is_only_what_differs(tmp_path: Path) -> None:
    """Between runs that have a setting, not between those that have it and others; an environment has no nulls."""
    for label, settings in {"osakd-8nn": OSAKD, "osakd-4nn": OSAKD | {"k": 4}}.items():
        make_run(tmp_path / f"{label}-seed0", [0.5], settings=settings)
    make_run(tmp_path / "label-smoothing-seed0", [0.6])
    (own,) = [table for table in read(tmp_path).tables if table[0][-1] == "settings"]
    assert {row[0]: row[2] for row in own[1:]} == {
        "osakd-8nn": "method osakd · method.k 8",
        "osakd-4nn": "method osakd · method.k 4",
        "label-smoothing": "method label-smoothing",
    }
    text = page("x", [panel_of([run_of("plain", 0, [0.5], environment={"commit": None})])])
    assert not re.search("null|None", text.partition("<script>")[0])
    assert not [table for table in read(tmp_path / "label-smoothing-seed0").tables if table[0][-1] == "settings"]


def test_what_is_deployed_and_what_it_cost(tmp_path: Path) -> None:
    for label, accuracies in {"plain": [0.5, 0.6], "osakd-8nn": [0.7, 0.65]}.items():
        make_run(tmp_path / f"{label}-seed0", accuracies, validation=0.1)
    (panel,) = read_panels(tmp_path)
    found, printed = read(tmp_path).tables[0], comparison_table(panel)
    assert found == [printed.head, *printed.cells]  # what a terminal shows
    assert found[2] == ["osakd-8nn", "1", "65.00", "+5.00", "1.350", "2.00", "2.5", "7.0"]


def test_every_column_of_all_records_is_linked() -> None:
    panels: list[RecordedPanel] = read_panels(RECORDS)
    text = page("records", panels)
    assert re.findall(r'<section class="panel" id="(c\d+)"', text) == [f"c{n}" for n in range(len(panels))]
    assert len(text.encode()) < 3_000 * sum(len(panel.runs) for panel in panels)


@leaf("experiments")
def test_a_study_is_shown_by_validation_and_against_label_smoothing(tmp_path: Path) -> None:
    for label, gap in {"plain": 0.0, "osakd-paper-8nn": 0.02, "label-smoothing": 0.01}.items():
        for seed in range(3):
            accuracies = [0.5 + gap, 0.6 + gap + 0.001 * seed]
            make_run(tmp_path / f"readings/study/{label}-seed{seed}", accuracies, validation=0.1)
    first, second, third, *_ = read(tmp_path / "readings/study").tables
    assert [row[0] for row in first] == ["method", "osakd-paper-8nn", "label-smoothing", "plain"]
    assert second[1][:3] == ["plain", "3 (2 of 60 epochs)", "-1.00 [-1.00, -1.00]"]
    assert [row[0] for row in third[1:4]] == ["plain", "label-smoothing", "osakd-paper-8nn-uniform"]
    assert third[3][3] == "not run"


@leaf("experiments")
def test_another_baseline_is_named_wherever_differences_are(tmp_path: Path) -> None:
    """Training in batches of 32 is compared with plain training in batches of 32."""
    ours = "osakd-paper-8nn-batch=32"
    for label, batch, accuracy in (("plain", 64, 0.6), ("plain-batch=32", 32, 0.7), (ours, 32, 0.71)):
        make_run(tmp_path / f"readings/study/{label}-seed0", [0.5, accuracy], batch_size=batch, validation=0.1)
    (panel,) = read_panels(tmp_path / "readings/study")
    gains = {method.label: method.gain(LAST) for method in panel.methods}
    means = {label: gain.mean for label, gain in gains.items() if gain}
    assert means == {ours: pytest.approx(0.01), "plain-batch=32": pytest.approx(0.1)}
    text = plain(page("x", [panel]))
    assert text.count(f"Differences not to plain: {ours} to plain-batch=32.") == 3
    first, accuracies, *_ = Page(text).tables
    assert next(row for row in first if row[0] == ours)[3] == "+1.00"
    at = accuracies[0].index("last vs plain [95 % CI]")
    assert next(row for row in accuracies if row[0] == ours)[at] == "+1.00"
