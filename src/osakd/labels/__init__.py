"""Soft labels from nearest neighbours: the search, the posterior (eq. 4), the memory, the average, the ceiling."""

from typing import TYPE_CHECKING

from osakd.lazy import lazy_names

if TYPE_CHECKING:
    from osakd.labels.average import LabelAverage
    from osakd.labels.ceiling import soft_label_ceiling
    from osakd.labels.memory import OutputMemory
    from osakd.labels.neighbours import k_nearest
    from osakd.labels.posterior import knn_posterior, nearness

__all__ = ["LabelAverage", "OutputMemory", "k_nearest", "knn_posterior", "nearness", "soft_label_ceiling"]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "LabelAverage": "average",
        "OutputMemory": "memory",
        "k_nearest": "neighbours",
        "knn_posterior": "posterior",
        "nearness": "posterior",
        "soft_label_ceiling": "ceiling",
    },
)
