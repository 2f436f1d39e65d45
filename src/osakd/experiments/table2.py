"""Table II of the paper: ResNet-32 on CIFAR-10 with plain training, ONE, FFL-S and OSAKD.

Command: ``osakd reproduce table2 --data cifar10``.

Cost: 20 runs of 300 epochs, 412 MFLOP per image forward and backward (550 for the methods with branches): for a GPU.

Expected: the paper's numbers below. ONE and FFL-S with two branches are the average of the two. The batch size, weight
decay and augmentation are those of ONE's and FFL's code, which the paper says it follows; it does not give k and the
soft weight: 8 and 0.9 are assumed.
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
