"""Long files, read block by block: the same series as of the whole, in half the memory and less."""

import tracemalloc
from dataclasses import fields
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from lstm.data import forecast as forecast_data
from lstm.data.tables import chunked, reader
from lstm.data.tables.content import Form
from lstm.records.errors import BadInput

ROWS = 20_000  # several blocks


@pytest.fixture
def loaded(tmp_path, data_config, monkeypatch):
    """A table's series: read as a whole, and block by block; whether it could be."""

    def loaded(frame, *, ending="csv", **settings):
        path = tmp_path / f"walk.{ending}"
        frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path, index=False)
        config = data_config(target="a", past_covariates=["b"], **settings)
        monkeypatch.setattr(reader, "LONG", 2**40)
        whole = forecast_data.load(config, path)
        monkeypatch.setattr(reader, "LONG", 0)
        monkeypatch.setattr(reader, "BLOCK", 2_400)
        found = chunked.read(path, config, Form.of(config))
        return whole, forecast_data.load(config, path), found

    return loaded


def frame(times=None, *, level=0.0, deviation=1.0):
    generator = np.random.default_rng(3)
    columns = generator.normal(level, deviation, (ROWS, 2)).round(6)
    start = {} if times is None else {"time": times}
    return pd.DataFrame({**start, "a": columns[:, 0], "b": np.cumsum(columns[:, 1] - level)})


def hours(zone=None):
    return pd.date_range("2001-01-01", periods=ROWS, freq="h", tz=zone)


def same(one, other):
    for name in {field.name for field in fields(forecast_data.Series)} - {"values", "scale", "holes", "times"}:
        assert getattr(one, name) == getattr(other, name), name
    np.testing.assert_array_equal(one.times[:], other.times[:])
    np.testing.assert_allclose(one.scale.mean, other.scale.mean, rtol=1e-6)
    np.testing.assert_allclose(one.scale.deviation, other.scale.deviation, rtol=1e-6)
    np.testing.assert_array_equal(one.holes, other.holes)
    assert one.values.dtype == other.values.dtype == np.float32
    np.testing.assert_allclose(one.values, other.values, rtol=2e-6, atol=2e-6)


def test_it_is_the_series_of_the_whole_file(loaded):
    whole, blocks, found = loaded(frame(hours()), time="time")
    same(whole, blocks)
    assert found is not None
    assert len(found.values) == ROWS
    np.testing.assert_array_equal(blocks.times[:], hours().to_numpy())


@pytest.mark.parametrize("times", [None, range(7, 7 + 3 * ROWS, 3), hours("Europe/Zurich"), hours()[::-1]])
def test_whatever_its_times(loaded, times):
    whole, blocks, found = loaded(frame(times), time=None if times is None else "time")
    same(whole, blocks)
    assert found is not None


@pytest.mark.parametrize("missing", ["interpolate", "forward_fill", "skip"])
def test_rows_and_values_may_be_missing(loaded, missing):
    holed = frame(hours()).drop(index=[10_000, 10_001, 19_600])
    holed.loc[100:120, "a"] = np.nan
    holed.loc[:3, "b"] = np.nan  # which leaves these rows out
    whole, blocks, found = loaded(holed, time="time", missing=missing)
    same(whole, blocks)
    assert found is not None
    assert whole.holes is not None
    assert whole.holes.any(axis=0).all()


def test_parquet_is_read_so_too(loaded):
    whole, blocks, found = loaded(frame(hours("UTC")), ending="parquet", time="time")
    same(whole, blocks)
    assert found is not None
    assert found.zone == "UTC"


def test_what_the_calendar_knows_stands_beside_it(loaded):
    whole, blocks, _ = loaded(frame(hours()), time="time", calendar=["hour_of_day", "month_of_year"])
    same(whole, blocks)
    assert blocks.futures == 4


@pytest.mark.parametrize(("level", "deviation"), [(1e9, 1.0), (-1e9, 0.1), (0, 1e8)])
def test_digits_tell_values_apart_however_far_from_zero(loaded, level, deviation):
    written = frame(level=level, deviation=deviation)
    _, blocks, found = loaded(written)
    assert found is not None
    # Summed up without rounding; the mean of the whole file's float64 is less exact so far from zero.
    train = [Fraction(value) for value in written["a"][: blocks.bounds["train"][1]]]
    mean = sum(train) / len(train)
    above = np.array([float(Fraction(value) - mean) for value in written["a"]])
    wanted = above / np.sqrt(np.square(above[: len(train)]).mean())
    np.testing.assert_allclose(blocks.values[:, 0], wanted, rtol=2e-6, atol=1e-6)


def test_a_leap_after_the_first_block_costs_few_digits(loaded):
    leap = frame()
    leap.loc[7_000:, "a"] += 1e4
    same(*loaded(leap)[:2])


@pytest.mark.parametrize("value", [1e31, 1e-31])
def test_what_float32_does_not_hold_is_read_as_a_whole(loaded, value):
    far = frame()
    far["a"] *= value
    whole, blocks, found = loaded(far)
    same(whole, blocks)
    assert found is None


@pytest.mark.parametrize("value", ["many", "inf"])
def test_what_is_wrong_is_told_with_its_line(tmp_path, data_config, monkeypatch, value):
    wrong = frame().astype(str)
    wrong.loc[17_000, "b"] = value
    wrong.to_csv(tmp_path / "walk.csv", index=False)
    config = data_config(target="a", past_covariates=["b"], time=None)
    told = []
    for longest in (2**40, 0):
        monkeypatch.setattr(reader, "LONG", longest)
        with pytest.raises(BadInput) as refusal:
            forecast_data.load(config, tmp_path / "walk.csv")
        told.append(refusal.value.faults)
    assert told[0] == told[1]
    [wrong] = told[0]
    assert (wrong.place, wrong.values["column"]) == (f"{tmp_path / 'walk.csv'}:17002", "b")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("far", "order", "split"),
    [
        (slice(16_000, None), -1, {}),  # the file's first block is the test part's
        (slice(900, None), 1, {"train": 500, "validation": 400, "test": 400}),
        (slice(2_700), 1, {"train": "2001-05-01", "validation": "2002-05-01", "test": "2002-09-01"}),
    ],
)
def test_where_the_base_is_far_from_the_training_part_the_file_is_read_as_a_whole(loaded, far, order, split, ending):
    written = frame(hours())
    written.loc[written.index[far], "a"] += 1e8
    whole, blocks, found = loaded(written[::order], ending=ending, time="time", **({"split": split} if split else {}))
    assert found is not None
    np.testing.assert_array_equal(whole.values, blocks.values)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_so_it_is_where_a_leading_gap_takes_the_base_away(loaded, ending):
    written = frame(hours())
    written.loc[:2_999, "b"] = np.nan
    written.loc[:2_999, "a"] += 1e8
    whole, blocks, _ = loaded(written, ending=ending, time="time", missing="interpolate")
    same(whole, blocks)


def test_what_is_constant_in_training_tells_nothing_either_way(loaded):
    written = frame()
    written["b"] = np.where(np.arange(ROWS) < 13_000, 0.1, 5.0)
    whole, blocks, _ = loaded(written)
    same(whole, blocks)
    assert whole.scale.deviation[1] == 1
    assert not whole.values[:12_000, 1].any()


def test_dates_without_a_time_of_day_are_times(loaded):
    days = pd.date_range("1850-01-01", periods=ROWS, freq="D", unit="s").strftime("%Y-%m-%d")
    whole, blocks, found = loaded(frame(days), time="time")
    same(whole, blocks)
    assert found is not None


def test_too_many_values_are_refused_before_they_are_read(tmp_path, data_config, monkeypatch):
    frame().to_csv(tmp_path / "walk.csv", index=False)
    monkeypatch.setattr(reader, "LONG", 0)
    monkeypatch.setattr(reader, "MOST_VALUES", ROWS)
    monkeypatch.setattr(reader, "read", None)  # would raise otherwise
    with pytest.raises(BadInput) as error:
        forecast_data.load(data_config(time=None, target="a", past_covariates=["b"]), tmp_path / "walk.csv")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values["columns"], wrong.values["limit"]) == ("too-many-values", 2, ROWS)


def test_memory_holds_its_values_once(tmp_path, data_config, monkeypatch):
    rows = 200_000
    values = np.random.default_rng(0).normal(size=(rows, 4)).astype(np.float32).round(4)
    named = pd.DataFrame(values, columns=list("abcd"))
    times = pd.date_range("2001-01-01", periods=rows, freq="s")
    pd.concat([named, pd.Series(times, name="time")], axis=1).to_csv(tmp_path / "walk.csv", index=False)
    monkeypatch.setattr(reader, "LONG", 0)
    monkeypatch.setattr(reader, "BLOCK", 5_000)  # as small beside the file as the real one beside a gigabyte
    config = data_config(time="time", target="a", past_covariates=["b", "c", "d"])
    forecast_data.load(config, tmp_path / "walk.csv")  # what is imported now is not imported then
    tracemalloc.start()
    try:
        series = forecast_data.load(config, tmp_path / "walk.csv")
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1.1 * series.values.nbytes
    assert peak < 2 * series.values.nbytes
