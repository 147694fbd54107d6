"""Databases to keep a study in: SQLite always, PostgreSQL where it is installed."""

import os
import tempfile
import uuid
from pathlib import Path

import migrations
import postgres
import pytest


@pytest.fixture(scope="session", autouse=True)
def _migrations():
    """Read once, not for each database."""
    migrations.read_once()


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
