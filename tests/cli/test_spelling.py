"""Options as other tools spell them: short forms, lists in every form, and what is meant by a name from elsewhere."""

from pathlib import Path

import pytest

from osakd import api
from osakd.cli import commands  # noqa: F401 - it reads the signatures of the functions that are replaced below
from osakd.cli.main import main


class ReachedError(Exception):
    pass


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict:
    """What a command would run with."""
    found: dict = {}

    def stop(**options: object) -> None:
        found.update(options)
        raise ReachedError

    for command in ("train", "compare"):
        monkeypatch.setattr(api, command, stop)
    monkeypatch.setattr("osakd.engine.allocator.keep_freed_memory", lambda: False)
    return found


@pytest.mark.parametrize("seeds", [["1", "2", "3"], ["1,2,3"], ["[1,2,3]"], ["1, 2, 3"], ["[1,", "2,", "3]"]])
@pytest.mark.parametrize("methods", [["plain", "osakd"], ["plain,osakd"], ["plain", "{name: osakd, k: 8}"]])
def test_a_list_may_be_given_in_every_form(given: dict, seeds: list[str], methods: list[str]) -> None:
    with pytest.raises(ReachedError):
        main(["compare", "--traceback", "--seeds", *seeds, "--methods", *methods])
    assert given["seeds"] == [1, 2, 3]
    assert [one if isinstance(one, str) else one["name"] for one in given["methods"]] == ["plain", "osakd"]


def test_one_seed_is_a_number_of_seeds(given: dict) -> None:
    with pytest.raises(ReachedError):
        main(["compare", "--traceback", "--seeds", "3"])
    assert given["seeds"] == 3


@pytest.mark.parametrize("rate", [["--lr", "0.1"], ["--lr=0.1"], ["--learning-rate", "0.1"]])
def test_lr_is_the_learning_rate(given: dict, rate: list[str]) -> None:
    with pytest.raises(ReachedError):
        main(["train", "--traceback", "--milestones", "0.5", "0.75", "--batch-size", "32", *rate])
    assert (given["learning_rate"], given["batch_size"]) == (0.1, 32)
    assert list(given["milestones"]) == [0.5, 0.75]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--flip"], True),
        (["--no-flip"], False),
        (["--flip", "true"], True),
        (["--flip=false"], False),
        (["--flip", "--no-flip"], False),
        ([], None),
    ],
)
def test_a_switch_may_be_given_in_every_form(given: dict, words: list[str], value: bool | None) -> None:
    with pytest.raises(ReachedError):
        main(["train", "--traceback", *words, "--no_nesterov"])
    assert given.get("flip") is value
    assert given["nesterov"] is False


def test_the_command_line_goes_before_the_files_and_later_files_before_earlier_ones(
    given: dict, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("method: {name: osakd, k: 4, soft-weight: 0.5}\nlr: 1\nepochs: 3\nbatch-size: 8\nflip: true\n")
    second.write_text("method.k: 5\nlearning_rate: 2e-1\n")
    files = ["--config", str(first), f"--config={second}"]
    with pytest.raises(ReachedError):
        main(["train", "--traceback", "--epochs", "9", *files, "--no-flip"])
    callbacks = given.pop("callbacks")
    assert len(callbacks) == 1
    method = {"name": "osakd", "k": 5, "soft_weight": 0.5}
    assert given == {"method": method, "learning_rate": 0.2, "epochs": 9, "batch_size": 8, "flip": False}
    with pytest.raises(ReachedError):
        main(["train", "--traceback", *files[:2], "--method", "kd", "--method.temperature", "3"])
    assert given["method"] == {"name": "kd", "temperature": 3.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--gpu"], "Unknown option --gpu; did you mean --device cuda"),
        (["train", "--label-smoothing", "0.1"], "did you mean --method label-smoothing"),
        (["train", "--warmup", "3"], "did you mean --warmup-epochs"),
        (["train", "--val-split", "0.2"], "did you mean --validation"),
        (["train", "--img-size", "64"], "did you mean --resize"),
        (["train", "-b", "32"], "Unknown option -b; did you mean --batch-size"),
        (["predict", "run", "photo.jpg", "-x"], "Unknown option -x (see --help)."),
        (["train", "--amp"], "did you mean --precision bf16"),
        (["train", "--class-weights", "1,2"], "Option --class-weights must be 'balanced'"),
        (["train", "--k", "3"], "Unknown option --k; did you mean --method.k"),
        (["train", "--bs", "3"], "Unknown option --bs; did you mean --batch-size"),
        (["train", "--batch", "3"], "Unknown option --batch; did you mean --batch-size"),
        (["train", "--output-dir", "x"], "did you mean --out"),
        (["compare", "--num-workers", "2"], "did you mean --processes"),
        (["train", "--optimizer", "adam"], "must be one of 'sgd', 'adamw', got 'adam'; did you mean 'adamw'?"),
        (["train", "--data", "CIFAR10"], "Unknown data 'CIFAR10'; did you mean 'cifar10'?"),
        (["train", "--model", "LeNet"], "Unknown model 'LeNet'; did you mean 'lenet'?"),
        (["train", "--method", "OSAKD"], "Unknown method 'OSAKD'; did you mean 'osakd'?"),
    ],
)
def test_a_name_from_elsewhere_is_explained(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
