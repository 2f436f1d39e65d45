"""The network of a run that is deployed: its weights, calibrated, with its scores."""

from typing import Any

from torch import Tensor, nn

from osakd.engine.best import AVERAGED, LAST, Chosen
from osakd.engine.calibration import TEMPERATURE, Temperature, divide_last_layer, fit_temperature
from osakd.engine.config import FEWEST_TO_CALIBRATE, FEWEST_TO_CHOOSE, chooses
from osakd.engine.evaluate import final_scores, logits_of, scores, to_floats
from osakd.engine.executors.base import Executor
from osakd.records import RunConfig


def deployable(
    executor: Executor, number: int, config: RunConfig, chosen: Chosen | None, epoch: int
) -> tuple[nn.Module, dict[str, Any]]:
    """The deployed network of a replica, and what ``Result.deployed`` says of it; None chosen: not validated."""
    weights = chosen.weights if chosen else LAST if config.deploy == "last" else AVERAGED
    network = executor.networks(averaged=weights == AVERAGED)[number]
    if chosen:
        network.load_state_dict(chosen.state)
    splits = executor.splits[number * len(executor.splits) // executor.replicas]
    logits = {name: logits_of(network, split) for name, split in splits.items() if name != "train"}
    temperature = 1.0
    if chosen:
        temperature = chosen.temperature
    elif config.deploy != "last" and config.data["validation"] >= FEWEST_TO_CALIBRATE:
        temperature = fit_temperature(logits["validation"], splits["validation"].target)
    calibrate(network, temperature, splits["test"].images[:1])
    scored = {name: final_scores(of_split / temperature, splits[name].target) for name, of_split in logits.items()}
    uncalibrated = scores(logits["test"], splits["test"].target)
    about = {"weights": weights, "epoch": chosen.epoch if chosen else epoch, "temperature": temperature}
    return network, about | scored | {"uncalibrated": uncalibrated}


def calibrate(network: nn.Module, temperature: float, images: Tensor) -> None:
    """Builds a temperature into a network's last linear layer, else behind it; images of 0 to 255 find that layer."""
    inputs = to_floats(images)
    if temperature != 1 and not divide_last_layer(network, temperature, inputs):
        network.add_module(TEMPERATURE, Temperature(temperature).to(inputs.device))


def deploy_notes(config: RunConfig) -> list[str]:
    """What is held out for validation, and that too little is to choose an epoch."""
    held_out, used = config.data["validation"], config.data["train"]
    notes = [f"Held out for validation: {held_out:,} of {used + held_out:,} training images."] if held_out else []
    if config.deploy == "best" and not chooses(config):
        few = f"Fewer than {FEWEST_TO_CHOOSE}" if held_out else "No"
        chosen = "so no epoch is chosen: the averaged weights of the last one are deployed"
        notes.append(f"{few} images are held out for validation, {chosen}.")
    if config.deploy != "last" and held_out < FEWEST_TO_CALIBRATE:
        notes.append(f"The network is not calibrated, which takes {FEWEST_TO_CALIBRATE} validation images.")
    return notes
