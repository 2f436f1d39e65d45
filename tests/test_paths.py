from pathlib import Path

import pytest

import osakd
from osakd.cli.main import main
from osakd.errors import InputError
from osakd.paths import given_path
from tests.data.made import write_image_folder


def test_a_home_directory_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="'~nobody-at-all/x' names a home directory that does not exist: write the"):
        given_path("~nobody-at-all/x")


def test_the_home_directory_in_every_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_image_folder(tmp_path / "pets")
    (tmp_path / "options.yaml").write_text("model: lenet-digits\nepochs: 1\nbatch_size: 4\n")
    argv = ["train", "--config", "~/options.yaml", "--data", "~/pets", "--out", "~/run"]
    assert main(argv) == 0
    assert main(["evaluate", "~/run", "--data", "~/pets"]) == 0
    assert main(["status", "~/run"]) == 0
    assert main(["report", "~/run", "--out", "~/report"]) == 0
    assert osakd.load("~/run").class_names == ("cat", "dog")
    assert osakd.evaluate(Path("~/run"), data="~/pets")["accuracy"] >= 0
    assert not Path("~").exists()
    capsys.readouterr()
    assert main(["evaluate", "~/other"]) == 2
    assert f"{str(tmp_path / 'other')!r} is not a run folder" in capsys.readouterr().err
    assert main(["train", "--data", "~/no-pets"]) == 2
    assert "The data folder '~/no-pets' does not exist: check the path." in capsys.readouterr().err
