import pytest
import torch

from osakd import OSAKDLoss, OutputMemory
from osakd.errors import InputError


def test_state_is_saved_and_restored_whole() -> None:
    memory = OutputMemory(5, 3)
    memory.write(torch.tensor([4, 0]), torch.rand(2, 3), torch.tensor([2, 1]))
    other = OutputMemory(5, 3)
    other.load_state_dict(memory.state_dict())
    for mine, theirs in zip(memory.buffers(), other.buffers(), strict=True):
        assert torch.equal(mine, theirs)
    assert memory.valid.tolist() == [True, False, False, False, True]
    assert memory.target.tolist() == [1, 0, 0, 0, 2]


def test_is_read_only_in_eval_mode() -> None:
    memory = OutputMemory(4, 2).eval()
    memory.write(torch.tensor([1]), torch.ones(1, 2), torch.tensor([1]))
    assert not memory.valid.any()
    assert not memory.outputs.any()


def test_the_current_batch_is_written_before_it_is_searched() -> None:
    memory = OutputMemory(10, 2)
    loss = OSAKDLoss(2, k=1, space="logits", include_self=False, memory=memory)
    logits, target = torch.tensor([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0]]), torch.tensor([0, 1, 1])
    soft_labels = loss.soft_labels(logits, target, torch.tensor([7, 2, 5]))
    # Each finds its nearest companion of the same batch, never itself, never an unwritten row at the origin.
    assert soft_labels.argmax(1).tolist() == [1, 0, 1]
    assert torch.equal(memory.outputs[7], logits[0])


def test_later_batches_find_earlier_ones_by_their_latest_outputs() -> None:
    memory = OutputMemory(6, 2)
    loss = OSAKDLoss(2, k=1, space="logits", include_self=False, memory=memory)
    rows = torch.tensor([0, 1])
    loss.soft_labels(torch.tensor([[9.0, 0.0], [-9.0, 0.0]]), torch.tensor([0, 1]), rows)
    loss.soft_labels(torch.tensor([[-8.0, 0.0], [8.0, 0.0]]), torch.tensor([0, 1]), rows)  # they changed sides
    found = loss.soft_labels(torch.tensor([[7.0, 0.0], [-7.0, 0.0]]), torch.tensor([0, 0]), torch.tensor([2, 3]))
    assert found.argmax(1).tolist() == [1, 0]


def test_without_index_in_eval_mode_the_memory_is_only_searched() -> None:
    memory = OutputMemory(3, 2)
    loss = OSAKDLoss(2, k=2, space="logits", memory=memory, pseudo_count=0.0)
    loss.soft_labels(torch.eye(2).repeat(2, 1)[:3], torch.tensor([0, 1, 0]), torch.arange(3))
    before = memory.outputs.clone()
    found = loss.eval().soft_labels(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))
    assert found.tolist() == [[1.0, 0.0]]
    assert torch.equal(memory.outputs, before)


def test_a_memory_of_other_classes_is_refused() -> None:
    with pytest.raises(InputError, match="is for 4 classes, but `num_classes` is 3"):
        OSAKDLoss(3, memory=OutputMemory(10, 4))


def test_training_with_a_memory_needs_the_index() -> None:
    loss = OSAKDLoss(2, k=2, memory=OutputMemory(4, 2))
    with pytest.raises(InputError, match=r"needs the samples' `index`.*WithIndex"):
        loss(torch.zeros(3, 2), torch.tensor([0, 1, 0]))


def test_prints_its_size() -> None:
    assert str(OutputMemory(5, 3)) == "OutputMemory(num_samples=5, num_classes=3)"
