"""Soft labels from nearest neighbours: the search, the posterior (eq. 4), its reliability, a memory of outputs."""

from typing import TYPE_CHECKING

from osakd.lazy import lazy_names

if TYPE_CHECKING:
    from osakd.labels.ceiling import soft_label_ceiling
    from osakd.labels.memory import OutputMemory
    from osakd.labels.neighbours import k_nearest
    from osakd.labels.posterior import knn_posterior
    from osakd.labels.reliability import Reliability

__all__ = [
    "OutputMemory",
    "Reliability",
    "k_nearest",
    "knn_posterior",
    "soft_label_ceiling",
]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "OutputMemory": "memory",
        "Reliability": "reliability",
        "k_nearest": "neighbours",
        "knn_posterior": "posterior",
        "soft_label_ceiling": "ceiling",
    },
)
