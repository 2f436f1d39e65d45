"""Training images with their soft labels, from finished runs, for a report."""

import base64
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from osakd.api.arguments import images_for
from osakd.errors import InputError
from osakd.methods.registry import METHODS, settings_of
from osakd.methods.teacher_runs import is_recorded
from osakd.models.registry import check_trusted
from osakd.records import STUDENT, RunConfig
from osakd.runs import finished

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays, Images
    from osakd.report.page.page import Gallery
    from osakd.report.statistics.panel import RecordedPanel
    from osakd.runs import FinishedRun, RunRecord

COUNT, SHOWN = 24, 4
"""Images of a run, and the most classes of a soft label, beside the image's own."""


def galleries_of(panels: "Sequence[RecordedPanel]", data: str | None, *, trust: bool) -> "list[Gallery]":
    """A gallery of the first run of each panel that has soft labels and its network.

    The images are by default those that the runs were trained on; with ``trust``, functions that the
    runs name as their networks are called.

    Raises:
        InputError: no such run, or the images are not those that it was trained on.
    """
    runs = [(panel.name, run) for panel in panels if (run := _first(panel.runs)) is not None]
    if not runs:
        raise InputError(
            f"No finished run here has soft labels of neighbours and its network ({STUDENT}), which a gallery needs: "
            "train one of osakd here, or leave the gallery out."
        )
    with_images = [(name, run, images_for(data, run.config.data)) for name, run in runs]
    fitting = [(name, run, images) for name, run, images in with_images if images.content == run.config.data["content"]]
    if not fitting:
        _, run, images = with_images[0]
        raise InputError(
            f"The images of {images.name!r} (content {images.content[:8]}) are not those that {run.folder.name!r} was "
            f"trained on (content {run.config.data['content'][:8]}): name those with --data."
        )
    return [_gallery(name, run, images, trust=trust) for name, run, images in fitting]


def _first(runs: "Iterable[RunRecord]") -> "FinishedRun | None":

    for run in finished(runs):
        is_known = run.config.method in METHODS  # not a retired method
        if is_known and settings_of(run.config).has_soft_labels and (run.folder / STUDENT).exists():
            return run
    return None


def _gallery(panel: str, run: "FinishedRun", arrays: "DataArrays", *, trust: bool) -> "Gallery":
    from osakd.engine.environment import pick_device
    from osakd.engine.gallery import most_ambiguous
    from osakd.report.page.page import Gallery, Picture

    config = run.config
    check_trusted([config.model, *_functions(config.settings)], run.folder, trust=trust)
    view = arrays.view(config)
    pictures = []
    for row, soft_label, entropy in most_ambiguous(
        config, view, run.folder, pick_device(None), count=COUNT, trust=trust
    ):
        order = sorted(range(len(soft_label)), key=lambda label: (-soft_label[label], label))
        target = int(view.train.target[row])
        shown = [label for label in order if soft_label[label] > 0][:SHOWN]
        shown += [target] if target not in shown else []
        shares = [(view.class_names[label], soft_label[label]) for label in shown]
        pictures.append(Picture(_png(view.train.images[row]), view.class_names[target], entropy, shares))
    return Gallery(f"{panel}: {run.label}, seed {config.seed}", _caption(config, len(view.train)), pictures)


def _functions(settings: dict[str, Any]) -> list[str]:
    """The functions that settings may name: texts with a colon that are not the digest of a teacher."""
    texts = [text for value in settings.values() for text in (value if isinstance(value, list) else [value])]
    return [text for text in texts if isinstance(text, str) and ":" in text and not is_recorded(text)]


def _caption(config: RunConfig, images: int) -> str:
    """Which images are shown, and how their soft labels came about."""
    how = settings_of(config).soft_label_caption(config.batch_size, images)
    return (
        f"{COUNT} of {images:,}: of each class in turn that of the highest entropy, of equal ones by chance; {how}. "
        "These are images of the data set: share this page only where its licence lets you."
    )


def _png(image: "Images") -> str:
    """An image ``[h, w, channels]`` as a PNG in a ``data:`` address."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
