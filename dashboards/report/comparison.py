"""Compare sweeps and their trials as plain values, without MLflow."""

import json
import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from statistics import median, quantiles
from typing import Any

from lstm.records.events import DIGITS
from lstm.records.objective import Direction, Scalar, sort_key
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial

SEARCH = "search"  # the kind of a trial that the search asked for
# Fields of `data` that decide what trials are judged on, and in what scale. The network's inputs do not.
_JUDGED = ("target", "label", "unit", "vocabulary", "horizon", "split", "step", "open_hours", "missing", "scaling")
# Fields of `data` that change what one metric means, by the metric: others are the same for all of their values.
_JUDGED_BY = {
    "val/loss": ("units", "vocabulary_size", "shared_vocabulary"),
    **dict.fromkeys(("val/bleu", "val/chrf", "val/exact_match"), ("translated",)),
}
_LONGEST = 80  # characters of such a field's value


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One row for a sweep. Statistics are over completed trials' values, without diverged trials."""

    sweep: str
    metric: str
    direction: Direction
    n_trials: int
    states: Mapping[str, int]
    best: float | None
    best_trial: int | None
    median: float | None
    quartiles: tuple[float, float] | None  # the middle half of the values is between them
    epochs: int  # in a backtest those of the first window
    seconds: float  # of all trials together, with the waits between attempts
    seconds_per_trial: float | None  # the median of ended trials
    parameters: Mapping[str, Any]  # of the best trial; only those that differ between the sweeps
    windows: int = 1  # that each trial is judged on; several in a backtest
    epochs_trained: int | None = None  # over all windows; None if a trial that has ended has no record of its epochs


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One row for a trial."""

    sweep: str
    trial: int
    state: str
    value: float | None
    best_epoch: int
    epochs: int  # in a backtest those of the first window
    seconds: float | None
    reason: str
    parameters: Mapping[str, Any]  # only those that differ between the trials
    is_base: bool = False  # whether its settings are the spec's own
    extends: int | None = None  # the trial that it extends; it is no trial of the search
    kind: str = SEARCH  # or why it is derived: base, retry, extend, confirm, refit
    parent: int | None = None  # the trial that it is derived from
    rank: int | None = None  # 1 is the best of the completed trials of the search; None for all others
    second: float | None = None  # by the second objective, if the sweep has two
    epochs_trained: int | None = None  # over all windows; None if its end has no record of them


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows of sweeps and of trials, the best first; if sweeps can't be ranked, they stay in the given order."""

    sweeps: tuple[SweepRow, ...]
    trials: tuple[TrialRow, ...]
    sweep_parameters: tuple[str, ...]  # columns of `sweeps`
    trial_parameters: tuple[str, ...]  # columns of `trials`
    problem: str = ""  # why the sweeps can't be ranked together; "" if they can
    doubt: str = ""  # why the values of sweeps that are ranked together are not quite the same figure; "" if they are

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as plain values for `json.dumps`; NaN and infinities become null."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def compare(sweeps: Sequence[Sweep], *, every: bool = False) -> Comparison:
    """Compare sweeps and all their trials that count, with the base and extensions; only what differs is a column.

    With `every`, the trials of confirm and the refits are rows, too, and all searched settings are columns, before the
    others. No trial beside the search has a rank.

    Sweeps that differ in metric or direction are not ranked together: each keeps its own order, and
    `problem` says why. Sweeps with other data, targets, parts or backtests are ranked, and `doubt` says so.
    """
    beside = [_beside(sweep, every=every) for sweep in sweeps]
    sweeps = [replace(sweep, trials=sweep.counted) for sweep in sweeps]
    shown = [[*sweep.trials, *more] for sweep, more in zip(sweeps, beside, strict=True)]
    problem = _problem(sweeps)
    bests = [_parameters(sweep.best) if sweep.best else {} for sweep in sweeps]
    sweep_columns = _differing([best for best in bests if best])
    parameters = [[_parameters(trial) for trial in trials] for trials in shown]
    searched = [name for sweep in sweeps if every for trial in sweep.trials for name in trial.settings]
    trial_columns = tuple(dict.fromkeys([*searched, *_differing([each for group in parameters for each in group])]))
    sweep_rows = [_sweep_row(s, _only(best, sweep_columns)) for s, best in zip(sweeps, bests, strict=True)]
    trial_rows = [
        [_trial_row(sweep, trial, _only(each, trial_columns)) for trial, each in zip(trials, group, strict=True)]
        for sweep, trials, group in zip(sweeps, shown, parameters, strict=True)
    ]
    if not problem:
        sweep_rows.sort(key=lambda row: sort_key(row.best, row.direction))
        trial_rows = [[row for group in trial_rows for row in group]]
    for group in trial_rows:
        directions = {sweep.name: sweep.direction for sweep in sweeps}
        group.sort(key=lambda row: (sort_key(row.value, directions[row.sweep]), row.trial))
    completed = {(sweep.name, t.number) for sweep in sweeps for t in sweep.leaders(len(sweep.trials))}
    flat = tuple(row for group in trial_rows for row in _ranked(group, completed))
    return Comparison(tuple(sweep_rows), flat, sweep_columns, trial_columns, problem, "" if problem else _doubt(sweeps))


def _beside(sweep: Sweep, *, every: bool) -> list[Trial]:
    """Return the trials beside the search that are shown."""
    base = [each for each in [sweep.base] if each is not None and not each.counts]
    return [*base, *sweep.extensions, *(sweep.confirming if every else ()), *(sweep.refits if every else ())]


def _ranked(rows: Sequence[TrialRow], among: Container[tuple[str, int]]) -> list[TrialRow]:
    """Return sorted rows with the ranks of those that are among the completed trials of the search."""
    places = count(1)
    return [replace(row, rank=next(places)) if (row.sweep, row.trial) in among else row for row in rows]


def _doubt(sweeps: Sequence[Sweep]) -> str:
    """Return in what sweeps are not judged on the same: data, targets, parts, windows; "" if they are."""
    found = {sweep.name: _judged_on(sweep) for sweep in sweeps}
    names = dict.fromkeys(name for judged in found.values() for name in judged)
    known = {name: [j for j in found.values() if name == "backtest" or "task" in j] for name in names}
    unlike = [name for name in names if len({judged.get(name, "") for judged in known[name]}) > 1]
    if not unlike:
        return ""
    told = {sweep: ", ".join(judged.get(name, f"no {name}") for name in unlike) for sweep, judged in found.items()}
    each = "; ".join(f"{sweep}: {words}" for sweep, words in told.items())
    return f"These sweeps are judged on other data, so a better value may be due to that ({each})."


def _judged_on(sweep: Sweep) -> dict[str, str]:
    """Return what a sweep's trials are judged on, in words by their kind."""
    base = sweep.facts.get("base") or {}
    data = base.get("data") or {}
    digest = str(sweep.facts.get("data_fingerprint", ""))[:DIGITS]
    told = {"digest of the data": f"digest of the data {digest}"} if digest else {}
    told |= {"task": f"task {base['task']}"} if base.get("task") else {}
    names = (*_JUDGED, *_JUDGED_BY.get(sweep.metric, ()))
    told |= {f"data.{name}": f"data.{name} {_short(data[name])}" for name in names if data.get(name) is not None}
    return {**told, "backtest": _backtest(sweep)}


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        value = {name: each for name, each in value.items() if each is not None}
    if isinstance(value, list) and len(value) == 1:  # one target may be written in both ways
        (value,) = value
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _backtest(sweep: Sweep) -> str:
    section = ((sweep.facts.get("base") or {}).get("data") or {}).get("backtest") or {}
    told = ", ".join(f"{name} {str(value).lower()}" for name, value in section.items() if value is not None)
    return f"data.backtest of {told}" if told else "no backtest"


def _problem(sweeps: Sequence[Sweep]) -> str:
    kinds = {(sweep.metric, sweep.direction) for sweep in sweeps}
    if len(kinds) < 2:
        return ""
    each = "; ".join(f"{sweep.name}: {sweep.direction} {sweep.metric}" for sweep in sweeps)
    return f"These sweeps can't be ranked together, they search for different things ({each})."


def _parameters(trial: Trial) -> dict[str, Any]:
    """Return the resolved configuration by dotted path, with the searched settings on top."""
    return {**_flatten(trial.config), **trial.settings}


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _differing(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names without one common value in all rows, in their order."""
    names = dict.fromkeys(name for row in rows for name in row)
    return tuple(name for name in names if _varies(rows, name))


_MISSING = object()


def _varies(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    first = rows[0].get(name, _MISSING)
    return any(row.get(name, _MISSING) != first for row in rows)


def _only(parameters: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: parameters[name] for name in names if name in parameters}


def _sweep_row(sweep: Sweep, parameters: Mapping[str, Scalar]) -> SweepRow:
    values = sorted(
        t.compared_value for t in sweep.trials if t.compared_value is not None and math.isfinite(t.compared_value)
    )
    durations = [t.duration_s for t in sweep.trials if t.duration_s is not None]
    best, trained = sweep.best, [trial.trained for trial in sweep.trials if trial.ended]
    return SweepRow(
        sweep=sweep.name,
        metric=sweep.metric,
        direction=sweep.direction,
        n_trials=sweep.n_trials,
        states=dict(Counter(trial.state for trial in sweep.trials)),
        best=best.value if best else None,
        best_trial=best.number if best else None,
        median=median(values) if values else None,
        quartiles=_quartiles(values),
        epochs=sum(len(trial.curve) for trial in sweep.trials),
        seconds=sum(durations),
        seconds_per_trial=median(durations) if durations else None,
        parameters=parameters,
        windows=sweep.windows.count,
        epochs_trained=None if None in trained else sum(each for each in trained if each is not None),
    )


def _quartiles(values: Sequence[float]) -> tuple[float, float] | None:
    if len(values) < 2:
        return (values[0], values[0]) if values else None
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def _trial_row(sweep: Sweep, trial: Trial, parameters: Mapping[str, Scalar]) -> TrialRow:
    return TrialRow(
        sweep=sweep.name,
        trial=trial.number,
        state=trial.state,
        value=trial.value,
        best_epoch=trial.best_epoch,
        epochs=len(trial.curve),
        seconds=trial.duration_s,
        reason=trial.reason,
        parameters=parameters,
        is_base=trial.is_base,
        extends=trial.extends,
        kind=_kind(trial),
        parent=trial.derived.parent if trial.derived else None,
        second=trial.second,
        epochs_trained=trial.trained,
    )


def _kind(trial: Trial) -> str:
    return trial.derived.purpose if trial.derived else SEARCH


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, bool | int | float | str | None) else json.dumps(value, default=str)
