from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from waves import hourly, save, waves

from lstm.data.profile.profile import profile
from lstm.records.errors import BadInput

CO2 = Path(__file__).parents[4] / "experiments" / "data" / "co2.csv"


def test_tells_what_is_in_the_co2_file() -> None:
    found = profile(CO2)
    assert (found.time, found.target, found.step, found.rows, found.steps) == ("week", "ppm", "7D", 2284, 2284)
    assert (found.first, found.last) == ("1958-03-29", "2001-12-29")
    assert found.missing_values == {"ppm": 59}
    assert next(c for c in found.columns if c.name == "ppm").first_missing == f"{CO2}:8"
    assert found.season
    assert (found.season.name, found.season.steps) == ("year", 52)
    assert found.season.strength > 0.9
    assert found.trend > 0.9
    assert found.calendar == ("day_of_year",)
    assert [(c.name, c.kind) for c in found.columns] == [("week", "time"), ("ppm", "number")]


@pytest.mark.parametrize(
    ("freq", "season", "name", "step", "calendar"),
    [
        ("h", 24, "day", "1h", ("hour_of_day", "day_of_week")),
        ("D", 7, "week", "1D", ("day_of_week",)),
        ("MS", 12, "year", "MS", ("month_of_year",)),
        ("QS", 4, "year", "QS", ("month_of_year",)),
        ("15min", 96, "day", "15min", ("hour_of_day",)),
    ],
)
def test_finds_the_step_and_the_season(
    tmp_path: Path, freq: str, season: int, name: str, step: str, calendar: tuple[str, ...]
) -> None:
    frame = pd.DataFrame({"t": pd.date_range("2020-01-01", periods=480, freq=freq), "v": waves(480, season)})
    found = profile(save(tmp_path / "a.csv", frame))
    assert found.step == step
    assert found.season
    assert (found.season.name, found.season.steps) == (name, season)
    assert found.calendar == calendar


def test_finds_a_cycle_without_times(tmp_path: Path) -> None:
    found = profile(save(tmp_path / "a.csv", pd.DataFrame({"v": waves(400, 17)})))
    assert found.time is None
    assert found.step == ""
    assert found.season
    assert (found.season.name, found.season.steps) == ("cycle", 17)
    assert found.calendar == ()


def test_tells_gaps(tmp_path: Path) -> None:
    frame = hourly().drop(index=range(100, 110))
    frame.loc[200, "kw"] = np.nan
    found = profile(save(tmp_path / "a.csv", frame))
    assert found.has_gaps
    assert (found.missing_steps, found.first_missing_step) == (10, "2024-01-05 04:00:00")
    assert found.missing_values == {"kw": 1}
    assert (found.rows, found.steps) == (490, 500)
    assert not profile(save(tmp_path / "whole.csv", hourly())).has_gaps


def test_parquet_is_read_alike(tmp_path: Path) -> None:
    frame = hourly()
    frame.loc[7, "kw"] = np.nan
    csv, parquet = profile(save(tmp_path / "a.csv", frame)), profile(save(tmp_path / "a.parquet", frame))
    for name in ("time", "step", "rows", "target", "missing_values", "seasons", "first", "last", "trend"):
        assert getattr(csv, name) == getattr(parquet, name)


def test_parquet_with_times_as_its_index(tmp_path: Path) -> None:
    hourly().set_index("when").rename_axis(None).to_parquet(tmp_path / "a.parquet")
    assert profile(tmp_path / "a.parquet").step == "1h"


def test_working_days_are_a_step(tmp_path: Path) -> None:
    frame = pd.DataFrame({"date": pd.bdate_range("2022-01-03", periods=300), "close": waves(300, 5)})
    found = profile(save(tmp_path / "a.csv", frame))
    assert (found.step, found.step_given, found.has_gaps) == ("B", True, False)
    assert found.season
    assert found.season.steps == 5


def test_irregular_times_are_averaged(tmp_path: Path) -> None:
    jitter = pd.to_timedelta(np.random.default_rng(1).integers(0, 200, 500), unit="s")
    frame = hourly().assign(when=lambda f: f.when + jitter)
    found = profile(save(tmp_path / "a.csv", frame))
    assert (found.step, found.step_given) == ("1h", True)
    assert ("rows-to-nearest-step", "1h") in [(each.code, each.values.get("step")) for each in found.notes]
    wild = hourly().assign(when=lambda f: f.when + 17 * jitter)
    found = profile(save(tmp_path / "b.csv", wild))
    assert ("times-irregular-averaged", "1h") in [(each.code, each.values.get("step")) for each in found.notes]


def test_a_file_with_bad_numbers_far_down_keeps_its_other_columns(tmp_path: Path) -> None:
    frame = hourly(60_000).assign(other=lambda f: f.kw.round(3).astype(str))
    frame.loc[59_000, "other"] = "broken"
    found = profile(save(tmp_path / "a.csv", frame))
    assert (found.target, found.time, found.step) == ("other", "when", "1h")
    assert found.reading == {"missing_values": ["broken"]}
    [told] = [each for each in found.notes if each.code == "words-taken-as-missing"]
    assert (told.place, told.values["count"]) == (f"{tmp_path / 'a.csv'}:59002", 1)


@pytest.mark.parametrize(
    ("frame", "line", "code", "values"),
    [
        (hourly(5), "", "too-few-rows", {"rows": 5}),
        (hourly(0), "", "no-rows", {}),
        (hourly()[["when"]].assign(name="x"), "", "no-column-of-numbers", {"columns": ["when", "name"]}),
        (hourly().assign(kw=3.0), "", "no-column-to-forecast", {"column": "kw", "why": "always the same value"}),
        (
            hourly().assign(kw=lambda f: [f"{100 + n},{n:03}" for n in range(len(f))]),
            "",
            "decimal-or-thousands",
            {"column": "kw", "value": "100,000", "sign": ","},
        ),
        (
            hourly().rename(columns={"when": "time"}).assign(time="soon"),
            ":2",
            "not-a-time",
            {"column": "time", "value": "soon"},
        ),
        (pd.DataFrame({"1.5": waves(50, 5), "2.5": waves(50, 5)}), ":1", "numbers-instead-of-names", {}),
        (
            hourly().assign(kw=lambda f: f.kw.replace(f.kw[9], np.inf)),
            ":11",
            "number-too-large",
            {"column": "kw", "value": "inf"},
        ),
        (hourly().assign(when=lambda f: f.when.where(f.index != 77)), ":79", "time-missing", {"column": "when"}),
        (
            hourly().assign(when=lambda f: f.when.astype(str).where(f.index != 3, "n.d.")),
            ":5",
            "not-a-time",
            {"column": "when", "value": "n.d."},
        ),
        (
            hourly(24).assign(when=[f"01/{d:02}/2020" for d in range(1, 13)] * 2),
            "",
            "times-of-several-formats",
            {"value": "01/01/2020"},
        ),
    ],
)
def test_refuses_what_is_no_series(
    tmp_path: Path, frame: pd.DataFrame, line: str, code: str, values: dict[str, object]
) -> None:
    with pytest.raises(BadInput) as error:
        profile(save(tmp_path / "a.csv", frame))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == (code, f"{tmp_path / 'a.csv'}{line}")
    assert wrong.values.items() >= values.items()


def test_days_may_come_first_where_it_is_clear(tmp_path: Path) -> None:
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=90).strftime("%d.%m.%Y"), "v": waves(90, 7)})
    found = profile(save(tmp_path / "a.csv", frame))
    assert (found.step, found.first, found.last) == ("1D", "2020-01-01", "2020-03-30")
