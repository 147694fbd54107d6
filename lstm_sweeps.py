"""The command `sweep`, before any package of ours is imported: Python must find those, and no others of their names.

It stands beside the rooms, under the project's own name: a package `experiments` on PYTHONPATH hides the room of that
name, with its command line. It needs the standard library alone.
"""

import contextlib
import functools
import importlib.machinery
import importlib.util
import os
import pkgutil
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOMS = ("experiments", "cluster", "dashboards", "lstm")
QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # as in a Python of its own


def main() -> int:
    """Runs the command line; 2 where another's packages would be imported in place of those that are meant."""
    if os.environ.pop("PYTHONWARNINGS", None):  # `error` would break libraries, in workers and MLflow's server, too
        warnings.resetwarnings()
        for each in QUIET:
            warnings.simplefilter("ignore", each)
    try:
        if wrong := [*rooms(), *hidden(_is_required)]:
            return _refuse(wrong)
        from experiments.cli import main as verbs

        verbs()
    except Exception:
        # One of Python's own is hidden, by a file called random.py, say; the error tells nothing of that.
        if wrong := list(hidden(lambda name: name in sys.modules)):
            return _refuse(wrong)
        raise
    return 0


def __getattr__(name: str) -> Any:
    """The face for Python, as `experiments` has it; where that name is another's package, it is said which.

    Raises:
        ImportError: Python finds others' packages in place of ours.
    """
    if name.startswith("__") and name != "__version__":
        raise AttributeError(f"module 'lstm_sweeps' has no attribute {name!r}")
    if wrong := [*rooms()]:
        raise ImportError("\n".join(wrong))
    import experiments

    if name not in experiments.__all__:
        raise AttributeError(f"module 'lstm_sweeps' has no attribute {name!r}")
    return getattr(experiments, name)


def rooms() -> Iterator[str]:
    """What is wrong with our own packages, as Python finds them."""
    ours = Path(__file__).resolve().parent
    for name in ROOMS:
        found = importlib.util.find_spec(name)
        here = found and (found.origin or next(iter(found.submodule_search_locations or ()), None))
        if not here:
            yield f"{name}: is missing in {ours}; install lstm-sweeps again"
        elif Path(here).resolve() != ours / name / "__init__.py":
            yield _instead(name, here, str(ours / name))


def hidden(needed: Callable[[str], bool]) -> Iterator[str]:
    """Which modules that are `needed` are hidden by others of their names on PYTHONPATH, which were not installed."""
    with contextlib.suppress(FileNotFoundError):  # the working folder was deleted
        given = os.environ.get("PYTHONPATH")
        folders = [os.path.abspath(each) for each in given.split(os.pathsep)] if given else []  # noqa: PTH100
        beyond = [each for each in sys.path if each not in folders]
        for module in pkgutil.iter_modules(folders):
            there = importlib.machinery.PathFinder.find_spec(module.name, beyond)
            here = importlib.util.find_spec(module.name) if there and module.name not in ROOMS else None
            if not (there and there.origin and here and here.origin) or Path(here.origin).samefile(there.origin):
                continue
            if needed(module.name) and not _is_installed(module.name, str(getattr(module.module_finder, "path", ""))):
                yield _instead(module.name, here.origin, there.origin)


def _is_installed(name: str, folder: str) -> bool:
    """Whether a folder's module was installed there: such a folder may well be on PYTHONPATH."""
    try:
        import importlib.metadata
    except ImportError:  # what it needs itself is hidden
        return False
    for package in importlib.metadata.distributions(path=[folder]):
        listed = package.read_text("top_level.txt")
        names = listed.split() if listed else [file.parts[0].removesuffix(".py") for file in package.files or ()]
        if name in names:
            return True
    return False


def _is_required(name: str) -> bool:
    """Whether a module belongs to a package that we stand on."""
    import importlib.metadata

    return any(_plain(each) in _required() for each in importlib.metadata.packages_distributions().get(name, ()))


@functools.cache
def _required() -> set[str]:
    """The packages that we stand on, and those that these stand on."""
    import importlib.metadata

    found: set[str] = set()
    asked = ["lstm-sweeps"]
    while asked:
        package = asked.pop()
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            if package not in found:
                asked += [_plain(each) for each in importlib.metadata.requires(package) or ()]
                found.add(package)
    return found


def _plain(requirement: str) -> str:
    """A package's name out of a requirement, in its one spelling."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def _instead(name: str, here: str, there: str) -> str:
    # Of a program or a notebook, whose own folder comes first.
    ways = "start Python in another folder" if here in _beside(name) else "take its folder off PYTHONPATH"
    return f"{name}: Python finds {here} in place of {there}; {ways}, or give it another name"


def _beside(name: str) -> tuple[str, str]:
    """Where a package of a name is, or a folder of files, in the folder where Python was started."""
    here = os.path.abspath(sys.path[0] if sys.path else "")  # noqa: PTH100
    return (os.path.join(here, name, "__init__.py"), os.path.join(here, f"{name}.py"))  # noqa: PTH118


def _refuse(wrong: list[str]) -> int:
    with contextlib.suppress(OSError):
        print(*wrong, sep="\n", file=sys.stderr, flush=True)
    return 2
