import signal
import sqlite3
import subprocess
import sys

import pytest

from cluster import interrupts
from cluster.interrupts import Stop


def test_nobody_asked():
    assert (Stop().reason, Stop().code) == ("", 0)


def test_the_first_reason_holds_with_its_own_code():
    stop = Stop()
    stop.now("the target was reached", 0)
    stop.now("interrupted", 130)
    assert (stop.reason, stop.code) == ("the target was reached", 0)


def test_a_failure_outweighs_a_good_end():
    stop = Stop()
    stop.now("the target was reached", 0)
    stop.now("another driver has taken the sweep", 1)
    stop.now("interrupted", 130)
    assert (stop.reason, stop.code) == ("another driver has taken the sweep", 1)


DRIVER = """
import sqlite3, sys, threading
from cluster import interrupts
interrupts.LEAVE_S = float(sys.argv[2])
class Stop(interrupts.Stop):
    def now(self, reason, code):
        super().now(reason, code)
        sys.stdout.write("asked\\n")  # whole: the handler and the thread may say it at the same moment
        sys.stdout.flush()

stop = Stop()
with interrupts.signals(stop):
    print("ready", flush=True)
    if sys.argv[1] == "busy":  # the main thread waits where Python runs no handler
        sqlite3.connect(sys.argv[3], timeout=600, isolation_level=None).execute("BEGIN EXCLUSIVE")
    threading.Event().wait()
"""


@pytest.fixture
def driver(tmp_path):
    """A process that never ends by itself, `busy` with a locked database or idle."""
    lock = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    started = []

    def start(how, leave_s):
        command = [sys.executable, "-c", DRIVER, how, str(leave_s), str(tmp_path / "locked.db")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
    lock.close()


@pytest.mark.parametrize("how", ["busy", "idle"])
def test_a_signal_is_heeded_in_time_whatever_the_main_thread_does(driver, how):
    process = driver(how, 0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


@pytest.mark.parametrize("how", ["busy", "idle"])
def test_a_second_signal_leaves_at_once(driver, how):
    process = driver(how, 600)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "asked\n"  # two that come together may be one
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


def test_nohup_is_respected_and_handlers_are_put_back():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts.signals(Stop()) as install:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as Ray does
            install()
            assert callable(signal.getsignal(signal.SIGTERM))
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
