import math

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from trainings import run

from lstm.records.errors import BadInput
from lstm.tasks import registry as tasks
from lstm.training.evolution import Evolution, centred_ranks, gradient

CASES = ("forecast", "adding", "copy", "mackey_glass", "classify", "characters", "frames")


def noise(size):
    return lambda pair: torch.randn(size, generator=torch.Generator().manual_seed(pair))


def evolving(config, **options):
    made = {"method": "evolution", "population": 3, "input_noise": 0.0} | options
    return config.model_copy(update={"training": config.training.model_copy(update=made)})


def test_its_estimate_is_the_gradient_of_a_quadratic():
    torch.manual_seed(0)
    size, pairs, sigma, draw = 20, 2000, 0.01, noise(20)
    root, x = torch.randn(size, size, dtype=torch.float64), torch.randn(size, dtype=torch.float64)
    bowl = root @ root.T / size

    def returns(sign):
        places = (x + sign * sigma * draw(pair) for pair in range(pairs))
        return [-0.5 * float(place @ bowl @ place) for place in places]

    estimate = gradient(np.array([returns(1), returns(-1)]), draw, sigma).double()
    assert torch.cosine_similarity(estimate, bowl @ x, dim=0) > 0.99


def test_its_estimate_is_the_sum_of_the_paper():
    draw, sigma = noise(4), 0.5
    returns = np.array([[3.0, 1.0, 5.0], [2.0, 7.0, 5.5]])
    ranks = {1.0: -0.5, 2.0: -0.3, 3.0: -0.1, 5.0: 0.1, 5.5: 0.3, 7.0: 0.5}
    wanted = torch.zeros(4)
    for sign, row in zip((1, -1), returns, strict=True):
        for pair, value in enumerate(row):  # algorithm 1, for all 6 networks one by one; a loss falls as returns rise
            wanted -= ranks[value] * sign * draw(pair) / (6 * sigma)
    torch.testing.assert_close(gradient(returns, draw, sigma), wanted)


@pytest.mark.parametrize(
    "values", [[[1, 2], [2, 5]], [[0, 0], [0, 0]], [[3, 1], [2, 1]], [[-math.inf, 1], [2, math.inf]]]
)
def test_equal_returns_share_a_rank(values):
    values = np.array(values, dtype=float)
    wanted = (rankdata(values).reshape(values.shape) - 1) / (values.size - 1) - 0.5
    np.testing.assert_allclose(centred_ranks(values), wanted)


def test_a_return_that_is_no_number_is_the_worst():
    found = centred_ranks(np.array([[math.nan, 1.0], [2.0, 0.0]]))
    np.testing.assert_allclose(found, [[-1 / 2, 1 / 6], [1 / 2, -1 / 6]])


@pytest.mark.parametrize("name", CASES)
def test_it_measures_a_batch_as_the_trainer_judges_a_part(name, cases):
    data, config = cases[name]
    feed = tasks.of(config).feed(data, config, "cpu")
    network = tasks.of(config).network(config, tasks.of(config).facts(data)).eval()
    batch = feed.order(np.random.default_rng(1))(0)
    metrics, count = feed.measure(network, batch)
    with torch.no_grad():
        loss, counted = feed.loss(network, batch)
    assert count == counted
    assert metrics["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert metrics.keys() == feed.evaluate(network, "validation").keys()


@pytest.mark.parametrize("name", CASES)
def test_every_task_can_be_trained_by_it(name, cases):
    data, config = cases[name]
    one = run(evolving(config), data)[0]
    assert math.isfinite(one.value)
    assert one.metrics["train/reward"] == pytest.approx(one.metrics["train/loss"], rel=0.2)
    assert one.metrics["train/reward_spread"] > 0
    assert one.metrics["train/reward_best"] < one.metrics["train/reward"]


def test_a_reward_has_its_own_direction(cases):
    data, config = cases["classify"]
    (one,) = run(evolving(config, reward="accuracy", population_noise=1.0), data)
    assert 0 <= one.metrics["train/reward"] < one.metrics["train/reward_best"] <= 1


def test_it_learns_what_has_no_gradient(cases):
    data, config = cases["classify"]
    options = {"reward": "accuracy", "population": 10, "population_noise": 0.1, "learning_rate": 0.1}
    epochs = run(evolving(config, **options, max_epochs=3, batch_size=100), data)
    first, last = epochs[0].metrics["train/reward"], epochs[-1].metrics["train/reward"]
    assert last > first + 0.05  # .11 and .20; answers at random have .10


def test_nothing_of_a_network_but_its_weights_is_changed_by_its_population(cases):
    data, config = cases["forecast"]
    made = Evolution(evolving(config, learning_rate=1e-30), data, "cpu")
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    made.next_epoch()
    after = made.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_weights_that_need_no_gradient_stay(cases):
    data, config = cases["copy"]
    made = Evolution(evolving(config, weight_decay=0.1), data, "cpu")
    fixed, *others = made.network.parameters()
    fixed.requires_grad_(False)
    before = [each.detach().clone() for each in (fixed, *others)]
    made.next_epoch()
    same = [torch.equal(one, other) for one, other in zip((fixed, *others), before, strict=True)]
    assert same == [True] + [False] * len(others)


def test_heed_is_asked_before_each_network(cases):
    data, config = cases["adding"]
    asked = []
    made = Evolution(evolving(config), data, "cpu", lambda: asked.append(1))
    made.step(next(made.batches(1)))
    assert len(asked) == 2 * 3 + 1


def test_a_task_that_measures_no_batch_is_refused(cases, monkeypatch):
    data, config = cases["adding"]
    monkeypatch.delattr(type(tasks.of(config).feed(data, config, "cpu")), "measure")
    with pytest.raises(BadInput) as error:
        Evolution(evolving(config), data, "cpu")
    assert [each.code for each in error.value.faults] == ["task-without-measure"]
