import json
import os
import re
import sqlite3
from contextlib import closing

import optuna
import pytest

from cluster.study.lease import Lease


def test_a_sweep_that_is_complete(copied, sweep):
    answer = sweep("status", "tiny")
    assert (answer.code, answer.err) == (0, "")
    first, second, third, base, fourth, *goodput = answer.out.splitlines()
    assert first == "tiny: 4 of 4 trials have ended (4 complete)"
    assert second == "complete; no driver is running"
    assert third.startswith("best val/loss ")
    assert base.startswith("base (")
    assert fourth.startswith("5 trials ended in the last hour; the median trial took ")
    assert re.fullmatch(r"goodput \d+ % of [^%]+ worker time in training \(\d+ epochs\)", goodput[0])
    parts = re.findall(r"(\w+) (\d+) %", " ".join(goodput))
    assert sum(int(percent) for _, percent in parts) == 100
    document = json.loads(sweep("status", "tiny", "--json").out)["goodput"]
    assert goodput[0].endswith(f"({document['epochs']} epochs)")
    assert list(document["seconds"]) == [
        "training",
        "start",
        "data",
        "waiting",
        "checkpoint",
        "report",
        "probe",
        "lost",
    ]
    assert sum(document["seconds"].values()) == pytest.approx(document["worker_s"])
    assert document["share"] == pytest.approx(document["seconds"]["training"] / document["worker_s"])
    assert min(document["seconds"][part] for part in ("training", "start", "data", "checkpoint", "report")) > 0


def test_a_sweep_under_way(copied, sweep):
    study = optuna.load_study(study_name="tiny", storage=copied.url)
    study.set_user_attr("n_trials", 6)
    for fact in ("complete", "recorded"):  # as a driver does that goes on
        study.set_user_attr(fact, False)
    trial = study.ask()
    trial.suggest_int("model.hidden_size", 2, 8)
    trial.set_user_attr("attempt", 2)
    trial.set_user_attr("start", {"worker": "192.0.2.2 (vm) pid 1", "at_ms": 0})
    trial.report(0.123456789, 1)
    with Lease(copied.url, "tiny", lost=print, stop=lambda: None):
        document = json.loads(sweep("status", "tiny", "--json").out)
        told = sweep("status", "tiny").out
    assert (document["done"], document["n_trials"], document["complete"]) == (4, 6, False)
    assert document["states"] == {"COMPLETE": 4, "RUNNING": 1}
    assert document["driver"]["pid"] == os.getpid()
    (running,) = document["running"]
    assert (running["trial"], running["attempt"], running["epoch"], running["value"]) == (5, 2, 1, 0.123456789)
    assert f"driven by process {os.getpid()} on " in told
    assert re.search(r"^5 +1 +0\.12346 +hidden_size=\d +192\.0\.2\.2 \(vm\) pid 1", told, flags=re.M)
    assert ("1 running" in told, "interrupted" in told) == (True, False)
    told = sweep("status", "tiny").out
    assert ("running)" in told, "1 interrupted" in told) == (False, True)
    assert "no driver is running; `sweep run tiny` resumes the sweep" in told


def test_a_driver_that_was_killed_before_it_queued_what_is_confirmed(copied, sweep):
    study = optuna.load_study(study_name="tiny", storage=copied.url)
    row = {"windows": "search", "seed": 0, "settings": [["of the base", 0], ["of the best", 1]]}
    study.set_user_attr("confirm", row | {"seeds": 3})
    assert json.loads(sweep("status", "tiny", "--json").out)["confirmation"] == {"trials": 6, "open": 6}
    assert "confirm: 0 of 6 trials have ended" in sweep("status", "tiny").out


def test_a_sweep_of_before_time_was_measured_has_no_goodput(copied, sweep):
    with closing(sqlite3.connect(copied.home / "study.db")) as database, database:
        sql = "UPDATE trial_user_attributes SET value_json = json_remove(value_json, '$.spent') WHERE key = 'end'"
        assert database.execute(sql).rowcount == 5
    assert json.loads(sweep("status", "tiny", "--json").out)["goodput"] is None
    assert "goodput" not in sweep("status", "tiny").out


def test_where_the_home_does_not_know_a_shared_sweep_the_hint_names_the_spec(copied, sweep, folder):
    text = (folder / "tiny.yaml").read_text() + f"storage: {{study: '{copied.url}'}}\n"
    (folder / "a colleague's.yaml").write_text(text)
    study = optuna.load_study(study_name="tiny", storage=copied.url)
    for fact, value in (("n_trials", 6), ("complete", False), ("recorded", False)):
        study.set_user_attr(fact, value)
    told = sweep("status", "a colleague's.yaml", "--home", "other").out
    assert """`sweep run 'a colleague'"'"'s.yaml' --home""" in told
    assert "`sweep run tiny` resumes" in sweep("status", "tiny").out


def test_a_spec_that_was_never_run(folder, sweep):
    answer = sweep("status", "tiny.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("tiny: ")
    assert "`sweep run SPEC`" in answer.err
    assert not (folder / "runs").exists()


def test_more_may_have_ended_than_are_asked_for_now(copied, sweep):
    with closing(sqlite3.connect(copied.home / "study.db")) as database, database:
        database.execute("UPDATE study_user_attributes SET value_json = '1' WHERE key = 'n_trials'")
    assert sweep("status", "tiny").out.splitlines()[0] == "tiny: 4 of 4 trials have ended (4 complete)"
    assert json.loads(sweep("status", "tiny", "--json").out)["n_trials"] == 1
