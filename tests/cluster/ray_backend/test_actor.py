import itertools
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from cluster import goodput
from cluster.messages import Failure
from cluster.ray_backend import actor as trial
from cluster.ray_backend.actor import TrialActor
from lstm import checkpoint, device, ownership
from lstm.diagnostics.probe import probe
from lstm.records.goodput import NOTHING, Spent
from lstm.tasks import registry as tasks
from lstm.training.loop import train


@pytest.fixture
def order(trial_config, series_of, walk, tmp_path, monkeypatch):
    """An actor in this process, and the order for its first trial."""
    monkeypatch.setattr(TrialActor, "_worker", lambda _: "this host")
    monkeypatch.setattr(TrialActor, "_handle", lambda _: [])
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


def actor_of(order, **named):
    actor = TrialActor.__new__(TrialActor)  # Tune's own part needs a cluster
    actor.setup(order(**named), order.series)
    return actor


def steps(actor):
    """All its results."""
    results = []
    while not results or not results[-1]["done"]:
        results.append(actor.step())
    return results


def test_an_epoch_at_a_step_durable_before_it_is_reported(order):
    actor, address = actor_of(order), order()["address"]
    first = actor.step()
    assert (first["started"].worker, first["started"].broken, first["epochs"], first["done"]) == (
        "this host",
        (),
        (),
        False,
    )
    for number in range(1, 5):
        result = actor.step()
        (epoch,) = result["epochs"]
        assert (epoch.number, epoch.state, result["done"]) == (number, None, number == 4)
        kept = checkpoint.load(address).state
        assert kept.history[-1] == epoch
    alone = list(train(actor._trial, order.series))
    assert [e.value for e in kept.history] == [e.value for e in alone]
    assert all((kept.model[k] == v).all() for k, v in alone[-1].state.model.items())


def test_a_retry_goes_on_where_the_checkpoint_stands(order):
    whole = steps(actor_of(order, number=1))
    lost = actor_of(order)
    for _ in range(3):
        lost.step()
    results = steps(actor_of(order, attempt=2))
    assert [e.number for e in results[0]["epochs"]] == [1, 2]
    told = list(itertools.chain.from_iterable(r["epochs"] for r in results))
    assert [e.value for e in told] == [e.value for r in whole for e in r["epochs"]]
    assert [checkpoint.attempt(n) for n in checkpoint.names(order()["address"])] == [1, 1, 2, 2]


def test_a_trial_that_had_ended_says_so_at_once(order):
    steps(actor_of(order))
    result = actor_of(order, attempt=2).step()
    assert (len(result["epochs"]), result["done"]) == (4, True)


def numbers(result):
    """A probe's, without its times."""
    return {name: value for name, value in result["probed"].numbers.items() if not name.startswith("scalability")}


def test_a_probe_is_the_last_step_of_a_trial(order):
    results = steps(actor_of(order, probe=True))
    assert [r["done"] for r in results] == [False] * 5 + [True]
    found = checkpoint.load(order()["address"])
    alone = probe(tasks.subject(found, order.series)).numbers
    assert numbers(results[-1]) == {n: v for n, v in alone.items() if not n.startswith("scalability")}
    assert (results[-1]["probed"].best_epoch, results[-1]["probed"].trouble) == (found.state.best_epoch, "")
    again = steps(actor_of(order, attempt=2, probe=True))  # its driver was killed before it knew
    assert [len(r["epochs"]) for r in again] == [4, 0]
    assert numbers(again[-1]) == numbers(results[-1])


def test_a_trial_that_is_wound_up_is_probed_as_it_is(order):
    actor = actor_of(order, probe=True)
    actor.step(), actor.step()
    actor.wind_up()
    result = actor.step()
    assert (result["epochs"], result["done"], result["probed"].best_epoch) == ((), True, 1)
    taken_up = actor_of(order, attempt=2, probe=True, over=True)
    assert [len(r["epochs"]) for r in steps(taken_up)] == [1, 0]


def test_what_can_not_be_probed_says_why(order, monkeypatch):
    monkeypatch.setattr("lstm.diagnostics.probe.probe", lambda _: (_ for _ in ()).throw(ValueError("odd\nthings")))
    result = steps(actor_of(order, probe=True))[-1]
    assert (result["probed"].numbers, result["probed"].trouble) == ({}, "ValueError: odd")
    monkeypatch.undo()


def test_an_actor_takes_one_trial_after_another(order):
    actor = actor_of(order)
    actor.step(), actor.step()
    assert actor.reset_config(order(number=1)) is True
    results = steps(actor)
    assert [e.number for r in results for e in r["epochs"]] == [1, 2, 3, 4]
    assert len(checkpoint.load(order()["address"]).state.history) == 1


def test_a_broken_checkpoint_is_named_and_the_one_before_used(order):
    actor = actor_of(order)
    for _ in range(4):
        actor.step()
    address = order()["address"]
    newest = checkpoint.names(address)[-1]
    with Path(address, newest).open("r+b") as file:
        file.truncate(1000)
    result = actor_of(order, attempt=2).step()
    assert [e.number for e in result["epochs"]] == [1, 2]
    (broken,) = result["started"].broken
    assert newest in broken


def test_another_configurations_checkpoint_is_neither_used_nor_replaced(order):
    actor = actor_of(order)
    actor.step(), actor.step()
    before = checkpoint.names(order()["address"])
    result = actor_of(order, attempt=2, batch_size=16).step()
    assert (result["epochs"], result["done"], result["failure"].kind) == ((), True, "refused")
    assert order()["address"] in result["failure"].text
    assert checkpoint.names(order()["address"]) == before


def test_another_studys_checkpoint_is_neither_used_nor_replaced(order):
    actor = actor_of(order)
    actor.step(), actor.step()
    actor.reset_config(order(attempt=2) | {"studies": ("another", "before")})
    result = actor.step()
    assert (result["done"], result["failure"].kind) == (True, "refused")
    actor.reset_config(order(attempt=2) | {"studies": ("copy", "mine")})
    assert len(actor.step()["epochs"]) == 1, "a copy goes on from the checkpoints that were copied with it"


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (MemoryError(), "diverged", "out of memory on this host: MemoryError"),
        (ValueError("wrong shape\nand more"), "broken", "ValueError: wrong shape"),
    ],
)
def test_failures_are_told_not_raised(order, monkeypatch, error, kind, told):
    actor = actor_of(order)
    actor.step()

    def fails(*_):
        raise error

    monkeypatch.setattr(checkpoint, "write", fails)
    result = actor.step()
    assert (result["failure"], result["epochs"], result["done"]) == (Failure(kind, told), (), True)


def test_an_epoch_waits_in_memory_while_the_storage_fails(order, monkeypatch):
    monkeypatch.setattr(trial, "PAUSES_S", (0.0,) * 3)
    write, fails = checkpoint.write, []

    def failing(*arguments):
        if fails:
            raise fails.pop()
        return write(*arguments)

    monkeypatch.setattr(checkpoint, "write", failing)
    actor = actor_of(order)
    actor.step(), actor.step()
    fails += [OSError(28, "No space left on device")] * 3
    for _ in range(3):
        waiting = actor.step()
        assert (waiting["epochs"], waiting["done"]) == ((), False)
        assert waiting["waiting"].startswith(f"checkpoints: No space left on device: {order()['address']} (disk /")
        assert waiting["waiting"].endswith(" MB free), on this host")
    results = steps(actor)
    assert [e.number for r in results for e in r["epochs"]] == [2, 3, 4]
    alone = list(train(actor._trial, order.series))
    assert [e.value for e in checkpoint.load(order()["address"]).state.history] == [e.value for e in alone]


def test_a_storage_that_fails_for_long_lets_the_trial_go_elsewhere(order, monkeypatch):
    monkeypatch.setattr(trial, "PAUSES_S", (0.0,) * 2)
    actor = actor_of(order)
    monkeypatch.setattr(ownership, "load", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    first, second, last = actor.step(), actor.step(), actor.step()
    assert {**first, "spent": None} == {**second, "spent": None}
    assert "Input/output error" in first["waiting"]
    assert (last["failure"].kind, last["done"]) == ("storage", True)


@pytest.fixture
def turned(monkeypatch):
    """A clock that the test turns, for a process that is 3 s old; an epoch takes 10 s, a write 1 s."""
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
    monkeypatch.setattr(trial, "process_age_s", lambda: 3.0)
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
    actor = TrialActor.__new__(TrialActor)
    turned[0] += 0.5  # the series is fetched
    actor.setup(order(), order.series)
    turned[0] += 4.0  # Tune has others to see to
    results = [actor.step()]
    while not results[-1]["done"]:
        turned[0] += 0.125  # the driver has taken the result
        results.append(actor.step())
    told = Spent(start=5.0, data=2.5, waiting=4.0, checkpoint=0.25 + 4 * 1.0 + 3 * 0.5, report=0.5)
    assert spent(results) == (told, 40.0)
    assert 3.0 + turned[0] == told.total + 40.0

    turned[0] += 7.0
    actor.reset_config(order(number=1))
    turned[0] += 1.0
    more = steps(actor)
    assert spent(more) == (Spent(data=2.0, waiting=8.0, checkpoint=5.75), 40.0)
    assert 3.0 + turned[0] == told.total + spent(more)[0].total + 80.0


def test_a_checkpoint_knows_what_was_spent_and_the_next_attempt_tells_it(order, turned):
    results = steps(actor_of(order))[:-1]
    lost = actor_of(order, attempt=2)
    (first, *_), kept = steps(lost), checkpoint.load(order()["address"])
    assert first["started"].before == kept.spent
    assert (kept.spent + Spent(checkpoint=1.0)).total == spent(results)[0].total + 10.5 - 10.0 + 1.0


def test_an_epoch_that_could_not_be_kept_is_lost(order, turned, monkeypatch):
    monkeypatch.setattr(trial, "PAUSES_S", (0.0,))
    actor = actor_of(order)
    actor.step()
    monkeypatch.setattr(checkpoint, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    results = [actor.step(), actor.step()]
    assert results[-1]["failure"].kind == "storage"
    assert spent(results) == (Spent(data=2.0, lost=10.0), 0.0)


def test_training_that_raised_is_lost(order, turned, monkeypatch):
    actor = actor_of(order)
    actor.step()

    def fails(*_):
        turned[0] += 6.0
        raise ValueError("wrong shape")

    monkeypatch.setattr(actor, "_train", fails)
    assert actor.step()["spent"] == Spent(lost=6.0)


def test_an_actor_goes_on_after_a_trial_without_memory(order, monkeypatch):
    actor = actor_of(order)
    actor.step()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write", lambda *_: (_ for _ in ()).throw(MemoryError()))
        assert actor.step()["failure"].kind == "diverged"
    actor.reset_config(order(number=1))
    assert len(steps(actor)) == 5


def imported_by(code):
    code = f"import sys; {code}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    return set(ran.stdout.split())


def test_a_worker_imports_only_what_trains():
    found = imported_by("import cluster.ray_backend.actor, lstm.training.loop")
    assert "torch" in found
    assert found & {"mlflow", "optuna", "sqlalchemy", "plotly", "sklearn", "experiments", "dashboards"} == set()


def test_a_driver_needs_no_pytorch_to_start_its_workers():
    found = imported_by("import cluster.ray_backend.tune, experiments.verbs.run, lstm.data.load")
    assert "ray" in found
    assert "torch" not in found


@pytest.mark.parametrize(
    ("used", "cluster", "named"),
    [("cuda", {"GPU": 2.0}, " gpu 1"), ("cpu", {"GPU": 2.0}, " cpu"), ("cpu", {"CPU": 2.0}, "")],
)
def test_a_worker_is_named_after_the_device_in_use_not_after_the_gpu_that_it_took(monkeypatch, used, cluster, named):
    monkeypatch.setattr(ray, "get_gpu_ids", lambda: [1])
    monkeypatch.setattr(ray, "cluster_resources", lambda: cluster)
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "10.0.0.1")
    actor = TrialActor.__new__(TrialActor)
    actor._device, actor._place = used, ""
    assert actor._worker() == f"10.0.0.1 ({socket.gethostname()}) pid {os.getpid()}{named}"
