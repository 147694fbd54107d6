"""One network in training by back-propagation, with everything that an epoch changes.

Every random draw comes from (seed, epoch) or (seed, pass over the data), never from a stream that runs on. A training
that is stopped after any epoch and resumed therefore gives bit-identical results on the CPU.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.epoch import Epoch, State, Why
from lstm.records.objective import is_better
from lstm.tasks import registry as tasks
from lstm.training.optimizers import optimizer_of, schedule_of
from lstm.usage import Usage

# The purposes of random draws; each has a stream of its own. 3 draws the seeds of a refit.
WEIGHTS, ORDER, NOISE, POPULATION = 0, 1, 2, 4


class Run:
    """A network in training, with everything that an epoch changes.

    Args:
        config: What to train.
        data: The task's data, as the window of a backtest has them.
        device: `cpu`, `cuda` or `cuda:N`.
        heed: Called before each step of the optimizer.
        window: The window of the backtest; 1 without one.
        final: The number of epochs of the training before the test part, which is not judged; None for a window. Until
            its last epoch, the best epoch and its weights stay those of the last window.
        usage: Reads the use of the machine; None: nothing does.
    """

    def __init__(
        self,
        config: TrialConfig,
        data: Dataset,
        device: str,
        heed: Callable[[], object] = lambda: None,
        *,
        window: int = 1,
        final: int | None = None,
        usage: Usage | None = None,
    ) -> None:
        torch.set_flush_denormal(True)  # vanishing gradients make denormals, which CPUs compute 100 times slower
        self.config, self.device, self.heed = config, device, heed
        self.window, self.final, self.usage = window, final, usage
        self.data = data = tasks.as_read(config, data)
        training, task = config.training, tasks.of(config)
        torch.manual_seed(seed_of(training.seed, WEIGHTS))
        self.network = task.network(config, task.facts(data)).to(device)
        self.optimizer = optimizer_of(training, self.network)
        self.schedule = schedule_of(training, self.optimizer)
        self.feed = task.feed(data, config, device)
        self.per_pass = math.ceil(self.feed.items / training.batch_size)
        self.steps_per_epoch = training.steps_per_epoch or self.per_pass
        self.history: tuple[Epoch, ...] = ()
        self.best_epoch, self.best_value, self.best_weights = 0, math.nan, dict[str, Any]()

    def begin(self) -> None:
        """Set the initial weights that are fitted, not drawn; a resumed training has them in its state."""
        tasks.of(self.config).start(self.network, self.data, self.config)

    def restore(self, state: State) -> None:
        """Restore the network, the optimizer and the history from a state, which is not changed."""
        self.network.load_state_dict(dict(state.model))
        # Copied, because torch would continue in the state's own tensors, and a state may be used twice.
        self.optimizer.load_state_dict(copied(state.optimizer))
        if self.schedule:
            self.schedule.load_state_dict(copied(state.schedule))
        self.history = state.history
        self.best_epoch, self.best_value = state.best_epoch, state.best_value
        self.best_weights = dict(state.best_weights)

    def next_epoch(self) -> Epoch:
        """Train one epoch, judge it on the validation part, and return it with its state."""
        number = sum(epoch.window == self.window for epoch in self.history) + 1
        started = time.perf_counter()
        torch.manual_seed(seed_of(self.config.training.seed, NOISE, number))
        rate = float(self.optimizer.param_groups[0]["lr"])
        metrics = self._pass(number)
        if self.final is None:
            judged = self.feed.evaluate(self.network, "validation")
            metrics |= {f"val/{name}": value for name, value in judged.items()}
        metrics |= {"lr": rate, "epoch_s": time.perf_counter() - started}
        # Without a validation part, a plateau is one of the training loss.
        self._advance_schedule(metrics["train/loss" if self.final else "val/loss"])
        value, stop = self._stopped(number, metrics) if self.final is None else self._trained(number, metrics)
        at_ms, system = time.time_ns() // 1_000_000, mean_of(self.usage)
        epoch = Epoch(number, metrics, value, at_ms, stop, window=self.window, system=system)
        self.history = (*self.history, epoch)
        return replace(epoch, state=self._state(number))

    def _stopped(self, number: int, metrics: Mapping[str, float]) -> tuple[float, Why | None]:
        """Return a judged epoch's value, and why it is the last; keep its weights if it is the best."""
        value = metrics[self.config.metric]
        finite = math.isfinite(metrics["train/loss"]) and math.isfinite(metrics["val/loss"]) and math.isfinite(value)
        if finite and is_better(value, self.best_value, self.config.direction):
            self.best_epoch, self.best_value, self.best_weights = number, value, copied(self.network.state_dict())
        return value, self._stop(number, metrics["val/loss"], finite=finite)

    def _trained(self, number: int, metrics: Mapping[str, float]) -> tuple[float, Why | None]:
        """Return no value, and why an epoch before the test part is the last, if it is; keep its weights then."""
        if not math.isfinite(metrics["train/loss"]):
            self.best_epoch, self.best_weights = 0, {}
            return math.nan, "diverged"
        if number < (self.final or 0):
            return math.nan, None
        self.best_epoch, self.best_value, self.best_weights = number, math.nan, copied(self.network.state_dict())
        return math.nan, "max_epochs"

    def batches(self, number: int) -> Iterator[Any]:
        """Yield the batches of an epoch; passes over the data follow each other without a gap."""
        batch: Callable[[int], Any] | None = None
        current = -1
        for step in range((number - 1) * self.steps_per_epoch, number * self.steps_per_epoch):
            in_pass, place = divmod(step, self.per_pass)
            if batch is None or in_pass != current:
                batch = self.feed.order(np.random.default_rng([self.config.training.seed, ORDER, in_pass]))
                current = in_pass
            yield batch(place)

    def step(self, batch: Any) -> tuple[Tensor, Tensor, int]:
        """Take one step of the optimizer on a batch.

        Returns:
            The loss and the gradient's 2-norm before clipping, both still on the device, and the number of items over
            which the loss is a mean.
        """
        training = self.config.training
        self.optimizer.zero_grad(set_to_none=True)
        with self.precision():
            loss, count = self.feed.loss(self.network, batch)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), training.gradient_clip or math.inf)
        self.optimizer.step()
        return loss.detach(), norm, count

    def precision(self) -> AbstractContextManager[Any]:
        """Return the context in which the network computes with the precision of `training.precision`."""
        if self.config.training.precision == "float32":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)

    def _pass(self, number: int) -> dict[str, float]:
        self.network.train()
        sequences = 0
        # The sums stay on the device, in float64: reading a number at each step would make a GPU wait.
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        for batch in self.batches(number):
            self.heed()
            if self.usage is not None:
                self.usage.look()
            loss, norm, count = self.step(batch)
            sums.add_(torch.stack((loss, norm)), alpha=count)
            sequences += count
        loss_sum, norm_sum = sums.tolist()
        return {"train/loss": loss_sum / sequences, "grad_norm": norm_sum / sequences}

    def _advance_schedule(self, loss: float) -> None:
        if isinstance(self.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.schedule.step(loss)
        elif self.schedule:
            self.schedule.step()

    def _stop(self, number: int, loss: float, *, finite: bool) -> Why | None:
        training = self.config.training
        if not finite:
            return "diverged"
        if training.target_loss is not None and loss <= training.target_loss:
            return "target_loss"
        if training.patience is not None and number - self.best_epoch >= training.patience:
            return "patience"
        return "max_epochs" if number >= training.max_epochs else None

    def _state(self, number: int) -> State:
        return State(
            epoch=number,
            model=copied(self.network.state_dict()),
            optimizer=copied(self.optimizer.state_dict()),
            schedule=copied(self.schedule.state_dict()) if self.schedule else {},
            best_epoch=self.best_epoch,
            best_value=self.best_value,
            best_weights=self.best_weights,
            history=self.history,
            window=self.window,
        )


def mean_of(usage: Usage | None) -> dict[str, float]:
    """Return the mean use of the machine since the last call; empty if nothing reads it."""
    return usage.mean() if usage is not None else {}


def seed_of(seed: int, *purpose: int) -> int:
    """Return the seed of a stream of draws: equal for equal purposes, and independent of all others."""
    return int(np.random.SeedSequence([seed, *purpose]).generate_state(1, np.uint64)[0] >> 1)


def copied(tree: Any) -> Any:
    """Return a deep copy on the CPU, because training continues in the same tensors."""
    if isinstance(tree, Tensor):
        return tree.detach().to("cpu", copy=True)
    if isinstance(tree, Mapping):
        return {key: copied(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(copied(value) for value in tree)
    return tree
