"""osakd in the Trainer of Hugging Face's transformers: the loss, a memory for it, and its state in checkpoints.

Without a memory one line is enough::

    Trainer(..., compute_loss_func=loss_function(OSAKDLoss(num_classes=10)))
"""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.utils.data import Dataset

from osakd.checks import number
from osakd.durable import write_atomic
from osakd.engine.best import BestAverage
from osakd.errors import InputError, RunError, one_line
from osakd.losses.osakd import OSAKDLoss

# A plain import would mean this file to a type checker, where the library is not installed.
_hf: Any = import_module("transformers")
IGNORED = -100
"""The label that the Trainer does not count."""
LOSS = "osakd_loss.pt"
"""The file of the loss's state in a checkpoint."""
# The Trainer drops every key that the model's ``forward`` does not take, but for three names of labels, among them:
_INDEX = "label_ids"


class _Samples(Protocol):
    def __getitem__(self, index: int, /) -> Mapping[str, Any]: ...
    def __len__(self) -> int: ...


def loss_function(loss: OSAKDLoss) -> Callable[..., Tensor]:
    """The ``compute_loss_func`` of a ``Trainer``.

    The loss is the sum over the samples of a micro-batch, divided by the number of samples of the whole step, which
    the Trainer counts over all micro-batches and ranks: accumulated gradients are those of the mean. Class weights do
    not count in that number. Neighbours are searched in the micro-batch, of all ranks, unless the loss has a memory.

    Args:
        loss: the loss; it moves to the device of the outputs.

    Returns:
        A function of the model's outputs, with ``logits`` ``[n, c]``, or ``[n, length, c]`` for a class of each token;
        the labels ``[n]``, ``[n, length]``, class probabilities ``[n, c]``, or pairs as ``PackIndex`` gives them;
        and ``num_items_in_batch``, or None for the loss's own reduction. It gives the loss, a scalar.

    Raises:
        InputError: an ``ignore_index`` that the Trainer does not know; at a call, a batch without labels, or what
            ``OSAKDLoss`` refuses.
    """
    if loss.ignore_index not in (IGNORED, None):
        raise InputError(
            f"The Trainer counts the labels that are not {IGNORED}, but `ignore_index` is {loss.ignore_index}: "
            f"mark samples to leave out with {IGNORED}."
        )

    def compute(outputs: Any, labels: Tensor | None, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        if labels is None:
            raise InputError("The batch has no `labels`: let the collator give a class for each sample.")
        logits = outputs["logits"] if isinstance(outputs, Mapping) else outputs[0]
        target, index, counted = _unpacked(labels, logits)
        logits = logits.movedim(-1, 1) if logits.ndim == 3 else logits
        loss.to(logits.device)
        if num_items_in_batch is None:
            return loss(logits, target, index)
        reduction, loss.reduction = loss.reduction, "sum"
        try:
            return loss(logits, target, index) * counted / num_items_in_batch
        finally:
            loss.reduction = reduction

    return compute


def _unpacked(labels: Tensor, logits: Tensor) -> tuple[Tensor, Tensor | None, int]:
    """The target, the index if there is one, and how often the Trainer counts each sample."""
    if labels.ndim < logits.ndim:
        return labels, None, 1
    if labels.is_floating_point():
        return labels, None, labels.shape[1]
    if labels.shape[1:] != (1, 2) or logits.ndim != 2:
        raise InputError(
            f"`labels` must be one class per sample, or class probabilities as floats, got whole numbers of the shape "
            f"{list(labels.shape)} for logits of {list(logits.shape)}: give classes, or one-hot rows as floats."
        )
    return labels[:, 0, 0], labels[:, 0, 1], 2


class WithIndex(Dataset[dict[str, Any]]):
    """Wraps a map-style dataset of dictionaries with a length so that its samples know their index, for ``PackIndex``.

    Wrap the training set, not the evaluation set: its samples are not in the memory.
    """

    def __init__(self, dataset: _Samples) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = self.dataset[index]
        if _INDEX in sample:
            raise InputError(f"The samples have a key {_INDEX!r}, which carries the index: call it `label`.")
        return {**sample, _INDEX: index}


class PackIndex:
    """Wraps a collator so that the labels of samples with an index are pairs (class, index), ``[n, 1, 2]``.

    No other labels have that shape. Batches of samples without an index, those of an evaluation, stay as they are.

    Args:
        collator: the collator, for example ``DataCollatorWithPadding(tokenizer)``; by default the Trainer's for images.
    """

    def __init__(self, collator: Callable[[list[Any]], dict[str, Any]] = _hf.default_data_collator) -> None:
        self.collator = collator

    def __call__(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collates samples.

        Raises:
            InputError: samples with an index whose labels are not one class each.
        """
        plain = [{key: value for key, value in sample.items() if key != _INDEX} for sample in samples]
        batch = self.collator(plain)
        if _INDEX not in samples[0]:
            return batch
        labels = batch.get("labels")
        if labels is None or labels.shape != (len(samples),) or labels.is_floating_point() or (labels == IGNORED).any():
            raise InputError(
                "A memory needs the class of each sample: let the collator give `labels` of shape "
                f"[{len(samples)}] that are class indices, and leave out samples without a class."
            )
        index = torch.tensor([sample[_INDEX] for sample in samples])
        return {**batch, "labels": torch.stack([labels, index], dim=1)[:, None]}


class LossCallback(_hf.TrainerCallback):
    """Writes the state of the loss of ``loss_function`` into every checkpoint, and reads it when training is resumed.

    Needed for a loss that keeps something: a memory, a queue or a reliability. A resumed training then ends as one that
    was never stopped, and ``load_best_model_at_end`` gives network and loss of one step. It reads the checkpoint in
    ``TrainingArguments.output_dir``; to resume from another folder, name it in
    ``TrainingArguments(resume_from_checkpoint=...)`` too.
    """

    file, kept = LOSS, "loss"

    def __init__(self, loss: OSAKDLoss) -> None:
        self.loss: OSAKDLoss | BestAverage = loss

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - the Trainer's
        """Writes the state; the process that writes the rest of the checkpoint does it.

        Raises:
            RunError: the disk is full or cannot be written.
        """
        if not args.should_save or state.is_hyper_param_search:  # a trial is not resumed
            return
        stream = io.BytesIO()
        torch.save({"loss": self.loss.state_dict(), "history": _digest(state)}, stream)
        write_atomic(Path(args.output_dir) / _name(state) / self.file, stream.getvalue())

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - as above
        """Reads the state if training is resumed.

        Raises:
            InputError: the checkpoint has no state of a loss, or that of another loss.
            RunError: the file is damaged.
        """
        if not state.global_step:
            return
        named = args.resume_from_checkpoint
        folder = Path(named) if isinstance(named, str) else Path(args.output_dir) / _name(state)
        self._load(folder, state)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - as above
        """Reads the state of the best checkpoint where the Trainer has loaded its network; errors as above."""
        if args.load_best_model_at_end and state.best_model_checkpoint is not None:
            self._load(Path(state.best_model_checkpoint), None)

    def _load(self, folder: Path, state: Any) -> None:
        """Reads the state in a checkpoint, which must be of the same training as ``state`` where that is given."""
        path = folder / self.file
        if not path.exists():
            raise InputError(
                f"The checkpoint has no state of the {self.kept}, {str(path)!r} is missing: resume from one that was "
                f"saved with {type(self).__name__}; one in another folder than `output_dir` must be named in "
                "TrainingArguments(resume_from_checkpoint=...) too."
            )
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file may raise anything
            raise RunError(f"The file {str(path)!r} is damaged: resume from another checkpoint.") from error
        if state is not None and saved["history"] != _digest(state):
            raise InputError(
                f"The state of the {self.kept} in {str(path)!r} is of another training: name the folder to resume from "
                "in TrainingArguments(resume_from_checkpoint=...) too."
            )
        try:
            self.loss.load_state_dict(saved["loss"])
        except (RuntimeError, KeyError) as error:
            raise InputError(
                f"The state in {str(path)!r} is of a {self.kept} with other parts or sizes ({one_line(error)}): "
                f"build the same {self.kept}."
            ) from error


class BestAverageCallback(LossCallback):
    """Averages the weights while the Trainer trains, and leaves the best ones in the model, calibrated.

    After every evaluation that the Trainer makes, the model and its average are scored on its images or texts, see
    ``BestAverage``; so it takes ``eval_strategy="epoch"`` and one evaluation set. Its state goes into every checkpoint.

    Args:
        epochs: window of the average in epochs, above 0.

    Attributes:
        best: the ``BestAverage``, once training has begun.
        network: what ``BestAverage.finish`` returns, once it has ended: the model itself if its last layer is linear.
    """

    file, kept = "osakd_average.pt", "average"

    def __init__(self, epochs: float = 2.0) -> None:
        self.epochs, self.network = number("epochs", epochs, above=0), None

    @property
    def best(self) -> BestAverage:
        """What averages and chooses."""
        return cast("BestAverage", self.loss)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Starts the average, or reads it if training is resumed; raises as ``LossCallback`` does."""
        steps = max(round(state.max_steps / state.num_train_epochs), 1)
        self.network, self.loss = None, BestAverage(kwargs["model"], steps, self.epochs)
        super().on_train_begin(args, state, control, **kwargs)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Takes the weights into the average."""
        self.best.update()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002 - as above
        """Scores the model and its average."""
        if self.network is None and state.global_step:
            self.best.validate(kwargs["eval_dataloader"])

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Loads the best weights into the model, and calibrates it; an InputError without an evaluation."""
        self.network = self.best.finish()


def _name(state: Any) -> str:
    """The folder that the Trainer gives to its checkpoint after so many steps."""
    return f"checkpoint-{state.global_step}"


def _digest(state: Any) -> str:
    """What tells one training from another at the same step: all that it logged."""
    return hashlib.sha256(json.dumps(state.log_history, sort_keys=True).encode()).hexdigest()
