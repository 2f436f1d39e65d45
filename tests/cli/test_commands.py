"""The commands as a user gives them, in this process."""

import inspect
import json
import re
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

import osakd
from osakd.cli.main import COMMANDS, main
from osakd.engine.config import Options
from osakd.records import read_config, read_metrics, read_result
from tests.data.made import write_image_folder, write_parquet_folder


def test_train_evaluate_and_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "run")
    assert main(["train", "--method", "osakd", "--method.k", "5", "--epochs", "2", "--out", out]) == 0
    printed = capsys.readouterr().out
    assert "averaged weights of epoch 2, temperature " in printed
    assert "2 epochs, " in printed
    assert "lenet-digits with 13,706 parameters, " in printed
    assert "weights averaged over 2 epochs, deployed are those of the least validation loss" in printed
    run = osakd.train("digits", method={"name": "osakd", "k": 5}, epochs=2, out=out, resume=True)
    assert str(run) in printed
    assert repr(run) == f"<Run {run}>"
    assert f"test accuracy {100 * run.result.deployed_scores()['accuracy']:.2f} %" in run._repr_html_()
    rows = [row["train"]["soft_weight"] for row in read_metrics(tmp_path / "run")]
    said = f"{sum(rows) / 2:.3f} on average, {rows[0]:.3f} in the first epoch, {rows[1]:.3f} in the last."
    assert f"Weight of the soft labels: {said}\nNext: osakd evaluate {out}; osakd export {out} --to model" in printed
    assert "with k = 5, the sample itself among them, and pseudo-count 0.25 can give the true class 0.68 " in printed
    assert read_config(tmp_path / "run").settings["k"] == 5
    assert main(["evaluate", out]) == 0
    accuracy = read_result(tmp_path / "run").deployed_scores()["accuracy"]
    assert f"accuracy {100 * accuracy:.2f} %" in capsys.readouterr().out


def test_options_in_a_file_and_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(
        "# mine\ndata: digits\nmethod: osakd-16nn\nepochs: 1\nlearning-rate: 1e-2\nmilestones: [0.2, 0.4]\n"
    )
    assert main(["train", "--config", str(path), "--batch-size", "32", "--out", str(tmp_path / "run")]) == 0
    config = read_config(tmp_path / "run")
    assert (config.method, config.settings["k"], config.batch_size) == ("osakd", 16, 32)
    assert (config.learning_rate, config.milestones) == (0.01, [0.2, 0.4])


def test_a_method_with_its_settings_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("method:\n  name: osakd\n  k: 3\n  pool: memory\nepochs: 1\n")
    assert main(["train", "--config", str(path), "--method.space", "logits", "--out", str(tmp_path / "run")]) == 0
    config = read_config(tmp_path / "run")
    assert config.settings.items() >= {"k": 3, "pool": "memory", "space": "logits", "reliability": True}.items()


def test_list_names_everything_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for name in ("digits", "cifar10", "svhn", "fashion_mnist", "tiny_imagenet", "lenet-fashion", "osakd", "plain"):
        assert f"  {name} " in printed
    for source in ("Krizhevsky, 2009", "ICME 2021", "CVPR 2016"):
        assert source in printed


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_shows_the_common_options_on_one_screen(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main([command, "--help"]) == 0
    usage, description, common, *groups = capsys.readouterr().out.rstrip().split("\n\n")
    assert usage.startswith(f"usage: osakd {command}")
    assert len(f"{usage}\n\n{description}\n\n{common}".splitlines()) <= 30
    assert "YAML file with any of these options" in common
    assert all(group.partition("\n")[0].endswith((":", ".")) for group in groups)


def test_help_is_made_of_signature_and_docstring(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["train", "--method", "osakd-16nn", "--help"]) == 0
    printed = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    for line in (
        "--seed N seed of all random numbers, at least 0 (default: 0)",
        "--milestones X ... milestones of the step schedule, as shares of the epochs (default: 0.5",
        "--method.k N number of nearest neighbours; at most the batch size (default: 16)",
        "--optimizer sgd|adamw optimizer of the weights (default: sgd)",
        "--[no-]method.include-self",
        "settings of osakd-16nn:",
    ):
        assert line in lines
    for field in fields(Options):
        assert re.search(rf"  --(\[no-\])?{field.name.replace('_', '-')}\b", printed)
    assert not re.search(r"callbacks|Literal|None|null|``|_\w+ N", printed)


def test_help_of_python_shows_every_option_too() -> None:
    for function in (osakd.train, osakd.compare):
        assert {field.name for field in fields(Options)} < set(inspect.signature(function).parameters)
        assert all(f"    {field.name}: " in str(function.__doc__) for field in fields(Options))


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "osakd 0.1.0\n"


def test_a_network_of_one_s_own_on_images_of_one_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "def net(num_classes, input_shape):\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2),\n"
        "                         nn.Flatten(), nn.Dropout(0.1), nn.Linear(16, num_classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    write_image_folder(tmp_path / "pets")
    # The images are colour, the network takes grey ones.
    options = ["--model", "mine:net", "--epochs", "2", "--batch-size", "5", "--learning-rate", "0.01"]
    assert main(["train", "--data", "pets", *options, "--method", "osakd", "--method.k", "2", "--out", "run"]) == 0
    assert "Next: osakd evaluate run --trust; osakd export run --to model.onnx --trust" in capsys.readouterr().out
    assert main(["evaluate", "run", "--data", "pets", "--trust"]) == 0
    assert main(["predict", "run", str(next((tmp_path / "pets").rglob("*.png"))), "--trust"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "--data", "pets"]) == 2
    assert "names a function as its network, 'mine:net'" in capsys.readouterr().err
    shutil.rmtree("pets/test")
    assert main(["evaluate", "run", "--trust"]) == 2
    assert "trained on a local folder called 'pets': name it with --data" in capsys.readouterr().err


def test_many_classes_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(write_parquet_folder(tmp_path / "many", classes=100, train=400, test=100))
    options = ["--model", "lenet-digits", "--epochs", "1", "--batch-size", "32", "--out", str(tmp_path / "run")]
    assert main(["train", "--data", folder, "--method", "osakd", *options]) == 0
    printed = capsys.readouterr().out
    assert (
        "Warning: in-batch soft labels with k = 8, the sample itself among them, and pseudo-count 0.025 can" in printed
    )
    assert "true class 0.13 on average" in printed
    assert "top5" in json.loads((tmp_path / "run/result.json").read_text())["last"]["test"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["comp"],
            "Unknown command 'comp'; did you mean 'compare'? Known: compare, train, evaluate, predict, report, pack, "
            "status, cost, list",
        ),
        (["train", "--bogus", "3"], "Unknown option --bogus (see --help)."),
        (["train", "digits"], "Unexpected argument 'digits' after the command: "),
        (["train", "--epochs"], "Option --epochs needs a value: a whole number."),
        (["train", "--flip=maybe"], "Option --flip must be true or false, got 'maybe'."),
        (["train", "--epoch", "3"], "Unknown option --epoch; did you mean --epochs (see --help)?"),
        (["compare", "--method", "plain"], "Unknown option --method; did you mean --methods (see --help)?"),
        (["train", "--epochs="], "Option --epochs must be a whole number, got ''."),
        (["compare", "--seeds", "[1"], "Option --seeds must be a whole number or a list of whole numbers, got '[1'."),
        (["train", "--data", "[a"], "Unknown data '[a'."),
        (["train", "--model", ":"], "The model function ':' cannot be imported"),
        (["train", "--model", "os:name"], "'os:name' is not a function but of type str."),
        (["train", "--model", "torch.nn:Identity"], "The network of 'torch.nn:Identity' has no parameters"),
        (["train", "--seed", "1.5"], "Option --seed must be a whole number, got '1.5'."),
        (["train", "--validation", "x"], "Option --validation must be a number, got 'x'."),
        (["train", "--nesterov", "maybe"], "Unexpected argument 'maybe' after --nesterov: "),
        (["train", "--scaling", "x"], "Option --scaling must be one of 'half', 'unit', 'statistics', got 'x'."),
        (["train", "--milestones", "0.5;0.7"], "Option --milestones must be a list of numbers, got '0.5;0.7'."),
        (["train", "--config", "/no/such.yaml"], "The configuration file '/no/such.yaml' does not exist"),
        (["train", "--method.k", "3"], "Method 'plain' has no settings, got 'k': leave it out."),
        (["train", "--data", "./none"], "The data folder './none' does not exist: check the path."),
        (["train", "--model", "lnet"], "Unknown model 'lnet'; did you mean 'lenet'?"),
        (["train", "--model", "lenet"], "Images of 8x8 pixels are too small for this network"),
        (["evaluate"], "RUN is missing: folder of the run"),
        (["evaluate", "./none"], "'none' is not a run folder"),
        (["compare", "--processes", "0"], "`processes` must be at least 1, got 0."),
        (["compare", "--methods", "dml", "--methods.peers", "x"], "Option --methods.peers: settings go with each"),
        (["compare", "--methods", "plain", "plain"], "Method 'plain' is given twice"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(
    argv: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"osakd: {message}")
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: [1\n", "The configuration file 'options.yaml' cannot be read (while parsing a flow sequence"),
        (b"\xff\xfe", "The configuration file 'options.yaml' cannot be read ('utf-8' codec"),
        (b"- 1\n", "The configuration file 'options.yaml' must hold lines"),
        (b"method: 3\n", "The configuration file 'options.yaml' must hold lines"),
        (b"method: {name: osakd, kk: 3}\n", "Unknown setting of method 'osakd' 'kk'; did you mean 'k'?"),
        (b"bogus: 3\n", "Unknown option 'bogus' (see --help)."),
        (b"epochs: x\n", "Option --epochs must be a whole number, got 'x'."),
    ],
)
def test_mistakes_in_a_configuration_file(
    text: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.yaml").write_bytes(text)
    assert main(["train", "--config", "options.yaml"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"osakd: {message}")
    assert printed.count("\n") == 1


def test_failures_are_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["train", "--learning-rate", "1e39", "--epochs", "1", "--out", str(tmp_path / "run")]
    assert main(argv) == 1
    assert "The loss is not finite at step 2 of epoch 1" in capsys.readouterr().err


def test_an_error_of_our_own_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a\nbug")

    monkeypatch.setattr("osakd.api.train", fail)
    assert main(["train"]) == 1
    assert capsys.readouterr().err == "osakd: unexpected ZeroDivisionError: a bug (--traceback shows where)\n"
    with pytest.raises(ZeroDivisionError):
        main(["train", "--traceback"])


def test_a_run_that_has_not_finished_cannot_be_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--epochs", "1", "--out", str(tmp_path / "run")]) == 0
    (tmp_path / "run/student.safetensors").unlink()
    assert main(["evaluate", str(tmp_path / "run")]) == 2
    assert "no network (student.safetensors)" in capsys.readouterr().err


def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'yaml'", name="yaml")

    monkeypatch.setattr("osakd.cli.main.load", missing)
    assert main(["train"]) == 2
    expected = "This needs the package 'yaml', which is not installed: pip install 'osakd[train]'."
    assert expected in capsys.readouterr().err
