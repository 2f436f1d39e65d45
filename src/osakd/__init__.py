"""Train small neural networks without a teacher.

In your own loop, with torch alone::

    loss = osakd.OSAKDLoss(num_classes=10, k=8)
    loss(logits, target).backward()

From Python, as the commands do: ``osakd.train``, ``osakd.compare``, ``osakd.evaluate``, ``osakd.load``.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from osakd.errors import needing
from osakd.lazy import lazy_names
from osakd.leaves import offered

if TYPE_CHECKING:
    from osakd.api import Comparison, Run, compare, evaluate, load, pack, train, write_report
    from osakd.data.indexed import WithIndex
    from osakd.deploy.api import export as export
    from osakd.deploy.api import latency as latency
    from osakd.deploy.hub import OSAKDModel as OSAKDModel
    from osakd.engine.best import BestAverage
    from osakd.engine.calibration import fit_temperature
    from osakd.engine.callbacks import Callback
    from osakd.errors import InputError, RunError
    from osakd.experiments.api import reproduce as reproduce
    from osakd.labels.ceiling import soft_label_ceiling
    from osakd.labels.memory import OutputMemory
    from osakd.labels.posterior import knn_posterior
    from osakd.labels.reliability import Reliability
    from osakd.losses.osakd import OSAKDLoss
    from osakd.losses.terms import osakd_loss
    from osakd.models.build import build_model

__version__ = "0.1.0"
__all__ = [
    "BestAverage",
    "Callback",
    "Comparison",
    "InputError",
    "OSAKDLoss",
    "OutputMemory",
    "Reliability",
    "Run",
    "RunError",
    "WithIndex",
    "build_model",
    "compare",
    "evaluate",
    "fit_temperature",
    "knn_posterior",
    "load",
    "osakd_loss",
    "pack",
    "soft_label_ceiling",
    "train",
    "write_report",
]
_unlisted = set() if find_spec("huggingface_hub") else {"OSAKDModel"}
"""A name is not listed where it cannot be imported."""
__all__ += sorted(offered("names").keys() - _unlisted)  # pyright: ignore[reportUnsupportedDunderAll] - the leaves' names
_get, _names = lazy_names(
    __name__,
    {
        "BestAverage": "engine.best",
        "Callback": "engine.callbacks",
        "Comparison": "api",
        "InputError": "errors",
        "OSAKDLoss": "losses.osakd",
        "OutputMemory": "labels.memory",
        "Reliability": "labels.reliability",
        "Run": "api",
        "RunError": "errors",
        "WithIndex": "data.indexed",
        "build_model": "models.build",
        "compare": "api",
        "evaluate": "api",
        "fit_temperature": "engine.calibration",
        "knn_posterior": "labels.posterior",
        "load": "api",
        "osakd_loss": "losses.terms",
        "pack": "api",
        "soft_label_ceiling": "labels.ceiling",
        "train": "api",
        "write_report": "api",
        **offered("names"),
    },
)


def __getattr__(name: str) -> Any:
    with needing("train"):
        return _get(name)


def __dir__() -> list[str]:
    return [*(name for name in _names() if name not in _unlisted), "__version__"]
