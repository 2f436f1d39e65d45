"""What every label and loss must satisfy: mapped over replicas it is each replica's own, compiled it is the same."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from osakd import OSAKDLoss, OutputMemory, Reliability, knn_posterior, osakd_loss

REPLICAS, N, C, K = 3, 12, 4, 3
CLASSES = torch.arange(N) % C


def posterior(logits: Tensor) -> Tensor:
    return knn_posterior(logits, logits, CLASSES, num_classes=C, k=K, exclude=torch.arange(N))


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "knn_posterior": posterior,
    "osakd_loss": lambda logits: osakd_loss(logits, CLASSES, posterior(logits)),
    "mse": lambda logits: osakd_loss(logits, CLASSES, posterior(logits), divergence="mse_sum", balance="convex"),
    "OSAKDLoss": partial(OSAKDLoss(C, K, reliability=False), target=CLASSES),
    "OSAKDLoss, logits": partial(OSAKDLoss(C, K, reliability=False, space="logits"), target=CLASSES),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_mapped_over_replicas(name: str, dtype: torch.dtype) -> None:
    logits = torch.randn(REPLICAS, N, C, dtype=dtype)
    expected = torch.stack([FUNCTIONS[name](replica) for replica in logits])
    torch.testing.assert_close(vmap(FUNCTIONS[name])(logits), expected)


def test_memory_mapped_over_replicas() -> None:
    def step(outputs: Tensor, target: Tensor, valid: Tensor, norms: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        names = [f"memory.{name}" for name, _ in OutputMemory(1, 1).named_buffers()]
        state = dict(zip(names, (outputs, target, valid, norms), strict=True))
        loss = torch.func.functional_call(module, state, (logits, CLASSES, torch.arange(N)))
        return loss, state["memory.outputs"]

    module = OSAKDLoss(C, K, memory=OutputMemory(2 * N, C), reliability=False)
    logits = torch.randn(REPLICAS, N, C)
    buffers = [buffer.expand(REPLICAS, *buffer.shape).clone() for buffer in module.buffers()]
    losses, outputs = vmap(step)(*buffers, logits)
    for number, replica in enumerate(logits):
        alone = OSAKDLoss(C, K, memory=OutputMemory(2 * N, C), reliability=False)
        torch.testing.assert_close(alone(replica, CLASSES, torch.arange(N)), losses[number])
        torch.testing.assert_close(alone.memory.outputs, outputs[number])


@pytest.mark.unchecked
@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled(name: str) -> None:
    torch._dynamo.reset()
    logits = torch.randn(N, C)
    compiled = torch.compile(FUNCTIONS[name], backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(logits), FUNCTIONS[name](logits))


KEPT: dict[str, Callable[[], dict[str, Any]]] = {
    "memory": lambda: {"memory": OutputMemory(2 * N, C)},
    "queue": lambda: {"pool": "queue", "queue_size": 3 * N // 2},
    "reliability": lambda: {"reliability": Reliability()},
}


@pytest.mark.unchecked
@pytest.mark.parametrize("kept", KEPT)
def test_compiled_with_a_state(kept: str) -> None:
    torch._dynamo.reset()
    modules = [OSAKDLoss(C, K, **KEPT[kept]()) for _ in range(2)]
    compiled = torch.compile(modules[1], backend="aot_eager", fullgraph=True)
    for first in (0, N, 0):
        logits = torch.randn(N, C)
        index = torch.arange(first, first + N)
        torch.testing.assert_close(compiled(logits, CLASSES, index), modules[0](logits, CLASSES, index))
