"""A trained network that is saved to and loaded from the Hugging Face hub."""
# pyright: reportMissingImports=false

import json
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

from torch import nn

from osakd.deploy.card import model_card
from osakd.deploy.exported import using_extra
from osakd.durable import write_atomic
from osakd.engine.predict import TrainedNetwork
from osakd.engine.state import load_student, read_student, student_bytes
from osakd.errors import InputError, one_line
from osakd.models.build import TIMM
from osakd.paths import given_path

with using_extra("hub"):
    from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

_WEIGHTS = "model.safetensors"
_DOWNLOAD = ("revision", "cache_dir", "force_download", "local_files_only", "token")


class OSAKDModel(
    ModelHubMixin, TrainedNetwork, library_name="osakd", tags=["osakd"], pipeline_tag="image-classification"
):
    """The deployed network of a run, with the methods of the hub: ``from_pretrained``, ``save_pretrained``.

    ``OSAKDModel.from_pretrained(place)`` takes a run folder, a folder that ``save_pretrained`` wrote, or a hub id; with
    ``trust=True`` a function that it names as its network may be called. ``save_pretrained(folder)`` writes weights,
    configuration and model card, of a network of timm as timm reads them too; ``push_to_hub`` is huggingface_hub's own.
    """

    card: str | None

    def __init__(self, layers: "OrderedDict[str, nn.Module] | None" = None) -> None:
        super().__init__(layers or OrderedDict())

    @classmethod
    def from_pretrained(cls, place: str | Path, **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The network in a folder or on the hub; an InputError where there is none."""
        name, folder = str(place), given_path(str(place))
        beside = folder.parent != Path() and folder.parent.exists()
        if not folder.is_dir() and (beside or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name)):
            raise InputError(f"The folder {name!r} does not exist: give a folder, or a hub id such as me/my-network.")
        try:
            return super().from_pretrained(str(folder) if folder.is_dir() else name, **options)
        except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise InputError(
                f"There is no folder {name!r}, and the hub gives no network of that name ({one_line(error)[:200]}): "
                "check the name, and the network connection."
            ) from error

    def generate_model_card(self, *args: Any, **kwargs: Any) -> Any:
        """The run's card; huggingface_hub's own where the network came from elsewhere."""
        return ModelCard(self.card) if self.card else super().generate_model_card(*args, **kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        bare = self.model.startswith(TIMM) and set(dict(self.named_children())) == {"normalise", "network"}
        content = student_bytes(self, self.model, self.input_shape, self.class_names, bare=bare)
        write_atomic(Path(save_directory) / _WEIGHTS, content)
        config = {**self._hub_mixin_config, **(self._timm_config() if bare else {})}  # type: ignore[dict-item]
        write_atomic(Path(save_directory) / "config.json", json.dumps(config, indent=2, sort_keys=True).encode())

    def _timm_config(self) -> dict[str, Any]:
        """What timm reads, beside our own: images are resized as a whole."""
        normalise, network = self.children()
        known: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment] - timm's networks have it
        scaling = {name: getattr(normalise, name).flatten().tolist() for name in ("mean", "std")}
        kept = {
            name: known[name] for name in ("first_conv", "classifier", "pool_size", "interpolation") if name in known
        }
        return {
            "architecture": self.model.removeprefix(TIMM),
            "num_classes": len(self.class_names),
            "label_names": list(self.class_names),
            "model_args": {"in_chans": self.input_shape[0], "num_classes": len(self.class_names)},
            "pretrained_cfg": {
                **kept,
                **scaling,
                "input_size": self.input_shape,
                "crop_pct": 1.0,
                "crop_mode": "squash",
            },
        }

    @classmethod
    def _from_pretrained(cls, *, model_id: str, trust: bool = False, **options: Any) -> "OSAKDModel":
        folder, card = given_path(model_id), None
        if (folder / _WEIGHTS).exists():
            student, page = read_student(folder / _WEIGHTS, trust=trust), folder / "README.md"
            card = page.read_text(encoding="utf-8") if page.exists() else None
        elif folder.is_dir():
            student, card = load_student(folder, trust=trust), model_card(folder)
        else:
            download = {name: options[name] for name in _DOWNLOAD}
            student = read_student(Path(hf_hub_download(model_id, _WEIGHTS, **download)), trust=trust)
        network = cls(OrderedDict(student.named_children()))
        network.model, network.card = student.model, card
        network.class_names, network.input_shape = student.class_names, student.input_shape
        network._hub_mixin_config = {
            "model": student.model,
            "input_shape": list(student.input_shape),
            "class_names": list(student.class_names),
        }
        return network.eval()
