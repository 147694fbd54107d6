"""The device that a process trains on, and its share of it."""

import os

import torch


def claim(cpus: int, gpus: float | None) -> str:
    """Takes CPU threads and a GPU for this process; returns the device's name for `train`.

    Args:
        cpus: Threads to compute with.
        gpus: GPUs that are this process's; a fraction holds it to that share of the memory. None takes a
            GPU if there is one.
    """
    torch.set_num_threads(min(cpus, os.cpu_count() or 1))  # more would only wait for each other
    if gpus == 0 or not torch.cuda.is_available():
        return "cpu"
    if gpus is not None and gpus < 1:
        torch.cuda.set_per_process_memory_fraction(gpus)
    return "cuda"


def gpu_count() -> int:
    """GPUs that this process sees."""
    return torch.cuda.device_count()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether training failed because the device or the host has no memory left."""
    # On the CPU torch raises no class of its own.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def release(device: str) -> None:
    """Gives back memory that is held for later use."""
    if device == "cuda":
        torch.cuda.empty_cache()


def version() -> str:
    """PyTorch's version, without the name of its build."""
    return str(torch.__version__).partition("+")[0]
