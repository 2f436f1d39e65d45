"""A report reads every record file once: an audit hook counts the opens of a whole command."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from osakd.report import layout
from tests.needs import leaf
from tests.report.made import make_comparison

ROOT = Path(__file__).parents[2]
RECORD_FILES = {"config.json", "result.json", "error.json", "metrics.jsonl", "summary.json", "cost.json"}
COUNTING = """
import json, os, sys
opened = []
def hook(event, values):
    if event == "open" and isinstance(values[0], (str, bytes, os.PathLike)) and values[1] in ("r", "rb", None):
        opened.append(os.path.abspath(os.fsdecode(values[0])))
sys.addaudithook(hook)
from osakd.cli.main import main
code = main(sys.argv[2:])
with open(sys.argv[1], "w") as stream:
    json.dump([code, opened], stream)
"""


def opens(out: Path, *words: str) -> Counter[str]:
    """How often a command opens each record file to read it."""
    done = subprocess.run(
        [sys.executable, "-c", COUNTING, str(out / "opens.json"), *words], cwd=ROOT, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    code, paths = json.loads((out / "opens.json").read_text())
    assert code == 0
    there = [path for path in paths if Path(path).name in RECORD_FILES or path.endswith(".jsonl")]
    return Counter(path for path in there if Path(path).exists())


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["report", "records", "--out", "OUT"], id="report"),
        *(
            pytest.param(["reproduce", name, "--dry-run"], id=name, marks=leaf("experiments"))
            for name in ("table1", "figure1", "claims", "readings", "variants", "cost")
        ),
    ],
)
def test_a_command_opens_every_record_file_once(words: list[str], tmp_path: Path) -> None:
    found = opens(tmp_path, *(str(tmp_path) if word == "OUT" else word for word in words))
    assert max(found.values()) == 1
    files = {"report": 14, "table1": 3, "figure1": 4, "claims": 5, "readings": 2, "variants": 5, "cost": 1}
    assert len(found) == files[words[0] if words[0] == "report" else words[1]]


def test_a_report_opens_every_file_of_a_run_once(tmp_path: Path) -> None:
    make_comparison(tmp_path / "mine", {"plain": 0.0, "osakd": 0.02})
    found = opens(tmp_path, "report", str(tmp_path / "mine"))
    assert max(found.values()) == 1
    assert len(found) == 3 * 6


def test_a_comparison_s_page_and_summary_are_of_one_reading(tmp_path: Path) -> None:
    """What ``osakd compare`` does where all runs are recorded; its runner reads them for itself, to see what to run."""
    folder = make_comparison(tmp_path / "mine", {"plain": 0.0, "osakd-8nn": 0.02})
    panels = layout.read_panels(folder, [])
    for path in folder.glob("*-seed*/*"):
        path.unlink()
    (panel,) = panels
    assert panel.title
    assert {label: len(runs) for label, runs in panel.scores.runs.items()} == {"plain": 3, "osakd-8nn": 3}
