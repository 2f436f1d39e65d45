"""The tables and the report of the documentation are what the commands make of the committed records."""

import runpy
from pathlib import Path

import pytest

import osakd

FILL = runpy.run_path(str(Path(__file__).parents[1] / "docs/fill.py"))
BLOCKS = [
    pytest.param(block["words"], block["text"], id=f"{page.name}: {block['words']}")
    for page in FILL["PAGES"]
    for block in FILL["BLOCK"].finditer(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("words", "text"), BLOCKS)
def test_a_block_is_what_its_command_prints(words: str, text: str) -> None:
    assert FILL["printed"](words) == text


def test_the_pages_have_blocks() -> None:
    assert {"osakd reproduce table1"} <= {" ".join(["osakd", *block.values[0].split()[:2]]) for block in BLOCKS}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the committed records, made anew."""
    return osakd.write_report(FILL["ROOT"] / "records", out=tmp_path_factory.mktemp("report")).parent


@pytest.mark.parametrize("name", ["report.html", "tables.md", "tables.tex", "tables.csv"])
def test_the_report_in_the_docs_is_that_of_the_records(name: str, written: Path) -> None:
    assert (written / name).read_bytes() == (FILL["REPORT"] / name).read_bytes()


def test_the_page_is_under_a_megabyte(written: Path) -> None:
    assert (written / "report.html").stat().st_size < 1_000_000
