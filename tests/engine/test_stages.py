"""Methods of several stages: where a teacher comes from, and what happens when it is not what it was."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import osakd
from osakd import InputError, RunError
from osakd.cli.main import main
from osakd.data.sources import load_data
from osakd.engine.config import Options, configure
from osakd.engine.plan import DataSource, plan_run
from osakd.engine.stages import copy_teacher, teachers
from osakd.records import read_config, read_metrics, read_result, write_config
from tests.engine.runs import StopAt

KD = {"name": "kd-additive", "teacher": "lenet-digits"}


def kd(out: Path, teacher: Any = "lenet-digits", **more: Any) -> osakd.Run:
    return osakd.train("digits", method={"name": "kd-additive", "teacher": str(teacher)}, epochs=2, out=out, **more)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "resnet8-seed5"
    osakd.train("digits", model="resnet8", epochs=2, seed=5, out=folder)
    return folder


def test_the_stages_of_each_method(tmp_path: Path) -> None:
    source = DataSource("digits")
    found = {}
    for method in ("plain", "kd", "srdl", {"name": "born-again", "generations": 3}, "dml"):
        stages = plan_run(source, method, 0, Options(deploy="last", epochs=9, weight_decay=0.1), tmp_path).stages()
        assert all(stage.config.weight_decay == 0.1 and stage.config.seed == 0 for stage in stages)
        name = method if isinstance(method, str) else "born-again"
        found[name] = [
            (
                stage.config.method,
                stage.config.model,
                stage.config.epochs,
                stage.config.stage,
                stage.folder.relative_to(tmp_path).as_posix(),
            )
            for stage in stages
        ]
    lenet = "lenet-digits"
    assert found == {
        "plain": [("plain", lenet, 9, 0, ".")],
        "dml": [("dml", lenet, 9, 0, ".")],
        "kd": [("plain", "resnet20", 9, 1, "teacher"), ("kd", lenet, 9, 0, ".")],
        "srdl": [("plain", lenet, 4, 1, "teacher"), ("srdl", lenet, 5, 0, ".")],
        "born-again": [
            ("plain", lenet, 9, 3, "teacher/teacher/teacher"),
            ("born-again", lenet, 9, 2, "teacher/teacher"),
            ("born-again", lenet, 9, 1, "teacher"),
            ("born-again", lenet, 9, 0, "."),
        ],
    }


def test_a_teacher_is_taken_from_a_run_folder_and_needed_no_more(teacher: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(teacher, moved)
    run = kd(tmp_path / "kd", moved)
    assert run.config.settings["teacher"].startswith("sha256:")
    assert str(tmp_path) not in (tmp_path / "kd/config.json").read_text()
    assert not (tmp_path / "kd/teacher/checkpoint.pt").exists()
    assert (tmp_path / "kd/teacher/student.safetensors").read_bytes() == (teacher / "student.safetensors").read_bytes()
    shutil.rmtree(moved)
    scores = osakd.evaluate(tmp_path / "kd/teacher")
    expected = read_result(teacher)
    assert expected is not None
    assert scores["accuracy"] == pytest.approx(expected.deployed_scores()["accuracy"], abs=2e-3)
    assert kd(tmp_path / "kd", teacher, resume=True).result == run.result  # the same network from another folder


def test_a_comparison_takes_a_teacher_from_a_run_folder_too(teacher: Path, tmp_path: Path) -> None:
    method = {"name": "kd-additive", "teacher": str(teacher)}
    found = osakd.compare("digits", methods=["plain", method], seeds=1, epochs=1, out=tmp_path, processes=1)
    assert list(found.panel.scores.runs) == ["plain", "kd-additive-resnet8-seed5"]


@pytest.mark.parametrize("given", ["nowhere", "resnet7", "{unfinished}"])
def test_a_teacher_that_is_none(given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = given.format(unfinished=tmp_path)
    code = main(["train", "--method", "kd", "--method.teacher", given, "--out", str(tmp_path / "kd")])
    error = capsys.readouterr().err
    assert code == 2
    assert "is neither the name of a network (see osakd list) nor the folder of a finished run;" in error
    assert not (tmp_path / "kd").exists()


def test_a_teacher_for_other_classes(tmp_path: Path, teacher: Path) -> None:
    stored = teacher.parent / "other"
    shutil.copytree(teacher, stored)
    config = read_config(teacher)
    write_config(stored, replace(config, data=config.data | {"class_counts": [200] * 3}))
    with pytest.raises(InputError, match="The teacher knows classes 3, but the data have 10"):
        kd(tmp_path / "kd", stored)


def test_a_teacher_of_other_names(tmp_path: Path, teacher: Path) -> None:
    from osakd.engine.state import save_student

    stored = tmp_path / "other"
    shutil.copytree(teacher, stored)
    config = read_config(teacher)
    save_student(stored, osakd.load(teacher), config, tuple("abcdefghij"))
    with pytest.raises(InputError, match=r"The teacher knows the classes a, b, c, .*, i, j, but the data have j, i, h"):
        teachers(configured(stored), tmp_path / "kd", tuple("jihgfedcba"))


def configured(teacher: Path) -> Any:
    method = {"name": "kd", "teacher": str(teacher)}
    plan = plan_run(DataSource("digits"), method, 0, Options(deploy="last", epochs=2), teacher.parent / "kd")
    copy_teacher(plan)
    return plan.config


def test_a_copy_that_was_cut_short_is_made_again(tmp_path: Path, teacher: Path) -> None:
    copy = tmp_path / "a/teacher"
    copy.mkdir(parents=True)
    shutil.copy(teacher / "config.json", copy)
    assert kd(tmp_path / "a", teacher).result.epochs == 2


@pytest.mark.usefixtures("checkpoint_every_epoch")
def test_a_teacher_that_is_gone_is_not_trained_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        kd(tmp_path / "a", callbacks=[StopAt(2)])
    shutil.rmtree(tmp_path / "a/teacher")
    with pytest.raises(RunError, match=r"The teacher of .* is gone: bring its folder back"):
        kd(tmp_path / "a", resume=True)


def test_a_teacher_that_cannot_be_built_claims_no_folder(tmp_path: Path) -> None:
    for name in ("no.such:network", "resnet50"):
        with pytest.raises(InputError, match=r"cannot be imported|too small"):
            kd(tmp_path / "a", name)
        assert not (tmp_path / "a/config.json").exists()


def test_a_start_that_was_killed_before_its_first_step_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("osakd.records.cut_metrics", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            osakd.train("digits", epochs=1, out=tmp_path / "a")
    assert osakd.train("digits", epochs=1, out=tmp_path / "a", resume=True).result.epochs == 1


def test_a_teacher_that_saw_what_is_held_out(tmp_path: Path, teacher: Path) -> None:
    warning = "the teacher was trained on images that this run holds out for validation"
    for seed, warned in ((5, False), (6, True)):
        notes = kd(tmp_path / str(seed), teacher, seed=seed).result.notes
        assert any(warning in note for note in notes) == warned


def test_unknown_peers_are_named_before_anything_runs() -> None:
    for method in ({"name": "dml", "peers": ["resnet7"]}, {"name": "ffl", "shared": False, "peer": "resnet7"}):
        with pytest.raises(InputError, match="Unknown model 'resnet7'; did you mean 'resnet"):
            configure(load_data("digits"), method, 0, Options(deploy="last"))
    with pytest.raises(InputError, match="no larger network here to teach 'resnet50': name a `teacher`"):
        configure(load_data("digits"), "kd", 0, Options(deploy="last", model="resnet50"))


@pytest.mark.usefixtures("checkpoint_every_epoch")
def test_a_teacher_that_has_changed_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        kd(tmp_path / "a", callbacks=[StopAt(2)])
    osakd.train("digits", model="lenet-digits", epochs=2, seed=9, out=tmp_path / "other")
    shutil.copy(tmp_path / "other/student.safetensors", tmp_path / "a/teacher/student.safetensors")
    with pytest.raises(RunError, match="is not the one that this run began with"):
        kd(tmp_path / "a", resume=True)


def test_a_folder_with_a_teacher_belongs_to_its_run(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        kd(tmp_path / "a", callbacks=[StopAt(2, stage=1)])
    with pytest.raises(InputError, match="has a run of another configuration"):
        osakd.train("digits", epochs=2, out=tmp_path / "a")
    with pytest.raises(InputError, match="already has this run: continue it with --resume"):
        kd(tmp_path / "a")
    assert kd(tmp_path / "a", resume=True).result.epochs == 2


def test_srdl_needs_an_epoch_in_each_stage() -> None:
    for epochs, settings in ((1, {}), (4, {"first_epochs": 4})):
        with pytest.raises(InputError, match="srdl needs at least one epoch in each of its two stages"):
            configure(load_data("digits"), {"name": "srdl", **settings}, 0, Options(deploy="last", epochs=epochs))


def test_a_stage_that_fails_is_the_run_s_error_and_stops_no_other(tmp_path: Path, capsys: Any) -> None:
    """A resnet50 cannot take images of 8x8."""
    method = {"name": "kd", "teacher": "resnet50"}
    with pytest.raises(RunError, match=r"1 of 2 runs failed, kd-resnet50-seed0 among them; .*too small"):
        osakd.compare("digits", methods=["plain", method], seeds=1, epochs=1, out=tmp_path, processes=1)
    assert read_result(tmp_path / "plain-seed0") is not None
    assert json.loads((tmp_path / "summary.json").read_text())["methods"][0]["label"] == "plain"


@pytest.mark.parametrize("executor", ["auto", "fused"])  # methods of several networks have no fused executor
def test_a_comparison_runs_stages_and_goes_on(tmp_path: Path, executor: Any) -> None:
    methods = ["plain", KD, {"name": "born-again", "generations": 2}, "one"]
    options: dict[str, Any] = {"epochs": 2, "out": tmp_path, "processes": 1, "executor": executor}
    osakd.compare("digits", methods=methods, seeds=2, **options)
    for folder in ("kd-additive-lenet-digits-seed0", "born-again-generations=2-seed1"):
        final, before = read_result(tmp_path / folder), read_result(tmp_path / folder / "teacher")
        assert before is not None
        assert final.environment["executor"].startswith("serial")
    # What is there is not run again, and what is missing is.
    (tmp_path / "kd-additive-lenet-digits-seed1/result.json").unlink()
    kept = (tmp_path / "kd-additive-lenet-digits-seed1/teacher/result.json").stat().st_mtime_ns
    again = osakd.compare("digits", methods=methods, seeds=2, **options | {"executor": "auto"})
    assert (tmp_path / "kd-additive-lenet-digits-seed1/teacher/result.json").stat().st_mtime_ns == kept
    labels = [method.name for method in again.panel.methods]
    assert labels[2:4] == ["born-again-generations=2", "born-again-generations=2: ensemble"]
    assert labels[4:] == ["one", "one: branch2", "one: ensemble", "one: gated"]
    assert "| one: gated | 2 |" in again.table()


def test_a_curve_is_evaluated_as_often_as_asked(tmp_path: Path) -> None:
    run = osakd.train("digits", epochs=7, evaluate_every=3, validation=0.2, out=tmp_path)
    rows = read_metrics(tmp_path)
    assert [row["epoch"] for row in rows] == list(range(1, 8))
    assert [row["epoch"] for row in rows if "test" in row] == [3, 6, 7]
    assert run.result.last["epoch"] == 7
    assert run.result.best_on_test["epoch"] in (3, 6, 7)
    assert run.result.chosen_on_validation is not None


def test_a_fraction_is_the_same_for_every_seed_and_stratified() -> None:
    data = load_data("digits")
    part = data.part(0.25)
    assert len(part.train) == pytest.approx(150, abs=5)
    assert part.test is data.test
    configs = [configure(data, "plain", seed, Options(deploy="last", fraction=0.25)) for seed in (0, 1)]
    assert configs[0].data == configs[1].data
    counts = configs[0].data["class_counts"]
    assert max(counts) - min(counts) <= 1
    for share in (0.0, 1.5):
        with pytest.raises(InputError, match="`fraction` must be above 0 and at most 1"):
            data.part(share)
