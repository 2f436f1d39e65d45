"""What the README says is what the code does and what the records hold."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import osakd
from benchmarks.photos import COMMANDS
from benchmarks.rows import extrapolations, table
from osakd.api.reports import read_panels
from osakd.records import Result
from osakd.report.tables.results import comparison_table
from osakd.report.tables.table import markdown
from osakd.runs import Curve, FinishedRun, Series
from tests.report.made import CONFIG, ENVIRONMENT, panel_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NOTE = "The DOI is that of the preprint"


def recorded(path: Path) -> str:
    """The table of a committed summary, made again from the values of its seeds."""
    curves: dict[tuple[str, int], dict[str, Series]] = {}
    costs: dict[tuple[str, int], dict[str, float]] = {}
    deployed: dict[tuple[str, int], dict[str, float]] = {}
    for method in json.loads(path.read_text())["methods"]:
        output, values, epochs = method["predictor"], method["values"], method["epochs"]
        label, prefix = (method["label"].removesuffix(f": {output}"), f"others.{output}." if output else "")
        for place, (seed, accuracies) in enumerate(zip(method["seeds"], method["curves"], strict=True)):
            series = {f"{prefix}test.{key}": Series(epochs[-1:], [values[key][place]]) for key in ("nll", "ece")}
            series[f"{prefix}test.accuracy"] = Series(epochs, accuracies)
            curves.setdefault((label, seed), {}).update(series)
            if output is None:
                names = {"accuracy": "deployed", "nll": "deployed_nll", "ece": "deployed_ece"}
                deployed[label, seed] = {score: values[name][place] for score, name in names.items()}
            costs[label, seed] = {key: values[key][place] for key in ("step_ms", "memory_mib")}
    runs = []
    for (label, seed), series in curves.items():
        others = {name.split(".")[1]: {} for name in series if name.startswith("others.")}
        result = Result(1, {"others": others}, {}, None, 1.0, ENVIRONMENT, [], costs[label, seed])
        result = replace(result, deployed={"test": deployed[label, seed]})
        runs.append(FinishedRun(label, seed, path, replace(CONFIG, seed=seed), result, Curve(1, series)))
    return markdown(comparison_table(panel_of(runs)))


def test_the_two_lines_run() -> None:
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(block[1].splitlines()) == 2
    network = torch.nn.Linear(4, 10)
    names = {"osakd": osakd, "network": network, "images": torch.rand(16, 4), "target": torch.arange(16) % 10}
    exec(block[1], names)  # the README's own lines
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_it_answers_on_one_screen() -> None:
    first, *_ = re.split(r"^## ", README, flags=re.MULTILINE)
    assert len(first.splitlines()) <= 60
    assert len(README.split()) < 1200


def test_its_numbers_are_those_of_the_pages() -> None:
    pages = "".join((ROOT / f"docs/{name}.md").read_text() for name in ("soft-labels", "reproduction"))
    numbers = re.findall(r"[+-]\d\.\d+ \[[^\]]+\]", README)
    assert len(numbers) >= 5
    assert [number for number in numbers if number not in pages] == []


def test_the_photos_are_those_of_their_record() -> None:
    block = re.search(r"<!-- photos -->\n```\n(.*?)```", README, re.DOTALL)
    record = (ROOT / "benchmarks/records/photos.txt").read_text()
    assert all(line in record for line in block[1].splitlines() if line != "...")
    assert tuple(re.findall(r"^\$ (.*)", block[1], re.MULTILINE)) == COMMANDS
    page = (ROOT / "docs/ship-a-classifier.md").read_text()
    assert f"accuracy {re.search(r'gave (.* %) of test', page)[1]}, NLL" in record


def test_the_demo_s_table_is_its_record() -> None:
    assert recorded(ROOT / "docs/demo/digits.json") in (ROOT / "docs/compare-methods.md").read_text()


def test_the_citation_is_that_of_the_file() -> None:
    block = re.search(r"```bibtex\n(.*?)```", (ROOT / "docs/compare-methods.md").read_text(), re.DOTALL)
    values = {line.strip(" {}") for line in re.findall(r"= (\{.*\})", block[1])}
    citation = (ROOT / "CITATION.cff").read_text()
    assert {value for value in values if value not in citation} == {"Tzelepi, Maria and Tefas, Anastasios", NOTE}


def test_the_comparison_page_shows_its_records() -> None:
    page = (ROOT / "docs/comparison.md").read_text()
    assert recorded(ROOT / "records/comparison/digits.json") in page
    (column,) = read_panels(ROOT / "records/comparison/cifar10-resnet8.jsonl")
    assert len(column.finished) == 36
    assert markdown(comparison_table(column)) in page


def test_the_comparison_page_shows_what_cost_prints(capsys: pytest.CaptureFixture[str]) -> None:
    from osakd.cli.main import main

    block = re.search(r"```\n\$ osakd (cost .*?)\n(.*?)\n```", (ROOT / "docs/comparison.md").read_text(), re.DOTALL)
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
    from osakd.cli import main

    pages = [README, *((ROOT / f"docs/{name}.md").read_text() for name in ("ship-a-classifier", "compare-methods"))]
    shown = "".join(re.findall(r"^```(?:bash)?\n(.*?)^```$", "\n".join(pages), re.DOTALL | re.MULTILINE))
    named = set(re.findall(r"^(?:\$ )?osakd (\w+)", shown, re.MULTILINE))
    assert named == {*main.COMMANDS, "card", "export", "latency", "reproduce"}  # the last are those of leaves
