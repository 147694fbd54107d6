"""The front desk: YAML in, verbs and a Python API out: `from experiments import plan, run, train, load`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.api import Best, Plan, SpecError, Sweep, SweepError, Trained, load, plan, run, train

    __version__: str

__all__ = [
    "Best",
    "Plan",
    "SpecError",
    "Sweep",
    "SweepError",
    "Trained",
    "__version__",
    "load",
    "plan",
    "run",
    "train",
]


def __getattr__(name: str) -> Any:
    """What is asked for, imported then: most who import this package want a part of it, and not all that this needs."""
    if name == "__version__":
        from importlib.metadata import version

        return version("lstm-sweeps")
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("experiments.api"), name)
    raise AttributeError(f"module 'experiments' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
