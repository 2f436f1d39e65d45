"""A run folder or an exported file as something to evaluate, predict with and measure."""

from collections import OrderedDict
from pathlib import Path

from osakd.deploy.exported import load_exported
from osakd.deploy.formats import is_exported
from osakd.deploy.predict import Predictor, TrainedNetwork
from osakd.engine.state import load_student


def load_model(path: Path, *, trust: bool = False) -> Predictor:
    """The network of a finished run, in eval mode, or an exported file.

    Raises:
        InputError: see ``osakd.load``.
    """
    if is_exported(path):
        return load_exported(path)
    student = load_student(path, trust=trust)
    network = TrainedNetwork(OrderedDict(student.named_children()))
    network.class_names, network.input_shape = student.class_names, student.input_shape  # type: ignore[assignment]
    return network.eval()
