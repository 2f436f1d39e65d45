"""The page as a browser shows it: light, dark, narrow, with and without JavaScript; nothing asked for, no complaint."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from osakd.api.reports import read_panels
from osakd.report.page.page import Gallery, Picture, page
from tests.report.made import make_comparison
from tests.report.page.chromium import Chromium, started

RECORDS = Path(__file__).parents[3] / "records"
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
METHODS = {"plain": 0.0, "osakd-8nn": 0.02, "label-smoothing": 0.01}


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with started() as found:
        yield found


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of all committed records."""
    return written(tmp_path_factory.mktemp("records"), RECORDS)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a made comparison, with a gallery."""
    folder = tmp_path_factory.mktemp("small")
    return written(folder, make_comparison(folder / "runs", METHODS))


def written(folder: Path, runs: Path) -> Path:
    path = folder / "report.html"
    gallery = Gallery("a run", "how", [Picture(DOT, "cat", 1.0, [("dog", 0.75), ("cat", 0.25)])] * 3)
    path.write_text(page("x", read_panels(runs), [gallery]), encoding="utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_asked_for_nothing_complained_about_and_nothing_too_wide(
    browser: Chromium, records: Path, dark: bool, width: int
) -> None:
    browser.open(records, width=width, dark=dark)
    browser.value("document.querySelectorAll('button').forEach((one) => one.click())")
    assert [one for one in browser.requests if not one.startswith("data:")] == [records.as_uri()]
    assert browser.problems == []
    assert browser.value("document.documentElement.scrollWidth") == width
    assert browser.value("[...document.images].every((one) => one.complete && one.naturalWidth > 0)")


def test_a_request_and_a_complaint_would_be_noticed(browser: Chromium, tmp_path: Path) -> None:
    """What the test above relies on."""
    (tmp_path / "bad.html").write_text("<img src=other.png><p style='width: 999px'><script>nothing()</script>")
    browser.open(tmp_path / "bad.html", width=360)
    assert len(browser.requests) == 2
    assert any("nothing is not defined" in problem for problem in browser.problems)
    assert browser.value("document.documentElement.scrollWidth") > 360


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_on_its_ground(browser: Chromium, small: Path, dark: bool) -> None:
    """A contrast of at least 4.5 for every text and 3 for every line (WCAG 2.1), by the colours that are in force."""
    browser.open(small, dark=dark)
    ground = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (luminance(ground) < 0.1) == dark
    texts = browser.value("""[...new Set([...document.querySelectorAll('main *, header *')].filter((one) =>
        one.getClientRects().length && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
        ).map((one) => getComputedStyle(one)[one.closest('figure > svg') ? 'fill' : 'color']))]""")
    assert len(texts) >= 3
    assert [text for text in texts if contrast(text, ground) < 4.5] == []
    lines = browser.value("""[...Array(8).keys()].map((number) => {
        const line = document.querySelector('.key').cloneNode();
        line.setAttribute('class', 'c' + number);
        document.querySelector('.legend').append(line);
        return getComputedStyle(line).color; })""")
    assert len(set(lines)) == 8
    assert [line for line in lines if contrast(line, ground) < 3] == []


def luminance(colour: str) -> float:
    """Of ``rgb(r, g, b)``, as WCAG defines it."""
    values = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_without_javascript_everything_is_there(browser: Chromium, small: Path) -> None:
    def shown() -> list[int]:
        return [
            browser.value(
                f"[...document.querySelectorAll('{kind}')].filter((one) => one.getClientRects().length).length"
            )
            for kind in ("tbody tr", "figure > svg", ".line", ".said", ".legend li", ".settings dd", ".gallery img")
        ]

    browser.open(small)
    with_script = shown()
    assert browser.value("document.querySelectorAll('button').length") > 0
    browser.open(small, script=False)
    assert browser.value("document.querySelectorAll('button').length") == 0
    assert shown() == with_script
    assert min(with_script) >= 2


def test_a_click_on_a_head_sorts(browser: Chromium, small: Path) -> None:
    def column(number: int) -> list[str]:
        return browser.value(
            f"[...document.querySelector('table').tBodies[0].rows].map((row) => row.cells[{number}].textContent)"
        )

    def click(number: int) -> None:
        browser.value(f"document.querySelectorAll('table thead')[0].rows[0].cells[{number}].firstChild.click()")

    browser.open(small)
    click(2)
    best = [float(text.partition("\N{NO-BREAK SPACE}")[0]) for text in column(2)]
    assert best == sorted(best, reverse=True)
    click(2)
    assert column(0) == ["plain", "label-smoothing", "osakd-8nn"]
    assert browser.value("document.querySelector('th[aria-sort]').ariaSort") == "ascending"
    click(3)
    assert column(0)[-1] == "plain"  # it has no difference: what is empty stays last
    click(3)
    assert column(0)[-1] == "plain"
    click(0)
    assert column(0) == ["label-smoothing", "osakd-8nn", "plain"]


def test_a_click_in_the_legend_hides_a_method_and_shows_it_again(browser: Chromium, small: Path) -> None:
    count = "[...document.querySelectorAll('.panel .line, .panel .band, .panel tbody tr, .forest g')]"
    count += ".filter((one) => one.getClientRects().length).length"
    browser.open(small)
    before = browser.value(count)
    browser.value("document.querySelectorAll('.legend button')[1].click()")
    assert browser.value("document.querySelectorAll('.legend button')[1].ariaPressed") == "false"
    assert browser.value(count) < before
    rows = browser.value("document.querySelector('tbody').innerText")
    assert "osakd-8nn" not in rows
    assert "label-smoothing" in rows
    browser.value("document.querySelectorAll('.legend button')[1].click()")
    assert browser.value(count) == before


def test_hovering_shows_the_values_of_an_epoch(browser: Chromium, small: Path) -> None:
    browser.open(small)
    browser.value("document.querySelector('svg.lines').scrollIntoView({block: 'center', behavior: 'instant'})")
    box = browser.value("document.querySelector('svg.lines').getBoundingClientRect().toJSON()")
    browser.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] / 2)
    shown = "document.querySelector('.tip:not(.off)').innerText"
    assert browser.value(shown).split("\n") == [
        "epoch 2",
        "62.10 ± 0.10 % osakd-8nn",
        "61.10 ± 0.10 % label-smoothing",
        "60.10 ± 0.10 % plain",
    ]
    browser.move(box["x"] + box["width"] * 0.99, box["y"] + box["height"] / 2)
    assert browser.value(shown).startswith("epoch 3")
    tip = browser.value("document.querySelector('.tip:not(.off)').getBoundingClientRect().toJSON()")
    assert tip["right"] <= box["right"]
    browser.move(1, 1)
    assert browser.value("document.querySelectorAll('.tip:not(.off)').length") == 0


def test_no_words_of_a_chart_lie_over_each_other_or_outside(browser: Chromium, records: Path) -> None:
    for width in (360, 1200):
        browser.open(records, width=width)
        found = browser.value("""[...document.querySelectorAll('figure > svg')].flatMap((chart) => {
            const outer = chart.getBoundingClientRect();
            const boxes = [...chart.querySelectorAll('text')].map((one) =>
                [one.textContent, one.getBoundingClientRect()]);
            const wrong = boxes.filter(([, a]) => a.left < outer.left - 3 || a.right > outer.right + 3);
            const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
                && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
            boxes.forEach(([, a], n) => wrong.push(...boxes.slice(n + 1).filter(([, b]) => meet(a, b))));
            return wrong.map(([text]) => chart.querySelector('title').textContent + ': ' + text); })""")
        assert found == []


def test_a_wide_table_shows_on_a_phone_that_it_goes_on_and_keeps_what_matters(browser: Chromium, small: Path) -> None:
    """Scrolled to its end, the method and its accuracy are beside the last column, and nothing lies over them."""
    browser.open(small, width=390)
    wide = "document.querySelector('.scroll')"
    assert browser.value(f"{wide}.scrollWidth > {wide}.clientWidth")
    shadow = f"getComputedStyle({wide}, '::after').opacity"
    assert browser.value(shadow) == "1"
    browser.value(f"{wide}.scrollIntoView({{block: 'center', behavior: 'instant'}}); {wide}.scrollLeft = 9999")
    time.sleep(0.2)  # a frame is drawn
    assert browser.value(shadow) == "0"
    boxes = browser.value("""[...document.querySelector('tbody tr').cells].map((cell) => {
        const box = cell.getBoundingClientRect();
        const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return [cell.textContent, box.left, box.right, top === cell]; })""")
    assert [boxes[place][0][:5] for place in (0, 2) if boxes[place][3]] == ["plain", "58.15"]
    browser.open(small, width=1200)
    assert browser.value(shadow) == "0"
    assert 0 <= boxes[0][1] < boxes[0][2] <= boxes[2][1] < boxes[2][2] <= boxes[-1][1] < boxes[-1][2] <= 390
