"""One LeNet step of batch 64 in other frameworks beside ours: it prints the milliseconds of each.

pip install jax tensorflow-cpu
python -m benchmarks.peers > benchmarks/records/peers.md

Each framework runs as its own documentation shows a training step: compiled, SGD with momentum, images of 0 to 255 in
memory, batches taken by index. Each is a process of its own, started anew in each round; frameworks that are not
installed are left out. Ours and the ordinary script are the contenders of the benchmark.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

BATCH, IMAGES, RATE, MOMENTUM = 64, 4096, 0.001, 0.9
WARM_UP, STEPS, ROUNDS = 20, 100, 3
SHAPES = ((6, 3, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (10, 84), (10,))
SCRIPT = "plain script, 0 workers"
Steps = Callable[[int], None]


def main() -> None:
    """Runs one peer, if one is named; else prints the table of all."""
    if len(sys.argv) > 1:
        run = PEERS[sys.argv[1]][1]()
        run(WARM_UP)
        begin = time.perf_counter()
        run(STEPS)
        print((time.perf_counter() - begin) / STEPS)
        return
    names = [name for name, (package, _) in PEERS.items() if find_spec(package)]
    seconds: dict[str, list[float]] = {name: [] for name in (*names, SCRIPT)}
    for _ in range(ROUNDS):
        for name in seconds:
            seconds[name].append(_seconds(name))
    print("| what | ms per step | times ours |\n|---|---|---|")
    for name, values in seconds.items():
        times = median(value / own for value, own in zip(values, seconds[names[0]], strict=True))
        print(f"| {name} | {1000 * median(values):.2f} | {times:.2f}x |", flush=True)


def _seconds(name: str) -> float:
    command = [sys.executable, "-m", "benchmarks.peers", name]
    if name == SCRIPT:
        command = [sys.executable, "benchmarks/plain_script.py", "--steps", str(STEPS), "--workers", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])  # noqa: S603 - our command
    own = float(done.stdout.split()[-1])
    return own / STEPS if name == SCRIPT else own


def ours() -> Steps:
    """The serial executor with the native kernel."""
    import torch

    from benchmarks.contenders import single
    from osakd.engine.timing import synthetic_images

    contender = single("plain", synthetic_images(torch.device("cpu")))
    return lambda steps: print(contender(steps), file=sys.stderr)


def compiled() -> Steps:
    """``torch.compile`` of an ordinary network."""
    import torch
    from torch.nn import functional as F  # noqa: N812 - the name every PyTorch reader knows

    from benchmarks.plain_script import LeNet

    pixels, target = (torch.from_numpy(one) for one in _data())
    pixels = pixels.permute(0, 3, 1, 2)
    network = torch.compile(LeNet())
    optimizer = torch.optim.SGD(network.parameters(), RATE, MOMENTUM, fused=True)

    def run(steps: int) -> None:
        for index in torch.randint(IMAGES, (steps, BATCH)):
            images = (pixels[index].float() / 255 - 0.5) / 0.5
            F.cross_entropy(network(images), target[index]).backward()
            optimizer.step()
            optimizer.zero_grad()

    return run


def jax() -> Steps:
    """A jitted step."""
    import jax
    from jax import lax
    from jax import numpy as jnp

    pixels, target = (jnp.asarray(one) for one in _data())

    def logits(parameters: Any, images: Any) -> Any:
        x = images
        for weight, bias in (parameters[:2], parameters[2:4]):
            x = lax.conv_general_dilated(x, weight, (1, 1), "VALID", dimension_numbers=("NHWC", "OIHW", "NHWC")) + bias
            x = jax.nn.relu(lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"))
        x = x.reshape(len(x), -1)
        for weight, bias in (parameters[4:6], parameters[6:8]):
            x = jax.nn.relu(x @ weight.T + bias)
        return x @ parameters[8].T + parameters[9]

    def loss(parameters: Any, images: Any, classes: Any) -> Any:
        scores = jax.nn.log_softmax(logits(parameters, images))
        return -jnp.take_along_axis(scores, classes[:, None], 1).mean()

    @jax.jit
    def step(parameters: Any, velocity: Any, index: Any) -> Any:
        images = (pixels[index] / 255.0 - 0.5) / 0.5
        gradients = jax.grad(loss)(parameters, images, target[index])
        velocity = [MOMENTUM * v + g for v, g in zip(velocity, gradients, strict=True)]
        return [p - RATE * v for p, v in zip(parameters, velocity, strict=True)], velocity

    state = [jnp.asarray(one) for one in _parameters()], [jnp.zeros(shape) for shape in SHAPES]

    def run(steps: int) -> None:
        nonlocal state
        for index in np.random.default_rng(0).integers(0, IMAGES, (steps, BATCH)):
            state = step(*state, index)
        jax.block_until_ready(state)

    return run


def tensorflow(*, xla: bool = False) -> Steps:
    """A step as a ``tf.function``, of a Keras network."""
    import tensorflow as tf

    pixels, target = (tf.constant(one) for one in _data())
    layers = tf.keras.layers
    network = tf.keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            *(layers.Conv2D(6, 5), layers.MaxPool2D(), layers.ReLU()),
            *(layers.Conv2D(16, 5), layers.MaxPool2D(), layers.ReLU(), layers.Flatten()),
            *(layers.Dense(120, "relu"), layers.Dense(84, "relu"), layers.Dense(10)),
        ]
    )
    optimizer = tf.keras.optimizers.SGD(RATE, MOMENTUM)
    optimizer.build(network.trainable_variables)

    @tf.function(jit_compile=xla)
    def step(index: Any) -> None:
        images = (tf.cast(tf.gather(pixels, index), tf.float32) / 255 - 0.5) / 0.5
        with tf.GradientTape() as tape:
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(target, index), network(images))
            loss = tf.reduce_mean(each)
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)

    def run(steps: int) -> None:
        for index in np.random.default_rng(0).integers(0, IMAGES, (steps, BATCH)):
            step(tf.constant(index))

    return run


def _data() -> tuple[Any, Any]:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8), generator.integers(0, 10, IMAGES)


def _parameters() -> list[Any]:
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.05, shape).astype(np.float32) for shape in SHAPES]


PEERS: dict[str, tuple[str, Callable[[], Steps]]] = {
    "osakd, native kernel": ("torch", ours),
    "PyTorch, torch.compile": ("torch", compiled),
    "JAX, jit": ("jax", jax),
    "TensorFlow, tf.function": ("tensorflow", tensorflow),
    "TensorFlow, XLA": ("tensorflow", lambda: tensorflow(xla=True)),
}
"""The package that each needs, and its steps."""

if __name__ == "__main__":
    main()
