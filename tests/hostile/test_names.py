"""One set of hostile names goes through all commands and outputs: none steers what shows it."""

import csv
import json
import os
import re
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from osakd.cli.main import COMMANDS, main
from osakd.deploy.exported import FORMATS
from tests.data.made import encode, made_images
from tests.report.made import DATA, make_run

STEERS = "\x1b[2J\x07\r\x85\x9b\u061c\u200b\u202e\u2028\u2066\ufeff" + os.fsdecode(b"\xff")
NAMES = (
    f"=cmd|'!A1{STEERS}",
    "@x\nforged-seed0: finished\n\n| forged |",
    "<img src=x onerror=alert(1)>![y](x.png)`c`",
    "\\input{x}$x$&%#_~^\N{CJK UNIFIED IDEOGRAPH-732B}",
)
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder where images, runs and records have hostile names."""
    for split, seed in (("train", 0), ("test", 1)):
        images = iter(made_images(16, seed, (8, 8)))
        for name in NAMES:
            (tmp_path / NAMES[0] / split / name).mkdir(parents=True)
            for number in range(4):
                (tmp_path / NAMES[0] / split / name / f"{NAMES[1]}{number}.png").write_bytes(encode(next(images)))
    for name in NAMES:
        for seed, end in enumerate((0.6, 0.7)):
            data = DATA | {"name": name}
            make_run(tmp_path / "records" / name / f"{name}-seed{seed}", [0.5, end], data=data, model=name)
            make_run(tmp_path / "records" / name / f"plain-seed{seed}", [0.4, end], data=data, model=name)
        make_run(tmp_path / "records" / name / f"{name}-seed9", [0.5], finished=False, data=data)
    monkeypatch.setitem(FORMATS, ".made", "tests.deploy.made_format")
    with chdir(tmp_path):
        yield tmp_path


def check(text: str, where: str) -> None:
    found = RAW.search(text)
    assert found is None, (where, text[max(0, found.start() - 60) : found.end() + 20])
    lines = [] if where == "report.html" else text.split("\n")  # there a line's end is a space
    assert not [line for line in lines if line.startswith(("forged", "| forged"))], where


def test_no_name_steers_a_terminal_a_page_a_table_or_a_spreadsheet(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run, small = NAMES[0], f"runs/{NAMES[1]}", ["--epochs", "1", "--executor", "serial", "--processes", "1"]
    image = next((here / data / "test" / NAMES[2]).iterdir())
    file, record = f"{NAMES[2].replace('/', '')}.made", f"{NAMES[1]}.json"
    calls = {
        "train": ["--data", data, "--epochs", "1", "--out", run, "--model", "lenet-digits"],
        "compare": ["--data", data, "--out", f"runs/{NAMES[2]}", "--seeds", "1", "--model", "lenet-digits", *small],
        "evaluate": [run, "--data", data],
        "predict": [run, str(image)],
        "report": ["records", "--out", "report"],
        "pack": ["records"],
        "status": ["records", "--all"],
        "cost": ["--data", data, "--methods", "plain"],
        "list": [],
        "reproduce": ["claims", "--out", "records"],
        "export": [run, "--to", file, "--data", data],
        "latency": [run, file, "--calls", "1", "--record", record],
        "card": [run],
    }
    again = [["train", *calls["train"], "--resume"], ["latency", record], ["card", run, "--to", f"{NAMES[0]}.md"]]
    refused = [["train", "--data", f"./no{name}"] for name in NAMES] + [["evaluate", NAMES[0]], [NAMES[1]]]
    refused += [["train", f"--{NAMES[0]}", "x"], ["predict", run, NAMES[1]], ["train", *calls["train"]]]
    assert calls.keys() == COMMANDS.keys()
    for expected, of_code in ((0, [[name, *argv] for name, argv in calls.items()]), (0, again), (2, refused)):
        for call in of_code:
            code, (out, errors) = main(call), capsys.readouterr()
            assert code == expected, (call, errors)
            check(out + errors, str(call))
    assert main(["predict", run, str(image), "--json"]) == 0
    said = json.loads(line := capsys.readouterr().out)
    check(line, "predict --json")
    assert set(said["probabilities"]) == set(NAMES)

    for name in ("report.html", "tables.md", "tables.tex", "tables.csv"):
        check((here / "report" / name).read_text(), name)
    check((here / f"{NAMES[0]}.md").read_text(), "card")
    assert "<img src=x" not in (here / "report/report.html").read_text()
    for drawing in here.rglob("*.svg"):
        check(drawing.read_text(), drawing.name)
        assert "<img" not in drawing.read_text()
    for text in ((here / "report/tables.md").read_text(), (here / f"{NAMES[0]}.md").read_text()):
        assert not re.search(r"(?<!\\)<img|(?<!\\)\]\(|(?<!\\)`c", text)
    assert not re.search(r"\\input|(?<!\\)[&$]x", (here / "report/tables.tex").read_text())
    rows = csv.reader((here / "report/tables.csv").read_text().splitlines())
    cells = [cell for row in rows for cell in row]
    assert {f"'{NAMES[0][:8]}"} <= {cell[:9] for cell in cells}
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]
