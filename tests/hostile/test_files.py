"""Files of a right form with wrong content: each is refused in a sentence, nothing crashes and nothing never ends."""

import itertools
import json
import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import EpsImagePlugin
from safetensors import safe_open
from safetensors.torch import save_file

import osakd
from osakd import InputError, RunError
from osakd.cli.main import main
from osakd.data.layout import visible_files
from osakd.durable import sync_folder, write_atomic
from osakd.errors import is_out_of_memory
from osakd.paths import cache_folder
from osakd.read_json import load_json, read_bytes
from osakd.records import CHECKPOINT, CONFIG, ERROR, METRICS, RESULT, STUDENT, SUMMARY
from osakd.runner.lock import NOTE
from tests.data.made import write_image_folder
from tests.needs import leaf
from tests.report.made import make_run

State = dict[str, Any]
SMALL: dict[str, Any] = {"deploy": "best", "validation": 0.4, "ema_epochs": 1, "batch_size": 128}
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    """What waits or never ends fails."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module", params=["sgd", "adamw"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param) / "run"
    osakd.train("digits", epochs=1, out=folder, optimizer=request.param, **SMALL)
    return request.param, folder


def copied(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def first(state: State) -> State:
    """The optimizer's state of the first parameter."""
    return state["optimizer"]["state"][0]


def every(state: State, change: Callable[[torch.Tensor], object]) -> None:
    """Changes the moments of the optimizer."""
    for values in state["optimizer"]["state"].values():
        values |= {key: change(value) for key, value in values.items() if key != "step"}


CHECKPOINTS: dict[str, Callable[[State], object]] = {
    "smaller moments": lambda state: every(state, lambda value: value.flatten()[:1].clone()),
    "larger moments": lambda state: every(state, lambda value: torch.zeros(4096, 4096)),
    "moments of another type": lambda state: every(state, lambda value: value.half()),
    "moments that are none": lambda state: every(state, lambda value: None),
    "sparse moments": lambda state: every(state, lambda value: value.to_sparse()),
    "no moments": lambda state: first(state).clear(),
    "another parameter": lambda state: state["optimizer"]["state"].update({-1: first(state)}),
    "an optimizer without state": lambda state: state["optimizer"].clear(),
    "a list of moments": lambda state: state["optimizer"].update(state=[1]),
    "a parameter in words": lambda state: state["optimizer"]["state"].update({0: "x"}),
    "an epoch without end": lambda state: state.update(epoch=10**9),
    "an epoch below 1": lambda state: state.update(epoch=-1),
    "an epoch in words": lambda state: state.update(epoch="1"),
    "no epoch": lambda state: state.pop("epoch"),
    "seconds in words": lambda state: state.update(seconds="1"),
    "weights that are no tensors": lambda state: state.update(method=dict.fromkeys(state["method"], 0.0)),
    "no weights": lambda state: state["method"].clear(),
    "int8 weights": lambda state: state.update(method={k: v.to(torch.int8) for k, v in state["method"].items()}),
    "averages of other shapes": lambda state: state.update(average={k: v[:1] for k, v in state["average"].items()}),
    "no averages": lambda state: state.pop("average"),
    "steps in words": lambda state: state.update(averaged_steps="1"),
    "a choice of later": lambda state: state["chosen"].update(epoch=9),
    "a choice of nothing": lambda state: state["chosen"].update(weights="x"),
    "a choice without weights": lambda state: state["chosen"]["state"].clear(),
    "a choice in words": lambda state: state.update(chosen="x"),
    "a temperature of 0": lambda state: state["chosen"].update(temperature=0.0),
    "a list": lambda state: [1],
}


@pytest.mark.parametrize("name", list(CHECKPOINTS))
def test_a_checkpoint_of_another_run_is_refused_before_it_is_used(
    name: str, trained: tuple[str, Path], tmp_path: Path
) -> None:
    optimizer, folder = trained
    path = copied(folder, tmp_path / "run") / CHECKPOINT
    state = torch.load(path, weights_only=True)
    made = CHECKPOINTS[name](state)
    torch.save(made if isinstance(made, list) else state, path)
    with pytest.raises(RunError, match="is damaged"):
        osakd.train("digits", epochs=2, out=path.parent, resume=True, optimizer=optimizer, **SMALL)


def test_state_of_an_optimizer_has_memory_of_its_own(trained: tuple[str, Path], tmp_path: Path) -> None:
    """A tensor whose values lie in one place has the right shape: a kernel would write behind it."""
    optimizer, folder = trained
    results = []
    for name, change in (("as-it-was", torch.zeros_like), ("expanded", lambda value: torch.zeros(1).expand_as(value))):
        path = copied(folder, tmp_path / name) / CHECKPOINT
        state = torch.load(path, weights_only=True)
        every(state, change)
        state["notes"] = "not ours"
        torch.save(state, path)
        run = osakd.train("digits", epochs=2, out=path.parent, resume=True, optimizer=optimizer, **SMALL)
        results.append(osakd.load(run.folder).state_dict())
    assert all(torch.equal(value, results[1][key]) for key, value in results[0].items())


@pytest.mark.parametrize("pool", ["queue", "memory"])
def test_places_and_classes_beyond_a_pool_write_nowhere_else(pool: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"fraction": 0.3, "method": {"name": "osakd", "pool": pool}, "out": tmp_path / "run"}
    osakd.train("digits", epochs=1, **options)
    state = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    whole = [name for name, value in state["method"].items() if value.dtype == torch.int64]
    assert whole
    for name, value in itertools.product(whole, (-5, 10**12)):
        changed = state["method"] | {name: torch.full_like(state["method"][name], value)}
        torch.save(state | {"method": changed}, tmp_path / "run" / CHECKPOINT)
        (tmp_path / "run" / RESULT).unlink(missing_ok=True)
        (tmp_path / "run/checkpoint.previous.pt").unlink(missing_ok=True)
        with suppress(InputError, RunError):
            osakd.train("digits", epochs=2, resume=True, **options)


class Stopped(osakd.Callback):
    def on_epoch_end(self, row: dict[str, Any]) -> None:
        raise KeyboardInterrupt


def test_classes_that_were_renamed_between_two_resumes_are_refused(tmp_path: Path) -> None:
    data, run = write_image_folder(tmp_path / "data"), tmp_path / "run"
    options: dict[str, Any] = {"epochs": 2, "model": "lenet-digits", "batch_size": 4, "out": run}
    with pytest.raises(KeyboardInterrupt):
        osakd.train(str(data), callbacks=[Stopped()], **options)
    for split in ("train", "test"):
        (data / split / "cat").rename(data / split / "bird")
    with pytest.raises(InputError, match=r"began with the classes cat, dog, but the data have bird, dog"):
        osakd.train(str(data), resume=True, **options)


def cast(kind: torch.dtype) -> Callable[[State, State], object]:
    return lambda about, tensors: tensors.update({name: value.to(kind) for name, value in tensors.items()})


NETWORKS: dict[str, Callable[[State, State], object]] = {
    "int8 weights": cast(torch.int8),
    "half the precision": cast(torch.float16),
    "weights that are not numbers": lambda about, tensors: next(iter(tensors.values())).fill_(float("nan")),
    "names that are lists": lambda about, tensors: about.update(class_names=[[name] for name in about["class_names"]]),
    "names that are mappings": lambda about, tensors: about.update(class_names=[{}] * 10),
    "names twice": lambda about, tensors: about.update(class_names=["a"] * 10),
    "no names": lambda about, tensors: about.update(class_names=[]),
    "a mapping of names": lambda about, tensors: about.update(class_names=dict.fromkeys("abcdefghij")),
    "a huge image": lambda about, tensors: about.update(input_shape=[1, 10**6, 10**6]),
    "an image below 0": lambda about, tensors: about.update(input_shape=[1, -8, 8]),
    "a model in numbers": lambda about, tensors: about.update(model=3),
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_network_with_odd_values_is_damaged(name: str, trained: tuple[str, Path], tmp_path: Path) -> None:
    run = copied(trained[1], tmp_path / "run")
    with safe_open(run / STUDENT, framework="pt") as stored:
        about = json.loads(stored.metadata()["osakd"])
        tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - not a dict
    del about["crc32"]
    NETWORKS[name](about, tensors)
    save_file(tensors, run / STUDENT, {"osakd": json.dumps(about)})
    with pytest.raises(RunError, match="is damaged"):
        osakd.load(run)
    if "weights" in name:
        with pytest.raises(InputError, match="no numbers"):
            osakd.train("digits", epochs=1, fraction=0.1, out=tmp_path / "new", weights=str(run / STUDENT))


def test_yaml_and_json_are_read_in_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aliases = "a: &a0 [x]\n" + "".join(f"b{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    deep = "[" * 20_000 + "]" * 20_000
    for text, why in ((aliases, "aliases"), (f"epochs: {deep}", "too deeply"), ("# x\n" * 2**19, "more than 1 MiB")):
        (tmp_path / "options.yaml").write_text(text)
        assert main(["train", "--config", str(tmp_path / "options.yaml")]) == 2
        assert why in capsys.readouterr().err
    assert main(["compare", "--methods", f"[{{name: osakd, k: {deep}}}]"]) == 2
    assert main(["compare", "--methods", "[&a {name: osakd}, *a]"]) == 2
    for text in (deep, '{"a":' * 40 + "1" + "}" * 40):
        with pytest.raises(ValueError, match="too deeply"):
            load_json(text)
    make_run(tmp_path / "runs/plain-seed0", [0.5, 0.6])
    (tmp_path / "runs" / SUMMARY).write_text(f'{{"methods": {deep}}}')
    (tmp_path / "runs" / NOTE).write_text(deep)
    assert main(["report", str(tmp_path / "runs")]) == 0
    assert main(["status", str(tmp_path / "runs")]) == 0
    (tmp_path / "runs/cost.json").write_text(f'{{"figures": {deep}}}')
    assert main(["report", str(tmp_path / "runs")]) == 1
    assert "cost.json' is damaged (it is nested too deeply)" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize(
    "name", [CONFIG, METRICS, RESULT, ERROR, CHECKPOINT, STUDENT, SUMMARY, ".runner.json", "cost.json"]
)
def test_a_pipe_is_not_waited_for(
    name: str, trained: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    optimizer, folder = trained
    run = copied(folder, tmp_path / "run")
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    more = ["train", "--data", "digits", "--epochs", "2", "--resume", "--optimizer", optimizer, "--out", str(run)]
    options = [word for key, value in SMALL.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    for words in (
        ["status", str(run)],
        ["report", str(run)],
        ["evaluate", str(run)],
        ["card", str(run)],
        more + options,
    ):
        assert main(words) in (0, 1, 2)
    assert "unexpected" not in capsys.readouterr().err


def test_pipes_among_data_are_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for split in ("train", "test"):
        os.mkfifo(tmp_path / f"data/{split}.parquet")
    with pytest.raises(InputError, match="it is not a file"):
        osakd.train(str(tmp_path / "data"), epochs=1, out=tmp_path / "run")
    with pytest.raises(RunError, match="it is not a file"):
        read_bytes(tmp_path / "data/train.parquet")


def test_a_folder_is_entered_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [tmp_path / f"data/{number}" for number in range(9)]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "x.png").touch()
        for other in folders:
            (folder / f"to-{other.name}").symlink_to(other)
    assert len(visible_files(tmp_path / "data")) == 9
    make_run(tmp_path / "runs/plain-seed0", [0.5, 0.6])
    for name in ("a", "b"):
        (tmp_path / "runs" / name).symlink_to(tmp_path / "runs")
    (tmp_path / "runs/plain-seed0/teacher").symlink_to(tmp_path / "runs/plain-seed0")
    assert main(["status", str(tmp_path / "runs")]) == 0
    assert capsys.readouterr().out.count("finished") == 1
    assert main(["report", str(tmp_path / "runs")]) == 0
    assert "Runs: 1 finished." in (tmp_path / "runs/report.html").read_text()


def test_figures_are_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    run = make_run(tmp_path / "plain-seed0", [0.5, 0.6])
    (run / "figures").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="figures' is a link to another folder"):
        osakd.write_report(run)
    assert not list((tmp_path / "outside").iterdir())


def test_only_documented_formats_are_opened(
    trained: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *values, **more: started.append(values))
    data = write_image_folder(tmp_path / "data")
    next(data.glob("train/*/*.png")).write_bytes(POSTSCRIPT)
    (tmp_path / "x.png").write_bytes(POSTSCRIPT)
    with pytest.raises(InputError, match="cannot be decoded as an image"):
        osakd.train(str(data), epochs=1, out=tmp_path / "run")
    with pytest.raises(InputError, match="cannot be decoded as an image"):
        osakd.load(trained[1]).predict(tmp_path / "x.png")
    assert not started


@leaf("native")
def test_a_cache_that_anybody_may_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from osakd.errors import UnsupportedError
    from osakd.native.kernels.build import built_library

    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("OSAKD_CACHE", str(tmp_path / "open/mine"))
    with pytest.raises(UnsupportedError, match=r"anybody may write '.*open'"):
        built_library()


def test_files_have_the_permissions_that_the_user_wants(tmp_path: Path) -> None:
    for mask, mode in ((0o077, 0o600), (0o022, 0o644), (0o002, 0o664)):
        before = os.umask(mask)
        write_atomic(tmp_path / f"{mask}", b"x")
        os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{mask}").stat().st_mode) == mode


def test_a_folder_that_cannot_be_synced_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fails)
    sync_folder(tmp_path)
    with pytest.raises(RunError, match="cannot be written"):
        write_atomic(tmp_path / "x", b"")  # a file that cannot be synced is not


def test_a_user_without_a_home_directory_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "OSAKD_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _: {}["nobody"])
    with pytest.raises(InputError, match="name a folder in the environment variable OSAKD_CACHE"):
        cache_folder()
    assert main(["list"]) == 0


def test_onednn_says_missing_memory_in_its_own_words() -> None:
    assert is_out_of_memory(RuntimeError("could not create a primitive"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))
