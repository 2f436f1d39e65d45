"""Training one run and the stages before it, or many runs together."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from osakd import records
from osakd.engine import state
from osakd.engine.build import build_replicas
from osakd.engine.callbacks import Callback
from osakd.engine.environment import current, pick_device
from osakd.engine.executors import choose
from osakd.engine.executors.base import Replicas
from osakd.engine.executors.measure import memory_mib
from osakd.engine.folders import check_folder, lock_run
from osakd.engine.groups import replicas_that_fit, split_group
from osakd.engine.loop import Loop
from osakd.engine.plan import Plan
from osakd.engine.precision import matmul_precision
from osakd.engine.refit import refit
from osakd.engine.stages import copy_teacher
from osakd.errors import RunError
from osakd.records import Result, RunConfig


def run(plan: Plan, callback: Callback, *, resume: bool = True) -> Result:
    """Trains a run and the stages before it, or continues where it stopped; the result is also recorded in the folder.

    Raises:
        InputError: the folder has another configuration, or this one and ``resume`` is False.
        RunError: a loss that is not finite, or a disk that cannot be written.
    """
    unfinished: list[Plan] = []
    for stage in reversed(plan.stages()):
        result = check_folder(stage.folder, stage.config, resume or stage is not plan)
        if result is not None and stage is plan:
            return result
        if result is not None:
            break
        unfinished.insert(0, stage)
    copy_teacher(plan)
    for stage in unfinished[1:]:
        if records.has_checkpoint(stage.folder):
            raise RunError(
                f"The teacher of {str(stage.folder)!r} is gone: bring its folder back, or choose another --out."
            )
    device, results = pick_device(plan.device), list[Result]()
    for number, stage in enumerate(unfinished):
        with _computing(stage.config, device):
            replicas = build_replicas([stage], device)
            for later in reversed(unfinished[1:] if number == 0 else []):  # what cannot be built claims no folder
                _claim(later, resume or later is not plan)
            results.append(_train(stage, replicas, callback, resume or len(unfinished) > 1))
    if plan.config.refit:
        return refit(plan, results[-1], lambda again: run(again, callback))
    return results[-1]


def run_together(plans: Sequence[Plan], callback: Callback) -> dict[Path, RunError]:
    """Trains unfinished runs without earlier stages together, or continues; the errors of those that failed, by folder.

    Plans of one seed are side by side, each seed with the same methods in the same order. Runs that do not fit into
    memory together, or stopped at different epochs, are trained one group after the other.

    Raises:
        NotFusedError: these networks cannot be fused, or the runs of a seed stopped at different epochs.
        RunError: a disk that cannot be written, or a folder where another process trains.
    """
    first, device, errors = plans[0], pick_device(plans[0].device), dict[Path, RunError]()
    with _computing(first.config, device), ExitStack() as locks:
        for plan in plans:
            locks.enter_context(lock_run(plan.folder))
            check_folder(plan.folder, plan.config, resume=True)
        replicas = build_replicas(plans, device)
        by_method = {key: memory_mib(replicas.part([replicas.keys.index(key)])) for key in replicas.keys}
        memory = [by_method[key] for key in replicas.keys]
        fit = replicas_that_fit(max(memory), device)
        for numbers in split_group([plan.folder for plan in plans], len(replicas.splits), fit, device):
            group, part = [plans[number] for number in numbers], replicas.part(numbers)
            recorded = state.read_checkpoints(group[0].folder, device)[0]["executor"]
            chosen = choose.together(part, first.executor, first.kernels, recorded)
            errors |= Loop(group, chosen, device, callback, [memory[number] for number in numbers]).run()
    return errors


def _train(plan: Plan, replicas: Replicas, callback: Callback, resume: bool) -> Result:
    """Trains the method of a run, whose earlier stages have finished."""
    memory = memory_mib(replicas)
    recorded = state.read_checkpoints(plan.folder, replicas.device)[0]["executor"]
    chosen = choose.alone(replicas, plan.executor, plan.kernels, recorded)
    with lock_run(plan.folder):
        # Again under the lock: another process may have been here since.
        result = check_folder(plan.folder, plan.config, resume)
        if result is not None:
            return result
        loop = Loop([plan], chosen, replicas.device, callback, [memory])
        if errors := loop.run():
            raise errors[plan.folder]
        return loop.results[plan.folder]


def _claim(plan: Plan, resume: bool) -> None:
    """Writes the configuration: a folder with a teacher says to which run it belongs."""
    with lock_run(plan.folder):
        check_folder(plan.folder, plan.config, resume)
        records.write_config(plan.folder, plan.config)


@contextmanager
def _computing(config: RunConfig, device: torch.device) -> Iterator[None]:
    """Sets the precision and the current device; the caller's and its random numbers are as before afterwards."""
    with torch.random.fork_rng(devices=[]), matmul_precision(config.precision, device), current(device):
        yield
