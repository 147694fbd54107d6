"""Axes of the report's figures: scales, ticks, categories."""

import html
import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import plotly.graph_objects as go

from lstm.records.objective import Scalar


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Return the last part of each dotted path, or the whole path if two last parts are equal."""
    every = list(paths)
    lasts = [path.rsplit(".", 1)[-1] for path in every]
    return {path: last if lasts.count(last) == 1 else path for path, last in zip(every, lasts, strict=True)}


def axis_of(label: str, values: Sequence[Scalar]) -> dict[str, Any]:
    """Return an axis of parallel coordinates over a field's values: numeric, logarithmic or categorical."""
    present = [value for value in values if value is not None]
    numeric = [float(v) for v in present if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numeric) < len(present) or not all(map(math.isfinite, numeric)) or not numeric:
        return categorical_axis(label, values)
    log = is_log(numeric)
    place = math.log10 if log else float
    low, high = place(min(numeric)), place(max(numeric))
    if log:
        ticks = log_ticks(min(numeric), max(numeric))
    else:
        ticks = _apart(sorted(set(numeric))) if len(set(numeric)) <= 8 else even(low, high)
    positions, texts = [place(tick) for tick in ticks], [f"{tick:.4g}" for tick in ticks]
    missing = low - 0.12 * ((high - low) or 1.0)  # a conditional parameter that was not searched
    if len(present) < len(values):
        positions, texts, low = [missing, *positions], ["not used", *texts], missing
    if low == high:
        low, high = low - 0.5, high + 0.5
    placed = [missing if value is None else place(float(value)) for value in values]
    return {
        "label": html.escape(label),
        "values": placed,
        "range": [min(low, *positions), max(high, *positions)],
        "tickvals": positions,
        "ticktext": texts,
    }


def _apart(values: Sequence[float]) -> list[float]:
    """Return sorted values without those whose text would cover that of the one before."""
    kept, least = [values[0]], 0.04 * (values[-1] - values[0])
    for value in values[1:]:
        if value - kept[-1] >= least:
            kept.append(value)
    return kept


def categorical_axis(label: str, values: Sequence[Scalar]) -> dict[str, Any]:
    """Return an axis with a place for each value."""
    texts = [text_of(value) for value in values]
    choices = sorted(set(texts))
    placed = [choices.index(text) for text in texts]
    shown = [html.escape(choice if len(choice) <= 24 else f"{choice[:23]}…") for choice in choices]
    ends = [-0.5, 0.5] if len(choices) == 1 else [0, len(choices) - 1]
    ticks = {"tickvals": list(range(len(choices))), "ticktext": shown, "range": ends}
    return {"label": html.escape(label), "values": placed, **ticks}


def text_of(value: Scalar) -> str:
    """Return a value as YAML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def is_log(values: Sequence[float]) -> bool:
    """Return whether values seem to be on a logarithmic scale."""
    low, high = min(values), max(values)
    # Values drawn evenly between 0 and 1 span decades as well, but half of them are above the middle.
    return low > 0 and high / low >= 20 and (median(values) - low) / (high - low) < 0.25


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers from low to high; the more decades, the fewer numbers for each."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1,) if len(decades) > 4 else (1, 2, 5) if len(decades) > 2 else (1, 1.5, 2, 3, 4, 5, 7)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001] or [low]


def even(low: float, high: float) -> list[float]:
    """Return about five round numbers between low and high."""
    rough = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(factor for factor in (1, 2, 5, 10) if factor * size >= rough * 0.999)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def finite(value: float | None) -> float | None:
    """Return the value, or None if it is infinite or NaN."""
    return value if value is not None and math.isfinite(value) else None


def scale_y(figure: go.Figure, values: Iterable[float | None]) -> None:
    """Give a figure a logarithmic y axis if all its values are positive."""
    known = sorted(value for each in values if (value := finite(each)) is not None)
    if not known:
        return
    if known[0] <= 0 or known[0] == known[-1]:
        return
    # A few values that shot up must not flatten all others: the axis ends where 98 of 100 values end.
    low, high = known[0], known[min(len(known) - 1, int(0.98 * len(known)))]
    high = known[-1] if known[-1] < 30 * high else high
    ticks = log_ticks(low / 1.05, high * 1.05)
    ends = [math.log10(low) - 0.03, math.log10(high) + 0.03]
    figure.update_yaxes(type="log", range=ends, tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
