"""Which runs may be trained together, and which start first."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from osakd.engine.plan import Plan
from osakd.methods.registry import settings_of
from osakd.records import read_metrics
from osakd.runner.worker import Group


def groups_of(plans: Sequence[Plan]) -> list[Group]:
    """Groups of runs that may be trained together: only seed and method differ, and every seed has the same methods.

    Methods that train several networks are left out, and so are runs that have no other to share a group with.
    """
    by_seed: dict[tuple[str, int], list[Plan]] = {}
    for plan in plans:
        if settings_of(plan.config).single_network:
            shared = {k: v for k, v in asdict(plan.config).items() if k not in ("method", "settings", "seed")}
            shared["data"] = {k: v for k, v in shared["data"].items() if k != "class_counts"}
            key = json.dumps([shared, plan.source.name, plan.device], sort_keys=True)
            by_seed.setdefault((key, plan.config.seed), []).append(plan)
    alike: dict[tuple[str, tuple[str, ...]], list[Plan]] = {}
    for (key, _), of_seed in by_seed.items():
        of_seed = sorted(of_seed, key=lambda plan: plan.label)
        alike.setdefault((key, tuple(plan.label for plan in of_seed)), []).extend(of_seed)
    return [tuple(group) for group in alike.values() if len(group) > 1]


def longest_first(plans: Iterable[Plan]) -> list[Plan]:
    """Sorts plans by the number of steps left; of equals, those that search a memory come first."""

    def work(plan: Plan) -> tuple[float, bool]:
        epochs = plan.config.epochs - len(read_metrics(plan.folder))
        return epochs * plan.config.data["train"] / plan.config.batch_size, settings_of(plan.config).searches_memory()

    return sorted(plans, key=work, reverse=True)
