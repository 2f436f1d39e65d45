"""The tables of results, beside the paper's numbers and alone, and every writer of a table."""

from typing import Any

import pytest

from osakd.plan import PanelMethod, Published
from osakd.report.statistics.panel import RecordedPanel, shortfall
from osakd.report.tables.results import comparison_table, epochs_table, paper_table, score_table
from osakd.report.tables.table import (
    Column,
    Table,
    console_tables,
    csv_text,
    html_rows,
    latex,
    latex_escaped,
    markdown,
    table_of,
)
from osakd.report.text import panel_text
from tests.report.made import panel_of, planned, run_of

METHODS = [
    PanelMethod("plain", "plain", Published(64.7, 0.6)),
    PanelMethod("osakd-8nn", "osakd", Published(66.7, 0.1)),
    PanelMethod("ours", "osakd"),
]


def panel(
    methods: list[PanelMethod], accuracies: dict[str, list[float]], *, epochs: int = 60, **changes: Any
) -> RecordedPanel:
    runs = [
        run_of(label, seed, [value] * 60, **changes)
        for label, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return panel_of(runs, planned("x", methods, seeds=5, epochs=epochs))


def test_what_is_missing_smaller_or_not_in_the_paper_is_said() -> None:
    rows = paper_table(panel(METHODS, {"plain": [0.64, 0.65, 0.645], "ours": [0.7]}, epochs=100)).cells
    assert [row[5] for row in rows] == [
        "reproduced (3 of 5 seeds, 60 of 100 epochs)",
        "not run",
        "not in the paper (1 of 5 seeds, 60 of 100 epochs)",
    ]
    assert rows[1][:5] == ["osakd-8nn", "0", "-", "-", "66.70 ± 0.10"]
    tenth = panel(METHODS, {"plain": [0.64, 0.65, 0.645, 0.64, 0.65]}, fraction=0.1)
    assert paper_table(tenth).cells[0][5] == "reproduced (10 % of the images)"
    assert shortfall(planned("x", [], options={"fraction": 0.1}).panels[0], tenth.finished, 3) == ""
    assert paper_table(panel(METHODS, {"plain": [0.1, 0.2]})).cells[0][5].startswith("too few runs")


def test_branches_are_averaged_epoch_by_epoch() -> None:
    """The best epoch of the mean of both, not the mean of their best epochs."""
    curves = [([0.5, 0.7], [0.9, 0.5]), ([0.6, 0.6], [0.4, 0.8])]
    runs = [run_of("one", seed, first, others={"branch2": second}) for seed, (first, second) in enumerate(curves)]
    runs += [run_of("plain", seed, [0.6, 0.6]) for seed in (0, 1)]
    methods = [PanelMethod("one", "one", Published(70.0, 0.1), averaged=("branch2",))]
    (row,) = paper_table(panel_of(runs, planned("x", methods))).cells
    assert row[0] == "one (mean of 2 branches)"
    assert row[3] == "70.00 ± 0.00"
    assert row[6].startswith("+10.00")
    assert row[7] == "65.00 ± 7.07"
    alone = panel_of(runs[2:], planned("x", methods))
    assert paper_table(alone).cells[0][5] == "not run"
    assert [row[0] for row in comparison_table(panel_of(runs)).cells] == ["one", "one: branch2", "plain"]


def test_seeds_to_spare_do_not_hide_what_is_missing() -> None:
    methods = [METHODS[0], PanelMethod("osakd-8nn", "osakd", Published(66.7, 0.1), baseline="ours")]
    assert panel(methods, {"plain": [0.64] * 10}).missing == "5 of 10 runs"
    assert panel(methods[:1], {"plain": [0.64] * 10}).missing == ""
    assert panel(methods, {"plain": [0.64]}).other_baselines == ""
    assert "osakd-8nn to ours" in panel(methods, {"osakd-8nn": [0.64]}).other_baselines
    assert panel_text(panel(methods, {}), "paper").endswith("Missing: 10 of 10 runs.")


def test_pairs_are_counted_where_there_are_fewer_than_runs() -> None:
    accuracies = {"plain": [0.69] * 2, "ours": [0.7] * 3}
    (row,) = paper_table(panel([METHODS[2]], accuracies)).cells
    assert row[:2] == ["ours", "3 (3 of 5 seeds)"]
    assert row[4].endswith(" (2 pairs)")


def test_a_cost_is_shown_only_of_runs_that_were_made_alone() -> None:
    """A program's time divided among its runs says nothing of each."""
    fused = {"executor": "fused/channels (2 replicas)"}
    runs = [run_of("plain", 0, [0.5]), run_of("osakd-16nn", 0, [0.6], environment=fused)]
    for table in (score_table(panel_of(runs, planned("x", []))), comparison_table(panel_of(runs))):
        assert [row[-2:] for row in table.cells] == [["2.5", "7.0"], ["-", "-"]]
    assert comparison_table(panel_of(runs[1:])).head[-1] == "ECE %"


def test_the_means_of_five_epochs_and_the_best_mean() -> None:
    runs = [run_of("plain", 0, [0.1, 0.3, 0.2, 0.2, 0.2]), run_of("plain", 1, [0.2, 0.3, 0.2, 0.2, 0.2])]
    table = epochs_table(panel_of(runs))
    assert table.head[2:] == [*(f"epoch {epoch}" for epoch in range(1, 6)), "best mean (at)"]
    assert table.cells == [["plain", "2", "15.00", "30.00", "20.00", "20.00", "20.00", "30.00 (2)"]]


MADE = table_of("t", ["name", "95 % CI", "x"], [["a|b_c", "-1", "[x]"], ["<k>", "2 [1, 3]", "-"]])


def test_markdown_csv_and_html_of_a_table() -> None:
    assert markdown(MADE).splitlines()[2] == r"| a\|b_c | -1 | [x] |"
    assert csv_text(MADE) == 'name,95 % CI,x\na|b_c,-1,[x]\n<k>,"2 [1, 3]",-\n'
    html = html_rows(MADE)
    assert '<th scope=row class="w">&lt;k&gt;</th><td>2 <small>[1, 3]</small></td><td>\N{EN DASH}</td>' in html
    assert "<td>\N{MINUS SIGN}1</td>" in html
    assert "data-label" not in html
    labelled = Table("t", [Column("name", str, is_text=True)], ['a"b'], label=str)
    assert 'data-label="a&#34;b"' in html_rows(labelled)


def test_latex_of_every_special_character() -> None:
    assert latex_escaped("\\&%$#_{}~^<>") == (
        r"\textbackslash{}\&\%\$\#\_\{\}\textasciitilde{}\textasciicircum{}$<$$>$"
    )
    text = latex(MADE, "50 % of it", "it")
    assert "\\caption{50 \\% of it}\n\\label{tab:it}\n" in text
    assert r"\begin{tabular}{lrr}" in text
    assert "a|b\\_c & $-$1 & {[x]} \\\\" in text


@pytest.mark.parametrize(("width", "groups"), [(80, [3]), (22, [2, 2])])
def test_a_narrow_terminal_gets_several_tables_with_the_first_column(width: int, groups: list[int]) -> None:
    tables = list(console_tables(MADE, width))
    assert [len(table.columns) for table in tables] == groups
    assert {table.columns[0].header for table in tables} == {"name"}
