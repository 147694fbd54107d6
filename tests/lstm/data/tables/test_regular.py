import datetime
import string

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import examples

from lstm.data.forecast import prepare
from lstm.data.tables import regular
from lstm.data.tables.timing.steps import infer as infer_step
from lstm.messages.message import note
from lstm.records.errors import BadInput

DAYS = pd.date_range("2016-01-01", periods=12)


def rows(times, values=None):
    return "".join(f"{t},{v}\n" for t, v in zip(times, values or range(len(times)), strict=True))


def daily(form="%Y-%m-%d"):
    return "t,y\n" + rows([day.strftime(form) for day in DAYS])


# --- Files that are read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        daily(),
        daily().rstrip("\n"),
        daily().encode("utf-8-sig"),
        daily().replace("\n", "\r\n"),
        daily().replace(",", ";"),
        daily().replace(",", "\t"),
        daily().replace(",", "|"),
        daily().replace("t,y", '"t","y"').replace("2016-01-05", '"2016-01-05"'),
        daily().replace("t,y", " t , y "),
        daily().replace(",", " , "),
        daily().replace("2016-01-05", "\n\n2016-01-05") + "\n\n",
        "\n".join(['t;"x,x,x";y', *[line.replace(",", ";1;") for line in daily().splitlines()[1:]]]),
        "\n".join(["y,z,t", *[",".join([line.split(",")[1], "?", line[:10]]) for line in daily().splitlines()[1:]]]),
        daily("%Y%m%dT%H%M"),
        daily("%Y/%m/%d"),
        daily("%Y-%m-%dT00:00:00Z"),
        daily("%Y-%m-%d 02:00+02:00"),
        "".join(daily().splitlines(keepends=True)[:1] + daily().splitlines(keepends=True)[:0:-1]),
    ],
    ids=[
        *("plain", "no last line end", "BOM", "CRLF", "semicolons", "tabs", "bars", "quotes", "spaces in the header"),
        *("spaces", "empty lines", "delimiter in a quoted name", "another order", "compact ISO", "slashes", "UTC"),
        *("offset", "newest first"),
    ],
)
def test_the_same_series_however_it_is_written(reads, content):
    found = reads(content)
    assert found.times.tolist() == DAYS.tolist()
    assert found.values[:, 0].tolist() == list(range(12))
    assert (found.step, found.columns) == ("1D", ("y",))


@pytest.mark.parametrize("form", ["%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m/%d/%Y %H:%M", "%d-%b-%Y"])
def test_days_and_months_are_told_apart_where_only_one_order_can_be(reads, form):
    times = pd.date_range("2016-01-01", periods=40)
    found = reads("t,y\n" + rows([time.strftime(form) for time in times]))
    assert found.times.tolist() == times.tolist()


def test_without_a_time_column_rows_are_in_order(reads):
    found = reads("x,y\na,1\nb,2.5e-3\n", time=None)
    assert found.times.tolist() == [0, 1]
    assert found.values.tolist() == [[1.0], [0.0025]]
    assert found.step == ""


def test_the_fingerprint_is_that_of_the_bytes(reads):
    one, again, other = reads(daily()), reads(daily(), "b.csv"), reads(daily() + "\n")
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_unsorted_rows_are_sorted_and_told(reads):
    found = reads("t,y\n2016-01-03,3\n2016-01-01,1\n2016-01-02,2\n")
    assert found.values[:, 0].tolist() == [1, 2, 3]
    assert found.notes == (note("rows-sorted-by-time", "data.time"),)


def test_times_with_offsets_are_told_in_utc_over_a_change_of_the_clock(reads):
    spring = ["2016-03-27T01:00:00+01:00", "2016-03-27T03:00:00+02:00", "2016-03-27T04:00:00+02:00"]
    found = reads("t,y\n" + rows(spring))
    assert [t.hour for t in found.times] == [0, 1, 2]
    assert found.step == "1h"
    assert found.times.tz is None


BERLIN = DAYS.tz_localize("Europe/Berlin")
OFFSETS = [str(time) for time in BERLIN]


@pytest.mark.parametrize(
    ("content", "zone"),
    [
        (daily("%Y-%m-%dT00:00:00Z"), None),
        ("t,y\n" + rows([f"{day:%Y-%m-%d} 02:00+02:00" for day in DAYS]), "+02:00"),
        (daily("%Y%m%dT%H%MZ"), None),
        ({"t": DAYS.tz_localize("UTC"), "y": range(12)}, None),
    ],
)
def test_times_with_a_zone_become_utc_and_that_is_told(reads, content, zone):
    found = reads(content, "a.parquet" if isinstance(content, dict) else "a.csv", step="1D")
    code, more = ("times-turned-into-utc", {"zone": zone}) if zone else ("times-in-utc", {})
    assert found.notes[0] == note(code, "data.time", column="t", **more)
    assert found.times.tz is None


@pytest.mark.parametrize(
    ("content", "zone"),
    [
        ("t,y\n" + rows(OFFSETS), "+01:00"),
        ({"t": BERLIN, "y": range(12)}, "Europe/Berlin"),
        ({"t": OFFSETS, "y": range(12)}, "+01:00"),
        ({"t": pa.array(OFFSETS).dictionary_encode(), "y": range(12)}, "+01:00"),
        ({"t": [OFFSETS[0], *(f"{day}Z" for day in DAYS[1:])], "y": range(12)}, "+01:00, UTC"),
    ],
)
def test_days_at_local_midnight_are_those_of_the_files_clock(reads, content, zone):
    found = reads(content, "a.parquet" if isinstance(content, dict) else "a.csv")
    assert found.times.tolist() == DAYS.tolist()
    assert found.notes == (note("times-by-wall-clock", "data.time", column="t", zone=zone),)
    assert (found.step, found.zone, found.otherwise) == ("1D", None, ("times-by-wall-clock",))


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y%m%dT%H%M", "%H:%M %d-%m-%Y", "%d.%m.%Y"])
def test_times_without_a_zone_are_left_alone(reads, form):
    times = pd.date_range("2016-01-20", periods=12)
    assert reads("t,y\n" + rows([time.strftime(form) for time in times])).notes == ()


def test_local_times_that_repeat_in_autumn_are_refused(refuses):
    autumn = ["2016-10-30 01:00", "2016-10-30 02:00", "2016-10-30 02:00", "2016-10-30 03:00"]
    [wrong] = refuses("t,y\n" + rows(autumn))
    assert (wrong.code, wrong.place) == ("time-occurs-repeatedly", "a.csv")
    assert wrong.values == {"column": "t", "time": "2016-10-30 02:00:00", "count": 2}


def test_local_times_that_are_absent_in_spring_are_a_missing_step(reads, refuses):
    spring = "t,y\n" + rows(["2016-03-27 00:00", "2016-03-27 01:00", "2016-03-27 03:00", "2016-03-27 04:00"])
    [wrong] = refuses(spring)
    assert (wrong.code, wrong.place) == ("steps-missing", "a.csv")
    assert wrong.values == {"count": 1, "steps": 5, "step": "1h", "first": "2016-03-27 02:00:00"}
    assert np.isnan(reads(spring, missing="interpolate").values[2, 0])


@pytest.mark.parametrize("mode", ["interpolate", "forward_fill", "skip"])
def test_missing_steps_become_rows_without_values(reads, mode):
    found = reads("t,y\n2016-01-01,1\n2016-01-02,2\n2016-01-05,5\n", missing=mode)
    assert found.times.tolist() == pd.date_range("2016-01-01", periods=5).tolist()
    np.testing.assert_array_equal(found.values[:, 0], [1, 2, np.nan, np.nan, 5])
    told = {"count": 2, "steps": 5, "step": "1D", "first": "2016-01-03 00:00:00", "missing": mode}
    assert found.notes[0] == note("steps-missing-noted", "data.missing", **told)


def test_whole_numbers_may_be_the_time(reads):
    found = reads("t,y\n10,1\n20,2\n40,4\n", missing="skip")
    assert found.times.tolist() == [10, 20, 30, 40]
    np.testing.assert_array_equal(found.values[:, 0], [1, 2, np.nan, 4])
    assert found.step == "10"


def test_rows_are_averaged_into_the_given_steps(reads):
    times = pd.date_range("2016-01-01 00:00", periods=15, freq="10min")
    found = reads("t,y\n" + rows(times), step="1h")
    assert found.times.tolist() == [pd.Timestamp(f"2016-01-01 0{hour}:00") for hour in range(3)]
    assert found.values[:, 0].tolist() == [2.5, 8.5, 13.0]
    assert note("rows-averaged", "data.step", rows=15, steps=3, step="1h") in found.notes


def test_irregular_rows_are_averaged_into_the_given_steps(reads, refuses):
    text = "t,y\n2016-01-01 00:05,1\n2016-01-01 00:06,3\n2016-01-01 03:59:59.5,7\n"
    [wrong] = refuses(text)
    assert (wrong.code, wrong.place, wrong.values["shortest"]) == ("times-irregular", "a.csv", "0 days 00:01:00")
    assert wrong.values["longest"].startswith("0 days 03:53:59")
    assert "data.step" in wrong.mend
    np.testing.assert_array_equal(reads(text, step="1h").values[:, 0], [2, np.nan, np.nan, 7])


def test_repeated_times_are_averaged_where_a_step_is_given(reads, refuses):
    text = "t,y\n2016-01-01,1\n2016-01-01,3\n2016-01-02,5\n"
    [wrong] = refuses(text)
    assert wrong.code == "time-occurs-repeatedly"
    assert wrong.values == {"column": "t", "time": "2016-01-01 00:00:00", "count": 2}
    assert reads(text, step="1D").values[:, 0].tolist() == [2, 5]


def test_a_step_that_the_rows_already_have_changes_nothing(reads):
    assert reads(daily(), step="1D").values[:, 0].tolist() == list(range(12))
    assert reads("t,y\n" + rows(pd.bdate_range("2016-01-01", periods=9)), step="B").step == "B"


# --- The step ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "step"),
    [
        (pd.date_range("2016-01-01", periods=9, freq="h"), "1h"),
        (pd.date_range("2016-01-01 00:07", periods=9, freq="15min"), "15min"),
        (pd.date_range("2016-01-01", periods=9, freq="90s"), "90s"),
        (pd.date_range("2016-01-01", periods=9, freq="300us"), "300us"),
        (pd.date_range("2016-01-01", periods=9, freq="7ns"), "7ns"),
        (pd.date_range("2016-01-01", periods=9, freq="7D"), "7D"),
        (pd.date_range("2016-01-01", periods=2, freq="D"), "1D"),
        (pd.date_range("2016-07-01", periods=3, freq="MS"), "MS"),  # 31 days each
        (pd.date_range("2016-01-01", periods=30, freq="MS"), "MS"),
        (pd.date_range("2016-01-01 06:00", periods=30, freq="MS"), "MS"),
        (pd.date_range("2016-01-31", periods=30, freq="ME"), "ME"),
        (pd.date_range("2016-01-01", periods=9, freq="QS"), "QS"),
        (pd.date_range("2016-02-01", periods=9, freq="3MS"), "3MS"),
        (pd.date_range("2016-03-31", periods=9, freq="QE"), "QE"),
        (pd.date_range("2016-01-31", periods=9, freq="3ME"), "3ME"),
        (pd.date_range("2016-01-01", periods=9, freq="YS"), "YS"),
        (pd.date_range("2016-07-01", periods=9, freq="12MS"), "12MS"),
        (pd.date_range("2016-12-31", periods=9, freq="YE"), "YE"),
        (pd.date_range("2016-01-01", periods=9, freq="2MS"), "2MS"),
        (pd.date_range("2016-01-01", periods=9, freq="MS").delete([3, 4]), "MS"),
        (pd.DatetimeIndex(["2016-01-01", "2016-03-01", "2016-05-01", "2016-08-01"]), None),
        (pd.DatetimeIndex(["2016-01-01 01:00", "2016-02-01 02:00", "2016-03-01 01:00"]), None),
        (pd.date_range("2016-01-15", periods=9, freq="MS") + pd.Timedelta(days=14), "MS+14D"),
        (pd.date_range("2016-01-15", periods=9, freq="BME"), "BME"),
        (pd.DatetimeIndex(["2016-01-01 00:00", "2016-01-01 00:03", "2016-01-01 00:07"]), None),
        (pd.DatetimeIndex(["2016-01-01"]), None),
        (pd.DatetimeIndex(["2016-01-01", "2016-01-01"]), None),
        (pd.Index([1, 2, 5]), "1"),
        (pd.Index([1, 8, 15]), "7"),
        (pd.Index([1, 8, 10]), None),
        (pd.Index([-(2**63), 0, 2**63 - 1]), None),
    ],
)
def test_the_step_is_inferred(times, step):
    assert infer_step(times) == step


@pytest.mark.parametrize("freq", ["h", "7D", "MS", "ME", "QS", "3MS", "QE", "3ME", "YS", "12MS", "YE", "250ms"])
def test_what_is_read_keeps_its_times_and_values(reads, freq):
    times = pd.date_range("2016-02-01", periods=20, freq=freq)
    found = reads("t,y\n" + rows(times))
    assert found.times.tolist() == times.tolist()
    assert found.values[:, 0].tolist() == list(range(20))
    assert found.notes == ()


# --- Files that are refused -------------------------------------------------------------------------------

JAN = "2016-01-01,1\n2016-01-02,2\n"


def value(text, *ways):
    more = {"formats": [*ways], "one": ways[0], "other": ways[1]} if ways else {}
    return {"column": "t", "value": text} | more


@pytest.mark.parametrize(
    ("content", "place", "code", "values"),
    [
        ("t,y\n2016-01-01,1\n", "a.csv", "only-one-row", {}),
        ("t,y\n" + JAN + ",3\n", "a.csv:4", "time-missing", {"column": "t"}),
        ("t,y\n" + JAN + "soon,3\n", "a.csv:4", "not-a-time", value("soon")),
        ("t,y\n" + JAN + "now,3\n", "a.csv:4", "not-a-time", value("now")),
        ("t,y\n" + JAN + "2016-02-30,3\n", "a.csv:4", "not-a-time", value("2016-02-30")),
        ("t,y\n" + JAN + "20160-01-03,3\n", "a.csv:4", "not-a-time", value("20160-01-03")),
        ("t,y\n12:00:00,1\n12:01:00,2\n", "a.csv:2", "not-a-time", value("12:00:00")),
        ("t,y\ntrue,1\nfalse,2\n", "a.csv:2", "not-a-time", value("True")),
        ("t,y\n1.5,1\n2.5,2\n", "a.csv", "times-with-fractions", {"column": "t"}),
        (
            "t,y\n1,1\n2,2\n4,4\n7,7\n9,5\n9,5\n",
            "a.csv",
            "time-occurs-repeatedly",
            {"column": "t", "time": "9", "count": 2},
        ),
        ("t,y\n1,1\n3,2\n8,4\n", "a.csv", "numbers-irregular", {"column": "t"}),
        (
            "t,y\n0,1\n1,2\n2,3\n3000000000,4\n",
            "a.csv",
            "steps-make-too-many-rows",
            {"step": "1", "steps": 3_000_000_001, "rows": 4},
        ),
        (f"t,y\n{-(2**63)},1\n0,2\n{2**63 - 1},3\n", "a.csv", "numbers-irregular", {"column": "t"}),
        (
            "t,y\n2016-01-01 00:00:00,1\n2016-01-01 00:00:01,2\n9999-01-01 00:00:00,3\n",
            "a.csv",
            "steps-make-too-many-rows",
            {"step": "1s", "steps": 251_919_158_401, "rows": 3},
        ),
        (
            "t,y\n01/02/2016,1\n01/03/2016,2\n",
            "a.csv",
            "times-of-several-formats",
            value("01/02/2016", "%d/%m/%Y", "%m/%d/%Y"),
        ),
    ],
)
def test_times_that_can_not_be_right_are_told_where_and_why(refuses, content, place, code, values):
    [wrong] = refuses(content)
    assert (wrong.code, wrong.place, wrong.values) == (code, place, values)


def test_times_that_are_no_text_are_told_in_the_librarys_words(refuses):
    [wrong] = refuses(b"t,y\n2016-01-01,1\n\xe9,2\n")
    assert (wrong.code, wrong.place, wrong.values["column"]) == ("times-unreadable", "a.csv", "t")
    assert wrong.values["why"].startswith("'utf-8' codec can't decode byte 0xe9")


@pytest.mark.parametrize(
    ("step", "place", "path", "code", "values"),
    [
        ("soon", "", "data.step", "not-a-step", {}),
        ("0D", "", "data.step", "not-a-step", {}),
        ("-1h", "", "data.step", "not-a-step", {}),
        ("100YE", "", "data.step", "no-step-ends", {"first": "2016-01-01 00:00:00", "last": "2016-01-12 00:00:00"}),
        ("1ns", "a.csv", "", "steps-make-too-many-rows", {"steps": 950_400_000_000_001, "rows": 12}),
    ],
)
def test_a_step_that_can_not_be_is_told(refuses, step, place, path, code, values):
    [wrong] = refuses(daily(), step=step)
    assert (wrong.code, wrong.place, wrong.path) == (code, place, path)
    assert wrong.values.items() >= {"step": step, **values}.items()


@pytest.mark.parametrize(("field", "value"), [("step", "1h"), ("calendar", ["hour_of_day"])])
def test_whole_numbers_have_no_calendar_and_no_step(refuses, tmp_path, field, value):
    [wrong] = refuses("t,y\n1,1\n2,2\n3,3\n", **{field: value})
    assert (wrong.code, wrong.path) == ("numbers-are-no-times", f"data.{field}")
    assert wrong.values == {"column": "t", "file": str(tmp_path / "a.csv")}


# --- Parquet ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "times",
    [
        DAYS,
        DAYS.tz_localize("UTC"),
        pa.array([day.date() for day in DAYS]),
        pa.array([day.date() for day in DAYS], pa.date64()),
        pa.array([str(day) for day in DAYS]),
        pa.array([str(day) for day in DAYS]).dictionary_encode(),
    ],
    ids=["timestamps", "with a zone", "date32", "date64", "text", "dictionary"],
)
@pytest.mark.parametrize(
    "values",
    [
        pa.array(range(12), pa.int8()),
        pa.array(range(12), pa.uint64()),
        pa.array(np.arange(12, dtype=np.float16)),
        pa.array(range(12), pa.float32()),
    ],
    ids=str,
)
def test_parquet_of_every_kind_of_number_and_time_is_read(reads, times, values):
    found = reads({"t": times, "y": values}, "a.parquet")
    assert found.times.tolist() == DAYS.tolist()
    assert found.values[:, 0].tolist() == list(range(12))


@pytest.mark.parametrize(
    ("times", "place", "code", "value"),
    [
        ([1.5] * 12, "a.parquet", "times-with-fractions", None),
        ([datetime.time(1)] * 12, "a.parquet:1", "not-a-time", "01:00:00"),
        ([datetime.timedelta(1)] * 12, "a.parquet:1", "not-a-time", "1 day"),
        ([[1]] * 12, "a.parquet:1", "not-a-time", "[1]"),
        ([*DAYS[:5], None, *DAYS[6:]], "a.parquet:6", "time-missing", None),
        (pa.array([2**63 + i for i in range(3)], pa.uint64()), "a.parquet", "times-unreadable", None),
        (
            pa.array([10**14 + i for i in range(3)], pa.timestamp("s")),
            "a.parquet:1",
            "not-a-time",
            "3170843-11-07 09:46:40",
        ),
        (pa.array([10**9 + i for i in range(3)], pa.date32()), "a.parquet:1", "not-a-time", "2739877-"),
    ],
)
def test_wrong_times_in_parquet_are_told(refuses, times, place, code, value):
    [wrong] = refuses({"t": times, "y": [1.0] * len(times)}, "a.parquet")
    assert (wrong.code, wrong.place, wrong.values["column"]) == (code, place, "t")
    assert ("value" in wrong.values) == (value is not None)
    assert wrong.values.get("value", "").startswith(value or "")


def test_broken_parquet_is_refused_or_read_right(reads, tmp_path):
    reads({"t": DAYS, "y": np.arange(12.0)}, "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    refused = 0
    for broken in [b"", b"PAR1", *(whole[:n] for n in range(0, len(whole), 97)), *flipped(whole, 29)]:
        try:
            found = reads(broken, "b.parquet", missing="skip")
        except BadInput:
            refused += 1
        else:
            assert_regular(found)
    assert refused > 20


def flipped(data, every):
    for position in range(0, len(data), every):
        yield data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


# --- Anything at all --------------------------------------------------------------------------------------


def assert_regular(found):
    """What every table promises."""
    assert len(found.times) == len(found.values) > 0
    assert found.values.dtype == np.float64
    assert found.values.shape[1] == len(found.columns)
    assert not np.isinf(found.values).any()
    assert found.times.is_unique
    assert found.times.is_monotonic_increasing


TIMES = st.one_of(
    st.integers(0, 40).map(lambda n: f"2016-01-{n:02d}"),
    st.integers(0, 30).map(lambda n: f"2016-01-01 {n:02d}:00"),
    st.integers(-3, 99).map(str),
    st.sampled_from(["", "now", "2016", "NaT", "2016-13-01", "9999-12-31", "0001-01-01", "1e3", "2016-01-01T00:00Z"]),
    st.sampled_from(["01/02/2016", "13.1.2016", "2016-W05", "Jan 5", "12:30", "-0", "9223372036854775807", "5 5"]),
)
VALUES = st.one_of(
    st.floats(-1e3, 1e3, allow_subnormal=False).map(repr),
    st.sampled_from(
        ["", "?", "nan", "inf", "-Infinity", "1e308", "1e-320", "1,5", '"', '"1"', "0x1", "1 2", "\0", "é"]
    ),
)
CELLS = st.one_of(VALUES, st.text(string.printable, max_size=3))


@st.composite
def files(draw):
    """Mostly well-formed CSVs, with a few cells, lines, delimiters or bytes that are not."""
    mark = draw(st.sampled_from([",", ",", ",", ";", "\t"]))
    kind = draw(st.sampled_from(["days", "days", "steps", "steps", "wild"]))
    count = draw(st.integers(0, 3) | st.integers(15, 30) | st.integers(15, 30))
    lines = [draw(st.sampled_from([*["t,y,p"] * 6, "y,t", '"t",y,p', "t,y,y"])).replace(",", mark)]
    for n in range(count):
        time = {"days": str(DAYS[0] + pd.Timedelta(days=n))[:10], "steps": str(7 * n)}.get(kind) or draw(TIMES)
        cells = [time, draw(VALUES) if kind == "wild" else str(n % 5), str(n % 3)]
        if draw(st.integers(0, 60)) == 60:
            cells[draw(st.integers(0, 2))] = draw(CELLS | VALUES)
        lines.append(mark.join(cells))
    if count and draw(st.integers(0, 5)) == 5:
        lines.insert(draw(st.integers(0, count)), draw(st.text(string.printable, max_size=8)))
    data = draw(st.sampled_from(["\n", "\n", "\r\n"])).join(lines).encode(draw(st.sampled_from(["utf-8", "utf-8-sig"])))
    return data + draw(st.sampled_from([b"\n"] * 6 + [b"", b"\xff", b"\0"]))


@examples(40, 400)
def test_no_file_gives_anything_but_a_clear_error_or_a_right_series(tmp_path, shared_config, count):
    @settings(max_examples=count)
    @given(
        content=files() | files() | files() | st.binary(max_size=60),
        missing=st.sampled_from(["refuse", "interpolate", "forward_fill", "skip"]),
        step=st.sampled_from([*[None] * 6, "1D", "12h", "MS", "nonsense"]),
        time=st.sampled_from(["t", "t", "t", None]),
    )
    def check(content, missing, step, time):
        (tmp_path / "a.csv").write_bytes(content)
        config = shared_config(missing=missing, step=step if time else None, time=time, past_covariates=["p"])
        try:
            found = regular.read(config, tmp_path / "a.csv")
            assert_regular(found)
            series = prepare(found, config, 3)
        except BadInput:
            return
        assert np.isfinite(series.values).all()
        assert len(series.train_origins(config)) * len(series.origins("validation", config)) > 0

    check()


@examples(20, 200)
def test_every_well_formed_file_is_read_as_it_was_written(tmp_path, shared_config, count):
    @settings(max_examples=count)
    @given(
        values=st.lists(st.floats(-1e200, 1e200, allow_subnormal=False), min_size=2, max_size=40),
        freq=st.sampled_from(["D", "h", "15min", "7D", "MS", "ME", "QS", "YE", "1s"]),
        mark=st.sampled_from([",", ";", "\t"]),
        end=st.sampled_from(["\n", "\r\n"]),
    )
    def check(values, freq, mark, end):
        times = pd.date_range("1999-12-31", periods=len(values), freq=freq)
        lines = [f"t{mark}y", *(f"{t}{mark}{v!r}" for t, v in zip(times, values, strict=True))]
        (tmp_path / "a.csv").write_bytes(end.join([*lines, ""]).encode())
        found = regular.read(shared_config(), tmp_path / "a.csv")
        assert found.times.tolist() == times.tolist()
        np.testing.assert_array_equal(found.values[:, 0], values)

    check()


@pytest.mark.parametrize("step", ["7D", "MS", "ME", "B", "LWOM-FRI", "bh", "90min", "h"])
def test_a_grid_has_all_times(reads, step):
    found = reads(
        "t,y\n" + "".join(f"2020-01-{day:02d} {day % 7:02d}:30,{day}\n" for day in range(1, 32)),
        step=step,
        missing="skip",
    )
    for rows in (slice(None), slice(1), slice(-1, None), slice(1, 3), slice(3, 1), slice(2, 10**6)):
        np.testing.assert_array_equal(found.grid[rows], found.times.to_numpy()[rows])


@pytest.mark.parametrize("times", [[5], [5, 7], [5, 7, 9], None])
def test_so_has_one_of_whole_numbers(reads, times):
    rows = [f"{time},1" for time in times] if times else ["0,1", "0,2"]
    found = reads("t,y\n" + "\n".join(rows) + "\n", time="t" if times else None)
    np.testing.assert_array_equal(found.grid[:], times or [0, 1])
    np.testing.assert_array_equal(found.grid[-1:], (times or [0, 1])[-1:])


@pytest.mark.parametrize("days", [pd.date_range("2019-07-01", periods=31), pd.date_range("2019-07-20", periods=31)])
def test_whole_numbers_that_are_days_are_asked_for_in_one_month_too(tmp_path, data_config, days):
    """Within a month they are evenly spaced: counted on, 20190731 would be followed by 20190732."""
    lines = "".join(f"{day:%Y%m%d},{number % 5}\n" for number, day in enumerate(days))
    path = tmp_path / "days.csv"
    path.write_text(f"day,y\n{lines}")
    section = data_config(time="day")
    with pytest.raises(BadInput) as error:
        regular.read(section, path)
    (told,) = error.value.faults
    assert (told.code, told.path, told.values["format"]) == ("numbers-may-be-times", "data.time_format", "%Y%m%d")
    read = regular.read(section.model_copy(update={"time_format": "%Y%m%d"}), path)
    assert list(read.times) == list(days)
