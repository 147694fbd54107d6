"""The use of the machine: readings a second apart, means, and what a checkpoint keeps of them."""

import types
from dataclasses import replace

import psutil
import pytest
import torch

from lstm import checkpoint, usage
from lstm.records.epoch import Epoch
from lstm.training.loop import train
from lstm.usage import Usage

CPU, MEMORY = "system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"


@pytest.fixture
def machine(monkeypatch):
    """A machine that the test sets: seconds of its cores and bytes of its memory. Its clock stands still."""
    made = types.SimpleNamespace(now=0.0, busy=0.0, idle=0.0, used=0, reads=0)

    def memory():
        made.reads += 1
        return types.SimpleNamespace(used=made.used, total=4_000_000_000)

    times = psutil.cpu_times()
    kept = dict.fromkeys(times._fields, 0.0)
    monkeypatch.setattr(usage.psutil, "cpu_times", lambda: type(times)(**kept | {"user": made.busy, "idle": made.idle}))
    monkeypatch.setattr(usage.psutil, "virtual_memory", memory)
    return made


def test_an_epoch_has_the_means_since_the_last_figures(machine):
    made = Usage("cpu", clock=lambda: machine.now)
    machine.used = 1_000_000_000
    made.look()
    machine.now, machine.used, machine.busy, machine.idle = 2.0, 3_000_000_000, 3.0, 1.0
    assert made.mean() == {CPU: 75.0, MEMORY: 2000.0, "system/system_memory_usage_percentage": 50.0}
    machine.now, machine.busy, machine.idle = 4.0, 3.0, 5.0
    assert made.mean() == {CPU: 0.0, MEMORY: 3000.0, "system/system_memory_usage_percentage": 75.0}


def test_within_a_second_nothing_is_read(machine):
    made = Usage("cpu", clock=lambda: machine.now)
    machine.busy = 1.0
    assert made.mean()
    for step in range(100):
        machine.now = step / 101
        made.look()
        assert made.mean() == {}
    assert machine.reads == 1


def test_a_gpu_that_lacks_a_figure_is_not_asked_for_it_again(machine, monkeypatch):
    asked = []

    def utilization(device):
        asked.append(device)
        raise RuntimeError("not supported on a part of a GPU")

    monkeypatch.setattr(torch.cuda, "utilization", utilization)
    monkeypatch.setattr(torch.cuda, "device_memory_used", lambda _: 2_000_000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: types.SimpleNamespace(total_memory=8_000_000))
    made = Usage("cuda:1", clock=lambda: machine.now)
    for second in (0.0, 1.0, 2.0):
        machine.now = second
        found = made.mean()
        assert found["system/gpu_1_memory_usage_megabytes"] == 2.0
        assert found["system/gpu_1_memory_usage_percentage"] == 25.0
        assert "system/gpu_1_utilization_percentage" not in found
    assert len(asked) == 1


def test_the_figures_are_no_result(trial_config, series_of, walk):
    config = trial_config(training={"max_epochs": 2})
    series = series_of(config.data, walk(200))
    with_figures = [*train(config, series, usage=Usage("cpu"))]
    without = [*train(config, series)]
    assert with_figures[0].system  # an epoch that is over before a tick of the clock has no share of it
    assert not without[0].system
    for one, other in zip(with_figures, without, strict=True):
        assert one.metrics.keys() == other.metrics.keys()
        assert one.metrics["train/loss"] == other.metrics["train/loss"]
        for name, weights in one.state.model.items():
            assert torch.equal(weights, other.state.model[name])
    epoch = with_figures[0]
    assert epoch == replace(epoch, system={CPU: 1.0})


def test_a_checkpoint_keeps_the_figures_beside_the_metrics(trial_config, series_of, walk):
    config = trial_config(training={"max_epochs": 1})
    series = series_of(config.data, walk(200))
    (epoch,) = train(config, series, usage=Usage("cpu"))
    kept = checkpoint.Checkpoint(config, {"fingerprint": "f"}, epoch.state)
    (found,) = checkpoint.loads(checkpoint.dumps(kept)).state.history
    assert found.system == epoch.system
    assert found.metrics == epoch.metrics
    bare = replace(epoch.state, history=(Epoch(1, {"val/loss": 0.5}, 0.5, 1),))
    assert checkpoint.loads(checkpoint.dumps(replace(kept, state=bare))).state.history[0].system == {}


def test_gpus_of_the_machine_are_counted_whoever_may_use_them(monkeypatch):
    import pynvml

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: 3)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda number: number)

    def mode(gpu):
        if gpu == 2:  # an older one
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return [gpu == cut, gpu == cut]

    def part(gpu, place):
        if (gpu, place) not in ((1, 0), (1, 3)):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return gpu, place

    monkeypatch.setattr(pynvml, "nvmlDeviceGetMigMode", mode)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMaxMigDeviceCount", lambda _: 7)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMigDeviceHandleByIndex", part)
    cut = None
    assert usage.gpus_of_machine() == 3
    cut = 1
    assert usage.gpus_of_machine() == 4, "two slices of the second one"


def test_without_nvidias_library_the_devices_are_counted(monkeypatch, tmp_path):
    import pynvml

    def missing():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "nvidia0x"):
        (tmp_path / name).touch()
    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    monkeypatch.setattr(usage, "DEVICES", tmp_path)
    assert usage.gpus_of_machine() == 2
