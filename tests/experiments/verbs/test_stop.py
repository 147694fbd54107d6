import json
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from cluster.launch import record
from cluster.launch.record import Launched
from cluster.launch.system import State
from cluster.study.lease import Lease
from experiments.home import Home
from experiments.launching import submitting
from lstm.records.sweep import LAUNCHED


@contextmanager
def driven(url, job=""):
    """A driver that ends when it is asked to."""
    asked = threading.Event()
    with Lease(url, "tiny", lost=print, stop=asked.set, job=job) as lease:
        ending = threading.Thread(target=lambda: asked.wait(30) and lease.__exit__(None, None, None))
        ending.start()
        yield
        ending.join()


def test_nobody_to_stop(copied, sweep):
    assert sweep("stop", "tiny").out == "tiny: no driver is running\n"
    assert json.loads(sweep("stop", "tiny", "--json").out)["stopped"] is True


def test_a_driver_that_is_asked_ends(copied, sweep):
    with driven(copied.url):
        answer = sweep("stop", "tiny")
    assert (answer.code, answer.out) == (0, "tiny: stopped; `sweep run tiny` resumes the sweep\n")


def test_a_driver_that_does_not_end_is_told(copied, sweep, monkeypatch):
    monkeypatch.setattr("experiments.verbs.stop.WAIT_S", 0.3)
    with Lease(copied.url, "tiny", lost=print, stop=lambda: None):
        answer = sweep("stop", "tiny")
    assert answer.code == 1
    assert "was asked to end and has not within 0 s" in answer.out


RUNS, ENDED = State("running", "RUNNING"), State("ended", "FAILED", code=130)


@pytest.mark.parametrize(
    ("states", "said", "is_ended"),
    [
        ([RUNS, RUNS, RUNS, ENDED], "stopped; `sweep run tiny`", False),
        ([RUNS, RUNS, State("waiting", "PENDING")], "stopped, and slurm was asked to end its job, which had not", True),
        ([RUNS, State("running", "RUNNING", restarts=1)], "stopped, and slurm was asked to end its job", True),
        ([State("unknown"), State("unknown")], "stopped; `sweep run tiny`", False),
    ],
)
def test_a_job_that_its_system_starts_again_meanwhile_is_ended(copied, sweep, monkeypatch, states, said, is_ended):
    ended, told = [], iter(states)
    monkeypatch.setattr("experiments.launching.following.state_of", lambda job: next(told))
    monkeypatch.setattr("experiments.launching.following.stop", lambda job: ended.append(job.job))
    monkeypatch.setattr("experiments.launching.following.time.sleep", lambda _: None)
    monkeypatch.setattr("cluster.study.lease.BEAT_S", 0.02)
    record.write(copied.home / "tiny", Launched("slurm", "7", "tiny"))
    with driven(copied.url):
        answer = sweep("stop", "tiny")
    assert (answer.code, answer.out.startswith(f"tiny: {said}")) == (0, True), answer.out
    assert ended == (["7"] if is_ended else [])
    assert list(told) == []


def test_a_job_that_only_the_study_names_is_not_forgotten_in_a_circle(copied, sweep, monkeypatch):
    known = {"system": "slurm", "job": "7"}
    monkeypatch.setattr("experiments.verbs.stop.lookup.read", lambda found: SimpleNamespace(facts={LAUNCHED: known}))
    monkeypatch.setenv("PATH", "/nowhere")
    answer = sweep("stop", "tiny")
    assert (answer.code, "--forget" in answer.err, "Nothing of it is kept here" in answer.err) == (2, False, True)
    answer = sweep("stop", "tiny", "--forget")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("tiny: nothing is kept here of the slurm job 7, which only the study names")
    submitting._refuse_second("tiny", Home.at(str(copied.home)), copied.url)  # no launch is refused for it

    record.write(copied.home / "tiny", Launched("slurm", "7", "tiny"))
    assert "`sweep stop tiny --forget` forgets" in sweep("stop", "tiny").err
    assert sweep("stop", "tiny", "--forget").out.startswith("tiny: forgot the slurm job 7")
    assert "nothing is kept here" in sweep("stop", "tiny", "--forget").out
    submitting._refuse_second("tiny", Home.at(str(copied.home)), copied.url)
