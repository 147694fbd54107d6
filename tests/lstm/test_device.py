import os
import subprocess
import sys
import weakref

import pytest
import torch

from lstm import device


@pytest.fixture
def process(tmp_path):
    """A process as /proc shows it, in control groups that are folders here; `folders` are their files' contents."""

    def process(group, mounts, folders):
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "cgroup").write_text(group)
        lines = [f"40 30 0:30 {root} {tmp_path / at} rw - {kind} {kind} {more}\n" for root, at, kind, more in mounts]
        (tmp_path / "proc" / "mountinfo").write_text("20 1 8:1 / / rw - ext4 /dev/sda rw\n" + "".join(lines))
        for folder, files in folders.items():
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (tmp_path / folder / name).write_text(f"{text}\n")
        return tmp_path / "proc"

    return process


V2 = [("/", "cg", "cgroup2", "rw")]
V1 = [("/", "cg/memory", "cgroup", "rw,memory"), ("/", "cg/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct")]


def quota(quota_us, period_us=100000):
    return {"cpu.cfs_quota_us": quota_us, "cpu.cfs_period_us": period_us}


@pytest.mark.parametrize(
    ("group", "mounts", "folders", "quotas"),
    [
        ("0::/", V2, {"cg": {}}, []),
        ("0::/", V2, {"cg": {"cpu.max": "250000 100000"}}, [2.5]),
        ("0::/", V2, {"cg": {"cpu.max": "max 100000"}}, []),
        # Slurm and systemd limit a group around the process's own.
        ("0::/a/b/c", V2, {"cg/a": {"cpu.max": "100000 50000"}, "cg/a/b/c": {"cpu.max": "max 100000"}}, [2.0]),
        ("0::/a/b", V2, {"cg/a": {"cpu.max": "300000 100000"}, "cg/a/b": {"cpu.max": "150000 100000"}}, [1.5, 3.0]),
        ("0::/ab", V2, {"cg/a": {"cpu.max": "100000 100000"}, "cg/ab": {}}, []),
        ("2:cpu,cpuacct:/j\n1:memory:/j", V1, {"cg/cpu,cpuacct/j": quota(50000), "cg/memory/j": quota(1)}, [0.5]),
        ("2:cpu,cpuacct:/j/k\n0::/", V1, {"cg/cpu,cpuacct/j": quota(200000), "cg/cpu,cpuacct/j/k": quota(-1)}, [2.0]),
        # A container whose mount begins at its own group, while /proc tells the host's path.
        ("3:cpu:/docker/1", [("/docker/1", "cg", "cgroup", "rw,cpu")], {"cg": quota(100000)}, [1.0]),
        ("3:cpu:/docker/1", [("/docker/2", "cg", "cgroup", "rw,cpu")], {"cg": quota(100000)}, [1.0]),
        ("0::/", V2, {"cg": {"cpu.max": "nonsense"}}, []),
    ],
)
def test_the_share_of_time_of_a_process_and_of_all_around_it(process, group, mounts, folders, quotas):
    assert list(device._quotas(process(group, mounts, folders))) == quotas


def test_where_there_are_no_control_groups_nothing_is_limited(tmp_path):
    assert list(device._quotas(tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("bound", "quotas", "cores"), [(8, [], 8), (8, [2.9], 2), (2, [6.0], 2), (8, [4.0, 3.0], 3), (4, [0.5], 1)]
)
def test_the_cores_that_are_there_for_this_process(monkeypatch, bound, quotas, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(bound)))
    monkeypatch.setattr(device, "_quotas", lambda _: iter(quotas))
    assert device.cpu_count() == cores
    threads = torch.get_num_threads()
    try:
        device.claim(64, 0)
        assert torch.get_num_threads() == cores
    finally:
        torch.set_num_threads(threads)


CORES = "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from lstm.device import cpu_count"


def test_a_process_that_is_bound_to_a_core_counts_one_and_needs_no_pytorch_for_it():
    line = f"{CORES}; print(cpu_count(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["1", "False"]


def test_gpus_that_are_there_but_can_not_be_used_count_for_nothing(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (device.gpu_count(), device.why_no_gpu()) == (2, "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a1,MIG-b2, MIG-c3")
    assert device.gpu_count() == 3, "CUDA shows a process one slice of a GPU only"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert device.gpu_count() == 2
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.gpu_count() == 0
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "driver" in device.why_no_gpu()
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert "build for the CPU" in device.why_no_gpu()


class Card:
    """A GPU that is not there: what a process asks it for its share of the memory."""

    def __init__(self, monkeypatch):
        self.shares, self.emptied, self.forked = {0: 1.0, 1: 1.0}, 0, []
        for name in ("is_available", "current_device", "empty_cache"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda number: self.shares[number])
        monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", self.limit)
        fork = torch.random.fork_rng
        monkeypatch.setattr(torch.random, "fork_rng", lambda devices: (self.forked.extend(devices), fork([]))[1])

    def is_available(self):
        return True

    def current_device(self):
        return 1

    def empty_cache(self):
        self.emptied += 1

    def limit(self, share, number=None):
        self.shares[self.current_device() if number is None else number] = share


def test_what_was_borrowed_of_a_gpu_is_given_back_and_no_other_gpu_is_touched(monkeypatch):
    card, threads = Card(monkeypatch), torch.get_num_threads()
    with device.borrowed():
        assert device.claim(1, 0.25) == "cuda"
        assert (card.shares, card.emptied) == ({0: 1.0, 1: 0.25}, 0)
    assert (card.shares, card.emptied, card.forked) == ({0: 1.0, 1: 1.0}, 1, [1])
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("error", "memory", "spoilt"),
    [
        (MemoryError(), True, False),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True, False),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True, False),
        (torch.AcceleratorError("CUDA error: out of memory"), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True, False),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), True, False),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False, False),
        (ValueError("CUDA error: out of memory"), False, False),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), False, True),
        (torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered"), False, True),
    ],
)
def test_what_is_wrong_with_a_gpu_is_told_from_its_error(error, memory, spoilt):
    assert (device.is_out_of_memory(error), device.has_spoilt_gpu(error)) == (memory, spoilt)


@pytest.mark.parametrize(("used", "emptied"), [("cuda", 1), ("cpu", 0)])
def test_what_the_calls_of_an_error_hold_is_freed_before_the_cache_is_emptied(monkeypatch, used, emptied):
    held, seen = [], []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: seen.append([each() for each in held]))

    def trains():
        large = torch.zeros(8)
        held.append(weakref.ref(large))
        raise torch.OutOfMemoryError("CUDA out of memory")

    def judges():
        try:
            trains()
        except torch.OutOfMemoryError as error:
            raise RuntimeError("in the trial") from error

    try:
        judges()
    except RuntimeError as error:
        assert held[0]() is not None
        device.release(used, error)
    assert seen == [[None]] * emptied
