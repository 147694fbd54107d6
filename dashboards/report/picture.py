"""A picture of a whole sweep as SVG, for what shows images and no pages, such as MLflow's viewer of artifacts."""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from dashboards.report.axes import even, finite, log_ticks
from dashboards.report.columns import thinned
from dashboards.report.figures import BLUE, INK, LIGHT_BLUE, ORANGE, PALE, QUIET, rank
from lstm.records.objective import Direction, is_better
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial

MOST_CURVES, MOST_POINTS = 100, 60  # of a picture; of a curve
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _GAP = 560, 380, 70, 56, 48, 24  # pixels of a panel and of what is around it
_STYLE = "font-family='system-ui, Helvetica, Arial, sans-serif' font-size='12'"
_GRID = "#e4e7eb"
_LEAST, _MOST = 1e-150, 1e150  # of the values that an axis spans: the share of two of them is a number


@dataclass(frozen=True)
class _Scale:
    """An axis: the values at its ends, in what `place` makes of them, and the pixels there."""

    low: float
    high: float
    first_px: float
    last_px: float
    place: Callable[[float], float] = float
    ticks: Sequence[float] = ()

    def at(self, value: float) -> float:
        """Return the pixel of a value; what lies beyond an end is drawn at that end."""
        share = (self.place(value) - self.low) / ((self.high - self.low) or 1.0)
        return round(self.first_px + min(1.0, max(0.0, share)) * (self.last_px - self.first_px), 1)


def picture(sweep: Sweep) -> str | None:
    """Return the curves of a sweep's trials beside their values and the best value so far; None without a value.

    The trials are those of the search, and the base. Values beyond the axis, such as those of a diverged trial, are
    drawn at its end.
    """
    shown = [trial for trial in sweep.trials if trial.curve and (trial.counts or trial.is_base)]
    shown.sort(key=lambda trial: rank(trial, sweep.direction))
    told = [v for t in shown if not t.diverged for v in (t.value, *(value for _, value in t.curve))]
    values = [0.0 if abs(v) < _LEAST else v for v in map(finite, told) if v is not None and abs(v) <= _MOST]
    if not values:
        return None
    y = _values(values)
    panels = _curves(sweep, shown, y) + _search(sweep, shown, y)
    width, height = 2 * _WIDTH, _HEIGHT
    title = _text(
        20, 24, f"{sweep.name}: {sweep.direction} {sweep.metric}", "start", INK, "font-weight='600' font-size='15'"
    )
    back = f"<rect width='{width}' height='{height}' fill='#ffffff'/>"
    size = f"width='{width}' height='{height}' viewBox='0 0 {width} {height}'"
    return f"<svg xmlns='http://www.w3.org/2000/svg' {size} {_STYLE}>{back}{title}{panels}</svg>\n"


def _curves(sweep: Sweep, shown: Sequence[Trial], y: _Scale) -> str:
    few = shown[:MOST_CURVES][::-1]  # the best last, which is on top
    last = max(epoch for trial in few for epoch, _ in trial.curve)
    x = _Scale(1, max(2, last), _LEFT, _WIDTH - _GAP, ticks=_whole(1, max(2, last)))
    drawn = ""
    for trial in few:
        is_best = sweep.best is not None and trial.number == sweep.best.number
        colour = ORANGE if is_best else LIGHT_BLUE if trial.state == "COMPLETE" else PALE
        known = [(epoch, value) for epoch, value in thinned(trial, MOST_POINTS) if math.isfinite(value)]
        points = [(x.at(epoch), y.at(value)) for epoch, value in known]
        drawn += _line(points, colour, 2.5 if is_best else 1.0)
    more = f", the best {MOST_CURVES} of {len(shown):,} trials" if len(shown) > MOST_CURVES else ""
    best = f"; trial {sweep.best.number} is the best" if sweep.best else ""
    return _frame(f"Learning curves{more}{best}", "epoch", x, y) + drawn


def _search(sweep: Sweep, shown: Sequence[Trial], y: _Scale) -> str:
    valued = sorted((t for t in shown if finite(t.value) is not None), key=lambda trial: trial.number)
    last = max([1, *(trial.number for trial in valued)])
    x = _Scale(0, last, _WIDTH + _LEFT, 2 * _WIDTH - _GAP, ticks=_whole(0, last))
    drawn = ""
    for trial in valued:
        colour = BLUE if trial.state == "COMPLETE" and not trial.diverged else PALE
        drawn += f"<circle cx='{x.at(trial.number)}' cy='{y.at(trial.value or 0.0)}' r='3' fill='{colour}'/>"
    done = [(t.number, t.compared_value) for t in valued if t.compared_value is not None and t.counts]
    bests = accumulate([value for _, value in done], partial(_better, sweep.direction))
    steps: list[tuple[float, float]] = []
    for (number, _), best in zip(done, bests, strict=True):
        steps += [(x.at(number), steps[-1][1])] if steps else []
        steps.append((x.at(number), y.at(best)))
    return _frame("Each trial's value, and the best so far", "trial", x, y) + drawn + _line(steps, ORANGE, 2.5)


def _better(direction: Direction, best: float, value: float) -> float:
    return value if is_better(value, best, direction) else best


def _values(values: Sequence[float]) -> _Scale:
    """Return the axis of the values: logarithmic if they are positive; without the worst two of a hundred."""
    known = sorted(values)
    low, high = known[0], known[-1]
    cut = known[int(0.98 * (len(known) - 1))]
    high = cut if low > 0 and high >= 30 * cut else high
    ends = (_HEIGHT - _BOTTOM, _TOP)
    if low > 0 and high >= 2 * low:
        room = 0.03 * math.log10(high / low)
        return _Scale(math.log10(low) - room, math.log10(high) + room, *ends, _logarithm, log_ticks(low, high))
    room = (high - low) or abs(high) or 1.0
    low, high = low - 0.03 * room, high + 0.03 * room
    return _Scale(low, high, *ends, ticks=even(low, high))


def _logarithm(value: float) -> float:
    return math.log10(value) if value > 0 else -math.inf


def _whole(low: int, high: int) -> list[int]:
    return sorted({round(tick) for tick in even(low, high)})


def _frame(title: str, name: str, x: _Scale, y: _Scale) -> str:
    """Return the axes of a panel, with grid, ticks and names."""
    bottom = _HEIGHT - _BOTTOM
    drawn = _text(x.first_px, _TOP - 10, title, "start", QUIET)
    for tick in y.ticks:
        drawn += f"<path d='M{x.first_px} {y.at(tick)}H{x.last_px}' stroke='{_GRID}'/>"
        drawn += _text(x.first_px - 8, y.at(tick) + 4, f"{tick:.4g}", "end", QUIET)
    for tick in x.ticks:
        drawn += _text(x.at(tick), bottom + 18, f"{tick:g}", "middle", QUIET)
    drawn += f"<path d='M{x.first_px} {_TOP}V{bottom}H{x.last_px}' fill='none' stroke='{QUIET}'/>"
    return drawn + _text((x.first_px + x.last_px) / 2, bottom + 38, name, "middle", INK)


def _line(points: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    if len(points) == 1:
        ((x, y),) = points
        return f"<circle cx='{x}' cy='{y}' r='{width + 1}' fill='{colour}'/>"
    path = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='{width}'/>" if path else ""


def _text(x: float, y: float, text: str, anchor: str, colour: str, more: str = "") -> str:
    return f"<text x='{x:g}' y='{y:g}' text-anchor='{anchor}' fill='{colour}' {more}>{html.escape(text)}</text>"
