"""Table I of the paper: plain training and OSAKD with 8 and 16 neighbours on four data sets.

Command: ``osakd reproduce table1``, or one column: ``osakd reproduce table1 --data cifar10``.

Cost: a column is 20 runs (with label smoothing, our control). On two CPU cores the CIFAR-10 column takes one and a half
hours, Fashion-MNIST four; Tiny ImageNet (ResNet-50) needs a GPU.

Expected: the paper's numbers below, the best test accuracy over the epochs. It leaves much open (pool, space,
divergence, balance, scaling): these are the defaults of ``osakd``.
"""

from osakd.experiments.spec import Column, Experiment, Published

_METHODS: tuple[str, ...] = ("plain", "osakd-8nn", "osakd-16nn", "label-smoothing")


def _column(data: str, *published: tuple[float, float]) -> Column:
    rows = dict(zip(_METHODS, (Published(mean, std) for mean, std in published), strict=False))
    return Column(data, epochs=100, methods=_METHODS, published=rows)


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
