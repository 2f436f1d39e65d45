"""``.pte``: for ExecuTorch on phones and small boards, through XNNPACK."""
# pyright: reportMissingImports=false

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from osakd.deploy.about import KEY
from osakd.deploy.quiet import from_extra, quiet, without_stderr

_EXTRA = "executorch"


def write(form: nn.Module, example: Tensor, calibration: Tensor | None) -> Callable[[str], bytes]:
    """Exports for one image at a time; see ``FormatModule``."""
    with quiet(), from_extra(_EXTRA):
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        program = torch.export.export(form, (_first(example),))
        if calibration is not None:
            program = _quantised(program, calibration)
        entries: dict[str, Any] = {}
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()], constant_methods=entries)

    def content(about: str) -> bytes:
        # A method of the program that returns these bytes.
        entries[KEY] = torch.frombuffer(bytearray(about.encode()), dtype=torch.uint8)
        with quiet():
            return lowered.to_executorch().buffer

    return content


def read(content: bytes) -> tuple[Callable[[Tensor], Tensor], str | None]:
    """Loads a program; see ``FormatModule``."""
    with quiet(), without_stderr(), from_extra(_EXTRA):
        from executorch.runtime import Runtime

        program = Runtime.get().load_program(content)
        forward = program.load_method("forward")
        about = None
        if KEY in program.method_names:
            about = bytes(program.load_method(KEY).execute([])[0].tolist()).decode()

    def logits(images: Tensor) -> Tensor:
        # The runtime uses the memory of its output again.
        return torch.cat([forward.execute((image,))[0].clone() for image in images.split(1)])

    return logits, about


def _quantised(program: Any, calibration: Tensor) -> Any:
    """The program with int8 weights, one scale per channel, and int8 activations."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(program.module(), quantizer)
    for image in calibration.split(1):
        prepared(image)
    return torch.export.export(convert_pt2e(prepared), (_first(calibration),))


def _first(images: Tensor) -> Tensor:
    """A copy of the first image: a program would keep all of the memory that a slice is part of."""
    return images[:1].clone()
