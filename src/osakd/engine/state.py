"""The checkpoint of a run, for exact resume, and the file of the deployed network."""

import io
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from osakd.durable import write_atomic
from osakd.errors import InputError, RunError
from osakd.models.build import build_model
from osakd.records import CHECKPOINT, PREVIOUS, STUDENT, RunConfig, read_config, read_result


def save_checkpoint(folder: Path, state: dict[str, Any], *, keep_previous: bool) -> None:
    """Writes the state after an epoch: its number, weights, buffers (a memory among them), optimizer.

    It names the teacher with its digest but does not hold its weights. Fused runs keep the previous checkpoint too, so
    that all of them can return to the same epoch if they are killed between two writes.
    """
    stream = io.BytesIO()
    torch.save(state, stream)
    if keep_previous and (folder / CHECKPOINT).exists():
        (folder / CHECKPOINT).replace(folder / PREVIOUS)
    write_atomic(folder / CHECKPOINT, stream.getvalue())


def read_checkpoints(folder: Path, device: torch.device) -> list[dict[str, Any]]:
    """The checkpoints of a run, latest first; each has ``epoch``, ``seconds``, ``executor``, ``method``, ``optimizer``.

    Without a checkpoint, a single one of epoch 0 without state.

    Raises:
        RunError: one is damaged.
    """
    paths = [path for path in (folder / CHECKPOINT, folder / PREVIOUS) if path.exists()]
    return [_read(path, device) for path in paths] or [{"epoch": 0, "seconds": 0.0, "executor": ""}]


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        if not {"epoch", "seconds", "executor", "method", "optimizer"} <= set(state):
            raise KeyError("a part is missing")
    except (RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise RunError(
            f"The checkpoint {str(path)!r} is damaged: delete it to start this run again from its first epoch."
        ) from error
    return state


def save_student(folder: Path, network: nn.Module, config: RunConfig, class_names: tuple[str, ...]) -> None:
    """Writes the deployed network as safetensors, with what is needed to rebuild it."""
    shape = config.data["input_shape"]
    write_atomic(folder / STUDENT, student_bytes(network, config.model, shape, class_names))


def student_bytes(network: nn.Module, model: str, input_shape: Sequence[int], class_names: Sequence[str]) -> bytes:
    """A deployed network as the content of a safetensors file, which ``read_student`` reads."""
    from safetensors.torch import save

    # Cloned: tensors that share memory (tied weights) cannot be written.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    about = {"model": model, "input_shape": input_shape, "class_names": class_names}
    # One entry only: safetensors writes several in no fixed order, and equal runs shall give equal files.
    return save(tensors, metadata={"osakd": json.dumps(about)})


def load_student(run: str | Path) -> nn.Module:
    """The deployed network of a finished run, see ``read_student``.

    Args:
        run: the run's folder.

    Raises:
        InputError: not a run folder, or a run that has not finished.
        RunError: the network's file is damaged.
    """
    path = Path(run) / STUDENT
    if read_config(Path(run)) is None:
        raise InputError(f"{str(run)!r} is not a run folder (it has no config.json): give the folder of a run.")
    if read_result(Path(run)) is None or not path.exists():
        raise InputError(f"The run {str(run)!r} has not finished: go on with `osakd train ... --resume` first.")
    return read_student(path)


def read_student(path: Path) -> nn.Module:
    """The network in a file of ``student_bytes``, in eval mode on the CPU.

    It takes float images in [0, 1] ``[n, channels, h, w]`` and returns logits. ``class_names`` names the classes,
    ``input_shape`` is ``(channels, h, w)``, and ``about`` has both and the name of the model.

    Raises:
        RunError: the file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stored:
            about: dict[str, Any] = json.loads(stored.metadata()["osakd"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise RunError(f"{str(path)!r} is damaged ({error}): move the run folder away and run again.") from error
    class_names = tuple(about["class_names"])
    channels, height, width = about["input_shape"]
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = build_model(
            about["model"], num_classes=len(class_names), input_shape=(channels, height, width)
        )
    network.load_state_dict(tensors)
    # Plain attributes, for the user.
    network.class_names, network.input_shape = class_names, (channels, height, width)  # type: ignore[assignment]
    network.about = about  # type: ignore[assignment] - as above
    return network.eval()
