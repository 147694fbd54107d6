"""Databases that go away and disks that fill up in the middle of a sweep: waited for, nothing lost, nothing twice."""

import os
import shutil
import sqlite3
import subprocess
import threading
import time
from contextlib import closing, contextmanager, suppress

import postgres
import pytest
import twin
from audit import audit

SPEC = """\
name: tiny
data: {{path: tiny.csv, time: day, target: load, lookback: 14, horizon: 7, split: {{validation: 0.2, test: 0.2}}}}
model: {{hidden_size: 4}}
training: {{max_epochs: 4, batch_size: 8, learning_rate: 1e-2}}
search:
  n_trials: {trials}
  sampler: {{type: random, seed: 3}}
  space:
    model.hidden_size: {{type: int, low: 2, high: 8}}
    training.learning_rate: {{type: float, low: 1e-3, high: 1e-1, log: true}}
{more}
"""


@pytest.fixture
def place(quick_path, tiny_data):
    """A folder with a spec and its data; `more` is what the spec says of storage and tracking."""

    def make(more="", trials=2):
        (quick_path / "tiny.yaml").write_text(SPEC.format(more=more, trials=trials))
        (quick_path / "tiny.csv").write_text(tiny_data)
        return quick_path

    return make


@pytest.fixture(scope="module")
def database():
    """A PostgreSQL of our own, for it is crashed."""
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.server() as made:
        yield made


NOTICED = "the study's database does not answer"


@contextmanager
def meanwhile(act, *arguments):
    """Something that happens while a driver runs; it must come to its end."""
    faults = []

    def acting():
        try:
            act(*arguments)
        except BaseException as error:
            faults.append(error)
            raise

    thread = threading.Thread(target=acting)
    thread.start()
    yield
    thread.join()
    assert faults == []


def wait_for(condition, timeout_s=120):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def written(folder, at_least):
    """Whether so many checkpoint files were written."""
    return len(list(folder.rglob("attempt-*.pt"))) >= at_least


def said(folder):
    logs = [*folder.glob("runs/tiny/sweep.log"), folder / "driver.log"]
    return "".join(log.read_text() for log in logs if log.exists())


def crash(database, folder, times):
    for count in range(1, times + 1):
        wait_for(lambda count=count: written(folder, 2 * count))
        database.stop()
        wait_for(lambda: NOTICED in said(folder))  # else a driver on a busy machine may not ask meanwhile
        database.start()


@pytest.mark.parametrize("times", [1, pytest.param(8, marks=pytest.mark.faults)])
def test_postgresql_crashes_under_study_lease_and_mlflow(place, database, times, request):
    """With both stores in it, and no word to any session."""
    study, mlflow = (database.create(f"{what}{times}") for what in ("study", "mlflow"))
    folder = place(f'storage: {{study: "{study}"}}\ntracking: {{uri: "{mlflow}"}}', trials=times + 11)
    with meanwhile(crash, database, folder, times):
        assert twin.run(folder, "tiny.yaml", "runs") == 0, said(folder)
    assert audit(folder / "runs", "tiny", study=study, mlflow=mlflow) == []
    assert twin.verify(folder, "runs", "tiny") == 0, said(folder)


@pytest.mark.parametrize("span_s", [1, pytest.param(60, marks=pytest.mark.faults)])
def test_sqlite_is_locked_by_another(place, span_s):
    """First MLflow's, then the study's."""
    folder = place()

    def lock():
        wait_for(lambda: written(folder, 1))
        for store in ("mlflow.db", "study.db"):
            with closing(sqlite3.connect(folder / "runs" / store, timeout=60, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                time.sleep(span_s)  # the span is the fault itself
                other.execute("ROLLBACK")

    with meanwhile(lock):
        assert twin.run(folder, "tiny.yaml", "runs") == 0, said(folder)
    assert audit(folder / "runs", "tiny") == []
    assert twin.verify(folder, "runs", "tiny") == 0, said(folder)


@pytest.fixture
def small(tmp_path):
    """A disk of 12 MB, and `fill`, which leaves no room on it until it is called again."""
    disk = tmp_path / "small"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"needs root, to mount a small disk: {made.stderr.decode().strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk):
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    assert os.statvfs(disk).f_bavail == 0


@pytest.mark.parametrize("what", ["checkpoints", "study", pytest.param("records", marks=pytest.mark.faults)])
def test_a_disk_that_fills_up_is_named_and_waited_for(place, small, what):
    more = {
        "checkpoints": f"storage: {{checkpoints: {small}}}",
        "study": f'storage: {{study: "sqlite:///{small}/study.db"}}',
        "records": f'tracking: {{uri: "sqlite:///{small}/mlflow.db"}}',
    }[what]
    told = {
        "checkpoints": f"checkpoints: No space left on device: {small}/tiny/",
        "study": f"database or disk is full: {small}/study.db (disk {small}, 0 MB free)",
        "records": f"MLflow can't write, since the disk of {small} is full",
    }[what]
    folder = place(more)
    # MLflow's own tables take most of a small disk; they are made before it fills up.

    def come_and_go():
        wait_for(lambda: written(folder, 1) or written(small, 1))
        fill(small)
        try:
            wait_for(lambda: told in said(folder))
        finally:  # the driver waits for room: without it the test would not end
            (small / "filler").unlink()

    with meanwhile(come_and_go):
        assert twin.run(folder, "tiny.yaml", "runs") == 0, said(folder)
    assert "Traceback" not in said(folder)
    study = f"sqlite:///{small}/study.db" if what == "study" else None
    mlflow = f"sqlite:///{small}/mlflow.db" if what == "records" else None
    assert audit(folder / "runs", "tiny", study=study, mlflow=mlflow) == []
    assert twin.verify(folder, "runs", "tiny") == 0, said(folder)
    shutil.rmtree(folder / "runs")
