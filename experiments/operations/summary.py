"""The summary of what a sweep has found, as plain data."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from experiments import judgement
from experiments.trials import warming, winning
from lstm.config.trial import TrialConfig
from lstm.records import looks
from lstm.records.objective import best as best_of
from lstm.records.objective import is_better
from lstm.records.sweep import BASE, Sweep
from lstm.records.trial import Trial
from lstm.tasks import registry as tasks

if TYPE_CHECKING:
    from lstm.verdict.verdict import Verdict


@dataclass(frozen=True)
class Best:
    """A best trial, or the best epoch of one training."""

    trial: int | None  # its number in the sweep; None for a training
    value: float  # of the sweep's metric, on the validation part
    epoch: int  # of the first window, if there are several
    parameters: Mapping[str, Any]  # the searched ones, by their path in the spec
    config: Mapping[str, Any]
    checkpoint: str  # its address
    metrics: Mapping[str, float]  # on the test part; empty if the trial was not judged yet
    epochs: Sequence[int] = ()  # the best epoch of each window of a backtest; empty without one
    # Epochs that were trained for it, over all windows; None if an earlier version has ended it.
    epochs_trained: int | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any] | None) -> "Best | None":
        """Return the best trial of a summary; None if there is none."""
        return cls(**found) if found else None


def summary(sweep: Sweep, verdict: "Verdict | None" = None) -> dict[str, Any]:
    """Return what a sweep has found, as plain data. `about_base` comes from the verdict, if there is one."""
    best, judged = sweep.best, sweep.facts.get("judged") or {}
    return {
        "sweep": sweep.name,
        "metric": sweep.metric,
        "direction": sweep.direction,
        "n_trials": sweep.n_trials,
        "states": dict(Counter(t.state for t in sweep.counted)),
        "searched": any(path.startswith("search.") for path in sweep.facts.get("comparable", {})),
        "better_pruned": _better_pruned(sweep),
        **_front(sweep),
        "best": best
        and {
            "trial": best.number,
            "value": best.value,
            "epoch": best.best_epoch,
            **sweep.windows.epochs(best.best_epochs),
            "epochs_trained": best.trained,
            "parameters": dict(best.settings),
            "config": dict(best.config),
            "checkpoint": best.checkpoint,
            "metrics": judged["metrics"] if judged.get("trial") == best.number else {},
        },
        "test_looks": looked(sweep),
        "base": _base(sweep),
        "extensions": extensions(sweep),
        "confirmation": confirmation(sweep),
        "refits": refits(sweep),
        "winner": winner(sweep),
        "baseline": tasks.record_in(sweep).baseline,
        "about_base": judgement.about_base(sweep, verdict),
    }


def looked(sweep: Sweep) -> dict[str, Any]:
    """Return how often the test part was looked at, after how many trials each time, and what that means."""
    known = looks.looks(sweep.facts)
    return {"count": len(known), "trials": [each["trials"] for each in known], "text": looks.said(sweep)}


def extensions(sweep: Sweep) -> list[dict[str, Any]]:
    """Return the trials that extend others. `from_epoch` is the last epoch that an extension has from its parent."""
    return [
        {
            "trial": t.number,
            "extends": t.extends,
            "from_epoch": t.after,
            "to_epoch": t.config["training"]["max_epochs"],
            "epochs": len(t.curve),
            "state": t.state,
            "reason": t.reason,
            "value": t.value,
            "epoch": t.best_epoch,
            "checkpoint": t.checkpoint,
        }
        for t in sweep.extensions
    ]


def confirmation(sweep: Sweep) -> dict[str, Any] | None:
    """Return what confirm has found: each setting with its errors by seed and window, and the best rival.

    None if nobody has asked for it.
    """
    found = sweep.confirmation
    if found is None:
        return None
    rows = [{**asdict(each), "mean": each.mean} for each in found.settings]
    return {**asdict(found), "settings": rows}


def refits(sweep: Sweep) -> list[dict[str, Any]]:
    """Return the refits: trials of one setting on all data, one for each seed. They have no value."""
    groups: dict[str, list[Trial]] = {}
    for trial in sweep.refits:
        groups.setdefault(f"{trial.derived and trial.derived.parent} {sorted(trial.fitted.items())}", []).append(trial)
    predicts = {trial.number for trial in sweep.refit}
    return [
        {
            "refit_of": some[0].derived and some[0].derived.parent,
            **{name: value for name, value in some[0].fitted.items() if name != "data"},
            "trials": [
                {
                    "trial": t.number,
                    "seed": t.config["training"]["seed"],
                    "state": t.state,
                    "reason": t.reason,
                    "checkpoint": t.checkpoint,
                }
                for t in some
            ],
            "predicts": some[0].number in predicts,
            **({"said": told.text} if (told := warming.said(some[0].fitted, sweep.metric)) else {}),
        }
        for some in groups.values()
    ]


def winner(sweep: Sweep) -> dict[str, Any] | None:
    """Return the winner of confirm with its company, as plain data; None if confirm has not ended, or was not asked."""
    from lstm.verdict.company_sentences import document

    found = winning.company(sweep)
    return document(found) if found is not None else None


def _base(sweep: Sweep) -> dict[str, Any] | None:
    """Return the base trial and the search's gain over it; None if the sweep has no base.

    For a metric to minimize, a gain is a share of the base's value: 0.1 is an error that is 10 % lower. For a metric to
    maximize it is the difference. A positive gain is better than the base.
    """
    base, best = sweep.base, sweep.best
    if base is None:
        return None
    judged = sweep.facts.get("judged") or {}
    is_judged = best is not None and (judged.get("trial"), judged.get("base")) == (best.number, base.number)
    metrics = judged["metrics"] if is_judged else {}
    tested = sweep.metric.replace("val/", "test/", 1)
    gained = {}
    if best is not None and base.state == "COMPLETE":
        gained["validation"] = _gain(sweep, best.value, base.value)
        gained["test"] = _gain(sweep, metrics.get(tested), metrics.get(f"{BASE}{tested}"))
    return {
        "trial": base.number,
        "state": base.state,
        "diverged": base.diverged,
        "reason": base.reason,
        "value": base.value,
        "epoch": base.best_epoch,
        **sweep.windows.epochs(base.best_epochs),
        "epochs_trained": base.trained,
        "second": base.second,
        "is_best": best is not None and best.number == base.number,
        "metrics": {name.removeprefix(BASE): v for name, v in metrics.items() if name.startswith(f"{BASE}test/")},
        "gained": gained,
        **_other_unit(best, base),
    }


def _other_unit(best: Trial | None, base: Trial) -> dict[str, list[str]]:
    """Return the metrics that can't be compared with the base, because the best trial has other units; {} if none."""
    if best is None or best.config.get("data") == base.config.get("data"):
        return {}
    ours, usual = (TrialConfig.model_validate(trial.config) for trial in (best, base))
    found = tasks.of_other_unit(ours, usual)
    return {"other_unit": [f"test/{name}" for name in found]} if found else {}


def _gain(sweep: Sweep, ours: float | None, base: float | None) -> float | None:
    if ours is None or base is None or not math.isfinite(ours - base):
        return None
    if sweep.direction == "maximize":
        return ours - base
    return (base - ours) / abs(base) if base else None


def _front(sweep: Sweep) -> dict[str, Any]:
    """Return the second objective and the Pareto front; nothing for a single objective."""
    if sweep.second is None:
        return {}
    front = [
        {
            "trial": t.number,
            "value": t.value,
            "second": t.second,
            "epoch": t.best_epoch,
            **sweep.windows.epochs(t.best_epochs),
            "parameters": dict(t.settings),
        }
        for t in sweep.front
    ]
    return {"second_objective": sweep.second._asdict(), "front": front}


def _better_pruned(sweep: Sweep) -> dict[str, Any] | None:
    """Return the best pruned trial, if one of its epochs was better than the best trial's; None if not."""
    pruned = [t for t in sweep.counted if t.state == "PRUNED" and not t.diverged]
    trial = best_of(pruned, lambda t: t.value, sweep.direction)
    if sweep.best is None or trial is None or not is_better(trial.value, sweep.best.value, sweep.direction):
        return None
    return {"trial": trial.number, "value": trial.value, "epoch": trial.best_epoch}
