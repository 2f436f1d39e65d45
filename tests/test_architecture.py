"""docs/architecture.md names every package, and its diagram shows the imports as they are."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORTS = runpy.run_path(str(ROOT / "docs/imports.py"))
PAGE = IMPORTS["PAGE"].read_text(encoding="utf-8")


def test_the_diagram_is_that_of_the_imports() -> None:
    page, (imports, _) = PAGE, IMPORTS["read_imports"]()
    for leaf in set(re.findall(r"^\| `(\w+)/` \| a leaf", PAGE, re.MULTILINE)).difference(imports):
        page = re.sub(rf"^  {leaf} --> .*\n|\b{leaf},(?=.* torch$)", "", page, flags=re.MULTILINE)
    assert IMPORTS["filled"](PAGE) == page, "python docs/imports.py draws it again"
    assert "  methods --> losses\n" in PAGE


def test_every_package_is_in_the_table() -> None:
    imports, with_torch = IMPORTS["read_imports"]()
    assert [name for name in imports if f"| `{name}/` |" not in PAGE and f"| `{name}.py` |" not in PAGE] == []
    assert "labels" in with_torch
    assert "report" not in with_torch


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    imports = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert IMPORTS["without_shortcuts"](imports) == {"a": {"b"}, "b": {"c"}, "c": set()}
