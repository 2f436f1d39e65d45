"""Fills the pages with what the commands print, and writes the report: ``python docs/fill.py``, or ``make docs``.

A block begins with its command in a comment, ``<!-- $ osakd reproduce table1 --dry-run -->``, and ends with
``<!-- end -->``. Tests compare every block with what its command prints from the committed records, and the report in
docs/report with what ``osakd report`` writes of them.
"""

import contextlib
import io
import os
import re
import shlex
from pathlib import Path

from osakd import write_report
from osakd.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REPORT = ROOT / "docs/report"
BLOCK = re.compile(r"(<!-- \$ osakd (?P<words>.*?) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)


def printed(words: str) -> str:
    """What a command prints, without its title; run where the records are."""
    text = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(text):
        code = main(shlex.split(words))
    if code:
        raise SystemExit(f"osakd {words} failed.")
    return text.getvalue().partition("\n\n")[2].strip() + "\n"


def filled(page: str) -> str:
    """The text of a page with every block as its command prints it."""
    return BLOCK.sub(lambda block: block[1] + printed(block["words"]) + block[4], page)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for path in PAGES:
        before = path.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: filled")
    write_report(ROOT / "records", out=REPORT)
