"""Tables as people have them: each is read as its owner means it, or refused with the way out."""

import bz2
import gzip
import io
import random
import re
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import diagonal, examples, third

from lstm.config.forecast import ForecastData, Split
from lstm.data.profile.files import GivenFile
from lstm.data.profile.profile import profile
from lstm.data.tables import regular
from lstm.data.tables.timing import months, steps
from lstm.records.errors import BadInput

ROWS = 120
VALUES = (100 + 10 * np.sin(2 * np.pi * np.arange(ROWS) / 12) + np.random.default_rng(5).normal(size=ROWS)).round(3)
DAYS = pd.date_range("2019-11-23", periods=ROWS)
HOURS = pd.date_range("2022-01-29 00:00", periods=ROWS, freq="h")
MONTHS = pd.date_range("2003-07-01", periods=ROWS, freq="MS")
QUARTERS = pd.period_range("1985Q3", periods=ROWS, freq="Q")
# The newest first is what may go wrong. Rows in order, of which nothing has to be sorted, are read by most other tests.
EITHER_WAY = pytest.mark.parametrize("order", [-1, pytest.param(1, marks=pytest.mark.faults)])


@pytest.fixture
def found(tmp_path):
    """Writes a file and tells what `sweep new` finds in it, after the spec's fields read the same from it."""

    def found(content, name="a.csv", **given):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        made = profile(path, GivenFile(path, **given), given.get("target"))
        covariates = list(made.covariates)
        fields = {"time": made.time, "step": made.step if made.step_given else None, **made.reading}
        section = ForecastData(
            target=made.target,
            past_covariates=covariates,
            lookback=1,
            horizon=1,
            split=Split(validation=1, test=1),
            missing="interpolate",
            **fields,
        )
        assert list(section.faults()) == []
        again = regular.read(section, path)
        assert (len(again.values), again.step) == (made.steps, made.step)
        return made, again

    return found


@pytest.fixture
def refused(tmp_path):
    """Writes a file and tells why `sweep new` refuses it."""

    def refused(content, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(BadInput) as error:
            profile(path)
        [wrong] = error.value.faults
        assert wrong.place.startswith(str(path))
        return wrong

    return refused


def csv(times, values=VALUES, **columns):
    return pd.DataFrame({"t": times, **columns, "v": values}).to_csv(index=False)


def check(made, table, times, values=VALUES):
    assert table.times.tolist() == list(times)
    np.testing.assert_allclose(table.values[:, 0], values)
    assert pd.Timestamp(made.first) == times[0]


# --- Days and months at local midnight, and offsets -------------------------------------------------------------


@diagonal(
    zone=["Europe/Lisbon", "America/Chicago", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"],
    times=[DAYS, MONTHS, pd.date_range("2019-11-23", periods=ROWS, freq="7D")],
)
def test_the_wall_clock_decides_steps_of_days_and_months(found, zone, times):
    made, table = found(csv([each.isoformat() for each in times.tz_localize(zone)], VALUES[: len(times)]))
    check(made, table, times, VALUES[: len(times)])
    assert table.zone is None


@third("zone", ["Europe/Lisbon", "America/Chicago", "Asia/Kathmandu"])
def test_hours_stay_instants(found, zone):
    instants = pd.date_range("2022-03-13", periods=ROWS, freq="h", tz="UTC")
    made, table = found(csv([each.isoformat() for each in instants.tz_convert(zone)]))
    check(made, table, instants.tz_localize(None))
    assert table.zone is not None


# --- Times that were not recognised -----------------------------------------------------------------------------

DAY_FORMS = ["%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%d.%m.%Y", "%m/%d/%y", "%Y%m%d", "%a, %d %b %Y", "%d%b%Y"]
HOUR_FORMS = ["%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y %H:%M", "%Y%m%d%H", "%Y%m%d%H%M", "%d/%m/%Y %I%p", "%H:%M %d/%m/%Y"]
MONTH_FORMS = ["%Y%m", "%b %Y", "%m/%Y", "%YM%m", "%b-%y"]
QUARTER_FORMS = ["%YQ%q", "Q%q %Y", "%Y-%q", "%Y.%q", "%Y-Q%q"]


@diagonal(form=DAY_FORMS, backwards=[False, True])
def test_days_in_any_form_are_sorted(found, form, backwards):
    order = slice(None, None, -1) if backwards else slice(None)
    check(*found(csv(DAYS[order].strftime(form), VALUES[order])), DAYS)


@third(("times", "form"), [(HOURS, f) for f in HOUR_FORMS] + [(MONTHS, f) for f in MONTH_FORMS], also=(7, 8))
def test_hours_and_months_in_any_form(found, times, form):
    check(*found(csv(times.strftime(form))), times)


@third("form", QUARTER_FORMS, also=(2,))
def test_quarters_are_quarters(found, form):
    made, table = found(csv([each.strftime(form) for each in QUARTERS]))
    check(made, table, QUARTERS.to_timestamp())
    assert made.step == "QS"


@diagonal(unit=[1, 1_000, 1_000_000], kind=["{}", "{}.0"])
def test_times_since_1970(found, unit, kind):
    numbers = HOURS.as_unit("s").asi8 * unit
    check(*found(csv([kind.format(each) for each in numbers][::-1], VALUES[::-1])), HOURS)


def test_intervals_count_from_their_start(found):
    spans = [f"{a:%d.%m.%Y %H:%M} - {a + pd.Timedelta(hours=1):%d.%m.%Y %H:%M}" for a in HOURS]
    check(*found(csv(spans)), HOURS)


@third(
    ("times", "wanted"),
    [
        (pd.Categorical(DAYS.strftime("%d-%b-%Y")), DAYS),
        (pd.period_range("2003-07", periods=ROWS, freq="M"), MONTHS),
        (DAYS.date, DAYS),
    ],
    also=(1,),
)
def test_types_of_parquet_that_hold_times(found, times, wanted):
    file = io.BytesIO()
    pd.DataFrame({"t": times, "v": VALUES}).to_parquet(file)
    check(*found(file.getvalue(), "a.parquet"), wanted)


def test_a_new_process_reads_periods(tmp_path):
    pd.DataFrame({"t": QUARTERS, "v": VALUES}).to_parquet(tmp_path / "a.parquet")
    code = (
        "import sys; from lstm.data.tables import reader; print(reader.read(sys.argv[1], ['t']).schema.field('t').type)"
    )
    code = code.replace("sys.argv[1]", "__import__('pathlib').Path(sys.argv[1])")
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.parquet"], capture_output=True, text=True, check=True
    )
    assert "period" in done.stdout.lower()


@third("forms", [("%d/%m/%Y", "%m/%d/%Y"), ("%d-%m-%Y", "%m-%d-%Y"), ("%d/%m/%y", "%m/%d/%y")])
def test_a_day_or_a_month_first_is_asked_for(refused, forms):
    wrong = refused(csv([pd.Timestamp(2020, m, d).strftime(forms[0]) for m in range(1, 11) for d in range(1, 13)]))
    assert (wrong.code, wrong.values["formats"]) == ("times-of-several-formats", [*forms])


def test_the_line_of_a_wrong_time_is_named(refused):
    lines = csv(DAYS.strftime("%m/%d/%Y")).splitlines()
    lines[71] = lines[71].replace("/20", "/2x", 1)
    wrong = refused("\n".join(lines) + "\n")
    assert (wrong.code, wrong.place.rpartition(":")[2]) == ("not-a-time", "72")
    assert "2x" in wrong.values["value"]


@third(
    "form",
    [
        *("%Y-%m-%d CET", "%d.%m.%Y at noon", "%d-%b-%Y, %A evening", "%a %b %d %H:%M:%S CET %Y", "%Y-%m-%dZ"),
        "%a %b %d %Y %H:%M:%S GMT+0100 (Central European Standard Time)",
    ],
)
def test_texts_that_look_like_times_are_asked_for(refused, form):
    assert refused(csv(DAYS.strftime(form))).code == "no-time-format"


def test_falling_years_with_fractions_are_refused(refused):
    assert refused(csv((2010 - np.arange(ROWS) / 12).round(4))).code == "times-with-fractions"


def test_years_with_fractions_are_not_read_in_silence(found):
    made, _ = found(csv((1960 + np.arange(ROWS) / 12).round(4)))
    assert made.time is None
    assert "years with fractions" in made.left_out["t"]


# --- Time in several columns, and the wrong one -----------------------------------------------------------------


CLOCKS = [
    ("%d/%m/%Y", "%H:%M:%S"),
    ("%m/%d/%Y", "%I:%M %p"),
    ("%Y%m%d", "%H%M%S"),
    ("%d.%m.%Y", "%H.%M.%S"),
    ("%Y-%m-%d", "%H:%M"),
]


@diagonal(form=CLOCKS, first=["Date", "Time"])
def test_date_and_time(found, form, first):
    day, clock = form
    columns = {"Date": HOURS.strftime(day), "Time": HOURS.strftime(clock)}
    frame = pd.DataFrame({first: columns.pop(first), **columns, "v": VALUES})
    made, table = found(frame.to_csv(index=False))
    check(made, table, HOURS)
    assert made.time == ["Date", "Time"]


@third(
    ("columns", "times"),
    [
        ({"date": HOURS.strftime("%d.%m.%Y"), "hr": HOURS.hour}, HOURS),
        ({"date": HOURS.strftime("%Y-%m-%d"), "HE": HOURS.hour + 1}, HOURS),
        ({"year": HOURS.year, "month": HOURS.month, "day": HOURS.day, "hour": HOURS.hour}, HOURS),
        ({"Year": DAYS.year, "Month": DAYS.month, "Day": DAYS.day}, DAYS),
        ({"yr": MONTHS.year, "mo": MONTHS.month}, MONTHS),
        ({"YY": HOURS.year, "MM": HOURS.month, "DD": HOURS.day, "hh": HOURS.hour, "mm": 0 * HOURS.hour}, HOURS),
    ],
    also=(1, 2),
)
@third("counter", [True, pytest.param(False, marks=pytest.mark.faults)])
def test_parts_of_a_time(found, columns, times, counter):
    more = {"No": range(1, ROWS + 1)} if counter else {}
    made, table = found(pd.DataFrame({**more, **columns, "v": VALUES}).to_csv(index=False))
    check(made, table, times)
    assert made.time == list(columns)


QUARTER_HOURS = pd.date_range("2020-06-29 21:15", periods=ROWS, freq="15min")
WEEKS = pd.date_range("2014-02-03", periods=ROWS, freq="7D")


@third(
    ("columns", "times"),
    [
        ({"Month": MONTHS.month_name(), "Year": MONTHS.year}, MONTHS),
        ({"yr": MONTHS.year, "mon": MONTHS.strftime("%b")}, MONTHS),
        ({"year": DAYS.year, "DOY": DAYS.day_of_year}, DAYS),
        ({"Day": HOURS.day, "Month": HOURS.month, "Year": HOURS.year, "Time": HOURS.strftime("%H:%M")}, HOURS),
        ({"date": QUARTER_HOURS.date, "hour": QUARTER_HOURS.hour, "minute": QUARTER_HOURS.minute}, QUARTER_HOURS),
        ({"YEAR": HOURS.year, "DOY": HOURS.day_of_year, "HR": HOURS.hour}, HOURS),
        ({"year": WEEKS.isocalendar().year, "week": WEEKS.isocalendar().week}, WEEKS),
        ({"Jahr": WEEKS.isocalendar().year, "KW": [f"KW {n}" for n in WEEKS.isocalendar().week]}, WEEKS),
        ({"year": QUARTERS.year, "period": [f"Q{n:02}" for n in QUARTERS.quarter]}, QUARTERS.to_timestamp()),
        ({"Year": QUARTERS.year, "Quarter": [f"Q{n}" for n in QUARTERS.quarter]}, QUARTERS.to_timestamp()),
        ({"year": MONTHS.year, "period": MONTHS.strftime("M%m")}, MONTHS),
    ],
)
@EITHER_WAY
def test_a_year_with_names_of_months_days_of_the_year_or_weeks(found, columns, times, order):
    frame = pd.DataFrame({**{name: list(each) for name, each in columns.items()}, "v": VALUES})
    made, table = found(frame[::order].to_csv(index=False))
    check(made, table, times)


HALF_HOURS = pd.date_range("2021-07-01 02:00", periods=ROWS, freq="30min")
LONDON = pd.date_range("2019-10-26", "2019-10-29", freq="30min", tz="Europe/London", inclusive="left")


@third(
    ("day", "name", "times", "form"),
    [
        ("%d-%b-%Y", "SETTLEMENT_PERIOD", HALF_HOURS, "periods_30min"),
        ("%Y-%m-%d", "Trading period", HALF_HOURS, "periods_30min"),
        ("%Y%m%d", "PTU", pd.date_range("2021-07-01 22:00", periods=400, freq="15min"), "periods_15min"),
        ("%d.%m.%Y", "Viertelstunde", pd.date_range("2021-07-13", periods=400, freq="15min"), "periods_15min"),
        ("%Y/%m/%d", "hodina", pd.date_range("2021-07-13", periods=400, freq="h"), "hour_ending"),
    ],
)
@EITHER_WAY
def test_periods_of_a_day_are_counted_from_one(found, day, name, times, form, order):
    width = times[1] - times[0]
    period = (times - times.normalize()) // width + 1
    values = np.sin(np.arange(len(times)))
    frame = pd.DataFrame({"day": times.strftime(day), name: period, "v": values})
    made, table = found(frame[::order].to_csv(index=False))
    check(made, table, times, values)
    assert made.reading["time_format"][1] == form


@third(("name", "count"), [("shop", 48), ("sensor", 24), ("zone", 96), ("n", 48)])
def test_as_many_series_as_a_day_has_periods_are_a_panel(refused, name, count):
    days = pd.date_range("2021-03-01", periods=30).repeat(count)
    frame = pd.DataFrame({"day": days, name: [*range(1, count + 1)] * 30, "v": np.arange(30 * count) % 7})
    wrong = refused(frame.to_csv(index=False))
    assert (wrong.code, wrong.values["columns"], wrong.values["series"]) == ("several-series", [name], count)


def test_periods_of_a_day_on_which_a_clock_changes_need_the_place(refused, tmp_path):
    frame = pd.DataFrame({"day": LONDON.strftime("%Y-%m-%d"), "v": np.arange(len(LONDON)) % 7})
    frame.insert(1, "period", frame.groupby("day").cumcount() + 1)
    wrong = refused(frame.to_csv(index=False))
    assert (wrong.code, wrong.place.rpartition(":")[2]) == ("periods-of-a-changed-clock", "99")
    told = {"column": "period", "count": 50, "day": "2019-10-27", "usual": 48, "format": "periods_30min"}
    assert wrong.values == told
    section = ForecastData(
        time=["day", "period"],
        time_format=[None, "periods_30min"],
        time_zone="Europe/London",
        target="v",
        lookback=1,
        horizon=1,
        split=Split(validation=1, test=1),
    )
    table = regular.read(section, tmp_path / "a.csv")
    assert table.times.tolist() == LONDON.tz_convert("UTC").tz_localize(None).tolist()
    spring = pd.date_range("2019-03-30", periods=140, freq="30min", tz="Europe/London")
    frame = pd.DataFrame({"day": spring.strftime("%Y-%m-%d"), "v": np.arange(140) % 7})
    frame.insert(1, "period", frame.groupby("day").cumcount() + 1)
    assert refused(frame.to_csv(index=False)).values["count"] == 46


@diagonal(
    times=[
        DAYS,
        HOURS,
        pd.bdate_range("1999-03-01", periods=ROWS),
        pd.date_range("2030-01-01", periods=ROWS, freq="15min"),
    ],
    column=[("Date", 1), ("serial", -1), ("order date", 1)],
)
def test_days_of_a_spreadsheet(found, times, column):
    name, order = column
    serial = (times - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1)
    frame = pd.DataFrame({"v": VALUES, name: serial.astype(int) if (serial % 1 == 0).all() else serial})
    made, table = found(frame[::order].to_csv(index=False))
    check(made, table, times)
    assert made.reading == {"time_format": "excel_days"}
    assert f"is {times[0]:%Y-%m-%d}" in made.reading_why["time_format"] or order == -1


def test_measured_numbers_are_no_days_of_a_spreadsheet(found):
    made, _ = found(csv(DAYS, price=43_831 + VALUES, daily=np.arange(ROWS) % 7 + 40_000))
    assert made.time == "t"
    assert {made.target, *made.covariates} == {"price", "daily", "v"}


@third("form", ["%Y-%j", "%Y%j", "%Y/%j", "%Y %j"])
@EITHER_WAY
def test_a_year_and_the_day_of_it(found, form, order):
    check(*found(csv(DAYS[::order].strftime(form), VALUES[::order])), DAYS)


@third(
    ("form", "times"),
    [("%y%m%d", DAYS), ("%d%m%Y", DAYS), ("%m%d%Y", DAYS), ("%Y%j%H", HOURS), ("%Y%j%H%M", HOURS), ("%y%m%d%H", HOURS)],
)
@EITHER_WAY
def test_dates_as_whole_numbers_in_other_orders(found, form, times, order):
    numbers = times.strftime(form).astype(int)
    frame = pd.DataFrame({"v": VALUES, "date": numbers})
    made, table = found(frame[::order].to_csv(index=False))
    check(made, table, times)
    assert made.reading == {"time_format": form}


def test_dates_as_whole_numbers_that_are_not_read_are_no_inputs(found):
    made, _ = found(csv(DAYS, date=DAYS.strftime("%d%m%Y1").astype(int)).replace("t,", "day,", 1))
    assert made.left_out["date"] == "numbers that may be dates, which are not read: write dates as in 2016-07-01"


def test_a_counter_of_seven_digits_counts(found):
    made, _ = found(pd.DataFrame({"sample": 2_000_001 + np.arange(ROWS), "v": VALUES}).to_csv(index=False))
    assert (made.reading, made.step) == ({}, "1")


@third(
    ("name", "write"),
    [
        ("Time", "{h:02}:00-{n:02}:00"),
        ("MTU", "{h:02}:00 - {n:02}:00"),
        ("Hour", "{h:02}-{n:02}"),
        ("Stunde", "{h} - {n}"),
        ("Time", "{n}00"),
        ("Hour", "{n}00"),
    ],
)
def test_hours_of_a_day_as_intervals_and_hundreds(found, name, write):
    clock = [write.format(h=each, n=each + 1) for each in HOURS.hour]
    made, table = found(
        pd.DataFrame({"Date": HOURS.strftime("%Y-%m-%d"), name: clock, "v": VALUES}).to_csv(index=False)
    )
    check(made, table, HOURS)


@diagonal(mark=[" - ", " to ", "/"], form=["%Y-%m-%d", "%d %b %Y"])
def test_intervals_of_days_count_from_their_start(found, mark, form):
    week = pd.Timedelta(days=6)
    check(*found(csv([f"{each:{form}}{mark}{each + week:{form}}" for each in WEEKS])), WEEKS)


def test_days_of_a_year_that_no_column_says_are_asked_for(refused):
    assert refused(csv(DAYS.strftime("%d-%b"))).code == "no-time-format"


@third(
    "write",
    [
        lambda n: f"{1700 + n}/{(1701 + n) % 100:02}",
        lambda n: f"{1700 + n}-{1701 + n}",
        lambda n: f"FY{1700 + n}",
        lambda n: f"{n % 28 + 1:02}-{['bře', 'srp', 'čvc'][n // 40]}-{60 + n // 28}",
        lambda n: f"{DAYS[n]:%b %d} 12:00",
        lambda n: f"{DAYS[n]:%d/%m} 06:00",
    ],
)
@EITHER_WAY
def test_times_without_a_year_and_seasons_of_two_years_are_asked_for(refused, write, order):
    assert refused(csv([write(n) for n in range(ROWS)][::order])).code == "no-time-format"


@third("form", ["%Y-%m-%d %H:%M:%S,250", "%Y%m%d%H%M%SZ", "%d %b %Y %H:%M:%S,000 +0000"])
def test_times_of_logs(found, form):
    made, table = found(csv(HOURS.strftime(form)))
    check(made, table, HOURS + pd.Timedelta(milliseconds=250 * ("250" in form)))


@third("words", [["Kvě", "Říj", "Bře", "Pro"], ["printemps", "été", "automne", "hiver"]])
def test_years_with_other_words_are_asked_for(refused, words):
    wrong = refused(csv([f"{words[n % 4]} {2030 - n // 4}" for n in range(ROWS)]))
    assert (wrong.code, wrong.values["value"]) == ("no-time-format", f"{words[0]} 2030")


@third("form", ["{p.quarter}. Quartal {p.year}", "KW {p.quarter}/{p.year}"])
def test_years_with_a_number_and_a_word_are_asked_for(refused, form):
    assert refused(csv([form.format(p=each) for each in QUARTERS])).code == "no-time-format"


@EITHER_WAY
def test_weeks_as_whole_numbers(found, order):
    weeks = WEEKS.isocalendar()
    frame = pd.DataFrame({"yearweek": list(weeks.year * 100 + weeks.week), "v": VALUES})
    made, table = found(frame[::order].to_csv(index=False))
    check(made, table, WEEKS)
    assert made.reading["time_format"] == "%G%V"


@third("form", ["{p.quarter}Q{y:02}", "{p.quarter}Q {p.year}"])
def test_quarters_before_the_year(found, form):
    made, table = found(csv([form.format(p=each, y=each.year % 100) for each in QUARTERS]))
    check(made, table, QUARTERS.to_timestamp())


def test_names_of_rows_are_no_times(found):
    made, _ = found(csv([f"row {n}" for n in range(ROWS)]))
    assert (made.time, made.target) == (None, "v")


@third(("name", "first"), [("Hour Ending", "00:00"), ("HE", "00:00"), ("Time", "01:00")])
def test_an_hour_from_01_00_to_24_00_is_named_by_its_end_if_its_name_says_so(found, name, first):
    days = DAYS[:5].repeat(24)
    clock = [f"{n % 24 + 1:02}:00" for n in range(ROWS)]
    made, table = found(pd.DataFrame({"Date": days, name: clock, "v": VALUES}).to_csv(index=False))
    check(made, table, pd.date_range(f"2019-11-23 {first}", periods=ROWS, freq="h"))


@third("zone", ["America/Bogota", "Asia/Tbilisi", "Australia/Darwin"])
def test_the_name_of_a_zone_is_in_the_drafted_spec(found, zone):
    made, table = found(csv([f"{each:%d %b %Y %H:%M} {zone}" for each in HOURS]))
    check(made, table, HOURS.tz_localize(zone).tz_convert("UTC").tz_localize(None))
    assert made.reading == {"time_format": f"%d %b %Y %H:%M {zone}", "time_zone": zone}
    assert {*made.reading_why} == {*made.reading}


def test_months_with_offsets_are_no_irregular_times(found):
    made, _ = found(csv([each.isoformat() for each in MONTHS.tz_localize("America/Chicago")]))
    assert (made.step, made.step_given) == ("MS", False)
    assert [each.code for each in made.notes] == ["times-by-wall-clock"]


@third("word", ["UTC+02:00", "GMT-0530"])
def test_utc_before_an_offset_says_nothing_more(found, word):
    made, table = found(csv(HOURS.strftime(f"%Y-%m-%d %H:%M {word}")))
    check(made, table, pd.DatetimeIndex([f"{each}{word[3:]}" for each in HOURS]).tz_convert("UTC").tz_localize(None))


@diagonal(word=["UTC", "GMT"], form=["%Y-%m-%d %H:%M:%S ", "%d %b %Y %H:%M "])
def test_the_word_of_a_zone_is_an_offset(found, word, form):
    made, table = found(csv(HOURS.strftime(form) + word))
    check(made, table, HOURS)
    assert table.zone == word


def test_a_second_time_is_no_input(found):
    ends = (HOURS + pd.Timedelta(hours=1)).strftime("%Y%m%d%H%M")
    made, table = found(csv(HOURS.strftime("%Y%m%d%H%M"), TIMESTAMP_END=ends))
    check(made, table, HOURS)
    assert (made.covariates, made.left_out["TIMESTAMP_END"]) == ((), "times: another column is the time")


def test_a_constant_date_is_not_the_time(found):
    made, table = found(pd.DataFrame({"As Of": "2024-02-03", "day": DAYS, "v": VALUES}).to_csv(index=False))
    check(made, table, DAYS)
    assert made.left_out["As Of"] == "the same time in all rows"


def test_an_ambiguous_date_is_asked_for_beside_a_constant_one(refused):
    dates = [pd.Timestamp(2020, m, d).strftime("%d/%m/%Y") for m in range(1, 11) for d in range(1, 13)]
    assert refused(csv(dates, asof="2024-02-03")).code == "times-of-several-formats"


def test_a_constant_date_alone_is_said_for_what_it_is(found):
    made, _ = found(pd.DataFrame({"asof": "2024-02-03", "w": VALUES, "v": VALUES[::-1]}).to_csv(index=False))
    assert (made.time, made.left_out["asof"]) == (None, "the same time in all rows")


@third(("values", "by"), [(3 * np.arange(ROWS) + 9, "3"), (np.arange(ROWS) * -0.02, "-0.02")])
def test_numbers_that_rise_evenly_are_no_inputs(found, values, by):
    made, _ = found(csv(DAYS, tick=values))
    assert made.left_out["tick"] == f"only counts rows: it changes by {by} in each"


def test_a_column_that_is_almost_numbers_is_named_before_others(refused):
    texts = ["*" if n % 9 == 4 else f"{v}" for n, v in enumerate(VALUES)]
    wrong = refused(
        pd.DataFrame(
            {"station": 7, "t": DAYS, "heat": [f"{t}s" if n % 7 == 2 else t for n, t in enumerate(texts)]}
        ).to_csv(index=False)
    )
    assert (wrong.code, wrong.values["column"], wrong.values["value"]) == (
        "texts-among-numbers",
        "heat",
        f"{VALUES[2]}s",
    )


def test_volumes_are_no_times(found):
    content = csv(DAYS.strftime("%b %d, %Y"), Vol=[f"{n / 7:.2f}M" for n in range(ROWS)])
    made, table = found(content)
    check(made, table, DAYS)
    assert "as in '0.00M'" in made.left_out["Vol"]


# --- Numbers that are almost all numbers ------------------------------------------------------------------------


@third(
    ("write", "mark", "fields"),
    [
        (lambda v: f"{v * 100:,.3f}", ",", {"thousands": ","}),
        (lambda v: f"{v * 100:,.3f}".translate(str.maketrans(",.", ".,")), ";", {"decimal": ",", "thousands": "."}),
        (lambda v: f"{v * 100:.1f}".replace(".", ","), ";", {"decimal": ","}),
        (lambda v: f"{v * 100:,.3f}".replace(",", " "), ";", {"thousands": " "}),
        (lambda v: f"{v * 100:,.3f}".replace(",", "'"), ",", {"thousands": "'"}),
        (lambda v: f"{v:.3f}%", ",", {}),
    ],
    also=(5,),
)
def test_numbers_as_people_write_them(found, write, mark, fields):
    frame = pd.DataFrame({"t": DAYS, "n": range(7, 7 + 3 * ROWS, 3), "v": [write(each) for each in VALUES]})
    made, table = found(frame.to_csv(index=False, sep=mark))
    factor = 1 if "%" in frame.v[0] else 100
    np.testing.assert_allclose(table.values[:, 0], VALUES * factor, atol=0.06)
    assert (made.target, made.reading) == ("v", fields)


@third(
    ("write", "mark"),
    [
        (lambda v: f"(${-v:,.3f})" if v < 0 else f"${v:,.3f}", ","),
        (lambda v: f"({-v:,.3f})" if v < 0 else f"{v:,.3f}", ","),
        (lambda v: f"-£{-v:,.3f}" if v < 0 else f"£{v:,.3f}", "\t"),
        (lambda v: f"{v:,.3f} €".translate(str.maketrans(",.", ".,")), ";"),
        (lambda v: f"{v:.3f} USD", "|"),
        (lambda v: f"(€{-v:.3f})".replace("(€", "\u2212€").rstrip(")") if v < 0 else f"€{v:.3f}", ","),
    ],
)
def test_signs_of_money_and_losses_in_brackets(found, write, mark):
    values = (VALUES - 100) * 400
    frame = pd.DataFrame({"t": DAYS, "n": range(7, 7 + 3 * ROWS, 3), "v": [write(each) for each in values]})
    made, table = found(frame.to_csv(index=False, sep=mark))
    np.testing.assert_allclose(table.values[:, 0], values, atol=1e-3)
    [told] = [each for each in made.notes if each.code == "signs-left-out"]
    assert (made.target, told.values["column"]) == ("v", "v")


@third("unit", [" kW", "°C", " mm/h", " m³", " °F"])
def test_a_unit_after_all_numbers_is_left_out(found, unit):
    made, table = found(csv(DAYS, [f"{v}{unit}" for v in VALUES]))
    check(made, table, DAYS)
    [told] = [each for each in made.notes if each.code == "signs-left-out"]
    assert told.values == {"column": "v", "text": f"{VALUES[0]}{unit}", "value": VALUES[0]}


@third("units", [[" kW", " MW"], [" M"], [" AM"], ["K", "M"], [" kW", ""]])
def test_units_that_differ_and_factors_are_no_units(found, units):
    made, _ = found(csv(DAYS, w=[f"{v}{units[n % len(units)]}" for n, v in enumerate(VALUES)]))
    assert "w" in made.left_out


def test_values_with_a_code_are_no_numbers_with_a_decimal_comma(found):
    made, _ = found(csv(DAYS, TMP=[f"{10 * v:+06.0f},1" for v in VALUES]))
    assert (made.reading, "TMP" in made.left_out) == ({}, True)


def test_typographic_groups_of_digits(found):
    frame = pd.DataFrame({"t": DAYS, "v": [f"{v * 100:,.1f}".replace(",", "\u2019") for v in VALUES]})
    made, table = found(frame.to_csv(index=False, sep=";"))
    np.testing.assert_allclose(table.values[:, 0], VALUES * 100, atol=0.06)
    assert made.reading == {"thousands": "'"}


def test_a_sign_of_money_in_some_cells_alone_is_named(found):
    made, _ = found(csv(DAYS, [f"${v}" if n == 9 else str(v) for n, v in enumerate(VALUES)], x=VALUES))
    assert "v" in made.left_out


@third(("yes", "no"), [("yes", "no"), ("Y", "N"), ("ON", "OFF"), ("T", "F"), ("Yes", "No")])
@third("gone", [True, pytest.param(False, marks=pytest.mark.faults)])
def test_two_words_for_yes_and_no_are_flags(found, yes, no, gone):
    flags = np.arange(ROWS) % 3 == 1
    texts = ["" if gone and n == 7 else yes if flag else no for n, flag in enumerate(flags)]
    made, table = found(csv(DAYS, VALUES, open=texts).replace("v", "heat").replace("open", "window"))
    assert (made.target, made.covariates) == ("heat", ("window",))
    np.testing.assert_array_equal(table.values[:, 1], np.where(gone & (np.arange(ROWS) == 7), np.nan, flags))
    [told] = [each for each in made.notes if each.code == "flags-as-numbers"]
    assert told.values == {"column": "window", "words": sorted([no, yes])}


def test_a_third_word_makes_no_flags(found):
    made, _ = found(csv(DAYS, door=["yes", "no", "ajar"] * (ROWS // 3)))
    assert "door" in made.left_out


@diagonal(other=["{:.2f}", "{:g}", "{:.1f}"], thousands=["", "."])
def test_points_for_decimals_beside_commas_are_read(found, other, thousands):
    commas = [f"{v * 100:,.2f}".translate(str.maketrans(",.", ".,")) for v in VALUES]
    commas = commas if thousands else [each.replace(".", "") for each in commas]
    frame = pd.DataFrame({"t": DAYS, "rate": [other.format(v) for v in VALUES], "load": commas})
    made, table = found(frame.to_csv(index=False, sep=";"))
    np.testing.assert_allclose(table.values, np.column_stack([VALUES * 100, VALUES]), atol=0.06)
    assert [each.values for each in made.notes] == [{"column": "rate"}]
    assert made.reading == {"decimal": ",", **({"thousands": "."} if thousands else {})}


def test_points_that_may_be_for_thousands_beside_commas_are_refused(refused):
    frame = pd.DataFrame(
        {"t": DAYS, "rate": [f"{v:.3f}" for v in VALUES], "load": [f"{v:.1f}".replace(".", ",") for v in VALUES]}
    )
    assert refused(frame.to_csv(index=False, sep=";")).code == "not-a-number"


WORDS = ["Null", "n/a", "#N/A", "<NA>", "#DIV/0!", "none", "n.a.", "--", "NaN", "(null)"]


@third("word", WORDS, also=(2,))
def test_words_that_mean_a_missing_number(found, word):
    made, table = found(csv(DAYS, [word if n % 40 == 3 else str(v) for n, v in enumerate(VALUES)], x=VALUES[::-1]))
    assert made.target == "v"
    assert np.flatnonzero(np.isnan(table.values[:, 0])).tolist() == [3, 43, 83]
    assert made.reading == {}


@third("word", ["M", "Tr", "gap", "offline", "k.A."])
def test_another_word_among_numbers_is_said_with_its_line(found, word):
    made, table = found(csv(DAYS, [word if n % 40 == 3 else str(v) for n, v in enumerate(VALUES)]))
    assert np.isnan(table.values[:, 0]).sum() == 3
    assert made.reading == {"missing_values": [word]}
    [told] = [each for each in made.notes if each.code == "words-taken-as-missing"]
    assert (told.place.rpartition(":")[2], told.values["count"]) == ("5", 3)


def test_true_among_numbers_is_a_word_and_no_number(found):
    made, table = found(csv(DAYS, ["true" if n == 9 else str(v) for n, v in enumerate(VALUES)]))
    assert made.reading == {"missing_values": ["true"]}
    assert np.isnan(table.values[9, 0])


def test_a_number_that_is_none_is_named(found):
    made, _ = found(csv(DAYS, ["12..5" if n == 9 else str(v) for n, v in enumerate(VALUES)], x=VALUES))
    [told] = [each for each in made.notes if each.code == "column-not-quite-numbers"]
    assert (told.values, told.place.rpartition(":")[2]) == ({"column": "v", "value": "12..5"}, "11")


def test_a_comma_for_decimals_or_thousands_is_asked_for(refused):
    frame = pd.DataFrame({"t": DAYS, "v": [f"{150 + n},{n * 7 % 1000:03}" for n in range(ROWS)]})
    wrong = refused(frame.to_csv(index=False))
    assert (wrong.code, wrong.values["value"]) == ("decimal-or-thousands", "150,000")


@third("mark", [",", ";", "\t"])
def test_points_between_groups_of_digits_are_asked_for(refused, mark):
    counts = (VALUES * 10).astype(int)
    assert 200 > (counts < 1000).sum() > 20
    frame = pd.DataFrame({"t": DAYS, "v": [f"{each:,}".replace(",", ".") for each in counts]})
    wrong = refused(frame.to_csv(index=False, sep=mark))
    assert wrong.code == "point-for-thousands"
    assert re.fullmatch(r"1\.\d{3}", wrong.values["value"])


def test_numbers_with_three_digits_after_the_point_are_no_thousands(found):
    made, table = found(csv(DAYS, [f"{each:g}" for each in VALUES]))
    np.testing.assert_allclose(table.values[:, 0], VALUES, atol=1e-3)
    assert made.reading == {}


def test_numbers_in_other_types_of_parquet(found):
    file = io.BytesIO()
    amounts = pa.array(VALUES.round(2)).cast(pa.decimal128(12, 2), safe=False)
    columns = {"t": DAYS, "text": [f"{each}" for each in VALUES], "flag": VALUES > 100, "amount": amounts}
    pq.write_table(pa.table(columns), file)
    made, table = found(file.getvalue(), "a.parquet")
    assert (made.target, made.covariates) == ("amount", ("text", "flag"))
    np.testing.assert_allclose(table.values, np.column_stack([VALUES.round(2), VALUES, VALUES > 100]))


# --- Labels, closed hours, jitter, clocks -----------------------------------------------------------------------


@third(
    ("times", "step"),
    [
        (MONTHS + pd.Timedelta(days=14), "MS+14D"),
        (MONTHS + pd.Timedelta(days=4), "MS+4D"),
        (pd.date_range("2003-07-01", periods=ROWS, freq="BME"), "BME"),
        (pd.date_range("2003-07-01", periods=ROWS, freq="BMS"), "BMS"),
        (pd.date_range("1950-07-01", periods=ROWS, freq="3MS") + pd.Timedelta(days=14), "3MS+14D"),
    ],
    also=(2,),
)
def test_labels_within_a_month_are_kept(found, times, step):
    made, table = found(csv(times))
    check(made, table, times)
    assert made.step == step


def opened(start, periods, freq, hours, days=range(5)):
    times = pd.date_range(start, periods=periods, freq=freq)
    clock = times.hour + times.minute / 60
    return times[times.day_of_week.isin(days) & (clock >= hours[0]) & (clock < hours[1])]


@third(
    ("times", "texts"),
    [
        (opened("2021-02-01", 1200, "h", (9, 17)), ["Mon-Fri 09:00-16:00"]),
        (opened("2021-02-01 00:30", 1200, "h", (9, 16)), ["Mon-Fri 09:30-15:30"]),
        (opened("2021-02-01", 2400, "30min", (8, 20), range(6)), ["Mon-Sat 08:00-19:30"]),
        (opened("2021-02-01", 9000, "5min", (13.5, 20)), ["Mon-Fri 13:30-19:55"]),
        (DAYS[DAYS.day_of_week != 6], ["Mon-Sat 00:00-00:00"]),
    ],
)
def test_closed_hours_are_no_steps(found, times, texts):
    values = np.random.default_rng(2).normal(size=len(times)).cumsum()
    made, table = found(csv(times, values))
    check(made, table, times, values)
    assert made.reading["open_hours"] == texts
    ahead = table.hours.following(times[-1], 40)
    assert len(ahead) == 40
    assert table.hours.are_open(ahead).all()
    assert ahead[0] > times[-1]


def test_a_closed_day_is_left_out_and_an_absent_open_hour_is_missing(found):
    times = opened("2021-02-01", 1500, "h", (9, 17))
    kept = times[(times.normalize() != "2021-02-15")].delete(11)
    made, table = found(csv(kept, np.arange(len(kept)) % 7))
    assert made.missing_steps == 1
    assert len(table.values) == len(kept) + 1


@third(
    ("step", "start", "off"),
    [
        ("10min", "2022-03-01", 3),
        ("1h", "2022-03-01", 59),
        ("15min", "2022-03-01 00:07:30", 9),
        ("1min", "2022-03-01", 2),
    ],
)
def test_rows_some_seconds_off_belong_to_the_nearest_step(found, step, start, off):
    even = pd.date_range(start, periods=ROWS, freq=step)
    jitter = np.random.default_rng(3).integers(-off, off + 1, ROWS)
    jitter[0] = -1
    made, table = found(csv(even + pd.to_timedelta(jitter, unit="s")))
    check(made, table, even)
    assert "rows-to-nearest-step" in [each.code for each in table.notes]


@third(
    ("zone", "start"),
    [
        ("Europe/Lisbon", "2021-09-01"),
        ("America/New_York", "2021-10-01"),
        ("Pacific/Auckland", "2021-03-01"),
        ("America/Santiago", "2021-03-01"),
        ("Europe/Athens", "2021-03-01"),
    ],
)
def test_local_hours_over_a_change_of_the_clock(found, zone, start):
    local = pd.date_range(start, periods=6000, freq="h", tz=zone).tz_localize(None)
    made, table = found(csv(local, np.sin(np.arange(6000))))
    [told] = [each for each in made.notes if each.code == "clocks-change"]
    assert told.values["twice"] == 1
    assert (made.step, made.step_given) == ("1h", True)
    assert table.times.is_unique


# --- Wide tables, panels ----------------------------------------------------------------------------------------

WIDE = pd.DataFrame(np.random.default_rng(4).normal(size=(30, 40)).round(2))


@third(
    "names",
    [
        [f"V{n}" for n in range(2, 42)],
        [f"d_{n}" for n in range(1, 41)],
        range(1980, 2020),
        DAYS[:40].strftime("%m/%d/%y"),
        MONTHS[:40].strftime("%Y-%m"),
    ],
    also=(1,),
)
def test_a_series_in_each_row_is_refused(refused, names):
    frame = WIDE.set_axis(list(map(str, names)), axis=1)
    frame.insert(0, "who", [f"s{n}" for n in range(30)])
    wrong = refused(frame.to_csv(index=False))
    assert (wrong.code, wrong.values["id"], wrong.values["count"]) == ("series-in-rows", "who", 40)


@third(
    "names",
    [
        [f"{pd.Timestamp(2000, n, 1):%b}" for n in range(1, 13)],
        [f"{pd.Timestamp(2000, n, 1):%B}" for n in range(1, 13)],
        [f"H{n}" for n in range(1, 25)],
        [f"HE{n:02}" for n in range(1, 25)],
        [f"{n:02}:00" for n in range(24)],
    ],
)
def test_the_months_of_a_year_or_the_hours_of_a_day_as_columns_are_refused(refused, names):
    frame = WIDE.iloc[:, : len(names)].set_axis(names, axis=1)
    frame.insert(0, "when", range(1990, 2020) if len(names) == 12 else DAYS[:30])
    wrong = refused(frame.to_csv(index=False))
    told = {"first": names[0], "last": names[-1], "count": len(names), "index": "when"}
    assert (wrong.code, wrong.values) == ("steps-in-columns", told)


@third("keys", [("shop",), ("store", "item"), ("sensor",)])
def test_series_one_under_another_are_refused(refused, keys):
    frames = [
        csv(DAYS, **{key: f"{key}{n // 2**place % (4 // len(keys))}" for place, key in enumerate(keys)})
        for n in range(4)
    ]
    wrong = refused(frames[0] + "".join(each.split("\n", 1)[1] for each in frames[1:]))
    assert (wrong.code, wrong.values["columns"]) == ("several-series", [*keys])


# --- No header, comments, totals, empty rows --------------------------------------------------------------------

PLAIN = csv(DAYS)


@third(
    ("content", "fields"),
    [
        (PLAIN.split("\n", 1)[1], {"header": False}),
        (
            csv(DAYS.strftime("%d.%m.%Y")).split("\n", 1)[1].replace(",", ";"),
            {"header": False, "time_format": "%d.%m.%Y"},
        ),
        ("# by x\n# unit: kW\n" + PLAIN, {"comment": "#"}),
        ("# day,value\n" + PLAIN.split("\n", 1)[1], {"comment": "#", "header": ["day", "value"]}),
        ("," + PLAIN[2:], {"skip_rows": 1, "header": ["time", "v"]}),
        ("Report of sales\n\nprinted 2021\n" + PLAIN, {"skip_rows": 3}),
        (PLAIN + "Total,4711\n", {"skip_last": 1}),
        (PLAIN + "\nSource: the office\nall rights reserved\n", {"skip_last": 2}),
        (PLAIN + "Total,4711\n,\nReport of 2021,\n", {"skip_last": 2}),
        ("sep=;\n" + PLAIN.replace(",", ";"), {}),
        ("sep=\t\r\n" + PLAIN.replace(",", "\t").replace("\n", "\r\n") + "Total\t4711\r\n", {"skip_last": 1}),
        (PLAIN.replace("\n", ",,\n") + ",,,\n" * 9, {}),
        (PLAIN.replace(",", "  "), {"delimiter": " "}),
        (PLAIN.replace("\n", "\t\n"), {}),
        (PLAIN.replace(",", "|"), {}),
        (PLAIN.replace(",", "\t").encode("utf-16"), {}),
        (PLAIN.encode("utf-16-be").join([b"\xfe\xff", b""]), {}),
        (PLAIN.encode("utf-8-sig"), {}),
    ],
    also=(2, 7, 13, 14, 15, 17),
)
def test_what_is_around_a_table(found, content, fields):
    made, table = found(content)
    check(made, table, DAYS)
    assert made.reading == fields


@third(
    ("mark", "names", "point", "fields"),
    [
        ("\t", ["time, local", "load, net, MW"], ".", {}),
        (";", ["day", "load, MW"], ",", {"decimal": ","}),
        (";", ["day, local", "load, MW"], ".", {}),
        ("|", ["day, local, UTC", "load, MW"], ".", {}),
    ],
    also=(1,),
)
def test_names_have_more_commas_than_delimiters(found, mark, names, point, fields):
    lines = PLAIN.splitlines()[1:]
    rows = [line.replace(",", mark, 1).replace(".", point) for line in lines]
    made, table = found("\n".join([mark.join(names), *rows]) + "\n")
    check(made, table, DAYS)
    assert made.reading.pop("delimiter") == mark
    assert made.reading == fields
    assert made.target == names[1]


@third(
    ("units", "skipped"),
    [
        (["YYYY-MM-DD,kWh"], 2),
        ([",(deg C)"], 2),
        (["TS,W/m^2", ",Avg"], 3),
        (["date,EUR", ",", ",nominal"], 4),
        (["[UTC],[%]"], 2),
    ],
)
def test_a_line_of_units_below_the_names_is_left_out(found, units, skipped):
    lines = PLAIN.splitlines()
    made, table = found("\n".join([lines[0], *units, *lines[1:]]) + "\n")
    check(made, table, DAYS)
    assert made.reading == {"skip_rows": skipped, "header": ["t", "v"]}
    assert repr(units[0]) in made.reading_why["skip_rows"]


@third("line", ["2019-11-22,M", "2019-11-22,NA", "2019-11-22,"])
def test_a_first_row_without_a_number_is_no_line_of_units(found, line):
    lines = PLAIN.splitlines()
    made, _ = found("\n".join([lines[0], line, *lines[1:]]) + "\n")
    assert made.rows == ROWS + 1
    assert "header" not in made.reading


@third(
    ("lines", "header"),
    [
        (["t,v", *(f"{line}," for line in PLAIN.splitlines()[1:])], ["t", "v", "empty"]),
        (["t,v", *(f"{n},{line}" for n, line in enumerate(PLAIN.splitlines()[1:], 1))], ["row", "t", "v"]),
        (
            ['"t" "v"', *(f'"{n}" {line}'.replace(",", " ") for n, line in enumerate(PLAIN.splitlines()[1:]))],
            ["row", "t", "v"],
        ),
        (["v;w", *(f"{line};7".replace(",", ";") for line in PLAIN.splitlines()[1:])], ["time", "v", "w"]),
        (
            ["Sales of", "t\tv", *(f"{line}\t".replace(",", "\t") for line in PLAIN.splitlines()[1:])],
            ["t", "v", "empty"],
        ),
    ],
)
def test_names_that_are_one_less_than_columns(found, lines, header):
    made, table = found("\n".join(lines) + "\n")
    check(made, table, DAYS)
    assert made.reading["header"] == header


def test_empty_rows_and_columns_are_said(found):
    made, _ = found(PLAIN.replace("\n", ",,\n") + ",,,\n" * 9)
    assert {"columns-without-own-name", "empty-rows-left-out"} <= {each.code for each in made.notes}


def zipped(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inner.csv", content)
    return file.getvalue()


@third(
    ("name", "pack"),
    [
        ("a.csv.gz", gzip.compress),
        ("a.csv.bz2", bz2.compress),
        ("a.csv.zst", lambda content: pa.compress(content, codec="zstd", asbytes=True)),
        ("a.csv.zip", zipped),
        ("a.csv", gzip.compress),
    ],
    also=(1, 2),
)
def test_packed_text_is_read(found, name, pack):
    check(*found(pack(PLAIN.encode()), name), DAYS)


def test_feather_is_read(found):
    file = io.BytesIO()
    pd.DataFrame({"t": DAYS, "v": VALUES}).to_feather(file)
    check(*found(file.getvalue(), "a.feather"), DAYS)


@third(
    ("name", "content", "code"),
    [
        ("a.csv", b"PK\x03\x04" + b"\0" * 9 + b"xl/workbook.xml", "spreadsheet-instead-of-table"),
        ("a.csv", PLAIN.replace("v", "größe", 1).encode("cp1252"), "not-utf8"),
        ("a.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)[:-20], "not-unpacked"),
        ("a.csv", PLAIN.encode("utf-16-le"), "nul-bytes-in-table"),
        ("a.csv", b"\xd0\xcf\x11\xe0" + b"\0" * 99, "spreadsheet-instead-of-table"),
    ],
    also=(1,),
)
def test_what_is_not_read_is_refused_with_the_way_out(refused, name, content, code):
    wrong = refused(content, name)
    assert wrong.code == code
    assert wrong.mend


@third("value", [-200, -999, 9999.9, 99999, -9999.0])
def test_values_that_may_mean_missing_are_named_with_the_line_that_makes_them_so(found, tmp_path, value):
    values = VALUES.copy()
    values[[5, 50, 51]] = value
    made, _ = found(csv(DAYS, values))
    [told] = made.sentinels
    assert (told.values["value"], told.values["rows"], told.place.rpartition(":")[2]) == (value, 3, "7")
    assert f"data.missing_values: [{value:.7g}]" in told.mend
    section = ForecastData(
        time="t",
        target="v",
        lookback=1,
        horizon=1,
        split=Split(validation=1, test=1),
        missing_values=[value],
        missing="skip",
    )
    assert np.flatnonzero(np.isnan(regular.read(section, tmp_path / "a.csv").values[:, 0])).tolist() == [5, 50, 51]


# --- What was read right before ---------------------------------------------------------------------------------

LARGE = VALUES - VALUES.mean()


@third(
    "values", [LARGE * 1e12, LARGE * 1e-9, LARGE * 1e20, np.where(np.arange(ROWS) % 10, 0, VALUES), VALUES.clip(100)]
)
def test_values_of_any_size_are_read_to_the_last_digit(found, values):
    made, table = found(csv(DAYS, values))
    check(made, table, DAYS, values)
    np.testing.assert_array_equal(table.values[:, 0], values)
    assert (made.sentinels, made.reading) == ((), {})


@third(
    ("start", "step"),
    [
        ("1961-03-01", "3MS"),
        ("1961-02-28", "3ME"),
        ("1749-01-01", "MS"),
        ("2021-01-01 00:00:00.005", "20ms"),
        ("1850-01-01", "YS"),
        ("2021-01-04", "14D"),
        ("2021-01-01", "90s"),
    ],
    also=(2,),
)
def test_steps_of_any_length(found, start, step):
    times = pd.date_range(start, periods=ROWS, freq=step)
    made, table = found(csv(times))
    check(made, table, times)
    assert (made.step, made.step_given, made.has_gaps) == (step, False, False)


def packed(**options):
    file = io.BytesIO()
    pq.write_table(pa.table({"t": DAYS, "v": VALUES}), file, **options)
    return file.getvalue()


def indexed():
    file = io.BytesIO()
    index = pd.MultiIndex.from_arrays([["here"] * ROWS, DAYS], names=["place", "t"])
    pd.DataFrame({"v": VALUES}, index=index).to_parquet(file)
    return file.getvalue()


def nested():
    file = io.BytesIO()
    rows = pa.array([{"a": 1.0, "b": [n]} for n in range(ROWS)])
    pq.write_table(pa.table({"t": DAYS, "more": rows, "v": VALUES}), file)
    return file.getvalue()


@third(
    "content",
    [
        packed(use_deprecated_int96_timestamps=True),
        packed(compression="zstd"),
        packed(row_group_size=7),
        indexed(),
        nested(),
    ],
    ids=["int96", "zstd", "groups", "multi-index", "nested"],
    also=(1, 4),
)
def test_kinds_of_parquet(found, content):
    check(*found(content, "a.parquet"), DAYS)


@third("name", ['the "v"', "a, b", "${HOME}", "T in °C", "数量", "it's", "a: b #c", "x y  z", "null", "1"], also=(2,))
def test_names_of_any_letters(found, name):
    frame = pd.DataFrame({"t": DAYS, "w": VALUES[::-1], name: VALUES})
    made, table = found(frame.to_csv(index=False), target=name)
    check(made, table, DAYS)
    assert (made.target, made.covariates) == (name, ("w",))


# --- Damaged files, and files written in any supported way ------------------------------------------------------

BASES = {
    "plain.csv": PLAIN.encode(),
    "german.csv": csv(DAYS.strftime("%d.%m.%Y")).replace(",", ";").replace(".", ",").encode(),
    "split.csv": pd.DataFrame({"D": HOURS.strftime("%m/%d/%Y"), "Time": HOURS.strftime("%H:%M"), "v": VALUES})
    .to_csv(index=False)
    .encode(),
    "words.txt": (
        "# by x\n" + csv(MONTHS.strftime("%b %Y"), ["M" if n % 9 == 4 else f"{v}" for n, v in enumerate(VALUES)])
    ).encode(),
    "packed.csv.gz": gzip.compress(PLAIN.encode(), mtime=0),
    "wide.csv": WIDE.add_prefix("V").to_csv().encode(),
    "zone.csv": csv([each.isoformat() for each in HOURS.tz_localize("Asia/Kathmandu")]).encode(),
    "parts.csv": pd.DataFrame({"year": DAYS.year, "month": DAYS.month, "day": DAYS.day, "v": VALUES})
    .to_csv(index=False)
    .encode(),
    "unix.csv": csv(HOURS.as_unit("s").asi8, pd.Series(VALUES).map("${:,.3f}".format)).encode(),
    "panel.csv": csv(DAYS.repeat(2)[:ROWS], shop=["a", "b"] * (ROWS // 2)).encode(),
    "utf16.csv": ("sep=;\n;\n" + PLAIN.replace(",", ";") + "Total;4711\n").encode("utf-16"),
    "boxed.md": ("| t | v |\n|---|---|\n" + "".join(f"| {t:%d %b %Y} | 7.{t.day} |\n" for t in DAYS)).encode(),
    "blanks.txt": ("A report\n\n" + PLAIN.replace(",", "   ")).encode(),
    "interval.csv": csv([f"{t:%d %b %Y %H:%M} - {t + pd.Timedelta('1h'):%d %b %Y %H:%M}" for t in HOURS]).encode(),
    "quarters.csv": csv([f"{each.year}-{each.quarter}" for each in QUARTERS]).encode(),
}


def damaged(dice, content):
    """Content with bytes cut, swapped, opened, made huge, or with line ends mixed."""
    lines, place = content.split(b"\n"), dice.randrange(len(content))
    kind = dice.randrange(10)
    swapped = [b",".join(line.split(b",")[::-1]) for line in lines]
    dice.shuffle(lines)
    end = dice.choice([b"\r", b"\r\n", b"\n\r"])
    return [
        content[:place],
        content[place:],
        content[:place] + bytes(dice.randrange(256) for _ in range(9)) + content[place + 9 :],
        content[:place] + b"\0" * dice.randrange(1, 9) + content[place:],
        content[:place] + b'"' + content[place:],
        content[:place] + b"7" * dice.choice([99, 10**5, 3 * 10**6]) + content[place:],
        content.replace(b"\n", end, dice.randrange(1, 99)),
        b"\n".join(lines),
        b"\n".join(swapped),
        content.replace(b",", dice.choice([b";", b"\t", b"", b"  "]), dice.randrange(1, 999)),
    ][kind]


@third("seeds", [range(20), pytest.param(range(20, 1100), marks=pytest.mark.faults)])
def test_a_damaged_file_is_read_or_refused_with_a_line(tmp_path, seeds):
    read = 0
    for seed in seeds:
        dice = random.Random(seed)
        name = dice.choice(sorted(BASES))
        content = damaged(dice, BASES[name]) or b"a"
        path = tmp_path / name
        path.write_bytes(damaged(dice, content) if seed % 3 == 0 and len(content) > 9 else content)
        faults = []
        try:
            read += profile(path).steps > 0
        except BadInput as error:
            faults = error.faults
        assert all(each.text and "\n" not in str(each) for each in faults)
    assert 0 < read < len(seeds)


# How a column of times may be written, by the step.
WRITTEN = {
    "h": (
        *("%Y-%m-%d %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%d-%b-%Y %I:%M %p", "%Y%m%d%H%M", "%Y%m%dT%H%M%SZ"),
        *("%d.%m.%Y %Hh%M", "%a, %d %b %Y %H:%M:%S GMT", "%Y%j%H", "%d %b %Y %H:%M - %d %b %Y %H:%M"),
    ),
    "D": ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%y", "%d.%m.%Y", "%Y%m%d", "%d%b%Y", "%B %d, %Y", "%Y-%j", "%Y/%m/%d"),
    "M": ("%Y-%m", "%m/%Y", "%Y%m", "%b %Y", "%b-%y", "%YM%m", "%Y-%m-15"),
}
ZONES = [None, None, None, "Europe/Lisbon", "America/Bogota", "Asia/Kolkata", "UTC"]
SPLIT = {
    "date and clock": lambda t: {"Date": t.strftime("%Y-%m-%d"), "Time": t.strftime("%H:%M")},
    "date and hour": lambda t: {"date": t.strftime("%d %b %Y"), "hr": t.hour},
    "hour ending": lambda t: {"day": t.strftime("%Y/%m/%d"), "HE": t.hour + 1},
    "parts": lambda t: {"year": t.year, "month": t.month, "day": t.day, "hour": t.hour},
    "serial": lambda t: {"Date": (t.normalize() - pd.Timestamp("1899-12-30")).days, "Time": t.hour / 24},
}


@st.composite
def columns_of_time(draw):
    """The columns that say the times of rows, and the times that they mean."""
    step = draw(st.sampled_from("hDM"))
    start = pd.Timestamp("2019-11-23") + pd.Timedelta(days=draw(st.integers(0, 800)))
    start = start.replace(day=1) if step == "M" else start
    times = pd.date_range(start, periods=ROWS, freq={"M": "MS"}.get(step, step))
    zone = draw(st.sampled_from(ZONES))
    if zone and step != "M":
        local = times.tz_localize("UTC").tz_convert(zone) if step == "h" else times.tz_localize(zone)
        return {"t": [each.isoformat() for each in local]}, times
    kind = draw(st.sampled_from(["text", "unix", *SPLIT])) if step == "h" else "text"
    if kind == "unix":
        return {"time": times.as_unit("s").asi8 * draw(st.sampled_from([1, 1000]))}, times
    if kind in SPLIT:
        return {name: list(each) for name, each in SPLIT[kind](times).items()}, times
    form = draw(st.sampled_from(WRITTEN[step]))
    start, mark, _ = form.partition(" - ")
    texts = [f"{each:{start}}{mark}" + (f"{each + pd.Timedelta('1h'):{start}}" if mark else "") for each in times]
    return {"date": texts}, times + pd.Timedelta(days=14 * form.endswith("-15"))


SIGNS = [  # of decimals and thousands, the text of a value, and what may divide the columns
    (".", "", ",;\t|"),
    (",", "", ";\t"),
    (".", ",", ";\t|"),
    (",", ".", ";\t"),
    (".", " ", ",;|"),
    (".", "'", ",;\t"),
]


@st.composite
def written(draw):
    """A regular table written in one of the supported ways, with the times and values that its owner means."""
    columns, times = draw(columns_of_time())
    values = np.random.default_rng(draw(st.integers(0, 99))).normal(5000, 900, ROWS).round(2)
    decimal, thousands, marks = draw(st.sampled_from(SIGNS))
    mark = draw(st.sampled_from(marks))
    write = draw(st.sampled_from(["{}", "{}", "{} kW", "{}%", "€{}"]))
    write = "{}" if thousands in ("'", " ") else write  # a unit after 1 002.64 is not read
    signs = str.maketrans({",": thousands, ".": decimal})
    texts = [write.format(f"{each:,.2f}".translate(signs)) for each in values]
    gone = draw(st.sets(st.integers(1, ROWS - 2), max_size=5))
    word = draw(st.sampled_from(["", "NA", "n/a", "Null", "-999"]))
    word = "" if word == "-999" and write != "{}" else word
    texts = [word if n in gone else each for n, each in enumerate(texts)]
    frame = pd.DataFrame({**columns, "v": texts})
    if draw(st.booleans()):
        frame = frame[::-1]
    content = frame.to_csv(index=False, sep=mark)
    if above := draw(st.sampled_from(["", "", "# made by x\n", "The report\n\n", "sep"])):
        content = (f"sep={mark}\n" if above == "sep" else above) + content
    if draw(st.integers(0, 3)) == 0:
        content += f"Total{mark * (len(frame.columns) - 1)}4711\n"
    coded = content.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))
    pack = draw(st.sampled_from([bytes, bytes, gzip.compress, bz2.compress, zipped]))
    return pack(coded), times, values, gone, word


@examples(25, 300)
def test_a_table_is_read_as_it_was_meant_or_the_ambiguity_is_named(found, count):
    @settings(max_examples=count)
    @given(table=written())
    def check_each(table):
        read_as_it_was_meant(found, *table)

    check_each()


def read_as_it_was_meant(found, content, times, values, gone, word):
    faults = []
    try:
        made, read = found(content, "a.csv")
    except BadInput as error:
        faults = error.faults
    if faults:
        assert [each.code for each in faults] == ["times-of-several-formats"]
        return
    wanted = values.copy()
    wanted[list(gone)] = -999 if word == "-999" else np.nan
    assert read.times.tolist() == times.tolist()
    np.testing.assert_allclose(read.values[:, 0], wanted, rtol=1e-12)
    assert word != "-999" or not gone or made.sentinels


@examples(10, 150)
def test_open_hours_are_read_as_they_were_meant(found, count):
    @settings(max_examples=count)
    @given(data=st.data())
    def check_each(data):
        opens, shuts = data.draw(st.integers(5, 10)), data.draw(st.integers(14, 22))
        step = data.draw(st.sampled_from(["h", "30min", "15min"]))
        days = data.draw(st.sampled_from([range(5), range(6)]))
        rows = 960 * {"h": 1, "30min": 2, "15min": 4}[step]
        times = opened("2021-02-01", rows, step, (opens, shuts), days)
        values = np.random.default_rng(opens).normal(50, 9, len(times)).round(3)
        form = data.draw(st.sampled_from(["%Y-%m-%d %H:%M", "%d-%b-%y %I:%M %p", "%Y%m%d%H%M"]))
        made, table = found(csv(times.strftime(form), values))
        check(made, table, times, values)
        assert made.reading["open_hours"]

    check_each()


@examples(10, 150)
def test_wide_tables_and_panels_are_refused_however_they_are_written(refused, count):
    @settings(max_examples=count)
    @given(data=st.data())
    def check_each(data):
        mark, decimal = data.draw(st.sampled_from([(",", "."), (";", ","), ("\t", ".")]))
        rows, count = data.draw(st.integers(12, 30)), data.draw(st.integers(9, 40))
        numbers = np.random.default_rng(rows).normal(50, 9, (rows, count)).round(2)
        if data.draw(st.booleans()):
            names = data.draw(st.sampled_from([lambda n: f"V{n}", lambda n: f"d_{n}", lambda n: f"{DAYS[n]:%Y-%m-%d}"]))
            frame = pd.DataFrame(numbers, columns=[names(n) for n in range(count)])
            frame.insert(0, "who", [f"s{n}" for n in range(rows)])
            codes = {"series-in-rows"}
        else:
            key = data.draw(st.sampled_from(["shop", "sensor", "country"]))
            order = data.draw(st.sampled_from([["t", key], [key, "t"]]))
            lines = [(f"{d:%Y-%m-%d}", f"s{n}", numbers[n, 0] + d.day) for n in range(4) for d in DAYS[:count]]
            frame = pd.DataFrame(lines)
            frame = frame.set_axis(["t", key, "v"], axis=1).sort_values(order)
            codes = {"several-series"}
        assert refused(frame.to_csv(index=False, sep=mark, decimal=decimal)).code in codes

    check_each()


# --- What a reviewer's files have shown ---------------------------------------------------------------------


@diagonal(name=["HourEnding", "hourEnding", "IntervalEnd", "endTime", "Hour_End"], clock=["{:02}:00", "{}"])
def test_an_hour_is_named_by_its_end_in_names_of_joined_words_too(found, name, clock):
    times = pd.date_range("2021-03-04", periods=240, freq="h")
    if clock == "{}" and name not in ("HourEnding", "hourEnding"):
        return
    frame = pd.DataFrame({"OperDay": times.strftime("%m/%d/%Y"), name: [clock.format(t.hour + 1) for t in times]})
    made, table = found(frame.assign(MW=np.sin(np.arange(240))).to_csv(index=False))
    check(made, table, times, np.sin(np.arange(240)))


@diagonal(form=["%m.%Y", "%Y.%m"], value=["{:.2f}", "{:.1f} €"])
@EITHER_WAY
def test_months_with_a_point_are_times_and_no_numbers(found, form, value, order):
    numbers = [value.format(each).replace(".", ",") for each in VALUES]
    frame = pd.DataFrame({"Monat": MONTHS.strftime(form), "Umsatz": numbers})
    made, table = found(frame[::order].to_csv(index=False, sep=";"))
    check(made, table, MONTHS, [float(each.split()[0].replace(",", ".")) for each in numbers])
    assert made.reading["time_format"] == form


@third("sep", ["\t", ";"])
def test_three_digits_after_a_comma_are_decimals_if_a_number_begins_with_zero(found, sep):
    values = (VALUES / 100 - 0.4).round(3)
    frame = pd.DataFrame({"d": DAYS, "load": [f"{each:.3f}".replace(".", ",") for each in values]})
    made, table = found(frame.to_csv(index=False, sep=sep))
    check(made, table, DAYS, values)
    assert made.reading["decimal"] == ","


@third(
    ("written", "form"),
    [("{:02}h", "%Hh"), ("{} Uhr", "%H Uhr"), ("{:02}H", "%HH"), ("end {:02}h", "hour_ending")],
)
def test_hours_with_a_word_after_them_are_times_of_day(found, written, form):
    times = pd.date_range("2021-05-20", periods=240, freq="h")
    ends = int(written.startswith("end"))
    hours = [written.removeprefix("end ").format(each.hour + ends) for each in times]
    frame = pd.DataFrame({"fecha": times.strftime("%d/%m/%Y"), "hora": hours, "v": np.cos(np.arange(240))})
    made, table = found(frame.to_csv(index=False))
    check(made, table, times, np.cos(np.arange(240)))
    assert made.reading["time_format"] == ["%d/%m/%Y", form]


@third("form", ["%d/%m/%Y %Hh%M", "%Y-%m-%d %I-%p"])
def test_french_clocks_and_hours_with_a_half_of_the_day_are_times(found, form):
    times = pd.date_range("2021-05-20", periods=ROWS, freq="h")
    made, table = found(csv(times.strftime(form)[::-1]))
    check(made, table, times, VALUES[::-1])


@third(
    ("name", "minutes"), [("half_hour", 30), ("hh", 30), ("Settlement Period", 30), ("qh", 15), ("Viertelstunde", 15)]
)
def test_periods_of_a_day_may_be_counted_from_zero(found, name, minutes):
    times = pd.date_range("2021-07-01", periods=480, freq=f"{minutes}min")
    period = (times - times.normalize()) // pd.Timedelta(minutes=minutes)
    frame = pd.DataFrame({"day": times.strftime("%d-%b-%Y"), name: period, "v": np.sin(np.arange(480))})
    made, table = found(frame.to_csv(index=False))
    check(made, table, times, np.sin(np.arange(480)))
    assert made.reading["time_format"] == ["%d-%b-%Y", f"periods_{minutes}min_from_0"]


def test_a_day_of_the_year_with_hundreds_of_hours_and_a_day_with_hm_are_times(found):
    times = pd.date_range("2020-10-26", periods=240, freq="h")
    parts = {"Year": times.year, "DOY": times.day_of_year, "HHMM": times.hour * 100, "v": np.sin(np.arange(240))}
    check(*found(pd.DataFrame(parts).to_csv(index=False)), times, parts["v"])
    half = pd.date_range("2020-10-26", periods=240, freq="30min")
    parts = {"day": half.strftime("%Y%m%d"), "hm": half.strftime("%H%M"), "v": parts["v"]}
    check(*found(pd.DataFrame(parts).to_csv(index=False)), half, parts["v"])


@third("beside", ["sunrise", "hour", "peak_time"])
def test_a_time_of_day_beside_days_that_differ_is_no_part_of_the_time(found, beside):
    clock = [6 + n % 3 if beside == "hour" else f"{6 + n % 3:02}:{n * 7 % 60:02}" for n in range(ROWS)]
    parts = {"year": DAYS.year, "month": DAYS.month, "day": DAYS.day, beside: clock, "v": VALUES}
    made, table = found(pd.DataFrame(parts).to_csv(index=False))
    check(made, table, DAYS)
    assert beside in made.left_out


@third("suffix", ["th", "rd", "."])
def test_days_with_an_ordinal_are_refused_and_not_taken_in_the_files_order(refused, suffix):
    texts = [f"{each.day}{suffix} {each:%B %Y}" for each in DAYS][::-1]
    if suffix == ".":
        texts = [f"the {each}" for each in texts]
    assert refused(csv(texts)).code in ("no-time-format", "not-a-time")


def test_quarters_with_a_short_year_before_them_are_times(found):
    made, table = found(csv([f"{each.year % 100:02}Q{each.quarter}" for each in QUARTERS[::-1]]))
    check(made, table, QUARTERS.to_timestamp(), VALUES[::-1])


@third("form", ["%Y%m%d", "%Y%m%d%H"])
def test_even_dates_as_whole_numbers_are_the_time_whatever_their_columns_name_is(found, form):
    times = DAYS if form == "%Y%m%d" else HOURS
    frame = pd.DataFrame({"issued": "2020-05-01", "valid": times.strftime(form)[::-1], "v": VALUES})
    made, table = found(frame.to_csv(index=False))
    check(made, table, times, VALUES[::-1])


def test_columns_of_one_name_are_named_where_they_are_left_out_or_refused(found, refused):
    frame = pd.DataFrame({"d": DAYS, "a": VALUES, "b": VALUES + 1, "temp": VALUES * 2})
    made, _ = found(frame.to_csv(index=False, header=["d", "load", "load", "temp"]))
    told = next(each for each in made.notes if each.code == "columns-without-own-name")
    assert told.values == {"count": 2, "twice": "load"}
    wrong = refused(frame[["d", "a", "b"]].to_csv(index=False, header=["d", "load", "load"]))
    assert (wrong.code, wrong.values["column"]) == ("column-occurs-twice", "load")


@third(
    ("name", "value", "place"),
    [
        ("tz", "CDT", "America/Chicago"),
        ("timeZone", "Asia/Tokyo", "Asia/Tokyo"),
        ("utc_offset", "+03:00", "Europe/Berlin"),
        ("Zone", "MESZ", "Europe/Berlin"),
    ],
)
def test_a_column_of_zones_beside_the_times_is_told(found, name, value, place):
    made, _ = found(pd.DataFrame({"t": HOURS, name: value, "v": VALUES}).to_csv(index=False))
    told = next(each for each in made.notes if each.code == "zones-in-a-column")
    assert (told.values["column"], told.values["value"], told.values["place"]) == (name, value, place)
    plain, _ = found(pd.DataFrame({"t": HOURS, name: "north", "v": VALUES}).to_csv(index=False))
    assert "offset" in name or not any(each.code == "zones-in-a-column" for each in plain.notes)


def test_the_reason_to_leave_a_column_out_shows_a_value_that_is_no_number(found):
    texts = [str(each) if n < 100 else f"{each} p" for n, each in enumerate(VALUES)]
    made, _ = found(pd.DataFrame({"d": DAYS, "y": texts, "z": VALUES}).to_csv(index=False))
    assert repr(texts[100]) in made.left_out["y"]


WEEKS = pd.date_range("2015-01-05", periods=ROWS, freq="7D")
FALLING = {
    "a week and a year": [f"{each.isocalendar().week:02}/{each.isocalendar().year}" for each in WEEKS],
    "a date with points and blanks": [f"{each:%Y. %m. %d}" for each in DAYS],
    "a date after an apostrophe": [f"{each:'%Y-%m-%d}" for each in DAYS],
    "a day of the week": [f"{each:%a %d/%m}" for each in DAYS],
    "a time of day": [f"{each:%H:%M:%S}" for each in pd.date_range("2020-01-01", periods=ROWS, freq="5min")],
    "days of a calendar": [2458800.5 + n for n in range(ROWS)],
    "seconds": [n / 50 for n in range(ROWS)],
}


@third("kind", FALLING)
def test_what_falls_and_is_no_known_time_is_refused_and_not_taken_in_the_files_order(refused, kind):
    assert refused(csv(FALLING[kind][::-1])).code in ("no-time-format", "times-with-fractions")


@third("kind", ["a time of day", "days of a calendar", "seconds"])
def test_what_rises_and_is_no_known_time_leaves_the_rows_in_their_order(found, kind):
    made, table = found(csv(FALLING[kind]))
    assert made.time is None
    np.testing.assert_allclose(table.values[:, 0], VALUES)


def test_a_number_of_the_row_is_no_order_beside_a_date_that_is_not_read(refused):
    texts = [f"{each.day}th {each:%B %Y}" for each in DAYS][::-1]
    frame = pd.DataFrame({"id": range(ROWS), "d": texts, "v": VALUES})
    assert refused(frame.to_csv(index=False)).code == "no-time-format"


# --- Kinds that were misread in silence until 30 November 2026 -----------------------------------------------


@third(
    ("numbers", "day", "mark"),
    [
        ([f"{4 + n % 9}.{(n * 37) % 1000:03}" for n in range(ROWS)], "%d.%m.%Y", ";"),
        ([f"{17 + n % 9}.{(n * 91) % 1000:03}" for n in range(ROWS)], "%d.%m.%y", "\t"),
        ([f"-{117 + n % 9}.{(n * 3) % 1000:03}" for n in range(ROWS)], "%d.%m.%Y 00:00", ";"),
        ([f"{1 + n % 3}.000" for n in range(ROWS)], "%d. %m. %Y", "|"),
        ([f"{999 - n}.500" for n in range(ROWS)], "%d.%m.%Y", ";"),
    ],
)
def test_points_before_three_digits_alone_are_asked_for_beside_dates_with_points(refused, numbers, day, mark):
    frame = pd.DataFrame({"Tag": DAYS.strftime(day), "Absatz": numbers})
    wrong = refused(frame.to_csv(index=False, sep=mark))
    assert (wrong.code, wrong.values) == (
        "point-for-thousands",
        {"column": "Absatz", "value": numbers[0], "other": None},
    )


@diagonal(day=["%Y-%m-%d", "%d/%m/%Y"], first=[5, 120])
def test_points_before_three_digits_alone_are_told_in_a_file_with_semicolons(found, day, first):
    values = np.array([first + n / 1000 + n % 5 for n in range(ROWS)])
    frame = pd.DataFrame({"day": DAYS.strftime(day), "price": [f"{v:.3f}" for v in values]})
    made, table = found(frame.to_csv(index=False, sep=";"))
    check(made, table, DAYS, values)
    [told] = [each for each in made.notes if each.code == "points-for-decimals"]
    assert told.values == {"column": "price", "value": f"{values[0]:.3f}"}
    assert "data.thousands: '.'" in told.mend


@third("other", [["0.250"], ["12.5"], ["7.25"], ["1.5000"], [".125"]])
def test_a_number_with_other_decimals_settles_the_point(found, other):
    numbers = [f"{4 + n % 9}.{(n * 37) % 1000:03}" for n in range(ROWS - 1)] + other
    frame = pd.DataFrame({"Tag": DAYS.strftime("%d.%m.%Y"), "Kurs": numbers})
    made, table = found(frame.to_csv(index=False, sep=";"))
    check(made, table, DAYS, [float(each) for each in numbers])
    assert not any(each.code == "points-for-decimals" for each in made.notes)


LANGUAGES = ("en", "de", "fr", "es", "pt", "it", "nl", "da", "nb", "sv", "pl", "tr")


@third("language", LANGUAGES)
@third(
    ("write", "width"),
    [
        pytest.param("{month} {year:02}", "abbreviated", marks=pytest.mark.faults),
        ("{month}-{year:02}", "abbreviated"),
        pytest.param("{month}/20{year:02}", "abbreviated", marks=pytest.mark.faults),
        ("{month} de 20{year:02}", "wide"),
        pytest.param("20{year:02} {month}", "wide", marks=pytest.mark.faults),
    ],
)
def test_months_with_names_of_other_languages_are_sorted(found, language, write, width):
    names = pytest.importorskip("babel.dates").get_month_names(width, "format", language)
    months = pd.date_range("2005-03-01", periods=50, freq="MS")
    texts = [write.format(month=names[each.month], year=each.year % 100) for each in months]
    made, table = found(csv(texts[::-1], VALUES[:50][::-1]))
    check(made, table, months, VALUES[:50])
    assert "rows-sorted-by-time" in [each.code for each in made.notes]


@diagonal(
    form=["{d.day:02}-{m}-{d.year}", "{d.day}. {m} {y:02}", "{d.day} de {m} de {d.year}", "{m} {d.day}, {d.year}"],
    language=["de", "fr", "es", "pt"],
)
def test_days_with_names_of_months_of_other_languages(found, form, language):
    names = pytest.importorskip("babel.dates").get_month_names("abbreviated", "format", language)
    texts = [form.format(d=each, m=names[each.month].rstrip("."), y=each.year % 100) for each in DAYS]
    check(*found(csv(texts[::-1], VALUES[::-1])), DAYS)


@diagonal(language=["cs", "hr", "fi", "hu", "lt"], write=["{} {:02}", "{}-{}"])
def test_months_in_a_language_that_is_not_known_are_asked_for(refused, language, write):
    names = pytest.importorskip("babel.dates").get_month_names("abbreviated", "format", language)
    months = pd.date_range("2005-03-01", periods=50, freq="MS")
    year = 100 if ":02" in write else 10_000
    texts = [write.format(names[each.month].strip("."), each.year % year) for each in months]
    assert refused(csv(texts[::-1], VALUES[:50])).code in ("no-time-format", "not-a-time")


def test_no_name_of_a_month_is_known_for_two_months():
    every = [word for words in months.NAMES.values() for word in words.split()]
    assert len(every) == len({*every}) == len(months.NUMBERS)


@third("word", ["Set", "gen", "Out", "lip", "Kas"])
def test_a_number_after_one_word_is_no_month_of_another_language(found, word):
    made, _ = found(csv([f"{word} {n}" for n in range(10, 100)], VALUES[:90]))
    assert made.time is None


FALLS = {
    "matlab": (DAYS - pd.Timestamp("1899-12-30")).days.to_numpy() + 0.25,
    "datenum": ((HOURS - pd.Timestamp("0001-01-01")) / pd.Timedelta("1D")).to_numpy().round(6) + 367,
    "x": (pd.bdate_range("2020-01-01", periods=ROWS) - pd.Timestamp("1899-12-30")).days.to_numpy(),
    "hours": np.arange(ROWS) / 4,
    "elapsed_s": np.arange(ROWS) * 600,
    "nr": np.arange(ROWS),
}


@third("name", FALLS)
def test_numbers_that_fall_as_times_are_asked_for_in_any_column(refused, name):
    wrong = refused(pd.DataFrame({"heat": VALUES, name: FALLS[name]})[::-1].to_csv(index=False))
    assert (wrong.code, wrong.values["column"]) == ("rows-may-be-newest-first", name)


@third("name", ["hours", "elapsed_s", "datenum", "nr"])
def test_numbers_that_rise_as_times_are_no_inputs_and_rows_keep_their_order(found, name):
    made, table = found(pd.DataFrame({"heat": VALUES, name: FALLS[name]}).to_csv(index=False))
    assert (made.target, made.covariates) == ("heat", ())
    np.testing.assert_array_equal(table.values[:, 0], VALUES)


def test_measured_values_may_fall(found):
    fuel = 900 - np.cumsum(np.random.default_rng(8).uniform(0.1, 3, ROWS)).round(2)
    made, _ = found(pd.DataFrame({"heat": VALUES, "fuel": fuel}).to_csv(index=False))
    assert {made.target, *made.covariates} == {"heat", "fuel"}


@third(
    ("name", "values"),
    [
        ("utc_offset", np.where(np.arange(ROWS) < 40, -5, -4)),
        ("gmtOffset", np.where(np.arange(ROWS) < 40, 3600, 7200)),
        ("UTC Offset", np.where(np.arange(ROWS) < 40, 5.5, 6.5)),
        ("gmtoff", np.full(ROWS, 0)),
        ("timezone", np.where(np.arange(ROWS) < 40, 0, 3600)),
        ("tz_offset_minutes", np.where(np.arange(ROWS) < 40, 60, 120)),
    ],
)
def test_offsets_as_numbers_are_no_inputs_and_are_told(found, refused, name, values):
    frame = pd.DataFrame({"t": HOURS, name: values, "heat": VALUES})
    made, _ = found(frame.to_csv(index=False))
    assert (made.target, made.covariates) == ("heat", ())
    assert made.left_out[name] == "an offset from UTC, which is not read"
    [told] = [each for each in made.notes if each.code == "zones-in-a-column"]
    assert told.values["column"] == name


@diagonal(name=["Time", "Uhrzeit", "hora", "Hour", "Heure"], day=["serial", "%d/%m/%Y", "%Y-%m-%d"])
def test_a_part_of_a_day_beside_a_date_is_a_time(found, name, day):
    times = pd.date_range("2023-02-27 03:00", periods=ROWS, freq="20min")
    days = (times.normalize() - pd.Timestamp("1899-12-30")).days if day == "serial" else times.strftime(day)
    part = (times - times.normalize()) / pd.Timedelta(days=1)
    frame = pd.DataFrame({"Date": days, name: np.round(part, 6), "v": VALUES})
    made, table = found(frame[::-1].to_csv(index=False))
    check(made, table, times)
    assert (made.time, made.reading["time_format"][1]) == (["Date", name], "day_fraction")


ROMANS = ["I", "II", "III", "IV"]


@third(
    ("columns", "form"),
    [
        ({"year": QUARTERS.year, "quarter": [ROMANS[q - 1] for q in QUARTERS.quarter]}, ["%Y", "%q"]),
        ({"Qtr": [ROMANS[q - 1] for q in QUARTERS.quarter], "Year": QUARTERS.year}, ["%Y", "%q"]),
        ({"t": [f"{q.year}-{ROMANS[q.quarter - 1]}" for q in QUARTERS]}, "%Y-%q"),
        ({"t": [f"{ROMANS[q.quarter - 1]}/{q.year}" for q in QUARTERS]}, "%q/%Y"),
        ({"t": [f"{ROMANS[q.quarter - 1]} {q.year % 100:02}" for q in QUARTERS]}, "%q %y"),
    ],
)
def test_quarters_in_roman_numbers(found, columns, form):
    made, table = found(pd.DataFrame({**columns, "v": VALUES})[::-1].to_csv(index=False))
    check(made, table, QUARTERS.to_timestamp())
    assert made.reading["time_format"] == form


@third(
    ("names", "ahead"),
    [
        (("start", "end"), "20min"),
        (("created_at", "updated_at"), "3s"),
        (("issued", "valid"), "6h"),
        (("t_utc", "t_local"), "2h"),
        (("open", "close"), "1D"),
    ],
)
def test_a_second_column_of_times_is_told(found, names, ahead):
    frame = pd.DataFrame({names[0]: HOURS, names[1]: HOURS + pd.Timedelta(ahead), "v": VALUES})
    made, _ = found(frame.to_csv(index=False))
    [told] = [each for each in made.notes if each.code == "times-in-other-columns"]
    assert told.values == {"column": names[0], "others": [names[1]], "other": names[1]}
    assert f"data.time: {names[1]}" in told.mend


def indian(number):
    text, groups = str(number), []
    groups, text = [text[-3:]], text[:-3]
    while text:
        groups, text = [text[-2:], *groups], text[:-2]
    return ",".join(groups)


@diagonal(factor=[3_001, 90_001, 7_000_003, 123_456], sign=["{}", "₹{}", "{}.50"])
def test_groups_of_digits_as_in_india(found, factor, sign):
    values = (VALUES * factor).astype(int)
    frame = pd.DataFrame({"t": DAYS, "v": [sign.format(indian(each)) for each in values]})
    made, table = found(frame.to_csv(index=False, sep="\t"))
    check(made, table, DAYS, values + 0.5 * sign.endswith(".50"))
    assert made.reading == {"thousands": ","}


LINES = [f"{t:%Y-%m-%d} | {v:8.3f}" for t, v in zip(DAYS, VALUES, strict=True)]
RULE = "+------------+----------+"


@third(
    ("name", "lines"),
    [
        ("a.md", ["| t | v |", "|:---|---:|", *(f"| {each} |" for each in LINES)]),
        ("a.txt", ["| t | v |", "| --- | --- |", *(f"|{each}|" for each in LINES)]),
        ("a.csv", ["|t|v|", *(f"|{each}|".replace(" ", "") for each in LINES)]),
        ("a.txt", [RULE, "| t          | v        |", RULE, *(f"| {each} |" for each in LINES), RULE]),
        ("a.csv", [RULE, "| t | v |", RULE, *(f"| {each} |" for each in LINES), RULE, "120 rows in set (0.01 sec)"]),
        ("a.txt", ["     t      |    v", "------------+----------", *LINES, "(120 rows)", ""]),
    ],
)
def test_tables_with_bars_at_both_ends_and_drawn_lines(found, name, lines):
    check(*found("\n".join(lines) + "\n", name), DAYS)


@third(
    ("above", "skipped"),
    [("sep=;\n;\n", 2), ("sep=;\n;\n;\n", 3), (";\n", 1), ("sep=;\nBericht;\n;\n", 3), ("Bericht;\n;\n;\n", 3)],
)
def test_empty_rows_above_the_names_are_left_out(found, above, skipped):
    made, table = found(above + PLAIN.replace(",", ";"))
    check(made, table, DAYS)
    assert made.reading == {"skip_rows": skipped}


@third("days", [(1, 11, 21), (1, 16), (5, 20), (1, 15), (1, 6, 11, 16, 21, 26), (8, 18, 28)])
def test_several_days_of_each_month_are_steps(found, days):
    times = pd.DatetimeIndex([pd.Timestamp(y, m, d) for y in range(2010, 2020) for m in range(1, 13) for d in days])
    times = times[1 : ROWS + 1]
    made, table = found(csv(times))
    check(made, table, times)
    assert (made.step, made.step_given, made.missing_steps) == ("MS" + "".join(f"+{d - 1}D" for d in days), False, 0)
    assert round(365.25 * 86_400 / steps.seconds(times, made.step)) == 12 * len(days)
    ahead = steps.following(times[-1], made.step, 4)[1:]
    assert [each.day for each in ahead] == [days[(days.index(times[-1].day) + n) % len(days)] for n in (1, 2, 3)]
    gone, _ = found(csv(times.delete([7, 40]), VALUES[2:]))
    assert (gone.step, gone.missing_steps) == (made.step, 2)


@diagonal(form=["{0.year}{0.month:02}d{1}", "{0.year}-D{1}", "{2}"], name=["dekad", "Dekade", "decada", "décade"])
def test_dekads_as_numbers_are_asked_for(refused, form, name):
    days = [pd.Timestamp(y, m, d) for y in range(2010, 2014) for m in range(1, 13) for d in (1, 11, 21)][:ROWS]
    texts = [form.format(day, n % 3 + 1, n % 36 + 1) for n, day in enumerate(days)]
    frame = pd.DataFrame({"year": [day.year for day in days], name: texts, "v": VALUES[: len(days)]})
    assert refused(frame.to_csv(index=False)).code == "no-time-format"


GERMAN = ["Mai", "Juni", "Juli", "Aug", "Sept", "Okt", "Nov", "Dez", "Jan", "Feb", "März", "Apr"]
BACKWARDS = {
    "days without a year": [f"{each:%m-%d}" for each in DAYS[40:]],
    "hours without a year": [f"{each:%d/%m %H}h" for each in HOURS],
    "names of months": [f"{each:%B}" for each in MONTHS],
    "names of months in German": [GERMAN[n % 12] for n in range(ROWS)],
    "names of days": [f"{each:%A}" for each in DAYS],
    "durations": [f"{n // 24} days {n % 24:02}:00:00" for n in range(ROWS)],
    "hours": [f"PT{n}H" for n in range(ROWS)],
    "underscores": [f"{each:%Y_%m_%d_%H}" for each in HOURS],
    "years with a word": [f"{1900 + n} r." for n in range(ROWS)],
    "a day of the week in French": [f"lundi {n % 28 + 1} août {1900 + n}" for n in range(ROWS)],
    "business years": [f"FY{each.year % 100:02}Q{each.quarter}" for each in QUARTERS],
    "half-years": [f"{1950 + n // 2}-H{n % 2 + 1}" for n in range(ROWS)],
    "months as numbers alone": list(MONTHS.month),
    "seconds of a week": [(n % 168) * 3600 for n in range(400)],
}


@third("kind", BACKWARDS)
def test_newest_rows_first_are_seen_by_any_column_that_falls(refused, kind):
    texts = BACKWARDS[kind][::-1]
    frame = pd.DataFrame({"heat": np.random.default_rng(3).normal(size=len(texts)).round(2), "p": texts})
    assert refused(frame.to_csv(index=False)).code in ("rows-may-be-newest-first", "no-time-format")


@third("kind", ["hours", "underscores", "names of months", "durations", "months as numbers alone"])
def test_rows_in_order_stay_so_beside_such_a_column(found, kind):
    texts = BACKWARDS[kind]
    values = np.random.default_rng(3).normal(size=len(texts)).round(2)
    made, table = found(pd.DataFrame({"heat": values, "p": texts}).to_csv(index=False), target="heat")
    assert made.time is None
    np.testing.assert_array_equal(table.values[:, 0], values)


def test_years_quarters_and_months_in_one_column_are_asked_for(refused):
    spans = [*range(1990, 2010), *(f"{q.year} Q{q.quarter}" for q in QUARTERS), *(f"{m:%Y %b}".upper() for m in MONTHS)]
    frame = pd.DataFrame({"Title": spans, "CPI": np.arange(len(spans)) % 7})
    assert refused(frame.to_csv(index=False)).code == "no-time-format"


@third("name", ["Day-ahead load", "price per day", "day of delivery", "date code", "ds"])
def test_measured_numbers_in_a_column_with_a_word_of_dates_are_no_days_of_a_spreadsheet(found, name):
    load = np.random.default_rng(4).permutation(ROWS) * 17 + 43_000
    made, table = found(pd.DataFrame({"t": DAYS, name: load, "v": VALUES}).to_csv(index=False))
    check(made, table, DAYS)


@third("order", [1, -1])
def test_days_since_1960_are_no_days_of_a_spreadsheet(found, order):
    days = (DAYS - pd.Timestamp("1960-01-01")).days
    made, table = found(pd.DataFrame({"date": days, "v": VALUES})[::order].to_csv(index=False))
    assert (made.reading, made.step, made.first) == ({}, "1", str(days[0]))
    np.testing.assert_array_equal(table.values[:, 0], VALUES)


@third(
    "above",
    [
        "# use of these very data\n# year month x v\n",
        "# a b c d\n#\n# year month x v\n",
        "% one two three four\n% year month x v\n",
    ],
)
def test_names_are_in_the_last_comment_that_can_have_them(found, above):
    lines = [
        f"  {each.year}  {each.month:2}  {n % 5}.5  {v}" for n, (each, v) in enumerate(zip(MONTHS, VALUES, strict=True))
    ]
    made, table = found(above + "\n".join(lines) + "\n")
    check(made, table, MONTHS)
    assert made.time == ["year", "month"]


@third("units", [[",cash,", "unit,Mio EUR,"], ["unit,kWh,"], [",[MW],[]"], ["date,,flag"], ["(d),(m),"]])
def test_units_below_a_first_column_without_a_name(found, units):
    lines = [f"{each:%Y-%m-%d},{v}," for each, v in zip(DAYS, VALUES, strict=True)]
    made, table = found("\n".join([",load,flags", *units, *lines]) + "\n")
    check(made, table, DAYS)
    assert (made.time, made.target) == ("time", "load")


@diagonal(day=["%d/%m/%Y", "%Y-%m-%d", "%b %d, %Y"], clock=["%H:%M:%S", "%I:%M %p"])
def test_rows_of_one_day_alone_are_read(found, day, clock):
    times = pd.date_range("2020-02-29 03:17", periods=ROWS, freq="7min")
    frame = pd.DataFrame({"Date": times.strftime(day), "Time": times.strftime(clock), "v": VALUES})
    check(*found(frame.to_csv(index=False)), times)


@third("word", ["{} UTC", "{} GMT", "{}UTC", "{}Z"])
def test_hours_with_the_word_of_a_zone_beside_a_date(found, word):
    frame = pd.DataFrame(
        {"Data": HOURS.strftime("%Y/%m/%d"), "Hora UTC": [word.format(f"{each:%H%M}") for each in HOURS]}
    )
    check(*found(frame.assign(v=VALUES).to_csv(index=False, sep=";")), HOURS)


@third(
    "lines",
    [
        ["date,v", *(f"{each:%Y-%m-%d},{n % 9},{n * 7 % 100:02}" for n, each in enumerate(DAYS))],
        ["x,y", *(f"{each:%d.%m.%Y},{n % 9},{n * 3 % 100:02}" for n, each in enumerate(DAYS))],
        ["Datum,load,n", *(f"{each:%d.%m.%Y},{n % 9},{n % 10},{n}" for n, each in enumerate(DAYS))],
        ["ds,y", *(f"{each:%Y-%m-%d},{n % 9},{n % 10}" for n, each in enumerate(DAYS))],
        ["time,load,n", *(f"{each:%Y-%m-%d %H:%M},{n % 9},{n % 10},{n}" for n, each in enumerate(HOURS))],
    ],
)
def test_a_decimal_comma_between_commas_is_named_with_its_line(refused, lines):
    wrong = refused("\n".join(lines) + "\n")
    assert (wrong.code, wrong.place.rpartition(":")[2]) == ("too-many-or-few-fields", "2")


def test_titles_of_two_columns_end_at_an_empty_line(found):
    made, table = found('"Id";"x"\n"Published";"today"\n\n' + PLAIN.replace(",", ";"))
    check(made, table, DAYS)
    assert made.reading == {"skip_rows": 3}


@third("above", ["# by x\n", "The climate of all stations\n\nThis is the blended series\n\n", "% a\n% b\n"])
def test_a_table_below_titles_in_a_txt_is_a_table(tmp_path, above):
    (tmp_path / "a.txt").write_text(above + PLAIN)
    assert GivenFile(tmp_path / "a.txt").form.kind == "table"
    (tmp_path / "b.txt").write_text("It was a dark, cold night, and it rained.\n" * 40)
    assert GivenFile(tmp_path / "b.txt").form.kind == "text"


def test_a_year_beyond_that_of_nanoseconds_is_refused(refused):
    days = pd.date_range("2021-02-03", periods=ROWS)  # 2564 has a 29 February, which is missing
    wrong = refused(csv([f"{each.day:02}/{each.month:02}/{each.year + 543}" for each in days]))
    assert wrong.code == "steps-do-not-fit"


# --- Years of two digits, days without a year, and lines without names ------------------------------------------


@diagonal(form=["%b-%y", "%d/%m/%y", "%y%m%d", "%d-%b-%y", "%d.%m.%y %H:%M"], first=["1949-01-15", "1963-08-25"])
def test_a_year_of_two_digits_is_not_taken_for_one_of_the_far_future(refused, form, first):
    times = pd.date_range(first, periods=ROWS, freq="MS" if form == "%b-%y" else "D").strftime(form)
    frame = pd.DataFrame({"date": times, "v": VALUES}).to_csv(index=False)
    assert refused(frame).code == "year-of-two-digits"


@diagonal(form=["%b-%y", "%d/%m/%y", "%d-%b-%y"], first=["1971-01-15", "2014-08-25"])
def test_other_years_of_two_digits_are_read(found, form, first):
    times = pd.date_range(first, periods=ROWS, freq="MS" if form == "%b-%y" else "D")
    made, table = found(csv(times.strftime(form)))
    check(made, table, times)


@third("written", ["2049-01-{:02}", "{:02}.01.2049", "2049-01-{:02}T00:00:00-05:00"])
def test_a_year_of_four_digits_may_be_far_ahead(found, written):
    made, _ = found(csv([written.format(1 + n) for n in range(30)], VALUES[:30]))
    assert made.first == "2049-01-01"


@diagonal(form=["%b-%d", "%b %d", "%b/%d"], order=[1, -1])
def test_days_without_a_year_are_no_months(refused, form, order):
    days = pd.date_range("2019-01-01", periods=ROWS)[::order].strftime(form)
    assert refused(csv(days)).code == "no-time-format"


@third("order", [1, -1])
def test_months_of_2001_to_2031_are_read_in_any_order(found, order):
    months = pd.date_range("2003-02-01", periods=ROWS, freq="MS")
    made, table = found(csv(months.strftime("%b-%y")[::order], VALUES[::order]))
    check(made, table, months)
    some = np.random.default_rng(1).permutation(ROWS)
    made, table = found(csv(months.strftime("%b-%y")[some], VALUES[some]))
    check(made, table, months)


def german(value):
    return f"{value:.2f}".replace(".", ",")


@diagonal(mark=[";", "\t", "|"], day=["%d.%m.%Y", "%Y-%m-%d", "%d.%m.%Y 00:00"], count=[1, 2, 4])
def test_decimal_commas_in_a_file_without_names(found, mark, day, count):
    rows = [mark.join([f"{DAYS[n]:{day}}", *[german(VALUES[n])] * count]) for n in range(ROWS)]
    made, table = found("\n".join(rows))
    assert (made.time, made.target, len(made.covariates)) == ("1", str(count + 1), count - 1)
    check(made, table, DAYS, [float(f"{value:.2f}") for value in VALUES])


@third("above", ["Zeit;Wert\n;kW\n", "# Zeit;Wert\n", ";Wert\n"])
def test_decimal_commas_below_names_that_are_not_in_the_first_line(found, above):
    rows = [f"{DAYS[n]:%d.%m.%Y};{german(VALUES[n])}" for n in range(ROWS)]
    made, table = found(above + "\n".join(rows[::-1]))
    assert made.target == "Wert"
    check(made, table, DAYS, [float(f"{value:.2f}") for value in VALUES])


def test_numbers_with_decimal_commas_are_no_names(refused):
    rows = [f"{DAYS[n]:%Y%m%d};{german(VALUES[n])}" for n in range(ROWS)]
    assert refused("\n".join(rows)).code == "numbers-instead-of-names"


@third("form", ["%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%b %d, %Y", "unix"])
def test_a_first_column_without_a_name_is_the_time_of_the_newest_row_first(found, form):
    times = DAYS.as_unit("s").asi8 if form == "unix" else DAYS.strftime(form)
    frame = pd.DataFrame({"": times, "a": VALUES * 2, "v": VALUES})[::-1]
    made, table = found(frame.to_csv(index=False))
    assert made.time == "time"
    check(made, table, DAYS)


def test_numbers_of_rows_without_a_name_are_no_time(found):
    made, _ = found(pd.DataFrame({"a": VALUES * 2, "v": VALUES}).to_csv())
    assert made.time is None


@diagonal(first=["2021-01-09", "2009-10-11", "2024-02-20"], freq=["h", "15min", "10min"])
def test_ten_digits_are_a_date_with_a_year_of_two(found, first, freq):
    times = pd.date_range(first, periods=ROWS, freq=freq)
    made, table = found(csv(times.strftime("%y%m%d%H%M").astype(int)[::-1], VALUES[::-1]))
    check(made, table, times)


@diagonal(first=["1998-07-21", "2021-01-09", "2036-08-01"], freq=["s", "min", "15min", "h", "D"])
def test_ten_digits_are_seconds_since_1970(found, first, freq):
    times = pd.date_range(first, periods=ROWS, freq=freq, unit="s")
    made, table = found(csv(times.asi8[::-1], VALUES[::-1]))
    check(made, table, times)


@third("columns", [("Year", "Week"), ("year", "woche"), ("jahr", "kw")])
def test_weeks_from_0_with_the_newest_first_are_asked_for(found, refused, columns):
    days = pd.date_range("2016-01-03", periods=ROWS, freq="7D")
    weeks = pd.DataFrame({columns[0]: days.year, columns[1]: days.strftime("%U").astype(int), "v": VALUES})
    assert refused(weeks[::-1].to_csv(index=False)).code == "rows-may-be-newest-first"
    assert found(weeks.to_csv(index=False))[0].time is None


@diagonal(names=[("yyyy", "mm", "dd"), ("YR", "MM", "DY"), ("Jahr", "Monat", "Tag")], mark=[" ", ",", "\t"])
def test_a_series_of_parts_of_dates_is_no_table_of_sequences(tmp_path, names, mark):
    rows = [mark.join([*names, "sst"]), *(mark.join(map(str, (d.year, d.month, d.day, 20.5 + d.day))) for d in DAYS)]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    file = GivenFile(tmp_path / "a.csv")
    assert not file.groupings
    assert profile(file.path, file).first == "2019-11-23"


GERMAN = ["Jan", "Feb", "Mrz", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez"]


@third("write", ["{}. {}", "{} {}", "{}/{}"])
def test_points_before_three_digits_are_asked_for_beside_months_that_are_not_english(refused, write):
    rows = [f"{write.format(GERMAN[d.month - 1], d.year)};{37 + n % 9}.{600 + n}" for n, d in enumerate(MONTHS)]
    assert refused("Monat;Umsatz\n" + "\n".join(rows)).code == "point-for-thousands"


@third("form", ["%H.%M", pytest.param("%H.%M.%S", marks=pytest.mark.faults)])
@third(("step", "name"), [("h", "time"), ("30min", "Uhrzeit"), ("15min", "hora")])
def test_times_of_day_with_points_beside_a_date(found, form, step, name):
    times = pd.date_range("2021-03-17 06:00", periods=ROWS, freq=step)
    rows = {"date": times.strftime("%Y-%m-%d"), name: times.strftime(form), "v": VALUES}
    made, table = found(pd.DataFrame(rows).to_csv(index=False))
    check(made, table, times)
    assert made.reading["time_format"] == [None, form]


def test_hours_with_points_are_named_by_their_end_too(found):
    rows = {
        "date": HOURS.strftime("%Y-%m-%d"),
        "Hour Ending": [f"{each.hour + 1:02}.00" for each in HOURS],
        "v": VALUES,
    }
    check(*found(pd.DataFrame(rows).to_csv(index=False)), HOURS)


@third("write", ["{h:02},{m:02}", "{h:02}-{m:02}", "{h} {m:02}", "{d:.2f}"])
def test_times_of_day_in_an_unknown_form_are_named_and_make_no_panel(refused, write):
    times = pd.date_range("2021-03-17 06:00", periods=ROWS, freq="15min")
    clock = [write.format(h=t.hour, m=t.minute, d=t.hour + t.minute / 60) for t in times]
    wrong = refused(pd.DataFrame({"date": times.strftime("%d/%m/%Y"), "Time": clock, "v": VALUES}).to_csv(index=False))
    assert (wrong.code, wrong.values["column"]) == ("no-time-format", "Time")


def test_seconds_with_two_decimals_are_no_times_of_day(found):
    made, _ = found(csv([f"{n * 0.05:.2f}" for n in range(ROWS)]).replace("t,", "time,"))
    assert made.time is None
    assert not made.covariates


@third(
    ("first", "second"),
    [
        ("period_end", "period_start"),
        ("IntervalEnd", "IntervalStart"),
        ("bis", "von"),
        ("Date to", "Date from"),
        ("Fin", "Début"),
    ],
)
@third("split", [False, True])
def test_the_start_of_a_period_is_the_time_wherever_its_column_is(found, first, second, split):
    later = HOURS + pd.Timedelta(hours=1)
    if split:
        rows = {"day": HOURS.strftime("%Y-%m-%d"), first: later.strftime("%H:%M"), second: HOURS.strftime("%H:%M")}
    else:
        rows = {first: later, second: HOURS}
    made, table = found(pd.DataFrame({**rows, "v": VALUES}).to_csv(index=False))
    check(made, table, HOURS)
    assert made.time == (["day", second] if split else second)
    assert split or {"times-in-other-columns"} <= {each.code for each in made.notes}


@third("order", [("End", "Start"), ("Start", "End"), ("To", "From")])
def test_a_date_and_the_time_of_its_own_end_are_together(found, order):
    later = HOURS + pd.Timedelta(hours=1)
    when = {"Start": HOURS, "From": HOURS, "End": later, "To": later}
    days = {f"{each} date": when[each].strftime("%d %b %Y") for each in order}
    rows = days | {f"{each} time": when[each].strftime("%H:%M") for each in order[::-1]}
    made, table = found(pd.DataFrame({**rows, "v": VALUES}).to_csv(index=False))
    check(made, table, HOURS)
    assert [name.split()[0] for name in made.time] == [min(order, key=lambda each: each not in ("Start", "From"))] * 2


def test_numbers_in_a_column_named_as_a_time_stay_numbers_beside_days_that_differ(found):
    made, _ = found(csv(DAYS, time_spent=[f"{n * 7 % 9}.{n * 11 % 60:02}" for n in range(ROWS)]), target="v")
    assert made.covariates == ("time_spent",)


def test_the_end_of_a_period_alone_is_its_label(found):
    later = HOURS + pd.Timedelta(hours=1)
    check(*found(pd.DataFrame({"period_end": later, "v": VALUES}).to_csv(index=False)), later)


SHORT = {
    "es": ("Mes", "ene feb mar abr may jun jul ago sep oct nov dic"),
    "es in full": ("x", "Enero Febrero Marzo Abril Mayo Junio Julio Agosto Septiembre Octubre Noviembre Diciembre"),
    "fr": ("mois", "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc."),
    "it": ("Mese", "gen feb mar apr mag giu lug ago set ott nov dic"),
    "nl": ("maand", "januari februari maart april mei juni juli augustus september oktober november december"),
    "pl": ("miesiąc", "sty lut mar kwi maj cze lip sie wrz paź lis gru"),
    "tr": ("ay", "Oca Şub Mar Nis May Haz Tem Ağu Eyl Eki Kas Ara"),
    "pt": ("x", "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"),
    "de": ("Monat", "Jan Feb Mrz Apr Mai Jun Jul Aug Sep Okt Nov Dez"),
    "sv": ("månad", "jan feb mar apr maj jun jul aug sep okt nov dec"),
}


@third("language", SHORT)
@third("year", ["x y", *(pytest.param(each, marks=pytest.mark.faults) for each in ("Año", "Jaar"))])
@EITHER_WAY
def test_names_of_months_in_a_column_of_their_own(found, language, year, order):
    name, words = SHORT[language]
    rows = {name: [words.split()[d.month - 1] for d in MONTHS], year: MONTHS.year, "v": VALUES}
    made, table = found(pd.DataFrame(rows)[::order].to_csv(index=False))
    check(made, table, MONTHS)
    assert made.time == [year, name]
    assert made.step == "MS"


@third("form", ["{y}T{q}", "{y}-T{q}", "{y}K{q}", "T{q} {y}", "{q}T{s:02}", "{q}T {y}"])
@EITHER_WAY
def test_quarters_of_trimestres_and_kvartals(found, form, order):
    times = [form.format(y=p.year, q=p.quarter, s=p.year % 100) for p in QUARTERS]
    check(*found(csv(times[::order], VALUES[::order])), QUARTERS.to_timestamp())


@third(
    ("sign", "write"),
    [
        (" ", "{:,.2f} kW"),
        ("\u00a0", "{:,.2f}\u00a0MWh"),
        ("\u202f", "{:,.2f}kWh"),
        ("'", "{:,.2f} m³/h"),
        ("\u2019", "{:,.1f}hPa"),
        (",", "{:,.1f}mm"),
        (" ", "{:,.1f}\u202f°C"),
    ],
)
def test_a_unit_after_groups_of_digits(found, write, sign):
    texts = [write.format(each).replace(",", sign) for each in VALUES * 77]
    made, table = found(pd.DataFrame({"t": DAYS, "v": texts}).to_csv(index=False, sep=";"))
    np.testing.assert_allclose(table.values[:, 0], VALUES * 77, atol=0.051)
    assert "signs-left-out" in {each.code for each in made.notes}


@third("suffix", ["AB", "th", "am", "Mio", "x3"])
def test_letters_after_numbers_may_be_a_code(found, suffix):
    made, _ = found(csv(DAYS, code=[f"{n % 9 + 1}{suffix}" for n in range(ROWS)]))
    assert "code" in made.left_out


@third("times", [DAYS, MONTHS, HOURS, pd.bdate_range("2021-03-01", periods=ROWS)])
@third("follows", [lambda units: np.minimum(units, 3) * 12, lambda units: (units > 6).astype(int)])
def test_a_number_that_follows_from_another_is_no_label_of_sequences(tmp_path, times, follows):
    units = np.random.default_rng(9).integers(1, 13, ROWS)
    pd.DataFrame({"Date": times, "Units": units, "X": follows(units)}).to_csv(tmp_path / "a.csv", index=False)
    assert not GivenFile(tmp_path / "a.csv").groupings
    frame = pd.DataFrame({"Date": times, "patient": units, "X": follows(units)})  # whose name says that it is an id
    frame.to_csv(tmp_path / "b.csv", index=False)
    assert GivenFile(tmp_path / "b.csv").groupings


@third(
    ("write", "fields"),
    [
        (lambda x: f"{abs(x):,.2f}{'-' * (x < 0)}", {"thousands": ","}),
        (lambda x: german(abs(x)) + "-" * (x < 0), {"decimal": ","}),
        (lambda x: f"{abs(x):.2f}{' -' * (x < 0)}", {}),
        (lambda x: f"{x:,.2f} CHF".replace(",", "\u2019"), {"thousands": "'"}),
        (lambda x: f"{x:,.2f}\u00a0€".replace(",", "\u202f").replace(".", ","), {"decimal": ",", "thousands": " "}),
        (lambda x: f"€\u00a0{x:,.2f}", {"thousands": ","}),
    ],
)
def test_a_minus_after_the_number_and_blanks_of_any_width_beside_a_sign_of_money(found, write, fields):
    signed = (VALUES * 100 * np.where(np.arange(ROWS) % 5 == 1, -1, 1)).round(2).tolist()
    frame = pd.DataFrame({"t": DAYS, "v": [write(each) for each in signed]})
    made, table = found(frame.to_csv(index=False, sep=";"))
    np.testing.assert_allclose(table.values[:, 0], signed)
    assert {name: made.reading.get(name) for name in fields} == fields
    assert "signs-left-out" in {each.code for each in made.notes}


@third("step", ["D", "6h", "3h"])
def test_a_day_that_occurs_twice_is_no_change_of_the_clock(refused, step):
    times = pd.date_range(end="2019-09-20", periods=ROWS - 1, freq=step)  # a Friday in September
    assert refused(csv([*times, times[-1]])).code == "time-occurs-repeatedly"


@third("row", ['"{n}" {day} {value}', "{day} {value}", '{n}   "{day}"   {value}   NA'])
def test_a_table_with_blanks_in_a_txt_is_a_table(tmp_path, row):
    names = {2: '"date" "y"', 3: '"date" "y"', 4: "n date y z"}[len(row.split())]
    rows = [
        row.format(n=n + 1, day=day.date(), value=value)
        for n, (day, value) in enumerate(zip(DAYS, VALUES, strict=True))
    ]
    (tmp_path / "a.txt").write_text("\n".join([names, *rows]))
    file = GivenFile(tmp_path / "a.txt")
    assert file.form.kind == "table"
    assert profile(file.path, file).first == "2019-11-23"


def test_a_poem_with_a_number_in_some_lines_is_a_text(tmp_path):
    (tmp_path / "a.txt").write_text("On day 1 a bird sang\nOn day 2 it sang twice\nThen 3 sang all night\n" * 9)
    assert GivenFile(tmp_path / "a.txt").form.kind == "text"


def test_an_order_of_day_and_month_that_another_column_shows_is_that_of_the_file(found):
    rows = {
        "To": [f"{d + pd.offsets.MonthEnd(0):%d/%m/%Y}" for d in MONTHS],
        "From": MONTHS.strftime("%d/%m/%Y"),
        "v": VALUES,
    }
    made, table = found(pd.DataFrame(rows).to_csv(index=False))
    check(made, table, MONTHS)
    assert made.time == "From"


def test_hours_that_occur_twice_with_a_letter_are_no_series(refused):
    hours = [f"{t.hour + 1}{'A' if t.day == 29 and t.hour == 2 else ''}" for t in HOURS]
    rows = {"Datum": HOURS.strftime("%d.%m.%Y"), "Stunde": hours, "v": VALUES}
    assert refused(pd.DataFrame(rows).to_csv(index=False, sep=";")).code == "no-time-format"


@third("signs", [("$", "€"), ("USD ", "EUR "), ("£", "CHF ")])
def test_two_signs_of_money_in_one_column_are_no_numbers(refused, signs):
    assert refused(csv(DAYS, [f"{signs[n % 2]}{each}" for n, each in enumerate(VALUES)])).code == "no-column-of-numbers"


@third("names", [range(2017, 2021), range(2020, 2016, -1), range(1998, 2000)])
@third("index", ["Week", "Day", "woche"])
def test_years_as_columns_are_refused(refused, names, index):
    frame = pd.DataFrame({str(name): VALUES[:52] + name for name in names})
    frame.insert(0, index, range(1, 53))
    wrong = refused(frame.to_csv(index=False))
    assert wrong.code == "steps-in-columns"
    assert (wrong.values["first"], wrong.values["last"]) == (str(names[0]), str(names[-1]))


def test_numbers_of_stations_beside_a_date_are_no_years(found):
    rows = {"date": DAYS, "2017": VALUES, "2018": VALUES + 1, "2019": VALUES + 2}
    check(*found(pd.DataFrame(rows).to_csv(index=False), target="2017"), DAYS)


@third("day", ["%d.%m.%y", "%d-%m-%y"])
@EITHER_WAY
def test_days_that_could_be_times_of_day_are_days(found, day, order):
    times = pd.date_range("2022-10-14", periods=ROWS, freq="15min")  # 14.10.22
    rows = {"Datum": times.strftime(day), "von": times.strftime("%H:%M"), "v": VALUES}
    check(*found(pd.DataFrame(rows)[::order].to_csv(index=False)), times)


@third(
    ("write", "times"),
    [(lambda d: f"{d.year}{d.month}", MONTHS), (lambda d: f"{d.year}{d.quarter}", QUARTERS.to_timestamp())],
)
@third("name", ["period", "Date", "yearquarter"])
@EITHER_WAY
def test_years_joined_with_quarters_or_months(found, write, times, name, order):
    made, table = found(csv([write(each) for each in times][::order], VALUES[::order]).replace("t,v", f"{name},v"))
    check(made, table, times)


def test_a_counter_of_five_digits_is_no_quarter(found):
    made, _ = found(csv([20_031 + 7 * n for n in range(ROWS)]).replace("t,", "no,"))
    assert made.time == "no"
    assert made.first == "20031"


@third("write", ["\u2013{}", "{}'{:03d},25"])
def test_a_dash_for_a_minus_and_swiss_groups_with_a_comma(found, write):
    wanted = -VALUES if "'" not in write else 12_000 + np.arange(ROWS) ** 2 % 997 + 0.25
    texts = [write.format(each) if "'" not in write else write.format(12, n**2 % 997) for n, each in enumerate(VALUES)]
    _, table = found(pd.DataFrame({"t": DAYS, "v": texts}).to_csv(index=False, sep=";"))
    np.testing.assert_allclose(table.values[:, 0], wanted)


def test_a_sentence_in_a_comment_is_no_line_of_names(refused):
    rows = "".join(
        f"{d.year} {d.month} {d.year + d.month / 12:.3f} {v} {v} 31\n" for d, v in zip(MONTHS, VALUES, strict=True)
    )
    assert (
        refused(f"# CO2 expressed as a mole fraction\n# decimal average trend\n{rows}").code
        == "numbers-instead-of-names"
    )
