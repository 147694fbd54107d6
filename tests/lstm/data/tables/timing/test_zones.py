"""Zones: which clock times are taken by, what a name after a time says, and the zone of a forecast."""

import datetime

import numpy as np
import pandas as pd
import pytest
import torch

from lstm.config.forecast import ForecastData, Split
from lstm.data.dataset import Scale
from lstm.data.forecast import SeriesFacts
from lstm.data.tables import regular
from lstm.data.tables.timing import zones
from lstm.records.errors import BadInput
from lstm.tasks.networks.forecast import follow

ROWS = 80
VALUES = np.sin(np.arange(ROWS)).round(4)


def section(**fields):
    return ForecastData(time="t", target="v", lookback=4, horizon=6, split=Split(validation=8, test=8), **fields)


@pytest.fixture
def read(tmp_path):
    """Writes a table and reads it."""

    def read(times, suffix="csv", **fields):
        path = tmp_path / f"a.{suffix}"
        frame = pd.DataFrame({"t": times, "v": VALUES[: len(times)]})
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
        return regular.read(section(**fields), path)

    return read


@pytest.fixture
def ahead(read):
    """Tells the times of a forecast from a table."""

    def ahead(times, suffix="csv", **fields):
        table = read(times, suffix, **fields)
        facts = SeriesFacts("", ("v",), 1, 0, Scale((0.0,), (1.0,)), 1, table.step)
        network = _Zeros()
        return follow(network, section(**fields), facts, table)["t"]

    return ahead


class _Zeros(torch.nn.Module):
    def forward(self, past, ahead):
        return torch.zeros(1, ahead.shape[1], 1)


# --- The zone of a forecast -------------------------------------------------------------------------------------

# The last row is two hours before clocks change in the night.
SPRING = pd.date_range(end="2023-03-26 00:00", periods=ROWS, freq="h", tz="Europe/Rome")
AUTUMN = pd.date_range(end="2022-11-05 23:00", periods=ROWS, freq="h", tz="America/Denver")
ROME = ["01:00:00+01:00", "03:00:00+02:00", "04:00:00+02:00", "05:00:00+02:00", "06:00:00+02:00", "07:00:00+02:00"]
DENVER = ["00:00:00-06:00", "01:00:00-06:00", "01:00:00-07:00", "02:00:00-07:00", "03:00:00-07:00", "04:00:00-07:00"]


@pytest.mark.parametrize(
    ("local", "day", "told"), [(SPRING, "2023-03-26", ROME), (AUTUMN, "2022-11-06", DENVER)], ids=["spring", "autumn"]
)
def test_a_forecast_over_a_change_of_the_clock_is_in_the_files_zone(ahead, local, day, told):
    zone = str(local.tz)
    wanted = [f"{day}T{each}" for each in told]
    assert ahead(local, "parquet") == wanted
    assert ahead(local.tz_localize(None), time_zone=zone) == wanted
    assert ahead([each.isoformat() for each in local], time_zone=zone) == wanted
    assert ahead([f"{each:%d %b %Y %H:%M} {zone}" for each in local]) == wanted


@pytest.mark.parametrize(
    ("form", "zone", "last"),
    [
        ("{:%Y-%m-%dT%H:%M:%S}+05:30", "Asia/Kolkata", "+05:30"),
        ("{:%Y-%m-%d %H:%M:%S}-0300", "America/Bahia", "-03:00"),
        ("{:%d/%m/%Y %H:%M} +0900", "Asia/Seoul", "+09:00"),
        ("{:%Y-%m-%dT%H:%MZ}", "UTC", "Z"),
        ("{:%Y-%m-%d %H:%M} GMT", "UTC", "Z"),
        ("{:%Y-%m-%d %H:%M}+00:00", "UTC", "Z"),
    ],
)
def test_a_forecast_has_the_one_offset_of_the_file(ahead, form, zone, last):
    local = pd.date_range("2021-01-20 05:00", periods=ROWS, freq="h", tz=zone)
    first = local[-1] + pd.Timedelta(hours=1)
    assert ahead([form.format(each) for each in local])[0] == f"{first:%Y-%m-%dT%H:%M:%S}{last}"


def test_a_forecast_of_a_file_with_two_offsets_and_no_zone_is_in_utc(ahead):
    local = pd.date_range(end="2023-03-26 08:00", periods=ROWS, freq="h", tz="Europe/Rome")
    assert ahead([each.isoformat() for each in local])[0] == "2023-03-26T07:00:00Z"


def test_a_forecast_without_zones_has_none(ahead):
    assert ahead(pd.date_range("2021-03-01", periods=ROWS, freq="h"))[0] == "2021-03-04T08:00:00"
    days = pd.date_range("2021-03-01", periods=ROWS, tz="Europe/Rome")
    assert ahead([each.isoformat() for each in days])[0] == "2021-05-20"


def test_parts_of_a_second_are_kept(ahead):
    times = pd.date_range("2021-03-01", periods=ROWS, freq="250ms", tz="Asia/Tokyo")
    assert ahead(times, "parquet")[:2] == ["2021-03-01T00:00:20.000000+09:00", "2021-03-01T00:00:20.250000+09:00"]


@pytest.mark.parametrize("zone", [datetime.UTC, datetime.timezone(datetime.timedelta(0))])
def test_utc_is_z(zone):
    assert zones.written(pd.DatetimeIndex(["2020-01-01"]), zone) == ("2020-01-01T00:00:00Z",)


# --- A midnight that is not there -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("America/Sao_Paulo", "2016-09-20"),
        ("Asia/Beirut", "2022-02-20"),
        ("Africa/Cairo", "2023-04-01"),
        ("America/Asuncion", "2017-09-29"),
        ("America/Havana", "2019-03-01"),
        ("America/Sao_Paulo", "2016-10-16"),  # the first row is that day
    ],
)
def test_a_day_that_begins_at_one_oclock_is_a_day(read, zone, start):
    days = pd.date_range(start, periods=ROWS)
    local = days.tz_localize(zone, nonexistent="shift_forward", ambiguous=np.ones(ROWS, dtype=bool))
    assert (local.hour == 1).sum() == 1
    texts = [each.isoformat() for each in local]
    for table in (
        read(texts),
        read(texts[::-1]),
        read(local, "parquet"),
        read(local.tz_localize(None), time_zone=zone),
    ):
        assert table.times.tolist() == days.tolist()
        assert (table.step, table.zone) == ("1D", None)


def test_months_of_which_one_begins_at_one_oclock_are_months(read):
    months = pd.date_range("2015-02-01", periods=ROWS, freq="MS")
    local = months.tz_localize("America/Asuncion", nonexistent="shift_forward", ambiguous=np.ones(ROWS, dtype=bool))
    assert (local.hour == 1).sum() == 1
    table = read([each.isoformat() for each in local])
    assert (table.times.tolist(), table.step) == (months.tolist(), "MS")


def test_another_row_off_midnight_is_no_midnight(read):
    days = pd.date_range("2016-09-20", periods=ROWS, tz="Europe/Paris").to_series()
    days.iloc[9] += pd.Timedelta(hours=1)
    with pytest.raises(BadInput) as error:
        read([each.isoformat() for each in days])
    assert error.value.faults[0].code == "times-irregular"


# --- Names of zones after a time --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "zone"),
    [
        ("{0:%Y-%m-%d %H:%M} {1}", "America/Argentina/Cordoba"),
        ("{0:%d.%m.%Y %H:%M:%S} [{1}]", "Europe/Vienna"),
        ("{0:%m/%d/%Y %I:%M %p} ({1})", "Australia/Perth"),
        ("{0:%Y-%m-%dT%H:%M:%S%z}[{1}]", "Europe/Vienna"),
        ("{0:%b %d, %Y %H:%M} {1}", "Etc/GMT+5"),
    ],
)
def test_the_name_of_a_place_is_its_zone(read, form, zone):
    local = pd.date_range("2021-05-20 05:00", periods=ROWS, freq="h", tz=zone)
    table = read([form.format(each, zone) for each in local])
    assert table.times.tolist() == local.tz_convert("UTC").tz_localize(None).tolist()
    assert (table.zone, table.found["time_zone"]) == (zone, zone)
    again = read([form.format(each, zone) for each in local], **table.found)
    assert again.times.equals(table.times)


def test_days_with_the_name_of_a_place_are_days(read):
    days = pd.date_range("2021-05-20", periods=ROWS)
    table = read([f"{each:%d %b %Y %H:%M} Asia/Tokyo" for each in days])
    assert (table.times.tolist(), table.zone) == (days.tolist(), None)


@pytest.mark.parametrize(
    ("zone", "form"),
    [
        ("America/Los_Angeles", "%Y-%m-%d %H:%M %Z"),
        ("Europe/Prague", "%d.%b.%Y %H:%M:%S %Z"),
        ("Pacific/Auckland", "%Y/%m/%d %I:%M %p %Z"),
        ("Europe/London", "%d-%b-%Y %H:%M %Z"),
    ],
)
def test_the_names_of_winter_and_summer_are_offsets(read, zone, form):
    start = "2021-11-05" if zone.startswith("America") else "2021-09-24" if "Auck" in zone else "2021-10-29"
    local = pd.date_range(start, periods=ROWS, freq="h", tz=zone)
    texts = [each.strftime(form) for each in local]
    assert len({each.rsplit(" ", 1)[1] for each in texts}) == 2
    table = read(texts)
    assert table.times.tolist() == local.tz_convert("UTC").tz_localize(None).tolist()
    assert table.found["time_format"] == form
    few = read(texts[-30:], time_format=form)  # one name alone, read as the whole file was
    assert few.times.tolist() == table.times[-30:].tolist()


@pytest.mark.parametrize("word", ["EST", "CET", "AEST", "PDT", "BST"])
def test_one_name_alone_is_asked_for_and_both_answers_are_read(read, word):
    hours = pd.date_range("2021-05-20 05:00", periods=ROWS, freq="h")
    texts = hours.strftime(f"%m/%d/%Y %H:%M {word}")
    with pytest.raises(BadInput) as error:
        read(texts)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values["names"]) == ("zone-name-of-two-meanings", [word])
    place = read(texts, time_format=wrong.values["one"], time_zone=wrong.values["place"])
    assert place.times[0].tz_localize("UTC").tz_convert(wrong.values["place"]).hour == 5
    fixed = read(texts, time_format=wrong.values["other"])
    assert fixed.times[0].tz_localize("UTC") == pd.Timestamp(
        f"2021-05-20 05:00{zones.ZONE_WORDS[word].replace('Z', '')}"
    )


@pytest.mark.parametrize(
    "words", [["IST"], ["SGT"], ["EST", "CST"], ["(CET)"], ["CET", "EET", "WET"], ["Europe/Nowhere"]]
)
def test_names_that_say_no_zone_are_refused(read, words):
    hours = pd.date_range("2021-05-20 05:00", periods=ROWS, freq="h")
    with pytest.raises(BadInput) as error:
        read([f"{each:%d %b %Y %H:%M} {words[n % len(words)]}" for n, each in enumerate(hours)])
    assert error.value.faults[0].code == "zone-name-not-known"
