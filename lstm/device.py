"""The device that a process trains on, and its share of it.

PyTorch takes a second to import; whoever only counts cores, as a driver does that starts Ray, does without it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def claim(cpus: int, gpus: float | None) -> str:
    """Takes CPU threads and a GPU for this process; returns the device's name for `train`.

    Args:
        cpus: Threads to compute with.
        gpus: GPUs that are this process's; a fraction holds it to that share of the memory. None takes a
            GPU if there is one.
    """
    import torch

    torch.set_num_threads(min(cpus, cpu_count()))  # more would only wait for each other
    if gpus == 0 or not torch.cuda.is_available():
        return "cpu"
    if gpus is not None and gpus < 1:
        torch.cuda.set_per_process_memory_fraction(gpus)
    return "cuda"


@contextmanager
def borrowed() -> Iterator[None]:
    """Leaves PyTorch as it was found: its threads, its draws and what becomes of denormals are the whole process's."""
    import torch

    threads = torch.get_num_threads()
    flushes = bool((torch.full((1,), 1e-40) * 1.0 == 0).all())  # there is no other way to ask
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        torch.set_flush_denormal(flushes)
        torch.set_num_threads(threads)


def cpu_count() -> int:
    """Cores that this process may use: those it is bound to, or as many as its share of time amounts to; at least one.

    `taskset`, Slurm and cpusets bind; containers and systemd give shares of time.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([bound, *_quotas(Path("/proc/self"))])))


def _quotas(process: Path) -> Iterator[float]:
    """The cores that each control group of a process has time for, where it is limited; those around it count, too."""
    for folder in _groups(process):
        try:
            if (limit := folder / "cpu.max").is_file():
                quota, period = limit.read_text().split()
            else:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
            if quota not in ("max", "-1"):
                yield int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):  # none is set here
            continue


def _groups(process: Path) -> Iterator[Path]:
    """The folders of a process's control groups for CPU time, each with those around it; of both of Linux's kinds."""
    try:
        lines = (process / "cgroup").read_text().splitlines()
        mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    except OSError:  # no Linux
        return
    paths = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    for mount in mounts:
        root, point = mount[3], Path(mount[4])
        kind, options = mount[mount.index("-") + 1], mount[-1].split(",")
        path = paths.get("" if kind == "cgroup2" else "cpu")
        if path is None or not (kind == "cgroup2" or (kind == "cgroup" and "cpu" in options)):
            continue
        # A container sees the mount begin at its own group, whose path may be the host's.
        inner = path.removeprefix(root.rstrip("/")).strip("/") if f"{path}/".startswith(f"{root.rstrip('/')}/") else ""
        folder = point / inner
        while folder != point and point in folder.parents:
            yield folder
            folder = folder.parent
        yield point


def gpu_count() -> int:
    """GPUs that PyTorch can use in this process."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def why_no_gpu() -> str:
    """Why PyTorch can use no GPU in this process, or ""."""
    import torch

    if gpu_count():
        return ""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"PyTorch {torch.__version__} is a build for the CPU"
    return "PyTorch finds no GPU: its driver may be missing or too old"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether training failed because the device or the host has no memory left."""
    import torch

    # On the CPU torch raises no class of its own.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def release(device: str) -> None:
    """Gives back memory that is held for later use."""
    import torch

    if device == "cuda":
        torch.cuda.empty_cache()


def version() -> str:
    """PyTorch's version, without the name of its build."""
    import torch

    return str(torch.__version__).partition("+")[0]
