"""``osakd cost`` as a user gives it, in this process."""

import re
from pathlib import Path

import pytest

from osakd.cli.cost import DEFAULT_METHODS, quantity
from osakd.cli.main import main
from tests.data.made import write_image_folder

SMALL = ["--model", "resnet8", "--input-shape", "3", "16", "16", "--train-size", "500", "--batch-size", "32"]


def printed_rows(printed: str, label: str) -> list[list[str]]:
    """The cells of the rows of a method, in both tables."""
    lines = [line for line in printed.splitlines() if line.startswith(f"{label} ")]
    return [re.split(r"\s{2,}", line.strip()) for line in lines]


def test_both_tables_have_a_row_for_each_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", *SMALL, "--epochs", "2", "--methods", "plain", "osakd", "dml", "one", "ffl-unshared"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("training\n")
    assert "The paper" not in printed
    for label in ("plain", "osakd", "dml", "one", "ffl-unshared"):
        training, deployed = printed_rows(printed, label)
        assert len(training) == 8
        assert deployed[1:] == ["75,290", "3.060 M"]
    assert printed_rows(printed, "plain")[0][1:] == ["75,290", "1.00", "18.14 M", "-", "-", "18.14 G", "1.000"]
    assert printed_rows(printed, "dml")[0][1:] == ["150,580", "2.00", "36.28 M", "-", "-", "36.28 G", "2.000"]


def test_by_default_every_method_that_fits_any_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--model", "lenet-digits", "--input-shape", "1", "8", "8", "--num-classes", "2"]) == 0
    printed = capsys.readouterr().out
    for method in DEFAULT_METHODS:
        assert len(printed_rows(printed, method)) == 2


def test_shape_and_recipe_of_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image_folder(tmp_path)
    assert main(["cost", "--data", "digits", "--model", "lenet-digits", "--methods", "plain"]) == 0
    training, deployed = printed_rows(capsys.readouterr().out, "plain")
    assert deployed[1] == "13,706"
    per_image, total = (float(cell.split()[0]) for cell in (training[3], training[6]))
    # Its recipe: 600 images, 40 epochs.
    assert total * 1e9 == pytest.approx(per_image * 1e3 * 600 * 40, rel=1e-3)
    assert main(["cost", "--data", str(tmp_path), "--model", "resnet8", "--methods", "plain", "--batch-size", "8"]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "resnet33"], "Unknown model 'resnet33'; did you mean 'resnet"),
        (["--methods", "osakdd"], "Unknown method 'osakdd'; did you mean 'osakd'"),
        (["--num-classes", "1"], "`num_classes` must be at least 2, got 1."),
        (["--input-shape", "3", "32"], "must be a list of 3 whole numbers"),
        (["--epochs", "0"], "`epochs` must be at least 1, got 0."),
        (["--train-size", "1"], "The training set must hold at least 2 images, got 1."),
        (["--methods", "osakd", "--batch-size", "7"], "`k` must be between 1 and 7"),
        (["--data", "digits", "--train-size", "9"], "--train-size is taken from the data set 'digits'"),
        (["--data", "digitz"], "digitz"),
        (["--batch-sizes", "9"], "Unknown option --batch-sizes; did you mean --batch-size"),
    ],
)
def test_mistakes_are_one_sentence(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("osakd: ")
    assert error.count("\n") == 1


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--help"]) == 0
    assert "usage: osakd cost" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "words"), [(0, "-"), (412, "412.0"), (62_006, "62.01 k"), (1.5e9, "1.500 G"), (2.3e19, "23.00 E")]
)
def test_a_quantity_in_four_digits(value: float, words: str) -> None:
    assert quantity(value) == words
