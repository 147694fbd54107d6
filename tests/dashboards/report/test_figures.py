import math
from types import SimpleNamespace
from typing import Any

import pytest

from dashboards.report import axes, figures
from lstm.records.figures import Curve, Forecast, HeatMap
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial


def sweep(trials: list[Trial], direction: Any = "minimize") -> Sweep:
    return Sweep("co2", "val/loss", direction, len(trials), tuple(trials))


def test_many_curves_are_thinned_and_the_best_are_kept(make: SimpleNamespace) -> None:
    trials = [make.trial(n, 1.0 + (n * 37 % 1000)) for n in range(1000)]
    drawn = figures.thinned(sweep(trials))
    assert len(drawn) == len({trial.number for trial in drawn}) == figures.MAX_CURVES
    assert {trial.value for trial in drawn} >= {float(value) for value in range(1, 31)}


def test_a_curve_is_drawn_once_and_the_best_on_top(make: SimpleNamespace) -> None:
    trials = [make.trial(0, 0.5), make.trial(1, 0.2), make.trial(2, 0.9, "PRUNED")]
    names = [trace.name for trace in figures.curves(sweep(trials)).data]
    assert names == ["stopped early", "completed", "best: trial 1"]
    assert [set(trace.customdata) - {None} for trace in figures.curves(sweep(trials)).data] == [{2}, {0}, {1}]


def test_infinite_and_missing_values_leave_gaps(make: SimpleNamespace) -> None:
    odd = make.trial(0, None, "PRUNED", curve=((1, 0.5), (2, math.inf), (3, math.nan)), diverged=True)
    (trace,) = figures.curves(sweep([odd])).data
    assert trace.y == (0.5, None, None, None)


@pytest.mark.parametrize(("values", "kind"), [([0.1, 0.5], "log"), ([-0.1, 0.5], None), ([0.0, 0.5], None)])
def test_positive_values_are_drawn_on_a_logarithmic_scale(
    make: SimpleNamespace, values: list[float], kind: str | None
) -> None:
    trials = [make.trial(n, value) for n, value in enumerate(values)]
    assert figures.history(sweep(trials)).layout.yaxis.type == kind


@pytest.mark.parametrize(("direction", "best"), [("minimize", (0.5, 0.5, 0.2)), ("maximize", (0.5, 0.7, 0.7))])
def test_best_so_far(make: SimpleNamespace, direction: str, best: tuple[float, ...]) -> None:
    trials = [make.trial(n, value) for n, value in enumerate([0.5, 0.7, 0.2])]
    assert figures.history(sweep(trials, direction)).data[-1].y == best


@pytest.mark.parametrize(("direction", "order"), [("minimize", ("b", "false", "a")), ("maximize", ("a", "false", "b"))])
def test_choices_stand_side_by_side_the_best_on_top(
    make: SimpleNamespace, direction: Any, order: tuple[str, ...]
) -> None:
    given: list[tuple[Any, float]] = [("a", 0.1), ("a", 0.3), ("b", 0.9), ("b", 0.7), (False, 0.5)]
    trials = [make.trial(n, value, settings={"m.cell": choice, "m.size": n}) for n, (choice, value) in enumerate(given)]
    trials.append(make.trial(9, 0.01, "PRUNED", settings={"m.cell": "b"}))
    trials.append(make.trial(10, 0.01, "PRUNED", settings={"m.cell": "c"}, diverged=True))
    figure = figures.choices(sweep(trials, direction), "m.cell")
    assert tuple(box.name for box in figure.data) == order  # plotly draws from the bottom
    assert {box.name: sorted(box.x) for box in figure.data} == {"a": [0.1, 0.3], "b": [0.7, 0.9], "false": [0.5]}
    assert figures.categorical(sweep(trials)) == ["m.cell"]


def test_one_choice_has_nothing_beside_it(make: SimpleNamespace) -> None:
    trials = [make.trial(n, 0.1 + n, settings={"cell": "a"}) for n in range(3)]
    assert figures.choices(sweep(trials), "cell") is None


def test_parallel_coordinates_take_every_kind_of_setting(make: SimpleNamespace) -> None:
    settings: list[dict[str, Any]] = [
        {"a.rate": 1e-4, "a.kind": "x<b>", "a.flag": True, "a.none": None, "a.size": 8},
        {"a.rate": 1e-3, "a.kind": "y", "a.flag": False, "a.none": 3, "a.size": 16, "a.only_here": 0.5},
        {"a.rate": 1e-1, "a.kind": "y", "a.flag": False, "a.none": 3, "a.size": 64, "b.size": 1},
    ]
    trials = [make.trial(n, 1.0 + n, settings=each) for n, each in enumerate(settings)]
    figure = figures.parallel_coordinates(sweep(trials))
    axes = {axis.label: axis for axis in figure.data[0].dimensions}
    assert set(axes) == {"rate", "kind", "flag", "none", "a.size", "only_here", "b.size", "val/loss"}
    assert axes["rate"].values == pytest.approx((-1, -3, -4))  # logarithms, the best last
    assert axes["kind"].ticktext == ("x&lt;b&gt;", "y")
    assert axes["flag"].ticktext == ("false", "true")
    assert axes["only_here"].ticktext[0] == "not used"
    for axis in axes.values():
        assert all(axis.range[0] <= value <= axis.range[1] for value in axis.values)
        assert axis.range[0] < axis.range[1]


def test_parallel_coordinates_need_two_trials_and_a_setting(make: SimpleNamespace) -> None:
    assert figures.parallel_coordinates(sweep([make.trial(0, 0.5)])) is None
    bare = [make.trial(n, 0.5, settings={}) for n in range(3)]
    assert figures.parallel_coordinates(sweep(bare)) is None


@pytest.mark.parametrize(
    ("values", "log"),
    [([1e-4, 1e-3, 1e-2, 1e-1], True), ([0.01, 0.4, 0.5, 0.9], False), ([16, 32, 64], False), ([0, 1e3], False)],
)
def test_log_looking(values: list[float], log: bool) -> None:
    assert axes.is_log(values) is log


@pytest.mark.parametrize(("low", "high"), [(1e-4, 1e-1), (0.31, 0.33), (0.05, 1.0), (1e-9, 1e9), (3.0, 3.0)])
def test_log_ticks_lie_inside(low: float, high: float) -> None:
    ticks = axes.log_ticks(low, high)
    assert 1 <= len(ticks) <= 22
    assert all(low * 0.99 <= tick <= high * 1.01 for tick in ticks)


def test_a_forecast_joins_the_past(make: SimpleNamespace) -> None:
    nan = math.nan
    shown = Forecast("y", ("3", "4"), (nan, nan), (1.0, 2.0), (3.0, nan), ("1", "2"), (5.0, 6.0))
    traces = {trace.name: trace for trace in figures.forecast(shown).data}
    assert traces["forecast"].x == (3, 4)
    assert traces["seasonal naive"].y == (3.0, None)
    assert traces["truth"].y == (6.0, None, None)
    assert "past" not in {t.name for t in figures.forecast(Forecast("y", ("1",), (1.0,), (1.0,), (1.0,))).data}


def test_lines_of_a_probe_have_gaps_where_nothing_can_be_drawn() -> None:
    shown = Curve("t", "n", "steps <b>", "y", (1.0, 2.0, 3.0), {"a<b>": (0.0, math.nan, 2.0)}, log_y=True)
    figure = figures.curve_picture(shown)
    (trace,) = figure.data
    assert (trace.x, trace.y) == ((1.0, 2.0, 3.0), (None, None, 2.0))
    assert trace.name == "a&lt;b&gt;"
    assert figure.layout.xaxis.title.text == "steps &lt;b&gt;"
    assert figure.layout.yaxis.type == "log"
    assert figure.layout.yaxis.range[0] < math.log10(2) < figure.layout.yaxis.range[1]
    assert not figure.layout.showlegend


def test_several_lines_of_a_probe_are_told_apart() -> None:
    figure = figures.picture(Curve("t", "n", "x", "y", (1.0, 2.0), {str(i): (0.0, 1.0) for i in range(7)}, log_x=True))
    assert figure.layout.showlegend
    assert len({trace.line.color for trace in figure.data}) == 5  # then they come again
    assert figure.layout.xaxis.ticktext == ("1", "2")
    assert figure.layout.yaxis.type is None


@pytest.mark.parametrize("values", [(), (math.nan,), (0.0,)])
def test_a_probe_with_nothing_to_draw_is_an_empty_picture(values: tuple[float, ...]) -> None:
    x = tuple(map(float, range(len(values))))
    figure = figures.curve_picture(Curve("t", "n", "x", "y", x, {"a": values}, log_y=True))
    assert not [y for y in figure.data[0].y if y is not None]


@pytest.mark.parametrize(("low", "middle"), [(0.0, 2), (-1.0, 3)])
def test_a_heat_maps_rows_lie_as_they_are_given(low: float, middle: int) -> None:
    shown = HeatMap("t", "n", "step", "unit", (-1.0, 0.0), ("7", "3<b>"), ((0.1, 0.2), (0.3, math.inf)), low, high=1.0)
    figure = figures.picture(shown)
    (trace,) = figure.data
    assert trace.y == ("7", "3&lt;b&gt;")
    assert [list(row) for row in trace.z] == [[0.1, 0.2], [0.3, None]]
    assert (trace.zmin, trace.zmax, len(trace.colorscale)) == (low, 1.0, middle)
    assert (figure.layout.yaxis.type, figure.layout.yaxis.autorange) == ("category", "reversed")
    assert figure.layout.yaxis.showticklabels


def test_a_heat_map_with_named_columns_tells_its_numbers() -> None:
    shown = HeatMap("t", "n", "answered", "truth", ("1", "2<b>"), ("1", "2<b>"), ((1.0, 0.0), (0.25, 0.75)), 0.0, 1.0)
    figure = figures.picture(shown)
    (trace,) = figure.data
    assert trace.x == ("1", "2&lt;b&gt;")
    assert figure.layout.xaxis.type == "category"
    assert [list(row) for row in trace.text] == [["1", ""], ["0.25", "0.75"]]
    many = tuple(map(str, range(64)))
    figure = figures.picture(HeatMap("t", "n", "x", "y", many, many, tuple((0.5,) * 64 for _ in many), 0.0, 1.0))
    assert not figure.layout.xaxis.showticklabels
    assert figure.data[0].text is None


def test_equal_names_are_rows_and_columns_of_their_own() -> None:
    words = ("the", "dog", "the")
    (trace,) = figures.picture(HeatMap("t", "n", "x", "y", words, words, ((1.0, 0.0, 0.0),) * 3, 0.0, 1.0)).data
    assert len(set(trace.x)) == len(set(trace.y)) == 3
    assert [name.replace("\u200b", "") for name in trace.x] == [*words]


def test_the_rows_of_a_large_heat_map_are_not_named() -> None:
    rows = tuple(map(str, range(64)))
    shown = HeatMap("t", "n", "step", "unit", (0.0,), rows, tuple((0.5,) for _ in rows), 0.0, 1.0)
    assert not figures.heat_map_picture(shown).layout.yaxis.showticklabels
