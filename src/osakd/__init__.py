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
_cannot_be_imported = set() if find_spec("huggingface_hub") else {"OSAKDModel"}
__all__ += sorted(offered("names").keys() - _cannot_be_imported)  # pyright: ignore[reportUnsupportedDunderAll]
_MODULES = {
    "api": "Comparison Run compare evaluate load pack train write_report",
    "data.indexed": "WithIndex",
    "engine.best": "BestAverage",
    "engine.calibration": "fit_temperature",
    "engine.callbacks": "Callback",
    "errors": "InputError RunError",
    "labels.ceiling": "soft_label_ceiling",
    "labels.memory": "OutputMemory",
    "labels.posterior": "knn_posterior",
    "labels.reliability": "Reliability",
    "losses.osakd": "OSAKDLoss",
    "losses.terms": "osakd_loss",
    "models.build": "build_model",
}
_of_trunk = {name: module for module, names in _MODULES.items() for name in names.split()}
_get, _ = lazy_names(__name__, _of_trunk | offered("names"))


def __getattr__(name: str) -> Any:
    with needing("train"):
        return _get(name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
