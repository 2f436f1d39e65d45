"""Table I of the paper: plain training and OSAKD with 8 and 16 neighbours on four data sets.

Command: ``osakd reproduce table1``, or one column: ``osakd reproduce table1 --data cifar10``.

Cost: a column is 20 runs (with label smoothing, our control). A CIFAR-10 run of 100 epochs took 411 seconds of one CPU
core when 8 of them went on in one program (records/table1); Fashion-MNIST's network takes about three times as long;
Tiny ImageNet (ResNet-50) needs a GPU.

Expected: the paper's numbers below, the best test accuracy over the epochs. It leaves much open (pool, space,
divergence, balance, scaling): this is ``osakd-paper``; no other reading is known to come nearer (docs/reproduction.md).
"""

from osakd.data.recipes import recipe_for
from osakd.plan import Cell, Column, Experiment, Published

_LABELS = ("plain", "osakd-8nn", "osakd-16nn")


def _column(data: str, *published: tuple[float, float]) -> Column:
    weight = recipe_for(data).soft_weight
    methods = ("plain", *({"name": "osakd-paper", "k": k, "soft_weight": weight} for k in (8, 16)))
    rows = [
        Cell(label, method, Published(*numbers))
        for label, method, numbers in zip(_LABELS, methods, published, strict=True)
    ]
    return Column(data, data, epochs=100, cells=(*rows, Cell("label-smoothing", "label-smoothing")))


TABLE1 = Experiment(
    "table1",
    "Table I: test accuracy",
    (
        _column("cifar10", (64.734, 0.654), (66.734, 0.086), (65.970, 0.733)),
        _column("svhn", (88.706, 0.306), (89.567, 0.436), (89.207, 0.390)),
        _column("fashion_mnist", (91.214, 0.141), (91.490, 0.006), (91.418, 0.124)),
        _column("tiny_imagenet", (31.050, 1.550), (31.282, 0.506), (31.916, 0.982)),
    ),
)
