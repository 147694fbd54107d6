"""A home in which nobody may write: looked at by another user, and on a disk that is mounted to be read."""

import ctypes
import json
import os
import sqlite3
import subprocess
import sys
import warnings

import pytest
import twin
from click.testing import CliRunner

from experiments.cli import main

HALF = """
import os, sqlite3, sys
opened = sqlite3.connect(sys.argv[1], isolation_level=None)
opened.execute("PRAGMA cache_size=2")
opened.execute("BEGIN IMMEDIATE")
for (table,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
    opened.execute(f"DELETE FROM {table}")
opened.execute("CREATE TABLE more (text)")
opened.executemany("INSERT INTO more VALUES (?)", [("x" * 3000,)] * 300)
os._exit(0)
"""
READS = [["plan"], ["status"], ["best"], ["compare"], ["verify"], ["predict"], ["stop"]]


def look(folder, *verbs, user=lambda: None):
    """What each verb answers, one after another in a forked child; `user` makes the child another user's."""
    answers = folder / ".answers"

    def act():
        user()
        os.chdir(folder)
        os.environ.pop("SWEEP_HOME", None)
        warnings.simplefilter("ignore")  # pytest's errors are for this process
        told = []
        for verb, *more in verbs:
            done = CliRunner().invoke(main, [verb, "tiny", *more], prog_name="sweep")
            unforeseen = done.exception and not isinstance(done.exception, SystemExit)
            told.append([done.exit_code, done.stdout, repr(done.exception) if unforeseen else done.stderr])
        answers.write_text(json.dumps(told))

    assert twin.forked(act, folder / ".log") == 0, (folder / ".log").read_text()
    (folder / ".log").unlink()
    return json.loads(answers.read_text())


@pytest.fixture
def user():
    """What makes a process that of a user who is not the home's: root without what lets it read and write anything."""
    return lambda: None if os.geteuid() else give_up(CAPABILITIES)


CAPABILITIES = (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
VERSION_3 = 0x20080522  # of capset(2): two words of 32 bits each


def give_up(capabilities):
    """Takes capabilities from this process, for good."""
    library = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    words = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    if library.capget(head, words):
        raise OSError(ctypes.get_errno(), "capget")
    for number in capabilities:
        for kind in range(3):
            words[kind] &= ~(1 << number)
    if library.capset(head, words):
        raise OSError(ctypes.get_errno(), "capset")


@pytest.fixture
def foreign(home, user):
    """A home of another user's, who lets everybody read."""
    if not os.geteuid():
        subprocess.run(["chown", "-R", "65534:65534", home], check=True)
    yield home
    subprocess.run(["chmod", "-R", "u+w", home], check=True)


def close(home):
    subprocess.run(["chmod", "-R", "a-w", home], check=True)
    return {path: path.stat().st_mtime_ns for path in home.rglob("*")}


def test_another_user_looks_at_a_home_and_changes_nothing(foreign, user):
    before = close(foreign)
    answers = look(foreign.parent, *READS, user=user)
    assert [code for code, *_ in answers] == [0] * len(READS), answers
    assert f"--home {foreign}" in answers[0][1]  # plan says that run could not
    assert {path: path.stat().st_mtime_ns for path in foreign.rglob("*")} == before
    for code, out, err in look(foreign.parent, ["rebuild"], ["run"], ["train"], ["probe"], user=user):
        assert (code, out) == (2, "")
        assert "can't be written to" in err
        assert "--home" in err


def test_what_a_killed_driver_left_in_its_databases_is_read_as_it_was_before(foreign, user):
    for name in ("study.db", "mlflow.db"):
        subprocess.run([sys.executable, "-c", HALF, str(foreign / name)], check=True)
        assert (foreign / f"{name}-journal").stat().st_size > 0
    before = close(foreign)
    answers = look(foreign.parent, *READS, user=user)
    assert [code for code, *_ in answers] == [0] * len(READS), answers
    assert "4 of 4 trials" in answers[1][1]
    assert {path: path.stat().st_mtime_ns for path in foreign.rglob("*")} == before


def test_on_a_disk_that_is_mounted_to_be_read(home, tmp_path_factory):
    if os.geteuid():
        pytest.skip("needs root, to mount")
    for name in ("study.db", "mlflow.db"):  # their logs are gone, and SQLite would make new ones to read
        sqlite3.connect(home / name).execute("PRAGMA journal_mode=WAL").connection.close()
    place = tmp_path_factory.mktemp("mounted")
    (place / "runs").mkdir()
    if subprocess.run(["mount", "--bind", home, place / "runs"], check=False, capture_output=True).returncode:
        pytest.skip("may not mount here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", place / "runs"], check=True)
        answers = look(place, ["status"], ["best"], ["compare"], ["predict"], ["plan"])
    finally:
        subprocess.run(["umount", place / "runs"], check=True)
    assert [code for code, *_ in answers] == [0] * 5, answers
