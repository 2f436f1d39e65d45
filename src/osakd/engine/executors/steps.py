"""The steps of an epoch: run eagerly, or captured once in a CUDA graph and replayed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
"""One step, from the indices of its images ``[seeds, n]``, steps taken and share of the schedule to values ``[v]``."""
WARM_UP_STEPS = 3


class Steps:
    """Runs the steps of an epoch one after another."""

    def __init__(self, step: Step, *, batch_size: int, total_steps: int) -> None:
        self.step, self.batch_size, self.total_steps = step, batch_size, total_steps

    def run(self, order: Tensor, *, first_step: int, on_step: Callable[[int], None]) -> tuple[Tensor, list[int]]:
        """Runs every batch of the orders ``[seeds, m]``; the values of each step ``[steps, v]``, the batches' sizes."""
        batches = split_order(order, self.batch_size)
        clock = torch.arange(first_step, first_step + len(batches), device=order.device)
        progress = clock / self.total_steps
        values = []
        for number, index in enumerate(batches):
            on_step(number)
            values.append(self.step(index, clock[number], progress[number]))
        return torch.stack(values), [index.shape[-1] for index in batches]

    def forget(self) -> None:
        """Invalidates captured graphs."""


class CapturedSteps(Steps):
    """Captures the step once for each batch size; an epoch then consists of replays, and the host never waits.

    The step reads the indices of its images and the clock from tensors that it advances, and writes its values to a
    table. Python control flow runs only at capture. Without CUDA a replay calls the step again: slower than
    ``Steps`` but with equal results, which tests rely on. ``state`` returns every tensor that a step changes; those
    that the first step creates start at zero.
    """

    def __init__(self, step: Step, state: Callable[[], Sequence[Tensor]], *, batch_size: int, total_steps: int) -> None:
        super().__init__(step, batch_size=batch_size, total_steps=total_steps)
        self.state = state
        self.replays: dict[int, Callable[[], object]] = {}

    def run(self, order: Tensor, *, first_step: int, on_step: Callable[[int], None]) -> tuple[Tensor, list[int]]:
        """Runs every batch of an epoch."""
        sizes = [index.shape[-1] for index in split_order(order, self.batch_size)]
        if not self.replays or order.shape != self.order.shape:
            # Number of the step in the epoch, place of its first image, steps taken; and how far a step moves them.
            self.counters = torch.zeros(3, dtype=torch.int64, device=order.device)
            self.moves = {size: torch.tensor([1, size, 1], device=order.device) for size in sizes}
            self.order = order.clone()
            self._capture(len(sizes))
        self.order.copy_(order)
        self.counters.copy_(torch.tensor([0, 0, first_step]))
        for number, size in enumerate(sizes):
            on_step(number)
            self.replays[size]()
        return self.table.clone(), sizes

    def forget(self) -> None:
        """Invalidates captured graphs: the next epoch captures anew."""
        self.replays = {}

    @torch.no_grad()
    def _capture(self, steps: int) -> None:
        """Warms up and captures, then restores the state."""
        before = [(tensor, tensor.clone()) for tensor in self.state()]
        device = self.order.device
        try:
            # Warming up must not change the random numbers of the run.
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                self._warm_up_and_capture(steps, cuda=device.type == "cuda")
        finally:
            known = {id(tensor) for tensor, _ in before}
            for tensor in self.state():
                if id(tensor) not in known:
                    tensor.zero_()
            for tensor, value in before:
                tensor.copy_(value)

    def _warm_up_and_capture(self, steps: int, *, cuda: bool) -> None:
        with _side_stream() if cuda else nullcontext(), torch.enable_grad():
            warm = [self.step(*self._inputs(size)) for size in self.moves for _ in range(WARM_UP_STEPS)]
        self.table = torch.stack(warm)[:1].detach().repeat(steps, 1)
        pool = None
        for size in self.moves:
            self.replays[size] = partial(self._replay, size)
            if cuda:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=pool), torch.enable_grad():
                    self._replay(size)
                pool = graph.pool()
                self.replays[size] = graph.replay

    def _inputs(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        places = self.counters[1] + torch.arange(size, device=self.order.device)
        return self.order.index_select(-1, places), self.counters[2], self.counters[2] / self.total_steps

    def _replay(self, size: int) -> None:
        values = self.step(*self._inputs(size))
        self.table.index_copy_(0, self.counters[:1], values.detach()[None])
        self.counters += self.moves[size]


@contextmanager
def _side_stream() -> Iterator[None]:
    """A stream for warming up: a step must run before its capture, and not on the default stream."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream().wait_stream(stream)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Number of batches of an epoch, see ``split_order``."""
    full, rest = divmod(images, batch_size)
    return full + (rest > 1)


def split_order(order: Tensor, batch_size: int) -> list[Tensor]:
    """The batches of an epoch: ``[seeds, m]`` is split along the last axis.

    A last batch of a single image is left out, since batch statistics need two.
    """
    batches = list(order.split(batch_size, dim=-1))
    return batches[:-1] if batches[-1].shape[-1] == 1 else batches
