from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lstm.profile import Profile, profile
from lstm.records import BadInput

CO2 = Path(__file__).parents[2] / "experiments" / "data" / "co2.csv"


def waves(rows: int, season: int, noise: float = 0.1, seed: int = 0) -> np.ndarray:
    """A sine of a season, and noise."""
    return np.sin(2 * np.pi * np.arange(rows) / season) + noise * np.random.default_rng(seed).normal(size=rows)


def save(path: Path, frame: pd.DataFrame) -> Path:
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return path


def hourly(rows: int = 500) -> pd.DataFrame:
    return pd.DataFrame({"when": pd.date_range("2024-01-01", periods=rows, freq="h"), "kw": waves(rows, 24)})


def refused(path: Path) -> str:
    with pytest.raises(BadInput) as error:
        profile(path)
    return str(error.value)


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


def test_a_week_wins_over_a_day_only_where_it_is_clearly_stronger(tmp_path: Path) -> None:
    frame = hourly(2000)
    assert profile(save(tmp_path / "day.csv", frame)).season.steps == 24  # type: ignore[union-attr]
    frame["kw"] = waves(2000, 24) + 3 * waves(2000, 168)
    assert profile(save(tmp_path / "week.csv", frame)).season.steps == 168  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["noise", "walk", "line"])
def test_finds_no_season_where_there_is_none(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(3).normal(size=1500)
    values = {"noise": noise, "walk": noise.cumsum(), "line": np.arange(1500) * 0.5 + 3}[kind]
    frame = pd.DataFrame({"day": pd.date_range("2020-01-01", periods=1500), "v": values})
    assert profile(save(tmp_path / "a.csv", frame)).season is None


def test_finds_a_cycle_without_times(tmp_path: Path) -> None:
    found = profile(save(tmp_path / "a.csv", pd.DataFrame({"v": waves(400, 17)})))
    assert found.time is None
    assert found.step == ""
    assert found.season
    assert (found.season.name, found.season.steps) == ("cycle", 17)
    assert found.calendar == ()


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
    assert set(found.left_out) == {"constant", "hour", "mostly_empty", "late"}
    last = profile(save(tmp_path / "b.csv", several()[["when", "heat", "kw"]]))
    assert (last.target, last.target_why) == ("kw", "the last column of numbers")


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
    assert "irregular" in " ".join(found.notes)


def test_a_file_with_bad_numbers_far_down_keeps_its_other_columns(tmp_path: Path) -> None:
    frame = hourly(60_000).assign(other=lambda f: f.kw.round(3).astype(str))
    frame.loc[59_000, "other"] = "broken"
    found = profile(save(tmp_path / "a.csv", frame))
    assert (found.target, found.time, found.step) == ("kw", "when", "1h")


def panel() -> pd.DataFrame:
    return pd.concat([hourly(100).assign(shop=shop) for shop in ("north", "south")])


def years() -> pd.DataFrame:
    frame = pd.DataFrame({"year": range(1960, 2010), "gdp": waves(50, 9)})
    return pd.concat([frame.assign(country=c) for c in "ab"])


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (hourly(5), "has 5 rows, too few"),
        (hourly(0), "no rows"),
        (hourly()[["when"]].assign(name="x"), "has no column of numbers to forecast (columns: when, name)"),
        (panel(), "holds 2 series, told apart by column 'shop'"),
        (years(), "holds 2 series, told apart by column 'country'"),
        (pd.concat([hourly(50), hourly(20)]), "stands there 2 times"),
        (hourly().assign(kw=3.0), "'kw' is left out (always the same value)"),
        (hourly().assign(kw=lambda f: [f"{v:.2f}".replace(".", ",") for v in f.kw]), "is not a number"),
        (hourly().rename(columns={"when": "time"}).assign(time="soon"), ":2: column 'time': 'soon' is not a time"),
        (pd.DataFrame({"1.5": waves(50, 5), "2.5": waves(50, 5)}), "first line must name the columns"),
        (hourly().assign(kw=lambda f: f.kw.replace(f.kw[9], np.inf)), ":11: column 'kw': inf is infinite"),
        (hourly().assign(when=lambda f: f.when.where(f.index != 77)), ":79: column 'when' has no time"),
        (hourly().assign(when=lambda f: f.when.astype(str).where(f.index != 3, "n.d.")), ":5: column 'when': 'n.d.'"),
        (hourly(24).assign(when=[f"01/{d:02}/2020" for d in range(1, 13)] * 2), "could be a day and month"),
    ],
)
def test_refuses_what_is_no_series(tmp_path: Path, frame: pd.DataFrame, words: str) -> None:
    message = refused(save(tmp_path / "a.csv", frame))
    assert words in message
    assert "a.csv" in message


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "is empty"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\xff\xfe" * 20, "is not UTF-8"),
        ("a.csv", b"a,b\0\n1,2\n", "NUL"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", ":3: has 3 fields, the header has 2"),
        ("a.csv", b",\n1,2\n", "no column has a name"),
        ("a.parquet", b"no parquet", "can't be read as Parquet"),
        ("a.parquet", b"", "can't be read as Parquet"),
        ("a.yaml", b"name: x\n", "is a spec, not data"),
    ],
)
def test_refuses_what_is_no_table(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in refused(tmp_path / name)


def test_refuses_a_file_that_is_not_there_and_names_the_nearest(tmp_path: Path) -> None:
    save(tmp_path / "data.csv", hourly())
    assert "did you mean data.csv?" in refused(tmp_path / "dat.csv")
    assert "is not a file" in refused(tmp_path)


def test_year_and_month_apart_are_no_time_but_no_panel_either(tmp_path: Path) -> None:
    frame = pd.DataFrame({"year": np.repeat(range(1990, 2000), 12), "month": [*range(1, 13)] * 10, "v": waves(120, 12)})
    found: Profile = profile(save(tmp_path / "a.csv", frame))
    assert found.time is None
    assert found.target == "v"
    assert set(found.left_out) == {"year", "month"}
    assert "year is not used as the time" in " ".join(found.notes)


def test_days_may_come_first_where_it_is_clear(tmp_path: Path) -> None:
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=90).strftime("%d.%m.%Y"), "v": waves(90, 7)})
    found = profile(save(tmp_path / "a.csv", frame))
    assert (found.step, found.first, found.last) == ("1D", "2020-01-01", "2020-03-30")


def test_dated_texts_that_are_no_times_are_other(tmp_path: Path) -> None:
    frame = hourly().assign(ip="10.0.0.1", code="A-12", version="1.2.3.4")
    found = profile(save(tmp_path / "a.csv", frame))
    assert found.time == "when"
    assert [c.kind for c in found.columns] == ["time", "number", "other", "other", "other"]
