"""A LightningModule with an OSAKD loss, and what trains it."""

from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import osakd
from osakd.integrations.lightning import OSAKDCallback
from tests.losses.ranks import as_torchrun

N, BATCH, FEATURES, C = 1408, 64, 8, 4
IMAGES = torch.randn(N, FEATURES, generator=torch.Generator().manual_seed(0))
TARGET = IMAGES[:, :C].argmax(1)
DATASET = osakd.WithIndex(TensorDataset(IMAGES, TARGET))


class Steps:
    """A small network with a loss that keeps all that it can; sizes are open unless given."""

    def __init__(self, num_samples: int = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = torch.nn.Sequential(torch.nn.Linear(FEATURES, 16), torch.nn.Tanh(), torch.nn.Linear(16, C))
        self.loss = osakd.OSAKDLoss(C, k=8, memory=osakd.OutputMemory(num_samples, C))

    def training_step(self, batch: list[Tensor]) -> Tensor:
        images, target, index = batch
        return self.loss(self.network(images), target, index)

    def validation_step(self, batch: list[Tensor]) -> None:
        images, target = batch
        self.log("validation_loss", self.loss(self.network(images), target))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


class Classifier(Steps, lightning.LightningModule):
    """The same for Lightning."""


def options(epochs: int, folder: Path | None = None) -> dict[str, Any]:
    """Those of a quiet Trainer, which writes checkpoints if it has a folder."""
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    saved = {"enable_checkpointing": folder is not None, "default_root_dir": folder}
    return {"max_epochs": epochs, "callbacks": [OSAKDCallback()], **quiet, **saved}


def trainer(epochs: int, folder: Path | None = None, **more: Any) -> lightning.Trainer:
    return lightning.Trainer(**options(epochs, folder), **more)


def loader(rank: int = 0, world: int = 1) -> DataLoader[Any]:
    """The part of each batch that a process has."""
    sampler = DistributedSampler(DATASET, world, rank, shuffle=False)
    return DataLoader(DATASET, BATCH // world, sampler=sampler)


def on_rank(rank: int, world: int, port: int) -> dict[str, Tensor]:
    """The state after an epoch on one of several processes that torchrun has started."""
    as_torchrun(rank, world, port)
    module = Classifier()
    trainer(1, strategy="ddp", devices=world, precision="64-true").fit(module, loader(rank, world))
    return module.state_dict()
