"""The checkpoint of a run, for exact resume, and the file of the deployed network."""

import io
import json
import sys
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import torch
from torch import Tensor, nn

from osakd.durable import write_atomic
from osakd.engine.averaging import averaged_names
from osakd.engine.calibration import TEMPERATURE, Temperature
from osakd.engine.optim import MOMENTS, names_by_decay
from osakd.engine.predict import TrainedNetwork
from osakd.errors import InputError, RunError, one_line
from osakd.methods.base import Method
from osakd.models.build import build_model
from osakd.models.registry import check_trusted
from osakd.models.weights import read_safetensors
from osakd.read_json import Count, Positive, Shape, check_type, read_bytes
from osakd.records import CHECKPOINT, PREVIOUS, RESULT, STUDENT, Result, RunConfig, read_finished


class _Choice(TypedDict):
    weights: Literal["averaged", "last"]
    epoch: Positive
    refined_nll: Annotated[Any, lambda loss: type(loss) is float]
    temperature: Annotated[float, lambda temperature: temperature > 0]
    state: dict[str, Tensor]


class _Optimizer(TypedDict):
    state: dict[int, dict[str, Any]]


class _Checkpoint(TypedDict):
    epoch: Positive
    seconds: float
    executor: str
    method: dict[str, Tensor]
    optimizer: _Optimizer
    average: NotRequired[dict[str, Tensor]]
    averaged_steps: NotRequired[Count]
    chosen: NotRequired[_Choice | None]
    teacher: NotRequired[str]
    class_names: NotRequired[list[str]]


class _MadeOf(TypedDict):
    model: str
    class_names: Annotated[list[str], lambda names: 0 < len(names) == len(set(names))]
    input_shape: Shape


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
        content = io.BytesIO(read_bytes(path, most=sys.maxsize) or b"")
        if zipfile.ZipFile(content).testzip() is not None:  # PyTorch itself does not look at the checksums
            raise ValueError("a checksum does not fit")
        content.seek(0)
        state = torch.load(content, map_location=device, weights_only=True)
        check_type(state, _Checkpoint, "checkpoint")
        if (state.get("chosen") or state)["epoch"] > state["epoch"]:
            raise ValueError("it chose a later epoch")
    except Exception as error:  # damaged files raise many kinds
        raise RunError(
            f"The checkpoint {str(path)!r} is damaged: delete it to start this run again from its first epoch."
        ) from error
    return {name: value for name, value in state.items() if name in _Checkpoint.__annotations__}


def checked(state: dict[str, Any], method: Method, own: dict[str, Any], optimizer: str) -> dict[str, Any]:
    """A checkpoint as one of a run of a method, whose own state is given; its optimizer's state in memory of its own.

    Raises:
        ValueError: tensors are missing, or of other names, shapes or types: kernels read as many values as they expect.
    """
    mine = own["method"]
    network = method.network.state_dict()
    chosen = (state.get("chosen") or {"state": network})["state"]
    averaged = {name: mine[name] for name in averaged_names(method) if name in mine}
    parts = [("weights", state["method"], mine), ("average", state.get("average", averaged), averaged)]
    for part, tensors, wanted in [*parts, ("chosen weights", chosen, network)]:
        if {name: _kind(value) for name, value in tensors.items()} != {n: _kind(v) for n, v in wanted.items()}:
            raise ValueError(f"the tensors of its {part} are not those of this run")
    trained = [mine[name] for names in names_by_decay(method).values() for name in names]
    moments: dict[int, dict[str, Any]] = {}
    for number, values in state["optimizer"]["state"].items():
        if type(number) is not int or not 0 <= number < len(trained) or values.keys() != set(MOMENTS[optimizer]):
            raise ValueError("its optimizer is another one")
        moments[number] = {}
        for key in MOMENTS[optimizer]:
            like = torch.zeros(()) if key == "step" else trained[number]
            if _kind(values[key]) != _kind(like):
                raise ValueError(f"the {key} of its optimizer is of another shape or type")
            moments[number][key] = torch.empty_like(like, device=values[key].device).copy_(values[key])
    return state | {"optimizer": own["optimizer"] | {"state": moments}}


def _kind(value: Any) -> object:
    """What must be equal of two tensors before one is copied to the other; of anything else nothing is."""
    return (value.shape, value.dtype, value.layout) if isinstance(value, Tensor) else object()


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
    try:
        tensors, made_of = read_safetensors(path)
        if made_of.pop("crc32", None) not in (None, _checksum(made_of, tensors)):  # older files have none
            raise ValueError("its checksum does not fit")
        check_type(made_of, _MadeOf, "network")
        name, class_names, (channels, height, width) = made_of["model"], made_of["class_names"], made_of["input_shape"]
        if "normalise" in made_of:  # bare, see ``student_bytes``
            scaling = {key: torch.tensor(values).reshape(-1, 1, 1) for key, values in made_of["normalise"].items()}
            tensors = {f"network.{key}": tensor for key, tensor in tensors.items()}
            tensors |= {f"normalise.{key}": values for key, values in scaling.items()}
        if model not in (None, name):
            raise ValueError(f"it holds a network {name!r}, its run has {model!r}")
    except RunError:
        raise
    except Exception as error:  # damaged files raise many kinds
        raise _damaged(path, error) from error
    check_trusted([name], path.parent, trust=trust)
    with torch.random.fork_rng(devices=[]):
        layers = build_model(name, num_classes=len(class_names), input_shape=(channels, height, width))
    network = TrainedNetwork(OrderedDict(layers.named_children()))
    if f"{TEMPERATURE}.value" in tensors:
        network.add_module(TEMPERATURE, Temperature())
    own = network.state_dict()
    try:
        network.load_state_dict(tensors)
        for key, value in tensors.items():
            if value.dtype != own[key].dtype or not value.isfinite().all():
                raise ValueError(f"{key} holds {value.dtype} or no numbers")
    except (RuntimeError, ValueError) as error:
        raise _damaged(path, error) from error
    network.model, network.class_names, network.input_shape = name, tuple(class_names), (channels, height, width)
    return network.eval()


def _checksum(made_of: dict[str, Any], tensors: dict[str, Tensor]) -> int:
    """CRC-32 of what the file of a network says: safetensors has no checksum of its own."""
    check = zlib.crc32(json.dumps(made_of).encode())
    for name in sorted(tensors):
        check = zlib.crc32(f"{name} {list(tensors[name].shape)} {tensors[name].dtype}".encode(), check)
        check = zlib.crc32(tensors[name].contiguous().flatten().view(torch.uint8).numpy().data, check)
    return check


def _damaged(path: Path, error: Exception) -> RunError:
    return RunError(f"{str(path)!r} is damaged ({one_line(error)}): move the run folder away and run again.")
