"""``.onnx``: for ONNX Runtime, and for the many programs that read ONNX."""
# pyright: reportMissingImports=false

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from osakd.deploy.exported import using_extra
from osakd.deploy.metadata import KEY, verify_checksum, with_checksum
from osakd.errors import InputError

TITLE, RUNTIME = "ONNX", "onnxruntime"
_EXTRA, _INPUT, _OUTPUT = "onnx", "images", "logits"
_BATCH = 64
OPSET = 18
"""The lowest that torch.onnx writes by itself; the version of a file is the lowest that has it."""


def write(network: nn.Module, example: Tensor, calibration: Tensor | None, opset: int | None) -> Callable[[str], bytes]:
    """Exports with a batch of any size; see ``Format``."""
    with using_extra(_EXTRA):
        import onnxruntime  # noqa: F401, I001 - the proof needs it
        import onnx
        import onnxscript  # noqa: F401 - torch.onnx needs it

        program = torch.onnx.export(
            network,
            (example,),
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
            opset_version=opset or OPSET,
        )
        model: Any = program.model_proto  # type: ignore[union-attr] - None only where it is written to a file
        found = max(used.version for used in model.opset_import if used.domain == "")
        if opset not in (None, found):
            raise InputError(
                f"The network cannot be written with opset {opset}, but with {found}: give --opset {found}."
            )
        _strip(model)
        if calibration is not None:
            model = _quantised(model, calibration)
        domains = {"", *(node.domain for node in model.graph.node)}
        for unused in [one for one in model.opset_import if one.domain not in domains]:
            model.opset_import.remove(unused)
        model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)

    def content_with(metadata: str) -> bytes:
        del model.metadata_props[:]
        model.metadata_props.add(key=KEY, value=metadata)
        return with_checksum(model.SerializeToString())

    return content_with


def read(content: bytes) -> tuple[Callable[[Tensor], Tensor], str | None]:
    """Opens a session of one thread; see ``Format``."""
    with using_extra(_EXTRA):
        import onnxruntime

    verify_checksum(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def logits(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {_INPUT: images.numpy()})[0])

    return logits, session.get_modelmeta().custom_metadata_map.get(KEY)


def _strip(message: Any) -> None:
    """Takes out what torch.onnx notes of the exporting machine, its paths and source lines, at any depth."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                _strip(part)


def _quantised(model: Any, calibration: Tensor) -> Any:
    """The model with int8 weights, one scale per channel, and uint8 activations (QDQ), BatchNorm folded before."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches: Iterator[Tensor] = iter(calibration.split(_BATCH))

        def get_next(self) -> Any:
            batch = next(self.batches, None)
            return None if batch is None else {_INPUT: batch.numpy()}

    with tempfile.TemporaryDirectory() as name:
        plain, prepared, quantised = (Path(name) / f"{stage}.onnx" for stage in ("plain", "prepared", "quantised"))
        onnx.save(model, plain)
        quant_pre_process(plain, prepared)
        quantize_static(
            prepared,
            quantised,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # 7 bits: two products of 8 saturate the 16 that processors without VNNI add them in
        )
        return onnx.load(quantised)
