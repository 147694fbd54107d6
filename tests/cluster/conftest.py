"""Databases to keep a study in: SQLite always, PostgreSQL where it is installed."""

import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest


def _postgres_folder():
    found = shutil.which("initdb") or next(iter(Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    return Path(found).resolve().parent if found else None


@pytest.fixture(scope="session")
def postgresql():
    """The address of a PostgreSQL that lives as long as the session, on a socket of its own."""
    pytest.importorskip("psycopg2", reason="PostgreSQL's driver is not installed")
    if (programs := _postgres_folder()) is None:
        pytest.skip("PostgreSQL is not installed")
    home = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path must be short
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    if user:
        shutil.chown(home, "postgres", "postgres")
    options = f"-c listen_addresses= -c unix_socket_directories={home} -c fsync=off"

    def call(program, *arguments):
        subprocess.run(
            [programs / program, "-D", home / "data", *arguments],
            check=True,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **user,
        )

    call("initdb", "-U", "sweeps", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8")
    call("pg_ctl", "-w", "-o", options, "-l", home / "log", "start")
    try:
        yield f"postgresql://sweeps@/postgres?host={home}"
    finally:
        call("pg_ctl", "-w", "-m", "immediate", "stop")
        shutil.rmtree(home)


@pytest.fixture
def quick_path():
    """A folder in memory where there is such a thing: each commit of a database waits for the disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, quick_path):
    """A study's database."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql")
    return f"sqlite:///{quick_path}/study.db"


@pytest.fixture
def name():
    """A sweep's name that no other test uses: PostgreSQL is one for all."""
    return f"sweep-{uuid.uuid4().hex[:8]}"
