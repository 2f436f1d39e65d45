"""Runs many plans: together in one process, or one by one in a pool of workers. Progress is read from their records."""

import json
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from osakd.engine.environment import pick_device
from osakd.engine.executors.registry import AUTO, executors_together, for_single_run
from osakd.engine.folders import check_configuration, check_folder
from osakd.engine.plan import Plan
from osakd.errors import NO_MEMORY, InputError, NotFusedError, RunError, is_out_of_memory, one_line
from osakd.methods.registry import settings_of
from osakd.records import CHECKPOINT, is_free, read_metrics, write_error
from osakd.runner.pools import InProcessPool, LocalPool, Pool
from osakd.runner.progress import OnProgress, Progress, TimeLeft
from osakd.runner.worker import Errors, Group

SECONDS_BETWEEN_UPDATES = 0.25
MOST_DEATHS = 3
"""Number of times that the worker of a group may die without a checkpoint in between."""


def run_plans(plans: Sequence[Plan], *, processes: int, on_progress: OnProgress) -> Errors:
    """Runs every plan and the stages before it; finished runs are not run again.

    Runs that differ only in seed and method are trained together where their executor allows it; else each is trained
    alone, one at a time on a GPU. A worker that dies costs the epochs since its last checkpoint.

    Args:
        plans: the runs of one comparison; the longest start first, so that no core waits for the last one.
        processes: number of cores to use: threads where runs are trained together, or processes of one thread each;
            with 1 everything runs in this process.
        on_progress: called with the progress of every run and stage four times a second.

    Returns:
        The error of each run that failed, by folder, which is also recorded there; the others have finished.

    Raises:
        RunError: no process could be started.
        KeyboardInterrupt: after the workers have been asked to stop.
    """
    runner, errors = _Runner(processes, on_progress), Errors()
    stages_of: dict[Path, list[Plan]] = {}
    for plan in plans:
        try:
            states = _recorded_states(plan)
        except (InputError, RunError) as error:
            errors[plan.folder] = error
            _record(plan, error)
            states = [Progress(plan, done=True, error=error)]
        stages_of[plan.folder] = [state.plan for state in states]
        runner.states |= {state.plan.folder: state for state in states}
    on_progress([state for state in runner.states.values() if state.done])
    for level in range(max(len(stages) for stages in stages_of.values())):
        of_level = [stages[level] for stages in stages_of.values() if level < len(stages)]
        failed = runner.run_level([stage for stage in of_level if not runner.states[stage.folder].done])
        for plan in plans:
            for number, stage in enumerate(stages_of[plan.folder]):
                if stage.folder in failed:
                    errors[plan.folder] = failed[stage.folder]
                    _record(plan, errors[plan.folder])
                    for later in stages_of[plan.folder][number:]:  # later stages cannot run
                        runner.states[later.folder] = Progress(later, done=True, error=failed[stage.folder])
        if failed:
            on_progress(list(runner.states.values()))
    return errors


class _Runner:
    """Runs plans level by level."""

    def __init__(self, processes: int, on_progress: OnProgress) -> None:
        self.processes, self.on_progress = processes, on_progress
        self.states: dict[Path, Progress] = {}
        self.time_left = TimeLeft()

    def run_level(self, plans: Sequence[Plan]) -> Errors:
        """Runs plans that wait for no other."""
        if not plans:
            return {}
        executor, kernels, device = plans[0].executor, plans[0].kernels, pick_device(plans[0].device).type
        groups = groups_of(plans) if executors_together(executor, device, kernels) else []
        errors = self._run_all(groups, workers=1, threads=self.processes) if groups else {}
        together = {plan.folder for group in groups for plan in group}
        if executor == AUTO:
            # What cannot be fused runs one by one.
            together -= {folder for folder, error in errors.items() if isinstance(error, NotFusedError)}
            errors = {folder: error for folder, error in errors.items() if folder in together}
        left = [plan for plan in plans if plan.folder not in together]
        singles: list[Group] = [(replace(plan, executor=for_single_run(executor)),) for plan in longest_first(left)]
        self.states |= {plan.folder: Progress(plan) for (plan,) in singles}
        if singles:
            errors |= self._run_all(singles, workers=self._workers(singles[0][0]), threads=1)
        return errors

    def _workers(self, plan: Plan) -> int:
        return self.processes if pick_device(plan.device).type == "cpu" else 1

    def _run_all(self, groups: Sequence[Group], *, workers: int, threads: int) -> Errors:
        """Runs groups in a pool; a group whose worker died continues from its checkpoints in another worker."""
        pool = self._pool(groups[0][0], workers, threads)
        waiting, running = deque(groups), dict[Future[Errors], Group]()
        deaths: dict[Path, tuple[int, int]] = {}
        errors: Errors = {}
        try:
            while waiting or running:
                while waiting and pool.is_free():
                    group = waiting.popleft()
                    running[pool.submit(group)] = group
                ended, _ = wait(running, SECONDS_BETWEEN_UPDATES, return_when=FIRST_COMPLETED)
                for future in ended:
                    group = running.pop(future)
                    if not pool.release(future):
                        errors |= _errors(future, group)
                    elif _may_retry(group, deaths):
                        waiting.appendleft(group)
                        self.time_left.forget(group[0])
                        continue
                    else:
                        errors |= dict.fromkeys((plan.folder for plan in group), _worker_died(group))
                    self._update(group, pool, errors, done=True)
                for group in running.values():
                    self._update(group, pool, errors, done=False)
                self.on_progress(list(self.states.values()))
        except BaseException:
            pool.stop()
            raise
        finally:
            pool.close()
        return errors

    def _pool(self, plan: Plan, workers: int, threads: int) -> Pool:
        """Where groups are trained: in this process where one is enough, but not on a GPU, which may fail for good."""
        in_process = self.processes == 1 or (workers == 1 and pick_device(plan.device).type == "cpu")
        return InProcessPool(threads) if in_process else LocalPool(workers, threads)

    def _update(self, group: Group, pool: Pool, errors: Errors, *, done: bool) -> None:
        """Updates the states of the runs of a group."""
        notes = pool.notes().get(str(group[0].folder), ())
        for number, plan in enumerate(group):
            running = not done and plan.folder.exists()
            rows = read_metrics(plan.folder) if (running and not number) or done else []
            seconds_left = self.time_left.estimate(plan, len(rows)) if running and not number else None
            replicas = 0 if number else len(group)
            error = errors.get(plan.folder)
            self.states[plan.folder] = Progress(plan, rows, running, done, error, replicas, notes, seconds_left)


def groups_of(plans: Sequence[Plan]) -> list[Group]:
    """Groups of runs that may be trained together: only seed and method differ, and every seed has the same methods.

    Methods that train several networks are left out, and so are runs that have no other to share a group with.
    """
    by_seed: dict[tuple[str, int], list[Plan]] = {}
    for plan in plans:
        if settings_of(plan.config).single_network and not plan.config.refit:
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


def _recorded_states(plan: Plan) -> list[Progress]:
    """The progress of all stages of a run as its records say, of a finished run that of its last stage alone.

    Raises:
        InputError: a folder has other content, or a run of another configuration.
        RunError: its records are damaged.
    """
    states = []
    for stage in reversed(plan.stages()):
        done = check_folder(stage.folder, stage.config, resume=True) is not None
        rows = read_metrics(stage.folder) if done else []
        states.insert(0, Progress(stage, rows, running=False, done=done))
        if done:
            break
    return states


def _may_retry(group: Group, deaths: dict[Path, tuple[int, int]]) -> bool:
    """Whether a group whose worker died is tried again: not after ``MOST_DEATHS`` deaths without a checkpoint."""
    folder = group[0].folder
    saved = (folder / CHECKPOINT).stat().st_mtime_ns if (folder / CHECKPOINT).exists() else 0
    before, last_saved = deaths.get(folder, (0, saved))
    deaths[folder] = (before + 1 if saved == last_saved else 1, saved)
    return deaths[folder][0] < MOST_DEATHS


def _worker_died(group: Group) -> RunError:
    less = "--executor serial makes one run at a time" if len(group) > 1 else "a smaller --batch-size"
    return RunError(
        f"Its worker process died {MOST_DEATHS} times without a checkpoint in between, killed from outside (out of "
        f"memory?): give the same command again; {less} needs less memory."
    )


def _record(plan: Plan, error: InputError | RunError) -> None:
    """Records why a run failed, unless its folder has other content or cannot be written."""
    with suppress(InputError, RunError):
        if is_free(plan.folder) or check_configuration(plan.folder, plan.config) == plan.config:
            write_error(plan.folder, str(error))


def _errors(future: "Future[Errors]", group: Group) -> Errors:
    error = future.exception()
    if error is None:
        return future.result()
    if is_out_of_memory(error):
        error = RunError(NO_MEMORY)
    if not isinstance(error, InputError | RunError):
        error = RunError(f"unexpected {type(error).__name__}: {one_line(error)}.")
    return dict.fromkeys((plan.folder for plan in group), error)
