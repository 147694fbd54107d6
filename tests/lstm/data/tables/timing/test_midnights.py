"""Days and months of a place whose times are written in UTC."""

import numpy as np
import pandas as pd
import pytest

from lstm.config.forecast import ForecastData, Split
from lstm.data.profile.files import GivenFile
from lstm.data.profile.profile import profile
from lstm.data.tables import regular
from lstm.data.tables.timing import midnights
from lstm.records.errors import BadInput

ROWS = 400
VALUES = (100 + 10 * np.sin(2 * np.pi * np.arange(ROWS) / 7) + np.random.default_rng(3).normal(size=ROWS)).round(2)
DAYS = pd.date_range("2018-02-11", periods=ROWS)
MONTHS = pd.date_range("1991-05-01", periods=ROWS, freq="MS")
WORKING = pd.date_range("2020-03-02", periods=ROWS, freq="B")
WRITTEN = {
    "Z": lambda utc: utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "+00:00": lambda utc: utc.strftime("%Y-%m-%d %H:%M:%S+00:00"),
    "word": lambda utc: utc.strftime("%d.%m.%Y %H:%M UTC"),
    "unix": lambda utc: utc.as_unit("ms").asi8,
}


def in_utc(times, zone):
    return times.tz_localize(zone, nonexistent="shift_forward").tz_convert("UTC")


def section(**given):
    return ForecastData(target="v", time="t", lookback=1, horizon=1, split=Split(validation=1, test=1), **given)


@pytest.fixture
def file(tmp_path):
    """Write a file of times and values."""

    def file(times, name="a.csv"):
        path, frame = tmp_path / name, pd.DataFrame({"t": times, "v": VALUES[: len(times)]})
        frame.to_parquet(path) if name.endswith("parquet") else frame.to_csv(path, index=False)
        return path

    return file


@pytest.mark.parametrize(
    ("zone", "times"),
    [
        ("Europe/Berlin", DAYS),
        ("Europe/London", MONTHS),
        ("America/Chicago", DAYS),
        ("America/Sao_Paulo", DAYS),  # days there may begin at 01:00
        ("Australia/Adelaide", pd.date_range("2018-02-12", periods=ROWS, freq="7D")),
        ("Pacific/Auckland", WORKING),
        ("Asia/Kolkata", MONTHS),
        ("Asia/Tokyo", pd.date_range("1930-01-01", periods=300, freq="QS")),
    ],
)
@pytest.mark.parametrize("order", [-1, pytest.param(1, marks=pytest.mark.faults)])
def test_the_place_is_found_and_named_in_the_spec(file, zone, times, order):
    path = file(WRITTEN["Z"](in_utc(times, zone))[::order])
    made = profile(path)
    assert made.reading["time_zone"] == zone
    assert "midnights" in made.reading_why["time_zone"]
    table = regular.read(section(time_zone=zone, step=made.step if made.step_given else None), path)
    assert table.times.tolist() == times.tolist()
    assert made.step == table.step
    np.testing.assert_array_equal(table.values[:, 0], VALUES[: len(times)][::order])
    assert not {"times-irregular-averaged", "rows-to-nearest-step"} & {each.code for each in made.notes}


@pytest.mark.parametrize("form", WRITTEN)
def test_however_the_times_are_written(file, form):
    made = profile(file(WRITTEN[form](in_utc(DAYS, "Europe/Rome"))))
    assert (made.first, made.last, made.steps, made.step) == ("2018-02-11", f"{DAYS[-1]:%Y-%m-%d}", ROWS, "1D")
    assert made.reading["time_zone"] == "Europe/Berlin"  # whose clock is that of Rome


@pytest.mark.parametrize("rows", [slice(0, 9), slice(41, 47), slice(200, 230)])  # winter, around a change, summer
@pytest.mark.parametrize("form", ["Z", "unix"])
def test_a_few_rows_are_read_as_the_whole_file(file, rows, form):
    few = DAYS[rows]
    given = {"time_format": "unix_ms"} if form == "unix" else {}
    table = regular.read(section(time_zone="Europe/Berlin", **given), file(WRITTEN[form](in_utc(few, "Europe/Berlin"))))
    assert table.times.tolist() == few.tolist()
    assert table.zone is None


def test_in_parquet_too(file):
    assert profile(file(in_utc(MONTHS, "America/New_York"), "a.parquet")).first == "1991-05-01"


@pytest.mark.parametrize("times", [DAYS, MONTHS])
def test_without_z_the_zone_is_asked_for(file, times):
    path = file(in_utc(times, "Europe/Paris").tz_localize(None))
    with pytest.raises(BadInput) as error:
        profile(path)
    [wrong] = error.value.faults
    assert wrong.code == "times-in-utc-without-z"
    assert wrong.values["place"] == "Europe/Berlin"


def test_the_last_hours_of_months_without_z_stay_so(file):
    ends = pd.date_range("2001-01-31 18:00", periods=ROWS, freq="ME")
    assert profile(file(ends)).first == "2001-01-31 18:00:00"


def test_a_spec_without_the_zone_is_refused_with_it(file):
    with pytest.raises(BadInput) as error:
        regular.read(section(), file(WRITTEN["Z"](in_utc(DAYS, "America/Denver"))))
    [wrong] = error.value.faults
    assert wrong.code == "times-irregular-by-a-clock"
    assert wrong.values["place"] == "America/Denver"


def test_a_spec_with_a_step_is_told_the_zone(file):
    table = regular.read(section(step="MS"), file(WRITTEN["Z"](in_utc(MONTHS, "Europe/Berlin"))))
    [told] = [each for each in table.notes if each.code == "times-of-a-clock"]
    assert told.values["places"] == ["Europe/Berlin (00:00)"]


def test_one_hour_of_the_day_in_several_places_is_told_and_not_taken(file):
    gas_days = in_utc(DAYS + pd.Timedelta(hours=6), "Europe/Berlin")
    made = profile(file(WRITTEN["Z"](gas_days)))
    [told] = [each for each in made.notes if each.code == "times-of-a-clock"]
    assert told.values["places"][:2] == ["Europe/Berlin (06:00)", "Europe/London (05:00)"]
    assert "time_zone" not in made.reading


@pytest.mark.parametrize(("clock", "places"), [("18:30", ["Asia/Kolkata (00:00)"]), ("00:00", []), ("09:10", [])])
def test_days_at_one_hour_in_utc_stay_there(file, clock, places):
    path = file([f"{day:%Y-%m-%d}T{clock}:00Z" for day in DAYS])
    made = profile(path)
    assert pd.Timestamp(made.first) == pd.Timestamp(f"2018-02-11 {clock}")
    assert [each.values["places"] for each in made.notes if each.code == "times-of-a-clock"] == (
        [places] if places else []
    )
    if places:  # and the zone of the spec is the one of the days
        assert regular.read(section(time_zone="Asia/Kolkata"), path).times[0] == pd.Timestamp("2018-02-12")


def test_last_hours_of_months_and_hours_are_no_midnights():
    ends = pd.date_range("2001-01-31 23:00", periods=ROWS, freq="ME")
    assert midnights.place_of(ends) is None
    assert midnights.place_of(pd.date_range("2021-03-01", periods=ROWS, freq="h")) is None
    jittered = DAYS + pd.to_timedelta(np.random.default_rng(1).integers(0, 2, ROWS) * 60, unit="min")
    assert midnights.place_of(jittered) is None


def test_numbers_since_1970_are_instants_where_a_spec_names_a_zone(file):
    hours = pd.date_range("2021-03-27", periods=ROWS, freq="h")
    path = file(hours.as_unit("s").asi8)
    assert GivenFile(path).raw.num_rows == ROWS
    table = regular.read(section(time_format="unix_s", time_zone="Europe/Berlin"), path)
    assert table.times.tolist() == hours.tolist()
    assert table.zone == "Europe/Berlin"
