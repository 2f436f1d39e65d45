r"""Which weights are deployed: of every epoch, averaged or not, those that know most of the validation images.

.. math:: R = \min_T \mathrm{NLL}(z / T)

is the score: the loss of the logits z on the validation images at the best temperature. So confidence, which a
temperature mends, does not decide ("refine, then calibrate").

Reference:
    Berta et al., "Rethinking Early Stopping: Refine, Then Calibrate", 2025.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from math import isnan
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from osakd.checks import number, whole
from osakd.engine.averaging import WeightAverage, averaged_names, decay_of
from osakd.engine.calibration import Temperature, divide_last_layer, network_logits, refined_nll
from osakd.errors import InputError

AVERAGED, LAST = "averaged", "last"
"""Names of a network's averaged and present weights."""
LABELS = "labels"
Batch = tuple[Tensor, Tensor] | Mapping[str, Tensor]


class Chosen(NamedTuple):
    """Weights that may be deployed: ``averaged`` or ``last`` of an epoch, their loss (nats) and its temperature."""

    weights: str
    epoch: int
    refined_nll: float
    temperature: float
    state: dict[str, Tensor]


def better(
    chosen: Chosen | None, epoch: int, scores: Mapping[str, tuple[float, float]], state_of: Callable[[str], Any]
) -> Chosen | None:
    """What is chosen after an epoch, by ``refined_nll``; of equal scores the first counts. The state dict is copied."""
    weights = min(scores, key=lambda name: (isnan(scores[name][0]), scores[name][0]))
    loss, temperature = scores[weights]
    if chosen is not None and not loss < chosen.refined_nll and not isnan(chosen.refined_nll):
        return chosen
    return Chosen(
        weights, epoch, loss, temperature, {name: t.detach().clone() for name, t in state_of(weights).items()}
    )


class BestAverage:
    """Averages the weights of a network while any loop trains it, and keeps the best: averaged or not, of any epoch.

    Call ``update`` after each step, ``validate`` after each epoch, and ``finish`` at the end. Its state dict makes a
    resume exact.

    Args:
        network: the network, from inputs to logits.
        steps_per_epoch: number of optimizer steps in an epoch, at least 1.
        epochs: window of the average in epochs, above 0.

    Attributes:
        chosen: the best weights so far; None before the first ``validate``.

    Raises:
        InputError: a value out of its range.

    Example:
        >>> network = nn.Linear(2, 2)
        >>> optimizer = torch.optim.SGD(network.parameters(), 0.1)
        >>> inputs, target = torch.tensor([[2.0, 0.0], [0.0, 2.0]] * 8), torch.tensor([0, 1] * 8)
        >>> best = BestAverage(network, steps_per_epoch=1)
        >>> for epoch in range(3):
        ...     nn.functional.cross_entropy(network(inputs), target).backward()
        ...     optimizer.step()
        ...     optimizer.zero_grad()
        ...     best.update()
        ...     score = best.validate([(inputs, target)])
        >>> network = best.finish()
        >>> best.chosen.epoch
        3
    """

    def __init__(self, network: nn.Module, steps_per_epoch: int, epochs: float = 2.0) -> None:
        steps, window = whole("steps_per_epoch", steps_per_epoch, least=1), number("epochs", epochs, above=0)
        self.network, self.epoch = network, 0
        self.example: Tensor | dict[str, Tensor] | None = None
        state = network.state_dict(keep_vars=True)
        self.names = averaged_names(network)
        self.average = WeightAverage([state[name] for name in self.names], decay_of(window, steps))
        self.chosen: Chosen | None = None

    def update(self) -> None:
        """Takes the weights after an optimizer step into the average."""
        self.average.update()

    def validate(self, batches: Iterable[Batch]) -> float:
        """Scores the network and its average on validation images after an epoch, and keeps the better if it is best.

        Args:
            batches: pairs of inputs and class indices, such as a ``DataLoader``, gone over twice; or, for a network of
                transformers, mappings with ``labels``.

        Returns:
            The lower loss of the two, in nats, each at its best temperature.

        Raises:
            InputError: there are no images.
        """
        self.epoch += 1
        scores = {LAST: refined_nll(*self._outputs(batches))}
        with self.average.swapped():
            scores[AVERAGED] = refined_nll(*self._outputs(batches))
        self.chosen = better(self.chosen, self.epoch, scores, self._state_of)
        return min(loss for loss, _ in scores.values())

    def finish(self) -> nn.Module:
        """Loads the best weights into the network, and calibrates it.

        Returns:
            The network to deploy: the same one with the temperature in its last layer where that is linear, else with a
            layer after it that divides its outputs.

        Raises:
            InputError: ``validate`` was never called.
        """
        if self.chosen is None:
            raise InputError("There is nothing to choose from: call `validate` after each epoch.")
        self.network.load_state_dict(self.chosen.state)
        temperature, example = self.chosen.temperature, self.example
        if example is not None and divide_last_layer(self.network, temperature, example):
            return self.network
        return nn.Sequential(self.network, Temperature(temperature).to(next(iter(self.chosen.state.values())).device))

    def state_dict(self) -> dict[str, Any]:
        """The average, and the best weights so far."""
        averages = dict(zip(self.names, self.average.averages, strict=True))
        chosen = None if self.chosen is None else self.chosen._asdict()
        return {"epoch": self.epoch, "steps": int(self.average.steps), "average": averages, "chosen": chosen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Loads what ``state_dict`` returned."""
        self.epoch, chosen = state["epoch"], state["chosen"]
        self.average.load([state["average"][name] for name in self.names], state["steps"])
        self.chosen = None if chosen is None else Chosen(**copy.deepcopy(chosen))

    def _state_of(self, weights: str) -> dict[str, Tensor]:
        if weights == LAST:
            return self.network.state_dict()
        with self.average.swapped():
            return {name: tensor.clone() for name, tensor in self.network.state_dict().items()}

    def _outputs(self, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
        was_training = self.network.training
        try:
            with torch.no_grad():
                self.network.eval()
                parts = []
                device = next(self.network.parameters()).device
                for batch in batches:
                    if isinstance(batch, Mapping):
                        inputs = {name: part.to(device) for name, part in batch.items() if name != LABELS}
                        self.example, target = {name: part[:1] for name, part in inputs.items()}, batch[LABELS]
                    else:
                        inputs, target = batch[0].to(device), batch[1]
                        self.example = inputs[:1]
                    parts.append((network_logits(self.network, inputs), target.to(device)))
        finally:
            self.network.train(was_training)
        if not parts:
            raise InputError("There are no validation images: give batches of inputs and class indices.")
        logits, targets = zip(*parts, strict=True)
        return torch.cat(logits), torch.cat(targets)
