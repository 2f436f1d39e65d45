"""From what the user gives to the complete configuration of a run: every default resolved, every value checked."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from osakd.checks import choice, flag, number, whole
from osakd.data.options import ImageOptions
from osakd.data.policies import RESIZED, PolicyName, build_policy
from osakd.data.recipes import RecipeName, photos_recipe, recipe_for
from osakd.engine.executors.registry import AUTO, ExecutorName, KernelsName
from osakd.errors import InputError, unknown_name
from osakd.methods.lookup import resolve_method
from osakd.methods.registry import METHODS, settings_of
from osakd.methods.settings.base import RunDefaults
from osakd.models.build import TIMM, expected_channels
from osakd.models.weights import weights_file
from osakd.paths import file_digest
from osakd.records import RunConfig, read_config

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays

Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["constant", "step", "cosine"]
Precision = Literal["float32", "tf32", "bf16"]
Deploy = Literal["best", "averaged", "last"]
Scaling = Literal["half", "unit", "statistics"]
CropPadding = Literal["zero", "reflect"]
ClassWeights = Literal["balanced"]

_CHOICES = {
    "recipe": RecipeName,
    "optimizer": Optimizer,
    "schedule": Schedule,
    "scaling": Scaling,
    "precision": Precision,
    "deploy": Deploy,
    "crop_padding": CropPadding,
    "class_weights": ClassWeights,
    "executor": ExecutorName,
    "kernels": KernelsName,
}
_WHOLE = {"epochs": 1, "batch_size": 2, "crop": 0, "evaluate_every": 1, "patience": 1}
"""Options that are whole numbers, each with its least value."""
_OPEN = dict.fromkeys(("max_grad_norm", "weights", "ema", "ema_epochs", "patience"))
VALIDATION = 0.1
"""Share of the training images that is held out where the best weights are chosen."""
WINDOW = 2.0
"""Window in epochs of the average where averaged weights may be deployed."""
FEWEST_TO_CHOOSE = 200
"""With fewer validation images no epoch is chosen: the choice would be more noise than gain."""
FEWEST_TO_CALIBRATE = 50
"""With fewer validation images no temperature is fitted."""
_NUMBERS: dict[str, dict[str, float]] = {  # the data check their shares
    "learning_rate": {"above": 0},
    "momentum": {"least": 0},
    "weight_decay": {"least": 0},
    "warmup_epochs": {"least": 0},
    "mixup": {"least": 0},
    "cutmix": {"least": 0},
    "max_grad_norm": {"above": 0},
    "gamma": {"least": 0},
    "fraction": {},
    "validation": {},
    "ema": {"above": 0, "below": 1},
    "ema_epochs": {"above": 0},
}
NOT_RECORDED = ("device", "executor", "kernels", "trust")
"""Options that decide where and how fast a run computes, not what it computes."""
_IMAGE_OPTIONS = tuple(field.name for field in fields(ImageOptions))
"""Options that are recorded with the data."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to train; None stands for the recipe's value.

    Args:
        recipe: what the other options are by default: paper, for a data set of the paper as in the paper; or photos,
            for any other, by its images and classes.
        model: network (osakd list) or package.module:function; by default the recipe's.
        pretrained: networks of timm start from their pretrained weights, with their input scaling.
        weights: starting weights of the network: a safetensors file, a state dict of torch.save, or the folder of a
            finished run; a head for other classes is made anew.
        epochs: number of passes over the training set; by default the recipe's.
        batch_size: number of images per step; by default the recipe's, 64.
        optimizer: optimizer of the weights.
        learning_rate: learning rate at the start of the schedule; by default the recipe's.
        momentum: SGD momentum; by default the recipe's, 0.9.
        nesterov: use Nesterov momentum in SGD; by default the recipe's.
        weight_decay: weight decay of the optimizer; by default the recipe's.
        max_grad_norm: largest gradient norm, above which gradients are clipped; by default they are not.
        schedule: learning rate schedule: constant; step, times gamma at each milestone; or cosine, down to zero; by
            default the recipe's.
        warmup_epochs: number of epochs in which the learning rate rises to its value; below 1, as a share of all
            epochs; by default the recipe's.
        milestones: milestones of the step schedule, as shares of the epochs.
        gamma: factor of the learning rate at each milestone.
        scaling: input scaling: half (to [-1, 1]), unit ([0, 1]) or statistics (standardised per channel).
        crop: pixels of padding around an image, from which a random crop of the image's size is taken; by
            default the recipe's.
        crop_padding: padding of crops: zero (black) or reflect.
        flip: flip half of the training images horizontally; by default the recipe's.
        augment: policies of torchvision that augment each training image, in this order. They need the extra
            ``augment``.
        mixup: parameter of mixup's Beta distribution, such as 0.2; 0 for none.
        cutmix: parameter of CutMix's Beta distribution, such as 1; 0 for none.
        class_weights: weights of the classes in the cross-entropy: balanced, inversely proportional to the number of
            training images of each; by default they are equal.
        fraction: share of each class's training images to use, the same for every seed.
        validation: share of each class's training images to hold out for validation; by default 0.1 where the best
            weights are deployed, else 0.
        resize: size in pixels to which all images are resized: 32, or height x width such as 64x48.
        test_fraction: share of each class that becomes the test split, for data without one.
        label_column: column of Parquet files that holds the class; by default known by its name or type.
        image_column: column of Parquet files that holds the image; by default known by its name or type.
        deploy: weights that are deployed: best, averaged or last. best: those of the epoch with the lowest validation
            loss, averaged or not; with fewer than 200 validation images averaged. Both are calibrated on the validation
            images.
        ema_epochs: window in epochs of an exponential moving average of the weights; by default 2 unless the last
            weights are deployed.
        ema: the same average by its decay per step, such as 0.99.
        patience: epochs without a lower validation loss after which training stops; by default it does not.
        refit: train once more on all images, for the number of epochs that validation chose, and deploy that network.
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

    recipe: RecipeName | None = None
    model: str | None = None
    pretrained: bool = False
    weights: str | Path | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: Optimizer = "sgd"
    learning_rate: float | None = None
    momentum: float | None = None
    nesterov: bool | None = None
    weight_decay: float | None = None
    max_grad_norm: float | None = None
    schedule: Schedule | None = None
    warmup_epochs: float | None = None
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1
    scaling: Scaling | None = None
    crop: int | None = None
    crop_padding: CropPadding = "zero"
    flip: bool | None = None
    augment: tuple[PolicyName, ...] = ()
    mixup: float = 0.0
    cutmix: float = 0.0
    class_weights: ClassWeights | None = None
    fraction: float = 1.0
    validation: float | None = None
    resize: int | str | None = None
    test_fraction: float = 0.0
    label_column: str | None = None
    image_column: str | None = None
    deploy: Deploy = "best"
    ema_epochs: float | None = None
    ema: float | None = None
    patience: int | None = None
    refit: bool = False
    evaluate_every: int = 1
    precision: Precision = "float32"
    device: str | None = None
    executor: ExecutorName = AUTO
    kernels: KernelsName = AUTO
    trust: bool = False


def options_of(values: Mapping[str, Any]) -> Options:
    """Options by name; an InputError for an unknown one."""
    names = [field.name for field in fields(Options)]
    for option in values:
        if option not in names:
            raise unknown_name("option", option, names)
    return Options(**values)


def image_options_of(options: Options) -> ImageOptions:
    """How the options say that the data are read, for ``load_data``; an InputError for a value out of its range."""
    return ImageOptions(**{name: getattr(options, name) for name in _IMAGE_OPTIONS})


def configure(data: "DataArrays", method: str | Mapping[str, Any], seed: int, options: Options) -> RunConfig:
    """The complete configuration of a run, with every default filled in and every value checked.

    The data are as ``load_data`` gives them with ``image_options_of(options)``.

    Raises:
        InputError: an unknown name or a value out of its range.
    """
    data = data.part(options.fraction)
    given = {key: _checked(key, value) for key, value in vars(options).items() if value is not None}
    is_known = data.kind == "named"
    given.setdefault("recipe", "paper" if is_known else "photos")
    if given["recipe"] == "paper":
        recipe = recipe_for(data.name if is_known else "")
    else:
        recipe = photos_recipe(
            len(data.train),
            data.input_shape,
            data.class_names,
            model=options.model,
            optimizer=given["optimizer"],
            fine_tuned=options.pretrained or options.weights is not None,
        )
    chosen: dict[str, Any] = {**_OPEN, **vars(recipe), "validation": VALIDATION if options.deploy == "best" else 0.0}
    if options.deploy != "last" and options.ema is None:
        chosen["ema_epochs"] = WINDOW
    chosen |= given
    if RESIZED in chosen["augment"]:
        chosen["crop"] = given.get("crop", 0)
    chosen["nesterov"] = given.get("nesterov", recipe.nesterov and chosen["momentum"] > 0)
    for option in (*NOT_RECORDED, *_IMAGE_OPTIONS):
        chosen.pop(option, None)
    defaults = RunDefaults(model=chosen["model"], epochs=chosen["epochs"], soft_weight=chosen.pop("soft_weight"))
    name, settings = resolve_method(method, defaults)
    chosen["epochs"] = settings.last_stage_epochs(chosen["epochs"])
    seed = whole("seed", seed)
    if not 0 <= seed < 2**64:
        raise InputError(f"`seed` must be at least 0 and below 2^64, got {seed}.")
    channels = _channels(data, chosen["model"])
    try:
        record = data.record(channels=channels, validation=chosen["validation"], seed=seed)
    except InputError:
        if options.validation is not None:
            raise
        chosen["validation"] = 0.0  # a class has too few images to hold any out
        record = data.record(channels=channels, validation=0.0, seed=seed)
    config = RunConfig(data=record, method=name, settings=asdict(settings), seed=seed, **chosen)
    if config.ema is not None and config.ema_epochs is not None:
        raise InputError("`ema` and `ema_epochs` are the same average: give one of them.")
    for option in ("patience", "refit"):
        if getattr(config, option) and not chooses(config):
            raise InputError(
                f"`{option}` needs `deploy` best and at least {FEWEST_TO_CHOOSE} validation images, got "
                f"{record['validation']}: leave it out, or hold out more with --validation."
            )
    if config.pretrained and TIMM not in str([config.model, config.settings]):
        raise InputError(f"`pretrained` is for networks of timm, got {config.model!r}: take --model {TIMM}NAME.")
    if config.augment:
        build_policy(config.augment, (1, 1))  # its package is missed here, before anything runs
    mixed = config.mixup or config.cutmix
    if mixed and (settings.searches_memory() or not settings.takes_mixed_images):
        raise InputError(
            f"The method {name!r} cannot learn from mixed images, which have several classes: leave `mixup` and "
            "`cutmix` out."
        )
    if config.nesterov and config.momentum == 0:
        raise InputError("`nesterov` needs a `momentum` above 0.")
    if config.crop >= min(record["input_shape"][1:]):
        raise InputError(f"`crop` must be smaller than the images, got {config.crop}.")
    if record["train"] < 2:
        raise InputError(f"The training set must hold at least 2 images, got {record['train']}.")
    settings.check_batch(min(config.batch_size, record["train"]))
    return config


def _channels(data: "DataArrays", model: str) -> int:
    """The channels that the network expects where that is grey or colour, else those of the images."""
    channels = expected_channels(model, num_classes=data.num_classes, input_shape=data.input_shape)
    return channels if channels in (1, 3) else data.input_shape[0]


def _checked(option: str, value: Any) -> Any:
    """The value of an option in Python's own type, for the record; an InputError for one out of its range."""
    if option in _CHOICES:
        return choice(option, value, get_args(_CHOICES[option]))
    if option == "weights":
        return file_digest(weights_file(value))
    if option == "augment":
        names: list[str] = [value] if isinstance(value, str) else list(value)
        return [choice(option, name, get_args(PolicyName)) for name in names]
    if option in ("nesterov", "flip", "pretrained", "refit"):
        return flag(option, value)
    if option in _WHOLE and value is not None:
        return whole(option, value, least=_WHOLE[option])
    if option in _NUMBERS and value is not None:
        return number(option, value, **_NUMBERS[option])
    if option == "milestones":
        shares = [number(option, share) for share in value] if isinstance(value, Iterable) else None
        if shares is None or sorted(shares) != shares or not all(0 < share < 1 for share in shares):
            raise InputError(f"`milestones` must be a list of numbers that rise between 0 and 1, got {value!r}.")
        return shares
    return value


def chooses(config: RunConfig) -> bool:
    """Whether validation chooses the weights that are deployed."""
    return config.deploy == "best" and config.data["validation"] >= FEWEST_TO_CHOOSE


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
        and not 0 < new.warmup_epochs < 1
        and settings_of(new).single_network
        and not settings_of(new).follows_schedule
        and new.epochs > old.epochs
        and old.epochs % old.evaluate_every == 0  # its last epoch would else be evaluated out of turn
        and replace(old, epochs=new.epochs) == new
    )
