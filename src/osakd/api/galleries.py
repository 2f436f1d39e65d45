"""Training images with their soft labels, from finished runs, for a report."""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from osakd.errors import InputError
from osakd.methods.registry import METHODS, settings_of
from osakd.methods.teacher_runs import is_recorded
from osakd.models.registry import check_trusted
from osakd.records import STUDENT, RunConfig

if TYPE_CHECKING:
    from osakd.data.arrays import DataArrays, Images
    from osakd.report.page.gallery import Gallery
    from osakd.report.statistics.column import RecordedColumn
    from osakd.report.statistics.runs import RunRecord

COUNT, SHOWN = 24, 4
"""Images of a run, and the most classes of a soft label, beside the image's own."""


def galleries_of(columns: "Sequence[RecordedColumn]", data: str | None, *, trust: bool) -> "list[Gallery]":
    """A gallery of the first run of each column that has soft labels and its network.

    Args:
        columns: what is recorded.
        data: where the images are; by default what the runs were trained on, if known by name.
        trust: functions that the runs name as their networks may be called.

    Raises:
        InputError: no such run, or the images are not those that it was trained on.
    """
    found = [_first(column.runs) for column in columns]
    runs = [(column, entry) for column, entry in zip(columns, found, strict=True) if entry is not None]
    if not runs:
        raise InputError(
            f"No finished run here has soft labels of neighbours and its network ({STUDENT}), which a gallery needs: "
            "train one of osakd here, or leave the gallery out."
        )
    arrays = [_images(entry.config, data) for _, entry in runs if entry.config]
    fitting = [
        (column, entry, images)
        for (column, entry), images in zip(runs, arrays, strict=True)
        if entry.config and images.content == entry.config.data["content"]
    ]
    if not fitting:
        wanted = runs[0][1].config
        raise InputError(
            f"The images of {arrays[0].name!r} (content {arrays[0].content[:8]}) are not those that "
            f"{runs[0][1].folder.name!r} was trained on (content {wanted.data['content'][:8] if wanted else ''}): "
            "name those with --data."
        )
    return [_gallery(column.name, entry, images, trust=trust) for column, entry, images in fitting]


def _first(entries: "Sequence[RunRecord]") -> "RunRecord | None":
    return next(
        (
            entry
            for entry in entries
            if entry.result
            and entry.config
            and entry.config.method in METHODS  # not a retired one
            and settings_of(entry.config).has_soft_labels
            and (entry.folder / STUDENT).exists()
        ),
        None,
    )


def _images(config: RunConfig, data: str | None) -> "DataArrays":
    from osakd.data.reading import recorded_reading
    from osakd.data.sources import load_data

    if data is None and config.data["kind"] == "folder":
        raise InputError(f"The run was trained on a local folder called {config.data['name']!r}: name it with --data.")
    return load_data(data or config.data["name"], recorded_reading(config.data))


def _gallery(column: str, entry: "RunRecord", arrays: "DataArrays", *, trust: bool) -> "Gallery":
    from osakd.engine.environment import pick_device
    from osakd.engine.gallery import most_ambiguous
    from osakd.report.page.gallery import Gallery, Picture

    config = entry.config
    if config is None:
        raise InputError(f"{entry.folder.name!r} has no configuration.")
    check_trusted([config.model, *_functions(config.settings)], entry.folder, trust=trust)
    view = arrays.view(config)
    pictures = []
    for row, soft_label, entropy in most_ambiguous(
        config, view, entry.folder, pick_device(None), count=COUNT, trust=trust
    ):
        order = sorted(range(len(soft_label)), key=lambda label: (-soft_label[label], label))
        own = int(view.train.target[row])
        shown = [label for label in order if soft_label[label] > 0][:SHOWN]
        shown += [own] if own not in shown else []
        shares = [(view.class_names[label], soft_label[label]) for label in shown]
        pictures.append(Picture(_png(view.train.images[row]), view.class_names[own], entropy, shares))
    return Gallery(f"{column}: {entry.label}, seed {config.seed}", _caption(config, len(view.train)), pictures)


def _functions(settings: dict[str, Any]) -> list[str]:
    """The functions that settings may name: texts with a colon, and no digest of a teacher."""
    texts = [text for value in settings.values() for text in (value if isinstance(value, list) else [value])]
    return [text for text in texts if isinstance(text, str) and ":" in text and not is_recorded(text)]


def _caption(config: RunConfig, images: int) -> str:
    """Which images are shown, and how their soft labels came about."""
    how = settings_of(config).soft_label_caption(config.batch_size, images)
    return (
        f"The {COUNT} soft labels with the highest entropy of {images:,}: {how}. These are images of the data set: "
        "share this page only where its licence lets you."
    )


def _png(image: "Images") -> str:
    """An image ``[h, w, channels]`` as a PNG in a ``data:`` address."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
