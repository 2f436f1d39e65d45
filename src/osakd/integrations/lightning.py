"""osakd in Lightning: a callback that looks after each ``OSAKDLoss`` of a ``LightningModule``.

The loss is an attribute of the module, so Lightning moves it to the device, and its state is in every checkpoint.
docs/your-own-loop.md shows a whole module.
"""
# pyright: reportMissingImports=false

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from osakd.data.indexed import WithIndex
from osakd.errors import InputError
from osakd.labels.samples import as_probabilities
from osakd.losses.osakd import OSAKDLoss
from osakd.losses.terms import LossParts

try:
    from lightning.pytorch.callbacks import Callback
except ModuleNotFoundError:  # the same library under its other name
    from pytorch_lightning.callbacks import Callback


class OSAKDCallback(Callback):
    """Looks after each ``OSAKDLoss`` of a ``LightningModule``, whatever it is called there.

    - A memory that is made for 0 samples gets the size of the training set. That is the length of its ``WithIndex``, or
      of the dataset of the training dataloader.
    - The loss is in training mode in each training step, even if the module is not.
    - The parts of the loss in training are logged as means over each epoch, under the name of the attribute: for
      ``self.loss`` they are ``loss/hard``, ``loss/soft``, ``loss/weighted_hard``, ``loss/weighted_soft``,
      ``loss/soft_weight``, ``loss/soft_label_mass`` (the soft labels' probability of the true class),
      ``loss/reliability`` and ``loss/memory_filled`` (share of the training samples in the memory), where the loss has
      them.

    Raises:
        InputError: a size is open, and the training dataloader's dataset has no length.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[LossParts, Tensor]] = {}

    def setup(self, trainer: Any, pl_module: nn.Module, stage: str) -> None:
        """Sets open sizes before a checkpoint is loaded, where the training set does not need the module's setup."""
        if stage == "fit" and trainer.fit_loop._data_source.instance is not pl_module:
            _set_sizes(trainer, pl_module)

    def on_fit_start(self, trainer: Any, pl_module: nn.Module) -> None:
        """Sets open sizes."""
        _set_sizes(trainer, pl_module)

    def on_train_batch_start(self, trainer: Any, pl_module: nn.Module, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Lets the losses learn, and notes their parts."""
        for name, loss in _losses_of(pl_module):

            def note(parts: LossParts, target: Tensor, name: str = name) -> None:
                self._seen[name] = parts, target

            loss.train()
            loss.observe = note

    def on_train_batch_end(
        self,
        trainer: Any,  # noqa: ARG002 - a hook
        pl_module: Any,
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Logs the parts of the losses."""
        for name, loss in _losses_of(pl_module):
            loss.observe = None
            if name in self._seen:
                parts, target = self._seen.pop(name)
                values = {f"{name}/{key}": value for key, value in _diagnostics(loss, parts, target).items()}
                size = max(len(target), 1)
                pl_module.log_dict(values, on_step=False, on_epoch=True, sync_dist=True, batch_size=size)


def _losses_of(module: nn.Module) -> Iterator[tuple[str, OSAKDLoss]]:
    named = ((name, part) for name, part in module.named_modules() if isinstance(part, OSAKDLoss))
    return ((name.removesuffix("._orig_mod"), loss) for name, loss in named)  # torch.compile wraps it


def _set_sizes(trainer: Any, module: nn.Module) -> None:
    """Gives every memory for 0 samples the size of the training set."""
    memories = [loss.memory for _, loss in _losses_of(module) if loss.memory is not None]
    unsized = [memory for memory in memories if not memory.num_samples]
    if unsized:
        dataset = getattr(trainer.fit_loop._data_source.dataloader(), "dataset", None)
        for memory in unsized:
            memory.resize(_samples_of(dataset))


def _samples_of(dataset: Any) -> int:
    """The number of samples that have an index: those of a ``WithIndex``, of which the dataset may be a part."""
    inner = dataset
    while inner is not None and not isinstance(inner, WithIndex):
        inner = getattr(inner, "dataset", None)
    try:
        return len(dataset if inner is None else inner)
    except TypeError as error:
        raise InputError(
            "The size of the training set cannot be read from the training dataloader: give `num_samples` to the "
            "memory of the loss."
        ) from error


@torch.no_grad()
def _diagnostics(loss: OSAKDLoss, parts: LossParts, target: Tensor) -> dict[str, Tensor]:
    """Scalars to log of a batch."""
    true_class = as_probabilities(target, parts.soft_labels)  # zeros where a sample is ignored
    values = {
        name: getattr(parts, name).mean() for name in ("hard", "soft", "weighted_hard", "weighted_soft", "soft_weight")
    }
    values["soft_label_mass"] = (true_class * parts.soft_labels).sum() / true_class.sum().clamp(min=1)
    if loss.reliability is not None:
        values["reliability"] = loss.reliability.value
    if loss.memory is not None:
        values["memory_filled"] = loss.memory.valid.float().mean()
    return values
