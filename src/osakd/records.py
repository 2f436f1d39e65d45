"""What a run leaves on disk, and how it is read back. Standard library only.

A run is a folder, ``<label>-seed<seed>``:

==================== ================================================================================
``config.json``      the whole configuration, written before the first step
``metrics.jsonl``    one line per epoch: losses, accuracies, diagnostics of the soft labels
``checkpoint.pt``    what an exact resume needs; ``checkpoint.previous.pt`` is the one before, while the run goes on
``student.safetensors``  the deployed network, written at the end
``result.json``      the last epoch, the best on the test set, environment; its presence means "finished"
``error.json``       why it failed, where the runner of many runs gave up; gone when it is run again
``teacher/``         the run of the stage before, for a method that has one; a run folder itself
==================== ================================================================================

Every file but ``metrics.jsonl`` appears whole or not at all; a torn last line of that one is dropped by the reader. All
have checksums.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import nan
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict, TypeVar

from osakd.durable import LEFT_OVER, line, make_folder, write_atomic, write_record
from osakd.errors import InputError, RunError
from osakd.read_json import Count, Positive, Shape, Share, build, damaged, flattened, read_json, read_rows

CONFIG, METRICS, RESULT, ERROR, SUMMARY = "config.json", "metrics.jsonl", "result.json", "error.json", "summary.json"
CHECKPOINT, PREVIOUS, STUDENT = "checkpoint.pt", "checkpoint.previous.pt", "student.safetensors"
LOCK, TEACHER = ".lock", "teacher"
Kind = TypeVar("Kind")


class DataOrigin(TypedDict):
    """Which data a network was trained on, and how they were read; never a path.

    Attributes:
        kind: ``named``, ``hub`` or ``folder``.
        content: hash of the images and classes.
        test_fraction: share of the images that the test split was made of, if it was made.
    """

    name: str
    kind: str
    content: str
    resize: NotRequired[list[int]]
    test_fraction: NotRequired[float]
    label_column: NotRequired[str]
    image_column: NotRequired[str]


class DataRecord(DataOrigin):
    """The data of a run, in its configuration.

    Attributes:
        input_shape: channels, height and width of an image.
        class_counts: number of training images of each class.
    """

    input_shape: Shape
    class_counts: list[Count]
    train: Count
    validation: Count
    test: Positive


class Scores(TypedDict):
    """The scores on a split; those that are no numbers, where outputs overflow, are None."""

    accuracy: Share
    nll: float | None
    ece: float | None


class _Best(TypedDict):
    accuracy: Share
    epoch: Count
    validation_accuracy: NotRequired[Share]


class _Evaluated(TypedDict):
    epoch: Count
    test: Scores
    validation: NotRequired[Scores]


class _Last(_Evaluated):
    others: NotRequired[dict[str, dict[str, Scores]]]


class _Deployed(_Evaluated):
    weights: str
    temperature: float


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides what a run computes, except the device and the number of threads.

    The fields of ``osakd.engine.config.Options`` mean the same here; what was open there is filled in.

    Attributes:
        milestones: where the step schedule lowers the rate, as shares of the epochs.
        stage: key of the random streams: 0 for the deployed network, higher for the stages before it.
        recipe: what decided the options that were not given.
        warmup_epochs: epochs in which the learning rate rises; below 1 as a share of ``epochs``.
        pretrained: networks of timm start from their pretrained weights.
        weights: digest of the file of the deployed network's starting weights; None for random ones.
        augment: policies of torchvision that augment each image.
        mixup: parameter of mixup's Beta distribution; 0 for none. ``cutmix``: that of CutMix.
        class_weights: weights of the classes in the cross-entropy: ``balanced``, or None for equal ones.
    """

    data: DataRecord
    model: str
    method: str
    settings: dict[str, Any]
    seed: Count
    epochs: Positive
    batch_size: Positive
    optimizer: str
    learning_rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    max_grad_norm: float | None
    schedule: str
    milestones: list[float]
    gamma: float
    scaling: str
    validation: float
    precision: str = "float32"
    stage: Count = 0
    fraction: float = 1.0
    evaluate_every: Positive = 1
    crop: Count = 0
    crop_padding: str = "zero"
    flip: bool = False
    ema: float | None = None
    ema_epochs: float | None = None
    deploy: str = "last"
    patience: Count | None = None
    refit: bool = False
    recipe: str = "paper"
    warmup_epochs: float = 0.0
    class_weights: str | None = None
    pretrained: bool = False
    weights: str | None = None
    augment: list[str] = field(default_factory=list)
    mixup: float = 0.0
    cutmix: float = 0.0

    def differences(self, other: "RunConfig") -> list[str]:
        """Lists where the other configuration differs, as ``name: ours, not theirs``."""
        mine, theirs = flattened(asdict(self)), flattened(asdict(other))
        keys = list(dict.fromkeys([*mine, *theirs]))
        return [f"{key}: {mine.get(key)}, not {theirs.get(key)}" for key in keys if mine.get(key) != theirs.get(key)]


@dataclass(frozen=True)
class Result:
    """The result of a finished run.

    Attributes:
        best_on_test: accuracy and epoch of the best test accuracy, the paper's protocol; it is chosen on test data.
        chosen_on_validation: test accuracy and epoch at the best validation accuracy, or None without a split.
        seconds: time of training and evaluation, without the stages before this one.
        cost: ``step_ms``, the median time of a training step, and ``memory_mib``, the peak memory of one replica.
        deployed: the deployed network: ``weights`` (``last`` or ``averaged``) of which ``epoch``, its ``temperature``,
            its scores on the ``test`` images and on those of ``validation``, and ``uncalibrated``, its scores on the
            test images before the temperature. None in older records, whose network is that of the last epoch.
        planned_epochs: the epochs of its configuration, where it stopped before them.
    """

    epochs: Positive
    last: Annotated[dict[str, Any], _Last]
    best_on_test: Annotated[dict[str, Any], _Best]
    chosen_on_validation: Annotated[dict[str, Any], _Best] | None
    seconds: float
    environment: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    cost: dict[str, float | None] = field(default_factory=dict)
    deployed: Annotated[dict[str, Any], _Deployed] | None = None
    planned_epochs: Positive | None = None

    def deployed_scores(self, split: str = "test") -> dict[str, float]:
        """The scores of the deployed network on a split; none where they are not recorded."""
        scores = (self.last if self.deployed is None else self.deployed).get(split, {})
        return {name: nan if score is None else score for name, score in scores.items()}

    def is_of(self, config: RunConfig) -> bool:
        """Whether it is of all epochs of a configuration: a run that is given more keeps its old one for a while."""
        refitted = not config.refit or "refit" in (self.deployed or {})
        return refitted and config.epochs == (self.planned_epochs or self.epochs)


class RunFiles(NamedTuple):
    """What the files of a run folder say.

    Attributes:
        config: configuration of the run; None where there is none, or none that can be read.
        result: its result; None while it has not finished all epochs of its configuration.
        error: why the run failed; None where it has not failed, or has finished since.
        damage: why the files cannot be used; None where they can.
    """

    config: RunConfig | None
    result: Result | None
    rows: list[dict[str, Any]]
    error: str | None
    damage: str | None


def default_folder(*parts: str) -> Path:
    """The default folder of a run: ``runs/`` and the parts, joined.

    Example:
        >>> default_folder("uoft-cs/cifar10", "lenet").as_posix()
        'runs/uoft-cs-cifar10-lenet'
    """
    return Path("runs") / "-".join(parts).replace("/", "-").replace(":", "-")


def is_free(folder: Path) -> bool:
    """Whether a run may start in a folder: it is missing, or holds no more than a killed start or a teacher left."""
    try:
        return all(path.name in (LOCK, TEACHER, ERROR) or path.suffix == LEFT_OVER for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return True


def has_checkpoint(folder: Path) -> bool:
    """Whether a run can be resumed: it has a checkpoint, if only the one before the last."""
    return any((folder / name).exists() for name in (CHECKPOINT, PREVIOUS))


def read_run(folder: Path) -> RunFiles:
    """Reads a run folder, each file once; damage is reported, not raised."""
    config = None
    try:
        config = read_config(folder)
        result = _any_result(folder)
        if config is None and result is not None:
            raise RunError(f"{str(folder)!r} has no {CONFIG}: move the run folder away and run again.")
        result = _of_all_epochs(result, config)
        failure = read_json(folder / ERROR) if result is None else None
        error = None if failure is None else str(failure.get("error"))
        return RunFiles(config, result, _rows(folder, result), error, None)
    except (InputError, RunError) as damage:
        return RunFiles(config, None, [], None, str(damage))


def read_config(folder: Path) -> RunConfig | None:
    """Reads the configuration of a run folder; None where there is none."""
    return _from_file(RunConfig, folder / CONFIG)


def write_config(folder: Path, config: RunConfig) -> None:
    """Makes a run folder and writes its configuration."""
    make_folder(folder)
    write_record(folder / CONFIG, asdict(config))


def read_result(folder: Path) -> Result | None:
    """Reads the result of a run folder; None while it has not finished all epochs of its configuration."""
    result = _any_result(folder)
    return None if result is None else _of_all_epochs(result, read_config(folder))


def read_finished(folder: Path) -> tuple[RunConfig, Result]:
    """Reads the configuration and the result of a finished run, each file once.

    Raises:
        InputError: not the folder of a run, or a run that has not finished.
        RunError: a file is damaged.
    """
    config = read_config(folder) if folder.is_dir() else None
    if config is None:
        why = "it has no config.json" if folder.is_dir() else "it is a file" if folder.exists() else "it does not exist"
        raise InputError(f"{str(folder)!r} is not a run folder ({why}): give the folder of a run.")
    result = _of_all_epochs(_any_result(folder), config)
    if result is None:
        raise InputError(f"The run {str(folder)!r} has not finished: go on with `osakd train ... --resume` first.")
    return config, result


def write_result(folder: Path, result: Result) -> None:
    """Marks a run as finished."""
    write_record(folder / RESULT, asdict(result))


def write_error(folder: Path, sentence: str) -> None:
    """Records why a run failed; makes the folder if it is missing."""
    make_folder(folder)
    write_record(folder / ERROR, {"error": sentence})


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Reads the learning curve so far; a last line that was torn by a crash is left out.

    Raises:
        RunError: the curve is damaged, or shorter than that of a finished run.
    """
    return _rows(folder, read_result(folder))


def cut_metrics(folder: Path, epochs: int) -> None:
    """Cuts a learning curve after the epochs of its checkpoint: later rows will be written again.

    Raises:
        RunError: rows are missing, so the curve could not be whole.
    """
    rows = [row for row in read_metrics(folder) if row["epoch"] <= epochs]
    if len(rows) != epochs or any(row["epoch"] != epoch for epoch, row in enumerate(rows, start=1)):
        raise damaged(folder / METRICS, f"{epochs} epochs are done, but its rows are not 1 to {epochs}")
    write_atomic(folder / METRICS, b"".join(map(line, rows)))


def _any_result(folder: Path) -> Result | None:
    """The result in a folder, of however many epochs."""
    return _from_file(Result, folder / RESULT)


def _from_file(kind: type[Kind], path: Path) -> Kind | None:
    """The record in a JSON file; None where there is no file."""
    values = read_json(path)
    if values is None:
        return None
    try:
        return build(kind, renewed(values))
    except TypeError as error:
        raise InputError(f"{str(path)!r} was written by another version of osakd: choose another folder.") from error
    except ValueError as error:
        raise damaged(path, error) from error


def renewed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a configuration, those of an earlier version by their names of today."""
    today = dict(values)
    if "deploy_ema" in today:
        today["deploy"] = "averaged" if today.pop("deploy_ema") else "last"
    return today


def _of_all_epochs(result: Result | None, config: RunConfig | None) -> Result | None:
    return result if result and config and result.is_of(config) else None


def _rows(folder: Path, result: Result | None) -> list[dict[str, Any]]:
    """The learning curve, checked: every row has values, and that of a finished run ends with its last epoch."""
    rows = read_rows(folder / METRICS)
    if result is not None and (not rows or rows[-1]["epoch"] != result.epochs or "test" not in rows[-1]):
        ends = f"at epoch {rows[-1]['epoch']}" if rows else "before the first epoch"
        raise damaged(folder / METRICS, f"it ends {ends}, its run at epoch {result.epochs}")
    return rows
