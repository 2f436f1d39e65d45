"""The core needs torch and jaxtyping, nothing else; checked in an environment made of those distributions only."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

TEN_LINES = """
import sys, torch, osakd
from torch.utils.data import DataLoader
images, classes = torch.rand(40, 6), torch.arange(40) % 3
loader = DataLoader(osakd.WithIndex(list(zip(images, classes))), batch_size=20, shuffle=True)
network = torch.nn.Linear(6, 3)
loss = osakd.OSAKDLoss(num_classes=3, k=8, memory=osakd.OutputMemory(40, 3))
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
for x, y, index in loader:
    optimizer.zero_grad()
    loss(network(x), y, index).backward()
    optimizer.step()
print(osakd.soft_label_ceiling(20, [1, 1, 1], 8) > 0, bool(loss.memory.valid.all()))
assert not {"sklearn", "pyarrow", "rich", "matplotlib", "yaml", "datasets"} & set(sys.modules)
"""
MISSING = """
import osakd
from osakd.cli.main import main
raise SystemExit(main(["train"]))
"""


def requirements(name: str, found: set[str]) -> set[str]:
    """The distributions that ``name`` needs, without extras."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in found:
        return found
    try:
        wanted = importlib.metadata.requires(key) or []
    except importlib.metadata.PackageNotFoundError:  # for another platform
        return found
    found.add(key)
    for line in wanted:
        if "extra ==" not in line:
            requirements(re.split(r"[\s;<>=!~\[(]", line)[0], found)
    return found


def core_environment(folder: Path) -> Path:
    """A folder with links to the packages that the core requires."""
    names = requirements("jaxtyping", requirements("torch", set()))
    assert "numpy" not in names
    assert "torch" in names
    for name in names:
        for file in importlib.metadata.files(name) or []:
            top = file.parts[0]
            source = Path(str(importlib.metadata.distribution(name).locate_file(top)))
            if top != ".." and source.exists() and not (folder / top).exists():
                (folder / top).symlink_to(source)
    (folder / "osakd").symlink_to(Path(__file__).parents[1] / "src/osakd")
    return folder


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    # -I and -S: neither the user's paths nor site-packages, only the folder.
    program = f"import sys; sys.path.insert(0, {str(folder)!r})\n{code}"
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-I", "-S", "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def test_ten_lines_with_torch_alone(tmp_path: Path) -> None:
    done = run(TEN_LINES, core_environment(tmp_path))
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr


PYTHON = """
import pydoc, torch, osakd
from osakd import *
assert {"train", "OSAKDLoss", "Run"} <= set(dir(osakd)) and callable(compare)
assert "OSAKDLoss" in pydoc.render_doc(osakd)
calls = [train, compare, lambda: evaluate("run"), lambda: write_report("."), lambda: export("run", "to.onnx")]
for call in [*calls, lambda: latency(["run"]), lambda: reproduce("table1"), lambda: osakd.OSAKDModel]:
    try:
        call()
    except InputError as error:
        print(error)
"""


def test_python_says_which_extra_is_missing(tmp_path: Path) -> None:
    done = run(PYTHON, core_environment(tmp_path))
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 8
    assert said.pop(2).startswith("'run' is not a run folder")  # that is known without the extra
    assert all(re.fullmatch(r"This needs the package '\w+', .*: pip install 'osakd\[train\]'\.", line) for line in said)


def test_a_missing_extra_names_the_command(tmp_path: Path) -> None:
    done = run(MISSING, core_environment(tmp_path))
    assert done.returncode == 2
    assert "is not installed: pip install 'osakd[train]'" in done.stderr
