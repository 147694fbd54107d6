"""The use of the machine while a trial trains: processors, memory, and the GPU that it trains on.

The figures have MLflow's names and units. Like MLflow's own, they are those of the whole machine, not of one process:
they say whether a host was busy or full. Each is a mean over the time since the last figures.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

import psutil

from lstm.records.epoch import SYSTEM

PAUSE_S = 1.0  # the shortest time between two readings: each costs about a tenth of a millisecond
DEVICES = Path("/dev")
MEGABYTE = 1e6  # bytes, as MLflow counts them


class Usage:
    """The use of the machine by readings that are at least a second apart.

    Args:
        device: The device of the training: `cpu`, `cuda` or `cuda:N`. Only the GPU of the training is read.
        clock: Returns seconds and never runs backwards.
    """

    def __init__(self, device: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._readings = clock, dict[str, list[float]]()
        self._gpu = _Gpu(device) if device.startswith("cuda") else None
        self._cpu, self._next_s = _cpu_s(), -float("inf")

    def look(self) -> None:
        """Read the machine, unless the last reading is younger than a second. Cheap enough for each training step."""
        now = self._clock()
        if now < self._next_s:
            return
        self._next_s = now + PAUSE_S
        memory = psutil.virtual_memory()
        self._take("system_memory_usage_megabytes", memory.used / MEGABYTE)
        self._take("system_memory_usage_percentage", 100 * memory.used / memory.total)
        if self._gpu is not None:
            for name, value in self._gpu.read().items():
                self._take(name, value)

    def mean(self) -> dict[str, float]:
        """Return the means since the last figures, by name; empty within a second after those."""
        self.look()
        if not self._readings:
            return {}
        cpu = _cpu_s()
        busy_s, all_s = (now - before for now, before in zip(cpu, self._cpu, strict=True))
        found = {"cpu_utilization_percentage": 100 * busy_s / all_s} if all_s > 0 else {}
        found |= {name: fmean(values) for name, values in self._readings.items()}
        self._cpu, self._readings = cpu, {}
        return {f"{SYSTEM}{name}": round(value, 1) for name, value in found.items()}

    def _take(self, name: str, value: float) -> None:
        self._readings.setdefault(name, []).append(value)


def memory_left() -> int:
    """Return the bytes of memory that the machine can give to programs without taking them from others."""
    return int(psutil.virtual_memory().available)


def gpus_of_machine() -> int | None:
    """Return the number of NVIDIA's GPUs in this machine, whoever may use them; None if that can't be known.

    Of a GPU that is cut into slices (MIG), the slices count: they are what a process can be given.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            return sum(_slices(pynvml, number) for number in range(pynvml.nvmlDeviceGetCount()))
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        devices = len([each for each in DEVICES.glob("nvidia[0-9]*") if each.name[6:].isdecimal()])
        return devices if devices or sys.platform == "linux" else None


def _slices(nvml: Any, number: int) -> int:
    """Return the number of slices of a GPU; 1 if it is whole."""
    gpu = nvml.nvmlDeviceGetHandleByIndex(number)
    try:
        if not nvml.nvmlDeviceGetMigMode(gpu)[0]:
            return 1
        most = nvml.nvmlDeviceGetMaxMigDeviceCount(gpu)
    except nvml.NVMLError:  # it can't be cut
        return 1
    count = 0
    for place in range(most):
        with suppress(nvml.NVMLError):  # nothing is there
            nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, place)
            count += 1
    return count


def _cpu_s() -> tuple[float, float]:
    """Return the seconds that the machine's cores were busy, and all their seconds, since it was started."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # A guest's time is in that of its user already.
    every = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return every - idle, every


class _Gpu:
    """The GPU of a training. PyTorch asks NVIDIA's library (nvidia-ml-py), and knows which of the GPUs it is."""

    def __init__(self, device: str) -> None:
        import torch

        self._device = torch.device(device)
        self._name = f"gpu_{self._device.index or 0}"
        self._asked: dict[str, Callable[[], float]] = {"utilization_percentage": self._busy, "memory": self._memory}
        self._total = torch.cuda.get_device_properties(self._device).total_memory

    def read(self) -> dict[str, float]:
        """Return its figures; without those that it does not have, such as the utilization of a part of a GPU."""
        found = dict[str, float]()
        for name, ask in [*self._asked.items()]:
            try:
                found[name] = ask()
            except (
                Exception
            ):  # NVIDIA's library has many errors, and is not there with every GPU: it is not asked again
                del self._asked[name]
        used = found.pop("memory", None)
        if used is not None:
            found |= {"memory_usage_megabytes": used / MEGABYTE, "memory_usage_percentage": 100 * used / self._total}
        return {f"{self._name}_{name}": value for name, value in found.items()}

    def _busy(self) -> float:
        import torch

        return float(torch.cuda.utilization(self._device))

    def _memory(self) -> float:
        import torch

        return float(torch.cuda.device_memory_used(self._device))
