"""Estimates of the time and memory that a training will need."""

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lstm.config.model import ModelConfig
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.device import is_out_of_memory
from lstm.own_code import is_reference
from lstm.records.confirmation import Request
from lstm.records.errors import refused
from lstm.tasks import registry as tasks
from lstm.training.loop import METHODS


@dataclass(frozen=True, slots=True)
class Cost:
    """The estimated seconds of a trial that does not stop early."""

    epoch: float  # of the first window
    windows: tuple[float, ...]  # each window with all its epochs; without a backtest the one training
    final: float = 0.0  # the training before the test part, which follows a backtest, with as many epochs
    fresh: tuple[float, ...] = ()  # each window that is set aside for confirm, with all its epochs


def seconds(config: TrialConfig, data: Dataset, *, device: str = "cpu") -> Cost:
    """Estimate the seconds of a trial. Of the windows of a backtest, the first is measured; others have more steps.

    Raises:
        BadInput: the GPU's memory, or the part of it that a trial may take, does not suffice.
    """
    views, epochs = tasks.windows_of(config, data), config.training.max_epochs
    first = views[0] if views else data
    try:
        epoch_s = seconds_per_epoch(config, first, device=device)
    except Exception as error:
        if device == "cpu" or not is_out_of_memory(error):
            raise
        raise refused("gpu-too-small", "model") from error
    begin_s = seconds_to_begin(config, first)
    if not views:
        return Cost(epoch_s, (begin_s + epoch_s * epochs,))
    aside = config.model_copy(update={"judged_on": "fresh"})
    fresh = tasks.windows_of(aside, data) if config.data.fresh_windows else []
    steps = [_steps(config, view) for view in (*views, *fresh, tasks.before_test(config, data))]
    *spans, final = (begin_s + epoch_s * epochs * count / steps[0] for count in steps)
    own, later = spans[: len(views)], spans[len(views) :]
    if not config.windows.refit:
        own[1:] = [epoch_s] * (len(views) - 1)  # judging takes less than an epoch
        later[1:] = [epoch_s] * (len(fresh) - 1)
    return Cost(epoch_s, tuple(own), final, tuple(later))


def to_confirm(wanted: Request | None, trials: int, costs: Sequence[Cost], slots: int) -> dict[str, Any] | None:
    """Return what confirm will train at most, and its seconds for the smallest and the largest trial; None if nothing.

    Args:
        wanted: What is to be confirmed.
        trials: How many trials the search has.
        costs: The cost of the smallest and of the largest trial.
        slots: Trials at once.
    """
    if wanted is None:
        return None
    most = (min(wanted.top, trials) + 1) * wanted.seeds  # the base comes on top
    rounds = math.ceil(most / max(slots, 1))
    spans = [sum(each.fresh if wanted.windows == "fresh" else each.windows) * rounds for each in costs]
    row = {"top": wanted.top, "seeds": wanted.seeds, "windows": wanted.windows, "trials": most}
    return {**row, "seconds": [round(span, 2) for span in spans]}


def _steps(config: TrialConfig, data: Dataset) -> int:
    items = tasks.of(config).feed(tasks.as_read(config, data), config, "cpu").items
    return config.training.steps_per_epoch or math.ceil(items / config.training.batch_size)


def seconds_per_epoch(config: TrialConfig, data: Dataset, *, device: str = "cpu", steps: int = 4) -> float:
    """Estimate the seconds of an epoch from a few measured steps of a temporary network.

    Args:
        config: What is trained.
        data: The task's data.
        device: `cpu`, `cuda` or `cuda:N`.
        steps: Most steps to measure; fewer are measured if they take more than half a second.
    """
    run = METHODS[config.training.method](config, data, device)
    batches = itertools.chain.from_iterable(run.batches(number) for number in itertools.count(1))
    run.step(next(batches))[0].item()  # the first step is slower: it allocates what the others use
    started = time.perf_counter()
    count = 0
    while count < steps and time.perf_counter() - started < 0.5:
        run.step(next(batches))[0].item()  # reading the loss waits until the device is done
        count += 1
    step_s = (time.perf_counter() - started) / count
    some = min(256, run.feed.judged("validation"))
    started = time.perf_counter()
    run.feed.evaluate(run.network, "validation", some)
    judge_s = (time.perf_counter() - started) * run.feed.judged("validation") / some
    return step_s * run.steps_per_epoch + judge_s


def seconds_to_begin(config: TrialConfig, data: Dataset) -> float:
    """Measure the seconds that a training needs before its first epoch; 0 unless the task fits something first."""
    if tasks.of(config).start_bytes(data, config) == 0:
        return 0.0
    run = METHODS[config.training.method](config, data, "cpu")
    started = time.perf_counter()
    run.begin()
    return time.perf_counter() - started


def memory_bytes(config: TrialConfig, data: Dataset) -> int:
    """Estimate the bytes that a trial needs in addition to the libraries: data, weights, optimizer and activations."""
    task, model, data = tasks.of(config), config.model, tasks.as_read(config, data)
    weights, span = tasks.parameter_count(config, data), task.span(config, task.facts(data))
    feed = task.feed(data, config, "cpu")
    batch = min(config.training.batch_size, feed.items)
    layer, once, judged = _kept(model)
    units = task.state_numbers(config, task.facts(data))
    training = batch * span * (feed.step_numbers + units * (layer * model.num_layers + once))
    judging = feed.judged_steps * (feed.step_numbers + judged * units)
    # Twelve numbers for each weight: weight, gradient, Adam's two moments, the best epoch's weight, and the state to
    # save with its bytes.
    return 4 * (12 * weights + max(training, judging)) + data.nbytes + task.start_bytes(data, config)


def _kept(model: ModelConfig) -> tuple[int, int, int]:
    """Return how many numbers are kept for each step and unit.

    They are the numbers for back-propagation by each layer, the numbers for back-propagation once per network, and the
    numbers in judging. They were measured as the peak memory of a process at look-back 168, hidden size 32, batches of
    1024 and one to three layers, and rounded up.
    """
    if is_reference(model.cell):  # a user's cell may keep anything; it is estimated like the largest of our cells
        return 10, 19, 5 * model.num_layers + 3
    if model.variant is None:
        return 16, 0, 3 if model.cell == "lstm" and not model.bidirectional else 7
    return 10, 19 if model.variant == "full_gate_recurrence" else 13, 5 * model.num_layers + 3


def checkpoint_bytes(config: TrialConfig, data: Dataset) -> int:
    """Estimate the bytes of a checkpoint with its weights; a trial keeps its last two."""
    training = config.training
    moments = 2 if training.optimizer != "sgd" else 1 if training.momentum else 0
    # The weights, those of the best epoch, and what the optimizer keeps; 20 kB are for names and the first epochs.
    return 4 * (2 + moments) * tasks.parameter_count(config, data) + 20_000
