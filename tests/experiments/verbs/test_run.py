"""What a whole sweep leaves: on the screen, in its folder, in MLflow."""

import fcntl
import json
import os
import re
import sqlite3
import subprocess
import sys
import termios
from io import StringIO
from types import SimpleNamespace

import forking
import pytest
from audit import audit
from rich.console import Console

from cluster.worker import TrialWorker
from experiments.verbs import run as verb
from lstm.tasks.registry import TASKS

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@pytest.fixture(scope="module")
def mlflow(finished):
    """Asks MLflow's database of the finished sweep."""
    store = sqlite3.connect(f"file:{finished.home / 'mlflow.db'}?mode=ro", uri=True)
    yield lambda query, *values: store.execute(query, values).fetchall()
    store.close()


@pytest.fixture(scope="module")
def runs(mlflow):
    """The runs by their experiment's name: [(id, status, tags, params)]."""

    def runs(name):
        rows = mlflow(
            "SELECT run_uuid, status FROM runs JOIN experiments USING (experiment_id) "
            "WHERE experiments.name = ? AND runs.lifecycle_stage = 'active' ORDER BY start_time",
            name,
        )
        pairs = {kind: f"SELECT key, value FROM {kind} WHERE run_uuid = ?" for kind in ("tags", "params")}
        return [(run, status, *(dict(mlflow(query, run)) for query in pairs.values())) for run, status in rows]

    return runs


def test_plain_lines_where_there_is_no_terminal(finished):
    out, err = finished.first.out, finished.first.err
    assert err == ""
    assert CONTROL.search(out) is None
    lines = out.splitlines()
    assert lines[0] == "tiny: 3 trials"
    assert sum(bool(re.match(r"trial \d starts on .* pid \d+: hidden_size=\d  learning_rate=", x)) for x in lines) == 3
    ends = [x for x in lines if re.match(r"\[\d/3\] trial \d COMPLETE val/loss [\d.]+ at epoch [12]", x)]
    assert [x[:5] for x in ends] == ["[1/3]", "[2/3]", "[3/3]"]
    assert ends[0].endswith("  ← best so far")
    for word in ("All trials have ended.", "sweep ui tiny", "sweep compare tiny", "sweep predict tiny --output"):
        assert word in out
    assert "--home" not in out
    assert "/#/experiments/" in out


def test_a_live_table_on_a_terminal(finished):
    shown = finished.second.shown
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "\x1b[2K" in shown  # it is drawn over itself
    assert re.search(r"tiny  ━+[╺╸]?━*  3/4", text)
    assert re.search(r"complete 3  running 1\b", text)
    assert re.search(r"trial  epoch  val/loss  for +worker +settings", text)
    assert re.search(r"\r\n4 +[012]/2 .*pid \d+  hidden_size=\d", text)
    assert re.search(r"best val/loss [\d.]+: trial \d, epoch [12]", text)
    assert "All trials have ended." in text
    assert "tiny: 4 complete of 4" in text
    for line in text.replace("\r", "\n").splitlines():
        assert len(line) <= 80 or "/" in line  # an address is never cut


def test_over_ray_there_is_no_chatter_but_in_the_log_and_no_module_of_the_folder(over_ray, finished):
    assert over_ray.code == 0, over_ray.shown
    assert "starting workers …" in over_ray.shown
    assert "tiny: 4 complete of 4" in over_ray.shown
    assert list(over_ray.folder.glob("imported-*")) == []
    for text in (over_ray.shown, finished.first.out, finished.second.shown):
        for word in ("ray", "Ray", "Tune", "WARNING", "INFO", "alembic", "optuna", "Traceback"):
            assert re.search(rf"\b{word}\b", text) is None, word
    assert (over_ray.home / "tiny" / "sweep.log").is_file()


def test_the_home_holds_what_design_says(finished):
    assert {p.name for p in finished.home.iterdir()} == {"home.json", "mlflow.db", "artifacts", "study.db", "tiny"}
    study = json.loads((finished.home / "tiny" / "addresses.json").read_text())["study_id"]
    kept = {"spec.yaml", "origin.json", "addresses.json", "sweep.log", "report.html"}
    always = [each.name for each in TASKS["forecast"].rivals() if not each.needs]
    judged = {"judged.npz", *(f"rival-{name}.npz" for name in always)}
    assert {p.name for p in (finished.home / "tiny").iterdir()} == {study} | kept | judged
    trials = {f"trial-{number:04}" for number in range(5)}
    assert {p.name for p in (finished.home / "tiny" / study).iterdir()} == trials | {"study.json"}
    assert (finished.home / "tiny" / "spec.yaml").read_text() == (finished.folder / "tiny.yaml").read_text()


def test_run_again_is_quick_and_says_so(finished, near):
    before = (finished.home / "study.db").read_bytes()
    with finished.alone:
        answer = near("run", "tiny.yaml", cwd=finished.folder)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.lstrip().startswith("This sweep is complete; nothing was left to do.\ntiny: 4 complete of 4\n")
    assert (finished.home / "study.db").read_bytes() == before
    with finished.alone:
        as_document = near("run", "tiny", "--json", cwd=finished.folder)
    document = json.loads(as_document.out)
    assert (document["exit_code"], document["states"]) == (0, {"COMPLETE": 4})
    assert document["chart"].startswith("http://127.0.0.1:5000/#/experiments/")


@pytest.mark.parametrize(
    ("store", "lines"),
    [
        ("http://mlflow:5000", ["Curves, side by side   http://chart"]),
        ("sqlite:///own.db", ["Curves, side by side   sweep ui co2", "                       opens http://chart"]),
    ],
)
def test_the_address_of_the_curves_has_its_label(tmp_path, store, lines):
    home = SimpleNamespace(flag="", tracking_uri="sqlite:///own.db", sweep=lambda name: tmp_path / name)
    plan = SimpleNamespace(order=SimpleNamespace(name="co2"), home=home, tracking_uri=store)
    shown = StringIO()
    verb._show_next(plan, {"chart": "http://chart", "best": None}, Console(file=shown, width=80))
    assert shown.getvalue().splitlines()[1 : 1 + len(lines)] == lines


def test_a_changed_spec_is_refused_and_the_change_named(copied, sweep, finished):
    answer = sweep("run", "tiny.yaml", "--set", "training.max_epochs=3", "--set", "search.n_trials=9")
    assert (answer.code, answer.out) == (2, "")
    head, *changes = answer.err.splitlines()
    assert head.startswith("tiny: ")
    assert [change.partition("; ")[0] for change in changes] == ["training.max_epochs: was 2, is 3"]
    (copied.folder / "tiny.csv").write_text((copied.folder / "tiny.csv").read_text() + "2020-10-27,50\n")
    assert "\ndata: " in sweep("run", "tiny.yaml").err
    assert json.loads((copied.home / "tiny" / "origin.json").read_text())["overrides"] == []


def test_the_home_is_named_where_it_is_not_the_usual_one(copied, sweep, capfd):
    copied.home.rename(copied.folder / "my runs")
    assert sweep("run", "tiny.yaml", "--in-process", "--home", "my runs").code == 0
    assert f"sweep compare tiny --home '{copied.folder}/my runs'\n" in capfd.readouterr().out
    assert sweep("run", "tiny.yaml", SWEEP_HOME="my runs").code == 0
    assert "--home" not in capfd.readouterr().out


def test_a_sweep_that_is_refused_late_leaves_no_trace(folder, sweep, monkeypatch):
    from cluster import driver as sweeps
    from lstm.records.errors import BadInput

    def refuse(*_, **__):
        raise BadInput("no node has what a trial needs")

    monkeypatch.setattr(sweeps, "run", refuse)
    assert sweep("run", "tiny.yaml", "--home", "deep/runs").code == 2
    assert not (folder / "deep").exists()
    assert sweep("train", "tiny.yaml").code == 0
    before = sorted(p for p in folder.rglob("*"))
    assert sweep("run", "tiny.yaml").err == "no node has what a trial needs\n"
    assert sorted(p for p in folder.rglob("*")) == before


def test_a_sweep_that_has_started_is_never_cleaned_away(folder, sweep, monkeypatch):
    from cluster import driver as sweeps
    from lstm.records.errors import BadInput
    from lstm.records.events import SweepStarted

    def fail(order, series, record, memory, **_):
        record(SweepStarted("tiny", 4, "val/loss", "minimize", 0))
        (folder / "runs" / "tiny" / "trial-0000").mkdir()
        raise BadInput("a late word")

    monkeypatch.setattr(sweeps, "run", fail)
    assert sweep("run", "tiny.yaml").code == 2
    assert (folder / "runs" / "tiny" / "trial-0000").is_dir()


def test_a_sweep_that_has_reached_its_target_is_complete(copied, sweep, capfd):
    assert sweep("run", "tiny.yaml", "--set", "search.n_trials=9", "--set", "search.stop.target=5").code == 0
    assert "This sweep is complete; nothing was left to do." in capfd.readouterr().out


def test_overrides_are_kept_with_a_name(copied, sweep):
    assert sweep("run", "tiny.yaml", "--set", "search.n_trials=3").code == 0
    assert sweep("run", "tiny", "--set", "resources.cpus_per_trial=1").code == 0
    origin = json.loads((copied.home / "tiny" / "origin.json").read_text())
    assert origin["overrides"] == ["search.n_trials=3", "resources.cpus_per_trial=1"]


def test_one_run_of_the_sweep_in_mlflow(finished, runs, mlflow):
    ((run, status, tags, _),) = runs("sweeps")
    assert status == "FINISHED"
    assert tags["sweep.name"] == "tiny"
    text = json.dumps(tags)
    study = sqlite3.connect(f"file:{finished.home / 'study.db'}?mode=ro", uri=True)
    facts = dict(study.execute("SELECT key, value_json FROM study_user_attributes").fetchall())
    study.close()
    assert json.loads(facts["spec_hash"]) in text
    assert json.loads(facts["data_fingerprint"]) in text
    best = mlflow("SELECT step, value FROM metrics WHERE run_uuid = ? AND key = 'best' ORDER BY step", run)
    assert len(best) >= 1
    assert [value for _, value in best] == sorted((value for _, value in best), reverse=True)
    artifacts = {str(p.relative_to(finished.home / "artifacts" / run / "artifacts")): p
                 for p in (finished.home / "artifacts" / run).rglob("*") if p.is_file()}  # fmt: skip
    assert artifacts.keys() == {"report.html", "spec.yaml", tags["sweep.picture"]}
    assert any("name: tiny" in p.read_text() for name, p in artifacts.items() if name.endswith(".yaml"))
    assert "cdn" not in re.sub(r"(?s)<script.*?</script>", "", artifacts["report.html"].read_text())


def test_a_run_of_each_trial_in_mlflow(finished, runs, mlflow):
    ((parent, *_),) = runs("sweeps")
    trials = runs("tiny")
    assert len(trials) == 5, "the base's, too"
    for run, status, tags, params in trials:
        assert status == "FINISHED"
        assert tags["mlflow.parentRunId"] == parent
        assert {"model.hidden_size", "training.learning_rate", "data.target"} <= params.keys()
        curves = {}
        for key, step in mlflow("SELECT key, step FROM metrics WHERE run_uuid = ? ORDER BY step", run):
            curves.setdefault(key, []).append(step)
        for key in ("train/loss", "val/loss", "val/mae_original", "lr", "grad_norm", "epoch_s"):
            assert curves[key] == [1, 2], key
        assert (finished.home / "artifacts" / run / "artifacts" / "config.yaml").is_file()


def test_the_best_trials_checkpoint_is_an_artifact(finished, runs, sweep, monkeypatch):
    monkeypatch.chdir(finished.folder)
    best = json.loads(sweep("best", "tiny", "--json").out)["best"]["trial"]
    holding = [
        tags["mlflow.runName"]
        for run, _, tags, _ in runs("tiny")
        if list((finished.home / "artifacts" / run).rglob("*.pt"))
    ]
    held = [int(re.search(r"\d+", name)[0]) for name in holding]
    assert best in held
    assert len(held) <= 2, "the best of the first run's three trials, too"


def test_no_other_experiments_in_mlflow(mlflow):
    assert mlflow("SELECT COUNT(*) FROM experiments WHERE name IN ('sweeps', 'tiny')") == [(2,)]


@pytest.mark.faults
def test_a_smoke_test_of_a_long_sweep_runs_goes_on_and_is_extended(folder, command):
    long = (folder / "tiny.yaml").read_text().replace("max_epochs: 2", "max_epochs: 9, patience: 4")
    long = long.replace("{type: random, seed: 3}", "{type: tpe, seed: 3, n_startup_trials: 3}")
    long = long.replace("  space:", "  pruner: {type: successive_halving, min_resource: 2}\n  space:")
    (folder / "tiny.yaml").write_text(long)
    lines = (folder / "tiny.csv").read_text().splitlines(keepends=True)
    lines[200] = lines[200].partition(",")[0] + ",-9999\n"
    (folder / "tiny.csv").write_text("".join(lines))
    asked = ("--set", "training.max_epochs=1", "--set", "search.n_trials=2", "--json")
    first = command("run", "tiny.yaml", *asked, cwd=folder)
    assert first.code == 0, first.err
    document = json.loads(first.out)
    assert (document["states"], document["best"]["config"]["training"]["patience"]) == ({"COMPLETE": 2}, None)
    named = {"training.patience", "search.pruner", "search.sampler.n_startup_trials"}
    assert named <= {note["path"] for note in document["warnings"]}
    screen = " ".join(first.err.split())
    assert all(f"{note['path']}: {note['message']}" in screen for note in document["warnings"] if note["path"])
    for again in (("run", "tiny.yaml", *asked), ("run", "tiny", "--json")):
        answer = command(*again, cwd=folder)
        assert (answer.code, json.loads(answer.out)["states"]) == (0, {"COMPLETE": 2}), answer.err
    more = command("run", "tiny", "--set", "search.n_trials=3", "--json", cwd=folder)
    assert (more.code, json.loads(more.out)["states"]) == (0, {"COMPLETE": 3}), more.err


# --- Without Ray, in the command's own process.

HERE = """
import atexit, sys
from pathlib import Path
from experiments.cli import main
atexit.register(lambda: Path("modules").write_text("\\n".join(sys.modules)))
main(["run", "tiny.yaml", "--in-process", "--set", "search.n_trials=2"], prog_name="sweep")
"""


def rows_of(answer):
    rows = json.loads(answer.out)["trials"]
    return {row["trial"]: [row[name] for name in ("state", "parameters", "value", "best_epoch")] for row in rows}


def test_in_process_a_sweep_is_what_it_is_with_ray_and_ray_is_not_imported(over_ray, folder, sweep):
    done = subprocess.run([sys.executable, "-P", "-c", HERE], capture_output=True, text=True, timeout=250, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    modules = (folder / "modules").read_text().splitlines()
    assert [name for name in modules if name.split(".")[0] == "ray"] == []
    assert {"torch", "optuna", "mlflow"} <= set(modules)
    assert "sklearn" not in modules  # which takes a second
    assert "All trials have ended." in done.stdout
    every = ("--json", "--trials", "0")
    ours, rays = sweep("compare", "tiny", *every), sweep("compare", "tiny", "--home", over_ray.home, *every)
    assert rows_of(ours).keys() == {0, 1, 2}
    assert rows_of(ours).items() <= rows_of(rays).items(), "of which there are more"
    answer = sweep("verify", "tiny")
    assert answer.code == 0, answer.out
    assert audit(folder / "runs", "tiny") == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--address", "auto"], ["--address auto"]),
        (["--address", ""], ["--address"]),
        (["--set", "resources.max_concurrent=2"], ["--set resources.max_concurrent"]),
        (
            ["--address", "host:6379", "--set", "resources.max_concurrent=1"],
            ["--address host:6379", "--set resources.max_concurrent"],
        ),
        (["--set", "resources.cpus_per_trial=1000"], ["resources", "1000"]),
        (["--set", "resources.gpus_per_trial=1"], ["resources"]),
    ],
)
def test_in_process_what_would_do_nothing_or_is_not_here_is_refused(folder, sweep, monkeypatch, words, named):
    monkeypatch.setattr("lstm.device.gpu_count", lambda: 0)
    answer = sweep("run", "tiny.yaml", "--in-process", *words)
    assert (answer.code, answer.out) == (2, "")
    assert all(name in answer.err for name in named)
    assert not (folder / "runs").exists()


def test_in_process_a_breakpoint_talks_with_the_terminal_and_who_leaves_it_interrupts(folder, sweep):
    (folder / "tiny.yaml").write_text((folder / "tiny.yaml").read_text().replace("batch_size: 16,", "batch_size: 32,"))
    train = TrialWorker._train
    asked = iter((b"p worker._order['number'] + 41\n", b"q\n"))
    answered = 0

    def looks(worker, epochs):
        if worker._order["number"] == 1:
            breakpoint()
        return train(worker, epochs)

    def before():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        sys.breakpointhook = sys.__breakpointhook__  # pytest has its own
        TrialWorker._train = looks

    def answers(shown):
        nonlocal answered
        if shown.count(b"(Pdb) ") == answered:
            return b""
        answered += 1
        return next(asked)

    words = ["run", "tiny.yaml"]
    own = {name: value for name, value in os.environ.items() if name != "PYTHONBREAKPOINT"}  # Ray sets its own
    ended = forking.on_terminal(words, folder, own, answers=answers, before=before, is_debugged=True)
    assert "42" in ended.shown.split("(Pdb) ")[1]
    assert ended.code == 130, ended.shown
    states = {number: row[0] for number, row in rows_of(sweep("compare", "tiny", "--json", "--trials", "0")).items()}
    assert states == {0: "COMPLETE", 1: "RUNNING"}, "it stays to be gone on with"
