"""What sweeps under faults are made of."""

import math
import os
import tempfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_data():
    """A CSV of 300 days and their load."""
    loads = (50 + 10 * math.sin(day / 7 * 2 * math.pi) + day % 5 / 10 for day in range(300))
    return "day,load\n" + "".join(f"{_date(day)},{load:.3f}\n" for day, load in enumerate(loads))


def _date(day):
    import datetime as dt

    return dt.date(2020, 1, 1) + dt.timedelta(day)


@pytest.fixture
def quick_path():
    """A folder in memory where there is such a thing: each commit of a database waits for the disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)
