import contextlib
import dataclasses
import json
import os
import shutil
import signal
import tempfile
import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import twin
from audit import audit
from driven import EPOCHS_KNOWN, Driven
from ray import tune

from cluster import controller, driver, opening
from cluster.config import ResourcesConfig, SearchConfig, StorageConfig
from cluster.decisions import End
from cluster.executors import in_process, ray_tune
from cluster.interrupts import Stop, signals
from cluster.order import Memory, Order
from cluster.ray_backend import connection as connect
from cluster.study import stored
from cluster.study import study as studies
from cluster.study.lease import Lease
from experiments import api
from lstm import checkpoint
from lstm.config.trial import TrialConfig
from lstm.data.forecast import load
from lstm.messages.message import note
from lstm.records.errors import BadInput, HeldError
from lstm.records.events import EpochEnded, Notice, SweepEnded, SweepStarted, TrialEnded, TrialLost, TrialStarted
from lstm.training.loop import train

EPOCHS = 3
SEARCH = {
    "n_trials": 4,
    "sampler": {"type": "random", "seed": 1},
    "space": {
        "model.hidden_size": {"type": "int", "low": 2, "high": 6},
        "training.learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True},
    },
}
SPEC = {
    "name": "tiny",
    "data": {"path": "wave.csv", "target": "y", "lookback": 8, "horizon": 3, "split": {"validation": 0.2, "test": 0.2}},
    "training": {"max_epochs": EPOCHS, "batch_size": 32},
    "search": SEARCH,
}
ONE = {"max_concurrent": 1}  # a worker takes three seconds to start


def write_data(folder):
    rows = np.sin(np.arange(300) / 5) + np.random.default_rng(0).normal(scale=0.1, size=300)
    (folder / "wave.csv").write_text("y\n" + "\n".join(f"{v:.6f}" for v in rows) + "\n")


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    """One real local Ray for all sweeps in this process."""
    with connect.join(None, ResourcesConfig(), str(tmp_path_factory.mktemp("checkpoints"))) as made:
        yield made


@pytest.fixture
def order(tmp_path, trial_config):
    """What is to be done, over a little file of data."""
    write_data(tmp_path)
    base = trial_config(training={"max_epochs": EPOCHS})

    def make(*, keep="all", resources=None, epochs=EPOCHS, **search):
        mine = base.model_copy(update={"training": base.training.model_copy(update={"max_epochs": epochs})})
        return Order(
            name="tiny",
            base=mine,
            search=SearchConfig.model_validate(SEARCH | search),
            resources=ResourcesConfig.model_validate(resources or {}),
            storage=StorageConfig(study=f"sqlite:///{tmp_path}/study.db", checkpoints=str(tmp_path), keep=keep),
            spec_text="name: tiny\n",
            spec_hash="hash",
            comparable={"training.max_epochs": epochs, "search.sampler.seed": 1},
            git_commit=None,
            folder=str(tmp_path),
            study_id="0123456789",
        )

    return make


@pytest.fixture
def drive(joined, monkeypatch, tmp_path):
    """Drives a sweep in this process; its outcome, what was recorded, and what was sent to the memory.

    Its trials run over Ray, or `here`, where the driver goes on with what Ray has left: no worker has to start.
    """

    @contextmanager
    def join(*_, **__):
        yield joined

    monkeypatch.setattr(ray_tune, "join", join)

    def act(order, on=lambda _: None, known=(), *, here=False, **changed):
        events, sent = [], []

        def record(event):
            events.append(event)
            on(event)

        series = dataclasses.replace(load(order.base.data, tmp_path / "wave.csv"), **changed)
        stop, memory = Stop(), Memory(sent.append, lambda: known)
        with signals(stop) as install:
            executor = in_process.InProcess() if here else ray_tune.RayTune()
            outcome = driver.run(
                order, series, record, memory, executor=executor, conclude=print, stop=stop, install=install
            )
        return outcome, events, sent

    return act


# --- The command, where signals and processes matter. First, while this process has no Ray: it is forked.

HOSTILE = "import pathlib; pathlib.Path(__file__ + '.was-imported').touch(); raise SystemExit('hostile')\n"


class Command(Driven):
    """`sweep run` in a folder with hostile modules."""

    def kill_here(self, epochs):
        """Runs the sweep in a child without Ray that is killed once its study knows so many epochs."""
        code = self.run_here(at=lambda _: self.ask(EPOCHS_KNOWN) >= epochs)
        assert code == -signal.SIGKILL, self.said()

    def run_here(self, **more):
        """The same to its end; the exit code."""
        return twin.run(self.folder, self.spec, "home", **more)

    def said(self):
        """What such children have said."""
        return (self.folder / "driver.log").read_text()


@pytest.fixture
def command(tmp_path):
    write_data(tmp_path)
    for module in ("lstm", "cluster", "experiments", "dashboards", "torch", "ray", "optuna"):
        (tmp_path / f"{module}.py").write_text(HOSTILE)
    (tmp_path / "spec.json").write_text(json.dumps(SPEC))
    made = Command(tmp_path, "spec.json")
    yield made
    made.end()


@pytest.mark.parametrize("end", ["killed", pytest.param("interrupted", marks=pytest.mark.faults)])
def test_a_driver_over_ray_that_ends_leaves_no_process_and_is_gone_on_with(command, tmp_path, end):
    """First, and again at last, in a process of this test's own: each goes on where the other stood."""
    command.kill_here(epochs=2)  # in the base's training
    assert command.ask(EPOCHS_KNOWN) == 2
    driven = command.start()
    command.wait_for(driven, EPOCHS_KNOWN, 3)
    workers = command.left(b"ray::")
    command.send(workers, signal.SIGSTOP)  # the sweep must not be over before the other has looked
    assert command.run_here() == 3, command.said()
    assert f"process {driven.pid} on" in command.said()
    if end == "killed":
        driven.kill()
    else:
        os.killpg(driven.pid, signal.SIGINT)  # as Ctrl-C does: to all processes of the terminal
    command.send(workers, signal.SIGCONT)
    said = driven.communicate()[0]
    assert driven.returncode == (-signal.SIGKILL if end == "killed" else 130), said
    command.wait_alone()

    assert command.ask(EPOCHS_KNOWN) < (1 + SEARCH["n_trials"]) * EPOCHS, "there is something left to do"
    assert command.run_here() == 0, command.said()
    swept = stored.read(f"sqlite:///{command.database}", "tiny")
    config = TrialConfig.model_validate(swept.trials[0].config)
    check_whole(swept, load(config.data, tmp_path / "wave.csv"), 4)
    assert swept.trials[0].attempt > 1, "the base was begun without Ray and ended with it"
    assert any("(" not in trial.worker for trial in swept.trials), "what Ray left was ended in the driver's process"
    assert twin.verify(tmp_path, "home", "tiny") == 0, command.said()
    assert audit(tmp_path / "home", "tiny") == []
    assert list(tmp_path.glob("*.was-imported")) == []


# --- With Ray in this process.


def test_ray_may_be_left_before_the_sweep_is_and_is_left_once():
    left = threading.Event()
    ends = []

    @contextmanager
    def place():
        try:
            yield "place"
        finally:
            ends.append(threading.current_thread().name)
            left.set()

    with driver._to_be_left(place()) as (entered, leave):
        assert entered == "place"
        leave()
        assert left.wait(60), "the sweep goes on meanwhile"
    with pytest.raises(OSError, match="x"), driver._to_be_left(place()):
        raise OSError("x")
    assert ends == ["leave", "MainThread"]


def test_workers_of_a_host_share_the_series_in_memory(joined, order, tmp_path):
    series = load(order().base.data, tmp_path / "wave.csv")

    class Looks(tune.Trainable):
        def setup(self, config, series):
            self.series = series

        def step(self):
            """Whether the values lie in a file that processes share."""
            address = self.series.values.__array_interface__["data"][0]
            spans = (line.split() for line in Path("/proc/self/maps").read_text().splitlines())
            shared = [f for f in spans if len(f) > 5 and "plasma" in f[5]]
            ends = ([int(end, 16) for end in span[0].split("-")] for span in shared)
            return {"shared": any(start <= address < end for start, end in ends), "done": True}

    looks = tune.with_parameters(Looks, series=series)
    found = tune.run(looks, num_samples=1, verbose=0, storage_path=str(tmp_path / "tune"))
    assert [result["shared"] for result in found.results.values()] == [True]


class Unreadable:
    """What no worker can make of its bytes."""

    def __reduce__(self):
        return eval, ("1 / 0",)


def test_an_error_beside_our_own_step_is_told_as_what_it_is(drive, order, monkeypatch):
    monkeypatch.setattr(controller, "LOSSES", 1)
    _, events, _ = drive(order(n_trials=1, resources=ONE), notes=(Unreadable(),))
    ends = told(events, TrialEnded)
    assert sorted((end.number, end.state) for end in ends) == [(0, "FAIL"), (1, "FAIL")], "the base and the trial"
    for end in ends:
        assert end.reason == "its process could not go on: ZeroDivisionError: division by zero (1 times)"


@pytest.mark.faults  # tests/cluster/test_controller.py asks it of three causes; what Ray says of one is asked above
def test_where_no_worker_comes_to_life_the_sweep_ends_and_its_trials_stay_to_be_run(drive, order, monkeypatch):
    monkeypatch.setattr(controller, "UNBORN", 2)
    outcome, events, _ = drive(order(n_trials=1, resources=ONE), notes=(Unreadable(),))
    assert (outcome.code, outcome.complete) == (1, False)
    assert "ZeroDivisionError" in outcome.reason, "what Ray says"
    assert told(events, TrialEnded) == []
    outcome, events, _ = drive(order(n_trials=1), here=True)
    assert (outcome.code, outcome.complete) == (0, True)
    assert sorted(e.number for e in told(events, TrialEnded)) == [0, 1], "the base and the trial"


TANK = """
name: tank
task: tank.py:Tank
data: {path: tank.csv}
training: {max_epochs: 1}
search:
  metric: val/centimetres
  n_trials: 1
  space: {training.learning_rate: {type: float, low: 0.001, high: 0.01}}
resources: {max_concurrent: 1}
"""


def test_workers_execute_a_users_own_task(joined, monkeypatch, tmp_path):
    """Its file travels to them, before the data that are of the file's own classes."""
    shutil.copy(Path(__file__).parents[1] / "experiments" / "toys" / "tank.py", tmp_path)
    rows = (f"{n % 5},{n % 7},{n % 11}" for n in range(120))
    (tmp_path / "tank.csv").write_text("\n".join(["inflow,outflow,level", *rows]))
    (tmp_path / "tank.yaml").write_text(TANK)
    monkeypatch.setattr(ray_tune, "join", lambda *_, **__: contextlib.nullcontext(joined))
    made = api.run(tmp_path / "tank.yaml", home=tmp_path / "home")
    assert (made.complete, made.states) == (True, {"COMPLETE": 1})
    swept = stored.read(f"sqlite:///{tmp_path}/home/study.db", "tank")
    assert all("pid" in trial.worker and f"pid {os.getpid()}" not in trial.worker for trial in swept.trials)


def pid_of(event):
    return int(event.worker.split("pid ")[1].split()[0])


def told(events, kind):
    return [e for e in events if isinstance(e, kind)]


def check_whole(swept, series, n_trials, epochs=EPOCHS):
    """Every trial is there once, after the base, and is what training alone gives."""
    assert [t.number for t in swept.trials] == list(range(n_trials + 1))
    assert [t.state for t in swept.trials] == ["COMPLETE"] * (n_trials + 1)
    assert (swept.base, swept.counted) == (swept.trials[0], swept.trials[1:])
    assert len({json.dumps(dict(t.settings), sort_keys=True) for t in swept.trials}) == n_trials + 1
    for trial in swept.trials:
        kept = checkpoint.load(trial.checkpoint).state
        alone = list(train(TrialConfig.model_validate(trial.config), series))
        assert trial.curve == tuple((e.number, e.value) for e in alone)
        assert [(e.number, e.value) for e in kept.history] == list(trial.curve)
        assert len(kept.history) == epochs
        assert (trial.value, trial.best_epoch) == min((value, number) for number, value in trial.curve)
        for name, tensor in alone[-1].state.model.items():
            assert (kept.model[name] == tensor).all(), name
        for name, tensor in alone[-1].state.best_weights.items():
            assert (kept.best_weights[name] == tensor).all(), name


def test_a_sweep_interrupted_bereft_of_a_worker_and_extended(drive, order, tmp_path, monkeypatch):
    """SIGINT after the first whole epoch; then a worker is killed; then n_trials is raised."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    series = load(order().base.data, tmp_path / "wave.csv")
    before = signal.getsignal(signal.SIGINT)

    def interrupt(event):
        if isinstance(event, EpochEnded) and event.epoch.number == 1:
            on.clear()
            os.kill(os.getpid(), signal.SIGINT)

    on = [interrupt]
    outcome, events, _ = drive(order(resources=ONE), lambda e: [act(e) for act in list(on)])
    assert (outcome.code, outcome.complete, outcome.reason) == (130, False, "interrupted")
    assert signal.getsignal(signal.SIGINT) is before
    assert isinstance(events[0], SweepStarted | Notice)
    assert isinstance(events[-1], SweepEnded)
    assert events[-1].complete is False

    workers, killed = {}, []

    def kill(event):
        if isinstance(event, TrialStarted):
            workers[event.number] = pid_of(event)
        if isinstance(event, EpochEnded) and event.epoch.number == 1 and not killed:
            killed.append(event.number)
            os.kill(workers[event.number], signal.SIGKILL)

    outcome, events, _ = drive(order(), kill)
    assert (outcome.code, outcome.complete) == (0, True)
    check_whole(outcome.sweep, series, 4)
    lost = told(events, TrialLost)
    assert {e.number for e in lost} >= set(killed)
    again = [e for e in told(events, TrialStarted) if e.number == killed[0]]
    assert again[-1].attempt == again[0].attempt + 1
    by_trial = defaultdict(list)
    for event in events:
        if number := [getattr(event, "number", None)]:
            by_trial[number[0]].append(type(event).__name__)
    for number in range(5):
        kinds = [k for k in by_trial[number] if k != "TrialLost"]
        if kinds:
            assert (kinds[0], kinds[-1], kinds.count("TrialEnded")) == ("TrialStarted", "TrialEnded", 1)

    outcome, events, sent = drive(order(n_trials=6), known={0, 1, 3, 4}, here=True)
    check_whole(outcome.sweep, series, 6)
    assert {e.number for e in told(events, TrialStarted)} == {5, 6}
    kinds = [type(e).__name__ for e in sent]
    assert kinds == ["TrialStarted", *["EpochEnded"] * EPOCHS, "TrialEnded"], "trial 2 was not in the memory yet"
    assert {e.number for e in sent} == {2}
    assert list(Path(tempfile.gettempdir()).iterdir()) == []


@pytest.mark.parametrize("here", [True, pytest.param(False, marks=pytest.mark.faults)])
def test_a_target_ends_the_sweep_and_closes_what_is_open(drive, order, here):
    todo = order(stop={"target": 1e6}, n_trials=6, resources=ONE)
    outcome, events, _ = drive(todo, here=here)
    assert (outcome.code, outcome.complete) == (0, True)
    assert "reached the target" in outcome.reason
    assert "RUNNING" not in {t.state for t in outcome.sweep.trials}
    assert len({e.number for e in told(events, TrialEnded)}) == len(outcome.sweep.trials) < 6
    outcome, events, _ = drive(todo, here=here)
    assert outcome.complete
    assert told(events, TrialStarted) == []


def test_a_decision_that_a_killed_driver_left_is_carried_out_and_told(drive, order, tmp_path):
    todo = order(n_trials=1)
    series = load(todo.base.data, tmp_path / "wave.csv")
    made = opening.open_study(todo, series)
    number = made.ask()
    made.begin_attempt(number)
    (first, *_) = train(TrialConfig.model_validate(made.sweep().trials[0].config), series)
    address = f"{todo.checkpoints}/trial-0000"
    config = TrialConfig.model_validate(made.sweep().trials[0].config)
    checkpoint.write(address, 1, checkpoint.Checkpoint(config, asdict(series.facts), first.state))
    made.report(number, [first])
    made._study.tell = lambda *_, **__: 1 / 0
    end = End("PRUNED", first.value, (1,), "pruned after epoch 1", checkpoint=address, at_ms=5)
    with pytest.raises(ZeroDivisionError):
        made.end(number, end)
    outcome, events, _ = drive(todo, here=True)
    assert (outcome.complete, outcome.sweep.trials[0].state) == (True, "PRUNED")
    mine = [type(e).__name__ for e in events if getattr(e, "number", None) == 0]
    assert mine == ["TrialStarted", "EpochEnded", "TrialEnded"]


# --- Without Ray.


def test_a_second_driver_is_refused_before_ray_starts(order, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_tune, "join", lambda *_: pytest.fail("Ray was started"))
    todo = order()
    series = load(todo.base.data, tmp_path / "wave.csv")
    with (
        Lease(todo.study_url, todo.name, lost=print, stop=print),
        pytest.raises(HeldError) as error,
    ):
        driver.run(todo, series, print, Memory(print, set), executor=ray_tune.RayTune(), conclude=print)
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place, wrong.values["pid"]) == ("sweep-driven", todo.name, os.getpid())


def test_what_may_not_change_is_named(order, tmp_path):
    todo = order()
    series = load(todo.base.data, tmp_path / "wave.csv")
    made = opening.open_study(todo, series)
    opening.open_study(order(n_trials=9, keep="best"), series)  # these may
    changed = dataclasses.replace(order(epochs=5), comparable={"training.max_epochs": 5, "search.new": [1]})
    with pytest.raises(BadInput) as error:
        opening.open_study(changed, series)
    head, *changes = error.value.faults
    assert (head.code, head.place) == ("sweep-trained-otherwise", "tiny")
    assert [(change.code, change.path, change.values) for change in changes] == [
        ("setting-added", "search.new", {"new": "[1]"}),
        ("setting-left-out", "search.sampler.seed", {"old": "1"}),
        ("setting-changed", "training.max_epochs", {"old": "3", "new": "5"}),
    ]
    assert made.facts["comparable"]["training.max_epochs"] == 3
    with (tmp_path / "wave.csv").open("a") as file:
        file.write("0.5\n")
    with pytest.raises(BadInput) as error:
        opening.open_study(todo, load(todo.base.data, tmp_path / "wave.csv"))
    assert [fault.code for fault in error.value.faults] == ["sweep-trained-otherwise", "data-changed"]


def test_a_driver_killed_while_it_says_what_the_sweep_is(order, tmp_path, monkeypatch):
    """After any of the facts: the next driver goes on as if there had been none."""
    series = load(order().base.data, tmp_path / "wave.csv")
    for count in range(9):
        todo = order()
        database = f"sqlite:///{tmp_path}/{count}.db"
        todo = dataclasses.replace(todo, storage=todo.storage.model_copy(update={"study": database}))
        write, calls = studies.optuna.Study.set_user_attr, []

        def dies(self, key, value, count=count, calls=calls, write=write):
            if len(calls) == count:
                raise KeyboardInterrupt
            calls.append(key)
            write(self, key, value)

        with monkeypatch.context() as patch:
            patch.setattr(studies.optuna.Study, "set_user_attr", dies)
            try:
                opening.open_study(todo, series)
            except KeyboardInterrupt:
                assert stored.facts(database, "tiny") is None
        opening.open_study(todo, series)
        assert stored.read(database, "tiny").n_trials == 4
    assert len(calls) == 8, "all facts were reached"


def test_what_cannot_be_recorded_again_is_told_and_stops_nothing(order, tmp_path):
    todo = order()
    made = opening.open_study(todo, load(todo.base.data, tmp_path / "wave.csv"))
    number = made.ask()
    made.end(number, End("FAIL", reason="x"))
    notes = []
    done = threading.Event()
    driver._replay(made.sweep(), Memory(print, lambda: 1 / 0), Stop(), notes.append, done)
    assert notes == [Notice(note("earlier-trials-unrecorded", why="ZeroDivisionError"))]
    sent, interrupted = [], Stop()
    interrupted.now("interrupted", 130)
    driver._replay(made.sweep(), Memory(sent.append, set), interrupted, notes.append, done)
    assert sent == []
    assert not done.is_set(), "the next run must send them again"
    driver._replay(made.sweep(), Memory(sent.append, set), Stop(), notes.append, done)
    assert [type(e) for e in sent] == [TrialStarted, TrialEnded]
    assert done.is_set()


def test_a_sweep_in_which_no_trial_completed_has_failed(order, tmp_path):
    todo = order()
    made = opening.open_study(todo, load(todo.base.data, tmp_path / "wave.csv"))
    for reason in ("base", "a", "b", "c", "d"):
        made.end(made.ask(), End("FAIL", reason=reason))
    stop = Stop()
    outcome = driver._outcome(todo, made, made.sweep(), stop, replayed=True)
    assert (outcome.complete, outcome.code) == (True, 1)
    assert outcome.reason == "no trial completed, the last one: d"
