"""A trained network that is saved to and loaded from the Hugging Face hub."""
# pyright: reportMissingImports=false

from collections import OrderedDict
from pathlib import Path
from typing import Any

from torch import nn

from osakd.deploy.card import model_card
from osakd.deploy.exported import using_extra
from osakd.durable import write_atomic
from osakd.engine.predict import TrainedNetwork
from osakd.engine.state import load_student, read_student, student_bytes
from osakd.paths import given_path

with using_extra("hub"):
    from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download

_WEIGHTS = "model.safetensors"
_DOWNLOAD = ("revision", "cache_dir", "force_download", "local_files_only", "token")


class OSAKDModel(
    ModelHubMixin, TrainedNetwork, library_name="osakd", tags=["osakd"], pipeline_tag="image-classification"
):
    """The deployed network of a run, with the methods of the hub: ``from_pretrained``, ``save_pretrained``.

    ``OSAKDModel.from_pretrained(place)`` takes a run folder, a folder that ``save_pretrained`` wrote, or a hub id.
    ``save_pretrained(folder)`` writes weights, configuration and model card; ``push_to_hub`` is huggingface_hub's own.
    """

    card: str | None

    def __init__(self, layers: "OrderedDict[str, nn.Module] | None" = None) -> None:
        super().__init__(layers or OrderedDict())

    def generate_model_card(self, *args: Any, **kwargs: Any) -> Any:
        """The run's card; huggingface_hub's own where the network came from elsewhere."""
        return ModelCard(self.card) if self.card else super().generate_model_card(*args, **kwargs)

    def _save_pretrained(self, save_directory: Path) -> None:
        content = student_bytes(self, self.model, self.input_shape, self.class_names)
        write_atomic(Path(save_directory) / _WEIGHTS, content)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> "OSAKDModel":
        folder = given_path(model_id)
        if (folder / _WEIGHTS).exists():
            student, card = read_student(folder / _WEIGHTS), _card_in(folder)
        elif folder.is_dir():
            student, card = load_student(folder), model_card(folder)
        else:
            download = {name: options[name] for name in _DOWNLOAD}
            student, card = read_student(Path(hf_hub_download(model_id, _WEIGHTS, **download))), None
        return cls._of(student, card)

    @classmethod
    def _of(cls, student: TrainedNetwork, card: str | None) -> "OSAKDModel":
        """The model with the layers of a deployed network."""
        network = cls(OrderedDict(student.named_children()))
        network.model, network.card = student.model, card
        network.class_names, network.input_shape = student.class_names, student.input_shape
        network._hub_mixin_config = {
            "model": student.model,
            "input_shape": list(student.input_shape),
            "class_names": list(student.class_names),
        }
        return network.eval()


def _card_in(folder: Path) -> str | None:
    path = folder / "README.md"
    return path.read_text(encoding="utf-8") if path.exists() else None
