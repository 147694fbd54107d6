import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matrix import diagonal

from experiments.new_spec import compose
from experiments.operations.drafting import Written, new
from experiments.spec import loader as spec_file
from experiments.spec import schema, yaml_document
from lstm.config.forecast import ForecastData
from lstm.data import forecast as forecast_data
from lstm.data.profile.profile import profile
from lstm.messages.message import note
from lstm.records.errors import BadInput
from lstm.tasks.drafts import forecast as new_spec
from lstm.tasks.drafts.draft import Draft, Line, Remark, choices, numbers

DATA = schema.SCHEMA.with_name("data")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which `sweep new` is called."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def series(freq: str | None, rows: int, season: int = 12, seed: int = 0, start: str = "2020-01-01") -> pd.DataFrame:
    values = np.sin(2 * np.pi * np.arange(rows) / season) + 0.2 * np.random.default_rng(seed).normal(size=rows)
    frame = pd.DataFrame({"v": values})
    if freq:
        frame.insert(0, "time", pd.date_range(start, periods=rows, freq=freq))
    return frame


def gapped() -> pd.DataFrame:
    frame = series("h", 600, 24)
    frame.loc[frame.index % 53 == 0, "v"] = np.nan
    return frame.drop(index=range(200, 230))


def scattered() -> pd.DataFrame:
    """Every seventh value missing: no whole day is known."""
    frame = series("h", 800, 24)
    frame.loc[frame.index % 7 == 0, "v"] = np.nan
    return frame


def several() -> pd.DataFrame:
    frame = series("D", 700, 7)
    more = {"a b": 1, "null": 2, "3": 3, "ümläut": 4, "x: y, [z]": 5, "${HOME}": 6, "#": 7, '"q"': 8, "promo": 9}
    return frame.assign(**{name: series(None, 700, 7, seed)["v"] for name, seed in more.items()})


FRAMES = {
    "hourly": series("h", 1500, 24),
    "daily": series("D", 900, 7),
    "monthly": series("MS", 240, 12),
    "month-ends": series("ME", 120, 12),
    "quarterly": series("QS", 80, 4),
    "yearly": series("YS", 60, 11),
    "minutes": series("1min", 3000, 60),
    "working days": series("B", 400, 5),
    "integers": pd.DataFrame({"year": range(1800, 2000), "v": series(None, 200, 11)["v"]}),
    "untimed": series(None, 300, 17),
    "noise": pd.DataFrame({"v": np.random.default_rng(0).normal(size=300)}),
    "gapped": gapped(),
    "scattered": scattered(),
    "several": several(),
    "short": series("D", 20, 7),
    "many rows": series("h", 45_000, 24),
}


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def loads(written: Written) -> dict[str, int]:
    """The spec and its data, as `sweep run` would load them."""
    spec = spec_file.load(written.path)
    config = spec.experiment.base.data_as(ForecastData)
    found = forecast_data.load(config, Path(spec.location.path), spec.experiment.reach)
    views = [found.at_window(number) for number in range(1, len(found.windows) + 1)] or [found]
    judged = sum(len(view.origins("validation", config)) for view in views)
    counts = {"train": len(found.train_origins(config)), "validation": judged}
    return counts | {"test": len(found.origins("test", config))}


@diagonal(name=tuple(FRAMES), kind=["csv", "parquet"])
def test_writes_a_spec_that_loads_with_windows(here: Path, name: str, kind: str) -> None:
    frame, path = FRAMES[name], here / f"{name}.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    written = new(path.name)
    assert written.path == Path(f"{name}.yaml")
    assert loads(written) == dict(written.windows)
    assert min(written.windows.values()) >= 1
    search = spec_file.load(written.path).experiment.search
    assert search
    asked = {"model.hidden_size", "model.num_layers", "training.learning_rate"}
    assert all(asked <= set(each) for each in (search.space, *search.first))
    assert files(here) == {path.name, f"{name}.yaml"}


def test_the_spec_of_co2_says_why(here: Path) -> None:
    written = new(str(DATA / "co2.csv"))
    text = written.path.read_text()
    spec = spec_file.load(written.path).experiment
    assert (spec.data.lookback, spec.data.horizon, spec.data.season) == (104, 26, 52)
    assert (spec.data.missing, spec.data.calendar) == ("interpolate", ["day_of_year"])
    assert spec.model.residual == "last"
    assert spec.search
    assert {"data.lookback", "model.residual", "model.normalization"} <= set(spec.search.space)
    assert spec.search.space["model.residual"].choices == ["none", "last", "linear"]
    assert spec_file.warnings(spec_file.load(written.path)) == []
    assert re.search(r"season: 52 +# 52 steps are a year: .*\(0\.9\d\)", text)
    assert "59 values of ppm are missing" in text
    assert written.found["gaps"].endswith("co2.csv:8")
    assert written.next == ("sweep plan co2.yaml", "sweep run co2.yaml")
    choices = [line for line in text.split("search:")[0].splitlines() if re.match(r"  (?!cell|seed)\w+: ", line)]
    assert all(" # " in line for line in choices)


def test_a_drafted_spec_is_tried_with_few_trials_and_epochs(here: Path) -> None:
    written = new(str(DATA / "co2.csv"))
    for overrides in (["search.n_trials=4"], ["search.n_trials=1"], ["training.max_epochs=1", "search.n_trials=2"]):
        notes = spec_file.load(written.path, overrides).notes
        assert any(note.path == "search.sampler.n_startup_trials" for note in notes)


def test_many_rows_are_judged_on_some_and_cut_into_epochs(here: Path) -> None:
    FRAMES["many rows"].to_csv("a.csv", index=False)
    spec = spec_file.load(new("a.csv").path).experiment
    assert spec.data.split.test == 5000
    assert spec.training.steps_per_epoch
    assert spec.training.steps_per_epoch * spec.reach <= 10_000


def test_covariates_have_their_roles(here: Path) -> None:
    several().to_csv("a.csv", index=False)
    spec = spec_file.load(new("a.csv").path, environment={}).experiment
    assert spec.data.future_covariates == ["promo"]
    assert set(spec.data.past_covariates) | {spec.data.target} == set(several()) - {"time", "promo"}


def test_gaps_that_leave_no_long_window_make_the_horizon_short(here: Path) -> None:
    scattered().to_csv("a.csv", index=False)
    spec = spec_file.load(new("a.csv").path).experiment
    assert spec.data.horizon < 7


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (series("1s", 60), "a row is a second"),
        (series("15min", 200), "rows are 15 minutes apart"),
        (series("6h", 200), "rows are 6 hours apart"),
        (series("250ms", 200), "rows are 250 ms apart"),
        (series("1us", 200), "rows are 1 µs apart"),
        (series("10ns", 200), "rows are 10 ns apart"),
        (series("3D", 200), "rows are 3 days apart"),
        (series("7D", 200), "a row is a week"),
        (series("B", 200), "a row is a working day"),
        (series("QS", 80), "a row is a quarter"),
        (series("3MS", 80, start="2020-02-01"), "rows are 3 months apart"),
        (series("3ME", 80, start="2020-01-31"), "rows are 3 months apart"),
        (series("12MS", 80, start="1950-07-01"), "rows are 12 months apart"),
        (series("YE", 80, start="1950-07-01"), "a row is a year"),
        (pd.DataFrame({"year": range(1800, 2000, 2), "v": series(None, 100)["v"]}), "whole numbers, 2 apart"),
    ],
)
def test_the_step_is_told_in_words(here: Path, frame: pd.DataFrame, words: str) -> None:
    frame.to_parquet("a.parquet")
    written = new("a.parquet")
    assert re.search(rf"  time: \w+ +# {words}\n", written.path.read_text())
    assert written.found["time"].endswith(f", {words}")


def test_working_days_have_a_week_of_five(here: Path) -> None:
    series("B", 400, 5).to_csv("a.csv", index=False)
    written = new("a.csv")
    assert "5 steps are a week" in written.found["season"]
    config = spec_file.load(written.path).experiment.base.data_as(ForecastData)
    given = forecast_data.load(config, here / "a.csv")
    inferred = forecast_data.load(config.model_copy(update={"season": None}), here / "a.csv")
    assert inferred.season == given.season == 5


def test_times_with_a_zone_are_told(here: Path) -> None:
    frame = series("h", 200, 24)
    frame.assign(time=frame.time.dt.tz_localize("Europe/Berlin")).to_parquet("a.parquet")
    assert new("a.parquet").found["notes"] == str(
        note("times-turned-into-utc", "data.time", column="time", zone="Europe/Berlin")
    )


def drafted(frame: pd.DataFrame) -> new_spec.Choice:
    frame.to_csv("a.csv", index=False)
    return new_spec.choose(profile(Path("a.csv")))


def test_look_back_and_horizon_are_measured_in_seasons(here: Path) -> None:
    daily = drafted(series("D", 900, 7))
    assert daily.basis
    assert (daily.basis.name, daily.basis.steps) == ("week", 7)
    assert (daily.unit, daily.lookback, daily.longest, daily.horizon) == (7, 14, 28, 7)
    monthly = drafted(series("MS", 600, 12))
    assert (monthly.unit, monthly.lookback, monthly.longest, monthly.horizon) == (12, 24, 48, 12)


def test_small_series_see_more_epochs_of_smaller_batches(here: Path) -> None:
    small, large = drafted(series("D", 120, 7)), drafted(series("h", 20_000, 24))
    assert (small.batch_size, small.max_epochs, small.steps_per_epoch) == (16, 60, None)
    assert (large.batch_size, large.max_epochs) == (64, 20)
    assert large.steps_per_epoch == 100


def test_where_no_window_fits_the_file_is_named_once(here: Path) -> None:
    with pytest.raises(BadInput, match=r"^a\.csv: column 'v' is constant"):
        drafted(pd.DataFrame({"v": [1.0] * 80 + [2.0] * 20}))


def test_any_tasks_draft_becomes_a_spec_that_reads_as_it_was_meant(here: Path) -> None:
    files = [here / "x: a.txt", here / "b.txt"]
    draft = Draft(
        data=(Line("source", files[0], "two\nlines"), Line("target", files[1]), Remark("left out: a\nb")),
        model=(Line("bidirectional", True), Line("hidden_size", 8)),
        training=(Line("max_epochs", 60), Line("patience", None), Line("learning_rate", 0.0005)),
        metric=Line("metric", "val/loss", "why"),
        direction="minimize",
        first=({"model.cell": "lstm"},),
        first_why="tried first",
        space=(choices("model.cell", ["lstm", "no", "1"]), numbers("training.weight_decay", 0.01, 0.25)),
        found={},
        facts={},
        why="a pair",
    )
    paths = {files[0]: "../x: a.txt", files[1]: "b.txt"}
    (here / "a.yaml").write_text(compose(draft, task="mine.py:Pair", name="a", paths=paths, schema="s.json"))
    read = yaml_document.read("a.yaml", (), {}).written
    assert read["task"] == "mine.py:Pair"
    assert read["data"] == {"source": "../x: a.txt", "target": "b.txt"}
    assert read["model"] == {"bidirectional": True, "hidden_size": 8}
    assert read["training"] == {"max_epochs": 60, "patience": None, "learning_rate": 0.0005}
    assert read["search"]["pruner"]["min_resource"] == 10
    assert read["search"]["space"]["model.cell"]["choices"] == ["lstm", "no", "1"]
    assert read["search"]["space"]["training.weight_decay"]["low"] == 0.01
    assert "learning_rate: 5e-4" in (here / "a.yaml").read_text()


def test_of_many_columns_that_are_left_out_the_number_of_the_rest_is_said(here: Path) -> None:
    names = [f"c{number}" for number in range(20)]
    series("D", 300).assign(**dict.fromkeys(names, 7.0)).to_csv("a.csv", index=False)
    text = new("a.csv").path.read_text()
    told = [name for name in names if f"# left out: {name}, " in text]
    assert f"# left out: {len(names) - len(told)} more columns" in text
    assert 0 < len(told) < len(names)
