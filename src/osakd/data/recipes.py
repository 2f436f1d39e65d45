"""The data sets by name: where each comes from, and how a network is trained on it by default."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a network is trained on a data set by default.

    Attributes:
        model: name of the network.
        learning_rate: learning rate of SGD.
        epochs: number of passes over the training set.
        scaling: input scaling: ``half`` maps to [-1, 1], ``unit`` leaves [0, 1], ``statistics`` standardises each
            channel with the training set's mean and standard deviation.
        soft_weight: weight of a distillation term (lambda in the paper).
        batch_size: number of images per step.
        momentum: SGD momentum.
    """

    model: str = "lenet"
    learning_rate: float = 0.001
    epochs: int = 100
    scaling: str = "half"
    soft_weight: float = 0.9
    batch_size: int = 64
    momentum: float = 0.9


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


def copy_note(content: str) -> list[str]:
    """What a reader should know of images that are a copy of a data set, not the data set itself.

    Args:
        content: content hash of the images, as recorded.
    """
    copied = content.startswith(_JPEG_COPY)
    return ["The images are a JPEG copy of CIFAR-10, not the paper's own: accuracies may be lower."] if copied else []


_JPEG_COPY = "e12d9a8d"
"""How the content hash of the JPEG copy of CIFAR-10 begins."""
