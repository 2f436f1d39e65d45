"""``.pte``: for ExecuTorch on phones and small boards, through XNNPACK."""
# pyright: reportMissingImports=false

import copy
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from osakd.deploy.exported import using_extra
from osakd.deploy.metadata import KEY, verify_checksum, with_checksum
from osakd.errors import InputError

TITLE, RUNTIME = "ExecuTorch", "executorch.extension.pybindings.portable_lib"
_EXTRA, _METHOD = "executorch", "forward"


def write(network: nn.Module, example: Tensor, calibration: Tensor | None, opset: int | None) -> Callable[[str], bytes]:
    """Exports for one image at a time; see ``Format``."""
    if opset is not None:
        raise InputError("ExecuTorch files have no opset: leave --opset out.")
    with using_extra(_EXTRA):
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeProgramManager, to_edge_transform_and_lower

        program = torch.export.export(network, (_first(example),))
        if calibration is not None:
            program = _quantised(program, calibration)
        edge_program = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])

    def content_with(metadata: str) -> bytes:
        # A method of the program that returns these bytes.
        entry = torch.frombuffer(bytearray(metadata.encode()), dtype=torch.uint8)
        with using_extra(_EXTRA):
            edge = copy.deepcopy(edge_program.exported_program())  # the last passes change it
            return with_checksum(EdgeProgramManager({_METHOD: edge}, {KEY: entry}).to_executorch().buffer)

    return content_with


@cache
def _start() -> None:
    """Imports ExecuTorch's runtime, with one thread."""
    with using_extra(_EXTRA):
        from executorch.extension.pybindings import portable_lib

        with _without_stderr():
            portable_lib._unsafe_reset_threadpool(1)  # safe before the first program: programs keep the pool


def read(content: bytes) -> tuple[Callable[[Tensor], Tensor], str | None]:
    """Loads a program; see ``Format``."""
    _start()
    from executorch.runtime import Runtime

    verify_checksum(content, needed=True)
    with _without_stderr():
        program = Runtime.get().load_program(content)
        program.load_method(_METHOD)
        metadata = None
        if KEY in program.method_names:
            metadata = bytes(program.load_method(KEY).execute([])[0].tolist()).decode()

    def logits(images: Tensor) -> Tensor:
        # By the program each time: it keeps its methods, and they need its memory.
        return torch.cat([program.load_method(_METHOD).execute((image,))[0] for image in images.split(1)])

    return logits, metadata


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Keeps what native code writes to the error stream from the terminal; exceptions still say what went wrong."""
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


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
