"""The export form compiles for Cortex-M: every operation of the network becomes one of CMSIS-NN's."""

import pytest
import torch

import osakd
from osakd.deploy.form import DeployedForm
from osakd.deploy.quiet import quiet
from tests.integrations.needs import needs

needs("executorch.exir")
pytest.importorskip("tosa_serializer", reason="tosa-tools is not installed, which ExecuTorch's compilers for Arm need")


@pytest.mark.filterwarnings("ignore")  # those of the compiler
@pytest.mark.parametrize("model", ["lenet", "ds-cnn"])
def test_a_network_compiles(model: str) -> None:
    with quiet():
        from executorch.backends.cortex_m.edge_compile_config import cortex_m_edge_compile_config
        from executorch.backends.cortex_m.passes.cortex_m_pass_manager import CortexMPassManager
        from executorch.backends.cortex_m.quantizer.quantizer import CortexMQuantizer
        from executorch.backends.cortex_m.target_config import CortexM, CortexMTargetConfig
        from executorch.exir import EdgeProgramManager, to_edge
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    torch.manual_seed(0)
    network = osakd.build_model(model, num_classes=10, input_shape=(3, 32, 32)).eval()
    form = DeployedForm(network, pixels=False).to(memory_format=torch.channels_last)
    images = torch.rand(4, 3, 32, 32).to(memory_format=torch.channels_last)
    one = (images[:1].clone(memory_format=torch.preserve_format),)
    with quiet():
        prepared = prepare_pt2e(torch.export.export(form, one).module(check_guards=False), CortexMQuantizer())
        for image in images.split(1):
            prepared(image)
        quantised = torch.export.export(convert_pt2e(prepared), one)
        edge = to_edge(quantised, compile_config=cortex_m_edge_compile_config()).exported_program()
        target = CortexMTargetConfig(cpu=CortexM.M55)
        compiled = CortexMPassManager(edge, CortexMPassManager.pass_list, target_config=target).transform()
        names = {str(node.target) for node in compiled.graph.nodes if node.op == "call_function"}
        logits = compiled.module(check_guards=False)(*one)  # by the operations' definitions in PyTorch
        content = EdgeProgramManager({"forward": compiled}, compile_config=cortex_m_edge_compile_config())
    assert not [name for name in names if "aten.convolution" in name or "aten.linear" in name or "aten.addmm" in name]
    assert [name for name in names if "cortex_m.quantized_conv2d" in name]
    torch.testing.assert_close(logits, network(one[0]), atol=0.01, rtol=0)
    assert 20_000 < len(content.to_executorch().buffer) < 100_000
