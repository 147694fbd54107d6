"""What a probe finds is kept in the study, told to MLflow, checked, and told again by `sweep rebuild`."""

import json
import math
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import forking
import pytest
import twin
from audit import audit

from lstm.diagnostics import probe


def stored(home, number):
    """The points of a trial's probe in MLflow: name, value, step."""
    query = (
        "SELECT metrics.key, metrics.value, step FROM metrics JOIN runs USING (run_uuid) JOIN tags USING (run_uuid) "
        "WHERE lifecycle_stage = 'active' AND metrics.key LIKE 'probe/%' "
        "AND tags.key = 'sweep.trial' AND tags.value = ?"
    )
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        return {name: (value, step) for name, value, step in database.execute(query, (str(number),))}


def test_a_trial_is_probed_once_and_everyone_knows_and_what_is_gone_or_changed_is_told_again(home, sweep, monkeypatch):
    answer = sweep("probe", "tiny", "--home", home, "--json")
    assert (answer.code, answer.err) == (0, "")
    found = json.loads(answer.out)
    best = json.loads(sweep("best", "tiny", "--home", home, "--json").out)["best"]
    assert (found["trial"], found["best_epoch"]) == (best["trial"], best["epoch"])
    assert {name.split("/")[0] for name in found["numbers"]} == {
        "delay",
        "feedback",
        "activation",
        "scalability",
        "reliability",
    }
    assert all(math.isfinite(value) for value in found["numbers"].values())
    wanted = {f"probe/{name}": (value, best["epoch"]) for name, value in found["numbers"].items()}
    assert stored(home, best["trial"]) == wanted
    page = (home / "tiny" / f"probe-{best['trial']:04d}.html").read_text()
    assert "What the network is like" in page
    assert page.count("Plotly.newPlot") >= 5
    assert next((home / "artifacts").rglob("probe.html")).read_text() == page
    assert sweep("verify", "tiny", "--home", home).code == 0
    assert audit(home, "tiny") == []
    monkeypatch.setattr(probe, "probe", None)  # a second time nothing is measured
    again = sweep("probe", "tiny", "--home", home)
    assert again.code == 0
    assert "steps back to the most influential input" in " ".join(again.out.split())
    assert stored(home, best["trial"]) == wanted
    points_that_are_gone_or_changed_are_found_and_told_again(home, sweep, best["trial"])


def points_that_are_gone_or_changed_are_found_and_told_again(home, sweep, number):
    before = stored(home, number)
    gone, changed, *_ = before
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("DELETE FROM metrics WHERE key = ?", (gone,))
        database.execute("UPDATE metrics SET value = value + 1 WHERE key = ?", (changed,))
    answer = sweep("verify", "tiny", "--home", home)
    assert answer.code == 1
    findings = audit(home, "tiny")
    for name in (gone, changed):
        assert name in answer.out
        assert any(name in finding for finding in findings)
    answer = sweep("rebuild", "tiny", "--home", home)
    assert (answer.code, answer.err) == (0, "")
    assert stored(home, number) == before
    assert sweep("verify", "tiny", "--home", home).code == 0


@pytest.mark.usefixtures("blank_pages")
def test_two_at_once_measure_once(home, sweep, monkeypatch):
    """The other is a child that begins when the first one measures."""
    begun, begin = os.pipe()
    whole = probe.probe

    def telling(subject):
        os.write(begin, b".")
        return whole(subject)

    words = ["probe", "tiny", "--home", home]
    with Path(os.devnull).open("r+b") as null:
        streams = (null.fileno(),) * 3
        other = forking.start(
            words, home.parent, dict(os.environ), streams, leave=(begin,), before=lambda: os.read(begun, 1)
        )
    try:
        monkeypatch.setattr(probe, "probe", telling)
        assert sweep(*words).code == 0
    finally:
        os.close(begin)
        code = twin.wait(other)
        os.close(begun)
    assert code == 0
    assert sweep("verify", "tiny", "--home", home).code == 0


@pytest.mark.usefixtures("blank_pages")
def test_another_trials_numbers_are_kept_where_their_page_can_not_be(home, sweep):
    best = json.loads(sweep("best", "tiny", "--home", home, "--json").out)["best"]["trial"]
    other = (best + 1) % 4
    (home / "tiny" / f"probe-{other:04d}.html").mkdir()
    answer = sweep("probe", "tiny", "--trial", other, "--home", home, "--json")
    assert (answer.code, json.loads(answer.out)["trial"]) == (0, other)
    assert f"probe-{other:04d}.html: " in answer.err
    assert stored(home, other)
    assert not stored(home, best)


def test_what_can_not_be_probed_is_refused(home, sweep, finished, monkeypatch):
    answer = sweep("probe", "tiny", "--trial", 99, "--home", home)
    assert answer.code == 2
    assert answer.err.startswith("--trial 99: tiny has no trial 99")
    monkeypatch.chdir(home.parent)
    shutil.copy(finished.folder / "tiny.yaml", home.parent)
    (home.parent / "tiny.csv").write_text(
        (finished.folder / "tiny.csv").read_text().replace("2020-01-01,", "2020-01-01,9")
    )
    answer = sweep("probe", "tiny.yaml", "--home", home)
    assert answer.code == 2
    assert answer.err.startswith("tiny.yaml: data: ")
    assert "that tiny was trained on" in answer.err
    assert not list((home / "tiny").glob("probe-*"))
