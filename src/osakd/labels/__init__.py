"""Soft labels from nearest neighbours: the search, the posterior (eq. 4), what is kept of it, its reliability."""

from typing import TYPE_CHECKING

from osakd.lazy import lazy_names

if TYPE_CHECKING:
    from osakd.labels.average import LabelAverage
    from osakd.labels.ceiling import soft_label_ceiling
    from osakd.labels.evidence import DirichletEvidence
    from osakd.labels.memory import OutputMemory
    from osakd.labels.neighbours import k_nearest
    from osakd.labels.posterior import knn_posterior, nearness
    from osakd.labels.reliability import Reliability, explained_entropy

__all__ = [
    "DirichletEvidence",
    "LabelAverage",
    "OutputMemory",
    "Reliability",
    "explained_entropy",
    "k_nearest",
    "knn_posterior",
    "nearness",
    "soft_label_ceiling",
]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "DirichletEvidence": "evidence",
        "LabelAverage": "average",
        "OutputMemory": "memory",
        "Reliability": "reliability",
        "explained_entropy": "reliability",
        "k_nearest": "neighbours",
        "knn_posterior": "posterior",
        "nearness": "posterior",
        "soft_label_ceiling": "ceiling",
    },
)
