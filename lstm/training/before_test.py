"""The training that is judged on the test part after a backtest: on all that stands before that part.

It follows the last window in the trial's own checkpoint, so it is as durable and as exactly resumed as the windows.
Only the base, the best trial and, with two objectives, those of the front have it.
"""

from collections.abc import Callable
from dataclasses import replace

from lstm import checkpoint
from lstm.checkpoint import Checkpoint
from lstm.data.dataset import Dataset
from lstm.tasks import registry as tasks
from lstm.training import loop
from lstm.usage import Usage


def is_ready(found: Checkpoint) -> bool:
    """Return whether a checkpoint's network may be judged on the test part."""
    windows, history = found.config.windows, found.state.history
    if windows.count == 1:
        return True
    return bool(history) and windows.is_final(history[-1]) and history[-1].stop == "max_epochs"


def has_diverged(found: Checkpoint) -> bool:
    """Return whether the training before the test part has diverged: it would do so again."""
    windows, history = found.config.windows, found.state.history
    return bool(history) and windows.is_final(history[-1]) and history[-1].stop == "diverged"


def is_over(found: Checkpoint) -> bool:
    """Return whether nothing is left to train: the weights for the test part are there, or can't be had."""
    return has_diverged(found) or (bool(found.state.best_weights) and is_ready(found))


def finish(
    found: Checkpoint,
    data: Dataset,
    address: str,
    attempt: int,
    device: str,
    heed: Callable[[], object],
    usage: Usage | None = None,
) -> Checkpoint:
    """Train on all that stands before the test part, or go on with that; return the last checkpoint.

    Args:
        found: The trial's checkpoint, after its last window or later.
        data: The data of the sweep.
        address: The trial's address. The checkpoint is written there after each epoch.
        attempt: The number of the attempt that the files are named after.
        device: `cpu`, `cuda` or `cuda:N`.
        heed: Called before each step of the optimizer. What it raises ends the training.
        usage: Reads the use of the machine; None: nothing does.

    Raises:
        OSError: the checkpoint can't be written.
    """
    config = found.config
    for epoch in loop.train(config, data, found.state, device=device, heed=heed, to_test=True, usage=usage):
        assert epoch.state is not None
        facts = tasks.facts_row(config, data, config.windows.of_weights(epoch))
        found = replace(found, state=epoch.state, facts=facts)
        checkpoint.write(address, attempt, found)
    return found
