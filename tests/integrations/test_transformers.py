"""The loss in the real Trainer: accumulation, a memory, checkpoints, several processes; networks of a few weights."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from torch import Tensor, nn

from osakd import OSAKDLoss, OutputMemory, Reliability
from osakd.errors import InputError, RunError
from tests.losses.ranks import on_ranks
from tests.needs import needs

needs("transformers")
import transformers as hf  # noqa: E402 - after the check that it is installed

from osakd.integrations.transformers import (  # noqa: E402
    LOSS,
    BestAverageCallback,
    LossCallback,
    PackIndex,
    WithIndex,
    loss_function,
)

N, C, PAGE = 40, 3, Path(__file__).parents[2] / "docs/hugging-face.md"
pytestmark = [
    # Accelerate asks for the settings of Apple's devices by their old names.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
SIZES = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "num_labels": C}


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Samples(torch.utils.data.Dataset):
    """Images, texts of five words, or texts with a class for each word; with a key that no network takes."""

    def __init__(self, kind: str, count: int = N, seed: int = 0) -> None:
        stream = torch.Generator().manual_seed(seed)
        images, words = torch.rand(count, 3, 4, 4, generator=stream), torch.randint(20, (count, 5), generator=stream)
        self.inputs = {"pixel_values": images} if kind == "vit" else {"input_ids": words}
        self.classes = words % C if kind == "tokens" else words[:, 0] % C

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, row: int) -> dict[str, Any]:
        own = self.classes[row]
        return {name: value[row] for name, value in self.inputs.items()} | {
            "labels": own if own.ndim else int(own),
            "note": "unused",
        }


def network(kind: str, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    more = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout, **SIZES}
    if kind == "vit":
        return hf.ViTForImageClassification(hf.ViTConfig(image_size=4, patch_size=2, **more))
    config = hf.BertConfig(vocab_size=20, max_position_embeddings=8, **more)
    return (hf.BertForTokenClassification if kind == "tokens" else hf.BertForSequenceClassification)(config)


def trainer(model: nn.Module, folder: Path, loss: OSAKDLoss, data: Any, **more: Any) -> Any:
    """A Trainer with SGD whose gradients are not clipped; ``more`` are arguments of both classes."""
    own = {
        key: more.pop(key) for key in ("callbacks", "eval_dataset", "data_collator", "compute_metrics") if key in more
    }
    defaults = {"use_cpu": True, "disable_tqdm": True, "report_to": "none", "save_strategy": "no", "optim": "sgd"}
    defaults |= {"learning_rate": 0.5, "max_grad_norm": 0.0, "lr_scheduler_type": "constant", "logging_steps": 2}
    arguments = hf.TrainingArguments(str(folder), **defaults | more)
    return hf.Trainer(model, arguments, train_dataset=data, compute_loss_func=loss_function(loss), **own)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("kind", ["vit", "bert", "tokens"])
def test_a_step_of_several_micro_batches_is_the_step_of_their_weighted_mean(kind: str, tmp_path: Path) -> None:
    data = Samples(kind)
    data.classes[torch.arange(N) % 8 == 5] = -100  # one of each micro-batch, and in the last one two
    data.classes[N - 1] = -100
    sequential = {"train_sampling_strategy": "sequential", "per_device_train_batch_size": 8}
    found = network(kind)
    accumulated = {"gradient_accumulation_steps": 5, "max_steps": 2}
    trainer(found, tmp_path, OSAKDLoss(C, k=4, label_smoothing=0.1), data, **sequential, **accumulated).train()

    expected, loss = network(kind).train(), OSAKDLoss(C, k=4, label_smoothing=0.1)
    counted = (data.classes != -100).sum()
    for _ in range(2):
        expected.zero_grad()
        for rows in torch.arange(N).split(8):
            logits = expected(**{name: value[rows] for name, value in data.inputs.items()}).logits
            target = data.classes[rows].flatten()  # the words of a text are samples
            mean = loss(logits.flatten(0, -2), target)
            (mean * (target != -100).sum() / counted).backward()
        with torch.no_grad():
            for parameter in expected.parameters():
                if parameter.grad is not None:  # that of BERT's pooler is None for tokens
                    parameter -= 0.5 * parameter.grad
    torch.testing.assert_close(weights(found), weights(expected), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["vit", "bert"])
def test_accumulated_gradients_are_those_of_one_batch(kind: str, tmp_path: Path) -> None:
    ends = []
    for size, steps in ((N, 1), (10, 4)):
        loss = OSAKDLoss(C, k=4, soft_weight=0.0, memory=OutputMemory(N, C))  # neighbours differ, classes do not
        model = network(kind)
        sizes = {"per_device_train_batch_size": size, "gradient_accumulation_steps": steps, "max_steps": 2}
        data = WithIndex(Samples(kind))
        trainer(model, tmp_path, loss, data, data_collator=PackIndex(), **sizes).train()
        ends.append(weights(model))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-7, atol=1e-9)


def test_a_memory_holds_the_training_set_and_evaluation_does_not_write(tmp_path: Path) -> None:
    seen, train = [], Samples("bert")
    loss = OSAKDLoss(C, k=4, memory=OutputMemory(N, C), reliability=Reliability())

    def metrics(predicted: Any) -> dict[str, float]:
        seen.append(predicted.label_ids)
        return {}

    test = Samples("bert", count=12, seed=1)
    columns = {
        "input_ids": train.inputs["input_ids"].tolist(),
        "labels": train.classes.tolist(),
        "note": ["unused"] * N,
    }
    own = trainer(
        network("bert"),
        tmp_path,
        loss,
        WithIndex(datasets.Dataset.from_dict(columns)),
        eval_dataset=test,
        data_collator=PackIndex(),
        compute_metrics=metrics,
        max_steps=5,
    )
    own.train()
    assert loss.memory.valid.all()
    assert torch.equal(loss.memory.target, train.classes)
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    scores = own.evaluate()
    own.evaluate(eval_dataset={"train": WithIndex(train)})
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())
    assert torch.equal(torch.from_numpy(seen[0]), test.classes)
    model = own.model.eval()
    with torch.no_grad():
        mean = loss(model(**test.inputs).logits, test.classes)  # the batches have 8 and 4 samples, whose pool is one
    assert scores["eval_loss"] == pytest.approx(mean.item(), rel=1e-5)


def interrupted(folder: Path, loss: OSAKDLoss) -> Any:
    own = {"data_collator": PackIndex(), "callbacks": [LossCallback(loss)]}
    steps = {"max_steps": 8, "save_strategy": "steps", "save_steps": 3, "optim": "adamw_torch"}
    return trainer(network("bert", dropout=0.2), folder, loss, WithIndex(Samples("bert")), **own, **steps)


def kept_loss() -> OSAKDLoss:
    return OSAKDLoss(C, k=4, memory=OutputMemory(N, C), reliability=Reliability())


def test_a_resumed_training_ends_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    whole, loss = tmp_path / "whole", kept_loss()
    first = interrupted(whole, loss)
    first.train()
    again = kept_loss()
    second = interrupted(whole, again)
    second.train(resume_from_checkpoint=str(whole / "checkpoint-3"))
    assert torch.equal(weights(first.model), weights(second.model))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in loss.state_dict().items())

    elsewhere = interrupted(tmp_path / "elsewhere", kept_loss())
    with pytest.raises(InputError, match=r"is missing: resume from one .* `output_dir` must be named"):
        elsewhere.train(resume_from_checkpoint=str(whole / "checkpoint-3"))
    stale = tmp_path / "elsewhere/checkpoint-6"  # of an earlier training there, as if
    stale.mkdir(parents=True)
    (stale / LOSS).write_bytes((whole / "checkpoint-3" / LOSS).read_bytes())
    with pytest.raises(InputError, match="is of another training: name the folder to resume from"):
        elsewhere.train(resume_from_checkpoint=str(whole / "checkpoint-6"))
    elsewhere.args.resume_from_checkpoint = str(whole / "checkpoint-6")
    elsewhere.train(resume_from_checkpoint=str(whole / "checkpoint-6"))
    assert torch.equal(weights(first.model), weights(elsewhere.model))

    other = interrupted(whole, OSAKDLoss(C, k=4, memory=OutputMemory(N + 1, C)))
    with pytest.raises(InputError, match=r"a loss with other parts or sizes \(.*\): build the same loss"):
        other.train(resume_from_checkpoint=True)
    (whole / "checkpoint-8" / LOSS).write_bytes(b"torn")
    with pytest.raises(RunError, match="is damaged: resume from another checkpoint"):
        interrupted(whole, kept_loss()).train(resume_from_checkpoint=True)


def averaging(folder: Path) -> tuple[Any, BestAverageCallback]:
    callback, loss = BestAverageCallback(epochs=0.5), OSAKDLoss(C)
    own = {
        "callbacks": [callback, LossCallback(loss)],
        "eval_dataset": Samples("bert", seed=1),
        "eval_strategy": "epoch",
    }
    steps = {"num_train_epochs": 3, "save_strategy": "epoch", "optim": "adamw_torch", "learning_rate": 0.01}
    return trainer(network("bert", dropout=0.2), folder, loss, Samples("bert"), **own, **steps), callback


def test_the_best_average_is_left_in_the_model_and_resume_is_exact(tmp_path: Path) -> None:
    training, callback = averaging(tmp_path)
    training.train()
    chosen = callback.best.chosen
    assert callback.network is training.model
    assert chosen is not None
    state = training.model.state_dict()
    torch.testing.assert_close(state["classifier.weight"], chosen.state["classifier.weight"] / chosen.temperature)
    torch.testing.assert_close(state["bert.pooler.dense.weight"], chosen.state["bert.pooler.dense.weight"])
    found = training.predict(Samples("bert", seed=1))
    nll = nn.functional.cross_entropy(torch.tensor(found.predictions), torch.tensor(found.label_ids))
    assert nll.item() == pytest.approx(chosen.refined_nll)
    again, _ = averaging(tmp_path)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    assert torch.equal(weights(again.model), weights(training.model))


def test_the_best_network_comes_with_the_loss_of_its_step(tmp_path: Path) -> None:
    loss, last = kept_loss(), {}

    class Best(hf.TrainerCallback):
        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            last.update({name: value.clone() for name, value in loss.state_dict().items()})

    own = {"data_collator": PackIndex(), "callbacks": [Best(), LossCallback(loss)], "eval_dataset": Samples("bert")}
    steps = {"max_steps": 8, "save_steps": 2, "save_strategy": "steps", "eval_steps": 2, "eval_strategy": "steps"}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "step", "greater_is_better": False}
    made = trainer(network("bert"), tmp_path, loss, WithIndex(Samples("bert")), **own, **steps, **best)
    made.evaluate = lambda *_, **__: {"eval_step": made.state.global_step}  # the first is the best
    made.train()
    assert made.state.best_global_step == 2
    saved = torch.load(tmp_path / "checkpoint-2" / LOSS)["loss"]
    assert all(torch.equal(value, saved[name]) for name, value in loss.state_dict().items())
    assert not torch.equal(last["memory.outputs"], saved["memory.outputs"])


def test_refused() -> None:
    with pytest.raises(InputError, match=r"`ignore_index` is 255: mark samples to leave out with -100\."):
        loss_function(OSAKDLoss(C, ignore_index=255))
    compute = loss_function(OSAKDLoss(C, k=2))
    logits = torch.randn(4, C, requires_grad=True)
    with pytest.raises(InputError, match="The batch has no `labels`"):
        compute({"logits": logits}, None)
    for shape in ((4, 3), (4, 2), (4, 1, 2)):  # one-hot rows are no pairs (class, index), whatever their number
        outputs = logits if len(shape) == 2 and shape[1] == 3 else torch.randn(*shape, requires_grad=True)
        one_hot = torch.zeros(shape, dtype=torch.long)
        with pytest.raises(InputError, match=rf"got whole numbers of the shape {re.escape(str(list(shape)))} for"):
            loss_function(OSAKDLoss(shape[-1], k=2))({"logits": outputs}, one_hot)
    with pytest.raises(InputError, match="The samples have a key 'label_ids', which carries the index: call it"):
        WithIndex([{"label_ids": 1}])[0]
    for labels in ([{"label": -100}, {"label": 1}], [{"label": 0.5}, {"label": 1.0}], [{"x": 1}, {"x": 2}]):
        with pytest.raises(InputError, match=r"let the collator give `labels` of shape \[2\] that are class indices"):
            PackIndex()([WithIndex(labels)[row] for row in range(2)])


def test_without_a_count_it_is_the_loss_itself_and_probabilities_count_once() -> None:
    loss = OSAKDLoss(C, k=2)
    compute = loss_function(loss)
    logits, target = torch.randn(4, C, requires_grad=True), torch.tensor([0, 1, 2, 0])
    probabilities = nn.functional.one_hot(target, C).float()
    expected = OSAKDLoss(C, k=2)(logits, target)
    torch.testing.assert_close(compute((logits,), target), expected)
    torch.testing.assert_close(compute({"logits": logits}, probabilities, probabilities.numel()), expected)
    torch.testing.assert_close(compute({"logits": logits}, target, 8), expected / 2)
    assert loss.reduction == "mean"


def on_a_rank(rank: int, world: int, port: int, folder: str) -> dict[str, Any]:
    """What a rank has trained, as torchrun starts it."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_default_dtype(torch.float64)
    return trained(Path(folder), 8 // world, ddp_backend="gloo")


def trained(folder: Path, batch_size: int, **more: Any) -> dict[str, Any]:
    loss, model = kept_loss(), network("vit")
    own = {"data_collator": PackIndex(), "callbacks": [LossCallback(loss)], "save_strategy": "epoch", "max_steps": 8}
    sizes = {"per_device_train_batch_size": batch_size}
    trainer(model, folder, loss, WithIndex(Samples("vit")), **own, **sizes, **more).train()
    return {"weights": weights(model), "kept": loss.state_dict()}


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    one = trained(tmp_path / "one", 8)  # the batches of all ranks together are the same
    two = on_ranks(2, on_a_rank, port, str(tmp_path / "two"))
    assert torch.equal(two[0]["weights"], two[1]["weights"])
    assert all(torch.equal(value, two[1]["kept"][name]) for name, value in two[0]["kept"].items())
    torch.testing.assert_close(two[0]["weights"], one["weights"], rtol=1e-7, atol=1e-9)
    assert two[0]["kept"]["memory.valid"].all()
    torch.testing.assert_close(two[0]["kept"]["memory.outputs"], one["kept"]["memory.outputs"], rtol=1e-7, atol=1e-9)
    for folder in ("one", "two"):
        assert torch.load(tmp_path / folder / "checkpoint-5" / LOSS)["loss"].keys() == one["kept"].keys()


def test_the_page_s_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        exec(block, names)  # the page's own lines
