"""The checkpoint of a run, for exact resume, and the file of the deployed network."""

import io
import json
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from osakd.durable import write_atomic
from osakd.engine.calibration import TEMPERATURE, Temperature
from osakd.engine.predict import TrainedNetwork
from osakd.errors import InputError, RunError, one_line
from osakd.models.build import build_model
from osakd.models.registry import check_trusted
from osakd.records import CHECKPOINT, PREVIOUS, RESULT, STUDENT, Result, RunConfig, read_finished


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Writes the state after an epoch: its number, weights, buffers (a memory among them), optimizer.

    It names the teacher with its digest but does not hold its weights. The checkpoint before it is kept too: for the
    case that this one is damaged, and so that runs that are trained together can return to the same epoch if they are
    killed between two writes.
    """
    stream = io.BytesIO()
    torch.save(state, stream)
    write_atomic(folder / CHECKPOINT, stream.getvalue(), previous=folder / PREVIOUS)


def read_checkpoints(folder: Path, device: torch.device) -> list[dict[str, Any]]:
    """The checkpoints of a run, latest first; each has ``epoch``, ``seconds``, ``executor``, ``method``, ``optimizer``.

    The last is of epoch 0 and without state, where there is no other, or a single one of a run that has not finished:
    runs that are trained together may be killed while they write their first ones. A damaged one is left out if the
    other is sound, which then says so in its ``notes``.

    Raises:
        RunError: none is sound.
    """
    paths = [path for path in (folder / CHECKPOINT, folder / PREVIOUS) if path.exists()]
    sound, damage = [], []
    for path in paths:
        try:
            sound.append(_read(path, device))
        except RunError as error:
            damage.append(error)
    if damage and not sound:
        raise damage[0]
    for state in sound if damage else []:
        state["notes"] = [f"A checkpoint in {str(folder)!r} is damaged: the run continues from epoch {state['epoch']}."]
    is_first = paths == [folder / CHECKPOINT] and not (folder / RESULT).exists()
    return sound + [{"epoch": 0, "seconds": 0.0, "executor": ""}] * (is_first or not sound)


def _read(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        content = io.BytesIO(path.read_bytes())
        if zipfile.ZipFile(content).testzip() is not None:  # PyTorch itself does not look at the checksums
            raise ValueError("a checksum does not fit")
        content.seek(0)
        state = torch.load(content, map_location=device, weights_only=True)
        if not {"epoch", "seconds", "executor", "method", "optimizer"} <= set(state):
            raise KeyError("a part is missing")
    except Exception as error:  # damaged files raise many kinds
        raise RunError(
            f"The checkpoint {str(path)!r} is damaged: delete it to start this run again from its first epoch."
        ) from error
    return state


def save_student(folder: Path, network: nn.Module, config: RunConfig, class_names: tuple[str, ...]) -> None:
    """Writes the deployed network as safetensors, with what is needed to rebuild it."""
    shape = config.data["input_shape"]
    write_atomic(folder / STUDENT, student_bytes(network, config.model, shape, class_names))


def student_bytes(
    network: nn.Module, model: str, input_shape: Sequence[int], class_names: Sequence[str], *, bare: bool = False
) -> bytes:
    """A deployed network as the content of a safetensors file, which ``read_student`` reads.

    Where it is ``bare`` the tensors have the names of the network behind the normalisation, for the library it is of.
    """
    from safetensors.torch import save

    # Cloned: tensors that share memory (tied weights) cannot be written.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()}
    made_of: dict[str, Any] = {"model": model, "input_shape": input_shape, "class_names": class_names}
    if bare:
        made_of["normalise"] = {name: tensors.pop(f"normalise.{name}").flatten().tolist() for name in ("mean", "std")}
        tensors = {name.removeprefix("network."): tensor for name, tensor in tensors.items()}
    made_of["crc32"] = _checksum(made_of, tensors)
    # A single entry: safetensors writes several in no fixed order, and equal runs must give equal files.
    return save(tensors, metadata={"osakd": json.dumps(made_of)})


class TrainedRun(NamedTuple):
    """A finished run: its deployed network, its configuration, its result."""

    network: TrainedNetwork
    config: RunConfig
    result: Result


def load_run(folder: Path, *, trust: bool = False) -> TrainedRun:
    """Loads a finished run, see ``read_student``.

    Raises:
        InputError: not a run folder, a run that has not finished or has no network, or one that names a function,
            without ``trust``.
        RunError: a file of the run is damaged.
    """
    config, result = read_finished(folder)
    if not (folder / STUDENT).exists():
        raise InputError(f"The run {str(folder)!r} has records, but no network ({STUDENT}): train it again.")
    network = read_student(folder / STUDENT, model=config.model, trust=trust)
    network.data = config.data
    return TrainedRun(network, config, result)


def load_student(run: str | Path, *, trust: bool = False) -> TrainedNetwork:
    """The deployed network of a finished run, see ``load_run``."""
    return load_run(Path(run), trust=trust).network


def read_student(path: Path, *, model: str | None = None, trust: bool = False) -> TrainedNetwork:
    """The network in a file of ``student_bytes``, in eval mode on the CPU; it must be ``model`` where that is given.

    It takes float images in [0, 1] ``[n, channels, h, w]`` and returns logits.

    Raises:
        InputError: it names a function, without ``trust``.
        RunError: the file is damaged.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as stored:
            made_of: dict[str, Any] = json.loads(stored.metadata()["osakd"])
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - not a dict
        if made_of.pop("crc32", None) not in (None, _checksum(made_of, tensors)):  # older files have none
            raise ValueError("its checksum does not fit")
        name, class_names, (channels, height, width) = made_of["model"], made_of["class_names"], made_of["input_shape"]
        if "normalise" in made_of:  # bare, see ``student_bytes``
            scaling = {key: torch.tensor(values).reshape(-1, 1, 1) for key, values in made_of["normalise"].items()}
            tensors = {f"network.{key}": tensor for key, tensor in tensors.items()}
            tensors |= {f"normalise.{key}": values for key, values in scaling.items()}
        if model not in (None, name):
            raise ValueError(f"it holds a network {name!r}, its run has {model!r}")
    except Exception as error:  # damaged files raise many kinds
        raise _damaged(path, error) from error
    check_trusted([name], path.parent, trust=trust)
    with torch.random.fork_rng(devices=[]):
        layers = build_model(name, num_classes=len(class_names), input_shape=(channels, height, width))
    network = TrainedNetwork(OrderedDict(layers.named_children()))
    if f"{TEMPERATURE}.value" in tensors:
        network.add_module(TEMPERATURE, Temperature())
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise _damaged(path, error) from error
    network.model, network.class_names, network.input_shape = name, tuple(class_names), (channels, height, width)
    return network.eval()


def _checksum(made_of: dict[str, Any], tensors: dict[str, torch.Tensor]) -> int:
    """CRC-32 of what the file of a network says: safetensors has no checksum of its own."""
    check = zlib.crc32(json.dumps(made_of).encode())
    for name in sorted(tensors):
        check = zlib.crc32(f"{name} {list(tensors[name].shape)} {tensors[name].dtype}".encode(), check)
        check = zlib.crc32(tensors[name].contiguous().flatten().view(torch.uint8).numpy().data, check)
    return check


def _damaged(path: Path, error: Exception) -> RunError:
    return RunError(f"{str(path)!r} is damaged ({one_line(error)}): move the run folder away and run again.")
