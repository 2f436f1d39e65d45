"""A trained network as an int8 file of LiteRT (TensorFlow Lite), compared with PyTorch on the test images.

    python -m venv litert && litert/bin/pip install litert-torch 'osakd[train]'
    litert/bin/python litert.py RUN model.tflite

RUN is the folder of a run of osakd. The converter needs an environment of its own. The file takes and returns int8
numbers, whose scales it holds. If they show that more than a point of accuracy is lost, nothing is written.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import litert_torch
import numpy as np
import torch
from ai_edge_litert.interpreter import Interpreter
from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
from litert_torch.quantize.quant_config import QuantConfig
from torch import Tensor
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

import osakd
from osakd.data.sources import load_data
from osakd.deploy.export import LARGEST_LOSS, DeployableNetwork, lost_accuracy
from osakd.durable import write_atomic
from osakd.errors import InputError, RunError
from osakd.paths import out_path
from osakd.records import read_config

CALIBRATE = 512
"""Training images that int8 ranges are measured on. They must be real: ranges of noise cost accuracy."""


def main(argv: Sequence[str]) -> int:
    """Reads the options, and turns every mistake into a sentence."""
    parser = argparse.ArgumentParser(description="Convert a trained network to LiteRT, in int8.")
    parser.add_argument("run", type=Path, help="folder of a run of osakd")
    parser.add_argument("to", type=Path, help="file to write, .tflite")
    parser.add_argument("--data", help="data of the run, if it has no name: its folder")
    parser.add_argument("--trust", action="store_true", help="call a function that the run names as its network")
    options = parser.parse_args(argv)
    try:
        export(options.run, out_path(options.to), options.data, trust=options.trust)
    except (InputError, RunError) as error:
        print(f"litert.py: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


@torch.no_grad()
def export(run: Path, to: Path, source: str | None, *, trust: bool) -> None:
    """Converts, compares and writes."""
    network, config = osakd.load(run, trust=trust), read_config(run)
    data = load_data(source or config.data["name"])
    content = converted(DeployableNetwork(network, pixels=False), images_of(data.train.images[:CALIBRATE]))
    images, classes = images_of(data.test.images), torch.from_numpy(data.test.target)
    predicted = [logits.argmax(1) for logits in (computed(content, images), network(images))]
    accuracy, before = ((classes_of == classes).double().mean().item() for classes_of in predicted)
    print(f"{len(images):,} test images: accuracy {accuracy:.2%} in LiteRT, int8; {before:.2%} in PyTorch")
    if lost_accuracy(*predicted, classes)[0] > LARGEST_LOSS:
        raise RunError(f"int8 loses more than a point; {str(to)!r} was not written: take another network.")
    write_atomic(to, content)
    print(f"{to}: {len(content):,} bytes")


def converted(form: DeployableNetwork, images: Tensor) -> bytes:
    """The file: int8 weights, one scale per channel, and int8 activations, whose ranges are those of the images."""
    example = (images[:1].clone(),)
    quantizer = PT2EQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False))
    prepared = prepare_pt2e(torch.export.export(form, example).module(), quantizer)
    for image in images.split(1):
        prepared(image)
    quantised = convert_pt2e(prepared, fold_quantize=False)
    model = litert_torch.convert(quantised, example, quant_config=QuantConfig(pt2e_quantizer=quantizer))
    with tempfile.TemporaryDirectory() as folder:
        model.export(f"{folder}/model.tflite")
        return Path(folder, "model.tflite").read_bytes()


def computed(content: bytes, images: Tensor) -> Tensor:
    """The logits in LiteRT's own runtime."""
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    given, returned = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    (scale, zero), (out_scale, out_zero) = given["quantization"], returned["quantization"]
    logits = []
    for image in images.split(1):
        whole = np.clip(np.rint(image.numpy() / scale) + zero, -128, 127)
        interpreter.set_tensor(given["index"], whole.astype(np.int8))
        interpreter.invoke()
        logits.append((interpreter.get_tensor(returned["index"]).astype(np.float32) - out_zero) * out_scale)
    return torch.from_numpy(np.concatenate(logits))


def images_of(pixels: np.ndarray) -> Tensor:
    """Float images in [0, 1], ``[n, channels, h, w]``."""
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2) / np.float32(255))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
