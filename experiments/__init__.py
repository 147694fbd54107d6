"""Specs, the `sweep` command line and the Python API: `from experiments import plan, run, train, load`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.api import (
        Best,
        Cleaned,
        Plan,
        SpecError,
        Sweep,
        SweepError,
        Trained,
        Winner,
        compare,
        load,
        plan,
        run,
        train,
    )

    __version__: str

__all__ = [
    "Best",
    "Cleaned",
    "Plan",
    "SpecError",
    "Sweep",
    "SweepError",
    "Trained",
    "Winner",
    "__version__",
    "compare",
    "load",
    "plan",
    "run",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing a part of the package stays fast."""
    if name == "__version__":
        from importlib.metadata import version

        return version("lstm-sweeps")
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("experiments.api"), name)
    raise AttributeError(f"module 'experiments' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
