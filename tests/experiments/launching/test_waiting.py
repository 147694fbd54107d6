"""What the job of a launched sweep does when a store or a database does not answer; everybody else is refused."""

from itertools import count
from types import SimpleNamespace

import pytest

from cluster import opening
from experiments.launching import waiting
from lstm.records.errors import Away, BadInput, fault, refused

AWAY = {"why": "Connection refused"}


@pytest.fixture
def clock(monkeypatch):
    """A clock that only sleeping moves; the pauses."""
    pauses = []
    monkeypatch.setattr(waiting.time, "sleep", pauses.append)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: float(sum(pauses)))
    return pauses


@pytest.fixture
def launched(monkeypatch):
    monkeypatch.setenv("SWEEP_LAUNCHED", "slurm:7")


def away(until):
    """What is refused so often, and then returns a number."""
    tried = count(1)

    def act():
        if (number := next(tried)) <= until:
            raise refused("study-server-unreached", "storage.study", **AWAY)
        return number

    return act


@pytest.mark.usefixtures("launched")
def test_a_launched_job_waits_for_what_comes_back_and_says_so(clock, capsys):
    assert waiting.patiently(away(3)) == 4
    assert clock == [2.0, 4.0, 8.0]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        "note: storage.study: the database's server can't be reached: Connection refused, and the job asks again in 2 s"
    )
    assert len(said) == 3


@pytest.mark.usefixtures("launched")
def test_it_does_not_wait_for_ever(clock):
    with pytest.raises(BadInput, match="can't be reached"):
        waiting.patiently(away(10**6))
    assert 540 < sum(clock) <= waiting.WAIT_S
    assert max(clock) == waiting.LONGEST_PAUSE_S


@pytest.mark.usefixtures("launched")
def test_what_will_be_refused_again_is_refused_at_once(clock):
    both = BadInput(fault("study-server-unreached", **AWAY), fault("sweep-not-run"))
    for wrong in (both, refused("sweep-not-run")):
        with pytest.raises(BadInput):
            waiting.patiently(lambda wrong=wrong: (_ for _ in ()).throw(wrong))
    assert clock == []


def test_outside_of_a_job_nobody_waits(clock, monkeypatch):
    monkeypatch.delenv("SWEEP_LAUNCHED", raising=False)
    with pytest.raises(BadInput):
        waiting.patiently(away(1))
    assert clock == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("job", "code"), [("slurm:7", 1), ("", 2)])
def test_what_does_not_answer_is_a_failure_of_a_job_and_bad_input_of_a_user(sweep, monkeypatch, job, code):
    pytest.importorskip("psycopg2", reason="PostgreSQL's driver is not installed")
    monkeypatch.setattr(waiting, "WAIT_S", 0.0)
    study = "storage.study=postgresql://me@127.0.0.1:1/db"
    ran = sweep("run", "tiny.yaml", "--in-process", "--set", study, SWEEP_LAUNCHED=job)
    assert (ran.code, ran.out) == (code, "")
    assert "can't be reached" in ran.err


def test_a_silent_cluster_fails_whoever_asks():
    assert Away(fault("head-silent", seconds=30.0)).code == 1


@pytest.mark.usefixtures("launched")
def test_a_sweep_that_begins_again_waits_for_the_bucket_of_its_checkpoints(clock, monkeypatch, capsys):
    """Its first question to the bucket is whose checkpoints are there."""
    said = "When reading information: AWS Error NETWORK_CONNECTION: curlCode: 7, Could not connect to server"
    tried = count(1)

    def mark_of(_):
        if next(tried) <= 2:
            raise OSError(said)
        return opening.ownership.Mark("1", "s")

    monkeypatch.setattr(opening.ownership, "mark_of", mark_of)
    order = SimpleNamespace(checkpoints="s3://lab/x", study_id="1", studies_before=())
    begun = SimpleNamespace(trials=[])
    waiting.patiently(lambda: opening.check_checkpoints(order, begun, None))
    assert clock == [2.0, 4.0]
    assert "s3://lab/x: Amazon S3 does not answer: AWS Error NETWORK_CONNECTION" in capsys.readouterr().err
