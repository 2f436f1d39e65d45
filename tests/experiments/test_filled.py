"""The tables and pictures of the documentation are what the commands make of the committed records and the source."""

import re
import runpy
from collections import Counter
from pathlib import Path

import pytest

import osakd
from osakd.cli.main import COMMANDS
from osakd.models.registry import MODELS

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
    assert f"images/{name}" in (ROOT / "docs/reproduction.md").read_text(encoding="utf-8")


def test_figure_1_in_the_docs_is_that_of_the_records(tmp_path: Path) -> None:
    committed = FILL["IMAGES"] / "figure1.svg"
    assert committed.read_bytes() == FILL["draw_figure1"](tmp_path).read_bytes()
    assert committed.stat().st_size < 200_000
    assert "images/figure1.svg" in (ROOT / "docs/reproduction.md").read_text(encoding="utf-8")


def test_the_list_of_networks_is_what_is_built() -> None:
    names = ["lenet", "resnet8"]
    page = (ROOT / "docs/ship-a-classifier.md").read_text(encoding="utf-8")
    assert FILL["networks"](names).rstrip().splitlines()[2:] == [
        line for line in page.splitlines() if line.startswith(tuple(f"| `{name}`" for name in names))
    ]
    assert all(f"| `{name}` |" in page for name in MODELS if not name.endswith("-conv"))


def test_the_page_of_the_api_has_every_name_and_its_docstring() -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    assert FILL["API"].sub(lambda row: FILL["described"](row[1]), page) == page
    assert {*osakd.__all__} <= set(FILL["API"].findall(page))


def test_the_picture_shows_the_shares_of_its_votes() -> None:
    picture = (FILL["IMAGES"] / "soft-label.svg").read_text(encoding="utf-8")
    votes, labels, shares = (re.findall(rf"class='{name}'>([^<]+)", picture) for name in ("vote", "label", "share"))
    assert dict(zip(labels, shares, strict=True)) == {
        label: f"{number}/{len(votes)}" for label, number in Counter(votes).items()
    }


@pytest.mark.xdist_group("report of the records")
def test_the_page_takes_few_bytes_for_each_run(written: Path) -> None:
    """With the first 159 runs a megabyte was allowed, 6,300 bytes for each."""
    runs = sum(path.read_bytes().count(b"\n") - 1 for path in (ROOT / "records").glob("*/*.jsonl"))
    assert (written / "report.html").stat().st_size < 3_000 * runs


def test_the_report_is_written_where_git_ignores_it() -> None:
    first = FILL["REPORT"].relative_to(ROOT).parts[0]
    assert f"/{first}/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
