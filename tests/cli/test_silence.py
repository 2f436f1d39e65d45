"""Nobody looks at an empty screen: what takes long is said before it begins, and nothing is imported without need."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

LARGE = ("torch._dynamo", "sympy", "sklearn", "scipy.stats", "pandas", "matplotlib")
"""Libraries that take long to import and that these commands do not need."""
_SLOW_TORCH = """
import sys

class Slow:
    def find_spec(self, name, *_):
        if name == "torch":
            print("TORCH", file=sys.stderr, flush=True)

sys.meta_path.insert(0, Slow())
from osakd.cli.main import main
code = main(sys.argv[1:])
print("CODE", code, *sorted({names} & set(sys.modules)))
"""


def on_a_terminal(folder: Path, *words: str) -> list[str]:
    """The lines that a command prints on a terminal, at TORCH the import of PyTorch, at CODE what was imported."""
    script = folder / "slow.py"
    script.write_text(_SLOW_TORCH.replace("{names}", str(set(LARGE))))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, str(script), *words], stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
        env=os.environ | {"TERM": "dumb", "COLUMNS": "200"},
    ) as process:  # fmt: skip
        os.close(theirs)
        printed = b""
        while True:
            try:
                printed += (part := os.read(ours, 65536))
            except OSError:  # the other end is closed
                break
            if not part:
                break
        process.wait()
    os.close(ours)
    return printed.decode().splitlines()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("silence")
    return folder, on_a_terminal(folder, "train", "--data", "digits", "--epochs", "1", "--out", "run")


def test_training_says_what_it_waits_for_and_imports_no_more_than_it_needs(trained: tuple[Path, list[str]]) -> None:
    _, lines = trained
    assert lines[lines.index("TORCH") - 1] == "Importing PyTorch ..."
    assert lines[-1] == "CODE 0"


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "run"),
        ("compare", "--epochs", "1", "--seeds", "1", "--methods", "plain", "--out", "compared"),
        ("cost",),
        ("predict", "run", "photo.png"),
        ("latency", "run"),
    ],
    ids=" ".join,
)
def test_every_command_that_needs_pytorch_says_so(trained: tuple[Path, list[str]], words: tuple[str, ...]) -> None:
    lines = on_a_terminal(trained[0], *words)
    assert lines[lines.index("TORCH") - 1] == "Importing PyTorch ..."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("train", "--data", "./nowhere"), "does not exist"),
        (("train", "--method", "osakdd"), "did you mean 'osakd'"),
        (("train", "--epoch", "3"), "--epochs"),
        (("compare", "--data", "./nowhere"), "does not exist"),
        (("compare", "--methods", "plain", "nothing"), "Unknown method 'nothing'"),
        (("evaluate", "nowhere"), "nowhere"),
        (("status", "nowhere"), "nowhere"),
        (("report", "nowhere"), "nowhere"),
    ],
    ids=str,
)
def test_a_mistake_is_said_without_pytorch(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    lines = on_a_terminal(tmp_path, *words)
    assert "TORCH" not in lines
    assert said in " ".join(lines)
    assert lines[-1].startswith("CODE 2")
