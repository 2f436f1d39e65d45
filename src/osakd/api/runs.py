"""One run: training it, scoring it, its network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from osakd.api.arguments import data_or_recorded, logged
from osakd.paths import given_path
from osakd.records import Result, RunConfig

if TYPE_CHECKING:
    from osakd.data.in_memory import Data
    from osakd.deploy.predict import Predictor
    from osakd.engine.callbacks import Callback


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: the run's folder.
        config: the complete configuration.
        result: scores, cost and environment.
    """

    folder: Path
    config: RunConfig
    result: Result


def train(
    data: "Data" = "digits",
    *,
    method: str | Mapping[str, Any] = "plain",
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    callbacks: "Sequence[Callback]" = (),
    log: str | None = None,
    **options: Any,
) -> Run:
    """Trains one network with one method.

    Args:
        data: a name (``digits``, ``cifar10``, ...), a local folder, or a hub id; or images in memory: a dictionary with
            the keys ``train`` and ``test``, whose values are pairs of arrays ``(images, labels)``, torch datasets of
            such pairs, or Hugging Face datasets (one of them without a test split goes with ``test_fraction``). Images
            are PIL images, ``uint8``, or floats in [0, 1].
        method: a name, a shorthand such as ``osakd-16nn``, or a mapping with ``name`` and settings.
        seed: seed of all random numbers, at least 0.
        out: folder of the run; by default ``runs/<data>-<model>-<method>-seed<seed>``.
        resume: resume a run that was stopped.
        callbacks: called at every step and epoch; see ``osakd.Callback``.
        log: ``tensorboard`` also writes the learning curve as an event file into the folder; needs that extra.
        **options: training options such as model, epochs, batch_size: see ``osakd.engine.config.Options``.

    Returns:
        The run; ``osakd.load(run.folder)`` gives the network.

    Raises:
        InputError: an argument cannot be used.
        RunError: the run failed.

    Example:
        >>> import tempfile
        >>> run = train("digits", method="osakd", epochs=2, out=tempfile.mkdtemp())
        >>> run.result.last["epoch"]
        2
    """
    from osakd.data.in_memory import given_data
    from osakd.engine import train as engine
    from osakd.engine.callbacks import Callbacks
    from osakd.engine.config import options_of, reading_of
    from osakd.engine.environment import pick_device
    from osakd.engine.plan import DataSource, plan_run

    chosen = options_of(options)
    pick_device(chosen.device)  # a device that is not there is refused before the images are read
    source = DataSource(given_data(data), reading_of(chosen))
    plan = plan_run(source, method, seed, chosen, None if out is None else given_path(out))
    with logged(log, plan.folder) as logs:
        result = engine.run(plan, Callbacks([*callbacks, *logs]), resume=resume)
    return Run(plan.folder, plan.config, result)


def evaluate(
    run: str | Path,
    *,
    data: "Data | None" = None,
    device: str | None = None,
    resize: int | str | None = None,
    label_column: str | None = None,
    image_column: str | None = None,
    trust: bool = False,
    on_note: Callable[[str], object] | None = None,
) -> dict[str, float]:
    """Evaluates a finished run's network, or an exported file, on a test set. Classes are matched by name.

    Args:
        run: the run's folder, or an exported file.
        data: see ``train``; a test split is enough, and of class folders without a split all images are taken. By
            default the data that the run was trained on, if they are known by name.
        device: device to compute on: cpu, cuda or cuda:N.
        resize: size of the images, see ``train``; by default the run's.
        label_column: see ``train``; by default the run's.
        image_column: see ``train``; by default the run's.
        trust: a function that the run's folder names as its network may be called: its code runs.
        on_note: called with each note on how the data were read.

    Returns:
        ``accuracy`` and ``ece`` in 0 to 1, ``nll`` in nats; ``top5`` from 100 classes on.

    Raises:
        InputError: not a finished run, or data that its network cannot take.
    """
    from osakd.data.reading import Reading, new_reading, recorded_reading
    from osakd.data.sources import load_test
    from osakd.deploy.exported import ExportedNetwork
    from osakd.engine.environment import pick_device
    from osakd.engine.evaluate import evaluate_on
    from osakd.records import read_config

    network = load(run, trust=trust)
    if isinstance(network, ExportedNetwork):
        about = network.about
        recorded, trained_on = Reading(), about.data_content
        name = data_or_recorded(data, about.data, about.data_kind, split="test")
    else:
        made_of = cast(RunConfig, read_config(given_path(run))).data  # a run's folder: its network could be loaded
        recorded, trained_on = recorded_reading(made_of), made_of["content"]
        name = data_or_recorded(data, made_of["name"], made_of["kind"], split="test")
    given = {"resize": resize, "label_column": label_column, "image_column": image_column}
    chosen = {key: value for key, value in given.items() if value is not None}
    reading = new_reading(**vars(recorded) | chosen)
    arrays = load_test(name, reading, trained_on=trained_on)
    if on_note is not None:
        for note in arrays.notes:
            on_note(note)
    return evaluate_on(network, arrays, pick_device(device))


def load(run: str | Path, *, trust: bool = False) -> "Predictor":
    """The deployed network of a finished run, in eval mode, or an exported file.

    It takes float images in [0, 1], ``[n, channels, h, w]``, and returns logits. ``predict(images)`` takes images as
    you have them (paths, PIL images, ``uint8`` or float arrays) and gives classes with probabilities; ``class_names``
    and ``input_shape`` say what the network knows and takes.

    Args:
        run: the run's folder, or a file that ``osakd export`` wrote.
        trust: a function that the folder names as its network may be called: its code runs.

    Raises:
        InputError: neither, a run that has not finished, one that names a function, without ``trust``, or a file that
            is damaged or whose extra is not installed.
    """
    from osakd.deploy.models import load_model

    return load_model(given_path(run), trust=trust)
