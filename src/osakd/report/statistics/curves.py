"""The mean of learning curves over seeds."""

import numpy as np

from osakd.report.statistics.aggregate import MethodSummary


def mean_and_std(method: MethodSummary) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the test accuracy over the seeds, in per cent, ``[epochs]`` each.

    Curves that are not equally long are cut to the shortest.
    """
    shortest = min(len(curve) for curve in method.curves)
    curves = 100 * np.array([curve[:shortest] for curve in method.curves])
    std = curves.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(shortest)
    return curves.mean(axis=0), std
