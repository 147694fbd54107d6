import dataclasses
import json
import multiprocessing
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from threading import Event
from types import SimpleNamespace

import pytest
import sqlalchemy

from cluster.study import database, lease
from cluster.study.lease import Lease, Owner
from lstm.records.errors import BadInput, HeldError, StoppedError, fault
from lstm.storage import files


def nothing(*_):
    pytest.fail("was called")


@pytest.fixture
def made(url, name):
    """A driver's lease on the sweep."""

    def make(lost=nothing, stop=nothing, sweep=name, job=""):
        return Lease(url, sweep, lost=lost, stop=stop, job=job)

    return make


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lease, "BEAT_S", 0.02)


@pytest.fixture
def change(url, name):
    """Changes the lease's row behind the driver's back."""

    def execute(assignments, **values):
        engine = database.engine(url)
        with engine.begin() as connection:
            statement = sqlalchemy.text(f"UPDATE sweep_lease SET {assignments} WHERE sweep = :sweep")
            connection.execute(statement, {"sweep": name, **values})
        engine.dispose()

    return execute


@pytest.fixture
def watched(monkeypatch):
    """What happens, one after another, while a claim is watched; time flies meanwhile."""
    happens, now = [], [0.0]

    def sleep(_):
        now[0] += lease.TTL_S / 3
        if happens:
            happens.pop(0)()

    clock = SimpleNamespace(sleep=sleep, clock_gettime=lambda _: now[0], CLOCK_MONOTONIC=0)
    monkeypatch.setattr(lease, "time", clock)
    return happens


def row_of(owner):
    return {"owner": json.dumps(dataclasses.asdict(owner)), "id": owner.id}


ROW = "owner = :owner, owner_id = :id"


def gone_pid():
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_second_driver_is_refused_with_who_holds_it(made, url, name):
    with made() as first:
        assert first.held()
        with pytest.raises(HeldError) as refused, made():
            pytest.fail("entered")
        [wrong] = refused.value.faults
        assert (wrong.code, wrong.place, refused.value.code) == ("sweep-driven", name, 3)
        left_s = wrong.values["left_s"]
        assert wrong.values == {"sweep": name, "pid": os.getpid(), "host": socket.gethostname(), "left_s": left_s}
        assert 0 < left_s <= lease.TTL_S
        assert lease.driver(url, name).owner == first.owner
        with made(sweep=f"{name}-other") as other:  # another sweep in the same database
            assert other.generation == 1


def test_a_lease_that_was_given_back_is_taken_at_once(made, url, name):
    with made():
        pass
    assert lease.driver(url, name) is None
    with made() as second:
        assert second.generation == 2


def test_a_claim_that_ran_out_by_the_databases_clock_is_taken(made, change, watched):
    with made(lost=lambda _: None) as first:
        alive = dataclasses.replace(first.owner, boot="another machine", id="alive")
        change(ROW, **row_of(alive))
        with pytest.raises(HeldError), made():
            pytest.fail("entered")
        change("expires = 5")
        with made() as second:
            assert second.generation == 2


@pytest.mark.parametrize("off_s", [-7200, 7200])
def test_another_machines_clock_neither_takes_nor_keeps_a_claim_in_a_file(quick_path, change, watched, off_s):
    """SQLite's clock is each host's own; what counts is whether the claim is renewed."""
    url = f"sqlite:///{quick_path}/study.db"

    def made():
        return Lease(url, "sweep", lost=lambda _: None, stop=nothing)

    def renew(to):
        with database.engine(url).begin() as connection:
            connection.execute(
                sqlalchemy.text(f"UPDATE sweep_lease SET {ROW}, expires = :to WHERE sweep = 'sweep'"),
                {**row_of(other), "to": to},
            )

    now = time.time() + off_s
    with made() as first:
        other = dataclasses.replace(first.owner, boot="another machine", id="other")
        renew(now)
        watched.append(lambda: renew(now + 3))
        with pytest.raises(HeldError), made():
            pytest.fail("entered")
        with made() as second:  # silent for as long as a claim lasts
            assert second.generation == 2


@pytest.mark.parametrize(
    "dead",
    [
        pytest.param(lambda me: dataclasses.replace(me, pid=gone_pid(), id="dead"), id="gone"),
        pytest.param(lambda me: dataclasses.replace(me, born="1", id="dead"), id="its number used again"),
    ],
)
def test_a_dead_driver_on_this_machine_is_followed_at_once(made, change, url, name, dead):
    with made(lost=lambda _: None) as first:
        change(ROW, **row_of(dead(first.owner)))
        assert lease.driver(url, name) is None
        with made() as second:
            assert second.generation == 2


def test_a_zombie_is_dead():
    pid = os.fork()
    if pid == 0:
        signal.pause()
    try:
        living = dataclasses.replace(Owner.myself(), pid=pid, born=lease._born(pid))
        assert not living.is_dead()
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # ended, and its parent has not looked yet
        assert living.is_dead()
    finally:
        os.waitpid(pid, 0)


@pytest.mark.parametrize("boot", ["another machine", "", files.machine().split()[0] + " pid:[1]"])
def test_a_process_elsewhere_is_never_taken_for_dead(boot):
    assert not dataclasses.replace(Owner.myself(), boot=boot, pid=gone_pid()).is_dead()


def test_this_process_lives():
    assert not Owner.myself().is_dead()


def test_a_driver_that_was_followed_notices_and_may_not_write(made, change, quick):
    why, lost = [], Event()

    def told(wrong):
        why.append(wrong)
        lost.set()

    with made(lost=told) as first:
        other = dataclasses.replace(first.owner, boot="another machine", host="other", pid=7, id="other")
        change(ROW, **row_of(other))
        assert lost.wait(30)
        assert not first.held()
    assert why == [fault("sweep-taken-over", pid=7, host="other")]
    with pytest.raises(HeldError) as refused, made():  # giving back touched only its own claim
        pytest.fail("entered")
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.values["pid"], wrong.values["host"]) == ("sweep-driven", 7, "other")


def test_a_claim_is_renewed(made, change, url, name, quick):
    with made():
        change("expires = expires - 20")
        end = time.monotonic() + 60
        while lease.driver(url, name).left_s < lease.TTL_S - 5:
            assert time.monotonic() < end


def test_a_claim_that_could_not_be_renewed_in_time_forbids_writing(made, monkeypatch, quick):
    with made() as held:
        failed = Event()
        monkeypatch.setattr(held, "_renew", lambda: failed.set() or raise_away())
        assert failed.wait(30)
        assert held.held()
        monkeypatch.setattr(lease, "TTL_S", 0.0)
        assert not held.held()
        monkeypatch.undo()  # the database answers again: nobody else took it
        while not held.held():
            pass


def raise_away():
    raise sqlalchemy.exc.OperationalError("UPDATE", {}, Exception("no route to host"))


def test_a_database_that_stays_away_ends_the_sweep(made, monkeypatch, quick):
    why, lost = [], Event()
    monkeypatch.setattr(lease, "OUTAGE_S", 0.0)
    monkeypatch.setattr(Lease, "_renew", lambda _: raise_away())
    with made(lost=lambda wrong: why.append(wrong) or lost.set()):
        assert lost.wait(30)
    assert why == [fault("study-silent", minutes=0.0)]


def test_giving_back_to_a_database_that_is_away_raises_nothing(made, monkeypatch):
    with made() as held:
        monkeypatch.setattr(held, "_engine", sqlalchemy.create_engine("sqlite:////no/such/folder/x.db"))


def test_stop_reaches_the_driver_once(made, url, name, quick):
    asked = []
    stopped = Event()
    with made(stop=lambda: asked.append(1) or stopped.set()) as held:
        lease.request_stop(url, name)
        assert stopped.wait(30)
        renewed = held._renewed
        while held._renewed == renewed:  # another beat
            pass
    assert asked == [1]
    with made() as second:  # the next driver was not asked
        assert second._renew() is False


@pytest.mark.parametrize("dead", [False, True], ids=["fresh", "after a dead driver"])
def test_of_eight_at_once_exactly_one_wins(made, change, url, name, dead):
    generation = 1
    if dead:
        generation = 2
        with made(lost=lambda _: None) as first:
            change(ROW, **row_of(dataclasses.replace(first.owner, pid=gone_pid(), id="dead")))
    context = multiprocessing.get_context("fork")
    ready, go, keep, results = context.Semaphore(0), context.Event(), context.Event(), context.Queue()

    def one():
        ready.release()
        go.wait()
        try:
            with Lease(url, name, lost=lambda _: None, stop=lambda: None) as mine:
                results.put(mine.generation)
                keep.wait()
        except HeldError:
            results.put("refused")
        except BaseException as error:
            results.put(repr(error))

    processes = [context.Process(target=one) for _ in range(8)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    go.set()
    outcomes = [results.get(timeout=60) for _ in processes]
    keep.set()
    for process in processes:
        process.join()
    assert sorted(map(str, outcomes)) == [str(generation), *["refused"] * 7]


def test_looking_for_a_driver_creates_nothing(tmp_path):
    assert lease.driver(f"sqlite:///{tmp_path}/study.db", "co2") is None
    assert lease.driver(f"sqlite:///{tmp_path}/no/study.db", "co2") is None
    assert list(tmp_path.iterdir()) == []
    sqlite3.connect(tmp_path / "study.db").close()
    assert lease.driver(f"sqlite:///{tmp_path}/study.db", "co2") is None


def test_a_database_that_cannot_be_opened(tmp_path):
    (tmp_path / "x.db").write_text("not a database " * 100)
    with pytest.raises(BadInput) as error:
        lease.driver(f"sqlite:///{tmp_path}/x.db", "co2")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.path) == ("study-database-unopened", "storage.study")
    assert wrong.values == {"why": "file is not a database"}


def test_postgresql_needs_its_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    monkeypatch.setattr(database.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BadInput) as error:
        database.engine_options("postgresql://host/name")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.path) == ("postgresql-driver-missing", "storage.study")
    assert "pip install psycopg2-binary" in wrong.mend


def test_postgresql_is_spoken_to_through_one_driver():
    assert database.spelled_out("postgresql://u:p@h/n") == "postgresql+psycopg2://u:p@h/n"
    assert database.spelled_out("postgresql+psycopg://u:p@h/n") == "postgresql+psycopg://u:p@h/n"
    assert database.spelled_out("sqlite:///a.db") == "sqlite:///a.db"


def test_a_job_that_was_asked_to_end_drives_no_more(made, url, name):
    """Slurm may start it again: it was preempted at that very moment, or its driver was killed before it heard."""
    with made(stop=lambda: None, job="slurm:7"):
        pass
    with made(job="slurm:7") as again:  # preempted alone
        assert again.generation == 2
    lease.request_stop(url, name)  # just after its driver has ended
    with pytest.raises(StoppedError) as refused, made(job="slurm:7"):
        pytest.fail("entered")
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.place, wrong.values, refused.value.code) == ("job-stopped", name, {"job": "slurm:7"}, 130)
    with made(job="slurm:77") as other:
        assert other.generation == 3
    with made(job="slurm:7"), made(sweep=f"{name}-other", job="slurm:7"):
        pass
    lease.request_stop(url, name)
    with made() as by_hand:
        assert by_hand.generation == 5


def test_a_stop_that_comes_while_the_next_driver_takes_the_sweep_is_kept(made, url, name, monkeypatch):
    with made(job="slurm:7"):
        pass
    second, claims = made(job="slurm:7"), lease._claim

    def stopped_meanwhile(*arguments):
        lease.request_stop(url, name)
        return claims(*arguments)

    monkeypatch.setattr(lease, "_claim", stopped_meanwhile)
    with pytest.raises(StoppedError), second:
        pytest.fail("entered")
