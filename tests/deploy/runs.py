"""A run of one epoch that several test files export."""

from pathlib import Path

import osakd


def digits_run(folder: Path, model: str = "lenet-digits") -> osakd.Run:
    """A network that has seen the digits once, which is enough to tell most of them."""
    return osakd.train("digits", model=model, epochs=1, batch_size=16, learning_rate=0.05, out=folder / "run")
