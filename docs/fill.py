"""Fills the pages with what the commands print, and writes the report: ``python docs/fill.py``, or ``make docs``.

A block begins with its command in a comment, ``<!-- $ osakd reproduce table1 --dry-run -->``, and ends with
``<!-- end -->``. A title behind a bar takes one of its tables: ``<!-- $ osakd reproduce cost | Operations -->``.
``<!-- networks -->`` is the list of networks; the rows of docs/api.md have the first sentences of the docstrings. The
picture of a soft label is drawn by ``python docs/soft_label.py``.
The report goes to site/report, which is not committed; one of its figures is copied to docs/images, where the panels of
Figure 1 are drawn too. Tests compare every block and both pictures with what the commands make of the records.
"""

import contextlib
import inspect
import io
import os
import re
import shlex
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path

import torch

import osakd.engine.config
from osakd import write_report
from osakd.cli.main import main
from osakd.errors import InputError
from osakd.experiments.table1 import FIGURE1
from osakd.models.build import build_model
from osakd.models.cost import count_macs, count_parameters
from osakd.models.registry import MODELS
from osakd.report.charts.curves import write_curves
from osakd.report.layout import read_panel

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REPORT, IMAGES = ROOT / "site/report", ROOT / "docs/images"
FIGURES = ("readings-confirmation.svg",)
BLOCK = re.compile(r"(<!-- \$ osakd (?P<words>.*?) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)
NETWORKS = re.compile(r"(<!-- networks -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)
SIZES = (32, 64, 224)
API = re.compile(r"^\| `osakd\.([\w.]+)` \|.*$", re.MULTILINE)


def printed(words: str) -> str:
    """What a command prints, without its title, or one of its tables; run where the records are."""
    words, _, table = words.partition(" | ")
    text = io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(text):
        code = main(shlex.split(words))
    if code:
        raise SystemExit(f"osakd {words} failed.")
    body = text.getvalue().partition("\n\n")[2]
    if table:
        body = body.partition(f"**{table}**")[2].partition("\n\n**")[0]
    return body.strip() + "\n"


def networks(names: Iterable[str] = MODELS) -> str:
    """The networks of ``osakd list``: the smallest image, parameters and multiply-accumulates, as they are built."""
    head = ["network", "smallest image", f"parameters, {SIZES[0]} px", *(f"M MACs, {size} px" for size in SIZES)]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name in names:
        if name.endswith("-conv"):
            continue
        smallest = next(size for size in (4, 8, 16, 32) if _fits(name, size))
        built = {size: build_model(name, num_classes=10, input_shape=(3, size, size)).to("meta") for size in SIZES}
        macs = [count_macs(built[size], torch.zeros(1, 3, size, size, device="meta")) / 1e6 for size in SIZES]
        parameters = count_parameters(built[SIZES[0]])
        rows.append([f"`{name}`", f"{smallest} px", f"{parameters:,}", *(f"{one:,.1f}" for one in macs)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _fits(name: str, size: int) -> bool:
    """Whether a network takes images of that size."""
    try:
        build_model(name, num_classes=10, input_shape=(3, size, size))
    except InputError:
        return False
    return True


def described(name: str) -> str:
    """The row of a public name of osakd: the first sentence of its docstring."""
    sentence = " ".join((inspect.getdoc(attrgetter(name)(osakd)) or "").partition("\n\n")[0].split())
    return f"| `osakd.{name}` | {sentence} |"


def filled(page: str) -> str:
    """The text of a page with every block as its command prints it."""
    page = API.sub(lambda row: described(row[1]), page)
    page = NETWORKS.sub(lambda block: block[1] + networks() + block[3], page)
    return BLOCK.sub(lambda block: block[1] + printed(block["words"]) + block[4], page)


def draw_figure1(folder: Path) -> Path:
    """Draws the panels of Figure 1 that have runs, and returns the picture."""
    recorded = [read_panel(FIGURE1, panel, ROOT / "records" / FIGURE1.folder_of(panel)) for panel in FIGURE1.panels]
    panels = {panel.name: panel for panel in recorded if panel.finished}
    return write_curves(panels, folder, name="figure1")[0]


def write(path: Path, content: str) -> None:
    """Writes a file where its content changes, and says so."""
    if not path.exists() or path.read_text(encoding="utf-8") != content:
        path.write_text(content, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: written")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for path in PAGES:
        write(path, filled(path.read_text(encoding="utf-8")))
    page = write_report(ROOT / "records", out=REPORT)
    for name in FIGURES:
        write(IMAGES / name, (REPORT / "figures" / name).read_text(encoding="utf-8"))
    write(IMAGES / "figure1.svg", draw_figure1(REPORT / "figures").read_text(encoding="utf-8"))
    print(f"Open {page} in a browser.")
