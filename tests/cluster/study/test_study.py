import json
import os
import sqlite3
import subprocess
import sys

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError

from cluster.config import SearchConfig
from cluster.decisions import Decisions, End
from cluster.space import combinations, suggest
from cluster.study import database, samplers_and_pruners, stored, study
from cluster.study.stored import AWAY, NoSuchSweep
from cluster.study.study import Study
from cluster.trials import refits
from lstm.records.epoch import Epoch
from lstm.records.errors import BadInput, may_pass
from lstm.records.state import Derived
from lstm.records.sweep import WEIGHED_FROM

SAMPLERS = ["tpe", "gp", "random", "grid"]
PRUNERS = {
    "median": {"n_startup_trials": 1},
    "successive_halving": {"min_resource": 1, "reduction_factor": 2},
    "hyperband": {"min_resource": 1, "reduction_factor": 2},
    "patient": {"patience": 1},
    "none": {},
}
SPACE = {
    "model.hidden_size": {"type": "int", "low": 1, "high": 8},
    "training.learning_rate": {"type": "float", "low": 0.01, "high": 0.05, "step": 0.01},
    "model.cell": {"type": "categorical", "choices": ["lstm", "gru"]},
}
CONDITIONAL = SPACE | {
    "training.optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
    "training.momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"training.optimizer": "sgd"}},
}


@pytest.fixture
def opened(url, name, trial_config):
    """Opens the sweep's study, as each driver of it does."""

    def make(sampler="random", pruner="none", sweep=name, database=url, max_epochs=4, **search):
        startup = {"n_startup_trials": 3} if sampler in ("tpe", "gp") else {}
        dimensions = SPACE if sampler == "grid" else SPACE | {"training.learning_rate": RATE}
        config = SearchConfig.model_validate(
            {
                "n_trials": 8,
                "space": dimensions,
                "sampler": {"type": sampler, "seed": 5, **startup},
                "pruner": {"type": pruner, **PRUNERS[pruner]},
            }
            | search
        )
        base = trial_config(training={"max_epochs": max_epochs})
        made = Study(database, sweep, config, base)
        made.remember(base=json.loads(base.model_dump_json()), n_trials=config.n_trials, comparable={"a": 1})
        return made

    return make


# PostgreSQL stores what SQLite does: the samplers and pruners need not be tried on both.
ON_SQLITE = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
# One that learns, and the grid, whose place is kept apart; the others suggest by the same way as the first.
EACH_KIND = pytest.mark.parametrize(
    "sampler", ["tpe", "grid", *(pytest.param(name, marks=pytest.mark.faults) for name in ("gp", "random"))]
)
RATE = {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}


def settings_of(made, number):
    return dict(made.sweep().trials[number].settings)


def loss(settings):
    return (settings["model.hidden_size"] - 5) ** 2 + 100 * settings["training.learning_rate"]


def epoch(number, value, stop=None):
    return Epoch(number, {"val/loss": value}, value, number, stop)


def decision(value=0.5, state="COMPLETE", *, diverged=False):
    return End(state, value, (1,), "because", diverged, "/c", 9)


def finish(made, number, value=None):
    value = loss(settings_of(made, number)) if value is None else value
    made.report(number, [epoch(1, value)])
    made.end(number, decision(value))


def adopted(made, number):
    made.adopt(number)
    return number


# --- Every sampler keeps these promises.


@pytest.mark.parametrize(
    ("url", "sampler"),
    [*(("sqlite", s) for s in SAMPLERS), pytest.param("postgresql", "tpe", marks=pytest.mark.faults)],
    indirect=["url"],
)
def test_a_killed_driver_changes_no_suggestion(opened, name, sampler):
    """Three trials at once; the twin's study is made anew before each call."""

    def drive(sweep, *, anew):
        made = opened(sampler, sweep=sweep)
        running = []
        for _ in range(6):  # three of them after those that no sampler draws from what it knows
            made = opened(sampler, sweep=sweep) if anew else made
            running.append(made.ask())
            if len(running) == 3:
                made = opened(sampler, sweep=sweep) if anew else made
                finish(made, adopted(made, running.pop(0)))
        return [dict(t.settings) for t in made.sweep().trials]

    calm, killed = drive(f"{name}-a", anew=False), drive(f"{name}-b", anew=True)
    assert killed == calm
    assert len({json.dumps(s, sort_keys=True) for s in killed}) == 6, "no suggestion came twice"
    assert all(s.keys() == SPACE.keys() for s in killed)


@ON_SQLITE
@EACH_KIND
def test_a_trial_killed_between_its_suggestions_is_completed(opened, monkeypatch, sampler):
    made = opened(sampler)
    for _ in range(4):
        finish(made, made.ask())

    def first_only(trial, searched):
        path = suggest.order(searched)[0]
        suggest.draw(trial, path, searched[path])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(study.suggest, "suggest", first_only)
        with pytest.raises(KeyboardInterrupt):
            made.ask()
    made = opened(sampler)
    (number,) = made.running()
    before = settings_of(made, number)
    assert before.keys() == {"model.hidden_size"}
    made.adopt(number)
    after, attempt = made.begin_attempt(number)
    assert after.keys() == SPACE.keys()
    assert after["model.hidden_size"] == before["model.hidden_size"]
    assert attempt == 1
    suggest.resolve(made.base, after)
    assert opened(sampler).asked() == 5


@ON_SQLITE
@EACH_KIND
def test_a_trial_killed_before_its_first_suggestion_is_completed(opened, monkeypatch, sampler):
    made = opened(sampler)
    with monkeypatch.context() as patch:
        patch.setattr(study.suggest, "suggest", lambda *_: 1 / 0)
        patch.setattr(
            samplers_and_pruners.NumberedSampler, "before_trial", lambda *_: None
        )  # the grid's place is not kept either
        with pytest.raises(ZeroDivisionError):
            made.ask()
    made = opened(sampler)
    made.adopt(0)
    assert made.begin_attempt(0)[0].keys() == SPACE.keys()


@pytest.mark.parametrize(
    ("url", "sampler"),
    [("sqlite", "tpe"), ("sqlite", "gp"), ("sqlite", "random"), ("postgresql", "random")],
    indirect=["url"],
)
def test_points_to_try_first_come_first_and_once(opened, monkeypatch, sampler):
    first = [{"model.hidden_size": 7, "model.cell": "gru"}, {"model.hidden_size": 2}, {"training.learning_rate": 0.05}]
    made = opened(sampler, first=first)
    enqueue, calls = made._study.enqueue_trial, []

    def dies(*arguments, **named):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        enqueue(*arguments, **named)

    monkeypatch.setattr(made._study, "enqueue_trial", dies)
    with pytest.raises(KeyboardInterrupt):
        made.enqueue_first()
    for _ in range(2):
        made = opened(sampler, first=first)
        made.enqueue_first()
    assert made.asked() == 0
    numbers = [made.ask() for _ in range(4)]
    made.enqueue_first()
    assert numbers == [0, 1, 2, 3]
    for number, setting in enumerate(first):
        tried = settings_of(made, number)
        assert tried.keys() == SPACE.keys()
        assert setting.items() <= tried.items()
    assert len(made.sweep().trials) == 4


@ON_SQLITE
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_conditional_parameter_is_drawn_only_where_it_acts(opened, sampler):
    for index in range(8):
        if index % 4 == 0:
            made = opened(sampler, space=CONDITIONAL)
        finish(made, made.ask())
    drawn = [t.settings for t in made.sweep().trials]
    assert {s["training.optimizer"] for s in drawn} == {"adam", "sgd"}
    assert all(("training.momentum" in s) == (s["training.optimizer"] == "sgd") for s in drawn)


@ON_SQLITE
def test_the_grid_visits_each_point_once(opened):
    dimensions = SPACE | {"model.hidden_size": {"type": "int", "low": 1, "high": 2}}
    running = []
    for index in range(2 * 5 * 2):
        if index % 6 == 0:
            made = opened("grid", space=dimensions, n_trials=20)
        running.append(made.ask())
        if len(running) == 4:
            finish(made, adopted(made, running.pop(1)))
    points = [tuple(t.settings.values()) for t in made.sweep().trials]
    assert len(points) == len(set(points)) == 20


@ON_SQLITE
def test_suggestions_do_not_hang_on_the_hash_seed(opened, url, name):
    code = """
import sys, json
from cluster.config import SearchConfig
from cluster.decisions import End
from cluster.study.study import Study
from lstm.config.trial import TrialConfig
url, name, search, base = sys.argv[1:]
study = Study(url, name, SearchConfig.model_validate_json(search), TrialConfig.model_validate_json(base))
for value in (4.0, 2.0, 3.0, 5.0, 1.0, 2.5):
    number = study.ask()
    study.end(number, End("COMPLETE", value))
"""
    made = opened("tpe", space=CONDITIONAL)
    call = [sys.executable, "-c", code, url, f"{name}-b", made.search.model_dump_json(), made.base.model_dump_json()]
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    subprocess.run(call, check=True, env=os.environ | {"PYTHONHASHSEED": other})
    for value in (4.0, 2.0, 3.0, 5.0, 1.0, 2.5):
        made.end(made.ask(), decision(value))
    twin = opened("tpe", space=CONDITIONAL, sweep=f"{name}-b")
    assert [t.settings for t in twin.sweep().trials] == [t.settings for t in made.sweep().trials]


# --- Every pruner keeps these promises.


@ON_SQLITE
@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_pruner_is_asked_once_about_each_epoch(opened, monkeypatch, pruner):
    made = opened(pruner=pruner)
    finish(made, made.ask())
    asked = []

    def counted(made):
        prune = made._study.pruner.prune
        monkeypatch.setattr(
            made._study.pruner,
            "prune",
            lambda s, trial: asked.append((trial.number, trial.last_step)) or prune(s, trial),
        )
        return made

    number = counted(made).ask()
    first, second, third = (epoch(n, 0.1) for n in (1, 2, 3))
    made.report(number, [first])
    made.report(number, [first])  # told twice
    made.report(number, [first, second])  # by a retry, with what came before
    made = counted(opened(pruner=pruner))  # by the next driver
    made.adopt(number)
    assert made.report(number, [first, second]) is False
    made.report(number, [first, second, third])
    assert asked == [(1, 1), (1, 2), (1, 3)]
    assert made.sweep().trials[number].curve == ((1, 0.1), (2, 0.1), (3, 0.1))


@ON_SQLITE
@pytest.mark.parametrize("pruner", PRUNERS)
def test_the_worst_of_many_is_pruned_and_the_best_is_not(opened, pruner):
    # Hyperband chooses a trial's bracket by the study's name: a name of its own each time would prune now and then.
    made = opened(pruner=pruner, sweep="worst-of-many", max_epochs=4, n_trials=40)
    pruned = {}
    for index in range(8):
        number = made.ask()
        scale = 1.0 if index < 6 else {6: 0.01, 7: 100.0}[index]
        worse = -1 if index == 6 else 1 if index == 7 else 0
        pruned[index] = False
        for n in range(1, 5):
            if made.report(number, [epoch(n, scale * (10 + index + worse * n))]):
                pruned[index] = True
                break
        last = n
        made.end(number, decision(1.0 + index, "PRUNED" if pruned[index] else "COMPLETE"))
        assert [n for n, _ in made.sweep().trials[number].curve] == list(range(1, last + 1))
        assert made.sweep().trials[number].state == ("PRUNED" if pruned[index] else "COMPLETE")
    assert pruned[6] is False
    assert pruned[7] is (pruner != "none")


@ON_SQLITE
@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_pruner_is_not_asked_about_what_is_no_number(opened, pruner):
    made = opened(pruner=pruner)
    finish(made, made.ask())
    for value in (float("nan"), float("inf")):
        assert made.report(made.ask(), [epoch(1, value)]) is False, value


@ON_SQLITE
def test_hyperband_counts_to_the_longest_trial(opened):
    longer = {"training.max_epochs": {"type": "int", "low": 2, "high": 27}}
    assert opened(pruner="hyperband", space=longer, max_epochs=4)._study.pruner._max_resource == 27
    chosen = {"training.max_epochs": {"type": "categorical", "choices": [2, 9, 3]}}
    assert opened(pruner="hyperband", space=chosen, max_epochs=4)._study.pruner._max_resource == 9
    assert opened(pruner="hyperband", max_epochs=4)._study.pruner._max_resource == 4


# --- How trials end.


@ON_SQLITE
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_diverged_trial_teaches_and_is_never_the_best(opened, sampler):
    made = opened(sampler)
    finish(made, made.ask(), 3.0)
    finish(made, made.ask(), 7.0)
    number = made.ask()
    made.report(number, [epoch(1, 0.1), epoch(2, float("nan"), "diverged")])
    made.end(number, decision(0.1, "PRUNED", diverged=True))
    sweep = made.sweep()
    assert (sweep.trials[number].state, sweep.trials[number].diverged) == ("PRUNED", True)
    assert sweep.best.number == 0
    told = made._study.get_trials()[number]
    if sampler == "gp":  # reads completed trials only: told as the worst
        assert (told.state.name, told.value) == ("COMPLETE", 7.0)
    else:
        assert told.state.name == "PRUNED"
    made.ask()  # and the sampler can go on from it


@ON_SQLITE
def test_gp_knows_no_penalty_before_a_trial_has_completed(opened):
    made = opened("gp")
    number = made.ask()
    made.end(number, decision(None, "PRUNED", diverged=True))
    assert made._study.get_trials()[number].state.name == "PRUNED"


def test_a_decision_is_obeyed_by_the_next_driver(opened, monkeypatch):
    made = opened()
    numbers = [made.ask() for _ in range(4)]
    made.report(0, [epoch(1, 0.25)])
    monkeypatch.setattr(made._study, "tell", lambda *_, **__: 1 / 0)  # killed after the decision, before the end
    for number, state in ((0, "COMPLETE"), (1, "PRUNED"), (2, "FAIL")):
        with pytest.raises(ZeroDivisionError):
            made.end(number, decision(0.25 if state == "COMPLETE" else None, state))
    made = opened()
    assert made.running() == numbers
    assert made.settle() == [0, 1, 2]
    assert made.running() == [3]
    assert made.settle() == []
    states = [t.state for t in made.sweep().trials]
    assert states == ["COMPLETE", "PRUNED", "FAIL", "RUNNING"]
    assert (made.sweep().best.value, made.sweep().best.reason) == (0.25, "because")


def test_ending_twice_is_harmless(opened, monkeypatch):
    made = opened()
    number, tell = made.ask(), made._study.tell

    def lost_answer(*arguments, **named):
        tell(*arguments, **named)
        raise StorageInternalError

    with monkeypatch.context() as patch:
        patch.setattr(made._study, "tell", lost_answer)
        with pytest.raises(AWAY):
            made.end(number, decision())
    made.end(number, decision())
    assert made.sweep().trials[number].state == "COMPLETE"


def test_attempts_and_losses_are_counted_over_drivers(opened):
    made = opened()
    number = made.ask()
    assert made.begin_attempt(number)[1] == 1
    made.started(number, "host 1", 111)
    assert made.lost(number) == 1
    made = opened()
    made.adopt(number)
    assert made.begin_attempt(number)[1] == 2
    made.started(number, "host 2", 222)
    assert made.lost(number) == 2
    trial = made.sweep().trials[number]
    assert (trial.attempt, trial.worker, trial.started_at_ms) == (2, "host 2", 111)


def test_what_happens_in_a_trial_does_not_read_the_others(opened, monkeypatch):
    made = opened()
    for _ in range(3):
        finish(made, made.ask())
    number = made.ask()
    monkeypatch.setattr(made._study, "get_trials", lambda *_, **__: pytest.fail("reads all trials"))
    made.begin_attempt(number)
    made.started(number, "host", 1)
    made.report(number, [epoch(1, 0.5)])
    made.lost(number)
    made.end(number, decision())


def test_asked_counts_every_trial_once(opened):
    made = opened(first=[{"model.hidden_size": 3}])
    made.enqueue_first()
    assert (made.asked(), made.running()) == (0, [])
    finish(made, made.ask())
    made.ask()
    assert (made.asked(), made.running()) == (2, [1])
    assert (opened().asked(), opened().running()) == (2, [1])


def test_the_sweep_as_it_stands(opened, name):
    made = opened(n_trials=5)
    number = made.ask()
    made.begin_attempt(number)
    made.report(number, [epoch(1, 0.5), epoch(2, 0.25)])
    sweep = made.sweep()
    trial = sweep.trials[number]
    assert (sweep.name, sweep.metric, sweep.direction, sweep.n_trials) == (name, "val/loss", "minimize", 5)
    assert (trial.state, trial.value, trial.curve) == ("RUNNING", None, ((1, 0.5), (2, 0.25)))
    assert trial.config["model"]["hidden_size"] == trial.settings["model.hidden_size"]
    assert trial.config["data"]["horizon"] == made.base.data.horizon
    assert sweep.best is None


@ON_SQLITE
def test_importances(opened):
    made = opened()
    assert made.importances() == {}
    for _ in range(WEIGHED_FROM - 1):
        finish(made, made.ask())
    assert made.importances() == {}, "the best tenth of ten is one trial, which tells what kinds of fields there are"
    finish(made, made.ask())
    assert made.importances().keys() == SPACE.keys()
    assert sum(made.importances().values()) == pytest.approx(1)


@ON_SQLITE
def test_importances_of_depth_too(opened):
    depth = {"model.num_layers": {"type": "int", "low": 1, "high": 2}}
    made = opened(space=SPACE | depth, first=[{"model.num_layers": 1}, {"model.num_layers": 2}])
    for value in range(WEIGHED_FROM):
        finish(made, made.ask(), 1 / (1 + value))
    assert made.importances().keys() == (SPACE | depth).keys()


@pytest.mark.parametrize("held", [0, 1, 2], ids=["never", "once", "with two values"])
def test_a_conditional_field_that_did_not_vary_has_no_importance(held):
    """Optuna gives it 0, as if it did not matter."""
    study = optuna.create_study()
    of_method = optuna.distributions.CategoricalDistribution(["gradient", "evolution"])
    of_rest = optuna.distributions.FloatDistribution(0, 1)
    for number in range(WEIGHED_FROM):
        params = {"method": "evolution" if number < held else "gradient", "rate": number / 20}
        if number < held:
            params["noise"] = number / 10
        distributions = {name: of_method if name == "method" else of_rest for name in params}
        study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=1 / (1 + number)))
    found = stored.importances(study)
    assert found.keys() == {"rate"} | ({"method"} if held else set()) | ({"noise"} if held > 1 else set())
    assert sum(found.values()) == pytest.approx(1)
    assert found["rate"] > 0


@ON_SQLITE
def test_the_importance_of_the_only_searched_field_is_what_optuna_says(opened):
    made = opened(space={"model.hidden_size": {"type": "int", "low": 1, "high": 64}})
    for value in range(WEIGHED_FROM):
        finish(made, made.ask(), 1 / (1 + value))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    shares = optuna.importance.get_param_importances(made._study, evaluator=evaluator)
    assert made.importances() == dict(shares)
    assert len(shares) == 1


def test_a_single_training_run_is_a_study_too(url, name, trial_config):
    base = trial_config()
    made = Study(url, name, None, base)
    made.remember(base=json.loads(base.model_dump_json()), n_trials=1, comparable={})
    number = made.ask()
    assert made.begin_attempt(number) == ({}, 1)
    assert made.report(number, [epoch(1, 0.5)]) is False
    made.end(number, decision(0.5))
    assert (made.n_trials, made.sweep().best.value) == (1, 0.5)


# --- Reading a study that another process drives, or none.


def test_facts_are_read_and_added(opened, url, name):
    assert stored.facts(url, name) is None
    opened()
    stored.remember(url, name, judged={"trial": 3})
    assert stored.facts(url, name)["judged"] == {"trial": 3}
    assert stored.read(url, name).facts["judged"] == {"trial": 3}


def test_a_study_whose_first_driver_said_nothing_yet_is_no_sweep(url, name, trial_config):
    made = Study(url, name, None, trial_config())
    made.remember(spec_text="name: x")
    assert stored.facts(url, name) is None
    with pytest.raises(NoSuchSweep) as error:
        stored.read(url, name)
    assert [fault.code for fault in error.value.faults] == ["sweep-not-run"]


def test_reading_creates_nothing(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    assert stored.facts(url, "co2") is None
    with pytest.raises(NoSuchSweep) as error:
        stored.read(url, "co2")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.place) == ("sweep-not-run", "co2")
    assert "`sweep run SPEC`" in wrong.mend
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "code", "values"),
    [
        ("study.db", "no-database-address", {}),
        ("postgresql://host:port/name", "no-database-address", {}),
        ("mysql://root:secret@host/db", "database-kind-not-offered", {"kind": "mysql"}),
        ("secret://root:secret@host/db", "database-driver-not-offered", {}),
        ("postgresql://root:secret@x@host/db", "address-with-two-ats", {}),
        ("sqlite://", "database-address-without-file", {}),
        ("sqlite:///:memory:", "database-address-without-file", {}),
        ("sqlite:///a?b/study.db", "database-address-unknown-option", {}),
    ],
)
def test_addresses_that_are_refused(url, code, values, trial_config):
    for act in (lambda: stored.facts(url, "co2"), lambda: Study(url, "co2", None, trial_config())):
        with pytest.raises(BadInput) as error:
            act()
        [wrong] = error.value.faults
        assert (wrong.code, wrong.path, wrong.place, wrong.values) == (code, "storage.study", "", values)
        assert "secret" not in str(wrong)


def test_a_database_that_cannot_be_opened(tmp_path, trial_config):
    text = tmp_path / "notes.txt"
    text.write_text("not a database " * 100)

    def why(act, *arguments, code="study-database-unopened"):
        with pytest.raises(BadInput) as error:
            act(*arguments)
        [wrong] = error.value.faults
        assert (wrong.code, wrong.path) == (code, "storage.study")
        assert "secret" not in str(wrong)
        return wrong.values["why"]

    assert why(stored.facts, f"sqlite:///{text}", "co2") == "file is not a database"
    missing = f"sqlite:///{tmp_path}/no/study.db"
    assert why(Study, missing, "co2", None, trial_config()) == "unable to open database file"
    pytest.importorskip("psycopg2", reason="PostgreSQL's driver is not installed")
    away = "postgresql://me:secret@127.0.0.1:1/db"
    assert why(stored.facts, away, "co2", code="study-server-unreached").startswith("connection to server")


@pytest.mark.parametrize(
    ("said", "passes"),
    [
        ('could not translate host name "db" to address: Temporary failure in name resolution', True),
        ("FATAL:  the database system is starting up", True),
        ("FATAL:  sorry, too many clients already", True),
        ('connection to server at "db" (10.0.0.1), port 5432 failed: Connection timed out', True),
        ("server closed the connection unexpectedly", True),
        ("server does not support SSL, but SSL was required", False),
        ('invalid sslmode value: "yes"', False),
        ("SSL error: certificate verify failed", False),
        ('FATAL:  role "me" is not permitted to log in', False),
        ("FATAL:  Passwort-Authentifizierung für Benutzer »me« fehlgeschlagen", False),
        ("fe_sendauth: no password supplied", False),
        ('FATAL:  password authentication failed for user "me"', False),
        ('FATAL:  database "none" does not exist', False),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.7", user "me", database "d"', False),
    ],
)
def test_a_server_that_is_away_may_come_back_and_one_that_refuses_will_refuse_again(said, passes):
    wrong = database.unopened(sqlalchemy.exc.OperationalError("", {}, Exception(said)))
    assert (may_pass(wrong), wrong.code, wrong.faults[0].values["why"]) == (passes, 2, said)


def test_a_database_in_a_file_is_not_away():
    of_file = sqlalchemy.exc.OperationalError("", {}, sqlite3.OperationalError("unable to open database file"))
    assert not may_pass(database.unopened(of_file))


def test_tables_of_another_optuna_are_refused(tmp_path):
    path = tmp_path / "study.db"
    optuna.storages.RDBStorage(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v0.9.0.a'")
    with pytest.raises(BadInput) as error:
        stored.facts(f"sqlite:///{path}", "co2")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.path) == ("study-of-another-optuna", "storage.study")
    assert "compatib" in wrong.values["why"]


def test_an_end_that_another_driver_writes_late_is_not_written_again(opened):
    late = opened()
    number = late.ask()
    # Decided; then it was stopped for longer than its claim lasts.
    late._live[number].set_user_attr("end", decision().row(has_second=False))
    made = opened()
    assert made.running() == [number]
    late.end(number, decision())
    assert made.settle() == [number]
    assert made.running() == []
    assert made.sweep().trials == late.sweep().trials


# --- No configuration is tried twice.

TWO = {"type": "int", "low": 1, "high": 2}
FEW = {
    "model.hidden_size": {"type": "int", "low": 1, "high": 3},
    "training.optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
    "training.momentum": {"type": "float", "low": 0.1, "high": 0.3, "step": 0.1, "when": {"training.optimizer": "sgd"}},
}
LAYERS = {"type": "categorical", "choices": [1, 2, 3]}
PLAIN = {
    "model.hidden_size": {"type": "int", "low": 1, "high": 3},
    "model.num_layers": {"type": "categorical", "choices": [1, 2, 3, 4]},
}
# Each sampler and each space once in every run of the tests, all pairs with twelve combinations with `-m faults`.
FEWER = {"model.hidden_size": TWO, "training.momentum": FEW["training.momentum"] | {"high": 0.2}}
PLAINER = PLAIN | {"model.hidden_size": TWO, "model.num_layers": LAYERS}
SIX = [("tpe", FEW | FEWER), ("random", PLAINER)]
TWELVE = [("tpe", FEW), ("random", FEW), ("gp", PLAIN), ("tpe", PLAIN), ("random", PLAIN)]


def keys_of(made):
    return [json.dumps(dict(t.settings), sort_keys=True) for t in made.sweep().trials]


@ON_SQLITE
@pytest.mark.parametrize(
    ("sampler", "searched", "count"),
    [
        *((*case, 6) for case in [*SIX, ("gp", PLAINER)]),
        *(pytest.param(*case, 12, marks=pytest.mark.faults) for case in TWELVE),
    ],
)
def test_all_combinations_are_tried_once_and_then_nothing_is_asked_for(opened, sampler, searched, count):
    made = opened(sampler, space=searched, n_trials=24)
    running = []
    while (number := made.ask()) is not None:
        running.append(number)
        if len(running) == 3:
            finish(made, running.pop(0), 1.0 + number % 5)
    assert len(keys_of(made)) == len(set(keys_of(made))) == count
    assert {t.state for t in made.sweep().trials} == {"COMPLETE", "RUNNING"}, "nothing waits, nobody else's runs"
    assert made.running() == running
    assert made.exhausted() == {"tried": count, "combinations": count, "trials": count}
    made = opened(sampler, space=searched, n_trials=24)
    for number in running:
        finish(made, adopted(made, number), 1.0)
    assert made.ask() is None
    assert made.due() == 24 - count, "n_trials is not what ends it"


@ON_SQLITE
@pytest.mark.parametrize(
    ("sampler", "searched", "count"),
    [
        (*SIX[0], 6),
        pytest.param(*SIX[1], 6, marks=pytest.mark.faults),
        *(pytest.param(*case, 12, marks=pytest.mark.faults) for case in TWELVE if case[0] != "gp"),  # takes minutes
    ],
)
def test_a_killed_driver_changes_no_suggestion_that_was_drawn_again(
    opened, name, sampler, searched, count, monkeypatch
):
    """The twin is killed after every single commit of a suggestion, and made anew."""

    def drive(sweep, *, killed):
        made = opened(sampler, sweep=sweep, space=searched, n_trials=24)
        while len(made.sweep().trials) < count:
            if killed:
                _ask_killed(opened, monkeypatch, sampler=sampler, sweep=sweep, space=searched, n_trials=24)
                made = opened(sampler, sweep=sweep, space=searched, n_trials=24)
            number = adopted(made, running[0]) if (running := made.running()) else made.ask()
            finish(made, number, 1.0 + number % 5)
        return keys_of(made)

    calm = drive(f"{name}-a", killed=False)
    assert len(set(calm)) == count
    assert drive(f"{name}-b", killed=True) == calm


def _ask_killed(opened, monkeypatch, **search):
    """Asks for a trial, again and again, and dies after one commit more each time, until one is whole."""
    writes = ("create_new_trial", "set_trial_param", "set_trial_system_attr", "set_trial_state_values")
    made = opened(**search)
    storage = made._study._storage
    with monkeypatch.context() as patch:
        for method in writes:
            patch.setattr(storage, method, _then_dies(getattr(storage, method)))
        with pytest.raises(KeyboardInterrupt):
            made.ask()
    while True:
        made = opened(**search)
        running = made.running()
        storage = made._study._storage
        with monkeypatch.context() as patch:
            for method in writes:
                patch.setattr(storage, method, _then_dies(getattr(storage, method)))
            try:
                made.adopt(running[0]) if running else made.ask()
            except KeyboardInterrupt:
                continue
            return


def _then_dies(write):
    def dies(*arguments, **named):
        write(*arguments, **named)
        raise KeyboardInterrupt

    return dies


@ON_SQLITE
def test_what_is_to_be_tried_first_and_what_was_tried_twice_already_is_left_as_it_is(opened, monkeypatch):
    """A sweep of an earlier version, which tried a configuration again, goes on."""
    twice = {"model.hidden_size": 2, "training.optimizer": "adam"}
    made = opened(space=FEW, first=[twice, twice], n_trials=24)
    made.enqueue_first()
    finish(made, made.ask(), 1.0)
    finish(made, made.ask(), 1.0)
    with monkeypatch.context() as patch:  # as it was
        patch.setattr(samplers_and_pruners.NumberedSampler, "draw", lambda self, *_: None)
        patch.setattr(Study, "ask", _ask_as_before)
        for _ in range(8):
            finish(made, made.ask(), 1.0)
    before = keys_of(made)
    assert len(set(before)) < len(before) == 10
    made = opened(space=FEW, first=[twice, twice], n_trials=24)
    while (number := made.ask()) is not None:
        finish(made, number, 1.0)
    new = keys_of(made)[10:]
    assert len(set(new)) == len(new)
    assert not set(new) & set(before)
    assert set(new) | set(before) == set(map(_key, combinations.every(made.search.space)))
    assert made.exhausted()["tried"] == 12


def _key(settings):
    return json.dumps(settings, sort_keys=True)


def _ask_as_before(made):
    trial = made._study.ask()
    made._live[trial.number] = trial
    made._reports.begin(trial.number, {})
    suggest.suggest(trial, made._space)
    return trial.number


@ON_SQLITE
@pytest.mark.parametrize("sampler", ["tpe", "random", pytest.param("gp", marks=pytest.mark.faults)])
def test_a_first_draw_that_is_new_is_what_it_always_was(opened, name, sampler):
    """Whatever Optuna keeps of a trial is the same, too: a sweep begun before goes on as it would have."""
    kept = []
    for ask, sweep in ((Study.ask, f"{name}-a"), (_ask_as_before, f"{name}-b")):
        searched = SPACE | {"training.learning_rate": RATE} if sampler == "gp" else CONDITIONAL
        made = opened(sampler, sweep=sweep, space=searched, pruner="none")
        for _ in range(6):
            finish(made, ask(made), None if sampler == "gp" else 1.0)
        kept.append([(t.params, t.system_attrs) for t in made._study.get_trials()])
    params = [_key(settings) for settings, _ in kept[1]]
    new = next((i for i, each in enumerate(params) if each in params[:i]), len(params))  # until one came again
    assert new >= 5
    assert kept[0][:new] == kept[1][:new]


@ON_SQLITE
def test_in_a_space_without_number_a_setting_that_comes_again_is_drawn_again(opened, monkeypatch):
    """Where nothing new comes in a hundred draws there is nothing more to ask for."""
    made = opened("random", n_trials=24)
    finish(made, made.ask())
    drawn = []

    def stuck(self, study, trial, name, distribution):
        drawn.append((self._made_for, self._attempt))
        return settings_of(made, 0)[name]

    monkeypatch.setattr(samplers_and_pruners.NumberedSampler, "sample_independent", stuck)
    assert made.ask() is None
    assert {attempt for _, attempt in drawn} == set(range(100))
    assert made.exhausted() == {"tried": 1, "combinations": None, "trials": 1}
    assert len(made.sweep().trials) == 1


# --- A failed trial is run again.


RETRIED_ELSEWHERE = [("sqlite", "gp"), ("sqlite", "random"), ("postgresql", "tpe")]


def fail(made, number):
    made.end(number, decision(None, "FAIL"))


@pytest.mark.parametrize(
    ("url", "sampler"),
    [
        ("sqlite", "tpe"),
        ("sqlite", "grid"),
        *(pytest.param(*case, marks=pytest.mark.faults) for case in RETRIED_ELSEWHERE),
    ],
    indirect=["url"],
)
def test_a_retry_has_the_same_settings_and_stands_in_the_place_of_what_failed(opened, sampler):
    searched = {} if sampler in ("gp", "grid") else {"space": CONDITIONAL}
    made = opened(sampler, **searched)
    for _ in range(5):
        number = made.ask()
        fail(made, number) if number in (1, 3) else finish(made, number, float(number))
    assert (made.asked(), made.due()) == (5, 3)
    for _ in range(2):  # by a driver that is killed, and the next
        made = opened(sampler, **searched)
        made.retry(1), made.retry(3)
    assert (made.asked(), made.due()) == (3, 5)
    sweep = made.sweep()
    assert [t.derived for t in sweep.trials[5:]] == [Derived(1, "retry"), Derived(3, "retry")]
    assert [t.number for t in sweep.counted] == [0, 2, 4, 5, 6]
    for number, parent in ((5, 1), (6, 3)):
        made = opened(sampler, **searched)
        assert made.ask() == number
        assert made.derived(number) == Derived(parent, "retry")
        assert settings_of(made, number) == settings_of(made, parent)
        finish(made, number, 0.5)
    for _ in range(3):
        finish(made, made.ask(), 0.5)
    assert (made.asked(), made.due()) == (8, 0)
    settings = [json.dumps(dict(t.settings), sort_keys=True) for t in made.sweep().counted]
    assert len(set(settings)) == 8, "the settings of a retry come no third time"


@ON_SQLITE
def test_a_retry_that_fails_can_be_retried_and_runs_whatever_n_trials_says(opened):
    made = opened(n_trials=2)
    finish(made, made.ask())
    fail(made, made.ask())
    made.retry(1)
    fail(made, made.ask())
    made = opened(n_trials=1)
    made.retry(2)
    assert (made.asked(), made.due()) == (1, 1)
    finish(made, made.ask())
    assert [t.number for t in made.sweep().counted] == [0, 3]
    assert made.sweep().replaced == {1, 2}
    assert made.sweep().over()


@ON_SQLITE
@pytest.mark.parametrize("purpose", ["extend", "confirm", "refit", "fork"])
def test_a_trial_of_another_purpose_counts_for_nothing(opened, purpose):
    made = opened()
    finish(made, made.ask(), 1.0)
    due = made.due()
    decided = Decisions(Derived(0, purpose))
    made._study.enqueue_trial(settings_of(made, 0), user_attrs=decided.asked())
    assert made.due() == due + 1, "it is yet to be run, whatever n_trials says"
    assert not made.sweep().over(1)
    number = made.ask()
    assert (made.is_beside(number), made.derived(number)) == (True, Derived(0, purpose))
    assert settings_of(made, number) == settings_of(made, 0)
    finish(made, number, 0.1)
    assert (made.asked(), made.due()) == (1, due)
    assert made.frozen()[number].state.name == "FAIL", "no sampler and no pruner reads it"
    sweep = made.sweep()
    assert sweep.over(1)
    assert (sweep.best.number, sweep.done, sweep.replaced) == (0, 1, frozenset())
    assert [ending.best_value for ending in sweep.endings()] == [1.0, 1.0]


@ON_SQLITE
@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.faults)])
def test_an_open_trial_beside_the_search_changes_no_draw(opened, name, sampler):
    """A refit or a confirmation that was interrupted stays running: a sampler would keep away from its settings."""

    def draws(sweep, *, is_open):
        made = opened(sampler, sweep=sweep)
        for _ in range(4):
            finish(made, made.ask())
        number = refits.begin(made, Derived(2, "refit", fitted={"epochs": 1}))
        if not is_open:
            finish(made, adopted(made, number), 1.0)
        return [settings_of(made, made.ask()) for _ in range(3)]

    assert draws(f"{name}-a", is_open=True) == draws(f"{name}-b", is_open=False)
