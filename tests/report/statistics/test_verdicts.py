"""Ours beside the paper's: the word for each, and what the tables say of what is missing or smaller."""

import numpy as np
import pytest
from scipy.stats import ttest_ind_from_stats

from osakd.plan import Cell, Experiment, Published
from osakd.report.statistics.aggregate import MethodSummary, Summary
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.spread import Difference, Spread
from osakd.report.statistics.verdicts import missing, other_baselines, verdict
from osakd.report.tables.accuracy import paper_table
from osakd.report.text import column_text
from tests.report.made import DATA, planned


@pytest.mark.parametrize("shift", [-3.0, -0.9, -0.3, 0.0, 0.4, 0.8, 3.0])
@pytest.mark.parametrize("runs", [3, 5, 9])
def test_a_verdict_is_welch_s_test(shift: float, runs: int) -> None:
    ours = np.random.default_rng(runs).normal(64.7 + shift, 0.5, runs)
    test = ttest_ind_from_stats(ours.mean(), ours.std(ddof=1), runs, 64.7, 0.65, 5, equal_var=False)
    expected = "reproduced" if test.pvalue >= 0.05 else "better" if ours.mean() > 64.7 else "worse"
    assert verdict(ours.tolist(), 64.7, 0.65) == expected


def test_two_runs_decide_nothing() -> None:
    assert verdict([10.0, 10.1], 64.7, 0.65) == "too few runs"


def summary(label: str, accuracies: list[float]) -> MethodSummary:
    spread = Spread(len(accuracies), sum(accuracies) / len(accuracies), 0.01)
    return MethodSummary(
        label, label, {}, list(range(len(accuracies))), {"best_on_test": accuracies},
        {"best_on_test": spread, "last": spread}, {"best_on_test": Difference(2, 0.01, None, None)},
        [[accuracy] for accuracy in accuracies], [60],
    )  # fmt: skip


def column(
    cells: list[Cell], methods: list[MethodSummary], *, seeds: int = 5, epochs: int = 100, fraction: float = 1.0
) -> RecordedColumn:
    """A column with this summary."""
    experiment: Experiment = planned("x", cells, seeds=seeds, epochs=epochs)
    found = RecordedColumn("table1", "x", (), experiment, experiment.columns[0])
    summary = Summary("x", DATA, "lenet", epochs, methods, [], [], {"fraction": fraction}) if methods else None
    vars(found)["summary"] = summary  # as the cached property keeps it
    return found


def test_what_is_missing_smaller_or_not_in_the_paper_is_said() -> None:
    found = [summary("plain", [0.64, 0.65, 0.645]), summary("ours", [0.7])]
    cells = [
        Cell("plain", "plain", Published(64.7, 0.6)),
        Cell("osakd-8nn", "osakd", Published(66.7, 0.1)),
        Cell("ours", "osakd"),
    ]
    rows = paper_table(column(cells, found)).cells
    assert [row[5] for row in rows] == [
        "reproduced (3 of 5 seeds, 60 of 100 epochs)",
        "not run",
        "not in the paper (1 of 5 seeds, 60 of 100 epochs)",
    ]
    assert paper_table(column(cells, found, seeds=3, epochs=60, fraction=0.1)).cells[0][5] == (
        "reproduced (10 % of the images)"
    )
    assert rows[1][:5] == ["osakd-8nn", "0", "-", "-", "66.70 ± 0.10"]


def test_branches_are_averaged_epoch_by_epoch() -> None:
    """The best epoch of the mean of both, not the mean of their best epochs."""
    curves = {"one": [[0.5, 0.7], [0.6, 0.6]], "one: branch2": [[0.9, 0.5], [0.4, 0.8]], "plain": [[0.6], [0.6]]}
    values = {"best_on_test": [0.6, 0.6], "last": [0.6, 0.6]}
    methods = [
        MethodSummary(label, label, {}, [0, 1], values, {}, {}, [*found], [10, 20]) for label, found in curves.items()
    ]
    cells = [Cell("one", "one", Published(70.0, 0.1), averaged=("branch2",))]
    (row,) = paper_table(column(cells, methods, epochs=20)).cells
    assert row[0] == "one (mean of 2 branches)"
    assert row[3] == "70.00 ± 0.00"
    assert row[6].startswith("+10.00")
    assert row[7] == "65.00 ± 7.07"


def test_seeds_to_spare_do_not_hide_what_is_missing() -> None:
    plain = Cell("plain", "plain", Published(64.7, 0.6))
    cells = [plain, Cell("osakd-8nn", "osakd", Published(66.7, 0.1), baseline="ours")]
    found = [summary("plain", [0.64] * 10)]
    assert missing(column(cells, found)) == "Missing: 5 of 10 runs."
    assert missing(column([plain], found)) == ""
    assert other_baselines(column(cells, found)) == ""
    both = [*found, summary("osakd-8nn", [0.7])]
    assert other_baselines(column(cells, both)) == "Differences not to plain: osakd-8nn to ours."
    assert column_text(column(cells, []), "paper").endswith("Missing: 10 of 10 runs.")


def test_pairs_are_counted_where_there_are_fewer_than_runs() -> None:
    (row,) = paper_table(column([Cell("ours", "osakd")], [summary("ours", [0.7, 0.7, 0.7])], epochs=60)).cells
    assert row[:2] + row[4:5] == ["ours", "3 (3 of 5 seeds)", "+1.00 (2 pairs)"]
