"""Charts: lines lie where their values are, ticks are round, outliers do not flatten what matters."""

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osakd.plan import PanelMethod, Published
from osakd.report.charts.curves import write_curves
from osakd.report.charts.forest import RIGHT, WIDTH, forest
from osakd.report.charts.lines import line_chart
from osakd.report.charts.svg import epoch_ticks, path, tick_texts, ticks, without_outliers
from osakd.report.page.page import section_of
from osakd.report.statistics.panel import MethodScores
from osakd.report.statistics.trends import ACCURACY, ENTROPY, MASS, NLL, Quantity, Trend, limits, trends
from tests.report.made import panel_of, planned, run_of

COORDINATE = st.floats(-1000, 1000, allow_nan=False)


def points(data: str) -> list[tuple[float, float]]:
    """The points of path data."""
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d", data)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


@given(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=40))
def test_a_path_goes_through_its_points(given_points: list[tuple[float, float]]) -> None:
    """To a twentieth of a pixel, however many points: errors do not add up."""
    found = points(path(given_points))
    assert len(found) == len(given_points)
    for (x, y), (ours, other) in zip(given_points, found, strict=True):
        assert abs(x - ours) < 0.0501
        assert abs(y - other) < 0.0501


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.integers(3, 8))
def test_ticks_are_round_evenly_spaced_and_inside(low: float, width: float, most: int) -> None:
    found = ticks(low, low + width, most)
    assert 1 <= len(found) <= most + 1
    assert low - 1e-6 * width <= found[0]
    assert found[-1] <= low + width + 1e-6 * width
    steps = {round((b - a) / width, 6) for a, b in pairwise(found)}
    assert len(steps) <= 1
    assert len(set(tick_texts(found))) == len(found)


def drawn(trend: list[Trend], quantity: Quantity) -> ElementTree.Element:
    return ElementTree.fromstring(line_chart(trend, quantity, {one.label: n for n, one in enumerate(trend)}).drawing)


def test_a_line_lies_where_its_values_are() -> None:
    """Read back from the picture by its tick labels."""
    trend = Trend("plain", 3, [10, 20, 30, 40], [50.0, 60.0, 62.5, 61.0], [1.0, 2.0, 0.5, 0.5])
    chart = drawn([trend], MASS)
    labels = [(float(t.attrib["y"]) - 3.5, float(t.text or "")) for t in chart.iter("text") if t.get("class") == "t"]
    (y0, v0), (y1, v1) = labels[0], labels[-1]
    across = [(float(t.attrib["x"]), float(t.text or "")) for t in chart.iter("text") if t.get("class") == "m"]
    (x0, e0), (x1, e1) = across[0], across[-1]
    line = next(group for group in chart.iter("g") if "line" in group.attrib["class"])
    found = points(line.find("path").attrib["d"])  # type: ignore[union-attr] - it is there
    for (x, y), epoch, mean in zip(found, trend.epochs, trend.mean, strict=True):
        assert e0 + (x - x0) * (e1 - e0) / (x1 - x0) == pytest.approx(epoch, abs=0.02)
        assert v0 + (y - y0) * (v1 - v0) / (y1 - y0) == pytest.approx(mean, abs=0.02)
    band = points(next(one for one in chart.iter("path") if "band" in one.get("class", "")).attrib["d"])
    assert v0 + (band[1][1] - y0) * (v1 - v0) / (y1 - y0) == pytest.approx(62.0, abs=0.02)
    assert line.attrib["data-v"] == "50.0 60.0 62.5 61.0"


def test_a_chart_is_named_and_described() -> None:
    chart = drawn([Trend("a<b", 1, [1, 2], [1.0, 0.5], None)], ENTROPY)
    assert chart.attrib["role"] == "img"
    assert chart.findtext("title") == "Soft labels: entropy over the epochs"
    assert chart.findtext("desc") == "At the last epoch: a<b 0.500 nats."


def test_bands_only_of_few_methods_and_a_dot_for_a_single_epoch() -> None:
    def markup(shown: list[Trend], quantity: Quantity) -> str:
        return line_chart(shown, quantity, {trend.label: 0 for trend in shown}).drawing

    many = [Trend(f"m{n}", 2, [1, 2], [1.0 + n, 2.0 + n], [0.1, 0.1]) for n in range(7)]
    assert "band" not in markup(many, ENTROPY)
    assert markup(many[:6], ENTROPY).count('class="band') == 6
    assert "<circle" in markup([Trend("m", 1, [1], [1.0], None)], ENTROPY)
    whole = [Trend("m", 1, [1, 2], [100.0, 100.00000000000006], None)]  # a mean of ones, rounded
    assert limits(whole, ACCURACY) == pytest.approx((99.0, 100.0))
    assert "<path" in markup(whole, ACCURACY)


def caption(shown: list[Trend], quantity: Quantity) -> str:
    return line_chart(shown, quantity, {trend.label: 0 for trend in shown}).caption


def test_the_steep_start_is_cut_off_and_an_outlier_does_not_widen_the_axis() -> None:
    usual = [Trend(f"m{n}", 1, [1, 2, 3], [10.0, 60.0 + n, 61.0 + n], None) for n in range(5)]
    low, high = limits(usual, ACCURACY)
    assert 60 < low < 61
    assert 65 < high < 66
    assert caption(usual, ACCURACY) == "The first epochs lie below the axis."
    assert "above the axis" in caption([Trend("m", 1, [1, 2, 3], [3.0, 1.0, 1.1], None)], NLL)
    assert caption([Trend("m", 1, [1, 2], [60.9, 61.0], None)], ACCURACY) == ""
    odd = Trend("odd", 1, [1, 2, 3], [10.0, 20.0, 30.0], None)
    assert "odd (30.00)" in caption([*usual, odd], ACCURACY)
    ticks_of = [
        [text.text for text in drawn(shown, ACCURACY).iter("text") if text.get("class") == "t"]
        for shown in (usual, [*usual, odd])
    ]
    assert ticks_of[0] == ticks_of[1]
    assert without_outliers([1.0, 1.0, 1.0, 1.0, 9.0]) == [1.0, 1.0, 1.0, 1.0, 9.0]


def test_trends_are_means_over_seeds_cut_to_the_shortest() -> None:
    first, second = (run_of("plain", 0, tests).curve for tests in ([0.5, 0.6, 0.7], [0.7, 0.8]))
    (trend,) = trends({"plain": [first, second]}, ACCURACY)
    assert (trend.n, trend.epochs, trend.mean) == (2, [1, 2], pytest.approx([60.0, 70.0]))
    assert trend.std == pytest.approx([200**0.5, 200**0.5])
    assert trend.band[0] == pytest.approx([60.0 - 200**0.5, 70.0 - 200**0.5])
    assert trends({"plain": [first]}, MASS) == []


def methods(**gaps: list[float]) -> list[MethodScores]:
    """Methods that differ from plain training by these shares, one for each seed."""
    runs = [run_of("plain", seed, [0.5]) for seed in range(3)]
    runs += [run_of(label, seed, [0.5 + gap]) for label, of_label in gaps.items() for seed, gap in enumerate(of_label)]
    return panel_of(runs).deployed


def forest_of(shown: list[MethodScores]) -> ElementTree.Element:
    chart = forest(shown, {method.label: number for number, method in enumerate(shown)}, "A note.")
    assert chart.caption.endswith("A note.")
    return ElementTree.fromstring(chart.drawing)


def test_a_forest_of_differences() -> None:
    shown = methods(good=[0.02, 0.021, 0.019], wide=[-0.04, 0.04], alone=[-0.01])
    chart = forest_of(shown)
    zero = float(next(line for line in chart.iter("line") if line.get("class") == "zero").attrib["x1"])
    dots = [float(dot.attrib["cx"]) for dot in chart.iter("circle")]
    assert dots[0] > zero
    assert dots[1] == pytest.approx(zero, abs=0.1)
    assert dots[2] < zero
    kinds = [line.attrib["class"] for line in chart.iter("line") if "interval" in line.attrib["class"]]
    assert kinds == ["interval", "interval cut"]  # two seeds do not widen the axis
    assert "good: +2.00 [+1.75, +2.25], deployed network" in (chart.findtext("desc") or "")
    assert forest(methods(), {"plain": 0}) is None


@pytest.mark.parametrize("mean", [0.02, -0.02])
def test_the_directions_of_a_forest_stand_at_its_ends(mean: float) -> None:
    """Beside zero they would be cut off where it is near an end."""
    texts = {
        text.text: (float(text.attrib["x"]), text.attrib["class"].split()[0])
        for text in forest_of(methods(one=[mean])).iter("text")
    }
    assert texts["← worse"] == (pytest.approx(14 + 7.4 * 3, abs=0.1), "s")
    assert texts["better →"] == (WIDTH - RIGHT, "t")


def test_an_outlier_of_a_forest_is_a_number_at_the_edge() -> None:
    chart = forest_of(methods(**{f"m{n}": [0.001 * n] for n in range(1, 7)}, odd=[-0.25]))
    texts = [text.text for text in chart.iter("text")]
    assert "\N{LEFTWARDS ARROW} \N{MINUS SIGN}25.0" in texts
    assert len(list(chart.iter("circle"))) == 6


def test_the_charts_of_a_column() -> None:
    runs = [
        run_of(label, 0, [0.1, 0.6, last], masses=[0.1, 0.2, 0.3]) for label, last in (("plain", 0.61), ("osakd", 0.62))
    ]
    rows = section_of(panel_of(runs), "c0")["charts"]
    assert [len(row) for row in rows] == [2, 2, 3]
    assert rows[0][0].caption == "The first epochs lie below the axis."
    assert [len(row) for row in section_of(panel_of([run_of("plain", 0, [0.5])]), "c0")["charts"]] == [1, 2]


@given(st.integers(1, 500), st.integers(0, 500))
def test_the_ticks_of_epochs_reach_both_ends(first: int, length: int) -> None:
    found = epoch_ticks(first, first + length)
    assert (found[0], found[-1]) == (first, first + length)
    assert all(later - one >= length / 10 for one, later in pairwise(found))


def test_the_axis_fits_what_is_compared() -> None:
    """A method that is slow at first does not hide the half point between the ends."""
    slow = [
        Trend(f"m{n}", 1, list(range(1, 31)), [20.0 + 2 * min(e, 25) + n / 2 for e in range(30)], None) for n in (0, 1)
    ]
    low, high = limits(slow, ACCURACY)
    assert low > 55
    assert high > 70.5


def test_a_figure_for_a_paper(tmp_path: Path) -> None:
    """Its title has no hash, its legend lies below the axes, the paper's numbers are drawn, lines differ twice."""
    published = {"plain": Published(64.7, 0.6), "osakd-8nn": Published(66.7, 0.1)}
    methods = [PanelMethod(label, label, number) for label, number in published.items()]
    runs = [run_of(label, 0, [0.3, 0.6, 0.61]) for label in ("plain", "osakd-8nn", "label-smoothing")]
    paths = write_curves({"": panel_of(runs, planned("x", methods))}, tmp_path)
    assert [path.suffix for path in paths] == [".svg", ".png", ".pdf"]
    svg = paths[0].read_text(encoding="utf-8")
    assert "cifar10, lenet, 3 epochs" in svg
    assert "01234567" not in svg
    axes, legend = svg.split('id="legend_1"')
    bottom, first = re.search(r'id="patch_2">\s*<path d="M \S+ (\S+)', axes), re.search(r'd="M \S+ (\S+)', legend)
    assert bottom
    assert first
    assert float(bottom[1]) < float(first[1])
    assert "the paper's best epoch" in legend
    styles = re.findall(r'style="fill: none; (stroke-dasharray: \S+)?.*?stroke: (#\w{6}); stroke-width: 1.5', legend)
    assert len(styles) == len({dash for dash, _ in styles}) == len({colour for _, colour in styles}) == 3


def test_a_method_has_one_colour_in_all_panels(tmp_path: Path) -> None:
    """In the second panel fewer methods stand before it; one legend is of both."""
    labels = {"one": ("plain", "osakd-8nn", "label-smoothing"), "two": ("plain", "label-smoothing")}
    panels = {name: panel_of([run_of(label, 0, [0.5, 0.6]) for label in shown]) for name, shown in labels.items()}
    picture, *_ = write_curves(panels, tmp_path, name="both")
    *drawn, legend = picture.read_text(encoding="utf-8").split('<g id="axes_')[1:]
    second, _, legend = legend.partition('id="legend_1"')
    colours = [re.findall(r"stroke: (#\w{6}); stroke-width: 1\.5", part) for part in (*drawn, second, legend)]
    assert [len(each) for each in colours] == [3, 2, 3]
    assert colours[1] == [colours[0][0], colours[0][2]]
    assert colours[2] == colours[0]
