"""Every table of the documentation that a command prints is what it prints from the committed records."""

import runpy
from pathlib import Path

import pytest

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
