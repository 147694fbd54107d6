"""The trainer: a generator that yields one epoch at a time. The caller that iterates decides when to stop.

A training that is stopped after any epoch and resumed gives bit-identical results on the CPU: see `run.py`.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.epoch import Epoch, State, Why
from lstm.records.windows import Windows
from lstm.tasks import registry as tasks
from lstm.training.evolution import Evolution
from lstm.training.run import Run, mean_of
from lstm.usage import Usage

# How weights are learnt, by `training.method`.
METHODS: Mapping[str, type[Run]] = {"gradient": Run, "evolution": Evolution}


def train(
    config: TrialConfig,
    data: Dataset,
    state: State | None = None,
    *,
    device: str = "cpu",
    heed: Callable[[], object] = lambda: None,
    to_test: bool = False,
    usage: Usage | None = None,
) -> Iterator[Epoch]:
    """Train until a stopping rule of the configuration applies, and yield each epoch with the state to save.

    train/loss and val/loss are the task's loss. To stop, close the generator; to resume, pass the last epoch's state.

    With a backtest, one window follows another. Each begins anew, from the same seed, on all that stands before it. If
    the windows are not trained anew, each later window is one epoch: the best epoch of the first, judged there.

    Args:
        config: What to train.
        data: The task's data, already split and scaled.
        state: The state after an epoch of an earlier training of the same configuration; None starts a new training.
        device: `cpu`, `cuda` or `cuda:N`.
        heed: Called before each step of the optimizer. An exception that it raises ends the training in the middle of
            an epoch.
        to_test: Whether, after the windows of a backtest, a training on all that stands before the test part follows.
            It has the median of the windows' best epochs as its number of epochs, and is not judged.
        usage: Reads the use of the machine for the epochs; None: nothing does.

    Yields:
        Each epoch; the last one of each window has the reason to stop in `stop`. Nothing if `state` is of a training
        that had stopped.
    """
    windows = config.windows
    last = windows.count + (to_test and windows.count > 1)
    window = _window_after(state)
    while window <= last and not _has_diverged(state):
        for epoch in _Window(config, data, window, windows, device, heed, usage).epochs(state):
            state = epoch.state
            yield epoch
        window += 1


def _window_after(state: State | None) -> int:
    """Return the window in which a training goes on."""
    if state is None or not state.history:
        return 1
    return state.window + (state.history[-1].stop is not None)


def _has_diverged(state: State | None) -> bool:
    return state is not None and bool(state.history) and state.history[-1].stop == "diverged"


class _Window:
    """The training for one window of a backtest, or the only training without a backtest."""

    def __init__(
        self,
        config: TrialConfig,
        data: Dataset,
        window: int,
        windows: Windows,
        device: str,
        heed: Callable[[], object],
        usage: Usage | None,
    ) -> None:
        self._config, self._window, self._windows, self._device, self._heed = config, window, windows, device, heed
        self._usage = usage
        self._data: Dataset = tasks.at_window(config, data, window)

    def epochs(self, state: State | None) -> Iterator[Epoch]:
        """Train for the window, or go on with it, and yield its epochs."""
        history = state.history if state else ()
        if 1 < self._window <= self._windows.count and not self._windows.refit:
            assert state is not None
            yield self._judged(state)
            return
        final: int | None = None
        if self._window > self._windows.count:
            final = self._windows.result(history, self._config.direction).epochs
        shared: dict[str, Any] = {"window": self._window, "final": final, "usage": self._usage}
        run = METHODS[self._config.training.method](self._config, self._data, self._device, self._heed, **shared)
        run.history = history
        if state and not (history and history[-1].stop):
            run.restore(state)
        else:
            run.begin()
            if final is not None and state is not None:
                run.best_epoch, run.best_value, run.best_weights = _best_of(state)
        why: Why | None = None
        while why is None:
            epoch = run.next_epoch()
            why = epoch.stop
            yield epoch

    def _judged(self, state: State) -> Epoch:
        """Judge the first window's best epoch on this window, without a training."""
        started = time.perf_counter()
        task, config = tasks.of(self._config), self._config
        torch.set_flush_denormal(True)
        network = task.network(config, task.facts(self._data)).to(self._device)
        network.load_state_dict(dict(state.best_weights))
        judged = task.feed(self._data, config, self._device).evaluate(network, "validation")
        metrics = {f"val/{name}": value for name, value in judged.items()}
        value = metrics[config.metric]
        finite = math.isfinite(metrics["val/loss"]) and math.isfinite(value)
        metrics["epoch_s"] = time.perf_counter() - started
        at_ms, number = time.time_ns() // 1_000_000, state.best_epoch
        epoch = Epoch(number, metrics, value, at_ms, "judged" if finite else "diverged", window=self._window)
        epoch = replace(epoch, system=mean_of(self._usage))
        after = State(
            epoch=number,
            model=state.best_weights,
            optimizer={},
            schedule={},
            best_epoch=number,
            best_value=value,
            best_weights=state.best_weights,
            history=(*state.history, epoch),
            window=self._window,
        )
        return replace(epoch, state=after)


def _best_of(state: State) -> tuple[int, float, dict[str, Any]]:
    return state.best_epoch, state.best_value, dict(state.best_weights)
