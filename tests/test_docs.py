"""The method cards say what the code does: their options, commands, recorded names and links."""

import ast
import functools
import re
import shlex
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

import osakd
from osakd.cli.commands import compare, train
from osakd.data.arrays import DataArrays
from osakd.data.recipes import DATA
from osakd.data.sources import load_data
from osakd.engine.config import Options, configure
from osakd.methods.base import BuildContext
from osakd.methods.lookup import given_method, resolve_method
from osakd.methods.registry import METHODS, build_method
from osakd.methods.settings.base import RunDefaults
from osakd.models.branches import shared_stage, stages_of
from osakd.models.build import build_model
from osakd.models.registry import MODELS

ROOT = Path(__file__).parents[1]
CARDS = ROOT / "docs/methods"
INDEX = (CARDS / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SECTIONS = [
    "Equation",
    "Options",
    "Run it",
    "What is recorded beside the deployed network",
    "Cost",
    "When to use it, and when not",
    "Differences to the source",
    "Source",
]
COMMANDS = {"train": train, "compare": compare}
each_method = pytest.mark.parametrize("name", list(METHODS))


def card(name: str) -> str:
    return (CARDS / f"{name}.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def table(text: str) -> list[list[str]]:
    """The cells of the rows of a Markdown table, but for its head."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def value(code: str) -> Any:
    """A value as the cards write it, in backticks: Python's notation, or a quotient of two numbers."""
    (written,) = re.findall(r"^`(.+)`$", code)
    above, _, below = written.partition(" / ")
    return ast.literal_eval(above) / ast.literal_eval(below) if below else ast.literal_eval(written)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@functools.cache
def digits() -> DataArrays:
    return load_data("digits")


def check_run(data: str, method: Any, options: dict[str, Any]) -> None:
    """That a run could be made: known names, values in their ranges, a network that has the stages which it needs."""
    assert data in DATA
    model = options.get("model") or DATA[data].recipe.model
    assert model in MODELS
    # The digits stand for every data set: nothing is loaded from elsewhere.
    config = configure(digits(), method, 0, Options(**{"deploy": "last"} | options | {"model": model}))
    if config.method in ("one", "ffl"):
        network = build_model(model, num_classes=10, input_shape=(3, 32, 32))
        assert stages_of(network) if config.settings.get("shared") is False else shared_stage(network, None)


def test_every_method_has_a_card_and_a_row_of_the_index() -> None:
    assert {path.stem for path in CARDS.glob("*.md")} == {*METHODS, "README"}
    rows = table(INDEX)
    assert [row[0] for row in rows] == [f"[{name}]({name}.md)" for name in METHODS]
    assert all(len(row) == 6 and all(row) and row[-1] == "always" for row in rows)


@each_method
def test_a_card_has_the_sections_in_order(name: str) -> None:
    lines = card(name).splitlines()
    assert lines[0] == f"# {name}"
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == SECTIONS
    assert all(section(card(name), title).strip() for title in SECTIONS)
    assert "(README.md)" in card(name)
    assert blocks(section(card(name), "Equation"), "math")


@each_method
def test_the_options_of_a_card_are_the_settings_and_their_defaults(name: str) -> None:
    found = section(card(name), "Options")
    rows = table(found)
    written = {key.strip("`"): value(default) for key, default, _ in rows}
    defaults = {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(METHODS[name].settings)
    }
    assert list(written) == list(defaults)
    assert written == defaults
    assert {key: type(one) for key, one in written.items()} == {key: type(one) for key, one in defaults.items()}
    assert all(meaning for _, _, meaning in rows)
    assert bool(rows) != (found.strip() == "None.")


@each_method
def test_a_card_names_what_is_recorded_beside_the_deployed_network(name: str) -> None:
    settings = resolve_method(name, RunDefaults(model="resnet8"))[1]
    shape = (3, 8, 8)

    def build(_: str | None) -> Any:
        return build_model("resnet8", num_classes=4, input_shape=shape)

    context = BuildContext.of(build, num_classes=4, num_samples=16, input_shape=shape, teachers=[build(None)])
    method = build_method(name, settings, context)
    from torch import zeros

    predicted = list(method.eval().predict(zeros(2, *shape)))
    written = section(card(name), "What is recorded beside the deployed network")
    assert re.findall(r"^- `(\w+)`:", written, re.MULTILINE) == predicted[1:]
    assert written.strip().startswith("Nothing.") == (len(predicted) == 1)


class ReachedError(Exception):
    """A command has read its options and would begin to train."""


COMMAND_LINES = [
    pytest.param(line, id=line)
    for page in sorted(CARDS.glob("*.md"))
    for block in blocks(page.read_text(encoding="utf-8"), "bash")
    for line in block.splitlines()
]


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_command_lines_of_the_cards_are_accepted(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def stop(data: str, **options: Any) -> None:
        given.update(options, data=data)
        raise ReachedError

    monkeypatch.setattr("osakd.engine.allocator.keep_freed_memory", lambda: False)
    for command in COMMANDS:
        monkeypatch.setattr(f"osakd.api.{command}", stop)
    program, command, *argv = shlex.split(line)
    assert program == "osakd"
    with pytest.raises(ReachedError):
        COMMANDS[command](argv)
    options = {field.name: given[field.name] for field in fields(Options) if field.name in given}
    for method in given.get("methods", [given.get("method")]):
        check_run(given["data"], method, options)


@each_method
def test_the_python_of_a_card_is_accepted(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    methods: list[str] = []

    def check(data: str, *, method: Any, **options: Any) -> None:
        methods.append(given_method(method)[0])
        check_run(data, method, options)

    monkeypatch.setattr(osakd, "train", check)
    found = blocks(card(name), "python")
    for block in found:
        exec(block, {})  # the card's own lines
    assert methods == [name] * len(found)
    assert found


@each_method
def test_the_commands_of_a_card_are_of_its_method(name: str) -> None:
    lines = [shlex.split(line) for block in blocks(card(name), "bash") for line in block.splitlines()]
    trained = [line[line.index("--method") + 1] for line in lines if line[1] == "train"]
    assert trained
    assert {given_method(one)[0] for one in trained} == {name}


def headings(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = page.parent / file if file else page
        assert found.exists(), target
        assert not anchor or anchor in headings(found.read_text(encoding="utf-8")), target
