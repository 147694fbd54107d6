import json
import threading

from cluster.study.lease import Lease


def test_nobody_to_stop(copied, sweep):
    assert sweep("stop", "tiny").out == "tiny: no driver is running\n"
    assert json.loads(sweep("stop", "tiny", "--json").out)["stopped"] is True


def test_a_driver_that_is_asked_ends(copied, sweep):
    asked = threading.Event()
    with Lease(copied.url, "tiny", lost=print, stop=asked.set) as lease:
        ending = threading.Thread(target=lambda: asked.wait(30) and lease.__exit__(None, None, None))
        ending.start()
        answer = sweep("stop", "tiny")
        ending.join()
    assert asked.is_set()
    assert (answer.code, answer.out) == (0, "tiny: stopped; `sweep run tiny` resumes the sweep\n")


def test_a_driver_that_does_not_end_is_told(copied, sweep, monkeypatch):
    monkeypatch.setattr("experiments.verbs.stop.WAIT_S", 0.3)
    with Lease(copied.url, "tiny", lost=print, stop=lambda: None):
        answer = sweep("stop", "tiny")
    assert answer.code == 1
    assert "was asked to end and has not within 0 s" in answer.out
