"""osakd as a scikit-learn classifier: a multi-layer perceptron on feature vectors, trained by any method."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from osakd.checks import whole as check_whole
from osakd.engine.vectors import PERCEPTRON, VectorSpec, VectorTraining, begin, check_continues, train_on_vectors
from osakd.errors import InputError
from osakd.methods.lookup import given_method
from osakd.methods.settings.base import RunDefaults, Settings

_DTYPES = (np.float64, np.float32)
_BATCH_SIZE = 200


class OSAKDClassifier(ClassifierMixin, BaseEstimator):
    """Multi-layer perceptron with ReLU, trained by online self-acquired knowledge distillation or any other method.

    Parameters that ``MLPClassifier`` has too mean the same as there; every epoch is trained, there is no early
    stopping. Features should be scaled, for example with a ``StandardScaler``. It computes on the CPU, in the type of
    the features, float32 or float64.

    Args:
        hidden_layer_sizes: number of units of each hidden layer, each at least 1.
        method: the method that trains it: a name such as ``"osakd"`` or ``"plain"``, or a dictionary with ``name`` and
            settings, as ``osakd.train`` takes it. Methods that need images, or another network, are refused.
        n_neighbors: number of nearest neighbours, at least 1, for methods that have them; None for the method's own.
            No more are taken than the first batch holds.
        soft_weight: weight of the distillation term, for methods that have it; None for the method's own.
        alpha: strength of the L2 penalty on the weights, at least 0.
        batch_size: samples per step, at least 2; ``"auto"`` is 200. At most all samples; a last batch of one sample is
            left out.
        learning_rate_init: learning rate of Adam, above 0.
        max_iter: number of epochs, at least 1.
        random_state: seed of the first weights and of the order of the samples; the same for every method.

    Attributes:
        classes_: the classes ``[c]``.
        network_: the trained network, an ``nn.Module`` that takes features ``[n, features]`` and gives logits
            ``[n, c]``.
        loss_: loss of the last epoch, its mean over the samples.
        loss_curve_: loss of each epoch.
        n_iter_: number of epochs trained.
        n_features_in_: number of features.
        feature_names_in_: their names, if the features had any.

    Raises:
        InputError: when it is fitted: a parameter out of its range, a method that cannot train it, or fewer than two
            classes. It is a ``ValueError``.
        RunError: a loss that is not finite.

    Example:
        >>> features, classes = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
        >>> OSAKDClassifier(max_iter=2).fit(features, classes).predict_proba(features).shape
        (60, 3)
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | int = (100,),
        *,
        method: str | Mapping[str, Any] = "osakd",
        n_neighbors: int | None = None,
        soft_weight: float | None = None,
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.method = method
        self.n_neighbors = n_neighbors
        self.soft_weight = soft_weight
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 - scikit-learn's name
        """Trains a new network.

        Args:
            X: features ``[n, features]``.
            y: class of each sample ``[n]``, a number or a name.
        """
        name, settings = self._checked(self.max_iter)
        vectors, labels = self._validated(X, y, reset=True)
        self.classes_ = unique_labels(labels)
        if len(self.classes_) < 2:
            raise InputError(f"A classifier needs samples of at least 2 classes, got {len(self.classes_)} class.")
        epochs = settings.last_stage_epochs(self.max_iter)
        with torch.random.fork_rng(devices=[]):
            spec, target = self._spec(vectors), self._target(labels)
            training, *_ = train_on_vectors(name, settings, spec, vectors, target, epochs=epochs)
        return self._trained(training)

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:  # noqa: N803
        """Trains for one epoch on these samples, from where ``fit`` or the last ``partial_fit`` ended.

        Args:
            X: features ``[n, features]`` of at least 2 samples.
            y: class of each sample ``[n]``.
            classes: all classes; needed at the first call.

        Raises:
            InputError: no or other ``classes``, a class that is not one of them; a method that keeps something of each
                sample, follows a schedule, or trains several networks.
        """
        name, settings = self._checked(None)
        first = not hasattr(self, "_training")
        vectors, labels = self._validated(X, y, reset=first)
        if first and classes is None:
            raise InputError("The first call of partial_fit needs `classes`, all classes that there are.")
        known = self.classes_ if classes is None else unique_labels(classes)
        if not first and not np.array_equal(known, self.classes_):
            raise InputError(f"`classes` must be those of the first call ({self.classes_}), got {known}.")
        if not np.isin(labels, known).all():
            raise InputError(f"The classes must be among {known}, got {np.setdiff1d(labels, known)}.")
        if len(vectors) < 2:
            raise InputError("partial_fit needs at least 2 samples, got 1 sample.")
        self.classes_ = known
        with torch.random.fork_rng(devices=[]):
            spec = self._spec(vectors)
            check_continues(name, settings, spec, vectors)
            training = begin(name, settings, spec, vectors) if first else self._training
            training.epoch(vectors, self._target(labels))
        return self._trained(training)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.floating[Any]]:  # noqa: N803
        """The probability of each class ``[n, c]``, from 0 to 1, in the order of ``classes_``."""
        check_is_fitted(self)
        features = torch.tensor(validate_data(self, X, dtype=_DTYPES, reset=False))  # type: ignore[arg-type] - no stubs
        with torch.no_grad():
            return self.network_(features.to(next(self.network_.parameters()).dtype)).softmax(1).numpy()

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """The most probable class of each sample ``[n]``."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(1)]

    def _checked(self, epochs: int | None) -> tuple[str, Settings]:
        """The name and the settings of the method, once all parameters have been checked."""
        check_whole("max_iter", self.max_iter, least=1)
        for size in self._hidden():
            check_whole("hidden_layer_sizes", size, least=1)
        if self.batch_size != "auto":
            check_whole("batch_size", self.batch_size, least=2)
        if not self.learning_rate_init > 0:
            raise InputError(f"`learning_rate_init` must be above 0, got {self.learning_rate_init}.")
        if not self.alpha >= 0:
            raise InputError(f"`alpha` must be at least 0, got {self.alpha}.")
        name, settings = given_method(self.method)
        if self.n_neighbors is not None:
            check_whole("n_neighbors", self.n_neighbors, least=1)
            settings = _changed(name, settings, "n_neighbors", k=int(self.n_neighbors))
        if self.soft_weight is not None:
            settings = _changed(name, settings, "soft_weight", soft_weight=float(self.soft_weight))
        return name, settings.resolve(RunDefaults(model=PERCEPTRON, epochs=epochs))

    def _validated(self, X: ArrayLike, y: ArrayLike, *, reset: bool) -> tuple[Tensor, NDArray[Any]]:  # noqa: N803
        """The features ``[n, features]`` and the classes ``[n]``."""
        features, labels = validate_data(self, X, y, dtype=_DTYPES, reset=reset)  # type: ignore[arg-type] - no stubs
        check_classification_targets(labels)
        return torch.tensor(features), np.asarray(labels)

    def _target(self, labels: NDArray[Any]) -> Tensor:
        """The class indices ``[n]``."""
        return torch.tensor(np.searchsorted(self.classes_, labels))

    def _spec(self, vectors: Tensor) -> VectorSpec:
        return VectorSpec(
            features=vectors.shape[1],
            hidden=self._hidden(),
            num_classes=len(self.classes_),
            batch_size=_BATCH_SIZE if self.batch_size == "auto" else int(self.batch_size),
            learning_rate=self.learning_rate_init,
            alpha=self.alpha,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
        )

    def _hidden(self) -> tuple[int, ...]:
        sizes = self.hidden_layer_sizes
        return tuple(sizes) if isinstance(sizes, Iterable) else (sizes,)

    def _trained(self, training: VectorTraining) -> Self:
        self._training = training
        self.network_ = training.method.network.eval()
        self.loss_curve_ = list(training.losses)
        self.n_iter_, self.loss_ = len(self.loss_curve_), self.loss_curve_[-1]
        return self


def _changed(name: str, settings: Any, parameter: str, **values: Any) -> Any:
    """The settings with a value for one of them."""
    (setting,) = values
    if not hasattr(settings, setting):
        raise InputError(f"Method {name!r} has no setting {setting!r}: leave `{parameter}` at None.")
    return replace(settings, **values)
