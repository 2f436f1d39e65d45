"""Evaluating a finished run on images of one's own, and what is said of a run's data."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import osakd
from osakd.cli.main import main
from osakd.data.sources import load_data
from osakd.errors import InputError
from osakd.records import read_config, read_result
from tests.data.made import encode, made_images, write_class_folder, write_image_folder, write_table

OPTIONS: dict[str, Any] = {"model": "lenet-digits", "epochs": 1, "batch_size": 4, "learning_rate": 0.01}
NUMBERS = [str(number) for number in range(12)]


def numbered(folder: Path, *, splits: tuple[str, ...] = ("train", "test")) -> Path:
    """Folders 0 to 11, which sort as 0, 1, 10, 11, 2, ..., with images that are easily told from each other."""
    images = made_images(12, 1)  # those of `write_table`
    for split in splits:
        write_class_folder(folder, {f"{split}/{name}/0.png": encode(images[int(name)]) for name in NUMBERS})
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> osakd.Run:
    """A network that knows the images by heart."""
    folder = tmp_path_factory.mktemp("numbers")
    options = OPTIONS | {"epochs": 60, "learning_rate": 0.05}
    return osakd.train(str(numbered(folder / "numbers")), out=folder / "run", **options)


def test_folders_of_numbers_and_whole_numbers_are_the_same_classes(run: osakd.Run, tmp_path: Path) -> None:
    folders = osakd.evaluate(run.folder, data=str(numbered(tmp_path / "numbers")))
    write_table(tmp_path / "table/test.parquet", {"label": list(range(12))})
    assert osakd.load(run.folder).class_names[2] == "10"
    assert folders["accuracy"] > 0.5
    assert osakd.evaluate(run.folder, data=str(tmp_path / "table")) == pytest.approx(folders)


def test_whole_numbers_are_not_other_names(run: osakd.Run, tmp_path: Path) -> None:
    write_table(tmp_path / "test.parquet", {"label": list("abcdefghijkl")})
    with pytest.raises(InputError, match=r"knows the classes 0, 1, 10, .*\(12 in all\), but .* has a, b, c, .*in all"):
        osakd.evaluate(run.folder, data=str(tmp_path))


def test_a_test_split_alone_is_enough(run: osakd.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = numbered(tmp_path / "numbers", splits=("test",))
    write_class_folder(folder, {"test/3/notes.txt": b"x"})
    assert main(["evaluate", str(run.folder), "--data", str(folder)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Skipped in test/, since they are not images: 1 .txt."
    assert printed[1].startswith(f"accuracy {100 * run.result.deployed_scores()['accuracy']:.2f} %, ")
    assert osakd.evaluate(run.folder, data=str(folder / "test"))["accuracy"] == run.result.deployed_scores()["accuracy"]


def test_the_size_of_a_run_s_images_is_recorded_and_taken_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_image_folder(tmp_path / "pets")
    write_class_folder(folder, {"train/cat/large.png": encode(made_images(1, 0, (40, 30, 3))[0])})
    argv = ["--model", "lenet-digits", "--epochs", "1", "--batch-size", "4", "--out", str(tmp_path / "run")]
    argv += ["--validation", "0"]
    assert main(["train", "--data", str(folder), *argv]) == 2
    assert "choose one with --resize" in capsys.readouterr().err
    assert main(["train", "--data", str(folder), "--resize", "10x8", *argv]) == 0
    printed = capsys.readouterr().out
    assert "Classes: 2; training images of each: 6 to 7." in printed
    config, result = read_config(tmp_path / "run"), read_result(tmp_path / "run")
    assert (config.data["resize"], config.data["input_shape"]) == ([10, 8], [3, 10, 8])
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(folder)]) == 0
    assert f"accuracy {100 * result.deployed_scores()['accuracy']:.2f} %" in capsys.readouterr().out
    assert main(["train", "--data", str(folder), "--resize", "10x8", "--resume", *argv]) == 0
    assert main(["train", "--data", str(folder), "--resize", "8", "--resume", *argv]) == 2
    assert "has a run of another configuration (data.content: " in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "run"), "--data", str(folder), "--resize", "x"]) == 2
    assert "`resize` must be a size in pixels such as 32 or 64x48 (height x width), got 'x'." in capsys.readouterr().err


def test_the_test_split_that_a_run_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = iter(made_images(40, 0))
    folder = tmp_path / "pets"
    write_class_folder(folder, {f"{name}/{i}.png": encode(next(images)) for name in ("cat", "dog") for i in range(20)})
    with pytest.raises(InputError, match="has no test split"):
        osakd.train(str(folder), out=tmp_path / "run", **OPTIONS)
    run = osakd.train(str(folder), out=tmp_path / "run", test_fraction=0.2, **OPTIONS)
    assert [run.config.data[key] for key in ("train", "test", "test_fraction")] == [28, 8, 0.2]
    assert osakd.evaluate(run.folder, data=str(folder)) == pytest.approx(run.result.deployed_scores())


def test_notes_on_the_data_are_said_once_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(tmp_path / "data/train.parquet", {"label": [10] * 9 + [20] * 3})
    write_table(tmp_path / "data/test.parquet", {"label": [10, 20]})
    argv = ["--model", "lenet-digits", "--epochs", "1", "--batch-size", "4", "--deploy", "last"]
    assert main(["train", "--data", str(tmp_path / "data"), *argv, "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("The labels of 'data' are not 0 to 1: 10, 20;") == 1
    assert "Classes: 2; training images of each: 3 ('20') to 9 ('10')." in printed
    assert read_result(tmp_path / "run").notes == list(load_data(str(tmp_path / "data")).notes)


def test_a_comparison_reads_data_as_it_is_told_and_says_what_a_run_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "test"):
        write_table(tmp_path / f"data/{split}.parquet", {"kind": [7] * 9 + [5] * 3, "label": [0, 1] * 6})
    options = ["--methods", "plain", "--seeds", "1", "--processes", "1", "--executor", "serial", "--epochs", "1"]
    options += ["--model", "lenet-digits", "--batch-size", "4", "--label-column", "kind", "--resize", "12"]
    options += ["--deploy", "last"]
    assert main(["compare", "--data", str(tmp_path / "data"), *options, "--out", str(tmp_path / "all")]) == 0
    printed = capsys.readouterr().out
    assert "Classes: 2; training images of each: 3 ('5') to 9 ('7')." in printed
    assert "Note: The labels of 'data' are not 0 to 1: 5, 7;" in printed
    config = read_config(tmp_path / "all/plain-seed0")
    assert (config.data["label_column"], config.data["resize"], config.data["class_counts"]) == (
        "kind",
        [12, 12],
        [3, 9],
    )
    assert osakd.load(tmp_path / "all/plain-seed0").class_names == ("5", "7")


def test_what_is_behind_the_scores(run: osakd.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = made_images(12, 1)
    # The images of 3 and 4 stand in each other's folders, those of 5 twice in their own.
    swapped = {"3": "4", "4": "3"}
    files = {f"{name}/a.png": encode(images[int(swapped.get(name, name))]) for name in NUMBERS}
    folder = write_class_folder(tmp_path / "found", files | {"5/b.png": encode(images[5])})
    evaluation = osakd.evaluate(run.folder, data=str(folder))
    assert len(evaluation.answers) == 13
    right = round(13 * evaluation["accuracy"])
    assert sum(counts[name] for name, counts in evaluation.confusion.items()) == right
    assert evaluation.confusion["3"].total() == 1
    assert evaluation.confusion["5"].total() == 2
    assert evaluation.class_accuracies["3"] == 0
    assert evaluation["balanced_accuracy"] == pytest.approx(sum(evaluation.class_accuracies.values()) / 12)
    shares = [answer.probability for answer in evaluation.mistakes]
    assert len(shares) == 13 - right
    assert shares == sorted(shares, reverse=True)
    assert {answer.file for answer in evaluation.mistakes} >= {str(folder / "3/a.png"), str(folder / "4/a.png")}
    low, high = evaluation.interval
    z, p, n = 1.959964, right / 13, 13
    middle, half = p + z**2 / (2 * n), z * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    assert (low, high) == pytest.approx([(middle + side * half) / (1 + z**2 / n) for side in (-1, 1)], abs=1e-5)

    assert main(["evaluate", str(run.folder), "--data", str(folder), "--csv", str(tmp_path / "all.csv")]) == 0
    printed = capsys.readouterr().out
    assert f"95 % interval {100 * low:.2f} to {100 * high:.2f} % (Wilson, 13 images)" in printed
    assert f"{evaluation.mistakes[0].file}: " in printed
    assert [line.split()[:3] for line in printed.splitlines() if line.startswith("3  ")] == [["3", "0.00", "1"]]
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    assert [(row["file"], row["label"]) for row in rows] == [each[:2] for each in evaluation.answers]
    assert main(["evaluate", str(run.folder), "--data", str(folder), "--json"]) == 0
    loaded = json.loads(capsys.readouterr().out)
    assert loaded["confusion"]["5"] == evaluation.confusion["5"]
    assert loaded["mistakes"] == [each._asdict() for each in evaluation.mistakes]


def test_few_classes_have_a_confusion_matrix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_image_folder(tmp_path / "pets")
    run = osakd.train(str(folder), out=tmp_path / "run", **OPTIONS)
    assert main(["evaluate", str(run.folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    matrix = osakd.evaluate(run.folder).confusion
    assert lines[2].split() == ["class", "accuracy", "%", "images", "as", "cat", "as", "dog"]
    assert lines[4].split()[3:] == [str(matrix["cat"]["cat"]), str(matrix["cat"]["dog"])]
