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


LOGITS, TARGET = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3


def loss_with_memory(num_samples: int) -> OSAKDLoss:
    return OSAKDLoss(3, k=2, memory=OutputMemory(num_samples, 3))


@pytest.mark.parametrize(("sizes", "name"), [((-1, 3), "num_samples"), ((3, 0), "num_classes")])
def test_sizes_out_of_range_are_refused(sizes: tuple[int, int], name: str) -> None:
    with pytest.raises(InputError, match=f"`{name}` must be at least"):
        OutputMemory(*sizes)


def test_resized_it_is_as_new() -> None:
    loss = loss_with_memory(6)
    loss(LOGITS, TARGET, torch.arange(6))
    assert loss.memory is not None
    loss.memory.resize(9)
    torch.testing.assert_close(loss.memory.state_dict(), OutputMemory(9, 3).state_dict())


def test_an_empty_memory_takes_the_size_of_the_state_that_it_loads() -> None:
    loss, empty = loss_with_memory(6), loss_with_memory(0)
    loss(LOGITS, TARGET, torch.arange(6))
    empty.load_state_dict(loss.state_dict())
    torch.testing.assert_close(empty.state_dict(), loss.state_dict())
    with pytest.raises(RuntimeError, match="size mismatch"):
        loss_with_memory(7).load_state_dict(loss.state_dict())


def test_an_empty_memory_cannot_train_and_knows_no_neighbours() -> None:
    loss = loss_with_memory(0)
    with pytest.raises(InputError, match="give it as `num_samples`"):
        loss(LOGITS, TARGET, torch.arange(6))
    loss.eval()
    assert torch.equal(loss.soft_labels(LOGITS, TARGET), torch.nn.functional.one_hot(TARGET).float())
    assert loss(LOGITS, TARGET).isfinite()


def test_prints_its_size() -> None:
    assert str(OutputMemory(5, 3)) == "OutputMemory(num_samples=5, num_classes=3)"
