"""The paper's section on complexity: what one forward pass costs, and the claims around it.

Command: ``osakd reproduce cost``; with ``--dry-run`` without the timing.

Cost: the counts take seconds, the timing a few minutes on a CPU. Nothing is trained, no data are needed.

Expected: 0.07 GFLOPs for OSAKD, 0.33 for KD with a ResNet-110 teacher; branches at least double the FLOPs.
"""

from dataclasses import dataclass

from osakd.engine.config import Options
from osakd.engine.cost import Cost, costs, shaped

MODEL, NETWORK, BATCH, EPOCHS = "resnet32", "ResNet-32", 128, 300
TIMED = ("plain", "osakd", "kd", "one", "ffl")
"""What ``reproduce cost`` times, and counts."""


@dataclass(frozen=True)
class Figure:
    """A number of the paper beside ours.

    Attributes:
        what: in words.
        paper: as the paper has it, ``-`` where it says nothing.
        ours: as counted or measured here.
        verdict: in words.
    """

    what: str
    paper: str
    ours: str
    verdict: str


def counted() -> list[Figure]:
    """The figures that are counted: ResNet-32 on CIFAR-10's shape and size, 300 epochs, batches of 128."""
    data = shaped(num_classes=10, input_shape=(3, 32, 32), train=50_000)
    found = costs(data, TIMED, Options(model=MODEL, epochs=EPOCHS, batch_size=BATCH))
    plain, osakd, kd, one, ffl = found
    student, both = osakd.deployed_macs / 1e9, kd.passes * kd.deployed_macs / 1e9
    return [
        Figure("one forward pass, OSAKD", "0.07 GFLOPs", f"{student:.3f} G MACs", _same(student, 0.07)),
        Figure("one forward pass, KD from ResNet-110", "0.33 GFLOPs", f"{both:.3f} G MACs", _same(both, 0.33)),
        Figure("training, OSAKD, per image", "-", f"{osakd.flops / 1e6:.0f} MFLOP", "not in the paper"),
        Figure("training, KD, per image", "-", f"{kd.flops / 1e6:.0f} MFLOP", "not in the paper"),
        Figure(
            "the whole of KD, its teacher's training too, over OSAKD",
            "-",
            f"{kd.total_flops / osakd.total_flops:.1f} times",
            "not in the paper",
        ),
        _branches("training, ONE with 2 branches, over plain", one),
        _branches("training, FFL-S with 2 branches, over plain", ffl),
        Figure(
            "training, OSAKD, over plain",
            "negligible",
            f"{osakd.flops / plain.flops:.4f} times",
            "holds" if osakd.flops < 1.01 * plain.flops else "does not hold",
        ),
    ]


def timed(milliseconds: dict[str, float]) -> list[Figure]:
    """The measured steps of ``TIMED``, as figures.

    Args:
        milliseconds: the median step of each method.
    """
    plain = milliseconds["plain"]
    return [
        Figure(f"a step, {name}", "-", f"{time:.0f} ms, {time / plain:.2f} times plain", "measured here")
        for name, time in milliseconds.items()
    ]


def _same(ours: float, paper: float) -> str:
    """Whether ours is the paper's number to its two decimals."""
    return "reproduced" if round(ours, 2) == paper else f"{round(ours, 2):.2f} here"


def _branches(what: str, cost: Cost) -> Figure:
    word = "holds" if cost.relative >= 2 else "does not hold"
    return Figure(what, "at least 2 times", f"{cost.relative:.2f} times", word)
