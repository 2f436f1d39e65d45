"""The tables and pictures of the documentation are what the commands make of the committed records and the source."""

import runpy
from pathlib import Path

import pytest

import osakd
from osakd.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
FILL = runpy.run_path(str(ROOT / "docs/fill.py"))
BLOCKS = [
    pytest.param(block["words"], block["text"], id=f"{page.name}: {block['words']}")
    for page in FILL["PAGES"]
    for block in FILL["BLOCK"].finditer(page.read_text(encoding="utf-8"))
    if block["words"].split()[0] in COMMANDS  # but those of a leaf that is left out
]


@pytest.mark.parametrize(("words", "text"), BLOCKS)
def test_a_block_is_what_its_command_prints(words: str, text: str) -> None:
    assert FILL["printed"](words) == text


def test_the_pages_have_blocks() -> None:
    assert {"osakd reproduce table1"} <= {" ".join(["osakd", *block.values[0].split()[:2]]) for block in BLOCKS}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the committed records."""
    return osakd.write_report(ROOT / "records", out=tmp_path_factory.mktemp("report")).parent


@pytest.mark.xdist_group("report of the records")
@pytest.mark.parametrize("name", FILL["FIGURES"])
def test_a_figure_in_the_docs_is_the_report_s(name: str, written: Path) -> None:
    committed = FILL["IMAGES"] / name
    assert committed.read_bytes() == (written / "figures" / name).read_bytes()
    assert committed.stat().st_size < 60_000
    assert f"docs/images/{name}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_figure_1_in_the_docs_is_that_of_the_records(tmp_path: Path) -> None:
    committed = FILL["IMAGES"] / "figure1.svg"
    assert committed.read_bytes() == FILL["draw_figure1"](tmp_path).read_bytes()
    assert committed.stat().st_size < 200_000
    assert "docs/images/figure1.svg" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.xdist_group("report of the records")
def test_the_page_takes_few_bytes_for_each_run(written: Path) -> None:
    """With the first 159 runs a megabyte was allowed, 6,300 bytes for each."""
    runs = sum(path.read_bytes().count(b"\n") - 1 for path in (ROOT / "records").glob("*/*.jsonl"))
    assert (written / "report.html").stat().st_size < 3_000 * runs


def test_the_report_is_written_where_git_ignores_it() -> None:
    first = FILL["REPORT"].relative_to(ROOT).parts[0]
    assert f"/{first}/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
