"""Made-up sweeps that look like real ones, of any size: settings, curves, pruning, a diverged trial, derived trials."""

import math
import random
from typing import Any

from lstm.records.objective import RECORD, TaskRecord
from lstm.records.state import Derived
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial
from lstm.tasks.registry import TASKS

EPOCHS = 30
METRIC = "val/loss"


def searched(name: str, count: int, seed: int = 1, *, cell: str = "lstm", **more: Any) -> Sweep:
    """A sweep of `count` trials of the search, with its base, and from 16 on an extension, confirm and a refit."""
    draw = random.Random(f"{name}{seed}")
    trials = [_trial(n, draw, cell) for n in range(count)]
    trials += _beside(trials, draw, cell)
    known = TASKS["forecast"]
    record = TaskRecord(known.metrics, known.baseline, known.baseline_note, {r.name: r.about for r in known.rivals()})
    facts = {RECORD: record.row(), **more.pop("facts", {})}
    return Sweep(name, METRIC, "minimize", count, tuple(trials), facts=facts, **more)


def _trial(number: int, draw: random.Random, cell: str) -> Trial:
    settings: dict[str, Any] = {
        "model.hidden_size": int(2 ** draw.uniform(4, 7)),
        "model.num_layers": draw.randint(1, 3),
        "model.residual": draw.choice(["none", "last", "linear"]),
        "training.learning_rate": float(f"{10 ** draw.uniform(-4, -1.5):.6g}"),
    }
    if settings["model.num_layers"] > 1:
        settings["model.dropout"] = round(draw.uniform(0, 0.5), 3)
    curve = _curve(settings, draw, cell)
    if number % 17 == 5:  # it goes up and away
        curve = [(e, v * 6.0 ** max(0, e - 3)) for e, v in curve[:8]]
        return _ended(number, "PRUNED", settings, curve, draw, cell, diverged=True, reason="diverged in epoch 8")
    if number % 41 == 7:
        return _ended(number, "FAIL", settings, curve[:2], draw, cell, reason="lost 5 workers")
    bar = {3: 0.5, 9: 0.23}
    cut = next((rung for rung, value in bar.items() if curve[rung - 1][1] > value), None)
    if cut:
        return _ended(number, "PRUNED", settings, curve[:cut], draw, cell, reason=f"pruned after epoch {cut}")
    return _ended(number, "COMPLETE", settings, curve[: draw.randint(22, EPOCHS)], draw, cell)


def _curve(settings: dict[str, Any], draw: random.Random, cell: str) -> list[tuple[int, float]]:
    rate = math.log10(settings["training.learning_rate"])
    floor = 0.1 + 0.035 * (rate + 2.6) ** 2 + {"none": 0.06, "last": 0.02, "linear": 0.0}[settings["model.residual"]]
    floor += 0.3 / settings["model.hidden_size"] + (0.012 if cell == "gru" else 0.0) + abs(draw.gauss(0, 0.006))
    speed = 0.12 + 0.25 * 10 ** (rate + 2.4)
    late = draw.choice([0.0, 0.0, 0.0006])
    return [
        (e, floor + 0.6 * math.exp(-speed * e) + late * max(0, e - 12) + draw.gauss(0, 0.002) * floor)
        for e in range(1, EPOCHS + 1)
    ]


def _ended(
    number: int, state: Any, settings: dict[str, Any], curve: list[tuple[int, float]], draw: random.Random, cell: str,
    **more: Any,
) -> Trial:  # fmt: skip
    best = min(curve, key=lambda point: point[1])
    seconds = round(len(curve) * 0.02 * settings["model.hidden_size"] * draw.uniform(0.8, 1.4), 3)
    config = {"model": {"cell": cell, "dropout": 0.0, **_of("model", settings)}, "training": _of("training", settings)}
    return Trial(
        number=number,
        state=state,
        value=best[1],
        settings=settings,
        config=config,
        curve=tuple(curve),
        **{
            "best_epoch": best[0],
            "best_epochs": (best[0],),
            "epochs_s": seconds,
            "started_at_ms": 1_000_000 + 1_000 * number,
            "ended_at_ms": 1_000_000 + 1_000 * number + int(1_000 * seconds),
            **more,
        },
    )


def _of(section: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {k.removeprefix(f"{section}."): v for k, v in settings.items() if k.startswith(f"{section}.")}


def _beside(trials: list[Trial], draw: random.Random, cell: str) -> list[Trial]:
    count = len(trials)
    spec = {
        "model.hidden_size": 32,
        "model.num_layers": 1,
        "model.residual": "none",
        "training.learning_rate": 0.003,
    }
    own = _ended(count, "COMPLETE", spec, _curve(spec, draw, cell), draw, cell)
    beside = [_derived(own, count, Derived(None, "base"), settings={}, is_base=True)]
    done = sorted((t for t in trials if t.compared_value is not None), key=lambda t: t.value or 0.0)
    if count < 16 or not done:
        return beside
    best = done[0]
    more = tuple((e, v * 0.98) for e, v in _curve(dict(best.settings), draw, cell))
    longer = (*best.curve, *((best.curve[-1][0] + e, v) for e, v in more[-9:]))
    beside.append(_derived(best, count + 1, Derived(best.number, "extend", {"training.max_epochs": 40}), curve=longer))
    for k, trial in enumerate(done[:3]):
        changes: dict[str, Any] = {"training.seed": 100 + k}
        value = (trial.value or 0.0) * draw.uniform(0.97, 1.1)
        beside.append(_derived(trial, count + 2 + k, Derived(trial.number, "confirm", changes), value=value))
    fitted = {"seeds": 1, "epochs": best.best_epoch, "data": "d1"}
    refit = Derived(best.number, "refit", fitted=fitted)
    beside.append(_derived(best, count + 5, refit, value=None, best_epoch=0, curve=()))
    return beside


def _derived(trial: Trial, number: int, derived: Derived, **more: Any) -> Trial:
    from dataclasses import replace

    seed = derived.changes.get("training.seed", 1)
    config = {**trial.config, "training": {**trial.config["training"], "seed": seed}}
    return replace(trial, number=number, derived=derived, config=config, **more)
