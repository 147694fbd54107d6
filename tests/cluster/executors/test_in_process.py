import os
import signal
import socket

import pytest

from cluster.config import ResourcesConfig
from cluster.executors import in_process
from cluster.executors.in_process import Here, InProcess
from cluster.interrupts import Stop
from cluster.protocol import FINISHED
from lstm import checkpoint, device
from lstm.messages.message import note
from lstm.records.errors import BadInput
from lstm.training.loop import train


@pytest.fixture
def controller(trial_config, series_of, walk, tmp_path):
    """Stands where a controller stands: hands out trials, notes what comes of them."""
    series = series_of(trial_config().data, walk(120))

    class Controller:
        def __init__(self, *orders):
            self.orders, self.stop, self.told, self.results = list(orders), Stop(), [], {}
            self.series, self.on_result = series, lambda _: False

        def suggest(self, trial_id):
            order = FINISHED if self.stop.reason or not self.orders else self.orders.pop(0)
            self.told.append(("suggest", order["number"] if isinstance(order, dict) else order))
            if isinstance(order, dict):
                self.results[trial_id] = []
            return order

        def result(self, trial_id, result):
            self.results[trial_id].append(result)
            return self.on_result(result)

        def complete(self, trial_id, result, *, error):
            assert not error
            if result["done"]:
                self.results[trial_id].append(result)
            self.told.append(("complete", len(self.results[trial_id])))

        def let_go(self):
            self.told.append("let go")

    def make(*numbers, probe=False):
        return Controller(
            *(
                number
                and {
                    "cpus": 1,
                    "gpus": 0.0,
                    "number": number,
                    "attempt": 1,
                    "address": str(tmp_path / f"trial-{number:04d}"),
                    "trial": trial_config().model_dump(),
                    "probe": probe,
                    "over": False,
                    "studies": ("mine",),
                }
                for number in numbers
            )
        )

    return make


def kept(tmp_path, number):
    found = checkpoint.load(str(tmp_path / f"trial-{number:04d}"))
    return [e.value for e in found.state.history] if found else None


def test_trials_run_one_after_another_in_this_process(controller, tmp_path, monkeypatch):
    monkeypatch.setattr(in_process, "LOOK_S", 0.0)
    made = controller(1, None, None, 2)  # None: one is to be tried again, not yet
    here = InProcess()
    with here.ready(ResourcesConfig(), str(tmp_path), lambda _: 1) as place:
        assert (place.slots(), place.warnings) == (1, ())
        place.run(made, made.series, "tiny")
    suggested = [("suggest", 1), ("complete", 5), ("suggest", None), ("suggest", None), ("suggest", 2), ("complete", 5)]
    assert made.told == [*suggested, ("suggest", FINISHED), "let go"]
    (first, *_), _ = made.results.values()
    assert first["started"].worker.startswith(f"{socket.gethostname()} pid {os.getpid()}")
    for results, number in zip(made.results.values(), (1, 2), strict=True):
        told = [e.value for r in results for e in r["epochs"]]
        assert told == kept(tmp_path, number)
        assert len(told) == 4


def test_a_trial_that_the_controller_stops_trains_no_further(controller, tmp_path):
    made = controller(1, 2)
    made.on_result = lambda result: [e.number for e in result["epochs"]] == [2]
    Here(0.0).run(made, made.series, "tiny")
    assert [len(kept(tmp_path, number)) for number in (1, 2)] == [2, 2]


def test_a_trial_that_is_wound_up_is_probed(controller):
    made = controller(1, probe=True)

    def wind_up(result):
        if started := result.get("started"):
            made.handle = started.actor.pop()
        elif [e.number for e in result["epochs"]] == [1]:
            made.handle.wind_up()
        return False

    made.on_result = wind_up
    Here(0.0).run(made, made.series, "tiny")
    (results,) = made.results.values()
    assert [len(r["epochs"]) for r in results] == [0, 1, 0]
    assert results[-1]["probed"].best_epoch == 1


def test_the_end_is_heeded_in_the_middle_of_an_epoch_and_what_is_kept_is_gone_on_from(controller, tmp_path):
    made = controller(1, 2)
    heed, steps = made.stop.heed, []

    def heeding():
        if len(made.results["tiny-0"]) == 3:  # in the third epoch
            steps.append(1)
        if len(steps) == 2:
            made.stop.now("interrupted", 130)
        heed()

    made.stop.heed = heeding
    Here(0.0).run(made, made.series, "tiny")
    assert made.told == [("suggest", 1), "let go"]
    before = kept(tmp_path, 1)
    assert len(before) == 2
    again = controller(1)
    Here(0.0).run(again, again.series, "tiny")
    (results,) = again.results.values()
    assert [len(r["epochs"]) for r in results] == [2, 1, 1]
    alone = list(train(checkpoint.load(str(tmp_path / "trial-0001")).config, again.series))
    assert kept(tmp_path, 1) == [e.value for e in alone]


def test_a_keyboard_interrupt_where_no_handler_is_installed_is_the_callers(controller):
    made = controller(1)
    made.on_result = lambda _: signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Here(0.0).run(made, made.series, "tiny")
    assert made.told[-1] == "let go"


def test_a_device_that_fails_ends_the_sweep_with_its_reason(controller, monkeypatch):
    made = controller(1)
    monkeypatch.setattr(device, "claim", lambda *_: 1 / 0)
    Here(0.0).run(made, made.series, "tiny")
    assert made.stop.code == 1
    assert "ZeroDivisionError" in made.stop.reason


def test_a_process_that_can_not_use_its_gpu_any_more_ends_the_sweep(controller, monkeypatch):
    import torch

    def fails(*_):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    made = controller(1, 2)
    made.on_result = lambda result: "failure" in result
    monkeypatch.setattr(checkpoint, "write", fails)
    Here(0.0).run(made, made.series, "tiny")
    assert made.stop.code == 1
    assert "can't use its GPU any more" in made.stop.reason
    assert ("suggest", 2) not in made.told


def test_the_threads_that_a_trial_takes_are_given_back(controller, monkeypatch):
    import torch

    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(3)
    try:
        made = controller(1)
        made.on_result = lambda _: seen.append(torch.get_num_threads())
        Here(0.0).run(made, made.series, "tiny")
        assert set(seen) == {1}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("resources", "gpus", "named"),
    [
        ({"cpus_per_trial": 1000}, 0, {"cpus": 1000, "why": ""}),
        ({"gpus_per_trial": 1.0}, 0, {"gpus": 1.0, "why": "no GPU"}),
        ({"gpus_per_trial": 0.5}, 0, {"gpus": 0.5, "why": "no GPU"}),
        ({"cpus_per_trial": 3}, 1, {"cpus": 3, "why": ""}),
    ],
)
def test_what_this_machine_has_not_is_refused(monkeypatch, tmp_path, resources, gpus, named):
    monkeypatch.setattr(device, "gpu_count", lambda: gpus)
    monkeypatch.setattr(device, "cpu_count", lambda: 2)
    monkeypatch.setattr(device, "why_no_gpu", lambda: "no GPU")
    with pytest.raises(BadInput) as refused, InProcess().ready(ResourcesConfig(**resources), str(tmp_path), print):
        pytest.fail("ready")
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.path) == ("trial-too-large-here", "resources")
    assert named.items() <= wrong.values.items()
    assert (wrong.values["machine_cpus"], wrong.values["machine_gpus"]) == (2, gpus)


@pytest.mark.parametrize(("asked", "gpus", "taken"), [("auto", 0, 0.0), ("auto", 4, 1.0), (0, 4, 0.0), (0.5, 1, 0.5)])
def test_the_gpus_that_a_trial_takes(monkeypatch, tmp_path, asked, gpus, taken):
    monkeypatch.setattr(device, "gpu_count", lambda: gpus)
    with InProcess().ready(ResourcesConfig(gpus_per_trial=asked), str(tmp_path), print) as place:
        assert place.gpus_per_trial == taken


def test_a_store_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput) as refused, InProcess().ready(ResourcesConfig(), f"{tmp_path}/file/x", print):
        pytest.fail("ready")
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.values["folder"]) == ("checkpoints-unwritable", f"{tmp_path}/file/x")


def test_trials_at_once_that_the_spec_asks_for_are_told_as_not_had(tmp_path):
    for at_once, notes in (("auto", 0), (1, 0), (4, 1)):
        with InProcess().ready(ResourcesConfig(max_concurrent=at_once), str(tmp_path), print) as place:
            assert len(place.warnings) == notes
    assert place.warnings == (note("one-trial-at-a-time", "resources.max_concurrent", at_once=4),)
