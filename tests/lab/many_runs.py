"""Sweeps of any size in MLflow, written by the product's own ledger from trials that nobody trained.

    fill(uri, artifacts, "sixteen", 16)

A trial's curve falls to a floor that depends on its learning rate and its hidden size, so that the best settings are
known. Half of the trials are pruned, each at another epoch. One diverges, and one stays a hundred times too high.
"""

import math
import random
from collections.abc import Mapping
from typing import Any

from dashboards.tracking import runs
from dashboards.tracking.ledger import Ledger
from lstm.records.epoch import Epoch
from lstm.records.events import SweepEnded, SweepStarted, TrialEnded, TrialStarted
from lstm.records.goodput import Goodput
from lstm.records.trial import Trial

SEARCHED = ("model.cell", "model.hidden_size", "training.dropout", "training.learning_rate")
EPOCHS = 12
FIRST_MS, EPOCH_MS = 1_790_000_000_000, 1_500  # a trial's start; how long an epoch takes
DIVERGED, HUGE = 3, 5  # numbers of trials
SETTINGS = 3  # trials in a row with each setting, of another seed, where a sweep repeats them


def fill(uri: str, artifacts: str | None, name: str, trials: int, *, seeds: int = 1, study: str = "") -> Ledger:
    """Write a sweep with its trials; with `seeds` each setting is trained that many times."""
    ledger = Ledger(runs.connect(uri), artifacts, name, study or f"study-of-{name}")
    spec = f"name: {name}\n"
    ledger.start_sweep(SweepStarted(name, trials, "val/loss", "minimize", FIRST_MS, spec, searched=SEARCHED))
    best: tuple[float, int] | None = None
    for number in range(trials):
        ended = _trial(ledger, number, seeds, best, FIRST_MS + 2_000 * number)
        if ended.state == "COMPLETE" and ended.value is not None:
            best = min(best or (math.inf, 0), (ended.value, number))
    assert best is not None
    at_ms = FIRST_MS + 2_000 * trials + EPOCHS * EPOCH_MS
    worked = {"training": 9.0 * trials, "idle": 1.0 * trials}
    ledger.end_sweep(SweepEnded(True, "", at_ms, Goodput(worked, trials, at_ms)))
    value, number = best
    settings = _settings(number // seeds)
    found = Trial(
        number, "COMPLETE", value, settings, _config(settings, number), (), ended_at_ms=at_ms, best_epoch=EPOCHS
    )
    judged = {"test/loss": value * 1.1, "test/mae": value * 0.5, "base/test/loss": value * 1.4, "base/test/mae": value}
    ledger.finish({"report.html": f"<p>{name}</p>"}, judged, found, None)
    rivals = {f"rival/{rival}/{m}": value * by for rival, by in RIVALS.items() for m in ("loss", "mae")}
    ledger.hold_against(
        rivals, f"The network of trial {number} beats the best rival, ridge, by 23 % (95 %: 20 to 26 %)."
    )
    return ledger


RIVALS = {"naive": 2.1, "ridge": 1.43, "season": 1.9}


def _settings(setting: int) -> dict[str, Any]:
    draw = random.Random(setting)
    return {
        "model.cell": draw.choice(["lstm", "gru", "lem"]),
        "model.hidden_size": round(8 * 2 ** draw.uniform(0, 4)),
        "training.dropout": round(draw.uniform(0, 0.5), 3),
        "training.learning_rate": float(f"{10 ** draw.uniform(-4, -1):.3g}"),
    }


def _config(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    training = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith("training.")}
    model = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith("model.")}
    data = {"target": "y", "lookback": 48, "horizon": 24}
    return {"task": "forecast", "data": data, "model": model, "training": training | {"seed": seed}}


def _trial(ledger: Ledger, number: int, seeds: int, best: tuple[float, int] | None, at_ms: int) -> TrialEnded:
    draw = random.Random(1000 + number)
    settings = _settings(number // seeds)
    ledger.start_trial(
        TrialStarted(number, 1, settings, _config(settings, number), at_ms, f"/c/trial-{number:04d}", "host 7")
    )
    floor = 0.05 + 0.03 * (math.log10(settings["training.learning_rate"]) + 2.3) ** 2
    floor += 0.2 / settings["model.hidden_size"] + 0.004 * draw.random()
    pruned = number % 2 == 1
    epochs = draw.randint(2, EPOCHS - 2) if pruned else EPOCHS
    values = [floor + math.exp(-epoch / 3) * (1 + 0.1 * draw.random()) for epoch in range(1, epochs + 1)]
    if number == HUGE:
        values = [value * 1e2 for value in values]
    if number == DIVERGED:
        values = [values[0], 1e4, math.nan]
    for epoch, value in enumerate(values, 1):
        metrics = {"train/loss": value * 0.8, "val/loss": value, "val/mae": value / 2, "epoch_s": EPOCH_MS / 1000}
        ledger.note(number, Epoch(epoch, metrics, value, at_ms + EPOCH_MS * epoch))
    finite = [value for value in values if value < 1e4]
    value = min(finite)
    state = "PRUNED" if pruned else "COMPLETE"
    reason = "diverged: val/loss is nan" if number == DIVERGED else "pruned by median" if pruned else ""
    better = best[0] if best else None
    if state == "COMPLETE":
        better = min(value, math.inf if better is None else better)
    ended = TrialEnded(
        number, state, reason, value, values.index(value) + 1, f"/c/trial-{number:04d}",
        at_ms + EPOCH_MS * len(values), number + 1, better,
    )  # fmt: skip
    ledger.end_trial(ended, None)
    return ended
