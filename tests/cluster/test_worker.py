import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cluster import goodput, worker
from cluster.goodput import Clock
from cluster.interrupts import Interrupted
from cluster.protocol import Failure
from cluster.worker import TrialWorker
from lstm import checkpoint, device, ownership
from lstm.diagnostics.probe import probe
from lstm.records.goodput import NOTHING, Spent
from lstm.tasks import registry as tasks
from lstm.training.loop import train


@pytest.fixture
def order(trial_config, series_of, walk, tmp_path, monkeypatch):
    """A worker in this process, and the order for its first trial."""
    monkeypatch.setattr(device, "claim", lambda _cpus, _gpus: "cpu")
    config = trial_config()
    series = series_of(config.data, walk(120))

    def make(attempt=1, number=0, probe=False, over=False, **training):
        return {
            "cpus": 1,
            "gpus": 0.0,
            "number": number,
            "attempt": attempt,
            "address": str(tmp_path / f"trial-{number:04d}"),
            "trial": trial_config(training=training).model_dump(),
            "probe": probe,
            "over": over,
            "studies": ("mine",),
        }

    make.series = series
    return make


def made(series, age_s=0.0, **more):
    return TrialWorker(series, Clock(age_s), name=lambda _: "this host", handle=list, **more)


def worker_of(order, **named):
    begun = made(order.series)
    begun.begin(order(**named))
    return begun


def test_an_epoch_has_the_use_of_the_machine_if_that_is_wanted(order):
    wanted = made(order.series)
    wanted.begin(order() | {"system_metrics": True})
    first = steps(wanted)[1]["epochs"][0]
    # Not the share of the processors: an epoch that is over before a tick of the clock has none.
    assert "system/system_memory_usage_megabytes" in first.system
    assert checkpoint.load(order()["address"]).state.history[0].system == first.system
    assert not any(epoch.system for step in steps(worker_of(order, number=1)) for epoch in step["epochs"])


def steps(begun):
    """All its results."""
    results = []
    while not results or not results[-1]["done"]:
        results.append(begun.step())
    return results


def test_an_epoch_at_a_step_durable_before_it_is_reported(order):
    begun, address = worker_of(order), order()["address"]
    first = begun.step()
    assert (first["started"].worker, first["started"].broken, first["epochs"], first["done"]) == (
        "this host",
        (),
        (),
        False,
    )
    for number in range(1, 5):
        result = begun.step()
        (epoch,) = result["epochs"]
        assert (epoch.number, epoch.state, result["done"]) == (number, None, number == 4)
        kept = checkpoint.load(address).state
        assert kept.history[-1] == epoch
    alone = list(train(begun._trial, order.series))
    assert [e.value for e in kept.history] == [e.value for e in alone]
    assert all((kept.model[k] == v).all() for k, v in alone[-1].state.model.items())


def test_a_retry_goes_on_where_the_checkpoint_stands(order):
    whole = steps(worker_of(order, number=1))
    lost = worker_of(order)
    for _ in range(3):
        lost.step()
    results = steps(worker_of(order, attempt=2))
    assert [e.number for e in results[0]["epochs"]] == [1, 2]
    told = list(itertools.chain.from_iterable(r["epochs"] for r in results))
    assert [e.value for e in told] == [e.value for r in whole for e in r["epochs"]]
    assert [checkpoint.attempt(n) for n in checkpoint.names(order()["address"])] == [1, 1, 2, 2]


def test_a_trial_that_had_ended_says_so_at_once(order):
    steps(worker_of(order))
    result = worker_of(order, attempt=2).step()
    assert (len(result["epochs"]), result["done"]) == (4, True)


def numbers(result):
    """A probe's, without its times."""
    return {name: value for name, value in result["probed"].numbers.items() if not name.startswith("scalability")}


def test_a_probe_is_the_last_step_of_a_trial(order):
    results = steps(worker_of(order, probe=True))
    assert [r["done"] for r in results] == [False] * 5 + [True]
    found = checkpoint.load(order()["address"])
    alone = probe(tasks.subject(found, order.series)).numbers
    assert numbers(results[-1]) == {n: v for n, v in alone.items() if not n.startswith("scalability")}
    assert (results[-1]["probed"].best_epoch, results[-1]["probed"].trouble) == (found.state.best_epoch, "")
    again = steps(worker_of(order, attempt=2, probe=True))  # its driver was killed before it knew
    assert [len(r["epochs"]) for r in again] == [4, 0]
    assert numbers(again[-1]) == numbers(results[-1])


def test_a_trial_that_is_wound_up_is_probed_as_it_is(order):
    begun = worker_of(order, probe=True)
    begun.step(), begun.step()
    begun.wind_up()
    result = begun.step()
    assert (result["epochs"], result["done"], result["probed"].best_epoch) == ((), True, 1)
    taken_up = worker_of(order, attempt=2, probe=True, over=True)
    assert [len(r["epochs"]) for r in steps(taken_up)] == [1, 0]


def test_what_can_not_be_probed_says_why(order, monkeypatch):
    monkeypatch.setattr("lstm.diagnostics.probe.probe", lambda _: (_ for _ in ()).throw(ValueError("odd\nthings")))
    result = steps(worker_of(order, probe=True))[-1]
    assert (result["probed"].numbers, result["probed"].trouble) == ({}, "ValueError: odd")
    monkeypatch.undo()


def test_a_worker_takes_one_trial_after_another(order):
    begun = worker_of(order)
    begun.step(), begun.step()
    begun.take(order(number=1))
    results = steps(begun)
    assert [e.number for r in results for e in r["epochs"]] == [1, 2, 3, 4]
    assert len(checkpoint.load(order()["address"]).state.history) == 1


def test_a_broken_checkpoint_is_named_and_the_one_before_used(order):
    begun = worker_of(order)
    for _ in range(4):
        begun.step()
    address = order()["address"]
    newest = checkpoint.names(address)[-1]
    with Path(address, newest).open("r+b") as file:
        file.truncate(1000)
    result = worker_of(order, attempt=2).step()
    assert [e.number for e in result["epochs"]] == [1, 2]
    (broken,) = result["started"].broken
    assert (broken.code, broken.place) == ("file-passed-over", f"trial {order()['number']}")
    assert Path(broken.within).name == newest


def test_another_configurations_checkpoint_is_neither_used_nor_replaced(order):
    begun = worker_of(order)
    begun.step(), begun.step()
    before = checkpoint.names(order()["address"])
    result = worker_of(order, attempt=2, batch_size=16).step()
    assert (result["epochs"], result["done"], result["failure"].kind) == ((), True, "refused")
    assert order()["address"] in result["failure"].text
    assert checkpoint.names(order()["address"]) == before


def test_another_studys_checkpoint_is_neither_used_nor_replaced(order):
    begun = worker_of(order)
    begun.step(), begun.step()
    begun.take(order(attempt=2) | {"studies": ("another", "before")})
    result = begun.step()
    assert (result["done"], result["failure"].kind) == (True, "refused")
    begun.take(order(attempt=2) | {"studies": ("copy", "mine")})
    assert len(begun.step()["epochs"]) == 1, "a copy goes on from the checkpoints that were copied with it"


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (MemoryError(), "diverged", "out of memory on this host: MemoryError"),
        (ValueError("wrong shape\nand more"), "broken", "ValueError: wrong shape"),
    ],
)
def test_failures_are_told_not_raised(order, monkeypatch, error, kind, told):
    begun = worker_of(order)
    begun.step()

    def fails(*_):
        raise error

    monkeypatch.setattr(checkpoint, "write", fails)
    result = begun.step()
    assert (result["failure"], result["epochs"], result["done"]) == (Failure(kind, told), (), True)


def test_an_epoch_waits_in_memory_while_the_storage_fails(order, monkeypatch):
    monkeypatch.setattr(worker, "PAUSES_S", (0.0,) * 3)
    write, fails = checkpoint.write, []

    def failing(*arguments):
        if fails:
            raise fails.pop()
        return write(*arguments)

    monkeypatch.setattr(checkpoint, "write", failing)
    begun = worker_of(order)
    begun.step(), begun.step()
    fails += [OSError(28, "No space left on device")] * 3
    for _ in range(3):
        waiting = begun.step()
        assert (waiting["epochs"], waiting["done"]) == ((), False)
        assert waiting["waiting"].startswith(f"checkpoints: No space left on device: {order()['address']} (disk /")
        assert waiting["waiting"].endswith(" MB free), on this host")
    results = steps(begun)
    assert [e.number for r in results for e in r["epochs"]] == [2, 3, 4]
    alone = list(train(begun._trial, order.series))
    assert [e.value for e in checkpoint.load(order()["address"]).state.history] == [e.value for e in alone]


def test_a_storage_that_fails_for_long_lets_the_trial_go_elsewhere(order, monkeypatch):
    monkeypatch.setattr(worker, "PAUSES_S", (0.0,) * 2)
    begun = worker_of(order)
    monkeypatch.setattr(ownership, "load", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    first, second, last = begun.step(), begun.step(), begun.step()
    assert {**first, "spent": None} == {**second, "spent": None}
    assert "Input/output error" in first["waiting"]
    assert (last["failure"].kind, last["done"]) == ("storage", True)


@pytest.fixture
def turned(monkeypatch):
    """A clock that the test turns, an epoch takes 10 s, a write 1 s."""
    now = [0.0]

    def turning(act, seconds):
        def acting(*arguments, **named):
            now[0] += seconds
            return act(*arguments, **named)

        return acting

    def slow(*arguments, **named):
        for epoch in train(*arguments, **named):
            now[0] += 10.5 if epoch.number > 1 else 12.0  # with the making of the network, or a copy of the state
            metrics = {**epoch.metrics, "epoch_s": 10.0}
            yield replace(epoch, metrics=metrics)

    monkeypatch.setattr(goodput.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr("lstm.training.loop.train", slow)
    monkeypatch.setattr(checkpoint, "write", turning(checkpoint.write, 1.0))
    monkeypatch.setattr(ownership, "load", turning(ownership.load, 0.25))
    monkeypatch.setattr(device, "claim", turning(device.claim, 2.0))
    return now


def spent(results):
    """All that was told of the time between epochs, and the epochs' own."""
    epochs_s = sum(e.metrics["epoch_s"] for r in results for e in r["epochs"])
    return sum((r["spent"] for r in results), NOTHING), epochs_s


def test_all_of_a_workers_time_is_told(order, turned):
    begun = made(order.series, age_s=3.0)
    turned[0] += 0.5  # the series is fetched
    begun.begin(order())
    turned[0] += 4.0  # Tune has others to see to
    results = [begun.step()]
    while not results[-1]["done"]:
        turned[0] += 0.125  # the driver has taken the result
        results.append(begun.step())
    told = Spent(start=5.0, data=2.5, waiting=4.0, checkpoint=0.25 + 4 * 1.0 + 3 * 0.5, report=0.5)
    assert spent(results) == (told, 40.0)
    assert 3.0 + turned[0] == told.total + 40.0

    turned[0] += 7.0
    begun.take(order(number=1))
    turned[0] += 1.0
    more = steps(begun)
    assert spent(more) == (Spent(data=2.0, waiting=8.0, checkpoint=5.75), 40.0)
    assert 3.0 + turned[0] == told.total + spent(more)[0].total + 80.0


def test_a_checkpoint_knows_what_was_spent_and_the_next_attempt_tells_it(order, turned):
    results = steps(worker_of(order))[:-1]
    lost = worker_of(order, attempt=2)
    (first, *_), kept = steps(lost), checkpoint.load(order()["address"])
    assert first["started"].before == kept.spent
    assert (kept.spent + Spent(checkpoint=1.0)).total == spent(results)[0].total + 10.5 - 10.0 + 1.0


def test_an_epoch_that_could_not_be_kept_is_lost(order, turned, monkeypatch):
    monkeypatch.setattr(worker, "PAUSES_S", (0.0,))
    begun = worker_of(order)
    begun.step()
    monkeypatch.setattr(checkpoint, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    results = [begun.step(), begun.step()]
    assert results[-1]["failure"].kind == "storage"
    assert spent(results) == (Spent(data=2.0, lost=10.0), 0.0)


def test_training_that_raised_is_lost(order, turned, monkeypatch):
    begun = worker_of(order)
    begun.step()

    def fails(*_):
        turned[0] += 6.0
        raise ValueError("wrong shape")

    monkeypatch.setattr(begun, "_train", fails)
    assert begun.step()["spent"] == Spent(lost=6.0)


def test_a_worker_goes_on_after_a_trial_without_memory(order, monkeypatch):
    begun = worker_of(order)
    begun.step()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", lambda *_: (_ for _ in ()).throw(MemoryError()))
        assert begun.step()["failure"].kind == "diverged"
    begun.take(order(number=1))
    assert len(steps(begun)) == 5


def test_a_process_that_can_not_use_its_gpu_any_more_is_not_kept_for_another_trial(order, monkeypatch):
    begun, error = (
        worker_of(order),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nmore"),
    )
    begun.step()
    monkeypatch.setattr(checkpoint, "write", lambda *_: (_ for _ in ()).throw(error))
    result = begun.step()
    told = "AcceleratorError on this host: CUDA error: an illegal memory access was encountered"
    assert (result["failure"], result["done"]) == (Failure("spoilt", told), False)


def test_an_error_of_the_executors_own_is_no_fault_of_the_trial(order, monkeypatch):
    class Away(Exception):
        """What an executor raises."""

    begun = made(order.series, passing=(Away,))
    begun.begin(order())
    begun.step()
    monkeypatch.setattr(checkpoint, "write", lambda *_: (_ for _ in ()).throw(Away("gone")))
    assert begun.step()["failure"] == Failure("passing", "Away on this host: gone")


def test_training_that_is_to_end_ends_in_the_middle_of_an_epoch(order):
    asked, steps_done = [False], []

    def heed():
        steps_done.append(1)
        if asked[0]:
            raise Interrupted("interrupted")

    begun = made(order.series, heed=heed)
    begun.begin(order())
    begun.step(), begun.step()
    in_an_epoch, asked[0] = len(steps_done), True
    assert in_an_epoch > 1
    with pytest.raises(Interrupted):
        begun.step()
    assert len(steps_done) == in_an_epoch + 1, "no further step"
    results = steps(worker_of(order, attempt=2))
    assert [e.number for r in results for e in r["epochs"]] == [1, 2, 3, 4]
    alone = list(train(begun._trial, order.series))
    kept = checkpoint.load(order()["address"]).state
    assert [e.value for e in kept.history] == [e.value for e in alone]
    assert all((kept.model[k] == v).all() for k, v in alone[-1].state.model.items())
