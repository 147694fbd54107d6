import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import spec as spec_file
from experiments.verbs.new import Written, main, new
from lstm import data
from lstm.records import BadInput

DATA = Path(spec_file.__file__).with_name("data")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which `sweep new` is called."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def series(freq: str | None, rows: int, season: int = 12, seed: int = 0) -> pd.DataFrame:
    values = np.sin(2 * np.pi * np.arange(rows) / season) + 0.2 * np.random.default_rng(seed).normal(size=rows)
    frame = pd.DataFrame({"v": values})
    if freq:
        frame.insert(0, "time", pd.date_range("2020-01-01", periods=rows, freq=freq))
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
    config = spec.experiment.data
    found = data.load(config, spec.folder, spec.experiment.reach)
    judged = {"validation": found.origins("validation", config), "test": found.origins("test", config)}
    return {"train": len(found.train_origins(config)), **{part: len(origins) for part, origins in judged.items()}}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", FRAMES)
def test_writes_a_spec_that_loads_with_windows(here: Path, name: str, kind: str) -> None:
    frame, path = FRAMES[name], here / f"{name}.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    written = new(path.name)
    assert written.path == Path(f"{name}.yaml")
    assert loads(written) == dict(written.windows)
    assert min(written.windows.values()) >= 1
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
    assert spec_file.warnings(spec_file.load(written.path)) == []
    assert re.search(r"season: 52 +# 52 steps are a year: .*\(0\.9\d\)", text)
    assert "59 values of ppm are missing" in text
    assert written.found["gaps"].endswith("co2.csv:8")
    assert written.next == ("sweep plan co2.yaml", "sweep run co2.yaml")
    choices = [line for line in text.split("search:")[0].splitlines() if re.match(r"  (?!cell|seed)\w+: ", line)]
    assert all(" # " in line for line in choices)


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


def test_paths_start_where_the_spec_lies(here: Path) -> None:
    for folder in ("data", "specs"):
        (here / folder).mkdir()
    series("D", 200).to_csv("data/my ${x} data.csv", index=False)
    written = new("data/my ${x} data.csv", "specs/a b.yaml")
    assert "../data/my $${x} data.csv" in written.path.read_text()
    assert loads(written)
    assert written.name == "a-b"
    assert written.next[1] == "sweep run 'specs/a b.yaml'"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("default.yaml", "forecast-default"),
        ("..x..y...yaml", "x-y"),
        ("--.yaml", "forecast"),
        ("Größe 1.yaml", "Gr-e-1"),
        ("v1.2.yml", "v1.2"),
        ("n" * 120 + ".yaml", "n" * 80),
        ("mlflow.db.yaml", "forecast-mlflow.db"),
    ],
)
def test_names_fit_the_specs_pattern(here: Path, file: str, name: str) -> None:
    series("D", 200).to_csv("a.csv", index=False)
    written = new("a.csv", file)
    assert written.name == spec_file.load(written.path).experiment.name == name


def test_the_first_line_leads_to_the_schema(here: Path) -> None:
    series("D", 200).to_csv("a.csv", index=False)
    first = new("a.csv").path.read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={spec_file.SCHEMA.as_uri()}"


def test_within_the_project_the_schema_is_relative(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / ".git").mkdir()
    (here / "specs").mkdir()
    monkeypatch.setattr(spec_file, "SCHEMA", here.resolve() / "experiments" / "spec.schema.json")
    series("D", 200).to_csv("a.csv", index=False)
    first = new("a.csv", "specs/a.yaml").path.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../experiments/spec.schema.json"


def test_overwrites_only_with_force(here: Path) -> None:
    series("D", 200).to_csv("a.csv", index=False)
    (here / "a.yaml").write_text("mine")
    with pytest.raises(BadInput, match=r"a\.yaml: is there already.*--force.*--output"):
        new("a.csv")
    assert (here / "a.yaml").read_text() == "mine"
    assert loads(new("a.csv", force=True))


def test_twice_the_same(here: Path) -> None:
    series("D", 200).to_csv("a.csv", index=False)
    assert new("a.csv").path.read_text() == new("a.csv", force=True).path.read_text()


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (".", "is a folder"),
        ("no/such.yaml", "there is no folder no"),
        ("a.csv", "is the data itself"),
        ("b", "ends in"),
    ],
)
def test_refuses_outputs_that_can_not_be(here: Path, output: str, words: str) -> None:
    series("D", 200).to_csv("a.csv", index=False)
    before = (here / "a.csv").read_bytes()
    with pytest.raises(BadInput, match=words):
        new("a.csv", output, force=True)
    assert files(here) == {"a.csv"}
    assert (here / "a.csv").read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "a,b\n",
        "time,v\n2020-01-01,1\n2020-01-02,2\n",
        "v\n" + "1\n" * 100,
        "v\n" + "x\n" * 100,
        "v\n" + "1\n" * 80 + "2\n" * 20,  # constant over the training part
        "\0",
    ],
)
def test_refusals_write_nothing(here: Path, content: str) -> None:
    (here / "a.csv").write_text(content)
    with pytest.raises(BadInput, match=r"a\.csv"):
        new("a.csv")
    assert files(here) == {"a.csv"}


def test_a_document_for_json(here: Path) -> None:
    series("D", 200, 7).to_csv("a.csv", index=False)
    document = json.loads(json.dumps(new("a.csv").document()))
    assert document["spec"] == "a.yaml"
    assert document["data"]["season"]["steps"] == 7
    assert document["next"][0] == "sweep plan a.yaml"


def test_prints_what_was_found_and_what_to_do_next(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several().to_csv("a.csv", index=False)
    main(home="runs", data="a.csv", output=None, force=False, as_json=False)
    shown = capsys.readouterr().out
    for words in ("700 in a.csv", "7 steps are a week", "x: y, [z]", "sweep plan a.yaml", "sweep run a.yaml"):
        assert words in shown
    main(home="runs", data="a.csv", output=None, force=True, as_json=True)
    assert json.loads(capsys.readouterr().out)["name"] == "a"
