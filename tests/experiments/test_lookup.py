import json
from pathlib import Path

import pytest
from matrix import diagonal

from dashboards.tracking import server
from experiments import lookup
from experiments.home import Home
from experiments.planning import make
from experiments.spec import loader as specs
from lstm.records.errors import BadInput


@pytest.fixture
def kept(folder):
    """A home that knows a sweep, which was run with an override and addresses out of the environment."""
    text = (folder / "tiny.yaml").read_text().replace("path: tiny.csv", "path: ${WHERE:-tiny}.csv")
    (folder / "tiny.yaml").write_text(text + 'storage: {study: "${STUDY:-sqlite:///x.db}"}\n')
    home = Home.at("runs")
    lookup.keep(make(lookup.spec("tiny.yaml", home, ["training.seed=9"]), home), ["training.seed=9"])
    return home


def test_by_its_name_and_by_its_spec(kept, folder):
    for named in ("tiny", "tiny.yaml", "./tiny.yaml"):
        found = lookup.sweep(named, kept)
        assert (found.name, found.study_url) == ("tiny", f"sqlite:///{folder}/x.db")
        assert found.tracking_uri == f"sqlite:///{kept.folder / 'mlflow.db'}"
    assert lookup.names(kept) == ["tiny"]


def test_a_spec_is_as_it_was_last_run_and_from_where(kept, folder, monkeypatch):
    (folder / "deep").mkdir()
    monkeypatch.chdir(folder / "deep")
    spec = lookup.spec("tiny", kept)
    assert spec.experiment.training.seed == 9
    assert spec.folder == folder
    assert lookup.spec("tiny", kept, ["training.seed=3"]).experiment.training.seed == 3


def test_overrides_of_a_name_are_added_to_those_before(kept):
    assert lookup.all_overrides("tiny", kept, ["search.n_trials=9"]) == ["training.seed=9", "search.n_trials=9"]
    assert lookup.all_overrides("tiny.yaml", kept, ["search.n_trials=9"]) == ["search.n_trials=9"]


def test_the_environment_is_not_kept(folder, kept, monkeypatch):
    monkeypatch.setenv("STUDY", "postgresql://me:hunter2@host/db")
    lookup.keep(make(lookup.spec("tiny.yaml", kept), kept), [])
    kept_files = [p.read_text() for p in kept.sweep("tiny").iterdir()]
    assert "hunter2" not in "".join(kept_files)
    assert json.loads((kept.sweep("tiny") / lookup.ADDRESSES).read_text())["study"] == "${STUDY:-sqlite:///x.db}"
    assert lookup.sweep("tiny", kept).study_url == "postgresql://me:hunter2@host/db"
    assert "hunter2" not in repr(lookup.spec("tiny", kept))


def test_a_folder_of_the_same_name_does_not_hide_a_sweep(kept, folder):
    (folder / "tiny").mkdir()
    assert lookup.sweep("tiny", kept).name == "tiny"


@pytest.mark.parametrize(
    ("named", "near", "known"),
    [("tinny", "tiny", []), ("co2", None, ["tiny"]), (".", None, ["tiny"])],
)
def test_a_name_that_is_none(kept, named, near, known):
    for look in (lookup.sweep, lookup.spec):
        with pytest.raises(BadInput) as error:
            look(named, kept)
        [wrong] = error.value.faults
        assert (wrong.code, wrong.place) == ("no-sweep-of-this-name", named)
        assert wrong.values == {"home": str(kept.folder), "near": near, "known": known}


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("tinny.yaml", ("tinny.yaml: ", "did you mean tiny.yaml?")),
        ("specs/tiny", ("specs/tiny: ",)),
        ("../runs", ("../runs: ",)),
    ],
)
def test_a_file_that_does_not_exist(kept, named, told):
    for look in (lookup.sweep, lookup.spec):
        with pytest.raises(BadInput) as error:
            look(named, kept)
        assert [part for part in told if part not in str(error.value)] == []


def test_an_empty_home_knows_nothing(tmp_path):
    assert lookup.names(Home(tmp_path / "nowhere")) == []
    assert lookup.names(Home(Path("/dev/null"))) == []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("  space:", "  pruner: {type: patient, patience: 0}\n  space:", "search.pruner.patience"),
        ("max_epochs: 2", "max_epochs: 2, schedule: plateau, schedule_patience: 1", "training.schedule_patience"),
    ],
)
def test_a_sweep_that_was_begun_where_an_option_did_nothing_goes_on_by_its_name(folder, old, new, path):
    home = Home.at("runs")
    lookup.keep(make(lookup.spec("tiny.yaml", home), home), [])
    kept = home.sweep("tiny") / lookup.SPEC
    kept.write_text(kept.read_text().replace(old, new))
    [note] = specs.warnings(lookup.spec("tiny", home))
    assert (note.code, note.path) == ("idle-field-of-begun-sweep", path)
    with pytest.raises(BadInput, match=path):  # who writes it today is told
        lookup.spec(str(kept), home)


ASKS = {  # a verb, and the variables that it needs beside the name
    "status": (["status"], ["STUDY"]),
    "best": (["best"], ["STUDY"]),
    "compare": (["compare"], ["STUDY"]),
    "stop": (["stop"], ["STUDY"]),
    "verify": (["verify"], ["STUDY", "MLFLOW"]),
    "rebuild": (["rebuild"], ["STUDY", "MLFLOW"]),
    "predict from a file": (["predict", "--input", "tiny.csv"], ["STUDY"]),
    "predict from its own": (["predict"], ["STUDY", "DATA"]),
    "ui": (["ui"], ["MLFLOW"]),
}
PATHS = {"STUDY": "study", "MLFLOW": "tracking", "DATA": "data.path"}


@pytest.fixture
def unset(home, folder, monkeypatch):
    """The finished sweep's home, whose spec takes much from the environment; the variables' values."""
    monkeypatch.setattr(
        "dashboards.tracking.server.serve", lambda *_: (_ for _ in ()).throw(server.ServerFailed("started"))
    )
    text = (folder / "tiny.yaml").read_text().replace("path: tiny.csv", 'path: "${DATA}"')
    text = text.replace("batch_size: 16,", 'optimizer: "${OPTIMIZER}",')
    text += 'storage: {study: "${STUDY}", keep: "${KEEP}"}\ntracking: {uri: "${MLFLOW}"}\n'
    for path in (folder / "tiny.yaml", home / "tiny" / lookup.SPEC):
        path.write_text(text)
    addresses = {"study": "${STUDY}", "tracking": "${MLFLOW}", "artifacts": "best"}
    (home / "tiny" / lookup.ADDRESSES).write_text(json.dumps(addresses))
    for name in (*PATHS, "OPTIMIZER", "KEEP"):
        monkeypatch.delenv(name, raising=False)
    return {"STUDY": f"sqlite:///{home / 'study.db'}", "MLFLOW": f"sqlite:///{home / 'mlflow.db'}", "DATA": "tiny.csv"}


@diagonal(asked=tuple(ASKS), named=["tiny", "tiny.yaml"])
def test_a_verb_asks_for_the_variables_that_it_needs(unset, sweep, asked, named):
    (verb, *options), needed = ASKS[asked]
    answer = sweep(verb, named, *options, **{name: unset[name] for name in needed})
    assert ":-default}" not in answer.err, "none was asked for"
    assert answer.code in {"ui": (1,), "verify": (0, 1), "rebuild": (0, 1)}.get(verb, (0,)), answer.err
    for name in needed:
        others = {other: value for other, value in unset.items() if other != name}
        answer = sweep(verb, named, *options, **others)
        assert (answer.code, answer.out) == (2, "")
        assert PATHS[name] in answer.err
        assert needs(name) in answer.err


def needs(name):
    """What tells how to give a variable that the environment does not have."""
    return f"${{{name}:-default}}"


def test_what_else_is_wrong_in_a_spec_is_told_without_the_variables(unset, sweep, folder):
    (folder / "tiny.yaml").write_text((folder / "tiny.yaml").read_text().replace("horizon: 7", "horizon: 0"))
    answer = sweep("status", "tiny.yaml", STUDY=unset["STUDY"])
    assert answer.code == 2
    assert "data.horizon" in answer.err
    assert "the environment" not in answer.err
    answer = sweep("plan", "tiny.yaml")  # which needs all
    assert all(needs(name) in answer.err for name in (*unset, "OPTIMIZER", "KEEP"))
