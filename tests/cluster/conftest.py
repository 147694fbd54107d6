"""Databases to keep a study in: SQLite always, PostgreSQL where it is installed."""

import os
import shutil
import tempfile
import uuid
from pathlib import Path

import migrations
import postgres
import pytest
import statements

from cluster.study import storage


@pytest.fixture(scope="session", autouse=True)
def _migrations():
    """Read once, not for each database."""
    migrations.read_once()
    statements.shared()


@pytest.fixture(scope="session")
def postgresql():
    """The address of a PostgreSQL that lives as long as the session, on a socket of its own."""
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.server() as made:
        yield made.address()


@pytest.fixture
def quick_path():
    """A folder in memory where there is such a thing: each commit of a database waits for the disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def empty_study(tmp_path_factory):
    """A study's file with its tables, which take a while to make."""
    path = tmp_path_factory.mktemp("study") / "study.db"
    storage.connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite(quick_path, empty_study):
    """The address of a file that no sweep has used."""
    shutil.copy(empty_study, quick_path)
    return f"sqlite:///{quick_path}/study.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """A study's database."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def name():
    """A sweep's name that no other test uses: PostgreSQL is one for all."""
    return f"sweep-{uuid.uuid4().hex[:8]}"
