"""OSAKDClassifier is a scikit-learn estimator, and trains as MLPClassifier and OSAKDLoss say."""

import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from osakd import InputError, OSAKDClassifier, OSAKDLoss, RunError
from osakd.methods.registry import METHODS

PAGE = (Path(__file__).parents[2] / "docs/scikit-learn.md").read_text(encoding="utf-8")
IMAGES_OR_OTHER_NETWORKS = {"kd", "one", "ffl"}
PER_SAMPLE_OR_MANY = {"ps-kd", "bayesian-self-distillation", "dlb", "born-again"}
PER_SAMPLE_OR_MANY |= {"srdl", "dml", "codistillation", "bake"} | IMAGES_OR_OTHER_NETWORKS


def wine() -> tuple[np.ndarray, np.ndarray]:
    features, classes = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(features), classes


def classifier(**more: Any) -> OSAKDClassifier:
    defaults = {"hidden_layer_sizes": (8,), "max_iter": 3, "learning_rate_init": 0.01, "random_state": 0}
    return OSAKDClassifier(**defaults | more)


def same(one: OSAKDClassifier, other: OSAKDClassifier) -> bool:
    pairs = zip(one.network_.parameters(), other.network_.parameters(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_it_passes_check_estimator() -> None:
    done = check_estimator(classifier(max_iter=10, learning_rate_init=0.05))
    assert len(done) > 50
    assert [one["check_name"] for one in done if one["status"] != "passed"] in ([], ["check_array_api_input"])


def test_plain_is_scikit_learn_s_perceptron() -> None:
    features, classes = wine()
    options = {"hidden_layer_sizes": (8, 5), "alpha": 0.5, "batch_size": len(classes), "learning_rate_init": 0.01}
    theirs = MLPClassifier(**options, max_iter=20, random_state=0)
    theirs.partial_fit(features, classes, classes=[0, 1, 2])
    ours = OSAKDClassifier(**options, method="plain").partial_fit(features, classes, [0, 1, 2])
    start = [layer for layer in ours.network_.modules() if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        for layer, coefficients, intercepts in zip(start, theirs.coefs_, theirs.intercepts_, strict=True):
            layer.weight.copy_(torch.from_numpy(coefficients.T))
            layer.bias.copy_(torch.from_numpy(intercepts))
    theirs._optimizer.ms, theirs._optimizer.vs = (
        [np.zeros_like(one) for one in theirs._optimizer.ms] for _ in range(2)
    )
    theirs._optimizer.t = 0
    ours._training.optimizer.state.clear()
    for _ in range(20):
        theirs.partial_fit(features, classes)
        ours.partial_fit(features, classes)
    np.testing.assert_allclose(ours.predict_proba(features), theirs.predict_proba(features), rtol=1e-4)


def test_its_loss_is_the_loss_of_the_network_s_outputs() -> None:
    features, classes = wine()
    options = {
        "batch_size": 1000,
        "n_neighbors": 6,
        "soft_weight": 0.7,
        "method": {"name": "osakd", "divergence": "mse", "reliability": False},
    }
    one, two = (classifier(max_iter=epochs, **options).fit(features, classes) for epochs in (1, 2))
    loss = OSAKDLoss(3, k=6, soft_weight=0.7, divergence="mse", reliability=False)
    expected = loss(one.network_(torch.from_numpy(features)), torch.from_numpy(classes))
    assert two.loss_curve_ == [one.loss_, pytest.approx(expected.item(), rel=1e-9)]


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_trains_or_says_why_not(method: str) -> None:
    features, classes = wine()
    if method in IMAGES_OR_OTHER_NETWORKS:
        with pytest.raises(InputError, match=r"take born-again or srdl|take a method without branches"):
            classifier(method=method).fit(features, classes)
    else:
        found = pickle.loads(
            pickle.dumps(classifier(method=method, max_iter=20, learning_rate_init=0.03).fit(features, classes))
        )
        assert found.n_iter_ == (10 if method == "srdl" else 20)
        assert found.score(features, classes) > 0.9
    if method in PER_SAMPLE_OR_MANY:
        with pytest.raises(InputError, match=f"Method '{method}' keeps something of each sample, follows a schedule"):
            classifier(method=method).partial_fit(features, classes, [0, 1, 2])
    else:
        found = classifier(method=method)
        for _ in range(3):
            found.partial_fit(features, classes, [0, 1, 2])
        assert same(found, classifier(method=method).fit(features, classes))


def test_methods_start_equal_and_the_caller_s_random_numbers_stay() -> None:
    features, classes = wine()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    still = {"learning_rate_init": 1e-30, "max_iter": 1}
    plain, osakd, dml = (classifier(method=one, **still).fit(features, classes) for one in ("plain", "osakd", "dml"))
    assert torch.equal(torch.rand(1), expected)
    assert same(plain, osakd)
    assert same(plain, dml)
    assert not same(plain, classifier(random_state=1, **still).fit(features, classes))


def test_few_samples_and_the_type_of_the_features() -> None:
    features, names = wine()[0][[0, 1, 100]], np.array(["b", "b", "a"])
    few = classifier(hidden_layer_sizes=4).fit(features.astype(np.float32), names)  # fewer than 8 neighbours
    assert few.predict_proba(features).dtype == np.float32
    assert set(few.predict(features)) <= {"a", "b"}
    assert few.network_.hidden1[0].out_features == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "osakdd"}, "Unknown method 'osakdd'; did you mean 'osakd'"),
        ({"method": "plain", "n_neighbors": 4}, "Method 'plain' has no setting 'k': leave `n_neighbors` at None."),
        ({"n_neighbors": 0}, "`n_neighbors` must be at least 1, got 0."),
        ({"soft_weight": -1}, "`soft_weight` must be at least 0, got -1.0."),
        ({"method": {"name": "dml", "peers": ["lenet"]}}, "leave the network 'lenet' out of the settings"),
        ({"max_iter": 0}, "`max_iter` must be at least 1, got 0."),
        ({"hidden_layer_sizes": (8, 0)}, "`hidden_layer_sizes` must be at least 1, got 0."),
        ({"batch_size": 1}, "`batch_size` must be at least 2, got 1."),
        ({"learning_rate_init": 0.0}, "`learning_rate_init` must be above 0, got 0.0."),
        ({"alpha": -1.0}, "`alpha` must be at least 0, got -1.0."),
    ],
)
def test_parameters_out_of_their_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        classifier(**options).fit(*wine())


def test_calls_that_are_refused() -> None:
    features, classes = wine()
    with pytest.raises(InputError, match="at least 2 classes, got 1 class"):
        classifier().fit(features[:1], classes[:1])
    with pytest.raises(InputError, match="The first call of partial_fit needs `classes`"):
        classifier().partial_fit(features, classes)
    with pytest.raises(InputError, match=r"The classes must be among \[0 1\], got \[2\]\."):
        classifier().partial_fit(features, classes, [0, 1])
    with pytest.raises(InputError, match="partial_fit needs at least 2 samples, got 1 sample"):
        classifier().partial_fit(features[:1], classes[:1], [0, 1, 2])
    begun = classifier().fit(features, classes)
    with pytest.raises(InputError, match=r"`classes` must be those of the first call \(\[0 1 2\]\), got \[0 1\]"):
        begun.partial_fit(features, classes, [0, 1])
    with pytest.raises(RunError, match="is not finite: take a smaller learning rate"):
        classifier(learning_rate_init=1e300).fit(features, classes)


def test_the_page_s_code_runs() -> None:
    page = PAGE.split("\n## With skorch\n")[0]
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, names)  # the page's own lines
    test, test_classes = names["test"], names["test_classes"]
    linear = LogisticRegression().fit(names["scaler"].transform(names["train"]), names["train_classes"])
    assert names["search"].score(test, test_classes) > 0.9
    assert names["online"].score(names["scaler"].transform(test), test_classes) > 0.9
    assert linear.score(names["scaler"].transform(test), test_classes) > 0.9
