"""The progress of a sweep, as plain data."""

import statistics
import time
from collections import Counter
from typing import Any

from experiments.operations.summary import extensions
from experiments.terminal.formats import goodput
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
        "complete": sweep.over() or bool(sweep.facts.get("complete")),
        "exhausted": sweep.exhausted,
        "states": dict(states),
        "replaced": sorted(sweep.replaced),
        "base": base and {"trial": base.number, "state": base.state, **_result(sweep, base)},
        "extensions": extensions(sweep),
        "confirmation": confirmed and {"trials": len(sweep.confirming), "open": confirmed.open},
        "best": best and {"trial": best.number, **_result(sweep, best)},
        "trials_last_hour": len(recent),
        "median_trial_s": round(statistics.median(spans), 3) if spans else None,
        "goodput": goodput(sweep),
        "running": [
            {
                "trial": t.number,
                "attempt": t.attempt,
                "worker": t.worker,
                "epoch": t.curve[-1][0] if t.curve else 0,
                "value": t.curve[-1][1] if t.curve else None,
                "settings": dict(t.settings),
            }
            for t in running
        ],
    }


def _result(sweep: Sweep, trial: Trial) -> dict[str, Any]:
    """Return a trial's value and its best epoch; in a backtest also the best epoch of each window."""
    return {"value": trial.value, "epoch": trial.best_epoch, **sweep.windows.epochs(trial.best_epochs)}
