"""Runs as they are recorded, in folders and packed in one file: what is read is what was written."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import osakd
from osakd.cli.main import main
from osakd.durable import line
from osakd.errors import InputError, RunError
from osakd.records import METRICS, RESULT, flattened, read_metrics, write_error
from osakd.runs import FinishedRun, RunRecord, curve_of, pack_runs, read_runs
from tests.report.made import ENVIRONMENT, make_comparison, make_run, read, row, run_of


def test_a_curve_has_every_value_of_its_rows() -> None:
    """Against the rows, one by one, with another output's scores and with validation every second epoch."""
    rows = [row(epoch, 0.1 * epoch, soft=True, validated=True) for epoch in range(1, 6)]
    for odd in rows[::2]:
        odd["others"] = {"a.b": {"test": odd.pop("test"), "validation": odd.pop("validation")}}
    curve = curve_of(rows)
    assert curve.epoch == 5
    names = {"learning_rate", "seconds", "train.total", "others.a.b.test.nll", "validation.ece", "test.accuracy"}
    assert names < set(curve.series)
    for name, (epochs, values) in curve.series.items():
        for epoch, value in zip(epochs, values, strict=True):
            inner: Any = rows[epoch - 1]
            for part in name.replace("a.b", "A").split("."):
                inner = inner["a.b" if part == "A" else part]
            assert inner == value
    assert sum(len(epochs) for epochs, _ in curve.series.values()) == 6 * 5 + 6 * 5


def test_a_curve_takes_eight_bytes_for_each_number(tmp_path: Path) -> None:
    run = read(make_run(tmp_path / "osakd-seed0", [0.5] * 400))
    assert sum(sys.getsizeof(series.values) for series in run.curve.series.values()) < 9 * (8 * 400 + 200)
    assert {type(series.epochs) for series in run.curve.series.values()} == {range}


def test_what_became_of_a_run(tmp_path: Path) -> None:
    make_run(tmp_path / "a-seed0", [0.5])
    make_run(tmp_path / "b-seed1", [0.5, 0.6], finished=False, epochs=9)
    write_error(tmp_path / "c-seed2", "The disk is full.")
    (make_run(tmp_path / "d-seed3", [0.5]) / "config.json").unlink()
    words = [read(tmp_path / name).state_in_words for name in ("a-seed0", "b-seed1", "c-seed2")]
    assert words == ["finished", "unfinished: epoch 2 of 9", "failed: The disk is full."]
    alone = read(tmp_path / "d-seed3")
    assert (alone.state, alone.seed, isinstance(alone, FinishedRun)) == ("damaged", 3, False)
    assert "d-seed3' has no config.json" in str(alone.error)


def test_another_output_without_scores_is_damage(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "one-seed0", [0.5])
    rows: list[dict[str, Any]] = read_metrics(folder)
    rows[-1]["others"] = {"branch2": {"test": {"accuracy": 0.5}}}
    (folder / METRICS).write_text("".join(json.dumps(one) + "\n" for one in rows))
    run = read(folder)
    assert run.state == "damaged"
    assert (folder / RESULT).exists()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two methods with two seeds, a failed and an unfinished run, and one of ``osakd train``."""
    make_comparison(tmp_path / "mine", {"plain": 0.0, "osakd": 0.02}, 2)
    write_error(tmp_path / "mine/odd-seed1", "The disk is full.")
    make_run(tmp_path / "mine/osakd-seed7", [0.3], finished=False, epochs=9)
    make_run(tmp_path / "mine/cifar10-lenet-plain-seed0", [0.7], validation=0.1)
    return tmp_path / "mine"


def values(run: RunRecord) -> dict[str, Any]:
    """What a packed run has of a run."""
    result = run.result and replace(run.result, last={})
    series = {
        name: (list(epochs), [f"{number:.7g}" for number in numbers])
        for name, (epochs, numbers) in run.curve.series.items()
    }
    return {"config": run.config, "result": result, "curve": series, "error": run.error, "folder": run.folder}


def test_what_is_packed_is_what_was_recorded(folder: Path) -> None:
    recorded = {run.folder.name: run for run in read_runs(folder)}
    (packed,) = osakd.pack(folder)
    assert (packed.file, packed.runs) == (folder.with_name("mine.jsonl"), 6)
    assert packed.left == {"osakd-seed7": "unfinished: epoch 1 of 9"}
    runs = {run.folder.name: run for run in read_runs(packed.file)}
    assert [(run.label, run.seed) for run in runs.values()] == [
        ("odd", 1), ("osakd", 0), ("osakd", 1), ("plain", 0), ("plain", 0), ("plain", 1),
    ]  # fmt: skip
    for name, run in runs.items():
        assert values(run) == values(recorded[name])
        if run.result is not None:
            last = recorded[name].result
            assert flattened(run.result.last) == pytest.approx(
                {key: value for key, value in flattened(last.last).items() if key != "images_per_second"}
            )


def test_equal_runs_make_equal_bytes_and_stay_where_they_are(folder: Path, tmp_path: Path) -> None:
    (packed,) = osakd.pack(folder)
    content = packed.file.read_bytes()
    osakd.pack(folder, to=tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == content
    osakd.pack(packed.file)
    assert packed.file.read_bytes() == content
    pack_runs(packed.file, [replace(run_of("new", 0, [0.5], environment={"commit": "1"}), folder=folder / "new-seed0")])
    changed = packed.file.read_bytes().splitlines()
    assert len(set(changed) - set(content.splitlines())) == 2  # the first line, and the new one's
    assert json.loads(changed[0])["environments"] == [ENVIRONMENT, ENVIRONMENT | {"commit": "1"}]


def test_seven_digits_are_kept_and_accuracies_are_whole(tmp_path: Path) -> None:
    run = run_of("plain", 0, [1 / 3, 2 / 3])
    pack_runs(tmp_path / "x.jsonl", [run])
    (read_back,) = read_runs(tmp_path / "x.jsonl")
    assert list(read_back.curve.get("test.accuracy").values) == [1 / 3, 2 / 3]
    assert list(read_back.curve.get("test.nll").values) == [1.666667, 1.333333]


def test_a_run_in_a_folder_goes_before_a_packed_one_where_it_has_more_epochs(tmp_path: Path) -> None:
    for accuracies, expected in (([0.5, 0.6], 2), ([0.5], 2), ([0.5, 0.6, 0.7], 3)):
        make_run(tmp_path / "mine/plain-seed0", accuracies)
        osakd.pack(tmp_path / "mine")
        (run,) = read_runs(tmp_path / "mine")
        assert run.curve.epoch == expected
        (tmp_path / "mine/plain-seed0" / METRICS).unlink()
    make_run(tmp_path / "mine/plain-seed0", [0.1], finished=False, epochs=9)
    (run,) = read_runs(tmp_path / "mine")
    assert (run.state, run.curve.epoch) == ("finished", 3)


def test_what_cannot_be_packed(tmp_path: Path) -> None:
    make_run(tmp_path / "a/b/plain-seed0", [0.5])
    make_run(tmp_path / "a/c/plain-seed0", [0.5])
    (tmp_path / "empty").mkdir()
    (tmp_path / "data.jsonl").write_text('{"text": "x"}\n')
    for path, to, words in (
        ("empty", None, "holds no runs"),
        ("a", tmp_path / "one.jsonl", "holds 2 folders of runs.*leave `to` out"),
        ("a/b", tmp_path / "one.json", r"must be a file that ends with \.jsonl"),
        ("a/b", tmp_path / "data.jsonl", "does not hold packed runs"),
    ):
        with pytest.raises(InputError, match=words):
            osakd.pack(tmp_path / path, to=to)
    assert [packed.file.name for packed in osakd.pack(tmp_path / "a")] == ["b.jsonl", "c.jsonl"]


def test_the_commands_take_a_packed_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pack", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{folder}.jsonl: 6 runs",
        "  not packed: osakd-seed7: unfinished: epoch 1 of 9",
    ]
    elsewhere = folder.parent / "shared"
    elsewhere.mkdir()
    folder.with_name("mine.jsonl").rename(elsewhere / "study.jsonl")
    assert main(["report", str(elsewhere / "study.jsonl")]) == 0
    page = (elsewhere / "study/report.html").read_text(encoding="utf-8")
    assert "odd" in page
    assert "5 finished, 1 failed" in page
    for name in ("status", "report"):
        assert main([name, str(elsewhere)]) == 0
    assert "5 finished" in capsys.readouterr().out
    assert main(["report", str(elsewhere / "study/report.html")]) == 2


@pytest.mark.parametrize(
    ("words", "damage"),
    [
        ("its checksum does not fit", lambda text: text.replace(b"0.6", b"0.7")),
        ("Unterminated|delimiter|Expecting", lambda text: text[:99]),
        ("it has no checksum", lambda text: b"{}"),
        ("it has no 'label'", lambda text: changed(b'{"crc32": 0, "seed": 1}')),
        ("it holds list", lambda text: b"[]"),
        ("too deeply", lambda text: b"[" * 100_000),
    ],
)
def test_a_damaged_line_hides_no_other_run(words: str, damage: Callable[[bytes], bytes], folder: Path) -> None:
    (packed,) = osakd.pack(folder)
    first, failed, good, *lines = packed.file.read_bytes().splitlines()
    packed.file.write_bytes(b"\n".join([first, failed, damage(good), *lines, b""]))
    runs = read_runs(packed.file)
    assert [run.damaged for run in runs] == [False, True, False, False, False, False]
    assert re.search(rf"Line 3 of '.*mine.jsonl' is damaged \(.*({words})", str(runs[1].error))
    with pytest.raises(RunError, match="Line 3"):  # it would be lost
        osakd.pack(folder)


def changed(text: bytes, **more: object) -> bytes:
    """A line whose writer made a change."""
    found = json.loads(text) | more
    found.pop("crc32")
    return line(found).rstrip(b"\n")


@pytest.mark.parametrize(
    "change",
    [
        {"label": "../x"},
        {"label": ".x"},
        {"label": 3},
        {"folder": "a/b"},
        {"seed": 5},
        {"environment": -1},
        {"config": {}},
        {"result": {}},
        {"curve": []},
        {"curve": [{"epoch": [1, 1, 2], "train.total": [1, 2, 3]}]},
        {"curve": [{"epoch": [1, 2, 3], "train.total": [1, 2]}]},
        {"curve": [{"epoch": [1, 2, 3], "test.accuracy": [1, 2, 3]}]},
        {"curve": [{"epoch": [1, 2, 10**12], "train.total": [1, 2, 3]}]},
        {"curve": [{"epoch": [1, 2, 3], "train.total": [1, 2, "x"]}]},
        {"curve": [{"epoch": [1, 2, 3], "train.total": [1, 2, 10**400]}]},
    ],
)
def test_values_that_are_not_those_of_a_run_are_damage(change: dict[str, object], folder: Path) -> None:
    (packed,) = osakd.pack(folder)
    lines = packed.file.read_bytes().splitlines()
    packed.file.write_bytes(b"\n".join([*lines[:-1], changed(lines[-1], **change)]))
    assert [run.damaged for run in read_runs(packed.file)] == [False] * 5 + [True]


def test_a_damaged_first_line_is_a_sentence(folder: Path) -> None:
    (packed,) = osakd.pack(folder)
    content = packed.file.read_bytes()
    for first, error, words in (
        (b"{", RunError, "Line 1 of"),
        (content.splitlines()[0].replace(b"abcdef", b"abcdeg"), RunError, "checksum"),
        (changed(content.splitlines()[0], format=2), InputError, "another version of osakd"),
        (b"{}", InputError, "does not hold packed runs"),
    ):
        packed.file.write_bytes(first + b"\n" + content.partition(b"\n")[2])
        with pytest.raises(error, match=words):
            read_runs(packed.file)
    (folder / "plain-seed0/config.json").unlink()
    packed.file.write_bytes(b"{\n")
    assert [run.folder.name for run in read_runs(folder) if run.damaged] == ["mine.jsonl", "plain-seed0"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed(place: int, bit: int, tmp_path: Path) -> None:
    """A run is as it was, or damaged, or the file is refused."""
    path = tmp_path / "x.jsonl"
    path.unlink(missing_ok=True)
    runs = [run_of("plain", seed, [0.5, 0.6]) for seed in (0, 1)]
    pack_runs(path, runs)
    expected = [values(run) for run in read_runs(path)]
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        found = read_runs(path)
    except (InputError, RunError):
        return
    assert all(run.damaged or values(run) in expected for run in found)
    assert any(run.damaged for run in found)
