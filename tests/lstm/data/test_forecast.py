from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lstm.data import dataset
from lstm.data import forecast as forecast_data
from lstm.data.forecast import Series, fill, prepare
from lstm.data.parts import parts
from lstm.data.seasonal_naive import naive_error, seasonal_naive
from lstm.data.tables.regular import season_of
from lstm.messages.message import note
from lstm.records.errors import BadInput

ETTH1 = Path(__file__).parents[4] / "shared" / "data" / "ETTh1.csv"
MODES = ["refuse", "interpolate", "forward_fill", "skip"]


def with_gaps(values, mode, seed=1, share=0.06):
    """The values with a share of them missing, the first row whole; none are where gaps are refused."""
    values = values.copy()
    if mode != "refuse":
        holes = np.random.default_rng(seed).random(values.shape) < share
        holes[0] = False
        values[holes] = np.nan
    return values


def every_origin(series, config):
    return np.concatenate([series.train_origins(config), *(series.origins(p, config) for p in ("validation", "test"))])


# --- Nothing of the future gets in ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scaling", ["none", "standard"])
def test_nothing_at_or_after_an_origin_changes_what_its_window_sees(data_config, series_of, walk, mode, scaling):
    config = data_config(
        lookback=5, horizon=2, missing=mode, scaling=scaling, past_covariates=["p"], future_covariates=["f"]
    )
    values = with_gaps(walk(300, 3), mode)
    before = series_of(config, values)
    origins = every_origin(before, config)
    if scaling == "standard":  # fitted on the whole training part, which training windows may know
        origins = origins[origins >= before.bounds["train"][1]]
    rng = np.random.default_rng(5)
    assert len(origins) > 10
    for origin in origins[:: max(len(origins) // 25, 1)]:
        planted = values.copy()
        planted[origin:] = rng.normal(1000, 500, size=planted[origin:].shape)
        planted[origin : origin + 3] = with_gaps(planted[origin - 1 : origin + 3], mode, int(origin), 0.5)[1:]
        after = series_of(config, planted)
        seen = slice(origin - config.lookback, origin)
        np.testing.assert_array_equal(before.values[seen], after.values[seen])


def test_interpolated_rows_know_the_gaps_end_so_no_window_starts_in_it(data_config, series_of, walk):
    config = data_config(lookback=5, horizon=2, missing="interpolate", scaling="none")
    values = walk(150)
    values[108:111] = np.nan
    planted = values.copy()
    planted[111:] = 1000
    before, after = series_of(config, values), series_of(config, planted)
    # A line through the gap knows where it will end: were they seen, it would leak.
    assert (before.values[108:111] != after.values[108:111]).all()
    assert not {109, 110, 111} & set(every_origin(before, config).tolist())
    assert 112 in every_origin(before, config)


@pytest.mark.parametrize("mode", ["interpolate", "forward_fill", "skip"])
@pytest.mark.parametrize(("first", "stop"), [(95, 105), (95, 100), (100, 105), (99, 101), (97, 100)])
def test_a_gap_at_a_border_takes_nothing_from_the_later_part(data_config, series_of, walk, mode, first, stop):
    """200 rows: validation from row 100, test from row 150."""
    config = data_config(lookback=4, horizon=2, missing=mode, split={"validation": 50, "test": 50})
    values = walk(200)
    values[first:stop] = np.nan
    planted = values.copy()
    planted[100:] = np.where(np.isnan(planted[100:]), np.nan, 1e6)
    before, after = series_of(config, values), series_of(config, planted)
    assert before.scale == after.scale
    np.testing.assert_array_equal(before.values[:100], after.values[:100])
    np.testing.assert_array_equal(before.train_origins(config), after.train_origins(config))
    if first < 100:
        assert before.values[99, 0] == before.values[first - 1, 0]


def test_borders_are_counted_from_the_end_of_a_leading_gap(data_config, series_of, walk):
    config = data_config(lookback=4, horizon=2, missing="interpolate", split={"validation": 50, "test": 50})
    values = walk(205)
    values[:5] = np.nan
    values[100:110] = np.nan  # validation starts in row 105 of the file
    series = series_of(config, values)
    assert series.bounds["train"] == (0, 100)
    assert (series.values[95:100] == series.values[94]).all()


@pytest.mark.parametrize("mode", ["interpolate", "skip"])
def test_a_gap_that_ends_at_the_origin_leaves_that_origin_out(data_config, series_of, walk, mode):
    config = data_config(lookback=4, horizon=2, missing=mode, split={"validation": 50, "test": 50})
    values = walk(200)
    values[110:113] = np.nan
    series = series_of(config, values)
    kept = set(series.origins("validation", config).tolist())
    assert 113 not in kept
    assert (114 in kept) == (mode == "interpolate")
    assert 117 in kept  # its look-back is 113 to 116
    assert not kept & {109, 110, 111, 112}  # nothing is judged on filled-in values


def test_forward_fill_judges_from_the_end_of_a_gap_on(data_config, series_of, walk):
    config = data_config(lookback=4, horizon=2, missing="forward_fill", split={"validation": 50, "test": 50})
    values = walk(200)
    values[110:113] = np.nan
    series = series_of(config, values)
    kept = set(series.origins("validation", config).tolist())
    assert {108, 113, 114} <= kept
    assert not kept & {109, 110, 111, 112}
    assert (series.values[110:113] == series.values[109]).all()


def test_a_gap_is_filled_by_a_straight_line_within_its_part(data_config, series_of, walk):
    config = data_config(lookback=4, horizon=2, missing="interpolate", scaling="none", split=SPLIT_BY_ROWS)
    values = walk(200)
    values[20:24, 0] = np.nan
    found = series_of(config, values).values[19:25, 0]
    np.testing.assert_allclose(found, np.linspace(values[19, 0], values[24, 0], 6), rtol=1e-6)


SPLIT_BY_ROWS = {"validation": 50, "test": 50}


def test_scaling_is_fitted_on_the_training_part_only(data_config, series_of, walk):
    config = data_config(past_covariates=["p"], split=SPLIT_BY_ROWS)
    values = walk(200, 2)
    planted = values.copy()
    planted[100:] = planted[100:] * 1e3 + 1e5
    before, after = series_of(config, values), series_of(config, planted)
    assert before.scale == after.scale
    np.testing.assert_array_equal(before.values[:100], after.values[:100])
    np.testing.assert_allclose(before.scale.mean, values[:100].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(before.scale.deviation, values[:100].std(axis=0), rtol=1e-12)


def test_a_bounded_training_part_is_all_that_scaling_is_fitted_on(data_config, series_of, walk):
    split = {"train": "2020-02-01", "validation": "2020-05-01", "test": "2020-06-01"}
    config = data_config(time="t", split=split)
    values = walk(200)
    series = series_of(config, values, step="D")
    start, stop = series.bounds["train"]
    assert (start, stop) == (31, 121)
    assert series.scale.mean[0] == pytest.approx(values[31:121].mean(), rel=1e-12)
    assert series.train_origins(config)[0] == 31 + config.lookback


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lookback", [90, 101, 100_000])
def test_a_lookback_beyond_the_first_row_leaves_no_window(data_config, series_of, walk, mode, lookback):
    with pytest.raises(BadInput) as error:
        series_of(data_config(lookback=lookback, horizon=2, missing=mode), with_gaps(walk(100, 1), mode))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values["rows"]) == ("no-window-to-train-on", 60)


@pytest.mark.parametrize("mode", MODES)
def test_training_windows_end_within_the_training_part(data_config, series_of, walk, mode):
    config = data_config(missing=mode, split=SPLIT_BY_ROWS)
    values = with_gaps(walk(200), mode, share=0.02)
    values[85:] = walk(115)
    origins = series_of(config, values).train_origins(config)
    assert origins.max() + config.horizon == 100
    assert origins.min() >= config.lookback
    assert (np.diff(origins) > 0).all()


# --- Who is judged on what --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_every_lookback_up_to_the_reach_is_judged_on_the_same_origins(data_config, table_of, walk, mode):
    source = table_of(with_gaps(walk(200), mode, share=0.02))
    wanted = None
    for lookback in (1, 2, 9, 20):
        config = data_config(lookback=lookback, missing=mode)
        series = prepare(source, config, 20)
        found = {part: series.origins(part, config).tolist() for part in ("validation", "test")}
        wanted = wanted or found
        assert found == wanted
        assert all(len(origins) for origins in found.values())


def test_the_horizon_stays_in_its_part_and_the_lookback_reaches_over_its_border(data_config, series_of, walk):
    config = data_config(lookback=8, horizon=3, split=SPLIT_BY_ROWS)
    series = series_of(config, walk(200))
    assert series.origins("validation", config).tolist() == list(range(100, 148))
    assert series.origins("test", config).tolist() == list(range(150, 198))


def test_the_reach_is_never_shorter_than_the_lookback(data_config, series_of, walk):
    config = data_config(lookback=120, horizon=3, split={"train": 125, "validation": 30, "test": 45})
    assert series_of(config, walk(200), reach=2).reach == 120


def test_every_part_is_judged_from_its_first_row_whatever_the_reach(data_config, series_of, walk):
    config = data_config(lookback=4, horizon=3, split={"train": 50, "validation": 100, "test": 50})
    for reach in (4, 40, 47):  # 47 is the longest that leaves a window to train on
        assert series_of(config, walk(200), reach=reach).origins("validation", config)[0] == 50


@pytest.mark.parametrize("mode", ["interpolate", "forward_fill", "skip"])
def test_windows_are_kept_as_a_plain_loop_says(data_config, series_of, walk, mode):
    config = data_config(lookback=4, horizon=3, missing=mode, past_covariates=["p"], split=SPLIT_BY_ROWS)
    values = with_gaps(walk(200, 2), mode)
    series = series_of(config, values, reach=6)
    known = ~np.isnan(values)

    def keeps(origin, lookback, *, judged):
        whole = known[origin - lookback : origin + 3].all() if mode == "skip" else True
        last = known[origin - 1].all() if mode == "interpolate" else True
        return whole and last and (known[origin : origin + 3, 0].all() if judged else True)

    assert series.train_origins(config).tolist() == [o for o in range(4, 98) if keeps(o, 4, judged=False)]
    assert series.origins("test", config).tolist() == [o for o in range(150, 198) if keeps(o, 6, judged=True)]


def test_etth1_is_cut_as_its_protocol_says(data_config):
    if not ETTH1.exists():
        pytest.skip(f"{ETTH1} is not there")
    config = data_config(
        time="date",
        target="OT",
        lookback=168,
        horizon=24,
        split={"train": 8640, "validation": 2880, "test": 2880},
    )
    series = forecast_data.load(config, ETTH1, reach=720)
    assert series.bounds == {"train": (0, 8640), "validation": (8640, 11_520), "test": (11_520, 14_400)}
    for part in ("validation", "test"):
        assert series.origins(part, config).tolist() == list(range(series.bounds[part][0], series.bounds[part][1] - 23))
    assert len(series.origins("test", config)) == 2857
    raw = pd.read_csv(ETTH1)["OT"].to_numpy()
    assert series.scale.mean[0] == pytest.approx(raw[:8640].mean(), rel=1e-12)
    assert series.scale.deviation[0] == pytest.approx(raw[:8640].std(), rel=1e-12)
    np.testing.assert_allclose(series.original(series.values[:, :1])[:, 0], raw, atol=1e-5)
    assert (series.step, series.season) == ("1h", 24)


# --- Splitting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "borders"),
    [
        ({"validation": 0.2, "test": 0.1}, (0, 70, 90, 100)),
        ({"validation": 20, "test": 10}, (0, 70, 90, 100)),
        ({"train": 0.5, "validation": 0.2, "test": 0.1}, (0, 50, 70, 80)),
        ({"train": 50, "validation": 20, "test": 10}, (0, 50, 70, 80)),
        ({"validation": "2020-03-11", "test": "2020-03-31"}, (0, 70, 90, 100)),
        ({"validation": "2020-03-11 12:00", "test": "2020-03-31T00:00:00Z"}, (0, 71, 90, 100)),
        ({"train": "2020-01-11", "validation": "2020-03-11", "test": "2020-03-31"}, (10, 70, 90, 100)),
        ({"train": 0.335, "validation": 0.335, "test": 0.33}, (0, 34, 68, 100)),
        ({"train": 0.7, "validation": 0.155, "test": 0.145}, (0, 70, 86, 100)),
    ],
)
def test_the_parts_follow_each_other(data_config, table_of, split, borders):
    found = parts(data_config(split=split, time="t"), table_of(np.arange(100.0), step="D"))
    assert found == {
        "train": (borders[0], borders[1]),
        "validation": (borders[1], borders[2]),
        "test": (borders[2], borders[3]),
    }


@pytest.mark.parametrize("rows", [7, 10, 33, 101, 999])
def test_shares_that_add_up_to_all_never_ask_for_more(data_config, table_of, rows):
    split = {"train": 0.65, "validation": 0.15, "test": 0.2}
    found = parts(data_config(split=split), table_of(np.arange(float(rows))))
    assert rows - 1 <= found["test"][1] <= rows


@pytest.mark.parametrize(
    ("split", "step", "code", "values"),
    [
        (
            {"validation": 60, "test": 60},
            "D",
            "split-leaves-no-training",
            {"wanted": 120, "rows": 100, "file": "a.csv"},
        ),
        (
            {"train": 60, "validation": 30, "test": 20},
            "D",
            "split-beyond-file",
            {"wanted": 110, "rows": 100, "file": "a.csv"},
        ),
        (
            {"validation": "2020-03-31", "test": "2020-03-11"},
            "D",
            "split-out-of-order",
            {"train": 0, "validation": 90, "test": 70, "end": 100},
        ),
        (
            {"validation": 0.001, "test": 0.1},
            "D",
            "split-out-of-order",
            {"train": 0, "validation": 90, "test": 90, "end": 100},
        ),
    ],
)
def test_a_split_that_can_not_be_is_told(data_config, table_of, split, step, code, values):
    with pytest.raises(BadInput) as error:
        parts(data_config(split=split), table_of(np.arange(100.0), step=step))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.path, wrong.values) == (code, "data.split", values)


@pytest.mark.parametrize(
    ("split", "step", "code", "values"),
    [
        (
            {"validation": "2030-01-01", "test": "2030-03-11"},
            "D",
            "split-outside-data",
            {"value": "2030-01-01", "first": "2020-01-01 00:00:00", "last": "2020-04-09 00:00:00"},
        ),
        ({"validation": "soon", "test": "later"}, "D", "split-not-a-time", {"value": "soon"}),
        ({"validation": "2020-02-01", "test": "2020-03-11"}, "", "split-needs-times", {"value": "2020-02-01"}),
    ],
)
def test_a_time_that_can_not_be_is_told_with_its_part(data_config, table_of, split, step, code, values):
    with pytest.raises(BadInput) as error:
        parts(data_config(split=split), table_of(np.arange(100.0), step=step))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.path, wrong.values) == (code, "data.split.validation", values)


@pytest.mark.parametrize(
    ("settings", "code", "values"),
    [
        ({"lookback": 90}, "no-window-to-train-on", {"part": "train", "steps": 93}),
        (
            {"horizon": 30, "lookback": 8},
            "no-window-to-judge",
            {"part": "validation", "horizon": 30, "lookback": 8},
        ),
        (
            {"lookback": 5, "horizon": 11, "split": {"validation": 15, "test": 10}},
            "no-window-to-judge",
            {"part": "test", "rows": 10, "all": 100},
        ),
    ],
)
def test_too_little_data_is_told_with_the_figures(data_config, series_of, walk, settings, code, values):
    with pytest.raises(BadInput) as error:
        series_of(data_config(**settings), walk(100))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.path) == (code, "data")
    assert wrong.values.items() >= {"missing": None, **values}.items()


def test_a_longest_lookback_that_leaves_nothing_to_train_on_is_refused(data_config, series_of, walk):
    config = data_config(lookback=4)
    assert len(series_of(config, walk(100), reach=50).train_origins(config))
    with pytest.raises(BadInput) as error:
        series_of(config, walk(100), reach=70)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values["steps"]) == ("no-window-to-train-on", 73)


# --- Values -----------------------------------------------------------------------------------------------


def test_a_missing_value_is_refused_unless_the_spec_says_what_to_do(data_config, series_of, walk):
    values = walk(100, 2)
    values[40:42, 1] = np.nan
    with pytest.raises(BadInput) as error:
        series_of(data_config(past_covariates=["p"]), values)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("values-missing", {"count": 2, "column": "p", "first": "40"})
    assert [mode for mode in ("interpolate", "forward_fill", "skip") if mode not in wrong.mend] == []


@pytest.mark.parametrize("mode", MODES)
def test_a_leading_gap_is_left_out_and_told(data_config, series_of, walk, mode):
    values = walk(100, 2)
    values[:7, 1] = np.nan
    series = series_of(data_config(past_covariates=["p"], missing=mode), values)
    assert len(series.values) == 93
    assert series.times[:1].tolist() == [7]
    assert note("first-steps-left-out", "data.path", count=7, first="7") in series.notes


def test_a_trailing_gap_is_filled_and_not_judged(data_config, series_of, walk):
    values = walk(100)
    values[95:] = np.nan
    with pytest.raises(BadInput) as error:
        series_of(data_config(), values)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values["count"]) == ("values-missing", 5)
    for mode in ("interpolate", "forward_fill", "skip"):
        config = data_config(missing=mode)
        series = series_of(config, values)
        assert np.isfinite(series.values).all()
        assert series.origins("test", config)[-1] == 92


def test_a_column_without_values_is_refused_by_name(data_config, series_of, walk):
    values = walk(100, 2)
    values[:, 1] = np.nan
    with pytest.raises(BadInput) as error:
        series_of(data_config(past_covariates=["p"], missing="forward_fill"), values)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("column-empty", {"column": "p"})


def test_columns_that_are_never_known_together_can_be_carried_forward(data_config, series_of, walk):
    values = walk(100, 2)
    wanted = np.column_stack([np.repeat(values[::2, 0], 2)[1:], np.repeat(values[1::2, 1], 2)[:-1]])
    values[::2, 1], values[1::2, 0] = np.nan, np.nan
    config = data_config(past_covariates=["p"], missing="forward_fill", horizon=1, scaling="none")
    series = series_of(config, values)  # without row 0, whose value of y is carried on all the same
    np.testing.assert_array_equal(series.values, wanted.astype(np.float32))
    assert len(series.origins("test", config)) == 10
    with pytest.raises(BadInput) as error:
        series_of(data_config(past_covariates=["p"], missing="skip"), values)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values["missing"]) == ("no-window-to-train-on", "skip")


def test_a_constant_target_is_refused_and_a_constant_covariate_becomes_zero(data_config, series_of, walk):
    values = np.column_stack([walk(100)[:, 0], np.full(100, 0.1)])
    series = series_of(data_config(past_covariates=["p"]), values)
    np.testing.assert_allclose(series.values[:, 1], 0, atol=1e-6)
    with pytest.raises(BadInput) as error:
        series_of(data_config(past_covariates=["p"]), values[:, ::-1])
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("target-constant", {"column": "y", "value": 0.1})


def test_a_small_variation_on_a_large_value_survives_the_scaling(data_config, series_of):
    values = 1e12 + np.sin(np.arange(200.0))
    series = series_of(data_config(), values)
    wave = np.sin(np.arange(200.0))
    wanted = (wave - wave[:120].mean()) / wave[:120].std()
    np.testing.assert_allclose(series.values[:, 0], wanted, atol=1e-3)  # float64 itself has steps of 1e-4 there


@pytest.mark.parametrize("mode", ["standard", "none"])
def test_values_beyond_float32_are_refused_with_their_column(data_config, series_of, walk, mode):
    values = walk(100, 2)
    values[90, 1] = 1e60
    with pytest.raises(BadInput) as error:
        series_of(data_config(past_covariates=["p"], scaling=mode), values)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("values-too-large", {"column": "p"})


def test_values_too_large_to_be_averaged_are_refused(data_config, series_of, walk):
    with pytest.raises(BadInput) as error:
        series_of(data_config(), walk(100) * 1e200)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("values-too-large-to-average", {"column": "y"})


def test_without_scaling_values_stay_as_they_are(data_config, series_of, walk):
    values = walk(100)
    series = series_of(data_config(scaling="none"), values)
    np.testing.assert_array_equal(series.values, values.astype(np.float32))
    assert series.scale == dataset.Scale((0.0,), (1.0,))


def test_calendar_features_are_waves_of_their_period(data_config, series_of, walk):
    names = ["hour_of_day", "day_of_week", "day_of_month", "day_of_year", "week_of_year", "month_of_year"]
    config = data_config(time="t", calendar=names)
    series = series_of(config, walk(2000), step="30min", start="2020-02-28 00:00")
    assert series.futures == 12
    assert series.inputs == 13
    row = 83  # 2020-02-29 17:30, a Saturday, week 9
    positions = [17.5 / 24, 5 / 7, 28 / 31, 59 / 366, 8 / 53, 1 / 12]
    wanted = [wave(2 * np.pi * p) for p in positions for wave in (np.sin, np.cos)]
    np.testing.assert_allclose(series.values[row, 1:], wanted, atol=1e-6)


def test_filling_keeps_what_was_measured(data_config, walk):
    values = with_gaps(walk(100, 2), "skip", share=0.3)
    for mode in MODES[1:]:
        filled = fill(values, data_config(missing=mode), [60, 80, 100])
        np.testing.assert_array_equal(filled[~np.isnan(values)], values[~np.isnan(values)])
        assert not np.isnan(filled).any()


def test_a_series_remembers_what_was_measured(data_config, series_of, walk):
    values = with_gaps(walk(100, 2), "skip", share=0.02)
    series = series_of(data_config(past_covariates=["p"], missing="forward_fill"), values)
    assert isinstance(series, Series)
    np.testing.assert_array_equal(series.holes, np.isnan(values))
    assert series.values.dtype == np.float32
    assert series.values.flags.c_contiguous


# --- Seasons ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "rows", "season"),
    [
        ("h", 100, 24),
        ("h", 40, 1),  # not two seasons long
        ("30min", 200, 48),
        ("10min", 300, 144),
        ("D", 100, 7),
        ("B", 100, 5),  # a week of working days
        ("B", 9, 1),
        ("7D", 200, 52),
        ("W", 200, 52),
        ("MS", 60, 12),
        ("ME", 60, 12),
        ("QS", 60, 4),
        ("YS", 60, 1),
        ("s", 1000, 1),
        ("", 1000, 1),
    ],
)
def test_a_season_is_the_shortest_usual_one(table_of, step, rows, season):
    assert season_of(table_of(np.arange(float(rows)), step=step)) == season


def test_a_given_season_is_taken(data_config, series_of, walk):
    assert series_of(data_config(season=5), walk(100)).season == 5


@pytest.mark.parametrize(("season", "horizon"), [(1, 3), (4, 3), (4, 4), (4, 11), (60, 3)])
def test_the_seasonal_naive_follows_a_plain_loop(data_config, series_of, walk, season, horizon):
    config = data_config(target=["a", "b"], lookback=2, horizon=horizon, season=season)
    series = series_of(config, walk(100, 2))
    origins = np.array([3, 5, 60, 80])
    found = seasonal_naive(series, origins, horizon)
    for i, origin in enumerate(origins):
        for step in range(horizon):
            row = origin + step
            while row >= origin:  # go back by whole seasons to before the origin
                row -= season
            row = row if origin >= season else origin - 1
            np.testing.assert_array_equal(found[i, step], series.values[row, :2])


def test_the_naive_error_is_that_of_the_training_part_in_original_units(data_config, series_of, walk):
    config = data_config(target=["a", "b"], season=4, split=SPLIT_BY_ROWS)
    values = walk(200, 2) * [1, 100]
    found = naive_error(series_of(config, values))
    for column in range(2):
        wanted = np.mean([abs(values[t, column] - values[t - 4, column]) for t in range(4, 100)])
        assert found[column] == pytest.approx(wanted, rel=1e-5)


def test_the_naive_error_takes_measured_values_only(data_config, series_of, walk):
    config = data_config(missing="forward_fill", season=4, split=SPLIT_BY_ROWS)
    values = walk(200)
    values[30:60] = np.nan
    y = values[:, 0]
    wanted = np.nanmean([abs(y[t] - y[t - 4]) for t in range(4, 100)])
    assert naive_error(series_of(config, values))[0] == pytest.approx(wanted, rel=1e-5)


def test_where_seasons_repeat_exactly_the_naive_error_is_that_of_the_last_value(data_config, series_of):
    values = np.tile([1.0, 2.0, 3.0, 7.0], 50)
    found = naive_error(series_of(data_config(season=4, scaling="none", split=SPLIT_BY_ROWS), values))
    assert found[0] == pytest.approx(np.abs(np.diff(values[:100])).mean())
