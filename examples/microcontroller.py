"""A trained network in int8 for a microcontroller: Arm Cortex-M with CMSIS-NN, or the Ethos-U55 beside it.

    python microcontroller.py RUN model.pte
    python microcontroller.py RUN model.pte --target ethos-u55-128

RUN is the folder of a run of osakd. It needs `pip install 'osakd[train,microcontroller]'`. The compilers are
ExecuTorch's and, for the Ethos-U55, Arm's Vela. No runtime of a computer knows their operations: what is compared with
PyTorch on the test images is the quantised program that they compile, and for a Cortex-M, on some images, the compiled
operations as ExecuTorch defines them in PyTorch. If that shows that more than a point of accuracy is lost, nothing is
written.
"""

import argparse
import copy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import osakd
from osakd.data.sources import load_data
from osakd.deploy.export import LARGEST_LOSS, DeployableNetwork, lost_accuracy
from osakd.deploy.exported import using_extra
from osakd.durable import write_atomic
from osakd.errors import InputError, RunError
from osakd.paths import out_path
from osakd.records import read_config

with using_extra("microcontroller"):
    import tosa_serializer  # noqa: F401 - what follows needs it
    from executorch.exir import EdgeCompileConfig, EdgeProgramManager, to_edge, to_edge_transform_and_lower
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

TARGETS = ("cortex-m55", "ethos-u55-128")
CALIBRATE, COMPARED = 512, 20
"""Training images that int8 ranges are measured on; test images for a Cortex-M's operations, which are slow here."""


def quantised(form: DeployableNetwork, quantizer: Any, images: Tensor) -> Any:
    """The program with int8 weights and activations, whose ranges are those of the images."""
    program = torch.export.export(form, (images[:1].clone(memory_format=torch.preserve_format),))
    prepared = prepare_pt2e(program.module(check_guards=False), quantizer)
    for image in images.split(1):
        prepared(image)
    return convert_pt2e(prepared)


def for_cortex_m(program: Any, example: Tensor) -> tuple[Any, bytes]:
    """The compiled program, which runs in PyTorch, and its file."""
    from executorch.backends.cortex_m.edge_compile_config import cortex_m_edge_compile_config
    from executorch.backends.cortex_m.passes.cortex_m_pass_manager import CortexMPassManager
    from executorch.backends.cortex_m.target_config import CortexM, CortexMTargetConfig

    config, target = cortex_m_edge_compile_config(), CortexMTargetConfig(cpu=CortexM.M55)
    edge = to_edge(torch.export.export(program, (example,)), compile_config=config).exported_program()
    compiled = CortexMPassManager(edge, CortexMPassManager.pass_list, target_config=target).transform()
    # The last passes change the program.
    content = EdgeProgramManager({"forward": copy.deepcopy(compiled)}, compile_config=config).to_executorch().buffer
    return compiled.module(check_guards=False), content


def for_ethos_u(program: Any, example: Tensor, target: str) -> bytes:
    """The file: one call of the Ethos-U between the quantisation of its input and of its output."""
    from executorch.backends.arm.ethosu import EthosUCompileSpec, EthosUPartitioner

    lowered = to_edge_transform_and_lower(
        torch.export.export(program, (example,)),
        partitioner=[EthosUPartitioner(EthosUCompileSpec(target))],
        compile_config=EdgeCompileConfig(_check_ir_validity=False),
    )
    return lowered.to_executorch().buffer


def quantizer_of(target: str) -> Any:
    """The quantiser whose rules the target's compiler knows."""
    if target == "cortex-m55":
        from executorch.backends.cortex_m.quantizer.quantizer import CortexMQuantizer

        return CortexMQuantizer()
    from executorch.backends.arm.ethosu import EthosUCompileSpec
    from executorch.backends.arm.quantizer import EthosUQuantizer, get_symmetric_quantization_config

    return EthosUQuantizer(EthosUCompileSpec(target)).set_global(get_symmetric_quantization_config(is_per_channel=True))


def images_of(pixels: Any) -> Tensor:
    """Float images in [0, 1], channels-last as CMSIS-NN has them."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    return torch.empty(images.shape, memory_format=torch.channels_last).copy_(images)


def main(argv: Sequence[str]) -> int:
    """Reads the options, and turns every mistake into a sentence."""
    parser = argparse.ArgumentParser(description="Compile a trained network for a microcontroller, in int8.")
    parser.add_argument("run", type=Path, help="folder of a run of osakd")
    parser.add_argument("to", type=Path, help="file to write, .pte")
    parser.add_argument("--target", choices=TARGETS, default=TARGETS[0])
    parser.add_argument("--data", help="data of the run, if it has no name: its folder")
    parser.add_argument("--trust", action="store_true", help="call a function that the run names as its network")
    options = parser.parse_args(argv)
    try:
        export(options.run, out_path(options.to), options.target, options.data, trust=options.trust)
    except (InputError, RunError) as error:
        print(f"microcontroller.py: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


@using_extra("microcontroller")
@torch.no_grad()
def export(run: Path, to: Path, target: str, source: str | None, *, trust: bool) -> None:
    """Compiles, compares and writes."""
    network, config = osakd.load(run, trust=trust), read_config(run)
    data = load_data(source or config.data["name"])
    form = DeployableNetwork(network, pixels=False).to(memory_format=torch.channels_last)
    program = quantised(form, quantizer_of(target), images_of(data.train.images[:CALIBRATE]))

    images, classes = images_of(data.test.images), torch.from_numpy(data.test.target)
    logits = torch.cat([program(image) for image in images.split(1)])
    predicted = [one.argmax(1) for one in (logits, network(images))]
    accuracy, before = ((classes_of == classes).double().mean().item() for classes_of in predicted)
    print(f"{len(images):,} test images: accuracy {accuracy:.2%} in int8, {before:.2%} in PyTorch")
    if lost_accuracy(*predicted, classes)[0] > LARGEST_LOSS:
        raise RunError(f"int8 loses more than a point; {str(to)!r} was not written: take another network.")
    if target == "cortex-m55":
        compiled, content = for_cortex_m(program, images[:1])
        found = torch.cat([compiled(image) for image in images[:COMPARED].split(1)])
        difference = (found - logits[:COMPARED]).abs().max().item() / logits.abs().max().item()
        print(f"The operations of CMSIS-NN, on {len(found)} of them: logits differ by up to {difference:.2%}")
    else:
        content = for_ethos_u(program, images[:1], target)
    write_atomic(to, content)
    print(f"{to}: {len(content):,} bytes for {target}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
