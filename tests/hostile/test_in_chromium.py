"""The report of runs with hostile names, as a browser shows it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from osakd.cli.main import main
from tests.report.made import DATA, make_run
from tests.report.page.chromium import Chromium, started

NAMES = ("<img src=x onerror=document.title=1>", "<svg onload=document.title=1>", "\u202elmth.exe", "\x1b[31mred")


@pytest.fixture
def browser() -> Iterator[Chromium]:
    with started() as found:
        yield found


def test_names_are_text(browser: Chromium, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        make_run(tmp_path / f"{name}-seed0", [0.5, 0.6], data=DATA | {"name": name}, model=name)
    assert main(["report", str(tmp_path)]) == 0
    browser.open(tmp_path / "report.html")
    assert browser.value("document.title") != "1"
    assert browser.value("document.querySelectorAll('img, svg[onload]').length") == 0
    shown = browser.value("document.body.textContent")
    assert "<img src=x onerror" in shown
    assert "\\u202elmth.exe" in shown
    assert not {"\u202e", "\x1b"} & set(shown)
    assert browser.requests == [(tmp_path / "report.html").as_uri()]
