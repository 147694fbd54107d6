import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lstm.storage import disk

HALF = """
import os, sqlite3, sys
opened = sqlite3.connect(sys.argv[1], isolation_level=None)
opened.execute("PRAGMA cache_size=2")
opened.execute("BEGIN IMMEDIATE")
opened.execute("DELETE FROM known")
opened.execute("CREATE TABLE more (text)")
opened.executemany("INSERT INTO more VALUES (?)", [("x" * 3000,)] * 300)
os._exit(0)
"""
LOGGED = """
import os, sqlite3, sys
opened = sqlite3.connect(sys.argv[1], isolation_level=None)
opened.execute("PRAGMA journal_mode=WAL")
opened.execute("INSERT INTO known VALUES (8)")
os._exit(0)
"""


@pytest.fixture
def database(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a ?%41.db")) as opened, opened:
        opened.execute("CREATE TABLE known (number)")
        opened.execute("INSERT INTO known VALUES (7)")
    return tmp_path / "a ?%41.db"


def killed(script, database):
    subprocess.run([sys.executable, "-c", script, str(database)], check=True)


def numbers(database):
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as opened:
        return [number for (number,) in opened.execute("SELECT number FROM known ORDER BY number")]


@pytest.fixture
def may_not(monkeypatch):
    monkeypatch.setattr(disk, "may_write", lambda path: False)


def test_a_database_that_can_be_read_is_itself(database, may_not):
    assert disk.readable(database) == database
    assert disk.readable(database.with_name("nowhere.db")) == database.with_name("nowhere.db")


def test_what_a_killed_writer_left_is_taken_back_in_a_copy(database, may_not):
    killed(HALF, database)
    before = {path.name: path.read_bytes() for path in database.parent.iterdir()}
    assert len(before) == 2
    with pytest.raises(sqlite3.OperationalError):
        numbers(database)
    copy = disk.readable(database)
    assert copy != database
    with closing(sqlite3.connect(copy)) as opened:
        assert opened.execute("SELECT number FROM known").fetchall() == [(7,)]
    assert disk.readable(database) == copy  # made once
    assert {path.name: path.read_bytes() for path in database.parent.iterdir()} == before


def test_a_log_beside_the_database_is_read_with_it(database, may_not):
    killed(LOGGED, database)
    Path(f"{database}-shm").unlink()
    copy = disk.readable(database) if os.geteuid() else disk._copied(database, disk._looks(database))
    with closing(sqlite3.connect(copy)) as opened:
        assert opened.execute("SELECT number FROM known").fetchall() == [(7,), (8,)]


def test_who_may_write_reads_it_where_it_is(database):
    killed(HALF, database)
    assert disk.readable(database) == database


def test_what_is_no_database_stays_what_it_is(tmp_path, may_not):
    (tmp_path / "a.db").write_text("no database" * 100)
    assert disk.readable(tmp_path / "a.db") == tmp_path / "a.db"
