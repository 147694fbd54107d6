"""The progress of a sweep, as plain data."""

import statistics
import time
from collections import Counter
from typing import Any

from experiments.operations.summary import extensions, refits
from experiments.terminal.formats import goodput
from experiments.trials import unfinished
from lstm import checkpoint
from lstm.records.confirmation import Confirmation
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial


def status(sweep: Sweep) -> dict[str, Any]:
    """Return the progress of a sweep as plain data; times are in seconds."""
    states = Counter(t.state for t in sweep.counted)
    spans = [t.duration_s for t in sweep.trials if t.duration_s is not None]
    hour_ago = (time.time() - 3600) * 1000
    recent = [t.ended_at_ms for t in sweep.trials if t.ended_at_ms and t.ended_at_ms > hour_ago]
    running = [t for t in sweep.trials if t.state == "RUNNING"]
    best, base, confirmed = sweep.best, sweep.base, sweep.confirmation
    return {
        "sweep": sweep.name,
        "metric": sweep.metric,
        "n_trials": sweep.n_trials,
        "done": sweep.done,
        # Grows with new work alone: an epoch that is trained again is the same epoch of its trial.
        "stored": sum(len(t.curve) + len(t.later) + t.ended for t in sweep.trials),
        "complete": sweep.over() or bool(sweep.facts.get("complete")),
        "exhausted": sweep.exhausted,
        "states": dict(states),
        "replaced": sorted(sweep.replaced),
        "base": base and {"trial": base.number, "state": base.state, **_result(sweep, base)},
        "extensions": extensions(sweep),
        "confirmation": confirmed and _of_confirm(sweep, confirmed),
        "refits": refits(sweep),
        "warming": unfinished.rows(sweep),
        "best": best and {"trial": best.number, **_result(sweep, best)},
        "trials_last_hour": len(recent),
        "median_trial_s": round(statistics.median(spans), 3) if spans else None,
        "goodput": goodput(sweep),
        "running": [
            {
                "trial": t.number,
                "attempt": t.attempt,
                "worker": t.worker,
                **_under_way(sweep, t),
                "settings": dict(t.settings),
            }
            for t in running
        ],
    }


def _of_confirm(sweep: Sweep, confirmed: Confirmation) -> dict[str, int]:
    """Return how many trials confirm takes, and how many have not ended: a killed driver may not have queued them all.

    Those that were asked for before, and those that were tried again, are not among them.
    """
    ended = {trial.number for trial in sweep.confirming if trial.ended}
    there = sum(number in ended for each in confirmed.settings for number in each.trials)
    return {"trials": there + confirmed.open, "open": confirmed.open}


def _under_way(sweep: Sweep, trial: Trial) -> dict[str, Any]:
    """Return where a running trial is, as far as the study knows it, and its last value.

    In a backtest `window` is the window under way. The study has the epochs of the first window, and after a later one
    the mean over the windows so far. A refit has `epochs`, the number of epochs that it will have.
    """
    if trial.is_refit:
        return _of_refit(sweep, trial)
    windows, (epoch, value) = sweep.windows, trial.curve[-1] if trial.curve else (0, None)
    if windows.count == 1:
        return {"epoch": epoch, "value": value}
    if not trial.later:
        return {"window": 1, "epoch": epoch, "value": value}
    step, mean = trial.later[-1]
    return {"window": min(windows.window_of(step) + 1, windows.count), "epoch": epoch, "value": mean}


def _of_refit(sweep: Sweep, trial: Trial) -> dict[str, Any]:
    """Return how many epochs of a refit are kept, and how many it will have. Nothing judges it, so it has no value.

    The study has no epochs of it. `epoch` is None if its checkpoints can't be asked.
    """
    told: dict[str, Any] = {"epochs": trial.fitted["epochs"], "value": None}
    try:
        names = checkpoint.names(checkpoint.address_of(str(sweep.facts.get("checkpoints", "")), trial.number))
    except OSError:
        return {"epoch": None, **told}
    return {"epoch": checkpoint.place(names[-1]).epoch if names else 0, **told}


def _result(sweep: Sweep, trial: Trial) -> dict[str, Any]:
    """Return a trial's value, best epoch and number of epochs; in a backtest also the best epoch of each window."""
    epochs = sweep.windows.epochs(trial.best_epochs)
    return {"value": trial.value, "epoch": trial.best_epoch, **epochs, "epochs_trained": trial.trained}
