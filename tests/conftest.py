"""Small makers of what every test of `lstm` starts from: a configuration, a table, a series."""

import gc
import itertools
import os
import shutil
import signal
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: networks this small lose by threads
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

from pathlib import Path

import browser
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, settings

from lstm.config.forecast import ForecastData
from lstm.config.model import ModelConfig
from lstm.config.training import TrainingConfig
from lstm.config.trial import TrialConfig
from lstm.data.forecast import prepare
from lstm.data.tables.regular import Table

MEMORY = Path("/dev/shm")
ROOM, LEAST = 6 * 2**30, 15 * 2**30  # bytes: free there, where tests use far less; of the machine's memory
# Hypothesis draws the same examples on every machine, and none of them fails because the machine is busy.
settings.register_profile(
    "alike", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("alike")
FAULTS_TIMEOUT_S = 3600  # thousands of plans on a busy machine


def pytest_configure(config):
    """Keep the tests' files in memory if there is room: databases wait for the disk longer than tests compute."""
    gc.disable()  # nothing that collection makes becomes garbage: a tenth of its time
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(_WaitingFirst())
    given = config.option.basetemp is not None or hasattr(config, "workerinput")  # xdist's workers get theirs
    if given or not _has_room():
        return
    folder = tempfile.mkdtemp(prefix="lstm-sweeps-tests-", dir=MEMORY)
    config.option.basetemp = folder
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def _has_room():
    try:
        there = os.statvfs(MEMORY)
    except OSError:
        return False
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    may_execute = not there.f_flag & os.ST_NOEXEC  # a test runs programs of an environment of its own
    return may_execute and there.f_bavail * there.f_frsize >= ROOM and memory >= LEAST


@pytest.fixture(autouse=True)
def _seed():
    """Draw the same numbers in a test whatever ran before it in this process."""
    torch.manual_seed(0)


def pytest_collection_finish():
    """Let the garbage collector look at what tests make, not each time at all libraries and thousands of tests."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc):
    """Make no test of a case that `-m "not faults"` would leave out: each of pytest's workers collects all tests."""
    left_out = {name for name in ("faults", "pages") if f"not {name}" in metafunc.config.option.markexpr}

    def wanted(case):
        return not (isinstance(case, type(pytest.param())) and left_out & {mark.name for mark in case.marks})

    marks = metafunc.definition.own_markers
    for place, mark in enumerate(marks):
        if mark.name == "parametrize" and len(mark.args) > 1 and not isinstance(mark.kwargs.get("ids"), list | tuple):
            names, cases, *more = mark.args
            cases = list(cases)
            # If none is left, all stay, and pytest leaves them out: no cases at all would be a test that is skipped.
            fewer = [*filter(wanted, cases)] or cases
            marks[place] = pytest.mark.parametrize(names, fewer, *more, **mark.kwargs).mark


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("faults") or item.get_closest_marker("clusters"):
            item.add_marker(pytest.mark.timeout(FAULTS_TIMEOUT_S))
        if "chromium" in item.fixturenames:
            item.add_marker(pytest.mark.browser)


# Files whose tests wait for Ray and other processes: no worker of pytest's shall be left with them at the end. Each of
# these rows is where one of four workers begins. More of Ray at once would wait for each other; in the process of
# test_driver.py Ray itself is, so none of these follows there.
WAITING = (
    ("tests/cluster/test_driver.py",),
    ("tests/cluster/test_hosts.py", "tests/docs/test_commands.py"),
    ("tests/dashboards/test_outages.py",),
    ("tests/experiments/verbs/test_run.py",),
)


class _WaitingFirst:
    """Orders the tests for pytest's workers. xdist gives each an equal number of tests, one after another, at first."""

    @pytest.hookimpl(trylast=True)  # after those that are not run have been left out
    def pytest_collection_modifyitems(self, config, items):
        workers = config.workerinput["workercount"]
        waiting = {name: [] for row in WAITING for name in row}
        rest = [item for item in items if item.nodeid.partition("::")[0] not in waiting]
        for item in items:
            waiting.get(item.nodeid.partition("::")[0], []).append(item)
        left, ordered = iter(rest), []
        for number in range(workers):
            first = [item for row in WAITING[number::workers] for name in row for item in waiting[name]]
            end = len(items) * (number + 1) // workers
            ordered += [*first, *itertools.islice(left, max(0, end - len(ordered) - len(first)))]
        items[:] = ordered


@pytest.fixture(scope="session")
def data_config():
    """A valid data section; anything in it can be set by name."""

    def make(**settings):
        base = {"target": "y", "lookback": 8, "horizon": 3}
        return ForecastData(**base | {"split": {"validation": 0.2, "test": 0.2}} | settings)

    return make


@pytest.fixture(scope="session")
def trial_config(data_config):
    """A small trial; `data`, `model` and `training` are dicts of what shall differ."""

    def make(data=None, model=None, training=None, **top):
        return TrialConfig(
            data=data_config(**(data or {})),
            model=ModelConfig(**{"hidden_size": 4} | (model or {})),
            training=TrainingConfig(**{"max_epochs": 4, "batch_size": 32, "learning_rate": 0.01} | (training or {})),
            **top,
        )

    return make


@pytest.fixture(scope="session")
def table_of():
    """A table from values `(time,)` or `(time, column)`, with times where a step is given."""

    def make(values, columns=("y",), *, step="", start="2020-01-01"):
        values = np.asarray(values, dtype=np.float64)
        values = values[:, None] if values.ndim == 1 else values
        times = pd.date_range(start, periods=len(values), freq=step) if step else pd.RangeIndex(len(values))
        return Table(Path("a.csv"), times, values, tuple(columns), step, "0" * 64, ())

    return make


@pytest.fixture(scope="session")
def series_of(table_of):
    """The series of a table that `table_of` makes of the same arguments."""

    def make(config, values, reach=None, **table):
        return prepare(table_of(values, config.columns, **table), config, reach or config.lookback)

    return make


@pytest.fixture(scope="session")
def walk():
    """A random walk: `(time, column)`."""

    def make(rows, columns=1, seed=0):
        return np.random.default_rng(seed).normal(size=(rows, columns)).cumsum(axis=0)

    return make


@pytest.fixture(scope="module")  # not longer: the children that other tests fork shall not have it
def chromium():
    """A running Chromium (playwright's Browser), for `browser.opened`."""
    if browser.executable() is None:
        pytest.skip("no Chromium on the PATH")
    with browser.started() as running:
        yield running
