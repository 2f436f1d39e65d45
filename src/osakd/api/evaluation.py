"""What a network says of test images: its scores, and what is behind them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """A test image: its file, its class, the predicted class and the probability of that."""

    file: str
    label: str
    predicted: str
    probability: float


class Evaluation(dict[str, float]):
    """The scores of a network on test images by name, such as ``evaluation["accuracy"]``, and its answers.

    Attributes:
        answers: what it says of each image, in the order of the data.
    """

    def __init__(self, scores: Mapping[str, float], answers: Sequence[Answer], class_names: Sequence[str]) -> None:
        super().__init__(scores)
        self.answers = list(answers)
        self._class_names = class_names

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy that the number of images gives (Wilson)."""
        from scipy.stats import binomtest

        images = len(self.answers)
        low, high = binomtest(round(images * self["accuracy"]), images).proportion_ci(method="wilson")
        return float(low), float(high)

    @cached_property
    def confusion(self) -> dict[str, Counter[str]]:
        """For each class of the images how many were predicted as which: ``confusion["cat"]["dog"]``."""
        found: dict[str, Counter[str]] = {name: Counter() for name in self._class_names}
        for answer in self.answers:
            found[answer.label][answer.predicted] += 1
        return {name: predicted for name, predicted in found.items() if predicted}

    @property
    def class_accuracies(self) -> dict[str, float]:
        """The accuracy for the images of each class."""
        return {name: predicted[name] / predicted.total() for name, predicted in self.confusion.items()}

    @property
    def mistakes(self) -> list[Answer]:
        """The wrong answers, the surest first."""
        wrong = [answer for answer in self.answers if answer.label != answer.predicted]
        return sorted(wrong, key=lambda answer: -answer.probability)

    def summary(self) -> dict[str, Any]:
        """All of it but the right answers, as ``osakd evaluate --json`` prints it."""
        return {
            **self,
            "images": len(self.answers),
            "interval": self.interval,
            "class_accuracies": self.class_accuracies,
            "confusion": self.confusion,
            "mistakes": [answer._asdict() for answer in self.mistakes],
        }
