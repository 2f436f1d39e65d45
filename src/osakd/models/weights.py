"""Starting weights of a network from a file: what it takes from there, and its head, which may be made anew."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osakd.errors import InputError, one_line
from osakd.paths import given_path
from osakd.read_json import load_json, read_bytes
from osakd.records import STUDENT

if TYPE_CHECKING:
    from torch import Tensor, nn

_INSIDE = ("state_dict", "model_state_dict", "model")
"""Where training loops keep the weights in a larger checkpoint."""


def weights_file(weights: str | Path) -> Path:
    """The file that a user names: starting weights, or the network in a run's folder; an InputError without one."""
    path = given_path(weights)
    path = path / STUDENT if path.is_dir() else path
    if not path.is_file():
        raise InputError(
            f"The weights {str(weights)!r} are neither a file nor the folder of a finished run: check the path."
        )
    return path.absolute()


def load_weights(network: "nn.Module", path: Path, class_names: Sequence[str]) -> str:
    """Loads starting weights into ``Sequential(normalise, network)``, whatever prefix they have; a note for people.

    The head is the last layer with an output for each class. It is made anew where the file has none, one for another
    number of classes, or, from a run, one for classes of other names. The file is safetensors, or what ``torch.save``
    wrote: a state dict, or a checkpoint that holds one.

    Raises:
        InputError: the file cannot be read, or does not fit the network.
    """
    from torch import nn

    tensors, known = _read(path)
    own = network.state_dict()
    shorter = {key.partition(".")[2]: value for key, value in tensors.items()}
    inside = [{f"network.{key}": value for key, value in state.items()} for state in (tensors, shorter)]
    renamed = max((tensors, shorter, *inside), key=lambda state: len(state.keys() & own.keys()))
    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    head = next((f"{name}." for name, layer in reversed(layers) if len(layer.weight) == len(class_names)), "-")
    of_head = {name for name in own if name.startswith(head)}
    fits = all(name in renamed and renamed[name].shape == own[name].shape for name in of_head)
    anew = not fits or (bool(of_head) and known not in (None, list(class_names)))
    if anew:
        renamed = {name: value for name, value in renamed.items() if not name.startswith(head)}
    left = {name for name in own if name.startswith("normalise.") or name.endswith("num_batches_tracked")}
    problems = [
        *(f"{name!r} is missing" for name in own if name not in renamed.keys() | of_head | left),
        *(f"the network has no {name!r}" for name in renamed if name not in own),
        *(
            f"{name!r} has shape {list(value.shape)}, in the network {list(own[name].shape)}"
            for name, value in renamed.items()
            if name in own and value.shape != own[name].shape
        ),
        *(
            f"{name!r} holds {value.dtype} or no numbers"
            for name, value in renamed.items()
            if name in own and own[name].is_floating_point()
            if not value.is_floating_point() or not value.float().isfinite().all()
        ),
    ]
    if problems:
        raise InputError(
            f"The weights {str(path)!r} do not fit the network ({problems[0]}): name the one that they are of with "
            "--model."
        )
    network.load_state_dict(own | renamed)
    return f"Starting weights: {path.name}{f'; the head is made anew, for {len(class_names)} classes' if anew else ''}."


def read_safetensors(path: Path) -> "tuple[dict[str, Tensor], dict[str, Any]]":
    """The tensors in a file by name, and what it says of its network, if it is of a run; damage raises many kinds."""
    from safetensors.torch import load

    content = read_bytes(path) or b""
    header = load_json(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return load(content), load_json(header.get("__metadata__", {}).get("osakd", "{}"))


def _read(path: Path) -> "tuple[dict[str, Tensor], list[str] | None]":
    """The tensors in a file by name, and the names of the classes where it is of a run."""
    import torch

    try:
        if path.suffix == ".safetensors":
            tensors, made_of = read_safetensors(path)
            return tensors, made_of.get("class_names")
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
        state = next((state[key] for key in _INSIDE if isinstance(state.get(key), dict)), state)
        if not state or not all(isinstance(value, torch.Tensor) and value.is_cpu for value in state.values()):
            raise ValueError("it is not a state dict")
        return dict(state), None
    except Exception as error:  # files of other kinds raise many kinds
        raise InputError(
            f"The weights {str(path)!r} cannot be read ({one_line(error)}): give a safetensors file, a state dict that "
            "torch.save wrote, or the folder of a finished run."
        ) from error
