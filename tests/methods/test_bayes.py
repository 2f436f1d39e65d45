"""``osakd-bayes`` and its controls by loops: what is gathered changes, its mass and everything else stays."""

from math import log
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from osakd.errors import InputError
from osakd.labels.reliability import explained, log_scores
from osakd.methods.base import Batch, BuildContext, Method
from osakd.methods.lookup import method_label, resolve_method
from osakd.methods.registry import build_method
from tests.references.posterior import posterior, sorted_neighbours

M, N, C, K = 20, 12, 3, 4
CLASSES = torch.arange(M) % C
NOISE = torch.randn(M, 1, 1, C, generator=torch.Generator().manual_seed(0))
IMAGES = NOISE + 3 * nn.functional.one_hot(CLASSES, C)[:, None, None]


def method_of(votes: str, **settings: Any) -> Method:
    """Around a network whose outputs are its images."""
    name, resolved = resolve_method({"name": "osakd-bayes", "k": K, "votes": votes, **settings})
    context = BuildContext(
        network=nn.Flatten(),
        num_classes=C,
        num_samples=M,
        input_shape=(1, 1, C),
        build_network=lambda _: nn.Flatten(),
    )
    return build_method(name, resolved, context)


def batch_of(index: torch.Tensor) -> Batch:
    return Batch(IMAGES[index], CLASSES[index], index, torch.tensor(0), torch.tensor(0.0))


@pytest.mark.parametrize("keep_prior", [False, True])
@pytest.mark.parametrize("votes", ["neighbours", "mixed", "gap", "shuffled", "uniform", "prediction"])
def test_it_is_its_equation(votes: str, keep_prior: bool) -> None:
    method = method_of(votes, prior=2.0, forgetting=0.9, smoothing=0.3, keep_prior=keep_prior)
    start = 0.7 * np.eye(C) + 0.3 / C
    evidence = {sample: list(2.0 * start[int(own)]) for sample, own in enumerate(CLASSES)}
    now, ahead, scores, generator = 0.0, 0.0, torch.zeros(2, C, dtype=torch.float64), torch.Generator().manual_seed(1)
    for _ in range(3):
        index = torch.randperm(M, generator=generator)[:N]
        points = IMAGES[index].flatten(1).double().softmax(1).numpy()
        target = CLASSES[index]
        labels = posterior(sorted_neighbours(points, points, np.arange(N)), target.numpy(), C, K)
        scores_now = log_scores(torch.from_numpy(K * labels), target)
        scores = 0.9 * scores + scores_now
        now, reliability, expected = float(explained(scores_now)), float(explained(scores)), 0.0
        hard = -np.log(points[np.arange(N), target]).mean()
        ahead = min(max(1 - hard / ((1 - now) * log(C)), 0), 1)
        for row, sample in enumerate(index.tolist()):
            gathered = {
                "neighbours": labels[row],
                "mixed": (labels[row] + points[row]) / 2,
                "gap": ahead * labels[row],
                "shuffled": labels[row - 1],
                "uniform": np.full(C, 1 / C),
                "prediction": points[row],
            }[votes]
            again = 0.1 * 2.0 * start[int(CLASSES[sample])] if keep_prior else np.zeros(C)
            each = zip(evidence[sample], gathered, again, strict=True)
            evidence[sample] = [0.9 * a + reliability * q + own for a, q, own in each]
            shares = np.array(evidence[sample]) / sum(evidence[sample])
            expected += sum(q * log(q / p) for q, p in zip(shares, points[row], strict=True) if q) / N
        terms = method(batch_of(index))
        assert terms.total.item() == pytest.approx(expected, rel=1e-4)
        assert terms.parts["soft_label_reliability"].item() == pytest.approx(now, rel=1e-5)
    assert now > 0.05
    assert 0.05 < ahead < 1


def test_the_controls_gather_as_much_as_the_neighbours() -> None:
    kept = {}
    for votes in ("neighbours", "shuffled", "uniform", "prediction"):
        method = method_of(votes)
        for _ in range(3):
            method(batch_of(torch.arange(N)))
        kept[votes] = method.get_buffer("criterion.evidence.counts")
    for counts in kept.values():
        torch.testing.assert_close(counts.sum(1), kept["neighbours"].sum(1))
    assert len({tuple(counts.flatten().tolist()) for counts in kept.values()}) == 4


def test_its_labels_and_its_settings() -> None:
    assert method_label("osakd-bayes") == "osakd-bayes"
    assert method_label({"name": "osakd-bayes", "k": 16, "votes": "shuffled"}) == "osakd-bayes-16nn-shuffled"
    with pytest.raises(InputError, match=r"`forgetting` must be above 0 and at most 1, got 0.0"):
        method_of("neighbours", forgetting=0.0)
    with pytest.raises(InputError, match="`k` must be between 1 and 7"):
        resolve_method("osakd-bayes")[1].check_batch(8)
