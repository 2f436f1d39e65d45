"""One run: training it, scoring it, its network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from osakd.api.arguments import check_early, images_for, logged
from osakd.api.evaluation import Answer, Evaluation
from osakd.api.signatures import takes_options
from osakd.errors import needing, printable
from osakd.paths import given_path
from osakd.records import Result, RunConfig, read_finished, read_metrics

if TYPE_CHECKING:
    from osakd.data.in_memory import Data
    from osakd.engine.callbacks import Callback
    from osakd.engine.predict import Predictor


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run: its folder, complete configuration, and result with scores, cost and environment."""

    folder: Path
    config: RunConfig
    result: Result

    def __str__(self) -> str:
        """What is deployed, and what it reached."""
        result, test = self.result, self.result.deployed_scores()
        deployed = result.deployed or {"weights": "last", "epoch": result.epochs, "temperature": 1}
        temperature = deployed["temperature"]
        return (
            f"{self.folder}: {'averaged ' * (deployed['weights'] == 'averaged')}weights of epoch {deployed['epoch']}"
            f"{', trained once more on all images' * ('refit' in deployed)}"
            f"{'' if temperature == 1 else f', temperature {temperature:.2f}'}: test accuracy "
            f"{100 * test['accuracy']:.2f} %, NLL {test['nll']:.3f}, ECE {100 * test['ece']:.2f} %; {result.epochs} "
            f"epoch{'s' * (result.epochs > 1)}, {result.seconds:.1f} s"
        )

    def __repr__(self) -> str:
        return f"<Run {self}>"

    def _repr_html_(self) -> str:
        return f"<p>{escape(printable(str(self)))}</p>"

    @property
    def soft_weights(self) -> list[float]:
        """The weight of the neighbours' soft labels in each epoch; empty where there are none."""
        rows = [row["train"] for row in read_metrics(self.folder)]
        return [row["soft_weight"] for row in rows if row.get("soft_weight") is not None]


@needing("train")
@takes_options
def train(
    data: "Data" = "digits",
    *,
    method: str | Mapping[str, Any] = "plain",
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    callbacks: "Sequence[Callback]" = (),
    log: Literal["tensorboard"] | None = None,
    **options: Any,
) -> Run:
    """Trains one network with one method.

    Args:
        data: data set: a name (osakd list), a folder, or a hub id. From Python also images in memory: a
            dictionary with the keys ``train`` and ``test``, whose values are pairs of arrays ``(images, labels)``,
            torch datasets of such pairs, or Hugging Face datasets (one of them without a test split goes with
            ``test_fraction``). Images are PIL images, ``uint8``, or floats in [0, 1].
        method: method (osakd list) or shorthand such as osakd-16nn. From Python also a mapping with ``name`` and
            settings.
        seed: seed of all random numbers, at least 0.
        out: folder of the run; by default runs/DATA-MODEL-METHOD-seedSEED.
        resume: resume a run that was stopped.
        callbacks: called at every step and epoch, see ``osakd.Callback``.
        log: also write the learning curve for TensorBoard into the run's folder. Needs the extra
            ``tensorboard``.
        **options: the fields of ``osakd.engine.config.Options``.

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
    from osakd.engine.config import image_options_of, options_of

    chosen = options_of(options)
    check_early(data, [method])
    from osakd.data.in_memory import given_data
    from osakd.engine import train as engine
    from osakd.engine.callbacks import Callbacks
    from osakd.engine.environment import pick_device
    from osakd.engine.plan import DataSource, plan_run

    pick_device(chosen.device)  # a device that is not there is refused before the images are read
    source = DataSource(given_data(data), image_options_of(chosen))
    plan = plan_run(source, method, seed, chosen, None if out is None else given_path(out))
    with logged(log, plan.folder) as logs:
        result = engine.run(plan, Callbacks([*callbacks, *logs]), resume=resume)
    return Run(plan.folder, plan.config, result)


@needing("train")
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
) -> Evaluation:
    """Evaluates a finished run's network, or an exported file, on a test set. Classes are matched by name.

    Args:
        run: folder of the run, or an exported file.
        data: data set, as for train; by default the one that the run was trained on. A test
            split is enough, and of class folders without a split all images are taken.
        device: device to compute on: cpu, cuda or cuda:N; by default cuda where there is one.
        resize: size in pixels to which all images are resized: 32, or height x width such as 64x48; by default the
            run's.
        label_column: column of Parquet files that holds the class; by default the run's.
        image_column: column of Parquet files that holds the image; by default the run's.
        trust: call a function that the run's folder names as its network: its code runs.
        on_note: called with each note on how the data were read.

    Returns:
        The scores by name: ``accuracy``, ``balanced_accuracy`` and ``ece`` in 0 to 1, ``nll`` in nats; ``top5`` from
        100 classes on. Its attributes say more, see ``Evaluation``.

    Raises:
        InputError: not a finished run, or data that its network cannot take.
    """
    network = load(run, trust=trust)
    from osakd.engine.environment import pick_device
    from osakd.engine.evaluate import final_scores, outputs_on

    changes = {"resize": resize, "label_column": label_column, "image_column": image_column}
    arrays = images_for(data, network.data, test_only=True, **changes)
    for note in arrays.notes:
        if on_note is not None:
            on_note(note)
    logits, target = outputs_on(network, arrays, pick_device(device))
    confidence, predicted = logits.double().softmax(1).max(1)
    files = arrays.test_files or [f"image {number}" for number in range(len(target))]
    names = network.class_names
    answers = [
        Answer(file, names[label], names[guess], share)
        for file, label, guess, share in zip(
            files, target.tolist(), predicted.tolist(), confidence.tolist(), strict=True
        )
    ]
    return Evaluation(final_scores(logits, target), answers, names)


@needing("train")
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
    from osakd.leaves import load as load_object
    from osakd.leaves import offered

    path, loaders = given_path(run), offered("loaders")
    if path.is_file() and loaders:
        return load_object(loaders["exported"])(path)
    read_finished(path)  # what is no run is refused before PyTorch is imported
    from osakd.engine.state import load_student

    return load_student(path, trust=trust)
