"""``.pt2``: a program of ``torch.export``, for PyTorch without this package."""

import io
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from osakd.deploy.about import KEY
from osakd.deploy.pt2_archive import checked
from osakd.deploy.quiet import quiet

_ENTRY = f"{KEY}.json"


def write(form: nn.Module, example: Tensor, calibration: Tensor | None) -> Callable[[str], bytes]:
    """Exports with a batch of any size; see ``FormatModule``."""
    del calibration  # float32 only
    with quiet():
        program = torch.export.export(form, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))

    def content(about: str) -> bytes:
        stream = io.BytesIO()
        with quiet():
            torch.export.save(program, stream, extra_files={_ENTRY: about})
        return checked(stream.getvalue())  # without the paths of this machine, which PyTorch writes for readers

    return content


def start() -> None:
    """The runtime is PyTorch."""


def read(content: bytes) -> tuple[Callable[[Tensor], Tensor], str | None]:
    """Loads a program; see ``FormatModule``."""
    entries = {_ENTRY: ""}
    with quiet():
        module = torch.export.load(io.BytesIO(checked(content)), extra_files=entries).module()

    def logits(images: Tensor) -> Tensor:
        with torch.no_grad():
            return cast(Tensor, module(images))

    return logits, str(entries[_ENTRY]) or None
