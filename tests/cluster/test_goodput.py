import subprocess
import sys
import time

import pytest

from cluster.goodput import Clock, Workers, process_age_s
from lstm.records.goodput import NOTHING, Spent


@pytest.fixture
def now():
    """The time, which the test turns."""
    return [0.0]


@pytest.fixture
def workers(now):
    return Workers(lambda: now[0])


def test_laps_add_up_to_the_process_life(monkeypatch):
    at = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: at[0])
    clock = Clock(age_s=3.0)
    for part, passed_s, epoch_s in [("data", 1.0, 0.0), ("start", 2.0, 0.0), ("data", 9.5, 8.0), ("report", 0.5, 0.0)]:
        at[0] += passed_s
        clock.lap(part, epoch_s)
    assert clock.take() == Spent(start=5.0, data=2.5, report=0.5)
    assert clock.take() == NOTHING


def test_what_a_trials_workers_tell_is_in_its_end(workers, now):
    workers.begins(0, "w1", Spent(start=3.0), NOTHING)
    workers.hears(0, Spent(checkpoint=1.0, report=0.5), kept=True)
    workers.lets_go(0, "w1", alive=True)
    assert workers.ends(0, NOTHING) == Spent(start=3.0, checkpoint=1.0, report=0.5)
    assert workers.ends(1, Spent(data=2.0)) == Spent(data=2.0), "nobody here had it, a checkpoint tells of it"


def test_a_lost_worker_costs_what_it_had_told_and_what_it_did_since(workers, now):
    workers.begins(0, "w1", Spent(start=3.0), NOTHING)
    now[0] += 20.0
    workers.lets_go(0, "w1", alive=False)
    workers.lets_go(0, "w1", alive=False)  # told twice
    workers.begins(0, "w2", Spent(start=4.0), Spent(start=2.0))
    workers.lets_go(0, "w2", alive=True)
    assert workers.ends(0, NOTHING) == Spent(start=7.0, lost=20.0)


def test_what_earlier_drivers_workers_spent_is_known_by_the_checkpoint(workers, now):
    workers.begins(0, "w1", Spent(start=3.0), Spent(start=5.0, checkpoint=1.0))
    workers.lets_go(0, "w1", alive=True)
    assert workers.ends(0, NOTHING) == Spent(start=8.0, checkpoint=1.0)


def test_of_a_trial_that_goes_on_under_the_next_driver_the_rest_is_what_its_checkpoint_does_not_know(workers, now):
    workers.begins(0, "w1", Spent(start=3.0), NOTHING)
    workers.lets_go(0, "w1", alive=False)  # nothing of it was written
    workers.begins(0, "w2", Spent(start=4.0), NOTHING)
    workers.hears(0, Spent(checkpoint=1.0), kept=True)
    workers.hears(0, Spent(report=0.5), kept=False)
    now[0] += 6.0
    workers.lets_go(0, "w2", alive=False)
    assert workers.rest() == Spent(start=3.0, report=0.5, lost=6.0)


def test_a_worker_without_a_trial_waits_until_all_are_gone(workers, now):
    for number, worker in enumerate(("w1", "w2")):
        workers.begins(number, worker, NOTHING, NOTHING)
    workers.lets_go(0, "w1", alive=True)
    workers.ends(0, NOTHING)
    now[0] += 30.0
    workers.lets_go(1, "w2", alive=True)
    workers.ends(1, NOTHING)
    now[0] += 2.0
    assert workers.rest() == Spent(waiting=34.0)
    assert workers.rest() == Spent(waiting=34.0), "asked again it has become no more"


def test_a_worker_that_is_taken_again_tells_its_wait_itself(workers, now):
    workers.begins(0, "w1", NOTHING, NOTHING)
    workers.lets_go(0, "w1", alive=True)
    workers.ends(0, NOTHING)
    now[0] += 30.0
    workers.begins(1, "w1", Spent(waiting=30.0), NOTHING)
    workers.lets_go(1, "w1", alive=True)
    assert workers.ends(1, NOTHING) == Spent(waiting=30.0)
    assert workers.rest() == NOTHING


def test_a_new_process_takes_the_place_of_one_that_was_let_go(workers, now):
    workers.begins(0, "w1", NOTHING, NOTHING)
    workers.lets_go(0, "w1", alive=True)
    workers.ends(0, NOTHING)
    now[0] += 30.0
    workers.begins(1, "w2", Spent(start=4.0), NOTHING)  # born 26 s after the other had nothing more to do
    workers.lets_go(1, "w2", alive=True)
    assert workers.ends(1, NOTHING) == Spent(start=4.0, waiting=26.0)
    assert workers.rest() == NOTHING


def test_the_age_of_a_process():
    before = time.monotonic()
    code = "from cluster.goodput import process_age_s; print(process_age_s())"
    young = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert young <= time.monotonic() - before + 0.02, "in ticks of a hundredth"
    assert young < process_age_s() or process_age_s() == 0.0, "not Linux"
