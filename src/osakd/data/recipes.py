"""Recipes: how a network is trained by default, on a data set of the paper and on the user's own images."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from osakd.records import RunConfig

RecipeName = Literal["paper", "photos"]

# The constants of the recipe for the user's own images; docs/recipes.md explains them.
NETWORK = "ds-cnn"
RATES = {"adamw": 0.002, "lenet": 0.01, "": 0.1}
"""Learning rate for batches of 64: with AdamW; with SGD for networks by how their name begins."""
DECAYS = {"adamw": 0.05, "sgd": 5e-4}
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 12_000, 20, 100
"""As many epochs as make so many steps, within these bounds."""
FINE_TUNING = 0.2
"""Factor of the rate where a network starts from trained weights."""
WARM_UP = 0.05
"""Share of the epochs in which the rate rises."""
PIXELS_PER_CROP = 8
"""One pixel of padding for each so many pixels of the shorter side."""

_OPPOSITES = ({"left", "right"}, {"east", "west"}, {"clockwise", "counterclockwise"}, {"links", "rechts"})
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Recipe:
    """How a network is trained on a data set by default.

    Attributes:
        scaling: input scaling: ``half`` maps to [-1, 1], ``unit`` leaves [0, 1], ``statistics`` standardises each
            channel with the training set's mean and standard deviation.
        soft_weight: weight of a distillation term (lambda in the paper).
        warmup_epochs: epochs in which the learning rate rises; below 1 as a share of all.
        crop: pixels of padding of random crops.
    """

    model: str = "lenet"
    learning_rate: float = 0.001
    epochs: int = 100
    scaling: str = "half"
    soft_weight: float = 0.9
    batch_size: int = 64
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup_epochs: float = 0.0
    crop: int = 0
    flip: bool = False


@dataclass(frozen=True)
class KnownData:
    """A data set that osakd knows by name; ``hub`` and ``config`` name it on the Hugging Face hub."""

    description: str
    source: str
    recipe: Recipe
    hub: str | None = None
    config: str | None = None


DATA = {
    "digits": KnownData(
        "600 + 1,197 grey images 8x8 of 10 digits; comes with scikit-learn, no download",
        "Alpaydin and Kaynak, UCI, 1998",
        Recipe(model="lenet-digits", learning_rate=0.02, epochs=40),
    ),
    "cifar10": KnownData(
        "50,000 + 10,000 colour images 32x32 of 10 classes", "Krizhevsky, 2009", Recipe(), "uoft-cs/cifar10"
    ),
    "svhn": KnownData(
        "73,257 + 26,032 colour images 32x32 of 10 digits",
        "Netzer et al., 2011",
        Recipe(),
        "ufldl-stanford/svhn",
        "cropped_digits",
    ),
    "fashion_mnist": KnownData(
        "60,000 + 10,000 grey images 28x28 of 10 classes",
        "Xiao et al., 2017",
        Recipe(model="lenet-fashion"),
        "zalando-datasets/fashion_mnist",
    ),
    "tiny_imagenet": KnownData(
        "100,000 + 10,000 colour images 64x64 of 200 classes",
        "Stanford CS231n, 2015",
        Recipe(model="resnet50", soft_weight=0.99),
        "zh-plus/tiny-imagenet",
    ),
}


def recipe_for(name: str) -> Recipe:
    """The recipe of a data set; the paper's common recipe for an unknown one."""
    return DATA[name].recipe if name in DATA else Recipe()


def photos_recipe(
    images: int,
    input_shape: tuple[int, int, int],
    class_names: Sequence[str],
    *,
    model: str | None = None,
    optimizer: str = "sgd",
    fine_tuned: bool = False,
) -> Recipe:
    """The recipe for the user's own images, for the network and the optimizer that the user names, if any.

    Example:
        >>> recipe = photos_recipe(1600, (3, 32, 32), ["cat", "dog"])
        >>> recipe.model, recipe.epochs, recipe.crop, recipe.flip
        ('ds-cnn', 100, 4, True)
    """
    channels, height, width = input_shape
    model = model or NETWORK
    batch_size = Recipe.batch_size
    key = optimizer if optimizer in RATES else next(start for start in RATES if model.startswith(start))
    return Recipe(
        model=model,
        learning_rate=RATES[key] * (FINE_TUNING if fine_tuned else 1),
        epochs=min(max(round(STEPS * batch_size / images), LEAST_EPOCHS), MOST_EPOCHS),
        nesterov=True,
        weight_decay=DECAYS[optimizer],
        schedule="cosine",
        warmup_epochs=WARM_UP,
        crop=min(height, width) // PIXELS_PER_CROP,
        flip=not why_not_flipped(class_names, channels),
    )


def why_not_flipped(class_names: Sequence[str], channels: int) -> str:
    """Why images of these classes must not be mirrored, in a few words; empty where they may.

    Example:
        >>> why_not_flipped(["cat", "dog"], 3), why_not_flipped(["turn left", "turn right", "stop"], 3)
        ('', 'classes are left and right')
        >>> why_not_flipped(["digit_3", "digit_5"], 3), why_not_flipped(["0", "1"], 3)
        ('classes are digits or letters', '')
    """
    if all(name.isdecimal() for name in class_names):
        return "classes are numbers and may be characters" if channels == 1 or len(class_names) == 10 else ""
    words = [set(re.findall(r"[^\W\d_]+|\d+", name)) for name in class_names]
    uses = Counter(word for of_class in words for word in of_class)
    own = [{word for word in of_class if uses[word] == 1} for of_class in words]
    characters = [of_class for of_class in own if any(len(word) == 1 or word.lower() in _DIGITS for word in of_class)]
    if 2 * len(characters) > len(class_names):
        return "classes are digits or letters"
    every = {word.lower() for word in uses}
    return next((f"classes are {' and '.join(sorted(pair))}" for pair in _OPPOSITES if pair <= every), "")


def recipe_in_words(config: RunConfig, class_names: Sequence[str] = (), parameters: int = 0) -> str:
    """The recipe of a run in a sentence: ``Recipe photos: ds-cnn, 60 epochs of batches of 64, SGD 0.1 with ...``."""
    shape = [words for words, used in (("warm-up", config.warmup_epochs), (config.schedule, True)) if used]
    why = why_not_flipped(class_names, config.data["input_shape"][0]) if config.recipe == "photos" else ""
    parts = [
        f"{config.model}{' pretrained' * config.pretrained}{' from trained weights' * bool(config.weights)}"
        + f" with {parameters:,} parameters" * (parameters > 0),
        f"{config.epochs} epoch{'s' * (config.epochs > 1)} of batches of {config.batch_size}",
        f"{'SGD' if config.optimizer == 'sgd' else 'AdamW'} {config.learning_rate:g} with {' and '.join(shape)} rate",
        f"weight decay {config.weight_decay:g}" * (config.weight_decay > 0),
        "" if config.pretrained else f"scaling {config.scaling}",
        f"crop {config.crop}" * (config.crop > 0),
        "flip" if config.flip else f"no flip since {why}" if why else "",
        *config.augment,
        f"mixup {config.mixup:g}" * (config.mixup > 0),
        f"CutMix {config.cutmix:g}" * (config.cutmix > 0),
        "balanced class weights" if config.class_weights else "",
        f"weights averaged over {config.ema_epochs:g} epochs" if config.ema_epochs else "",
        f"weights averaged with decay {config.ema:g}" if config.ema else "",
        _DEPLOYED[config.deploy],
    ]
    return f"Recipe {config.recipe}: {', '.join(filter(None, parts))}."


_DEPLOYED = {
    "best": "deployed are those of the least validation loss, averaged or not",
    "averaged": "deployed are the averaged ones",
    "last": "the last weights are deployed",
}


def copy_note(content: str) -> list[str]:
    """What a reader should know of images that are a copy of a data set, not the data set itself."""
    copied = content.startswith(_JPEG_COPY)
    return ["The images are a JPEG copy of CIFAR-10, not the paper's own: accuracies may be lower."] if copied else []


_JPEG_COPY = "e12d9a8d"
"""How the content hash of the JPEG copy of CIFAR-10 begins."""
