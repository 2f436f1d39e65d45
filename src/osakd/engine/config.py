"""From what the user gives to the complete configuration of a run: every default resolved, every value checked."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import inf
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from osakd.data.options import ImageOptions, image_options
from osakd.data.recipes import recipe_for
from osakd.engine.executors.registry import AUTO, ExecutorName, KernelsName
from osakd.errors import InputError, unknown_name
from osakd.methods.lookup import resolve_method
from osakd.methods.registry import METHODS, settings_of
from osakd.methods.settings.base import RunDefaults
from osakd.models.build import expected_channels
from osakd.records import RunConfig, read_config

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays

Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["constant", "step", "cosine"]
Precision = Literal["float32", "tf32", "bf16"]
Scaling = Literal["half", "unit", "statistics"]
CropPadding = Literal["zero", "reflect"]


_NAMES = ("model", "optimizer", "schedule", "scaling", "precision", "crop_padding")
NOT_RECORDED = ("device", "executor", "kernels", "trust")
"""Options that decide where and how fast a run computes, not what it computes."""
_IMAGE_OPTIONS = tuple(field.name for field in fields(ImageOptions))
"""Options that are recorded with the data."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to train; None stands for the data set's recipe.

    Args:
        model: network (osakd list) or package.module:function; by default the data set's.
        epochs: number of passes over the training set; by default the data set's.
        batch_size: number of images per step; by default the data set's, 64.
        optimizer: optimizer of the weights.
        learning_rate: learning rate at the start of the schedule; by default the data set's.
        momentum: SGD momentum.
        nesterov: use Nesterov momentum in SGD.
        weight_decay: weight decay of the optimizer.
        max_grad_norm: largest gradient norm, above which gradients are clipped; by default they are not.
        schedule: learning rate schedule: constant; step, times gamma at each milestone; or cosine, down to zero.
        milestones: milestones of the step schedule, as shares of the epochs.
        gamma: factor of the learning rate at each milestone.
        scaling: input scaling: half (to [-1, 1]), unit ([0, 1]) or statistics (standardised per channel).
        crop: pixels of padding around an image, from which a random crop of the image's size is taken.
        crop_padding: padding of crops: zero (black) or reflect.
        flip: flip half of the training images horizontally.
        fraction: share of each class's training images to use, the same for every seed.
        validation: share of each class's training images to hold out for validation.
        resize: size in pixels to which all images are resized: 32, or height x width such as 64x48.
        test_fraction: share of each class that becomes the test split, for data without one.
        label_column: column of Parquet files that holds the class; by default known by its name or type.
        image_column: column of Parquet files that holds the image; by default known by its name or type.
        ema: decay of an exponential moving average of the weights, such as 0.99, which is evaluated beside the last
            weights.
        deploy_ema: deploy the averaged weights instead of the last ones.
        evaluate_every: epochs between evaluations; the last epoch is always evaluated.
        precision: precision of products and convolutions; float32 is IEEE float32 on CUDA too; bf16 is for the
            forward pass.
        device: cpu, cuda or cuda:N; by default cuda where there is one.
        executor: serial: step after step; cuda_graph: in a CUDA graph; fused: many runs in one program; by default what
            is fastest for the device and the network.
        kernels: how small convolutional networks are computed on a CPU: native, by osakd's own kernel, or torch, by
            PyTorch's operators; by default natively where that works.
        trust: call the function that a given teacher's folder names as its network, whose code then runs.
    """

    model: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: Optimizer = "sgd"
    learning_rate: float | None = None
    momentum: float | None = None
    nesterov: bool = False
    weight_decay: float = 0.0
    max_grad_norm: float | None = None
    schedule: Schedule = "constant"
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    scaling: Scaling | None = None
    crop: int = 0
    crop_padding: CropPadding = "zero"
    flip: bool = False
    fraction: float = 1.0
    validation: float = 0.0
    resize: int | str | None = None
    test_fraction: float = 0.0
    label_column: str | None = None
    image_column: str | None = None
    ema: float | None = None
    deploy_ema: bool = False
    evaluate_every: int = 1
    precision: Precision = "float32"
    device: str | None = None
    executor: ExecutorName = AUTO
    kernels: KernelsName = AUTO
    trust: bool = False


def options_of(given: Mapping[str, Any]) -> Options:
    """Options by name.

    Raises:
        InputError: an unknown one.
    """
    names = [field.name for field in fields(Options)]
    for option in given:
        if option not in names:
            raise unknown_name("option", option, names)
    return Options(**given)


def image_options_of(options: Options) -> ImageOptions:
    """How the options say that the data are read; what ``load_data`` takes.

    Raises:
        InputError: a value out of its range.
    """
    return image_options(**{name: getattr(options, name) for name in _IMAGE_OPTIONS})


def configure(data: "DataArrays", method: str | Mapping[str, Any], seed: int, options: Options) -> RunConfig:
    """The complete configuration of a run, with every default filled in and every value checked.

    Args:
        data: the data as ``load_data`` gives them with ``image_options_of(options)``.
        method: the method as the user gives it.
        seed: seed of the run.
        options: how to train.

    Raises:
        InputError: an unknown name or a value out of its range.
    """
    recipe = recipe_for(data.name) if data.kind == "named" else recipe_for("")
    left = (*NOT_RECORDED, *_IMAGE_OPTIONS)
    given = {key: value for key, value in vars(options).items() if value is not None and key not in left}
    chosen = {key: getattr(recipe, key) for key in ("model", "epochs", "batch_size", "learning_rate", "momentum")}
    chosen |= {"max_grad_norm": None, "scaling": recipe.scaling} | given
    kinds = {"optimizer": Optimizer, "schedule": Schedule, "scaling": Scaling, "precision": Precision}
    kinds |= {"crop_padding": CropPadding, "executor": ExecutorName, "kernels": KernelsName}
    for option, kind in kinds.items():
        value = chosen.get(option, getattr(options, option))
        if value not in get_args(kind):
            raise unknown_name(option, value, get_args(kind))
    chosen = {key: _plain(key, value) for key, value in chosen.items()}
    model = str(chosen["model"])
    defaults = RunDefaults(model=model, epochs=chosen["epochs"], soft_weight=recipe.soft_weight)
    name, settings = resolve_method(method, defaults)
    chosen["epochs"] = settings.last_stage_epochs(chosen["epochs"])
    data = data.part(chosen["fraction"])
    seed = _plain("seed", seed)
    if not 0 <= seed < 2**64:
        raise InputError(f"`seed` must be at least 0 and below 2^64, got {seed}.")
    record = data.record(channels=_channels(data, model), validation=chosen["validation"], seed=seed)
    config = RunConfig(data=record, method=name, settings=asdict(settings), seed=seed, **chosen)
    _check(config)
    return config


def _channels(data: "DataArrays", model: str) -> int:
    """The channels that the network expects where that is grey or colour, else those of the images."""
    found = expected_channels(model, num_classes=data.num_classes, input_shape=data.input_shape)
    return found if found in (1, 3) else data.input_shape[0]


def _plain(option: str, value: Any) -> Any:
    """The value in Python's own type, so that it can be recorded (NumPy's cannot)."""
    if value is None or option in _NAMES:
        return value
    if option in ("nesterov", "flip", "deploy_ema"):
        if isinstance(value, bool):
            return value
        raise InputError(f"`{option}` must be true or false, got {value!r}.")
    if option == "milestones":
        shares = list(value) if isinstance(value, Iterable) else [value]
        if isinstance(value, Iterable) and all(isinstance(share, Real) for share in shares):
            return [float(share) for share in shares]
        raise InputError(f"`{option}` must be a list of numbers, got {value!r}.")
    if option in ("epochs", "batch_size", "seed", "crop", "evaluate_every"):
        if isinstance(value, Integral) and not isinstance(value, bool):
            return int(value)
        raise InputError(f"`{option}` must be a whole number, got {value!r}.")
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise InputError(f"`{option}` must be a number, got {value!r}.")


def recorded_config(folder: Path) -> RunConfig | None:
    """The configuration of a run folder, as this version of osakd writes it; None without one."""
    config = read_config(folder)
    return None if config is None else as_today(config)


def as_today(config: RunConfig) -> RunConfig:
    """A recorded configuration with the settings that were added later, as they were before."""
    if config.method not in METHODS:
        return config
    known = {field.name for field in fields(METHODS[config.method].settings)}
    return replace(config, settings=asdict(settings_of(config))) if config.settings.keys() <= known else config


def can_continue(old: RunConfig, new: RunConfig) -> bool:
    """Whether a run may go on under a new configuration: nothing differs, or only more epochs of a constant rate.

    Methods with stages or ramps depend on the length of the schedule.
    """
    return old == new or (
        new.schedule == "constant"
        and settings_of(new).single_network
        and not settings_of(new).follows_schedule
        and new.epochs > old.epochs
        and old.epochs % old.evaluate_every == 0  # its last epoch would else be evaluated out of turn
        and replace(old, epochs=new.epochs) == new
    )


def _check(config: RunConfig) -> None:
    at_least = {"epochs": 1, "batch_size": 2, "weight_decay": 0, "momentum": 0, "gamma": 0, "crop": 0}
    at_least |= {"evaluate_every": 1}
    for option, least in at_least.items():
        value = getattr(config, option)
        if not least <= value < inf:
            raise InputError(f"`{option}` must be {f'at least {least}' if value != inf else 'finite'}, got {value}.")
    if not 0 < config.learning_rate < inf:
        kind = "above 0" if config.learning_rate != inf else "finite"
        raise InputError(f"`learning_rate` must be {kind}, got {config.learning_rate}.")
    if config.max_grad_norm is not None and not config.max_grad_norm > 0:
        raise InputError(f"`max_grad_norm` must be above 0, got {config.max_grad_norm}: leave it out not to clip.")
    if config.ema is not None and not 0 < config.ema < 1:
        raise InputError(f"`ema` must be above 0 and below 1 (a decay such as 0.99), got {config.ema}.")
    if config.deploy_ema and config.ema is None:
        raise InputError("`deploy_ema` needs `ema`, the decay of the average.")
    if config.nesterov and config.momentum == 0:
        raise InputError("`nesterov` needs a `momentum` above 0.")
    if sorted(config.milestones) != config.milestones or any(not 0 < share < 1 for share in config.milestones):
        raise InputError(f"`milestones` must rise and lie between 0 and 1, got {config.milestones}.")
    if config.crop >= min(config.data["input_shape"][1:]):
        raise InputError(f"`crop` must be smaller than the images, got {config.crop}.")
    training = config.data["train"]
    if training < 2:
        raise InputError(f"The training set must hold at least 2 images, got {training}.")
    settings_of(config).check_batch(min(config.batch_size, training))
