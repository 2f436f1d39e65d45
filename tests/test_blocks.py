"""Every code block of the README and the documentation runs in a test, is read by the program that it is for, or is
listed here with the reason.
"""

import ast
import inspect
import re
import shlex
import tomllib
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import osakd
from osakd.cli.main import COMMANDS, main
from osakd.engine.config import Options
from osakd.leaves import offered

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN_ELSEWHERE = {
    "README.md": "tests/test_readme.py",
    "docs/data.md": "tests/test_blocks.py",
    "docs/deployed-network.md": "tests/test_deployed_page.py",
    "docs/devices.md": "tests/deploy/test_page.py",
    "docs/from-laptop-to-cluster.md": "tests/test_blocks.py",
    "docs/hugging-face.md": "tests/integrations/test_transformers.py",
    "docs/methods": "tests/test_docs.py",
    "docs/scikit-learn.md": "tests/integrations/test_skorch.py",
    "docs/several-devices.md": "tests/losses/test_ranks.py",
    "docs/your-own-loop.md": "tests/integrations/pages.py",
}
"""The test that runs the Python of a page."""
NOT_RUN = {
    "pets/train/cat/1.jpg": "a folder",
    "#SBATCH --array=0-4 --cpus-per-task=1 --signal=TERM@60": "a cluster",
    "python -m benchmarks.devices DATASETS OUT": "a quarter of an hour of training",
    "pip install 'osakd[train,microcontroller]'": "tests/deploy/integrations/test_microcontroller.py: other words",
    "python -m venv litert && litert/bin/pip install litert-torch 'osakd[train]'": "an environment with older packages",
}
"""How blocks of no language begin that no program reads, and why."""
OF_LEAVES = {"card", "export", "latency", "reproduce"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FOUND = [(page.relative_to(ROOT), *block) for page in PAGES for block in FENCE.findall(page.read_text("utf-8"))]


def commands(block: str) -> list[str]:
    """The commands of a block of shell; of one that shows output, those after a prompt."""
    lines = block.replace("\\\n", " ").splitlines()
    if block.startswith("$ "):
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [words for line in lines if (words := shlex.join(shlex.split(line, comments=True)))]


SHELL = [
    pytest.param(command, id=f"{page.stem}: {command}"[:90])
    for page, language, block in FOUND
    if language in ("", "bash") and block.partition("  ")[0].partition("\n")[0] not in NOT_RUN
    for command in commands(block)
]


class ReachedError(Exception):
    """A command has read its options and would begin to work."""


@pytest.mark.parametrize("command", dict.fromkeys(SHELL))
def test_shell_is_accepted(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands of osakd up to where they begin to work; make's targets, pip's extras and Python's files exist."""
    program, *words = shlex.split(command)
    if program == "make":
        assert all(re.search(rf"^{word}:", (ROOT / "Makefile").read_text(), re.MULTILINE) for word in words)
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert words[0] == "install"
        for named in re.findall(r"(?:osakd|'\.)\[(.*?)\]", command):
            assert set(named.split(",")) <= set(extras)
    elif program in ("python", "torchrun"):
        assert any((ROOT / word).is_file() for word in words) or "osakd" in words or "script.py" in words
        if "osakd" in words:
            accept(words[words.index("osakd") + 1 :], tmp_path, monkeypatch, capsys)
    else:
        assert program == "osakd", f"{program}: say here how it is tested"
        accept(words, tmp_path, monkeypatch, capsys)


def accept(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That osakd's parser takes a command line."""
    import osakd.api

    for place, _ in COMMANDS.values():  # their options are those of the functions that are replaced below
        import_module(place.partition(":")[0])

    def stop(*_: Any, **__: Any) -> None:
        raise ReachedError

    for name in ("train", "compare", "pack", "evaluate", "write_report", "load"):
        monkeypatch.setattr(osakd.api, name, stop, raising=False)
    monkeypatch.setattr("osakd.engine.cost.costs", stop)
    for name, (place, _) in offered("commands").items():
        monkeypatch.setattr(f"{place.partition(':')[0]}.api.{name}", stop)
    monkeypatch.setattr("osakd.runner.status.status_of", stop)
    monkeypatch.setattr("osakd.engine.allocator.keep_freed_memory", lambda: False)
    monkeypatch.chdir(tmp_path)
    if argv[0] in OF_LEAVES.difference(COMMANDS):
        pytest.skip("the leaf is left out")
    assert argv[0] in COMMANDS
    try:
        assert main([*argv, "--traceback"]) == 0
    except ReachedError:
        return
    assert argv[0] == "list" or "--help" in argv, capsys.readouterr().err


def test_python_of_every_page_is_run_by_a_test() -> None:
    pages = {page for page, language, _ in FOUND if language == "python"}
    for page in pages:
        key = "docs/methods" if page.parent.name == "methods" else page.as_posix()
        assert key in RUN_ELSEWHERE, f"{page}: run its Python in a test, and name it here"
        test = ROOT / RUN_ELSEWHERE[key]
        text = test.read_text() if test.parent.exists() else page.name  # a leaf may be left out
        assert page.name in text or (key == "docs/methods" and "the_python_of_a_card" in text)


def test_languages_are_those_that_are_checked() -> None:
    assert {language for _, language, _ in FOUND} <= {
        "",
        "bash",
        "bibtex",
        "math",
        "mermaid",
        "python",
        "text",
        "yaml",
        "toml",
    }
    texts = [(page, block) for page, language, block in FOUND if language == "text"]
    listed = [block for _, block in texts if block.partition("  ")[0].partition("\n")[0] in NOT_RUN]
    assert listed == [block for _, block in texts]


def test_the_calls_of_the_page_on_data_have_arguments_that_exist() -> None:
    """Its images in memory stand for the reader's own, so that nothing can run: tests/data/test_in_memory.py does."""
    page = Path("docs/data.md")
    (block,) = [block for where, language, block in FOUND if (where, language) == (page, "python")]
    calls = [
        one for one in ast.walk(ast.parse(block)) if isinstance(one, ast.Call) and "osakd" in ast.unparse(one.func)
    ]
    assert calls
    for call in calls:
        function = getattr(osakd, ast.unparse(call.func).removeprefix("osakd."))
        known = {*inspect.signature(function).parameters, *(field.name for field in fields(Options))}
        assert {keyword.arg for keyword in call.keywords} <= known


def test_the_callback_of_the_page_on_clusters_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page = Path("docs/from-laptop-to-cluster.md")
    (block,) = [block for where, language, block in FOUND if (where, language) == (page, "python")]
    exec(block, {})  # the page's own lines
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "begin osakd 0 from epoch 1"
    assert [line.split()[0] for line in said[1:]] == ["1", "2"]
