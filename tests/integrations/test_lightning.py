"""The real Lightning trains what a plain loop trains, on one and two processes, and resumes exactly."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset

from osakd.errors import InputError
from tests.integrations.pages import PAGE, blocks, run
from tests.losses.ranks import on_ranks, torchrun_store
from tests.needs import needs

lightning = needs("lightning")

from tests.integrations.in_lightning import (  # noqa: E402 - they import Lightning
    BATCH,
    DATASET,
    IMAGES,
    TARGET,
    C,
    Classifier,
    N,
    Steps,
    loader,
    on_rank,
    options,
    trainer,
)

pytestmark = [
    pytest.mark.xdist_group("lightning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # Lightning's hints
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
]


def in_a_plain_loop(epochs: int, **autocast: Any) -> dict[str, Tensor]:
    """The state of the same module, trained without Lightning."""
    module = Classifier(N)
    optimizer = module.configure_optimizers()
    for _ in range(epochs):
        for batch in loader():
            optimizer.zero_grad()
            with torch.autocast("cpu", **autocast):
                loss = module.training_step(batch)
            loss.backward()
            optimizer.step()
    return module.state_dict()


def equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(value, expected[name]) for name, value in found.items())


class OneMode(Classifier):
    """A module that stays in the mode that it is in."""

    def on_validation_model_eval(self) -> None:
        pass


@pytest.mark.parametrize("training", [True, False])
def test_it_trains_as_a_plain_loop_does(training: bool) -> None:
    """The loss learns in training and only there, whatever the module's mode."""
    module = OneMode().train(training)
    fitted = trainer(2)
    fitted.fit(module, loader(), DataLoader(TensorDataset(IMAGES[:100], TARGET[:100]), 50))
    assert equal(module.state_dict(), in_a_plain_loop(2, enabled=False))
    assert module.loss.memory.valid.sum() == N
    logged = {name: value.item() for name, value in fitted.callback_metrics.items()}
    assert logged["loss/memory_filled"] == 1
    assert 1 / C < logged["loss/soft_label_mass"] < 1
    assert 0 < logged["loss/reliability"] < 1
    assert logged["loss/weighted_hard"] == logged["loss/hard"]
    assert 0 < logged["loss/weighted_soft"] < logged["loss/soft"]
    assert "validation_loss" in logged


def test_in_bf16() -> None:
    module = Classifier()
    trainer(1, precision="bf16-mixed").fit(module, loader())
    assert equal(module.state_dict(), in_a_plain_loop(1, dtype=torch.bfloat16))


def test_two_processes_train_as_one() -> None:
    module = Classifier()
    trainer(1, precision="64-true").fit(module, loader())
    store = torchrun_store()
    first, second = on_ranks(2, on_rank, store.port, preload=["tests.integrations.in_lightning"])
    assert equal(first, second)
    assert int(first["loss.memory.valid"].sum()) == N == 1408
    torch.testing.assert_close(first, module.state_dict(), rtol=1e-9, atol=1e-9)


def test_resumed_it_is_as_if_never_stopped(tmp_path: Path) -> None:
    whole, stopped, resumed = Classifier(), Classifier(), Classifier()
    trainer(3).fit(whole, loader())
    half = trainer(2, tmp_path)
    half.fit(stopped, loader())
    path = half.checkpoint_callback.best_model_path
    trainer(3).fit(resumed, loader(), ckpt_path=path)
    assert equal(resumed.state_dict(), whole.state_dict())
    # To predict, the training set is not needed.
    loaded = Classifier.load_from_checkpoint(path)
    assert equal(loaded.state_dict(), stopped.state_dict())


def test_it_works_under_the_other_name() -> None:
    other = needs("pytorch_lightning")
    module = type("Classifier", (Steps, other.LightningModule), {})()
    other.Trainer(**options(1)).fit(module, loader())
    assert equal(module.state_dict(), in_a_plain_loop(1, enabled=False))


def test_the_index_of_a_part_is_that_of_the_whole() -> None:
    module = Classifier()
    trainer(1).fit(module, DataLoader(Subset(DATASET, range(N - BATCH, N)), BATCH))
    assert module.loss.memory.valid.tolist() == [row >= N - BATCH for row in range(N)]


def test_a_training_set_that_its_module_makes_in_setup() -> None:
    class Own(Classifier):
        def setup(self, stage: str) -> None:
            self.dataset = Subset(DATASET, range(BATCH))

        def train_dataloader(self) -> DataLoader[Any]:
            return DataLoader(self.dataset, BATCH)

    module = Own()
    trainer(1).fit(module)
    assert module.loss.memory.num_samples == N


def test_a_stream_needs_a_given_size() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter(DATASET[row] for row in range(BATCH))

    with pytest.raises(InputError, match="cannot be read from the training dataloader: give `num_samples`"):
        trainer(1).fit(Classifier(), DataLoader(Stream(), BATCH))
    trainer(1).fit(Classifier(N), DataLoader(Stream(), BATCH))


def test_the_message_says_what_the_tuner_takes_away(tmp_path: Path) -> None:
    class Own(Classifier):
        lr, train_dataloader = 0.1, staticmethod(loader)

    tuner = lightning.pytorch.tuner.tuning.Tuner(trainer(1, tmp_path))
    with pytest.raises(InputError, match="Lightning's Tuner leaves callbacks out"):
        tuner.lr_find(Own(), num_training=2)


def test_averaged_weights_do_not_disturb_it() -> None:
    module, fitted = Classifier(), trainer(2)
    fitted.callbacks.append(lightning.pytorch.callbacks.EMAWeightAveraging(use_buffers=False, decay=0.9))
    fitted.fit(module, loader(), DataLoader(TensorDataset(IMAGES[:100], TARGET[:100]), 50))
    expected = in_a_plain_loop(2, enabled=False)
    different = {name for name, value in module.state_dict().items() if not torch.equal(value, expected[name])}
    assert different == {name for name in expected if name.startswith("network.")}


def test_the_page_s_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run(*blocks("Lightning"))
    assert names["module"].loss.memory.valid.all()
    assert names["trainer"].callback_metrics["loss/soft_label_mass"] > 0.1
    logged = {name for name in names["trainer"].callback_metrics if name.startswith("loss/")}
    assert set(re.findall(r"`(loss/\w+)`", PAGE)) == logged | {"loss/reliability"}
