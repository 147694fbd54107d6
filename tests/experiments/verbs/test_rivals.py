"""What is judged beside the network, by `sweep rivals`, at the end of `sweep run`, in `best` and `verify`."""

import json
import math
import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import mlflow.tracking  # noqa: F401 # takes its time: once here, not in each child
import numpy as np
import pytest
import twin
from audit import audit

from cluster.study import stored
from cluster.study.lease import Lease
from cluster.worker import TrialWorker
from dashboards.tracking import runs
from experiments.cli import main
from lstm import ownership
from lstm.config.section import File
from lstm.config.trial import TrialConfig
from lstm.tasks import registry as tasks
from lstm.tasks.registry import TASKS
from lstm.verdict import fitting, store

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
pytestmark = pytest.mark.usefixtures("blank_pages")
RATE = "  space: {training.learning_rate: {type: float, low: 9, high: 10}}\n"


def ran(folder, spec, data, fault=lambda: None):
    """A sweep run to its end in a child, without Ray; its code, what the last screen's document says, and the screen.

    `fault` is done in the child before.
    """
    (folder / "tiny.yaml").write_text(spec)
    (folder / "tiny.csv").write_text(data)

    def act():
        os.chdir(folder)
        fault()
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        main(["run", "tiny.yaml", "--in-process", "--json"], prog_name="sweep")

    code = twin.forked(act, folder / "log")
    text = (folder / "out").read_text()
    return code, json.loads(text) if text else None, (folder / "err").read_text()


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny):
    """A sweep of one trial and the base that has ended: `folder`, and the last screen's `document`."""
    folder = tmp_path_factory.mktemp("rivals")
    code, document, screen = ran(folder, SPEC + SEARCH.replace("n_trials: 2", "n_trials: 1"), tiny.rows(400))
    assert code == 0, screen
    return SimpleNamespace(folder=folder, kept=folder / "runs" / "tiny", document=document, screen=screen)


@pytest.fixture
def whole(made, monkeypatch):
    """The same, in the working folder; put back afterwards."""
    monkeypatch.chdir(made.folder)
    monkeypatch.delenv("SWEEP_HOME", raising=False)
    before = {path: path.read_bytes() for path in (*made.folder.glob("*"), *made.kept.glob("*")) if path.is_file()}
    yield made
    for path in judged_files(made.kept):
        path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


@pytest.fixture
def ended(whole):
    """The same without a verdict, as an earlier version leaves it."""
    for path in judged_files(whole.kept):
        path.unlink()
    return whole


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
    found, run = [], fitting.run

    def counted(name, *rest):
        found.append(name)
        return run(name, *rest)

    monkeypatch.setattr(fitting, "run", counted)
    return found


def always(task="forecast"):
    return [each.name for each in TASKS[task].rivals() if not each.needs]


def test_a_run_ends_with_the_verdict_and_best_shows_it(whole, sweep, fits):
    found = whole.document["verdict"]
    assert found["answer"] in ("better", "worse", "alike")
    assert "fitting rivals" in whole.screen
    before = contents(whole.kept)
    assert told(sweep) == found
    assert not set(fits) & set(always())
    assert contents(whole.kept) == before
    assert json.loads(sweep("best", "tiny", "--json").out)["verdict"] == found
    text = sweep("best", "tiny").out
    assert all(line in text for line in found["lines"])
    assert all(row["name"] in text for row in found["rows"])
    assert text.count("than the base") == 1
    for path in judged_files(whole.kept):
        path.unlink()
    assert told(sweep) == found
    assert contents(whole.kept) == before, "judged again, to the same bytes"


@pytest.mark.parametrize("change", ["gone", "damaged", "another trial", "another figure", "other data", "another base"])
def test_best_shows_no_verdict_that_is_not_of_now(whole, sweep, change):
    path = whole.kept / "judged.npz"
    judged = store.loads(path.read_bytes())
    network, base, *rest = judged.entries
    items = {part: replace(each, errors={"loss": each.errors["loss"] * 1.01}) for part, each in network.items.items()}
    figures = {part: {"loss": each["loss"] * 1.01} for part, each in network.figures.items()}
    made = {
        "another trial": replace(judged, entries=(replace(network, trial=99), base, *rest)),
        "another figure": replace(judged, entries=(replace(network, items=items, figures=figures), base, *rest)),
        "another base": replace(judged, entries=(network, replace(base, trial=98), *rest)),
        "other data": replace(judged, data="0" * 64),
    }
    content = store.dumps(made[change]) if change in made else path.read_bytes()[:-9]
    path.write_bytes(content) if change != "gone" else path.unlink()
    document = sweep("best", "tiny", "--json")
    assert document.code == 0
    assert json.loads(document.out)["verdict"] is None
    text = sweep("best", "tiny").out
    assert "judged.npz" in text if change in ("damaged", "other data") else "sweep rivals tiny" in text
    assert "is the network" not in text.lower()


def test_verify_finds_what_is_wrong_and_says_what_mends_it(whole, sweep):
    for what in ("judged.npz", "rival-ridge.npz", "figure", "foreign", "renamed"):
        found_and_mended(whole, sweep, what)
    assert sweep("verify", "tiny").code == 0


def found_and_mended(whole, sweep, what):
    path = whole.kept / (what if what.endswith(".npz") else "judged.npz")
    content = path.read_bytes()
    judged = store.loads((whole.kept / "judged.npz").read_bytes())
    network, *rest = judged.entries
    if what == "figure":
        items = {part: replace(i, errors={"loss": i.errors["loss"] * 1.01}) for part, i in network.items.items()}
        figures = {part: {"loss": each["loss"] * 1.01} for part, each in network.figures.items()}
        path.write_bytes(store.dumps(replace(judged, entries=(replace(network, items=items, figures=figures), *rest))))
    elif what == "foreign":
        path.write_bytes(store.dumps(replace(judged, study="another")))
    elif what == "renamed":
        path = whole.kept / "rival-last value.npz"
        content = path.read_bytes()
        path.write_bytes((whole.kept / "rival-ridge.npz").read_bytes())
    else:
        path.write_bytes(content[: len(content) // 2])
    answer = sweep("verify", "tiny", "--json")
    findings = json.loads(answer.out)["findings"]
    assert (answer.code, len(findings)) == (1, 1), what
    assert path.name in findings[0]["what"], what
    assert "`sweep rivals tiny`" in findings[0]["mend"], what
    if what == "foreign":
        path.unlink()
    assert sweep("rivals", "tiny").code == 0, what
    assert path.read_bytes() == content, what


def in_mlflow(folder):
    """The rivals' figures of the sweep's run, and the verdict between the other lines of its description."""
    client = runs.connect(f"sqlite:///{folder}/runs/mlflow.db")
    study_id = str(stored.read(f"sqlite:///{folder}/runs/study.db", "tiny").facts["id"])
    (run,) = [run for run in runs.of_sweep(client, "tiny", study_id) if "sweep.trial" not in run.data.tags]
    figures = {name: value for name, value in run.data.metrics.items() if name.startswith("rival/")}
    return figures, run.data.tags["mlflow.note.content"].split("\n\n")[1:-1]


def test_mlflow_has_rivals_and_the_verdict_and_verify_finds_nothing(whole, sweep):
    figures, said = in_mlflow(whole.folder)
    judged = store.loads((whole.kept / "judged.npz").read_bytes())
    rivals = [entry for entry in judged.entries if entry.rival and entry.items]
    assert figures == {f"rival/{e.rival}/{name}": v for e in rivals for name, v in e.figures["test"].items()}
    assert said == whole.document["verdict"]["lines"]
    assert sweep("verify", "tiny").code == 0


def test_a_sweep_that_was_ended_before_gets_them_later(ended, sweep):
    wanted = in_mlflow(ended.folder)
    assert sweep("rebuild", "tiny").code == 0
    assert in_mlflow(ended.folder) == ({}, [])
    assert sweep("verify", "tiny").code == 0
    told(sweep)
    assert in_mlflow(ended.folder) == wanted
    assert sweep("verify", "tiny").code == 0


def test_rebuild_leaves_what_was_judged(whole, sweep):
    before, wanted = contents(whole.kept), in_mlflow(whole.folder)
    assert sweep("rebuild", "tiny").code == 0
    assert contents(whole.kept) == before
    assert in_mlflow(whole.folder) == wanted
    assert sweep("verify", "tiny").code == 0
    assert json.loads(sweep("best", "tiny", "--json").out)["verdict"] == whole.document["verdict"]


def test_predict_by_a_rival(whole, sweep):
    answer = sweep("predict", "tiny", "--model", "seasonal naive")
    assert (answer.code, answer.err) == (0, "")
    data = [float(line.rpartition(",")[2]) for line in (whole.folder / "tiny.csv").read_text().splitlines()[1:]]
    made = [float(line.rpartition(",")[2]) for line in answer.out.splitlines()[1:]]
    assert made == pytest.approx(data[-7:-4], rel=1e-5)
    document = json.loads(sweep("predict", "tiny", "--model", "ridge", "--json").out)
    assert (document["model"], len(document["forecast"]["load"])) == ("ridge", 3)
    assert "trial" not in document
    # The data are a sine of 14 pi days and a step of five: a linear map of enough of them knows the next ones.
    assert document["forecast"]["load"] == pytest.approx(data_after(len(data), 3), abs=0.05)


def data_after(count, steps):
    return [50 + 10 * math.sin(day / 7 * 2 * math.pi) + day % 5 / 10 for day in range(count, count + steps)]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--model", "rige"], "ridge"),
        (["--model", "AutoETS"], "--model"),
        (["--model", "ridge", "--trial", "1"], "--trial"),
        (["--model", "ridge", "--steps", "5"], "--steps"),
    ],
)
def test_predict_by_what_does_not_forecast_is_refused(whole, sweep, words, named):
    answer = sweep("predict", "tiny", *words)
    assert (answer.code, answer.out) == (2, "")
    assert named in answer.err


def test_predict_by_a_rival_that_was_not_fitted_names_what_fits_it(ended, sweep):
    answer = sweep("predict", "tiny", "--model", "ridge")
    assert (answer.code, answer.out) == (2, "")
    assert "sweep rivals tiny" in answer.err


def test_an_interrupted_run_fits_none_and_later_ones_judge_what_a_killed_one_and_a_full_disk_left(folder, sweep, tiny):
    def interrupts():
        train = TrialWorker._train

        def interrupted(worker, epochs):
            if worker._order["number"] == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return train(worker, epochs)

        TrialWorker._train = interrupted

    def dies():
        write = store.write_fitted

        def killed(address, fitted, *rest):
            write(address, fitted, *rest)
            if fitted.name == "mean of two seasons":
                twin.kill()

        store.write_fitted = killed

    def full():
        store.write = lambda *_: twin.full()

    kept = folder / "runs" / "tiny"
    code, document, screen = ran(folder, SPEC + SEARCH, tiny.rows(400), interrupts)
    assert code == 130, screen
    assert document["verdict"] is None
    assert "rivals" not in screen
    assert judged_files(kept) == []
    code, *_ = ran(folder, SPEC + SEARCH, tiny.rows(400), dies)
    assert code == -signal.SIGKILL
    before = {path: path.stat().st_mtime_ns for path in judged_files(kept)}
    assert [path.name for path in before] == sorted(f"rival-{name}.npz" for name in always()[:-1])
    code, document, screen = ran(folder, SPEC + SEARCH, tiny.rows(400), full)
    assert (code, document["verdict"]) == (0, None), "rivals that can't be judged cost no sweep"
    assert document["best"]["metrics"]["test/loss"] > 0
    (line,) = [line for line in screen.splitlines() if "No space left" in line]
    assert "sweep rivals tiny" in line
    code, document, screen = ran(folder, SPEC + SEARCH, tiny.rows(400))
    assert (code, document["states"]) == (0, {"COMPLETE": 2}), screen
    assert {path: path.stat().st_mtime_ns for path in before} == before
    files = contents(kept)
    for path in judged_files(kept):
        path.unlink()
    assert told(sweep) == document["verdict"]
    assert contents(kept) == files


def test_the_figures_are_those_of_the_task(ended, sweep):
    found = told(sweep)
    swept = stored.read(f"sqlite:///{ended.folder}/runs/study.db", "tiny")
    judged = store.read(str(ended.kept), ownership.studies_of(swept.facts), swept.facts["data_fingerprint"])
    base = TrialConfig.model_validate(swept.facts["base"])
    data = tasks.load(base, File(path=str(ended.folder / "tiny.csv")), 21)
    entries = {entry.role: entry for entry in judged.entries}
    for role, trial in (("network", swept.best), ("base", swept.base)):
        checkpoint = ownership.load_trial(swept, trial)
        feed = tasks.of(checkpoint.config).feed(data, checkpoint.config, "cpu")
        for part in store.PARTS:
            wanted = feed.evaluate(tasks.best_network(checkpoint), part)
            assert dict(entries[role].figures[part]) == pytest.approx(wanted, rel=1e-5)
            assert entries[role].items[part].mean("loss") == pytest.approx(wanted["loss"], rel=1e-5)
        assert entries[role].figures["validation"]["loss"] == pytest.approx(trial.value, rel=1e-5)
    naive = next(entry for entry in judged.entries if entry.rival == "seasonal naive")
    wanted = tasks.of(base).baseline_metrics(data, base, "test")
    assert {name: naive.figures["test"][name] for name in wanted} == pytest.approx(wanted, rel=1e-6)
    rows = {row["name"]: row for row in found["rows"]}
    network = rows[f"trial {swept.best.number}"]
    assert network["test"] == pytest.approx(ended.document["best"]["metrics"]["test/loss"], rel=1e-5)
    assert rows["base"]["trial"] == swept.base.number
    assert found["length"] == 10
    assert [row["rivals"] for row in found["rows"] if row["role"] == "rival"] == [
        [name] for name in [each.name for each in TASKS["forecast"].rivals()]
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


def test_what_is_damaged_is_told_and_made_again(whole, sweep):
    before = contents(whole.kept)
    for name in ("judged.npz", "rival-ridge.npz"):
        content = bytearray(before[name])
        content[len(content) // 2] ^= 1
        (whole.kept / name).write_bytes(content)
        answer = sweep("rivals", "tiny")
        assert answer.code == 0
        assert name in answer.err
        assert contents(whole.kept) == before


def test_a_rivals_file_that_is_not_what_was_judged_is_found_and_fitted_again(whole, sweep):
    before = contents(whole.kept)
    judged = store.loads(before["judged.npz"])
    fitted = store.read_fitted(str(whole.kept), "ridge")
    arrays = {name: array + 1 if array.dtype.kind == "f" else array for name, array in fitted.arrays.items()}
    store.write_fitted(str(whole.kept), replace(fitted, arrays=arrays), judged.study, judged.data)
    assert contents(whole.kept) != before
    answer = sweep("rivals", "tiny")
    assert answer.code == 0
    assert "rival-ridge.npz" in answer.err
    assert contents(whole.kept) == before


def test_what_another_version_judged_without_saying_what_was_fitted_is_sound(whole, sweep):
    path = whole.kept / "judged.npz"
    content = path.read_bytes()
    now = store.loads(content)
    assert all(entry.fitted for entry in now.entries if entry.rival and entry.items)
    before = replace(now, entries=tuple(replace(entry, fitted="") for entry in now.entries))
    path.write_bytes(store.dumps(before))
    assert [f for f in json.loads(sweep("verify", "tiny", "--json").out)["findings"] if "npz" in f["what"]] == []
    told(sweep)
    assert path.read_bytes() == content, "it says so from now on"


def test_what_is_another_studys_is_refused_and_left(whole, sweep):
    path = whole.kept / "judged.npz"
    judged = store.loads(path.read_bytes())
    foreign = store.dumps(replace(judged, study="another"))
    path.write_bytes(foreign)
    answer = sweep("rivals", "tiny")
    assert (answer.code, answer.out) == (2, "")
    assert "another" in answer.err
    assert path.read_bytes() == foreign


def test_a_file_of_a_newer_version_is_refused(whole, sweep, monkeypatch):
    path = whole.kept / "judged.npz"
    with monkeypatch.context() as newer:
        newer.setattr(store, "FORMAT", store.FORMAT + 1)
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
    ridge = TASKS["forecast"].rival("ridge")

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
    code, document, _ = ran(folder, DIVERGES + SEARCH[: SEARCH.index("  space")] + RATE, tiny.rows(400))
    assert document["best"] is None
    found = told(sweep)
    assert document["verdict"] == (found if code == 0 else None)
    assert found["answer"] == "none"
    assert found["best"].startswith("ridge on")
    (base,) = [row for row in found["rows"] if row["role"] == "base"]
    assert "diverged" in base["why"]
    assert not any(row["role"] == "network" for row in found["rows"])


def test_a_single_training_has_no_base_and_is_held_against_the_rivals(folder, sweep, tiny):
    code, document, screen = ran(folder, SPEC, tiny.rows(400))
    assert code == 0, screen
    found = told(sweep)
    assert document["verdict"] == found
    assert (found["searched"], found["answer"]) == (False, "worse")
    assert not any(row["role"] == "base" for row in found["rows"])
    assert document["base"] is None
    assert "own settings" not in sweep("best", "tiny").out
    assert sweep("verify", "tiny").code == 0
    assert audit(folder / "runs", "tiny") == []


def test_a_colleagues_home_is_made_where_it_is_missing(copied, sweep):
    shared = f"storage: {{study: '{copied.url}', checkpoints: '{copied.home}'}}\n"
    (copied.folder / "shared.yaml").write_text((copied.folder / "tiny.yaml").read_text() + shared)
    answer = sweep("rivals", "shared.yaml", "--home", "other")
    assert answer.code == 0, answer.err
    assert (copied.folder / "other" / "tiny" / "judged.npz").is_file()
