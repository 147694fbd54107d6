import pytest
import torch

from lstm.nn.translate.scores import ROWS, cross_entropy


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("places", [1, ROWS, ROWS + 7])
def test_values_and_gradients_are_those_of_torch(smoothing, places):
    torch.manual_seed(0)
    shapes = [(places, 5), (11, 5), (11,)]
    ours = [torch.randn(shape, dtype=torch.float64).mul(3).requires_grad_() for shape in shapes]
    theirs = [each.detach().clone().requires_grad_() for each in ours]
    wanted = torch.randint(0, 11, (places,))
    found = cross_entropy(*ours, wanted, smoothing)
    logits = torch.nn.functional.linear(*theirs)
    right = torch.nn.functional.cross_entropy(logits, wanted, label_smoothing=smoothing)
    torch.testing.assert_close(found, right)
    (2 * found).backward()
    (2 * right).backward()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_large_scores_do_not_overflow():
    states = torch.tensor([[500.0]], requires_grad=True)
    loss = cross_entropy(states, torch.tensor([[1.0], [-1.0]]), torch.zeros(2), torch.tensor([1]))
    assert loss.item() == pytest.approx(1000)
