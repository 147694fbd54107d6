import os
import signal

from cluster import stop as stop_file
from cluster.stop import Stop


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


def test_a_second_signal_leaves_at_once(monkeypatch):
    left = []
    monkeypatch.setattr(stop_file.os, "_exit", left.append)
    stop = Stop()
    stop.now("the target was reached", 0)
    with stop_file.signals(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        assert left == [], "the first signal, though the sweep was ending already"
        os.kill(os.getpid(), signal.SIGINT)
        assert left == [130]
    assert stop.code == 0


def test_nohup_is_respected_and_handlers_are_put_back():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_file.signals(Stop()) as install:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as Ray does
            install()
            assert callable(signal.getsignal(signal.SIGTERM))
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
