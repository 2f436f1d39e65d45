"""Training once more on all images, those held out among them, for the number of epochs that validation chose."""

from collections.abc import Callable
from dataclasses import replace

import torch

from osakd import records
from osakd.engine.deployable import calibrate
from osakd.engine.environment import pick_device
from osakd.engine.evaluate import final_scores, outputs_on
from osakd.engine.plan import Plan
from osakd.engine.state import load_student, save_student
from osakd.records import Result

REFIT = "refit"
"""Folder of the second training in the folder of a run, and its mark in what is deployed."""


def refit(plan: Plan, result: Result, train: Callable[[Plan], Result]) -> Result:
    """Trains once more on all images, and deploys that network at the known temperature, without validation."""
    chosen = result.deployed
    assert chosen is not None  # noqa: S101 - for the type checker
    data = plan.source.arrays.part(plan.config.fraction)
    all_images = data.record(channels=plan.config.data["input_shape"][0], validation=0.0, seed=plan.config.seed)
    what = {"validation": 0.0, "patience": None, "refit": False, "deploy": chosen["weights"], "epochs": chosen["epoch"]}
    again = replace(plan, folder=plan.folder / REFIT, config=replace(plan.config, data=all_images, **what))
    uncalibrated = train(again).deployed_scores()
    network = load_student(again.folder, trust=True)
    calibrate(network, chosen["temperature"], torch.from_numpy(again.data.test.images[:1]))
    save_student(plan.folder, network, plan.config, plan.source.arrays.class_names)
    scores = final_scores(*outputs_on(network, again.data, pick_device(plan.device)))
    about = {key: chosen[key] for key in ("weights", "epoch", "temperature")}
    deployed = about | {"test": scores, "uncalibrated": uncalibrated, REFIT: True}
    records.write_result(plan.folder, replace(result, deployed=deployed))
    return replace(result, deployed=deployed)
