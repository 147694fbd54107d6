import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.operations.drafting import Written, new
from experiments.spec import loader as spec_file
from experiments.verbs.new import main
from lstm.config.forecast import ForecastData
from lstm.data import forecast as forecast_data
from lstm.records.errors import BadInput


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


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def loads(written: Written) -> dict[str, int]:
    """The spec and its data, as `sweep run` would load them."""
    spec = spec_file.load(written.path)
    config = spec.experiment.base.data_as(ForecastData)
    found = forecast_data.load(config, Path(spec.location.path), spec.experiment.reach)
    judged = {"validation": found.origins("validation", config), "test": found.origins("test", config)}
    return {"train": len(found.train_origins(config)), **{part: len(origins) for part, origins in judged.items()}}


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


def test_what_no_force_would_help_is_told_before_force(here: Path) -> None:
    series("D", 200).to_csv("a.csv", index=False)
    (here / "a.yaml").write_text("mine")
    with pytest.raises(BadInput) as error:
        new("a.csv", task="language_model")
    assert [wrong.code for wrong in error.value.faults] == ["task-does-not-fit"]


def test_overwrites_only_with_force(here: Path) -> None:
    series("D", 200).to_csv("a.csv", index=False)
    (here / "a.yaml").write_text("mine")
    with pytest.raises(BadInput) as error:
        new("a.csv")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("output-exists", "a.yaml")
    assert [flag for flag in ("--force", "--output") if flag not in wrong.mend] == []
    assert (here / "a.yaml").read_text() == "mine"
    assert loads(new("a.csv", force=True))


def test_twice_the_same(here: Path) -> None:
    series("D", 200).to_csv("a.csv", index=False)
    assert new("a.csv").path.read_text() == new("a.csv", force=True).path.read_text()


@pytest.mark.parametrize(
    ("output", "code", "values"),
    [
        (".", "output-is-folder", {"meant": "a.yaml"}),
        ("no/such.yaml", "output-folder-missing", {"folder": "no", "flag": "--output"}),
        ("a.csv", "output-is-input", {}),
        ("b", "output-not-yaml", {"meant": "b.yaml"}),
    ],
)
def test_refuses_outputs_that_can_not_be(here: Path, output: str, code: str, values: dict[str, str]) -> None:
    series("D", 200).to_csv("a.csv", index=False)
    before = (here / "a.csv").read_bytes()
    with pytest.raises(BadInput) as error:
        new("a.csv", output, force=True)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place, wrong.values) == (code, output, values)
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


def test_the_spec_stands_alone_beside_the_data(here: Path) -> None:
    series("D", 200).to_csv("a.csv", index=False)
    written = new("a.csv")
    assert written.path == Path("a.yaml")
    assert files(here) == {"a.csv", "a.yaml"}
    assert loads(written) == dict(written.windows)


def test_a_document_for_json(here: Path) -> None:
    series("D", 200, 7).to_csv("a.csv", index=False)
    document = json.loads(json.dumps(new("a.csv").document()))
    assert document["spec"] == "a.yaml"
    assert document["data"]["season"]["steps"] == 7
    assert document["next"][0] == "sweep plan a.yaml"


def test_prints_what_was_found_and_what_to_do_next(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    series("D", 700, 7).assign(**{"x: y, [z]": series(None, 700, 7, 5)["v"], "promo": 9}).to_csv("a.csv", index=False)
    main(home="runs", data="a.csv", output=None, force=False, as_json=False)
    shown = capsys.readouterr().out
    for words in ("700 in a.csv", "7 steps are a week", "x: y, [z]", "sweep plan a.yaml", "sweep run a.yaml"):
        assert words in shown
    main(home="runs", data="a.csv", output=None, force=True, as_json=True)
    assert json.loads(capsys.readouterr().out)["name"] == "a"


def test_a_value_far_outside_of_all_others_is_noted_by_new_and_plan(folder, sweep):
    lines = (folder / "tiny.csv").read_text().splitlines(keepends=True)
    lines[290] = lines[290].partition(",")[0] + ",1e30\n"
    (folder / "far.csv").write_text("".join(lines))
    document = json.loads(sweep("new", "far.csv", "--json").out)
    for warnings in (document["warnings"], json.loads(sweep("plan", "far.yaml", "--json").out)["warnings"]):
        [note] = warnings
        assert note["place"].endswith("far.csv:291")
        assert (note["code"], note["values"]["column"]) == ("value-far-from-all-others", "load")
        assert (note["values"]["value"], note["values"]["parts"]) == (1e30, ["1 in the test part"])
    assert "far.csv:291: " in sweep("new", "far.csv", "--force").out
    assert "far.csv:291: " in sweep("plan", "far.yaml").out
