"""Losses: the pure function first, then its thin module."""

from typing import TYPE_CHECKING

from osakd.lazy import lazy_names

if TYPE_CHECKING:
    from osakd.losses.distillation import distillation_loss, ramp
    from osakd.losses.osakd import OSAKDLoss
    from osakd.losses.terms import LossParts, osakd_loss

__all__ = ["LossParts", "OSAKDLoss", "distillation_loss", "osakd_loss", "ramp"]
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "LossParts": "terms",
        "OSAKDLoss": "osakd",
        "distillation_loss": "distillation",
        "osakd_loss": "terms",
        "ramp": "distillation",
    },
)
