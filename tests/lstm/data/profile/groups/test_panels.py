from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from waves import hourly, save, waves

from lstm.data.profile.profile import profile
from lstm.records.errors import BadInput, Fault


def refused(path: Path) -> Fault:
    with pytest.raises(BadInput) as error:
        profile(path)
    [wrong] = error.value.faults
    assert wrong.place.startswith(str(path))
    return wrong


def panel() -> pd.DataFrame:
    return pd.concat([hourly(100).assign(shop=shop) for shop in ("north", "south")])


def years() -> pd.DataFrame:
    frame = pd.DataFrame({"year": range(1960, 2010), "gdp": waves(50, 9)})
    return pd.concat([frame.assign(country=c) for c in "ab"])


@pytest.mark.parametrize(
    ("frame", "code", "values"),
    [
        (panel(), "several-series", {"series": 2, "columns": ["shop"], "column": None}),
        (years(), "several-series", {"series": 2, "columns": ["country"], "column": "year"}),
        (pd.concat([hourly(50), hourly(20)]), "time-occurs-repeatedly", {"column": "when", "count": 2}),
    ],
)
def test_refuses_several_series_in_one(
    tmp_path: Path, frame: pd.DataFrame, code: str, values: dict[str, object]
) -> None:
    wrong = refused(save(tmp_path / "a.csv", frame))
    assert wrong.code == code
    assert wrong.values.items() >= values.items()


def numbered(count: int = 10, times: int = 30, **names: str) -> pd.DataFrame:
    """Series after series, told apart by a whole number."""
    frame = pd.DataFrame(
        {"code": np.repeat(np.arange(count) * 7 + 3, times), "year": np.tile(np.arange(times) + 1960, count)}
    )
    return frame.assign(gdp=waves(count * times, 9)).rename(columns=names)


@pytest.mark.parametrize(
    ("frame", "series", "column"),
    [
        (numbered(), 10, "year"),
        (numbered().sort_values(["year", "code"]), 10, "year"),
        (numbered(year="period"), 10, "period"),
        (
            numbered(5, 50)
            .assign(code=lambda f: f.code // 7, year=lambda f: f.year - 1960)
            .rename(columns={"year": "t"}),
            5,
            "t",
        ),
        (numbered(year="period").assign(code=lambda f: "s" + f.code.astype(str)), 10, "period"),
        (numbered(year="period").sort_values(["period", "code"]), 10, "period"),
    ],
    ids=["one after another", "in turns", "a counter", "counted from 0", "texts", "a counter in turns"],
)
def test_refuses_series_that_whole_numbers_tell_apart(
    tmp_path: Path, frame: pd.DataFrame, series: int, column: str
) -> None:
    wrong = refused(save(tmp_path / "a.csv", frame))
    assert (wrong.code, wrong.values["series"], wrong.values["columns"]) == ("several-series", series, ["code"])
    assert column in (wrong.values["column"], wrong.values["anew"])


@pytest.mark.parametrize("names", [("year", "month"), ("Jahr", "Monat"), ("year", "Monat")])
def test_a_year_and_a_month_are_one_series_in_any_language(tmp_path: Path, names: tuple[str, str]) -> None:
    columns = {names[0]: np.repeat(range(1990, 2000), 12), names[1]: [*range(1, 13)] * 10, "v": waves(120, 12)}
    assert profile(save(tmp_path / "a.csv", pd.DataFrame(columns))).target == "v"


def stores(**names: str) -> pd.DataFrame:
    """A series for each item of each store."""
    keys = pd.MultiIndex.from_product([[3, 8, 9], [1, 2], range(2001, 2031)], names=["store", "item", "year"])
    frame = keys.to_frame(index=False)
    return frame.assign(sales=waves(len(frame), 9)).rename(columns=names)


@pytest.mark.parametrize(
    "frame",
    [
        stores(),
        stores(year="period"),
        stores(year="date").assign(date=lambda f: pd.to_datetime(f.date.astype(str) + "-01-01")),
        stores(year="period").sort_values("period", kind="stable"),
        stores(year="period").assign(store=lambda f: "s" + f.store.astype(str)),
        stores(year="timestamp").assign(timestamp=lambda f: (f.timestamp - 2001) * 0.02),
    ],
    ids=["years", "a counter", "dates", "in turns", "texts", "fractions"],
)
def test_refuses_series_that_two_columns_tell_apart(tmp_path: Path, frame: pd.DataFrame) -> None:
    wrong = refused(save(tmp_path / "a.csv", frame))
    assert (wrong.values["series"], wrong.values["columns"]) == (6, ["store", "item"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_parts_of_one_series_are_no_series(tmp_path: Path, kind: str) -> None:
    frame = hourly(480).assign(
        regime=lambda f: np.where(f.index // 60 % 2, "high", "low"), level=lambda f: f.index // 96
    )
    assert profile(save(tmp_path / f"a.{kind}", frame)).time == "when"
    assert profile(save(tmp_path / f"b.{kind}", frame.drop(columns="when"))).time is None
