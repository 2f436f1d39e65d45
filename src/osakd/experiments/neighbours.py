"""Do more neighbours serve more classes? Tiny ImageNet's question of Table I, at a size that a CPU can answer.

Command: ``osakd reproduce neighbours --data path/to/tiny-imagenet-subset``.

Cost: 30 runs of 30 epochs, each about three minutes of a core (5.5 seconds an epoch with a batch of 64).

Expected: with 200 classes, the paper has 16 neighbours ahead of 8 by 0.6 points (ResNet-50, all images). In a
mini-batch of 64 a class has a third of an image, in one of 256 it has 1.3: only there can more neighbours have more to
say (``osakd.soft_label_ceiling``). The rate is Table I's times ten, to fit into 30 epochs, and grows with the batch.
"""

from osakd.data.recipes import recipe_for
from osakd.plan import Experiment, Panel, PanelMethod, Preference

_NOTE = (
    "A subset, not comparable with the paper's Tiny ImageNet: its 200 classes with 100 training images each, and a "
    "LeNet in place of ResNet-50"
)
_NEIGHBOURS, _RATE_PER_IMAGE = (8, 16, 32), 0.01 / 64


def _panel(batch_size: int) -> Panel:
    method = {"name": "osakd-paper", "soft_weight": recipe_for("tiny_imagenet").soft_weight}
    few, *more = (f"osakd-paper-{k}nn" for k in _NEIGHBOURS)
    return Panel(
        f"tiny-imagenet-subset-{batch_size}",
        "tiny-imagenet-subset",
        epochs=30,
        methods=(
            PanelMethod("plain", "plain"),
            *(PanelMethod(f"osakd-paper-{k}nn", method | {"k": k}) for k in _NEIGHBOURS),
            PanelMethod("label-smoothing", "label-smoothing"),
        ),
        seeds=3,
        options={"batch_size": batch_size, "learning_rate": _RATE_PER_IMAGE * batch_size},
        ours=few,
        preferences=tuple(
            Preference(f"{k} neighbours serve 200 classes better than 8", better, few)
            for k, better in zip(_NEIGHBOURS[1:], more, strict=True)
        ),
        note=_NOTE,
    )


NEIGHBOURS = Experiment(
    "neighbours", "Do more neighbours serve more classes? 200 classes, in small", (_panel(64), _panel(256))
)
