"""The distributions: what they hold, and that the wheel works where nothing of the checkout can be seen."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAME = "osakd-0.1.0"
ONE_STEP = """
import sys, torch, osakd
network = torch.nn.Linear(6, 3)
before = network.weight.detach().clone()
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
osakd.OSAKDLoss(num_classes=3, k=8)(network(torch.rand(40, 6)), torch.arange(40) % 3).backward()
optimizer.step()
assert not torch.equal(network.weight, before)
print(osakd.__file__)
"""
pytestmark = pytest.mark.xdist_group("package")  # one worker builds for all


def checked(*command: str | Path, cwd: Path) -> str:
    """What a program prints; it must succeed, and sees neither the checkout nor the caller's Python paths."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("distributions")
    checked(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def environment(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an empty environment in which the wheel is installed; its requirements are those of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    wheel = distributions / f"{NAME}-py3-none-any.whl"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin/python"]
    checked(*pip, "install", "--no-index", "--no-deps", wheel, cwd=folder)
    (site,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file comes after the environment's own packages, and its own .pth files are not read: an editable
    # installation of osakd there is not seen.
    (site / "requirements.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "bin"


def test_the_sdist_holds_source_tests_and_the_texts_about_them(distributions: Path) -> None:
    path = distributions / f"{NAME}.tar.gz"
    with tarfile.open(path) as archive:
        files = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
    texts = {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert {file for file in files if "/" not in file} == texts
    assert {file.split("/")[0] for file in files - texts} == {"src", "tests", "examples"}
    assert "examples/osakd_cifar10.py" in files
    assert package_files() == {file.removeprefix("src/") for file in files if file.startswith("src/")}
    assert path.stat().st_size < 640_000  # text alone: neither data nor weights


def test_the_wheel_holds_the_package_and_the_licence(distributions: Path) -> None:
    path = distributions / f"{NAME}-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        files = set(archive.namelist())
    about = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert files == package_files() | {f"{NAME}.dist-info/{name}" for name in about}
    assert path.stat().st_size < 500_000


def test_the_commands_work_outside_the_checkout(environment: Path, tmp_path: Path) -> None:
    assert checked(environment / "osakd", "--version", cwd=tmp_path) == "osakd 0.1.0\n"
    assert "osakd" in checked(environment / "osakd", "list", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_loss_takes_a_step_outside_the_checkout(environment: Path, tmp_path: Path) -> None:
    home = checked(environment / "python", "-c", ONE_STEP, cwd=tmp_path).strip()
    assert Path(home).is_relative_to(environment.parent)


def package_files() -> set[str]:
    """The files of the package in the checkout, as paths that begin with ``osakd/``."""
    source = ROOT / "src"
    paths = [path for path in (source / "osakd").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(source)) for path in paths}
