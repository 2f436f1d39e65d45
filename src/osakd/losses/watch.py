"""Whether the soft labels have a part in what is learnt: a loss warns once, a run says it in its result."""

import warnings

import torch

from osakd.losses.terms import LossParts, soft_share

LEAST_SHARE = 1e-3
"""Share of the loss below which the distillation has no part in what is learnt."""
HAD_NO_PART = "had less than a thousandth of the loss"
NOTHING_KNOWN = (
    "the neighbours know too little of the classes, so this is plain training. More classes than a mini-batch can tell "
    "apart need a queue (pool queue) or a larger batch; a network that is at chance needs another learning rate."
)
STEPS = 1000
"""Between two looks at the values, for which the host waits for a GPU."""


class Watch:
    """Looks at the parts of a loss in training, and warns once if the soft labels had no part in ``STEPS`` steps."""

    def __init__(self) -> None:
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.done = False

    def see(self, parts: LossParts) -> None:
        """Notes the parts of a step in eager mode; nothing is read before there are enough."""
        if self.done or torch.compiler.is_compiling():
            return
        self.seen.append((parts.weighted_soft.detach().sum(), parts.total.detach().sum()))
        if len(self.seen) < STEPS or (parts.total.is_cuda and torch.cuda.is_current_stream_capturing()):
            return
        soft, total = zip(*self.seen, strict=True)
        self.seen = []
        try:
            self.done = bool(soft_share(torch.stack(soft).sum(), torch.stack(total).sum()) < LEAST_SHARE)
        except RuntimeError:  # mapped or fake tensors have no values
            return
        if self.done:
            warnings.warn(
                f"The soft labels {HAD_NO_PART} in {STEPS} steps: {NOTHING_KNOWN}", stacklevel=6
            )  # the call of the loss
