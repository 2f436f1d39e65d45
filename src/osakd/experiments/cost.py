"""The paper's section on complexity: what one forward pass costs, and the claims around it.

Command: ``osakd reproduce cost``, which counts, times, and leaves ``cost.json``.

Cost: the counts take seconds, the timing some minutes on an idle CPU. Nothing is trained, no data are needed.

Expected: 0.07 GFLOPs for OSAKD, 0.33 for KD with a ResNet-110 teacher; branches at least double the FLOPs. The
methods of ``variants`` are timed too.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from osakd.durable import write_json
from osakd.engine.config import Options
from osakd.engine.cost import costs, shaped
from osakd.errors import as_sentences
from osakd.report.layout import COST
from osakd.report.tables.complexity import Figure

MODEL, NETWORK, BATCH, EPOCHS = "resnet32", "ResNet-32", 128, 300
COUNTED = ("plain", "osakd", "kd", "one", "ffl")


@dataclass(frozen=True)
class Timing:
    """Methods whose steps are timed side by side.

    Attributes:
        ema: by label, the decay of methods whose weights are averaged along training.
    """

    network: str
    model: str
    batch_size: int
    methods: Mapping[str, Any]
    rounds: int
    steps: int
    ema: Mapping[str, float] = field(default_factory=dict)


_STUDY = {
    "plain": "plain",
    "plain, averaged": "plain",
    "label-smoothing": "label-smoothing",
    "osakd": "osakd",
    "osakd-paper-8nn": "osakd-paper",
    "ps-kd": "ps-kd",
    "bake": "bake",
}
_AVERAGED = {"plain, averaged": 0.99}
TIMINGS = (
    Timing(NETWORK, MODEL, BATCH, {name: name for name in COUNTED}, rounds=5, steps=2),
    Timing("ResNet-8", "resnet8", BATCH, _STUDY, rounds=10, steps=4, ema=_AVERAGED),
    Timing("LeNet", "lenet", 64, _STUDY, rounds=20, steps=40, ema=_AVERAGED),
)


def counted() -> list[Figure]:
    """The figures that are counted: ResNet-32 on CIFAR-10's shape and size, 300 epochs, batches of 128."""
    data = shaped(num_classes=10, input_shape=(3, 32, 32), train=50_000)
    plain, osakd, kd, one, ffl = costs(
        data, COUNTED, Options(deploy="last", model=MODEL, epochs=EPOCHS, batch_size=BATCH)
    )
    student, both = osakd.deployed_macs / 1e9, kd.passes * kd.deployed_macs / 1e9
    whole, over_plain = kd.total_flops / osakd.total_flops, osakd.flops / plain.flops
    alone, twice = "not in the paper", "at least 2 times"
    rows = [
        ("one forward pass, OSAKD", "0.07 GFLOPs", f"{student:.3f} G MACs", _same(student, 0.07)),
        ("one forward pass, KD from ResNet-110", "0.33 GFLOPs", f"{both:.3f} G MACs", _same(both, 0.33)),
        ("training, OSAKD, per image", "-", f"{osakd.flops / 1e6:.0f} MFLOP", alone),
        ("training, KD, per image", "-", f"{kd.flops / 1e6:.0f} MFLOP", alone),
        ("the whole of KD, its teacher's training too, over OSAKD", "-", f"{whole:.1f} times", alone),
        ("training, ONE with 2 branches, over plain", twice, f"{one.relative:.2f} times", _word(one.relative >= 2)),
        ("training, FFL-S with 2 branches, over plain", twice, f"{ffl.relative:.2f} times", _word(ffl.relative >= 2)),
        ("training, OSAKD, over plain", "negligible", f"{over_plain:.4f} times", _word(over_plain < 1.01)),
    ]
    return [Figure(f"{NETWORK}: {what}", *cells) for what, *cells in rows]


def measure(out: Path) -> None:
    """Counts, times, and writes the figures with every value into the folder of the records."""
    from osakd.engine.environment import environment, pick_device
    from osakd.engine.timing import step_times

    device = pick_device(None)
    with as_sentences(out):
        out.mkdir(parents=True, exist_ok=True)
    steps = []
    for timing in TIMINGS:
        how: dict[str, Any] = {
            "model": timing.model,
            "batch_size": timing.batch_size,
            "rounds": timing.rounds,
            "steps": timing.steps,
        }
        seconds = step_times(timing.methods, device=device, ema=timing.ema, **how)
        steps.append(how | {"network": timing.network, "seconds_per_step": seconds})
    record = {"figures": [asdict(figure) for figure in counted()], "steps": steps, "made_by": environment(device)}
    write_json(out / COST, record)


def _same(ours: float, paper: float) -> str:
    """Whether ours is the paper's number to its two decimals."""
    return "reproduced" if round(ours, 2) == paper else f"{round(ours, 2):.2f} here"


def _word(holds: bool) -> str:
    return "holds" if holds else "does not hold"
