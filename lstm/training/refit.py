"""A refit: the training of a chosen setting on all data, for a fixed number of epochs. Nothing judges it.

Its epochs belong to no window, as those of the training before the test part. It is as exactly resumed as any training.
"""

from collections.abc import Callable, Iterator

import numpy as np

from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.epoch import Epoch, State
from lstm.training.loop import Run
from lstm.usage import Usage

SEEDS = 3  # the purpose of this draw, beside those of the trainer


def train(
    config: TrialConfig,
    data: Dataset,
    epochs: int,
    state: State | None = None,
    *,
    device: str = "cpu",
    heed: Callable[[], object] = lambda: None,
    usage: Usage | None = None,
) -> Iterator[Epoch]:
    """Train on all data, or go on with that, and yield each epoch with the state to save.

    Args:
        config: What to train. Its rules that stop a training early do not hold, and its schedule is as long as ever.
        data: The data as `Task.load_all` gives them: all of them are the training part.
        epochs: The number of epochs. The weights after the last one are the ones to use.
        state: The state after an epoch of the same training; None starts a new one.
        device: `cpu`, `cuda` or `cuda:N`.
        heed: Called before each step of the optimizer. What it raises ends the training.
        usage: Reads the use of the machine; None: nothing does.

    Yields:
        Each epoch; the last one has `max_epochs` or `diverged` in `stop`. Nothing if `state` is of that one.
    """
    run = Run(config, data, device, heed, window=config.windows.count + 1, final=epochs, usage=usage)
    if state is None:
        run.begin()
    else:
        run.restore(state)
    stop = state.history[-1].stop if state else None
    while stop is None:
        epoch = run.next_epoch()
        stop = epoch.stop
        yield epoch


def seeds(first: int, count: int) -> list[int]:
    """Return different seeds for one refit: the setting's own, then drawn ones, the same each time."""
    found, place = [first], 0
    while len(found) < count:
        place += 1
        drawn = int(np.random.SeedSequence([first, SEEDS, place]).generate_state(1)[0] >> 1)
        found += [drawn] if drawn not in found else []
    return found
