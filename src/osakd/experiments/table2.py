"""Table II of the paper: ResNet-32 on CIFAR-10 with plain training, ONE, FFL-S and OSAKD.

Commands: ``osakd reproduce table2 --data cifar10``; ``osakd reproduce table2-small --data cifar10`` for a small one:
ResNet-8, 15 epochs, three seeds, with label smoothing and the default.

Cost: 20 runs of 300 epochs, 412 MFLOP per image forward and backward (550 for the methods with branches): for a GPU.
The small version is 18 runs of about a quarter of an hour of a CPU core each.

Expected: the paper's numbers below. ONE and FFL-S with two branches are the average of the two. The batch size, weight
decay and augmentation are those of ONE's and FFL's code, which the paper says it follows; it does not give k and the
soft weight: 8 and 0.9 are assumed. The paper has no numbers for the small version.
"""

from osakd.plan import Experiment, Panel, PanelMethod, Published

RECIPE = {
    "model": "resnet32",
    "batch_size": 128,
    "learning_rate": 0.1,
    "nesterov": True,
    "weight_decay": 1e-4,
    "schedule": "step",
    "milestones": (0.5, 0.75),
    "gamma": 0.1,
    "crop": 4,
    "flip": True,
    "scaling": "statistics",
}

TABLE2 = Experiment(
    "table2",
    "Table II: ResNet-32, test accuracy",
    (
        Panel(
            "cifar10",
            "cifar10",
            epochs=300,
            methods=(
                PanelMethod("plain", "plain", Published(93.07, 0.17)),
                PanelMethod("one", "one", Published(93.76, 0.12), averaged=("branch2",)),
                PanelMethod("ffl", "ffl", Published(93.81, 0.12), averaged=("branch2",)),
                PanelMethod("osakd-paper-8nn", "osakd-paper", Published(93.93, 0.09)),
            ),
            options=RECIPE,
            ours="osakd-paper-8nn",
        ),
    ),
)

TABLE2_SMALL = Experiment(
    "table2-small",
    "Table II in small: ResNet-8, test accuracy",
    (
        Panel(
            "resnet8-cifar10",
            "cifar10",
            epochs=15,
            methods=(
                PanelMethod("plain", "plain"),
                PanelMethod("label-smoothing", "label-smoothing"),
                PanelMethod("one", "one", averaged=("branch2",)),
                PanelMethod("ffl", "ffl", averaged=("branch2",)),
                PanelMethod("osakd-paper-8nn", "osakd-paper"),
                PanelMethod("osakd", "osakd"),
            ),
            seeds=3,
            options=RECIPE | {"model": "resnet8"},
            ours="osakd-paper-8nn",
            note="A small version, not comparable with the paper's Table II: ResNet-8 and 15 epochs in place of "
            "ResNet-32 and 300",
        ),
    ),
)
