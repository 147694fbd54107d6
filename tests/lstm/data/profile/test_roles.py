from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from waves import hourly, save, waves

from lstm.data.profile import roles
from lstm.data.profile.profile import Profile, profile
from lstm.records.errors import BadInput

# --- The time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["year", "whatever"])
def test_whole_numbers_that_rise_are_a_time(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({name: np.arange(1800, 1900), "v": waves(100, 9)})
    found = profile(save(tmp_path / "a.csv", frame.drop(index=[40, 41])))
    assert (found.time, found.step, found.first, found.last) == (name, "1", "1800", "1899")
    assert (found.missing_steps, found.first_missing_step) == (2, "1840")


def test_whole_numbers_elsewhere_are_a_measurement(tmp_path: Path) -> None:
    frame = pd.DataFrame({"v": waves(100, 9), "count": np.arange(100) * 2 + np.arange(100) // 7})
    found = profile(save(tmp_path / "a.csv", frame))
    assert (found.time, found.target) == (None, "count")


@pytest.mark.parametrize("names", [("date", "ds"), ("ds", "date"), ("log", "date")])
def test_of_several_times_the_best_name_wins(tmp_path: Path, names: tuple[str, str]) -> None:
    frame = hourly()
    frame = pd.DataFrame(dict.fromkeys(names, frame.when)).assign(v=frame.kw)
    assert profile(save(tmp_path / "a.csv", frame)).time == "date"


def test_whole_numbers_that_may_be_unix_times_are_told(tmp_path: Path) -> None:
    frame = pd.DataFrame({"timestamp": 1_700_000_000 + 3600 * np.arange(100), "v": waves(100, 9)})
    found = profile(save(tmp_path / "a.csv", frame))
    assert (found.time, found.step, found.first) == ("timestamp", "1h", "2023-11-14 22:13:20")
    assert found.reading == {"time_format": "unix_s"}


def test_year_and_month_give_the_time_together(tmp_path: Path) -> None:
    frame = pd.DataFrame({"year": np.repeat(range(1990, 2000), 12), "month": [*range(1, 13)] * 10, "v": waves(120, 12)})
    found: Profile = profile(save(tmp_path / "a.csv", frame))
    assert (found.time, found.step, found.first, found.last) == (["year", "month"], "MS", "1990-01-01", "1999-12-01")
    assert (found.target, found.left_out, found.reading) == ("v", {}, {"time_format": ["%Y", "%m"]})


# --- The columns of numbers -------------------------------------------------------------------------------


def several() -> pd.DataFrame:
    frame = hourly()
    extra = {
        "price": waves(500, 24, seed=1),
        "heat": waves(500, 24, seed=2),
        "is_holiday": np.arange(500) // 24 % 7 == 6,
    }
    return frame.assign(**extra).astype({"is_holiday": int})


def test_roles_of_several_columns(tmp_path: Path) -> None:
    frame = several().assign(constant=1, hour=lambda f: f.when.dt.hour, text="x", mostly_empty=np.nan)
    frame.loc[3, "mostly_empty"] = 1.0
    frame["late"] = np.where(np.arange(500) < 200, np.nan, frame.kw)
    found = profile(save(tmp_path / "a.csv", frame))
    assert (found.target, found.target_why) == ("price", "by its name")
    assert found.covariates == ("kw", "heat", "is_holiday")
    assert found.known_ahead == ("is_holiday",)
    assert set(found.left_out) == {"constant", "hour", "mostly_empty", "late", "text"}
    last = profile(save(tmp_path / "b.csv", several()[["when", "heat", "kw"]]))
    assert (last.target, last.target_why) == ("kw", "the last column of numbers")


@pytest.mark.parametrize(
    ("columns", "target", "why"),
    [
        ({"a": [1.0, 2.0, 4.0]}, "a", "the only column of numbers"),
        ({"a": [1.0, 2.0, 4.0], "b": [1.0, 2.0, 4.0]}, "b", "the last column of numbers"),
        ({"sales": [1.0, 2.0, 4.0], "y": [1.0, 2.0, 4.0], "b": [1.0, 2.0, 4.0]}, "y", "by its name"),
        ({"a": [1.0, 2.0, 4.0], "is_promo": [0, 1, 0]}, "a", "the last column of numbers"),  # known ahead
        ({"id": [4, 7, 9], "a": [1.0, 2.0, 4.0], "row": [1, 2, 3]}, "a", "the only column of numbers"),
    ],
)
def test_the_target_is_chosen_by_its_name_or_place(columns: dict[str, list[float]], target: str, why: str) -> None:
    found = roles.assign(Path("a.csv"), pa.table(columns), list(columns))
    assert (found.target, found.target_why) == (target, why)


@pytest.mark.parametrize(
    ("columns", "numbers", "code", "values"),
    [
        ({"a": [3.0, 3.0]}, ["a"], "no-column-to-forecast", {"column": "a", "why": "always the same value"}),
        ({"a": ["x", "y"]}, [], "no-column-of-numbers", {"columns": ["a"], "further": None}),
    ],
)
def test_refuses_where_nothing_can_be_forecast(
    columns: dict[str, list[object]], numbers: list[str], code: str, values: dict[str, object]
) -> None:
    with pytest.raises(BadInput) as error:
        roles.assign(Path("a.parquet"), pa.table(columns), numbers)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place, wrong.values) == (code, "a.parquet", values)


@pytest.mark.parametrize("number", [2**62, 2**63])
def test_whole_numbers_beyond_what_float64_holds_are_rounded(tmp_path: Path, number: int) -> None:
    values = pa.array([number + n * n % 7 * 10**6 for n in range(20)], pa.uint64())
    pa.parquet.write_table(pa.table({"y": values, "x": pa.array([n % 3 for n in range(20)])}), tmp_path / "a.parquet")
    assert profile(tmp_path / "a.parquet").target == "y"


def test_half_precision_is_a_number_and_no_time(tmp_path: Path) -> None:
    half = pa.array(np.array([n % 7 / 2 for n in range(30)], np.float16))
    pa.parquet.write_table(pa.table({"day": half, "y": half}), tmp_path / "a.parquet")
    assert profile(tmp_path / "a.parquet").target == "y"
