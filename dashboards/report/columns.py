"""The trials of a comparison as the compact columns that its page holds: values, settings, axes, costs and curves."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from dashboards.report.axes import axis_of, finite, short_names
from dashboards.report.comparison import Comparison, TrialRow
from lstm.records.objective import Direction, Scalar, is_better, sort_key
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial

MOST_POINTS = 400_000  # of all curves together: at most 4 MB
LEAST_POINTS = 16  # of a curve, however many there are
DIGITS = 5  # of a curve's values
MOST_AXES = 12  # of the parallel coordinates
MOST_LINES = 1_000  # of them that are drawn; an even number. Without a GPU each takes almost a millisecond
FIELDS = ("trial", "rank", "value", "second", "best_epoch", "epochs", "seconds", "parent")
Importances = Mapping[str, Mapping[str, float]]  # by sweep and field


def columns(found: Comparison, sweeps: Sequence[Sweep], importances: Importances) -> dict[str, Any]:
    """Return all that the page shows at once as plain JSON: a list for each field, with an item for each trial.

    Texts and settings with few values are coded as places in a list of their values, -1 if a trial lacks the setting.
    """
    records = by_row(found, sweeps)
    searched = dict.fromkeys(name for sweep in sweeps for trial in sweep.counted for name in trial.settings)
    labels = short_names(found.trial_parameters)
    trials: dict[str, Any] = {name: [_known(getattr(row, name)) for row in found.trials] for name in FIELDS}
    trials |= {name: coded([getattr(row, name) for row in found.trials]) for name in ("sweep", "state", "kind")}
    trials["reason"] = coded([row.reason for row in found.trials])
    trials["is_base"] = [int(row.is_base) for row in found.trials]
    trials["diverged"] = [int(records[row.sweep, row.trial].diverged) for row in found.trials]
    settings = [
        {"path": path, "label": labels[path], "searched": path in searched, **setting(found.trials, path)}
        for path in found.trial_parameters
    ]
    return {
        "metric": found.sweeps[0].metric,
        "direction": found.sweeps[0].direction,
        "second": next((f"{s.second.metric} ({s.second.direction})" for s in sweeps if s.second), ""),
        "windows": max(row.windows for row in found.sweeps),
        "sweeps": [row.sweep for row in found.sweeps],
        "trials": trials,
        "settings": settings,
        "axes": parallel(found, list(searched), importances),
        "most_lines": MOST_LINES,
        "importances": {name: dict(shares) for name, shares in importances.items() if shares},
        "labels": labels,
        "regret": regrets(found, sweeps),
    }


def by_row(found: Comparison, sweeps: Iterable[Sweep]) -> dict[tuple[str, int], Trial]:
    """Return the record of each row's trial, by its sweep and number."""
    return {(sweep.name, trial.number): trial for sweep in sweeps for trial in sweep.trials}


def coded(values: Sequence[Any]) -> dict[str, Any]:
    """Return values as places in a list of them."""
    places: dict[str, int] = {}
    codes = [places.setdefault(each, len(places)) for each in map(_spelled, values)]
    known = dict(zip(map(_spelled, values), values, strict=True))
    return {"choices": [_written(known[each]) for each in places], "codes": codes}


def _written(value: Any) -> Any:
    """Return a value as JSON has it: infinity and NaN are texts."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def setting(rows: Sequence[TrialRow], path: str) -> dict[str, Any]:
    """Return a setting's values: numbers as they are where most differ, else as codes."""
    given = [(path in row.parameters, row.parameters.get(path)) for row in rows]
    values = [value for is_given, value in given if is_given]
    if all(_is_number(value) for value in values) and len(set(values)) > len(values) / 4:
        return {"values": [value if is_given else None for is_given, value in given]}
    found = coded(values)
    codes = iter(found["codes"])
    return {"choices": found["choices"], "codes": [next(codes) if is_given else -1 for is_given, _ in given]}


def parallel(found: Comparison, searched: Sequence[str], importances: Importances) -> dict[str, Any]:
    """Return the axes of the parallel coordinates, the rows that they have, and how many settings have no axis.

    Only completed trials of the search have a line, the best last, which is on top.
    """
    places = [i for i, row in enumerate(found.trials) if row.rank is not None][::-1]
    rows = [found.trials[i] for i in places]
    varied = [path for path in searched if len({_spelled(row.parameters.get(path)) for row in rows}) > 1]
    share = {path: max((each.get(path, 0.0) for each in importances.values()), default=0.0) for path in varied}
    shown = set(sorted(varied, key=lambda path: -share[path])[:MOST_AXES])
    labels = short_names(found.trial_parameters)
    several = [axis_of("sweep", [row.sweep for row in rows])] if len(found.sweeps) > 1 else []
    axes = [axis_of(labels[path], [_scalar(row, path) for row in rows]) for path in varied if path in shown]
    axes = [*several, *axes, axis_of(found.sweeps[0].metric, [row.value for row in rows])] if len(rows) > 1 else []
    for axis in axes:
        axis["values"] = [round(value, 5) for value in axis["values"]]
    return {"rows": places, "axes": axes, "left_out": len(varied) - len(shown)}


def regrets(found: Comparison, sweeps: Sequence[Sweep]) -> list[dict[str, Any]]:
    """Return, for each sweep, how far its best value so far is from the best of all, by what it had cost by then.

    Costs are those of the trials of the search, in the order in which they ended.
    """
    best = min((row.best for row in found.sweeps if row.best is not None), key=_better_first(found), default=None)
    return [] if best is None else [{"sweep": sweep.name, **regret(sweep, best)} for sweep in sweeps]


def regret(sweep: Sweep, than: float) -> dict[str, Any]:
    """Return the steps of a sweep's regret: cumulated `epochs` and `seconds`, `regret` and the `trial` that ended."""
    ended = sorted((t for t in sweep.counted if t.ended), key=lambda t: (t.ended_at_ms or 0, t.number))
    epochs = accumulate(len(trial.curve) for trial in ended)
    seconds = accumulate(trial.duration_s or 0.0 for trial in ended)
    steps = list(_steps(ended, sweep.direction, than, epochs, seconds))
    names = ("epochs", "seconds", "regret", "trial")
    return {name: [step[i] for step in steps] for i, name in enumerate(names)}


def _steps(
    ended: Sequence[Trial], direction: Direction, than: float, epochs: Iterator[int], seconds: Iterator[float]
) -> Iterator[tuple[int, float, float, int]]:
    """Yield the trials that improved on all before, and the last one, which shows what the whole search cost."""
    best: float | None = None
    for trial, spent, took in zip(ended, epochs, seconds, strict=True):
        improved = is_better(trial.compared_value, best, direction)
        best = trial.compared_value if improved else best
        if best is not None and (improved or trial is ended[-1]):
            yield spent, round(took, 3), abs(best - than), trial.number


def curves(found: Comparison, sweeps: Sequence[Sweep]) -> list[Any]:
    """Return the curve of each row: the values of epochs 1, 2, ...; where epochs are left out, both of them.

    Values have DIGITS digits. All curves together have at most MOST_POINTS points, or LEAST_POINTS each.
    """
    records = by_row(found, sweeps)
    room = room_of(len(found.trials))
    return [_drawn(records[row.sweep, row.trial], room) for row in found.trials]


def room_of(count: int) -> int:
    """Return how many points each of so many curves may have."""
    return max(LEAST_POINTS, MOST_POINTS // max(1, count))


def _drawn(trial: Trial, room: int) -> Any:
    points = [(epoch, _rounded(value)) for epoch, value in thinned(trial, room)]
    if [epoch for epoch, _ in points] == list(range(1, len(points) + 1)):
        return [value for _, value in points]
    return [[epoch for epoch, _ in points], [value for _, value in points]]


def thinned(trial: Trial, room: int) -> list[tuple[int, float]]:
    """Return at most `room` points of a curve, even over its epochs: always the first, the best and the last one."""
    if len(trial.curve) <= room:
        return list(trial.curve)
    last = len(trial.curve) - 1
    kept = {round(i * last / (room - 2)) for i in range(room - 1)}
    kept |= {i for i, (epoch, _) in enumerate(trial.curve) if epoch == trial.best_epoch}
    return [trial.curve[i] for i in sorted(kept)]


def _rounded(value: float) -> float | None:
    known = finite(value)
    return None if known is None else float(f"{known:.{DIGITS}g}")


def _known(value: float | None) -> float | None:
    return finite(value) if isinstance(value, float) else value


def _scalar(row: TrialRow, path: str) -> Scalar:
    value = row.parameters.get(path)
    return value if value is None or isinstance(value, bool | int | float | str) else _spelled(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _spelled(value: Any) -> str:
    """Return a value as a text that tells true from 1 and 1 from "1"."""
    return repr(value)


def _better_first(found: Comparison) -> Any:
    return lambda value: sort_key(value, found.sweeps[0].direction)
