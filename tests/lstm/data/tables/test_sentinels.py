import math
from pathlib import Path

import numpy as np
import pytest

from lstm.config.classify import ClassifyData
from lstm.config.forecast import ForecastData
from lstm.data import classify as classify_data
from lstm.data import forecast as forecast_data
from lstm.data.tables import reader, sentinels

DRAW = np.random.default_rng(1)
USUAL = {
    "temperatures": DRAW.normal(10, 8, 1000),
    "parts per million": 350 + DRAW.normal(size=1000).cumsum() / 10,
    "shares": DRAW.random(1000),
    "counts": DRAW.poisson(2000, 1000).astype(float),
    "directions": DRAW.uniform(0, 360, 1000).round(),
    "a flag": (DRAW.random(1000) < 0.5).astype(float),
}
HONEST = {
    "log-normal": lambda draw: draw.lognormal(0, 2, 1000),
    "Student's t": lambda draw: draw.standard_t(2, 1000),
    "Pareto": lambda draw: draw.pareto(2, 1000),
    "whole Pareto": lambda draw: draw.pareto(2, 1000).round(),
    "spikes": lambda draw: draw.normal(size=1000) + (draw.random(1000) < 0.005) * draw.exponential(30, 1000),
    "few sales": lambda draw: (draw.random(1000) < 0.05) * draw.lognormal(2, 1, 1000).round(),
    "rare flag": lambda draw: (draw.random(1000) < 0.002).astype(float),
    "two states": lambda draw: np.where(draw.random(1000) < 0.3, 100, draw.normal(1, 0.1, 1000)),
    "prices": lambda draw: draw.choice(
        [9.99, 19.99, 49.9, 99.9, 199, 499, 999], 1000, p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.03, 0.02]
    ),
    "rain": lambda draw: (draw.random(1000) < 0.3) * draw.gamma(0.5, 8, 1000).round(1),
    "negative now and then": lambda draw: draw.normal(40, 30, 1000),
}


def found(*columns, base=None):
    values = np.column_stack(columns)
    names = "abcdef"[: len(columns)]
    return {(each.column, each.value, len(each.rows)) for each in sentinels.find(Path("x"), list(names), values, base)}


@pytest.mark.parametrize("usual", USUAL.values(), ids=USUAL)
@pytest.mark.parametrize("value", [-9999.0, -999.0, 1e30, -1e30, 99999.0, 9999.9, 9.96921e36, 2147483647.0, -32768.0])
@pytest.mark.parametrize("times", [1, 7])
def test_what_stands_for_a_missing_value_is_found(usual, value, times):
    column = usual.copy()
    column[100 : 100 + times] = value
    assert found(column) == {("a", value, times)}
    assert found(usual) == set()


@pytest.mark.parametrize("draws", HONEST.values(), ids=HONEST)
def test_heavy_tails_are_no_such_thing(draws):
    draw = np.random.default_rng(3)
    told = sum(bool(found(draws(draw))) for _ in range(50))
    assert told <= 1


def test_several_at_both_ends_and_among_missing_values():
    column = USUAL["temperatures"].copy()
    column[5:9], column[20], column[30:33], column[40] = -9999, 1e30, -999, math.nan
    assert found(column) == {("a", -9999.0, 4), ("a", 1e30, 1), ("a", -999.0, 3)}
    column = USUAL["shares"] * 10
    column[5], column[6] = -9999, 9999  # each hides the other
    assert found(column) == {("a", -9999.0, 1), ("a", 9999.0, 1)}


def test_what_is_odd_in_one_column_is_looked_for_in_the_others():
    near, far = DRAW.uniform(2, 1479, 1000), DRAW.uniform(0, 12, 1000)
    near[10:40] = far[10:40] = -200
    assert found(near, far) == {("a", -200.0, 30), ("b", -200.0, 30)}
    assert found(near) == set()


def test_as_float32_less_a_base():
    column = USUAL["parts per million"].copy()
    column[7:9] = -9999
    kept = (column - 350).astype(np.float32)
    assert found(kept, base=np.array([350.0])) == {("a", -9999.0, 2)}


def test_nothing_to_compare_with():
    assert found(np.full(5, math.nan)) == found(np.array([-9999.0])) == found(np.array([1.0, -9999.0])) == set()


CONFIG = {
    "time": "day",
    "target": "y",
    "lookback": 3,
    "horizon": 2,
    "split": {"validation": 0.2, "test": 0.2},
}


def write(folder, rows):
    (folder / "a.csv").write_text("day,y\n" + "".join(f"{day},{value}\n" for day, value in rows))


def day(n):
    return f"2020-{1 + n // 28:02}-{1 + n % 28:02}"


@pytest.mark.parametrize("long", [False, True])
def test_the_note_names_column_value_count_part_and_line(tmp_path, monkeypatch, long):
    monkeypatch.setattr(reader, "LONG", 0 if long else reader.LONG)
    values = [20 + n % 7 for n in range(100)]
    values[50] = values[65] = values[66] = values[90] = -9999
    rows = [(np.datetime64("2020-01-01") + n, value) for n, value in enumerate(values)]
    write(tmp_path, rows)
    [note] = forecast_data.load(ForecastData.model_validate(CONFIG), tmp_path / "a.csv").doubts
    assert (note.code, note.place) == ("value-far-from-all-others", f"{tmp_path / 'a.csv'}:52")
    parts = ["1 in the training part", "2 in the validation part", "1 in the test part"]
    values = {name: pytest.approx(value, abs=1e-4) for name, value in {"value": -9999, "low": 20, "high": 26}.items()}
    assert note.values == {"column": "y", "rows": 4, "parts": parts, **values}
    write(tmp_path, rows[::-1])  # the newest first: lines are those of the file
    [note] = forecast_data.load(ForecastData.model_validate(CONFIG), tmp_path / "a.csv").doubts
    assert (note.place, note.values["parts"]) == (f"{tmp_path / 'a.csv'}:11", parts)


def test_rows_that_are_averaged_into_steps_and_rows_without_times(tmp_path):
    rows = [(f"{np.datetime64('2020-01-01') + n // 4} {n % 4 * 6:02}:00", 20 + n % 7) for n in range(400)]
    rows[270] = (rows[270][0], 1e30)
    write(tmp_path, rows)
    [note] = forecast_data.load(ForecastData.model_validate(CONFIG | {"step": "1D"}), tmp_path / "a.csv").doubts
    assert note.place.endswith("a.csv:272")
    assert (note.values["value"], note.values["parts"]) == (1e30, ["1 in the validation part"])
    [note] = forecast_data.load(ForecastData.model_validate(CONFIG | {"time": None}), tmp_path / "a.csv").doubts
    assert (note.values["value"], note.values["parts"]) == (1e30, ["1 in the validation part"])


def test_rows_that_no_part_has_are_not_told_of(tmp_path):
    rows = [(np.datetime64("2020-01-01") + n, 20 + n % 7) for n in range(100)]
    rows[95] = (rows[95][0], -9999)
    write(tmp_path, rows)
    split = {"train": 50, "validation": 20, "test": 20}
    assert forecast_data.load(ForecastData.model_validate(CONFIG | {"split": split}), tmp_path / "a.csv").doubts == ()


def test_sequences(tmp_path):
    lines = ["id,x,y,label"]
    lines += [f"s{n},{n % 5 + step / 10},{step},{'ab'[n % 2]}" for n in range(40) for step in range(6)]
    lines[9] = lines[9].replace(lines[9].split(",")[1], "-999")
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    section = {
        "id": "id",
        "columns": ["x", "y"],
        "label": "label",
        "split": {"validation": 0.2, "test": 0.2},
    }
    [note] = classify_data.load(ClassifyData.model_validate(section), tmp_path / "a.csv").doubts
    assert note.place == f"{tmp_path / 'a.csv'}:10"
    assert (note.values["column"], note.values["value"], note.values["rows"]) == ("x", -999, 1)
