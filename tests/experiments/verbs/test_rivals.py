"""What is judged beside the network, by `sweep rivals`, at the end of `sweep run`, in `best` and `verify`."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import twin

from cluster import study
from cluster.lease import Lease
from experiments.cli import main
from lstm import datasets, ownership, tasks
from lstm.config import TrialConfig
from lstm.rivals import registry, store

SPEC = """\
name: tiny
data:
  {path: tiny.csv, time: day, target: load, lookback: 14, horizon: 3, season: 7, split: {validation: 0.2, test: 0.3}}
model: {hidden_size: 3}
training: {max_epochs: 2, batch_size: 16, learning_rate: 1e-2, seed: 1}
"""
SEARCH = """\
search:
  n_trials: 2
  sampler: {type: random, seed: 3}
  space: {model.hidden_size: {type: int, low: 4, high: 8}, data.lookback: {type: int, low: 7, high: 21}}
"""
DIVERGES = SPEC.replace("1e-2", "10").replace("seed: 1", "seed: 1, optimizer: sgd, gradient_clip: null")
DIVERGES = DIVERGES.replace("batch_size: 16", "batch_size: 1").replace("hidden_size: 3", "hidden_size: 32")
RATE = "  space: {training.learning_rate: {type: float, low: 9, high: 10}}\n"


def ran(folder, spec, data):
    """A sweep run to its end in a child, without Ray; what the last screen's document says."""
    (folder / "tiny.yaml").write_text(spec)
    (folder / "tiny.csv").write_text(data)

    def act():
        os.chdir(folder)
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        with twin.near():
            main(["run", "tiny.yaml", "--json"], prog_name="sweep")

    code = twin.forked(act, folder / "log")
    text = (folder / "out").read_text()
    return code, json.loads(text) if text else (folder / "err").read_text()


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny):
    """A sweep that has ended: `folder`, and the last screen's `document`."""
    folder = tmp_path_factory.mktemp("rivals")
    code, document = ran(folder, SPEC + SEARCH, tiny.rows(400))
    assert code == 0, document
    return SimpleNamespace(folder=folder, kept=folder / "runs" / "tiny", document=document)


@pytest.fixture
def ended(made, monkeypatch):
    """The same, in the working folder, as it was right after its end but without a verdict; put back afterwards."""
    monkeypatch.chdir(made.folder)
    monkeypatch.delenv("SWEEP_HOME", raising=False)
    before = {path: path.read_bytes() for path in (*made.folder.glob("*"), *made.kept.glob("*")) if path.is_file()}
    for path in judged_files(made.kept):
        path.unlink()
    yield made
    for path in judged_files(made.kept):
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def judged_files(kept):
    return sorted(path for path in kept.glob("*.npz"))


def contents(kept):
    return {path.name: path.read_bytes() for path in judged_files(kept)}


def told(sweep):
    answer = sweep("rivals", "tiny", "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)["verdict"]


@pytest.fixture
def fits(monkeypatch):
    """The names of rivals that are fitted."""
    found, run = [], registry.run

    def counted(name, *rest):
        found.append(name)
        return run(name, *rest)

    monkeypatch.setattr(registry, "run", counted)
    return found


def always(task="forecast"):
    return list(registry.DATA[task].rivals)


def test_the_figures_are_those_of_the_task(ended, sweep):
    found = told(sweep)
    swept = study.read(f"sqlite:///{ended.folder}/runs/study.db", "tiny")
    judged = store.read(str(ended.kept), ownership.studies_of(swept.facts), swept.facts["data_fingerprint"])
    base = TrialConfig.model_validate(swept.facts["base"])
    data = datasets.load(base, ended.folder, 21)
    entries = {entry.role: entry for entry in judged.entries}
    for role, trial in (("network", swept.best), ("base", swept.base)):
        checkpoint = ownership.load_trial(swept, trial)
        feed = tasks.of(checkpoint.config).Feed(data, checkpoint.config, "cpu")
        for part in store.PARTS:
            wanted = feed.evaluate(tasks.best_network(checkpoint), part)
            assert dict(entries[role].figures[part]) == pytest.approx(wanted, rel=1e-5)
            assert entries[role].items[part].mean("loss") == pytest.approx(wanted["loss"], rel=1e-5)
        assert entries[role].figures["validation"]["loss"] == pytest.approx(trial.value, rel=1e-5)
    naive = next(entry for entry in judged.entries if entry.rival == "seasonal naive")
    wanted = tasks.of(base).baseline(data, base, "test")
    assert {name: naive.figures["test"][name] for name in wanted} == pytest.approx(wanted, rel=1e-6)
    rows = {row["name"]: row for row in found["rows"]}
    network = rows[f"trial {swept.best.number}"]
    assert network["test"] == pytest.approx(ended.document["best"]["metrics"]["test/loss"], rel=1e-5)
    assert rows["base"]["trial"] == swept.base.number
    assert found["length"] == 10
    assert [row["rivals"] for row in found["rows"] if row["role"] == "rival"] == [
        [name] for name in registry.names("forecast")
    ]


def test_what_is_there_is_not_fitted_again(ended, sweep, fits):
    told(sweep)
    assert [name for name in fits if name in always()] == always()
    before = contents(ended.kept)
    assert before.keys() == {"judged.npz", *(f"rival-{name}.npz" for name in always())}
    fits.clear()
    told(sweep)
    assert not set(fits) & set(always())
    assert contents(ended.kept) == before
    (ended.kept / "judged.npz").unlink()  # as after a kill between the two
    told(sweep)
    assert not set(fits) & set(always())
    (ended.kept / "rival-ridge.npz").unlink()
    told(sweep)
    assert [name for name in fits if name in always()] == ["ridge"]
    assert contents(ended.kept) == before


def test_what_is_damaged_is_told_and_made_again(ended, sweep):
    told(sweep)
    before = contents(ended.kept)
    for name in ("judged.npz", "rival-ridge.npz"):
        content = bytearray(before[name])
        content[len(content) // 2] ^= 1
        (ended.kept / name).write_bytes(content)
        answer = sweep("rivals", "tiny")
        assert answer.code == 0
        assert name in answer.err
        assert contents(ended.kept) == before


def test_what_is_another_studys_is_refused_and_left(ended, sweep):
    told(sweep)
    path = ended.kept / "judged.npz"
    judged = store.loads(path.read_bytes())
    foreign = store.dumps(store.Judgements("another", judged.data, judged.metric, judged.blocks, judged.entries))
    path.write_bytes(foreign)
    answer = sweep("rivals", "tiny")
    assert (answer.code, answer.out) == (2, "")
    assert "another" in answer.err
    assert path.read_bytes() == foreign


def test_a_file_of_a_newer_version_is_refused(ended, sweep, monkeypatch):
    told(sweep)
    path = ended.kept / "judged.npz"
    with monkeypatch.context() as newer:
        newer.setattr(store, "FORMAT", 2)
        content = store.dumps(store.loads(path.read_bytes()))
    path.write_bytes(content)
    answer = sweep("rivals", "tiny")
    assert (answer.code, answer.out) == (2, "")
    assert "judged.npz" in answer.err
    assert path.read_bytes() == content


def test_changed_data_or_another_spec_are_refused(ended, sweep):
    data, spec = (ended.folder / "tiny.csv"), (ended.folder / "tiny.yaml")
    data.write_text(data.read_text().replace("2020-01-05,", "2020-01-05,1"))
    answer = sweep("rivals", "tiny")
    assert (answer.code, answer.out) == (2, "")
    assert "data" in answer.err
    assert judged_files(ended.kept) == []
    data.write_text(data.read_text().replace("2020-01-05,1", "2020-01-05,"))
    spec.write_text(spec.read_text().replace("horizon: 3", "horizon: 4"))
    answer = sweep("rivals", "tiny.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert "data.horizon" in answer.err
    assert sweep("rivals", "tiny").code == 0  # as it was run


def test_a_name_of_nothing_is_refused(ended, sweep):
    assert sweep("rivals", "tinny").code == 2
    assert sweep("rivals", "tiny", "--budget", "-1").code == 2
    assert judged_files(ended.kept) == []


def test_another_driver_keeps_it_from_judging(ended, sweep):
    with Lease(f"sqlite:///{ended.folder}/runs/study.db", "tiny", lost=print, stop=lambda: None):
        answer = sweep("rivals", "tiny")
    assert (answer.code, answer.out) == (3, "")
    assert str(os.getpid()) in answer.err
    assert judged_files(ended.kept) == []


def test_a_rival_that_fails_is_told_and_the_others_stand(ended, sweep, monkeypatch):
    ridge = registry.rival("forecast", "ridge")

    def fit(*_):
        raise np.linalg.LinAlgError("a singular matrix")

    with monkeypatch.context() as broken:
        broken.setattr(type(ridge), "fit", fit)
        answer = sweep("rivals", "tiny")
        assert answer.code == 0
        assert "a singular matrix" in answer.out
        rows = {row["name"]: row for row in told(sweep)["rows"]}
    assert "a singular matrix" in rows["ridge"]["why"]
    assert rows["last value"]["test"] is not None
    found = told(sweep)  # it is tried again
    assert found["best"].startswith("ridge on")


def test_no_completed_trial_still_has_rivals(folder, sweep, tiny):
    code, document = ran(folder, DIVERGES + SEARCH[: SEARCH.index("  space")] + RATE, tiny.rows(400))
    assert document["best"] is None, document
    assert judged_files(folder / "runs" / "tiny") == [] or code == 0
    found = told(sweep)
    assert found["answer"] == "none"
    assert found["best"].startswith("ridge on")
    (base,) = [row for row in found["rows"] if row["role"] == "base"]
    assert "diverged" in base["why"]
    assert not any(row["role"] == "network" for row in found["rows"])


def test_a_single_training_is_held_against_the_rivals(folder, sweep, tiny):
    code, document = ran(folder, SPEC, tiny.rows(400))
    assert code == 0, document
    found = told(sweep)
    assert (found["searched"], found["answer"]) == (False, "worse")
    assert not any(row["role"] == "base" for row in found["rows"])
