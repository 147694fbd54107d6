"""A training step of ours, plain and compiled by torch.compile: its speed, its losses, what compiling takes."""

import itertools
import math
import time
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.training.loop import METHODS

WARM = 3  # steps before the clock starts, beside the first, which compiles


def stepped(config: TrialConfig, data: Dataset, on: str, steps: int, mode: str | None) -> dict[str, Any]:
    """Trains some steps on full batches; None for `mode`: plain."""
    run = METHODS[config.training.method](config, data, on)
    run.begin()
    run.network.train()
    if mode is not None:
        run.network.compile(mode=mode)
    batches = _full(run, config.training.batch_size)
    began = time.perf_counter()
    losses = [float(run.step(next(batches))[0])]  # reading it waits for the device
    first_s = time.perf_counter() - began
    losses += [float(run.step(next(batches))[0]) for _ in range(WARM)]
    # On the CPU the process's own seconds count, so that other work on the machine does not.
    clock = time.process_time if on == "cpu" else time.perf_counter
    began = clock()
    # Copied, since what is compiled may write into the same place again.
    found = [run.step(next(batches))[0].clone() for _ in range(steps)]
    losses += [float(each) for each in found]
    return {"steps a second": steps / (clock() - began), "first_s": first_s, "losses": losses}


def _full(run: Any, size: int) -> Iterator[Any]:
    """The batches without the last one of a pass: another size would be compiled anew."""
    for batch in itertools.chain.from_iterable(run.batches(number) for number in itertools.count(1)):
        if len(batch if isinstance(batch, Tensor) else batch[0]) == size:
            yield batch


def apart(one: list[float], other: list[float]) -> float:
    """The largest relative difference of the losses, step by step."""
    pairs = list(zip(one, other, strict=True))
    if not all(math.isfinite(a - b) for a, b in pairs):
        return math.inf
    return max(abs(a - b) / max(abs(a), 1e-12) for a, b in pairs)
