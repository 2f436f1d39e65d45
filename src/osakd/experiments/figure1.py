"""Figure 1 of the paper: the mean test accuracy over the epochs, a panel for each column of Table I.

Command: ``osakd reproduce figure1``, or one panel: ``osakd reproduce figure1 --data cifar10``.

Cost: none where Table I is recorded: these are its runs, and its records.

Expected: in the paper OSAKD's curves run above plain training's from early on, and fluctuate less.
"""

from osakd.experiments.table1 import TABLE1
from osakd.plan import Experiment

FIGURE1 = Experiment("figure1", "Figure 1: test accuracy over the epochs", TABLE1.columns, "curves", TABLE1.name)
