"""Training by evolution strategies: the error is a return that comes back as a number, and no gradient is computed.

Salimans, Ho, Chen, Sidor and Sutskever: Evolution strategies as a scalable alternative to reinforcement learning, 2017
(arXiv 1703.03864), algorithm 1, with antithetic pairs and ranks. A step draws a population of pairs of networks, at
theta + sigma e and theta - sigma e with e from N(0, 1) for each weight, and measures each network's return. With u, the
ranks of all returns spread over [-1/2, 1/2], the step's gradient is

    g = -1 / (2 n sigma) * sum over the n pairs of (u_plus - u_minus) e

which the optimizer takes for that of a loss. A pair's noise is drawn from its own seed, twice: to measure, and to sum
up. So only numbers are kept of a population.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.errors import refused
from lstm.tasks import registry as tasks
from lstm.tasks.base import Measuring
from lstm.training.run import POPULATION, Run, seed_of

Draw = Callable[[int], Tensor]  # the noise of a pair, by its place in the population


class Evolution(Run):
    """A network in training whose weights follow the returns of networks around it.

    The arguments are those of `Run`. Networks are measured in evaluation mode: neither dropout nor noise acts.

    Raises:
        BadInput: the task can't measure a metric on batches of the training part.
    """

    def __init__(self, config: TrialConfig, data: Dataset, device: str, *others: Any, **options: Any) -> None:
        super().__init__(config, data, device, *others, **options)
        training = config.training
        self._reward, self._pairs, self._noise = training.rewarded, training.pairs, training.sigma
        self._sign = 1.0 if tasks.direction_of(config, self._reward) == "maximize" else -1.0
        if not hasattr(self.feed, "measure"):
            raise refused("task-without-measure", "training.method", task=config.task)
        self._feed = cast("Measuring", self.feed)
        share = training.fitness_share
        self._together = 1 if share is None else max(1, round(share * self.per_pass))

    def step(self, batch: Any) -> tuple[Tensor, Tensor, int]:
        """Take one step on one batch; see `Run.step`. The norm is that of the estimated gradient."""
        loss, norm, _, count = self._generation([batch], 0, 0)
        return torch.tensor(loss), norm, count

    def _pass(self, number: int) -> dict[str, float]:
        batches, found = self.batches(number), list[tuple[float, float, np.ndarray, int]]()
        for step in itertools.count():
            some = list(itertools.islice(batches, self._together))
            if not some:
                break
            loss, norm, returns, count = self._generation(some, number, step)
            found.append((loss, float(norm), returns, count))
        counts = np.array([count for *_, count in found], dtype=np.float64)
        of_steps = np.array([(loss, norm, *_told(returns)) for loss, norm, returns, _ in found])
        loss, norm, mean, spread, best = ((of_steps * counts[:, None]).sum(axis=0) / counts.sum()).tolist()
        told = {"reward": self._sign * mean, "reward_spread": spread, "reward_best": self._sign * best}
        return {"train/loss": loss, "grad_norm": norm} | {f"train/{name}": value for name, value in told.items()}

    @torch.no_grad()
    def _generation(self, batches: Sequence[Any], number: int, step: int) -> tuple[float, Tensor, np.ndarray, int]:
        """Take one step, on some batches.

        Returns:
            The loss of the network before the step, the 2-norm of the estimated gradient before clipping, the returns
            `(2, pair)`, and the number of items that all of them were measured on.
        """
        parameters = [each for each in self.network.parameters() if each.requires_grad]  # a user's cell may fix others
        here = nn.utils.parameters_to_vector(parameters)
        seed = self.config.training.seed

        def draw(pair: int) -> Tensor:
            generator = torch.Generator().manual_seed(seed_of(seed, POPULATION, self.window, number, step, pair))
            return torch.randn(len(here), generator=generator).to(here)

        metrics, count = self.measured(batches)
        returns = np.empty((2, self._pairs))
        for pair in range(self._pairs):
            noise = self._noise * draw(pair)
            for side, sign in enumerate((1, -1)):
                _set(parameters, here + sign * noise)
                returns[side, pair] = self._sign * self.measured(batches)[0][self._reward]
        _set(parameters, here)
        estimate = gradient(returns, draw, self._noise)
        for each, part in _parts(estimate, parameters):
            each.grad = part.clone()
        norm = nn.utils.clip_grad_norm_(parameters, self.config.training.gradient_clip or math.inf)
        self.optimizer.step()
        return metrics["loss"], norm, returns, count

    def measured(self, batches: Sequence[Any]) -> tuple[dict[str, float], int]:
        """Return the network's loss and reward over some batches, and the number of items."""
        sums, total = dict.fromkeys(("loss", self._reward), 0.0), 0
        self.network.eval()
        for batch in batches:
            self.heed()
            if self.usage is not None:
                self.usage.look()
            with self.precision():
                metrics, count = self._feed.measure(self.network, batch)
            for name in sums:
                sums[name] += metrics[name] * count
            total += count
        return {name: value / total for name, value in sums.items()}, total


def gradient(returns: np.ndarray, draw: Draw, sigma: float) -> Tensor:
    """Estimate the gradient of a loss that falls as the returns rise, from the ranks of the returns.

    Args:
        returns: `(2, pair)`: those at theta + sigma e, and at theta - sigma e; the larger, the better.
        draw: Returns e of a pair, `(weight,)`, from N(0, 1); the same at each call.
        sigma: The standard deviation of the noise on a weight.

    Returns:
        The gradient, `(weight,)`.
    """
    ranks = centred_ranks(returns)
    weights = (ranks[0] - ranks[1]) / (2 * returns.shape[1] * sigma)
    return -sum((weight * draw(pair) for pair, weight in enumerate(weights.tolist())), start=torch.zeros(()))


def centred_ranks(returns: np.ndarray) -> np.ndarray:
    """Return the ranks of values, spread over [-1/2, 1/2]. Equal values share a rank; NaN is the worst of all."""
    _, places, counts = np.unique(
        np.nan_to_num(returns, nan=-np.inf, posinf=np.inf, neginf=-np.inf), return_inverse=True, return_counts=True
    )
    ends = np.cumsum(counts)
    ranks = (ends - counts + ends - 1) / 2  # the mean place of equal values, from 0
    found: np.ndarray = ranks[places].reshape(returns.shape) / max(returns.size - 1, 1) - 0.5
    return found


def _told(returns: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of the finite returns, their standard deviation, and the best one; NaN if none is finite."""
    finite = returns[np.isfinite(returns)]
    if not len(finite):
        return math.nan, math.nan, math.nan
    return float(finite.mean()), float(finite.std()), float(finite.max())


def _set(parameters: Sequence[nn.Parameter], values: Tensor) -> None:
    """Set all weights, in their own storage: cuDNN wants those of a cell in one piece of memory."""
    for each, part in _parts(values, parameters):
        each.copy_(part)


def _parts(values: Tensor, parameters: Sequence[nn.Parameter]) -> Iterator[tuple[nn.Parameter, Tensor]]:
    """Yield each parameter with its part of a vector of all weights, in the parameter's shape."""
    start = 0
    for each in parameters:
        yield each, values[start : start + each.numel()].view_as(each)
        start += each.numel()
