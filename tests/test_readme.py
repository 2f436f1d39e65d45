"""What the README says is what the code does and what the records hold."""

import json
import re
from pathlib import Path

import pytest
from osakd.report.statistics.aggregate import MethodSummary, Summary, summarise
from osakd.report.tables.accuracy import comparison_table

from benchmarks.rows import extrapolations, table
from osakd.report.statistics.spread import Difference, Spread
from osakd.report.tables.table import markdown
from tests.report.made import read

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def recorded(path: Path) -> str:
    """The table of a committed summary."""
    found = json.loads(path.read_text())
    for method in found["methods"]:
        method["spreads"] = {key: Spread(**value) for key, value in method["spreads"].items()}
        method["differences"] = {key: Difference(**value) for key, value in method["differences"].items()}
        method.setdefault("epochs", list(range(1, found["epochs"] + 1)))  # older ones evaluated every epoch
    summary = Summary(**(found | {"methods": [MethodSummary(**method) for method in found["methods"]]}))
    return markdown(comparison_table(summary))


def test_the_ten_lines_run() -> None:
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block is not None
    assert len([line for line in block[1].splitlines() if line.strip()]) == 10
    names: dict = {}
    exec(block[1], names)  # the README's own lines
    assert names["images"].shape == (64, 1, 8, 8)
    assert all(parameter.grad is not None for parameter in names["network"].parameters())


def test_the_demo_s_table_is_its_record() -> None:
    assert recorded(ROOT / "docs/demo/digits.json") in README


def test_the_comparison_page_shows_its_records() -> None:
    page = (ROOT / "docs/comparison.md").read_text()
    paths = sorted((ROOT / "records/comparison").glob("*.json"))
    assert paths
    for path in paths:
        assert recorded(path) in page


def test_the_comparison_on_cifar10_is_what_its_runs_recorded() -> None:
    folder = ROOT / "records/comparison/cifar10-resnet8"
    stored = json.loads(folder.with_suffix(".json").read_text())
    deployed = [method for method in stored["methods"] if method["predictor"] is None]
    runs = [read(folder / f"{one['label']}-seed{seed}") for one in deployed for seed in one["seeds"]]
    assert len(runs) == len([path for path in folder.iterdir() if (path / "result.json").exists()])
    assert json.loads(json.dumps(summarise("cifar10-resnet8", runs).to_dict())) == stored


def test_the_comparison_page_shows_what_cost_prints(capsys: pytest.CaptureFixture[str]) -> None:
    from osakd.cli.main import main

    block = re.search(r"```\n\$ osakd (cost .*?)\n(.*?)\n```", (ROOT / "docs/comparison.md").read_text(), re.DOTALL)
    assert block is not None
    assert main(block[1].split()) == 0
    assert capsys.readouterr().out.strip() == block[2].strip()


def test_the_performance_page_shows_its_record() -> None:
    page = (ROOT / "docs/performance.md").read_text()
    (stem,) = set(re.findall(r"\(\.\./benchmarks/records/(.+?)\.svg\)", page))
    record = json.loads((ROOT / f"benchmarks/records/{stem}.json").read_text())
    assert table(record["seconds_per_step"]) in page
    assert (ROOT / f"benchmarks/records/{stem}.svg").exists()
    for extrapolation in extrapolations(record["seconds_per_step"]):
        assert extrapolation in page


def test_commands_are_real() -> None:
    from osakd.cli.main import COMMANDS

    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    shown = "".join(block for language, block in blocks if not language)
    named = set(re.findall(r"^osakd (\w+)", shown, re.MULTILINE))
    assert named == set(COMMANDS)
