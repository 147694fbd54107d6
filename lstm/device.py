"""The device that a process trains on, and the process's share of its cores and memory.

Functions that need PyTorch import it themselves: the import takes a second, and counting cores does not need it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def claim(cpus: int, gpus: float | None) -> str:
    """Set up CPU threads and a GPU for this process, and return the device's name for `train`.

    Args:
        cpus: Number of threads to compute with.
        gpus: Number of GPUs of this process. A fraction limits the process to that share of the GPU's memory. None
            uses a GPU if there is one.
    """
    import torch

    torch.set_num_threads(min(cpus, cpu_count()))  # more threads would only wait for each other
    if gpus == 0 or not torch.cuda.is_available():
        return "cpu"
    if gpus is not None and gpus < 1:
        torch.cuda.set_per_process_memory_fraction(gpus)
    return "cuda"


@contextmanager
def borrowed() -> Iterator[None]:
    """Restore what is process-wide at the end.

    That is PyTorch's threads, random generators and handling of denormals, and on a GPU the process's share of its
    memory. Only the current GPU is asked: each other one would keep some hundred MB for this process.
    """
    import torch

    threads = torch.get_num_threads()
    flushes = bool((torch.full((1,), 1e-40) * 1.0 == 0).all())  # there is no other way to ask
    here = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    shares = [torch.cuda.get_per_process_memory_fraction(each) for each in here]
    try:
        with torch.random.fork_rng(devices=here):
            yield
    finally:
        torch.set_flush_denormal(flushes)
        torch.set_num_threads(threads)
        for each, share in zip(here, shares, strict=True):
            torch.cuda.set_per_process_memory_fraction(share, each)
            torch.cuda.empty_cache()


def cpu_count() -> int:
    """Return the number of cores that this process may use, at least 1.

    That is the number of cores it is bound to (by `taskset`, Slurm or cpusets), or fewer if its share of CPU time (in a
    container or under systemd) is worth fewer cores.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([bound, *_quotas(Path("/proc/self"))])))


def _quotas(process: Path) -> Iterator[float]:
    """Yield the cores' worth of CPU time of each limited control group of a process, enclosing groups included."""
    for folder in _groups(process):
        try:
            if (limit := folder / "cpu.max").is_file():
                quota, period = limit.read_text().split()
            else:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
            if quota not in ("max", "-1"):
                yield int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):  # this group has no limit
            continue


def _groups(process: Path) -> Iterator[Path]:
    """Yield the folders of a process's control groups for CPU time, of cgroup versions 1 and 2, inner groups first."""
    try:
        lines = (process / "cgroup").read_text().splitlines()
        mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    except OSError:  # not Linux
        return
    paths = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    for mount in mounts:
        root, point = mount[3], Path(mount[4])
        kind, options = mount[mount.index("-") + 1], mount[-1].split(",")
        path = paths.get("" if kind == "cgroup2" else "cpu")
        if path is None or not (kind == "cgroup2" or (kind == "cgroup" and "cpu" in options)):
            continue
        # In a container the mount begins at the container's own group, and the group's path may be the host's path.
        inner = path.removeprefix(root.rstrip("/")).strip("/") if f"{path}/".startswith(f"{root.rstrip('/')}/") else ""
        folder = point / inner
        while folder != point and point in folder.parents:
            yield folder
            folder = folder.parent
        yield point


def gpu_count() -> int:
    """Return the number of GPUs that PyTorch can use here.

    Each slice of a GPU (MIG) that `CUDA_VISIBLE_DEVICES` names counts: CUDA shows a process only one of them, but each
    trial may get another.
    """
    import torch

    if not torch.cuda.is_available():
        return 0
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return max(torch.cuda.device_count(), sum(each.strip().startswith("MIG-") for each in named))


def why_no_gpu() -> str:
    """Return why PyTorch can use no GPU in this process; "" if it can use one."""
    import torch

    if gpu_count():
        return ""
    if torch.version.cuda is None and torch.version.hip is None:
        return f"PyTorch {torch.__version__} is a build for the CPU"
    return "PyTorch finds no GPU: its driver may be missing or too old"


# What PyTorch, CUDA and its libraries say of a lack of memory where they do not raise PyTorch's own class for it.
NO_MEMORY = ("DefaultCPUAllocator", "CUDA error: out of memory", "ALLOC_FAILED", "ALLOCATION_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether training failed because the device or the host has no memory left."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(each in str(error) for each in NO_MEMORY)


def has_spoilt_gpu(error: BaseException) -> bool:
    """Return whether an error has made the GPU useless for this process: whatever it asks there next fails as well."""
    import torch

    return isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)


def release(device: str, error: BaseException | None = None) -> None:
    """Free the GPU memory that PyTorch caches for later use, and what the calls of an error still hold."""
    import torch

    while error is not None:
        error.__traceback__, error = None, error.__context__
    if device == "cuda":
        torch.cuda.empty_cache()


def version() -> str:
    """Return PyTorch's version without the name of its build."""
    import torch

    return str(torch.__version__).partition("+")[0]
