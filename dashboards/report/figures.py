"""The report's figures: plain values in, plotly figures out."""

import html
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from statistics import median
from typing import Any

import plotly.graph_objects as go

from dashboards.report.axes import axis_of, finite, is_log, scale_y, short_names, text_of
from lstm.records.figures import Curve, Forecast, HeatMap, Picture
from lstm.records.objective import Direction, is_better, sort_key
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial
from lstm.verdict.interval import Difference

MAX_CURVES = 300
MAX_LINES = 2000  # lines of the parallel coordinates, at most
INK, QUIET, GRID = "#1f2933", "#9aa5b1", "#e4e7eb"
BLUE, LIGHT_BLUE, ORANGE, PALE = "#2f6f9f", "#86adc7", "#d9480f", "#bcc6cf"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
_COLOURS = (BLUE, ORANGE, INK, LIGHT_BLUE, QUIET)
_FROM_ZERO = [[0.0, "#ffffff"], [1.0, BLUE]]
_AROUND_ZERO = [[0.0, ORANGE], [0.5, "#ffffff"], [1.0, BLUE]]
_ROW_NAMES = 32  # more row names would overlap
_CELL_NUMBERS = 20  # with more columns, a cell has no room for a number
_NO_WIDTH = "\u200b"
_SCALE = [[0.0, "#d9480f"], [0.15, "#e8894f"], [0.4, "#7fa3ba"], [1.0, "#c3d0d9"]]  # makes the best stand out


def curves(sweep: Sweep) -> go.Figure:
    """Draw every trial's value by epoch; the best is bold, pruned trials are light. At most MAX_CURVES are drawn."""
    best = sweep.best
    drawn = [trial for trial in thinned(sweep) if best is None or trial.number != best.number]
    figure = _figure(460, "epoch", html.escape(sweep.metric))
    crowded = len(drawn) > 60  # many dark lines become one dark field
    groups: list[tuple[str, str, float, Callable[[Trial], bool]]] = [
        ("stopped early", PALE, 1.0, lambda trial: trial.state != "COMPLETE"),
        ("completed", LIGHT_BLUE if crowded else BLUE, 1.0, lambda trial: trial.state == "COMPLETE"),
    ]
    for name, colour, width, belongs in groups:
        _add_curves(figure, name, [t for t in drawn if belongs(t)], {"color": colour, "width": width})
    if best is not None:
        _add_curves(figure, f"best: trial {best.number}", [best], {"color": ORANGE, "width": 3.5})
    shown = [*drawn, *([best] if best else [])]
    scale_y(figure, [value for trial in shown for _, value in trial.curve])
    return figure


def thinned(sweep: Sweep) -> list[Trial]:
    """Return the trials to draw: all, or the best as a tenth of MAX_CURVES and an even selection of the rest."""
    having = [trial for trial in sweep.trials if trial.curve]
    if len(having) <= MAX_CURVES:
        return having
    ranked = sorted(having, key=lambda trial: rank(trial, sweep.direction))
    best, rest = ranked[: MAX_CURVES // 10], ranked[MAX_CURVES // 10 :]
    room = MAX_CURVES - len(best)
    return [*best, *(rest[i * len(rest) // room] for i in range(room))]


def rank(trial: Trial, direction: Direction) -> tuple[float, float, int]:
    """Return a sort key: completed trials first, the best on top, then the others."""
    return (sort_key(trial.compared_value, direction), sort_key(trial.value, direction), trial.number)


def _add_curves(figure: go.Figure, name: str, trials: Sequence[Trial], line: Mapping[str, Any]) -> None:
    # One trace for all trials, with gaps: hundreds of traces make a page slow.
    x: list[int | None] = []
    y: list[float | None] = []
    who: list[int | None] = []
    for trial in trials:
        x += [*(epoch for epoch, _ in trial.curve), None]
        y += [*(finite(value) for _, value in trial.curve), None]
        who += [*(trial.number for _ in trial.curve), None]
    if x:
        hover = "trial %{customdata}, epoch %{x}: %{y:.4g}<extra></extra>"
        # A single point has no line, so it needs a marker.
        mode = "lines+markers" if any(len(trial.curve) == 1 for trial in trials) else "lines"
        figure.add_scatter(
            x=x, y=y, customdata=who, mode=mode, name=name, line=line, marker={"size": 4}, hovertemplate=hover
        )


def history(sweep: Sweep) -> go.Figure:
    """Draw each trial's value by its number, and the best value so far."""
    figure = _figure(380, "trial", html.escape(sweep.metric))
    valued = sorted((t for t in sweep.trials if finite(t.value) is not None), key=lambda trial: trial.number)
    done = [trial for trial in valued if trial.state == "COMPLETE" and not trial.diverged]
    others = [trial for trial in valued if trial.state != "COMPLETE"]
    hover = "trial %{x}: %{y:.4g}<extra></extra>"
    for name, trials, marker in (
        ("stopped early", others, {"color": PALE, "size": 6}),
        ("completed", done, {"color": BLUE, "size": 7}),
    ):
        if trials:
            x, y = [trial.number for trial in trials], [trial.value for trial in trials]
            figure.add_scatter(x=x, y=y, mode="markers", name=name, marker=marker, hovertemplate=hover)
    if done:
        best = _running([trial.value or 0.0 for trial in done], sweep.direction)
        line = {"color": ORANGE, "width": 2.5, "shape": "hv"}
        x = [trial.number for trial in done]
        figure.add_scatter(x=x, y=best, mode="lines", name="best so far", line=line, hoverinfo="skip")
    scale_y(figure, [trial.value for trial in valued if not trial.diverged])
    if len(valued) <= 10:
        figure.update_xaxes(dtick=1)  # there is no trial 0.5
    return figure


def front(sweep: Sweep) -> go.Figure | None:
    """Draw completed trials by two objectives, with the Pareto front as a line; None with one objective or no front."""
    best = sweep.front
    if sweep.second is None or not best:
        return None
    figure = _figure(420, html.escape(sweep.metric), html.escape(sweep.second.metric))
    on_it = {trial.number for trial in best}
    done = [t for t in sweep.trials if t.state == "COMPLETE" and t.second is not None and t.number not in on_it]
    hover = "trial %{text}: %{x:.4g}, %{y:.4g}<extra></extra>"
    for name, trials, look in (
        ("completed", done, {"mode": "markers", "marker": {"color": LIGHT_BLUE, "size": 7}}),
        ("Pareto front", best, {"mode": "lines+markers", "marker": {"size": 9}, "line": {"color": ORANGE}}),
    ):
        x, y, text = zip(*((t.value, t.second, t.number) for t in trials), strict=True) if trials else ((), (), ())
        figure.add_scatter(x=x, y=y, text=text, name=name, hovertemplate=hover, **look)
    return figure


def _running(values: Sequence[float], direction: Direction) -> list[float]:
    best: list[float] = []
    for value in values:
        best.append(best[-1] if best and not is_better(value, best[-1], direction) else value)
    return best


def parallel_coordinates(sweep: Sweep) -> go.Figure | None:
    """Draw settings and values, a line for each completed trial; None if there is nothing to see."""
    done = [t for t in sweep.trials if finite(t.compared_value) is not None]
    done = sorted(done, key=lambda trial: rank(trial, sweep.direction))[:MAX_LINES]
    names = list(dict.fromkeys(name for trial in done for name in trial.settings))
    if len(done) < 2 or not names:
        return None
    labels = short_names(names)
    axes = [axis_of(labels[name], [trial.settings.get(name) for trial in done]) for name in names]
    axes.append(axis_of(sweep.metric, [trial.value for trial in done]))
    # The best is drawn last, on top. Colour is by rank, so that one bad trial doesn't take the whole scale.
    for axis in axes:
        axis["values"] = axis["values"][::-1]
    colour = [1 - i / (len(done) - 1) for i in range(len(done))]
    bar = {"title": "rank", "tickvals": [0, 1], "ticktext": ["best", "worst"], "thickness": 12, "outlinewidth": 0}
    line = {"color": colour, "colorscale": _SCALE, "cmin": 0, "cmax": 1, "showscale": True, "colorbar": bar}
    figure = go.Figure(
        go.Parcoords(
            dimensions=axes,
            line=line,
            labelangle=-18 if len(axes) > 4 else 0,
            labelside="top",
            labelfont={"size": 13, "color": INK},
            tickfont={"size": 11, "color": INK},
            rangefont={"size": 1, "color": "rgba(0,0,0,0)"},  # its numbers only repeat the ticks, and hide them
        )
    )
    left = max(90, 24 + 7 * max(map(len, axes[0]["ticktext"]), default=0))  # room for the first axis's names
    layout = {"l": left, "r": 60, "t": 110 if len(axes) > 4 else 60, "b": 30}
    return figure.update_layout(height=480, margin=layout, paper_bgcolor="white", font={"family": _FONT})


def choices(sweep: Sweep, name: str) -> go.Figure | None:
    """Draw the values of each choice of a categorical setting, the best median on top; None for one choice."""
    found: dict[str, list[float]] = {}
    for trial in sweep.trials:
        value = finite(trial.compared_value)
        if value is not None and name in trial.settings:
            found.setdefault(text_of(trial.settings[name]), []).append(value)
    if len(found) < 2:
        return None
    ordered = sorted(found.items(), key=lambda item: sort_key(median(item[1]), sweep.direction), reverse=True)
    figure = _figure(110 + 44 * len(ordered), html.escape(sweep.metric), "")
    for choice, values in ordered:
        figure.add_box(
            x=values,
            name=html.escape(choice),
            boxpoints="all",
            pointpos=0,
            jitter=0.5,
            marker={"color": BLUE, "size": 4},
            line={"color": INK, "width": 1},
            fillcolor="rgba(134, 173, 199, 0.35)",
            hovertemplate="%{x:.4g}<extra></extra>",
        )
    every = [value for values in found.values() for value in values]
    figure.update_layout(showlegend=False)
    return figure.update_xaxes(type="log") if is_log(every) else figure


def categorical(sweep: Sweep) -> list[str]:
    """Return the settings with names or booleans as values, in the order of the space."""
    names = dict.fromkeys(name for trial in sweep.trials for name in trial.settings)
    return [name for name in names if any(isinstance(t.settings.get(name), str | bool) for t in sweep.trials)]


def importances(values: Mapping[str, float]) -> go.Figure:
    """Draw the importance of each parameter, the most important on top."""
    labels = short_names(values)
    ordered = sorted(values.items(), key=lambda item: item[1])
    figure = _figure(90 + 34 * len(ordered), "share of the total importance", "")
    figure.add_bar(
        x=[value for _, value in ordered],
        y=[html.escape(labels[name]) for name, _ in ordered],
        orientation="h",
        marker={"color": BLUE},
        text=[f" {value:.2f}" for _, value in ordered],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    figure.update_layout(bargap=0.35, showlegend=False)
    top = max((v for v in values.values() if math.isfinite(v)), default=1.0)
    figure.update_xaxes(range=[0, 1.12 * (top or 1.0)])
    return figure.update_yaxes(ticks="", type="category", showgrid=False)


def forecast(shown: Forecast) -> go.Figure:
    """Draw a forecast of the best trial and of the baseline, with the true values."""
    figure = _figure(340, "", html.escape(shown.target))
    past_x, x = _times(shown.past_times), _times(shown.times)
    # Start the lines from the last known value, so that they don't hang in the air.
    start_x, start_y = (past_x[-1:], list(shown.past[-1:])) if past_x else ([], [])
    lines = [
        ("past", past_x, list(shown.past), {"color": QUIET, "width": 1.5}),
        ("truth", start_x + x, start_y + list(shown.truth), {"color": INK, "width": 2}),
        (shown.baseline_name, x, list(shown.baseline), {"color": BLUE, "width": 1.5, "dash": "dot"}),
        ("forecast", x, list(shown.forecast), {"color": ORANGE, "width": 2.5}),
    ]
    for name, at, values, line in lines:
        y = [finite(value) for value in values]
        if any(value is not None for value in y):
            mode = "lines" if len(at) > 1 else "markers"
            figure.add_scatter(x=at, y=y, mode=mode, name=name, line=line)
    return figure.update_layout(hovermode="x unified")


def picture(shown: Picture) -> go.Figure:
    """Draw a picture of a probe, or of test data."""
    return heat_map_picture(shown) if isinstance(shown, HeatMap) else curve_picture(shown)


def curve_picture(shown: Curve) -> go.Figure:
    """Draw a probe's lines over one axis, with a legend if there are several."""
    figure = _figure(340, html.escape(shown.x_label), html.escape(shown.y_label))
    for (name, values), colour in zip(shown.series.items(), cycle(_COLOURS)):
        y = [_drawable(value, log=shown.log_y) for value in values]
        mode = "lines" if len(y) > 12 else "lines+markers"  # few points must be visible as few
        label = html.escape(name)
        figure.add_scatter(x=list(shown.x), y=y, mode=mode, name=label, line={"color": colour, "width": 2})
    figure.update_layout(showlegend=len(shown.series) > 1, hovermode="x unified")
    if shown.log_x:
        figure.update_xaxes(type="log", tickvals=list(shown.x), ticktext=[f"{x:g}" for x in shown.x])
    if shown.log_y:
        every = [_drawable(value, log=True) for values in shown.series.values() for value in values]
        known = [value for value in every if value is not None]
        # Without fixed ends, rounding errors would fill the picture of a constant line.
        ends = [math.log10(min(known, default=1.0)) - 0.05, math.log10(max(known, default=1.0)) + 0.05]
        figure.update_yaxes(type="log", range=ends)
    return figure


def _drawable(value: float, *, log: bool) -> float | None:
    known = finite(value)
    return None if known is None or (log and known <= 0) else known


def heat_map_picture(shown: HeatMap) -> go.Figure:
    """Draw values over two axes: from white to blue, or from orange over white to blue if they may be negative."""
    columns = _told_apart([html.escape(x) for x in shown.x if isinstance(x, str)])
    figure = _figure(480 if columns else 360, html.escape(shown.x_label), html.escape(shown.y_label))
    names = _told_apart([html.escape(name) for name in shown.y])
    figure.add_heatmap(
        x=columns or [*shown.x],
        y=names,
        z=[[finite(value) for value in row] for row in shown.values],
        zmin=shown.low,
        zmax=shown.high,
        colorscale=_AROUND_ZERO if shown.low < 0 else _FROM_ZERO,
        colorbar={"thickness": 12, "outlinewidth": 0},
        hovertemplate="%{x}, %{y}: %{z:.3f}<extra></extra>",
    )
    # The first row is on top. Names such as 3 are categories, not places on an axis.
    figure.update_yaxes(type="category", autorange="reversed", showgrid=False, showticklabels=len(names) <= _ROW_NAMES)
    if columns:
        figure.update_xaxes(type="category", showticklabels=len(columns) <= _ROW_NAMES)
    if columns and len(columns) <= _CELL_NUMBERS:
        texts = [[f"{value:.2g}" if value else "" for value in row] for row in shown.values]
        figure.update_traces(text=texts, texttemplate="%{text}")
    return figure.update_xaxes(showgrid=False)


def _told_apart(names: Sequence[str]) -> list[str]:
    """Return names that are all different, by spaces without width: equal ones would be one row of a picture."""
    seen, found = Counter[str](), list[str]()
    for name in names:
        found.append(f"{name}{_NO_WIDTH * seen[name]}")
        seen[name] += 1
    return found


def _times(times: Sequence[str]) -> list[Any]:
    try:
        return [int(time) for time in times]  # row numbers
    except ValueError:
        return list(times)


def differences(found: Sequence[tuple[str, Difference | None]], what: str) -> go.Figure | None:
    """Draw how much better `what` is than each of the others, with intervals; None if nothing is known."""
    known = [(name, each) for name, each in reversed(found) if each is not None and each.value is not None]
    if not known:
        return None
    unit = known[-1][1].unit
    drawn = [(name, each) for name, each in known if each.unit == unit]
    values = [each.value or 0.0 for _, each in drawn]
    figure = _figure(110 + 34 * len(drawn), f"how much better {html.escape(what)} is ({html.escape(unit)})", "")
    ends = [(each.low, each.high) for _, each in drawn]
    figure.add_scatter(
        x=values,
        y=[html.escape(name) for name, _ in drawn],
        mode="markers",
        marker={"color": BLUE, "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [0.0 if high is None else high - value for (_, high), value in zip(ends, values, strict=True)],
            "arrayminus": [0.0 if low is None else value - low for (low, _), value in zip(ends, values, strict=True)],
            "color": BLUE,
        },
        hovertemplate="%{y}: %{x:.3g}<extra></extra>",
    )
    figure.add_vline(x=0, line={"color": INK, "width": 1})
    figure.update_layout(showlegend=False)
    return figure.update_yaxes(ticks="", type="category")


def _figure(height: int, x: str, y: str) -> go.Figure:
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": QUIET, "ticks": "outside", "tickcolor": QUIET}
    axis |= {"automargin": True}
    return go.Figure(  # all at once: three updates of a figure take five times as long
        layout=go.Layout(
            height=height,
            margin={"l": 70, "r": 20, "t": 40, "b": 50},
            font={"family": _FONT, "size": 13, "color": INK},
            paper_bgcolor="white",
            plot_bgcolor="white",
            showlegend=True,
            legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            hoverlabel={"font": {"family": _FONT}},
            xaxis={"title": x, **axis},
            yaxis={"title": y, **axis},
        )
    )
