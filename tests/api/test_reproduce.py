"""A table of the paper: what is missing is run, what is recorded is shown beside the paper's."""

from dataclasses import replace
from pathlib import Path

import pytest

import osakd
from osakd import InputError
from osakd.cli.main import main
from osakd.experiments import reproduce
from osakd.experiments.spec import Column, Experiment, Published
from osakd.experiments.table1 import TABLE1
from osakd.records import read_config

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of one column on digits."""
    column = Column("digits", 2, ("plain", "osakd-8nn"), {"plain": Published(50.0, 1.0)}, {"batch_size": 32})
    table = Experiment("small", "A small table", (column, replace(column, data="other")), seeds=3)
    monkeypatch.setitem(reproduce.EXPERIMENTS, "small", table)


@pytest.mark.usefixtures("small")
def test_what_is_missing_is_run_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reproduce", "small", "--data", "digits", "--out", str(tmp_path), "--processes", "1"]
    assert main([*words, "--dry-run"]) == 0
    assert "| plain | 0 | - | - | 50.00 ± 1.00 | not run | - | - |" in capsys.readouterr().out
    assert main([*words, "--seeds", "2", "--epochs", "1", "--executor", "serial"]) == 0
    text = capsys.readouterr().out
    assert "too few runs (2 of 3 seeds, 1 of 2 epochs)" in text
    assert "Missing: 2 of 6 runs." in text
    assert "not in the paper" in text
    config = read_config(tmp_path / "small/digits/osakd-8nn-seed1")
    assert config is not None
    assert (config.epochs, config.batch_size) == (1, 32)


@pytest.mark.usefixtures("small")
def test_names_that_are_not_there() -> None:
    with pytest.raises(InputError, match="Unknown experiment 'smal'; did you mean 'small'"):
        osakd.reproduce("smal")
    with pytest.raises(InputError, match="Unknown data set of small 'cifar100'"):
        osakd.reproduce("small", data=["cifar100"])
    with pytest.raises(InputError, match="The data set 'digits' is given twice"):
        osakd.reproduce("small", data=["digits", "some/digits"])


def test_the_paper_s_table_one() -> None:
    """Its numbers as the paper prints them: mean and standard deviation of every cell."""
    cells = [(c.data, label, one.mean, one.std) for c in TABLE1.columns for label, one in c.published.items()]
    assert len(cells) == 12
    assert cells[1] == ("cifar10", "osakd-8nn", 66.734, 0.086)
    assert cells[-1] == ("tiny_imagenet", "osakd-16nn", 31.916, 0.982)


def test_the_page_shows_the_committed_records() -> None:
    page = (ROOT / "docs/reproduction.md").read_text()
    shown = osakd.reproduce("table1", data=["cifar10"], out=ROOT / "records", dry_run=True)
    assert shown.partition("\n\n")[2] in page
