import json
import math
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from ray.tune.search import Searcher

from cluster import controller
from cluster.config import SearchConfig
from cluster.controller import LOSSES, TrialController
from cluster.interrupts import Stop
from cluster.protocol import LOST, OUT_OF_MEMORY, RAISED, Failure, Probed, Started
from cluster.ray_backend.tune import Births, StudyScheduler, StudySearcher, StudyStopper
from cluster.space import suggest
from cluster.study import retry, verify
from cluster.study.retry import Patience
from cluster.study.study import Study
from cluster.trials import checkpoints as trial_checkpoints
from cluster.trials import endings
from cluster.trials import queue as trial_queue
from lstm import checkpoint
from lstm.config.trial import TrialConfig
from lstm.messages.message import note
from lstm.records.epoch import Epoch
from lstm.records.events import EpochEnded, Notice, TrialEnded, TrialLost, TrialProbed, TrialStarted
from lstm.records.goodput import BESIDE, Spent
from lstm.records.state import Derived
from lstm.training.loop import train

FINISHED = Searcher.FINISHED
SPACE = {
    "model.hidden_size": {"type": "int", "low": 1, "high": 6},
    "training.learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True},
}
SEARCH = {"n_trials": 3, "space": SPACE, "sampler": {"type": "random", "seed": 3}}


class Tune:
    """Stands where Tune stands: asks for trials, hands in their results."""

    def __init__(self, made, study, events, stop):
        self.controller, self.study, self.events, self.stop = made, study, events, stop
        self.searcher, self.count = StudySearcher(made), 0

    def ask(self):
        """Asks once; a trial's id and config, or what came instead."""
        self.count += 1
        config = self.searcher.suggest(f"t{self.count}")
        return (f"t{self.count}", config) if isinstance(config, dict) else (None, config)

    def start(self, known=(), **spent):
        """Asks until a trial comes, and reports its start."""
        trial_id = None
        while trial_id is None:
            trial_id, config = self.ask()
            assert config != FINISHED, self.stop.reason
        started = Started(f"host pid {self.count}", 1000 + self.count, self.count, ())
        self.result(trial_id, started=started, epochs=known, spent=Spent(**spent))
        return trial_id, config

    def result(self, trial_id, epochs=(), **more):
        return self.controller.result(trial_id, {"epochs": tuple(epochs), **more})

    def last(self, trial_id, epochs=(), **more):
        """A result with `done`: Tune shows it to the searcher alone."""
        self.searcher.on_trial_complete(trial_id, {"epochs": tuple(epochs), "done": True, **more})

    def die(self, trial_id, said=""):
        self.controller.error(trial_id, said)
        self.searcher.on_trial_complete(trial_id, None, error=True)

    def run(self, value=1.0):
        """A trial from its start to its end, in two epochs."""
        trial_id, config = self.start()
        self.result(trial_id, [epoch(1, value + 1)])
        self.last(trial_id, [epoch(2, value, "max_epochs")])
        return config

    def states(self):
        return [t.state for t in self.study.sweep().trials]

    def told(self, kind):
        return [e for e in self.events if isinstance(e, kind)]


class Held:
    """Stands where a worker's handle stands: notes what it was told."""

    def __init__(self):
        self.told = []

    def wind_up(self):
        self.told.append("wind up")

    def kill(self):
        self.told.append("kill")


def probed(trouble="", **numbers):
    return Probed({name.replace("__", "/"): value for name, value in numbers.items()}, 1, 77, trouble)


def epoch(number, value, stop=None):
    return Epoch(number, {"val/loss": value}, value, number, stop)


def timed(number, seconds, stop=None):
    return replace(epoch(number, 1.0, stop), metrics={"val/loss": 1.0, "epoch_s": seconds})


@pytest.fixture
def tune(quick_path, sqlite, trial_config, monkeypatch):
    monkeypatch.setattr(retry, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_S", 0.001)

    def make(*, limit=8, keep=None, held=lambda: True, base=None, probe=False, **search):
        base = base or trial_config()
        config = SearchConfig.model_validate(SEARCH | search)
        study = Study(sqlite, "sweep", config, base)
        facts = {"base": json.loads(base.model_dump_json()), "checkpoints": str(quick_path / "kept")}
        second = {"second": list(study.second)} if study.second else {}
        study.remember(**facts, **second, n_trials=config.n_trials, comparable={})
        stop, events = Stop(), []
        made = TrialController(
            study,
            checkpoints=str(quick_path / "kept"),
            keep=keep,
            order={"cpus": 1, "gpus": 0.0, "probe": probe, "studies": ("",)},
            limit=lambda: limit,
            stop=stop,
            record=events.append,
            patience=Patience(study.url, held, stop, events.append),
        )
        made.open()
        return Tune(made, study, events, stop)

    return make


def test_a_controller_asks_nothing_and_removes_nothing_until_it_is_opened(tune, trained, quick_path, monkeypatch):
    t = tune(keep=1)
    trial_id, config = t.start()
    trained(config)
    t.last(trial_id, [epoch(1, 0.5, "max_epochs")])
    _, config = t.start()  # its driver is killed here
    t.study.search = SearchConfig.model_validate(SEARCH | {"stop": {"target": 0.9}})
    asked, loaded = [], []
    engine = t.study._study._storage._backend.engine
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *_: asked.append(1))
    monkeypatch.setattr(t.study, "sweep", lambda: asked.append("sweep"))
    monkeypatch.setattr(trial_checkpoints.ownership, "load", lambda *_: loaded.append(1))
    stop = Stop()
    made = TrialController(
        t.study,
        checkpoints=str(quick_path / "kept"),
        keep=1,
        order={"cpus": 1, "gpus": 0.0, "probe": False, "studies": ("",)},
        limit=lambda: 8,
        stop=stop,
        record=t.events.append,
        patience=Patience(t.study.url, lambda: True, stop, t.events.append),
    )
    assert (asked, loaded, stop.reason) == ([], [], "")
    assert made.queue.ready == []
    monkeypatch.undo()
    made.open()
    assert asked
    assert "target" in stop.reason
    assert [number for _, number in made.queue.ready] == [config["number"]]


@pytest.fixture
def patient(monkeypatch):
    """A clock that the test turns."""
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=sleep, time_ns=time.time_ns)
    monkeypatch.setattr(controller, "time", clock)
    monkeypatch.setattr(trial_queue, "time", clock)
    monkeypatch.setattr(retry, "time", clock)
    return now


def test_what_an_actor_is_told(tune, quick_path):
    t = tune()
    _, config = t.ask()
    assert config.keys() == {"cpus", "gpus", "probe", "number", "attempt", "address", "trial", "over", "studies"}
    assert (config["number"], config["attempt"], config["cpus"]) == (0, 1, 1)
    assert config["address"] == f"{quick_path}/kept/trial-0000"
    settings = t.study.sweep().trials[0].settings
    assert TrialConfig.model_validate(config["trial"]).model.hidden_size == settings["model.hidden_size"]


def test_events_of_a_trial_in_order(tune, quick_path):
    t = tune(n_trials=1)
    config = t.run(value=0.5)
    started, one, two, ended = t.events
    assert started == TrialStarted(
        0,
        1,
        t.study.sweep().trials[0].settings,
        config["trial"],
        1001,
        checkpoint=f"{quick_path}/kept/trial-0000",
        worker="host pid 1",
    )
    assert (one, two) == (EpochEnded(0, epoch(1, 1.5)), EpochEnded(0, epoch(2, 0.5, "max_epochs")))
    assert ended == TrialEnded(
        0, "COMPLETE", "", 0.5, 2, f"{quick_path}/kept/trial-0000", ended.at_ms, 1, 0.5, epochs=2
    )
    assert t.ask() == (None, FINISHED)


def test_a_trials_value_is_its_best_epochs(tune):
    t = tune(n_trials=1)
    trial_id, _ = t.start()
    for number, value in enumerate([0.9, 0.3, 0.3, 0.7], start=1):
        t.result(trial_id, [epoch(number, value)])
    t.last(trial_id, [epoch(5, 0.8, "patience")])
    trial = t.study.sweep().trials[0]
    assert (trial.state, trial.value, trial.best_epoch, trial.reason) == ("COMPLETE", 0.3, 2, "patience")


def test_n_trials_are_all_and_a_limit_holds(tune):
    t = tune(limit=2)
    (one, _), (two, _) = t.start(), t.start()
    assert t.ask() == (None, None)
    t.last(one, [epoch(1, 1.0, "max_epochs")])
    three, _ = t.start()
    assert t.ask() == (None, None)
    t.last(two, [epoch(1, 1.0, "max_epochs")])
    assert t.ask() == (None, None), "one may still be lost and come back"
    t.last(three, [epoch(1, 1.0, "max_epochs")])
    assert t.ask() == (None, FINISHED)
    assert t.states() == ["COMPLETE"] * 3


def test_a_diverged_trial_is_pruned_with_its_reason(tune):
    t = tune()
    trial_id, _ = t.start()
    t.result(trial_id, [epoch(1, 0.4)])
    t.last(trial_id, [epoch(2, math.nan, "diverged")])
    t.run(value=2.0)
    trial = t.study.sweep().trials[0]
    assert (trial.state, trial.value, trial.diverged, trial.reason) == ("PRUNED", 0.4, True, "diverged in epoch 2")
    assert t.study.sweep().best.number == 1


def test_a_pruned_trial_is_stopped_and_keeps_its_history(tune):
    t = tune(pruner={"type": "median", "n_startup_trials": 1})
    t.run(value=0.1)
    trial_id, _ = t.start()
    assert t.result(trial_id, [epoch(1, 50.0)]) is True
    trial = t.study.sweep().trials[1]
    assert (trial.state, trial.reason, trial.curve) == ("PRUNED", "pruned after epoch 1", ((1, 50.0),))
    assert t.events[-2:] == [EpochEnded(1, epoch(1, 50.0)), t.events[-1]]
    assert t.events[-1].state == "PRUNED"
    t.last(trial_id, [epoch(2, 1.0)])  # what was under way already changes nothing
    assert t.study.sweep().trials[1].curve == ((1, 50.0),)


SECOND = {"metric": "probe/reliability/noise", "direction": "minimize"}


def test_a_probed_trial_ends_with_its_probe_which_is_told_first(tune):
    t = tune(n_trials=1, probe=True)
    trial_id, config = t.start()
    assert (config["probe"], config["over"]) == (True, False)
    t.result(trial_id, [epoch(1, 0.5)])
    assert t.result(trial_id, [epoch(2, 0.4, "max_epochs")]) is False
    assert t.states() == ["RUNNING"]
    t.last(trial_id, probed=probed(reliability__noise=1.5))
    trial = t.study.sweep().trials[0]
    event = TrialProbed(0, {"reliability/noise": 1.5}, 1, 77)
    assert (trial.state, trial.value, trial.probed) == ("COMPLETE", 0.4, event)
    assert t.events[-2:] == [event, t.events[-1]]
    assert t.events[-1].state == "COMPLETE"
    assert t.study.sweep().probings() == [event]


def test_a_network_that_can_not_be_probed_is_no_less_trained(tune):
    t = tune(n_trials=1, probe=True)
    trial_id, _ = t.start()
    t.result(trial_id, [epoch(1, 0.4, "max_epochs")])
    t.last(trial_id, probed=probed("ValueError: odd"))
    assert t.states() == ["COMPLETE"]
    assert t.told(Notice) == [Notice(note("trial-not-probed", at="trial 0", why="ValueError: odd"))]
    assert t.study.sweep().probings() == []


def test_a_pruned_trial_is_probed_and_trained_no_further_whoever_drives(tune):
    t = tune(pruner={"type": "median", "n_startup_trials": 1}, probe=True)
    trial_id, _ = t.start()
    t.result(trial_id, [epoch(1, 0.1, "max_epochs")])
    t.last(trial_id, probed=probed(reliability__noise=1.0))
    trial_id, _ = t.start()
    held = Held()
    t.controller.live[trial_id].actor = held
    assert t.result(trial_id, [epoch(1, 50.0)]) is False
    assert (held.told, t.states()[1]) == (["wind up"], "RUNNING")
    later = tune(pruner={"type": "median", "n_startup_trials": 1}, probe=True)  # the first driver was killed
    trial_id, config = later.start(known=[epoch(1, 50.0)])
    assert (config["number"], config["over"]) == (1, True)
    later.last(trial_id, probed=probed(reliability__noise=3.0))
    trial = later.study.sweep().trials[1]
    assert (trial.state, trial.reason, trial.probed.numbers) == (
        "PRUNED",
        "pruned after epoch 1",
        {"reliability/noise": 3.0},
    )


def test_the_last_epoch_of_a_trial_is_no_reason_to_prune_it(tune):
    t = tune(pruner={"type": "median", "n_startup_trials": 1}, probe=True, n_trials=2)
    for value in (0.1, 50.0):
        trial_id, _ = t.start()
        t.controller.live[trial_id].actor = Held()
        t.result(trial_id, [epoch(1, value, "max_epochs")])
        t.last(trial_id, probed=probed(reliability__noise=1.0))
    assert t.states() == ["COMPLETE", "COMPLETE"]


@pytest.mark.parametrize("sampler", ["tpe", *(pytest.param(s, marks=pytest.mark.faults) for s in ("gp", "random"))])
def test_two_objectives_and_their_front(tune, sampler):
    startup = {} if sampler == "random" else {"n_startup_trials": 2}
    t = tune(n_trials=7, probe=True, second_objective=SECOND, sampler={"type": sampler, "seed": 1, **startup})
    figures = [(0.5, 2.0), (0.4, 3.0), None, (0.6, 1.0), (0.6, 2.5), (0.4, 3.0), "no figure"]
    for each in figures:
        trial_id, _ = t.start()
        if each is None:
            t.last(trial_id, [epoch(1, math.nan, "diverged")])
            continue
        value, numbers = each if isinstance(each, tuple) else (0.1, None)
        t.result(trial_id, [epoch(1, value, "max_epochs")])
        t.last(trial_id, probed=probed(**({} if numbers is None else {"reliability__noise": numbers})))
    sweep = t.study.sweep()
    assert not t.stop.reason
    assert [trial.state for trial in sweep.trials] == [*["COMPLETE"] * 2, "PRUNED", *["COMPLETE"] * 3, "PRUNED"]
    assert sweep.trials[6].reason == "could not be probed: its network has no probe/reliability/noise"
    assert [trial.number for trial in sweep.front] == [1, 5, 0, 3]
    assert (sweep.best.number, sweep.trials[0].told, sweep.trials[0].curve) == (1, (0.5, 2.0), ((1, 0.5),))
    assert sweep.trials[2].told == (0.5, 3.0), "the worst of each so far"
    assert sum(t.study.importances().values()) == pytest.approx(1) or not t.study.importances()


def test_a_lost_attempt_is_tried_again_after_a_pause(tune, patient):
    t = tune(n_trials=1)
    trial_id, config = t.start()
    t.result(trial_id, [epoch(1, 1.0)])
    t.die(trial_id)
    assert t.told(TrialLost) == [TrialLost(0, 1, "its process or its host was lost", t.events[-1].at_ms)]
    assert t.ask() == (None, None), "not yet, and not the end either"
    patient[0] += 1.0
    trial_id, again = t.start(known=[epoch(1, 1.0)])
    assert (again["number"], again["attempt"], again["address"]) == (0, 2, config["address"])
    assert again["trial"] == config["trial"]
    t.last(trial_id, [epoch(2, 0.5, "max_epochs")])
    assert t.study.sweep().trials[0].curve == ((1, 1.0), (2, 0.5))
    assert t.states() == ["COMPLETE"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("The actor died unexpectedly before finishing this task.\n\tpid: 1\n(1) killed by the OOM killer", LOST),
        ("Task was killed: node memory usage threshold was exceeded", OUT_OF_MEMORY),
        (
            "Failure # 1\n\x1b[36mray::TrialActor.train()\x1b[39m (pid=1)\n"
            "  File 'a.py', line 3\n    x()\nValueError: boom\nmore\n",
            f"{RAISED}: ValueError: boom",
        ),
        ("Failure # 1\nray::TrialActor.__init__() (pid=1)\n", RAISED),
    ],
)
def test_why_an_attempt_was_lost_is_what_ray_says(tune, said, reason):
    t = tune(n_trials=1)
    trial_id, _ = t.start()
    t.die(trial_id, said)
    assert [event.reason for event in t.told(TrialLost)] == [reason]


@pytest.mark.parametrize("how", ["died", "passing"])
def test_a_trial_that_is_lost_again_and_again_fails(tune, patient, how):
    t = tune(n_trials=1)
    pauses = []
    for losses in range(1, LOSSES + 1):
        trial_id, _ = t.start()
        if how == "died":
            t.die(trial_id)
        else:
            t.last(trial_id, failure=Failure("passing", "OSError: no space left"))
        before = patient[0]
        while losses < LOSSES and not any(at <= patient[0] for at, _ in t.controller.queue.ready):
            patient[0] += 0.5
        pauses.append(patient[0] - before)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 0.0]
    assert len(t.told(TrialLost)) == LOSSES - 1
    text = "its process or its host was lost" if how == "died" else "OSError: no space left"
    assert (t.events[-1].state, t.events[-1].reason) == ("FAIL", f"{text} ({LOSSES} times)")
    assert t.ask() == (None, FINISHED)


def test_a_trial_on_a_node_that_will_not_do_begins_elsewhere_at_once_and_is_not_lost(tune, patient):
    t = tune(n_trials=1)
    for _ in range(2 * LOSSES):
        trial_id, _ = t.ask()
        assert t.result(trial_id, failure=Failure("node", "host7: has torch 1.0")) is True
        t.die(trial_id, "the driver killed it")
    assert {event.reason for event in t.told(TrialLost)} == {"host7: has torch 1.0"}
    trial_id, _ = t.start()
    t.last(trial_id, [epoch(1, 1.0, "max_epochs")])
    assert t.states() == ["COMPLETE"]
    assert t.controller.rest() == {}, "no worker's time is lost"


FEW = {"model.hidden_size": {"type": "int", "low": 1, "high": 3}}


def test_where_nothing_new_is_left_the_sweep_ends_with_what_it_has(tune, patient):
    t = tune(n_trials=9, space=FEW)
    (one, _), (two, _), (three, _) = t.start(), t.start(), t.start()
    assert t.ask() == (None, None), "these may still be lost and come back"
    t.last(one, [epoch(1, 1.0, "max_epochs")])
    t.die(two)
    patient[0] += 60.0
    two, config = t.start()
    assert config["number"] == 1
    for each in (two, three):
        t.last(each, [epoch(1, 1.0, "max_epochs")])
    assert t.ask() == (None, FINISHED)
    assert (t.states(), t.stop.reason) == (["COMPLETE"] * 3, "")
    assert not t.study.sweep().over(), "nobody has said so yet"
    t.study.remember(**t.controller.rest())
    sweep = t.study.sweep()
    assert sweep.over()
    assert sweep.over(20), "whatever is asked for, there is no more"
    assert "3" in sweep.exhausted
    t = tune(n_trials=3, space=FEW)  # now n_trials is what ends it
    assert t.ask() == (None, FINISHED)
    t.study.remember(**t.controller.rest())
    assert t.study.sweep().exhausted == ""


def test_retries_come_first_and_what_they_replace_counts_no_more(tune):
    t = tune(n_trials=3, stop={"max_failures": 2})
    for number in range(2):
        trial_id, _ = t.start()
        t.last(trial_id, failure=Failure("broken", f"why {number}"))
    assert (t.stop.code, t.ask()) == (1, (None, FINISHED))
    t.study.retry(0), t.study.retry(1)
    again = tune(n_trials=3, stop={"max_failures": 2})
    assert again.stop.reason == ""
    again.run(), again.run(), again.run()
    assert again.ask() == (None, FINISHED)
    started = again.told(TrialStarted)
    assert [(e.number, e.derived) for e in started] == [(2, Derived(0, "retry")), (3, Derived(1, "retry")), (4, None)]
    assert [e.config for e in started[:2]] == [t.study.sweep().trials[n].config for n in (0, 1)]
    assert [(e.number, e.place) for e in again.told(TrialEnded)] == [(2, 3), (3, 4), (4, 5)]
    assert [t.number for t in again.study.sweep().counted] == [2, 3, 4]
    assert again.study.sweep().over()


NEVER_RAN = "Failure # 1\nThe actor died unexpectedly.\n\tactor_id: 1\nThe actor never ran - it was cancelled.\n"
RAISES = "Failure # 1\n\x1b[36mray::TrialActor.__init__()\x1b[39m (pid=1)\n  File 'a'\n    x()\nImportError: no cuda\n"
NO_ENVIRONMENT = "Failure # 1\nFailed to set up runtime environment.\n[Node 1] Traceback:\n  File 'a'\nOSError: full\n"
UNBORN = [(NEVER_RAN, "never ran"), (RAISES, "ImportError: no cuda"), (NO_ENVIRONMENT, "OSError: full")]


@pytest.mark.parametrize(("said", "cause"), UNBORN)
def test_where_no_worker_comes_to_life_the_sweep_ends_with_rays_cause_and_keeps_its_trials(tune, patient, said, cause):
    t = tune(n_trials=2)
    while not t.stop.reason:
        trial_id, _ = t.ask()
        if trial_id:
            t.die(trial_id, said)
        patient[0] += 1.0
    assert t.stop.code == 1
    assert cause in t.stop.reason
    assert (t.states(), t.told(TrialEnded), t.told(TrialLost)) == (["RUNNING", "RUNNING"], [], [])
    assert all("losses" not in trial.user_attrs for trial in t.study._study.trials)
    again = tune(n_trials=2)  # the cause is mended
    again.run(), again.run()
    assert again.states() == ["COMPLETE", "COMPLETE"]
    assert again.ask() == (None, FINISHED)


@pytest.mark.parametrize("said", [NEVER_RAN, NO_ENVIRONMENT])
def test_a_host_on_which_none_comes_to_life_ends_nothing_while_others_do(tune, patient, said):
    t = tune(n_trials=2)
    lives, _ = t.start()
    for _ in range(3 * LOSSES):
        trial_id, config = t.ask()
        t.die(trial_id, said)
        patient[0] += 60.0
    assert (config["number"], t.stop.reason, t.states()) == (1, "", ["RUNNING", "RUNNING"])
    t.last(lives, [epoch(1, 1.0, "max_epochs")])
    t.run()
    assert t.states() == ["COMPLETE", "COMPLETE"]


def test_a_trial_whose_workers_raise_while_those_of_others_live_fails_in_the_end(tune, patient):
    t = tune(n_trials=2)
    t.start()
    for _ in range(LOSSES):
        trial_id, _ = t.ask()
        t.die(trial_id, RAISES)
        patient[0] += 60.0
    trial = t.study.sweep().trials[1]
    assert (trial.state, trial.reason) == ("FAIL", f"{RAISED}: ImportError: no cuda ({LOSSES} times)")


def test_a_worker_that_tune_saw_alive_was_alive(tune, patient):
    """What kills it in its first step may be the trial: that is counted, though it has told nothing."""
    t = tune(n_trials=1)
    for _ in range(LOSSES):
        trial_id, _ = t.ask()
        Births(t.controller).on_trial_start(0, [], SimpleNamespace(trial_id=trial_id))
        t.die(trial_id, NEVER_RAN)
        patient[0] += 60.0
    assert t.states() == ["FAIL"]


@pytest.mark.parametrize(("kind", "state", "diverged"), [("broken", "FAIL", False), ("diverged", "PRUNED", True)])
@pytest.mark.parametrize("last", [False, True])
def test_failures_that_would_come_again(tune, kind, state, diverged, last):
    t = tune(n_trials=1)
    trial_id, _ = t.start()
    (t.last if last else t.result)(trial_id, failure=Failure(kind, "why"))
    trial = t.study.sweep().trials[0]
    assert (trial.state, trial.reason, trial.diverged) == (state, "why", diverged)
    assert t.ask() == (None, FINISHED)
    assert t.stop.reason == ""


def test_a_checkpoint_that_could_not_be_used_is_told(tune):
    t = tune()
    trial_id, _ = t.ask()
    broken = replace(note("file-passed-over", at="trial 0", why="is truncated"), within="a.pt")
    t.result(trial_id, started=Started("host", 1, 1, (broken,)))
    assert t.told(Notice) == [Notice(broken)]


def test_max_failures_end_the_sweep_as_failed(tune):
    t = tune(stop={"max_failures": 2})
    for _ in range(2):
        assert t.stop.reason == ""
        trial_id, _ = t.start()
        t.last(trial_id, failure=Failure("broken", "wrong shape"))
    assert t.stop.reason == "2 trials failed (search.stop.max_failures), the last: wrong shape"
    assert t.stop.code == 1
    assert t.ask() == (None, FINISHED)


def told(**seconds):
    return {"spent": Spent(**seconds)}


def test_where_workers_time_went_is_in_the_study_and_adds_up(tune, patient):
    t = tune(n_trials=2)
    one, _ = t.start(start=3.0)
    two, _ = t.start(start=4.0)
    patient[0] += 12.0
    t.result(one, [timed(1, 10.0)], **told(data=1.0, checkpoint=0.75, report=0.25))
    t.last(one, [timed(2, 10.0, "max_epochs")], **told(checkpoint=1.0))
    patient[0] += 8.0
    t.last(two, [timed(1, 18.0, "max_epochs")], **told(data=2.0))
    patient[0] += 0.5
    t.study.remember(**t.controller.rest())
    goodput = t.study.sweep().goodput
    parts = {"start": 7.0, "data": 3.0, "waiting": 9.0, "checkpoint": 1.75, "report": 0.25, "probe": 0.0, "lost": 0.0}
    assert goodput.seconds == {"training": 38.0, **parts}
    assert goodput.worker_s == 59.0
    assert sum(goodput.shares.values()) == pytest.approx(1.0)
    assert goodput.trials == 2
    assert goodput.at_ms >= max(trial.ended_at_ms for trial in t.study.sweep().trials)


def test_a_killed_drivers_time_is_told_by_the_next(tune, patient):
    t = tune(n_trials=2)
    one, _ = t.start(start=3.0)
    t.last(one, [timed(1, 10.0, "max_epochs")], **told(checkpoint=1.0))
    t.study.remember(**t.controller.rest())
    two, _ = t.start(start=4.0)
    t.result(two, [timed(1, 10.0)], **told(report=0.5))
    patient[0] += 5.0
    before = t.study.sweep().goodput  # the driver is killed here
    assert before.seconds["training"] == 10.0
    t = tune(n_trials=2)
    two, _ = t.ask()
    started = Started("host pid 9", 2000, 9, (), before=Spent(start=4.0))  # as the checkpoint of the first epoch knows
    t.result(two, [timed(1, 10.0)], started=started, **told(start=2.0))
    patient[0] += 7.0
    t.die(two)
    patient[0] += 1.0
    two, _ = t.ask()
    again = Started("host pid 10", 3000, 10, (), before=Spent(start=6.0))
    t.result(two, [timed(1, 10.0)], started=again, **told(start=2.5))
    t.last(two, [timed(2, 10.0, "max_epochs")], **told(report=0.25))
    patient[0] += 0.5
    t.study.remember(**t.controller.rest())
    spent = {
        "start": 3.0 + 4.0 + 2.0 + 2.5,
        "data": 0.0,
        "waiting": 0.5,
        "checkpoint": 1.0,
        "report": 0.25,
        "probe": 0.0,
        "lost": 7.0,
    }
    after = t.study.sweep().goodput
    assert after.seconds == {"training": 30.0, **spent}
    assert after.at_ms > before.at_ms
    assert t.controller.rest()[BESIDE]["waiting"] == 0.5, "said again it is the same"


def test_an_interrupted_sweep_tells_what_was_under_way_as_lost(tune, patient, monkeypatch):
    t = tune(n_trials=2)
    one, _ = t.start()
    t.last(one, [timed(1, 10.0, "max_epochs")], **told(start=3.0))
    two, _ = t.ask()
    t.result(two, started=Started("host pid 2", 1, 2, (), [Held()]), **told(start=3.0))
    patient[0] += 6.0
    t.stop.now("interrupted", 130)
    assert StudyStopper(t.controller).stop_all()
    patient[0] += 1.0
    t.study.remember(**t.controller.rest())
    seconds = t.study.sweep().goodput.seconds
    assert (seconds["lost"], seconds["waiting"]) == (6.0, 7.0)
    assert tune(n_trials=2).controller.rest() == {}, "a driver without workers has nothing to say"


def test_failures_of_earlier_drivers_count(tune):
    t = tune()
    trial_id, _ = t.start()
    t.last(trial_id, failure=Failure("broken", "x"))
    t = tune(stop={"max_failures": 2})
    assert t.stop.reason == ""
    trial_id, _ = t.start()
    t.last(trial_id, failure=Failure("broken", "x"))
    assert t.stop.code == 1


def test_the_target_ends_the_sweep_well(tune):
    t = tune(stop={"target": 0.5})
    t.run(value=0.6)
    assert t.stop.reason == ""
    t.run(value=0.5)
    assert (t.stop.reason, t.stop.code) == ("trial 1 reached the target 0.5 with 0.5", 0)
    assert StudyStopper(t.controller).stop_all()
    assert StudyStopper(t.controller)("t1", {}) is False
    assert tune(stop={"target": 0.55}).stop.reason == "trial 1 reached the target 0.55 with 0.5", "also the next driver"


def test_a_diverged_trial_reaches_no_target(tune):
    t = tune(stop={"target": 0.5})
    trial_id, _ = t.start()
    t.last(trial_id, [epoch(1, 0.1), epoch(2, math.nan, "diverged")])
    assert t.stop.reason == ""


def test_maximize(tune, trial_config):
    t = tune(base=trial_config(direction="maximize"), direction="maximize", stop={"target": 0.9})
    trial_id, _ = t.start()
    t.last(trial_id, [epoch(1, 0.7), epoch(2, 0.2, "max_epochs")])
    assert (t.study.sweep().trials[0].value, t.stop.reason) == (0.7, "")
    t.run(value=0.9)
    assert t.stop.reason == "trial 1 reached the target 0.9 with 1.9"


def test_a_stop_starts_nothing_more_and_leaves_trials_to_the_next_driver(tune):
    t = tune()
    trial_id, config = t.start()
    t.result(trial_id, [epoch(1, 1.0)])
    t.stop.now("interrupted", 130)
    assert t.ask() == (None, FINISHED)
    t.searcher.on_trial_complete(trial_id, {"epochs": (epoch(1, 1.0),)})  # Tune stopped it
    assert t.states() == ["RUNNING"]
    t = tune()
    _, again = t.start(known=[epoch(1, 1.0)])
    assert (again["number"], again["attempt"], again["trial"]) == (0, 2, config["trial"])


def test_a_next_driver_takes_up_all_and_asks_for_the_rest(tune):
    t = tune(n_trials=4)
    t.run()
    t.start(), t.start()
    t = tune(n_trials=4)
    numbers = [t.start()[1]["number"] for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert t.ask() == (None, None)
    assert tune(n_trials=6).study.n_trials == 6


def test_a_result_of_a_trial_that_tune_let_go_is_passed_over(tune):
    t = tune()
    trial_id, _ = t.start()
    t.last(trial_id, [epoch(1, 1.0, "max_epochs")])
    assert t.result(trial_id, [epoch(2, 0.1)]) is True
    t.searcher.on_trial_complete("unknown", None, error=True)
    assert (t.stop.reason, t.study.sweep().trials[0].curve) == ("", ((1, 1.0),))


def test_the_scheduler_says_what_the_controller_says(tune):
    t = tune(pruner={"type": "median", "n_startup_trials": 1})
    t.run(value=0.1)
    trial_id, _ = t.start()
    trial = type("Trial", (), {"trial_id": trial_id})
    scheduler, tunes = StudyScheduler(t.controller), SimpleNamespace()
    assert scheduler.on_trial_result(tunes, trial, {"epochs": (epoch(1, 1.0),)}) == "CONTINUE"
    assert scheduler.on_trial_result(tunes, trial, {"epochs": (epoch(2, 9.0),)}) == "STOP"


def test_a_worker_that_can_not_use_its_gpu_any_more_is_ended_and_its_trial_tried_in_another(tune):
    t, killed = tune(), []
    trial_id, _ = t.start()
    t.controller.live[trial_id].actor = SimpleNamespace(kill=lambda: killed.append(trial_id))
    failure = Failure("spoilt", "AcceleratorError on a: CUDA error: uncorrectable ECC error encountered")
    scheduler = StudyScheduler(t.controller)
    trial = type("Trial", (), {"trial_id": trial_id})
    told = {"epochs": (), "failure": failure, "done": False}
    assert scheduler.on_trial_result(SimpleNamespace(), trial, told) == "CONTINUE", "Tune would keep what it stops"
    assert killed == [trial_id]
    t.searcher.on_trial_complete(trial_id, None, error=True)  # the actor is dead
    assert (t.states(), len(t.controller.queue.ready), t.stop.reason) == (["RUNNING"], 1, "")


# --- The study's database does not answer.

AWAY = [
    StorageInternalError("An exception is raised during the commit."),
    sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception("server closed the connection")),
    sqlalchemy.exc.OperationalError("SELECT 1", {}, Exception("")),
    sqlalchemy.exc.InterfaceError("SELECT 1", {}, Exception("connection already closed")),
]
CALLS = ["ask", "adopt", "begin_attempt", "started", "report", "end", "running", "asked", "lost"]


def fails(monkeypatch, study, method, error, *, done, every=2):
    """Every second call fails, before or after it has done its work."""
    act, calls = getattr(study, method), []

    def failing(*arguments):
        calls.append(1)
        if len(calls) % every == 0:
            return act(*arguments)
        if done:
            act(*arguments)
        raise error

    monkeypatch.setattr(study, method, failing)


@pytest.mark.parametrize("error", AWAY)
@pytest.mark.parametrize("done", [False, True], ids=["not done", "done, but the answer was lost"])
def test_nothing_is_lost_or_doubled(tune, monkeypatch, patient, error, done):
    t = tune(n_trials=3)
    for method in CALLS:
        fails(monkeypatch, t.study, method, error, done=done and method != "end")
    trial_id, _ = t.start()
    t.result(trial_id, [epoch(1, 1.0)])
    t.die(trial_id)
    patient[0] += 60
    while (asked := t.ask())[1] != FINISHED:
        if asked[0]:
            t.result(asked[0], started=Started("host", 1, 1, ()))
            t.result(asked[0], [epoch(1, 1.0)])
            t.last(asked[0], [epoch(2, 0.5, "max_epochs")])
        patient[0] += 60
    monkeypatch.undo()
    sweep = t.study.sweep()
    assert [t.state for t in sweep.trials] == ["COMPLETE"] * 3
    assert [t.curve for t in sweep.trials] == [((1, 1.0), (2, 0.5))] * 3
    assert sorted(e.number for e in t.told(TrialEnded)) == [0, 1, 2]
    assert t.stop.reason == ""
    assert "study-away" in {told.message.code for told in t.told(Notice)}


def test_the_database_fails_inside_of_a_suggestion(tune, monkeypatch):
    """The trial is committed, its parameters are not: it is completed, and n_trials still holds."""
    t = tune(n_trials=2)
    draw, calls = suggest.draw, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) in (2, 3, 6):
            raise AWAY[0]
        return draw(*arguments)

    monkeypatch.setattr(suggest, "draw", failing)
    t.run(), t.run()
    assert t.ask() == (None, FINISHED)
    trials = t.study.sweep().trials
    assert [(x.number, x.state) for x in trials] == [(0, "COMPLETE"), (1, "COMPLETE")]
    assert all(x.settings.keys() == SPACE.keys() for x in trials)


def test_a_database_that_stays_away_ends_the_sweep_cleanly(tune, monkeypatch):
    t = tune()
    monkeypatch.setattr(retry, "OUTAGE_S", 0.005)
    monkeypatch.setattr(t.study, "ask", lambda: raise_(AWAY[1]))
    assert t.ask() == (None, None)
    assert t.stop.code == 1
    assert "did not answer" in t.stop.reason
    assert t.ask() == (None, FINISHED)


def test_an_interrupted_sweep_does_not_wait_for_the_database(tune, monkeypatch):
    t = tune()
    trial_id, _ = t.start()
    t.stop.now("interrupted", 130)
    monkeypatch.setattr(t.study, "report", lambda *_: raise_(AWAY[1]))
    t.result(trial_id, [epoch(1, 1.0)])
    assert t.told(Notice) == []
    assert t.states() == ["RUNNING"]


def test_nothing_is_written_while_the_claim_is_in_doubt(tune):
    answers = iter([False, False, True])
    t = tune(held=lambda: next(answers, True))
    trial_id, _ = t.ask()
    assert trial_id
    assert t.events == [Notice(note("claim-not-renewed", pause_s=0.001))] * 2


def test_a_driver_that_lost_the_sweep_writes_nothing(tune):
    held = [True]
    t = tune(held=lambda: held[0])
    trial_id, _ = t.start()
    held[0] = False
    t.stop.now("another driver has taken the sweep", 1)
    t.result(trial_id, [epoch(1, 1.0)])
    t.last(trial_id, [epoch(2, 1.0, "max_epochs")])
    assert (t.states(), t.study.sweep().trials[0].curve) == (["RUNNING"], ())


def raise_(error):
    raise error


@pytest.mark.parametrize("method", ["ask", "begin_attempt", "started", "report", "end", "lost"])
def test_no_exception_reaches_tune(tune, monkeypatch, method, caplog):
    t = tune(n_trials=1)
    monkeypatch.setattr(t.study, method, lambda *_: raise_(ZeroDivisionError("a bug of ours")))
    trial_id, _ = t.ask()
    if trial_id:
        t.result(trial_id, [epoch(1, 1.0)], started=Started("host", 1, 1, ()))
        t.die(trial_id) if method == "lost" else t.last(trial_id, [epoch(2, 1.0, "max_epochs")])
    assert t.stop.code == 1
    assert t.stop.reason.startswith("ZeroDivisionError in ")
    assert "a bug of ours" in caplog.text, "the log has the traceback"
    assert t.ask() == (None, FINISHED)


def test_a_record_that_raises_ends_the_sweep_cleanly(tune):
    t = tune()
    t.controller._record = lambda _: raise_(ZeroDivisionError("a bug of the screen"))
    trial_id, _ = t.ask()
    t.result(trial_id, started=Started("host", 1, 1, ()))
    assert (t.stop.code, t.stop.reason) == (1, "ZeroDivisionError in result: a bug of the screen")


# --- Checkpoints.


@pytest.fixture
def trained(series_of, walk):
    """Trains a trial at its address for some epochs, as its actor does; returns the epochs."""

    def act(config, epochs=2):
        trial = TrialConfig.model_validate(config["trial"])
        series = series_of(trial.data, walk(120))
        made = []
        for one in train(trial, series):
            content = checkpoint.Checkpoint(trial, asdict(series.facts), one.state)
            checkpoint.write(config["address"], config["attempt"], content)
            made.append(epoch(one.number, one.value))
            if len(made) == epochs:
                return made
        raise AssertionError

    return act


def weights(t, number):
    found = checkpoint.load(f"{t.controller.saved.root}/trial-{number:04d}")
    return bool(found.state.best_weights), len(found.state.history)


@pytest.mark.parametrize(("keep", "kept"), [(1, {3}), (2, {0, 3}), (9, {0, 1, 3}), (None, {0, 1, 2, 3})])
def test_only_the_best_trials_weights_are_kept(tune, trained, keep, kept):
    t = tune(n_trials=4, keep=keep)
    for value, stop in ((0.5, "max_epochs"), (0.9, "max_epochs"), (0.1, "diverged"), (0.3, "max_epochs")):
        trial_id, config = t.start()
        trained(config)
        t.result(trial_id, [epoch(1, value)])
        t.last(trial_id, [epoch(2, math.nan if stop == "diverged" else value + 1, stop)])
    assert [weights(t, n) for n in range(4)] == [(n in kept, 2) for n in range(4)]


def test_the_next_driver_keeps_the_best_too(tune, trained):
    for value in (0.5, 0.9, 0.4):
        t = tune(keep=1)
        trial_id, config = t.start()
        trained(config)
        t.last(trial_id, [epoch(1, value, "max_epochs")])
    assert [weights(t, n) for n in range(3)] == [(False, 2), (False, 2), (True, 2)]


def test_weights_that_cannot_be_removed_are_told(tune, monkeypatch):
    t = tune(keep=1)
    t.run(0.5)
    monkeypatch.setattr(trial_checkpoints.ownership, "load", lambda *_: raise_(PermissionError("read-only")))
    t.run(0.9)
    (told,) = t.told(Notice)
    assert Path(told.message.place).name == "trial-0001"
    assert (told.message.code, told.message.values) == ("weights-not-removed", {"why": "read-only"})
    assert t.stop.reason == ""


def test_open_trials_are_closed_from_their_checkpoints(tune, trained):
    t = tune(stop={"target": 0.2})
    (first, _), (second, config), _ = t.start(), t.start(), t.start()
    made = trained(config, epochs=3)
    t.result(second, made[:2])  # the third was written and never told
    t.last(first, [epoch(1, 0.1, "max_epochs")])
    t.searcher.on_trial_complete(second, {"epochs": tuple(made[:2])})
    t.controller.close_open("the sweep reached its target")
    one, two, three = t.study.sweep().trials
    assert [x.state for x in (one, two, three)] == ["COMPLETE", "PRUNED", "PRUNED"]
    assert two.curve == tuple((e.number, e.value) for e in made)
    assert (two.value, two.reason) == (min(e.value for e in made), "the sweep reached its target")
    assert (three.curve, three.value, three.checkpoint) == ((), None, "")
    assert [e.number for e in t.told(TrialEnded)] == [0, 1, 2]
    assert {e.epoch.number for e in t.told(EpochEnded) if e.number == 1} == {1, 2, 3}, "the third was said at last"
    before, again = (e for e in t.told(TrialStarted) if e.number == 1)
    assert again == replace(before, attempt=2), "and its start as it was"
    assert checkpoint.attempt(checkpoint.names(again.checkpoint)[-1]) == 2, "what the first still writes is never read"


def test_closing_waits_for_the_database(tune, monkeypatch):
    t = tune(stop={"target": 0.2})
    t.start()
    t.stop.now("target", 0)
    for method in ("running", "adopt", "report", "end"):
        fails(monkeypatch, t.study, method, AWAY[1], done=False)
    t.controller.close_open("the sweep reached its target")
    assert t.states() == ["PRUNED"]


def test_closing_passes_over_a_store_that_cannot_be_read(tune, monkeypatch):
    t = tune()
    trial_id, _ = t.start()
    t.result(trial_id, [epoch(1, 1.0)])
    monkeypatch.setattr(trial_checkpoints.ownership, "load", lambda *_: raise_(PermissionError("no")))
    t.controller.close_open("the end")
    assert t.states() == ["PRUNED"]
    [told] = t.told(Notice)  # nobody knows that it is lost
    assert (told.message.code, told.message.values) == ("file-not-readable-or-writable", {"why": "no"})
    assert t.study.sweep().trials[0].lost_epochs == 0


@pytest.mark.parametrize(("kind", "state"), [("broken", "FAIL"), ("diverged", "PRUNED")])
def test_a_trial_that_fails_before_its_checkpoint_was_read_keeps_what_that_holds(tune, trained, patient, kind, state):
    t = tune(n_trials=1)
    trial_id, config = t.start()
    made = trained(config, epochs=2)  # the second was written and never told
    t.result(trial_id, made[:1])
    t.die(trial_id)
    patient[0] += 60.0
    trial_id, _ = t.ask()
    t.last(trial_id, failure=Failure(kind, "wrong shape"))
    (trial,) = t.study.sweep().trials
    assert (trial.state, trial.reason, trial.diverged) == (state, "wrong shape", kind == "diverged")
    assert (trial.value, trial.checkpoint, trial.lost_epochs) == (min(e.value for e in made), config["address"], 0)
    assert [e.epoch.number for e in t.told(EpochEnded)] == [1, 1, 2], "MLflow takes a figure twice as once"


def test_a_trial_that_fails_while_its_store_cannot_be_read_is_tried_again(tune, patient, monkeypatch):
    t = tune(n_trials=1)
    trial_id, _ = t.ask()
    with monkeypatch.context() as patch:
        patch.setattr(trial_checkpoints.ownership, "load", lambda *_: raise_(PermissionError(13, "no")))
        t.last(trial_id, failure=Failure("broken", "wrong shape"))
    assert t.states() == ["RUNNING"], "nobody knows what it did"
    patient[0] += controller.AGAIN_S
    trial_id, _ = t.ask()
    t.last(trial_id, failure=Failure("broken", "wrong shape"))
    assert t.states() == ["FAIL"]


# --- The storage of the checkpoints fails.


def test_a_trial_that_waits_for_its_storage_is_told_once_and_not_counted_as_lost(tune, patient):
    t = tune(n_trials=1)
    trial_id, _ = t.start()
    for _ in range(3):
        assert t.result(trial_id, waiting="checkpoints: No space left on device: /full") is False
    why = "checkpoints: No space left on device: /full"
    assert t.told(Notice) == [Notice(note("trial-waits-for-storage", at="trial 0", why=why))]
    for _ in range(2 * LOSSES):  # another host may have more luck; that is no fault of the trial
        t.last(trial_id, failure=Failure("storage", "checkpoints: No space left on device: /full"))
        patient[0] += controller.AGAIN_S
        trial_id, _ = t.start()
    t.last(trial_id, [epoch(1, 0.5, "max_epochs")])
    assert t.states() == ["COMPLETE"]
    assert t.stop.reason == ""


def test_where_no_trial_can_go_on_for_long_the_sweep_ends_ready_to_be_run_again(tune, patient):
    t = tune(n_trials=2)
    (one, _), (two, _) = t.start(), t.start()
    t.result(one, waiting="checkpoints: No space left on device: /full")
    patient[0] += controller.OUTAGE_S - 1
    t.result(two, [epoch(1, 1.0)])  # somebody goes on
    patient[0] += controller.OUTAGE_S + 1  # in an epoch that takes long
    t.result(one, waiting="checkpoints: No space left on device: /full")
    assert t.stop.reason == ""
    patient[0] += controller.OUTAGE_S + 1
    t.result(one, waiting="checkpoints: No space left on device: /full")
    text = "no trial could go on for 10 minutes: checkpoints: No space left on device: /full"
    assert (t.stop.reason, t.stop.code) == (text, 1)
    assert t.states() == ["RUNNING", "RUNNING"]


def test_at_the_end_no_actor_is_waited_for(tune, monkeypatch):
    one, other = Held(), Held()
    t = tune()
    trial_id, _ = t.ask()
    started = Started("host", 1, 1, (), [one])
    t.result(trial_id, started=started)
    assert started.actor == [], "Tune would pickle it"
    done, _ = t.ask()
    t.result(done, started=Started("host", 1, 1, (), [other]))
    t.last(done, [epoch(1, 0.5, "max_epochs")])
    stopper = StudyStopper(t.controller)
    assert not stopper.stop_all()
    t.stop.now("interrupted", 130)
    assert stopper.stop_all()
    assert stopper.stop_all()
    assert (one.told, other.told) == (["kill"], [])
    t.die(trial_id)
    assert t.told(TrialLost) == [], "it is the next driver's"


def test_a_trial_lost_for_good_keeps_what_its_checkpoint_holds(tune, trained, patient):
    t = tune(n_trials=1)
    for losses in range(1, LOSSES + 1):
        trial_id, config = t.ask()
        if losses == 1:
            made = trained(config, epochs=2)  # written, and never told
        t.die(trial_id)
        patient[0] += 60.0
    (trial,) = t.study.sweep().trials
    assert trial.state == "FAIL"
    assert trial.curve == tuple((e.number, e.value) for e in made)
    assert (trial.value, trial.checkpoint) == (min(e.value for e in made), config["address"])
    kinds = [type(e) for e in t.events if not isinstance(e, TrialLost)]
    assert kinds == [TrialStarted, EpochEnded, EpochEnded, TrialEnded], "so that its run in MLflow is whole"


@pytest.mark.parametrize(("damaged", "lost"), [(1, 1), (2, 3)])  # two files are kept
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_trial_that_ends_with_damaged_checkpoints_says_what_it_lost(tune, trained, patient, damaged, lost, is_closed):
    t = tune(n_trials=1)
    trial_id, config = t.ask()
    made = trained(config, epochs=3)
    t.result(trial_id, made, started=Started("host", 1, 1, ()))
    files = sorted(Path(config["address"]).glob("attempt-*"))
    for path in files[-damaged:]:
        path.write_bytes(b"torn")
    if is_closed:
        t.die(trial_id)
        t.controller.close_open("the end")
    else:
        for _ in range(LOSSES):
            t.die(trial_id)
            patient[0] += 60.0
            trial_id, _ = t.ask()
    (trial,) = t.study.sweep().trials
    assert (trial.state, len(trial.curve)) == ("PRUNED" if is_closed else "FAIL", 3)
    found = verify.check(t.study.sweep(), driven=False)
    assert [f for f in found.findings if f.store == "study"] == []
    assert (trial.lost_epochs, len(found.histories[0])) == (lost, 3 - lost)
    values = {"kept": 3 - lost, "trained": 3}
    assert Notice(note("epochs-without-checkpoint", at="trial 0", **values)) in t.told(Notice)


def test_an_epoch_computed_again_with_another_value_replaces_the_first(tune):
    """On a GPU it may; the history in the checkpoint is the truth."""
    t = tune(n_trials=1)
    trial_id, _ = t.start()
    t.result(trial_id, [epoch(1, 1.0)])
    t.result(trial_id, [epoch(2, 0.9)])
    t.study.report(0, [epoch(1, 1.0), epoch(2, 0.8)])
    assert t.study.sweep().trials[0].curve == ((1, 1.0), (2, 0.8))


def test_trials_end_in_one_order_whatever_the_clock_says(tune, monkeypatch):
    t = tune(n_trials=3)
    now = [5_000_000]
    monkeypatch.setattr(endings, "now_ms", lambda: now[0])
    for value in (0.5, 0.4, 0.6):
        t.run(value)
        now[0] -= 1_000_000  # set back
    ends = t.told(TrialEnded)
    assert [e.at_ms for e in ends] == [5_000_000, 5_000_001, 5_000_002]
    assert [(e.place, e.best_value) for e in ends] == [(1, 0.5), (2, 0.4), (3, 0.4)]
    assert t.study.sweep().endings() == ends
