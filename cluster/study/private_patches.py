"""All uses of Optuna's private parts: names of facts that it stores with a trial, and how its importances are imported.

The names are a stored form, not calls: sweeps contain them, so no switch leaves them out, and a test fails if another
version uses other names. The import is left out with a version that it was not tried with, or if
`SWEEP_WITHOUT_PATCHES` names optuna. Everything else here uses Optuna's public classes.
"""

import functools
import importlib
import sys
import threading
from importlib.abc import MetaPathFinder
from types import ModuleType

import optuna

from lstm.patches import Patch

FIXED = "fixed_params"  # the settings of a queued trial; Optuna takes them in place of the sampler's
GRID_PLACE, GRID = "grid_id", "search_space"  # with a grid's trial: the number of its point, and the grid

IMPORTANCE = Patch("optuna", "importance", ("5.0",), "the end of a sweep imports scikit-learn, which takes a second")
_MODULE = "optuna.importance"


@functools.cache
def importance() -> ModuleType:
    """Return Optuna's module `importance`, imported without scikit-learn, which takes more than a second of CPU.

    Optuna imports the module so where scikit-learn is not installed, and refuses only the evaluators that need it. The
    module is then taken out of Python's list of modules, so that a user's own import of it gets the whole one.
    """
    if _MODULE in sys.modules or not IMPORTANCE.fits(optuna.__version__):
        return importlib.import_module(_MODULE)
    lazy, without = vars(optuna)["importance"], _WithoutScikitLearn()
    sys.meta_path.insert(0, without)
    try:
        return importlib.import_module(_MODULE)
    finally:
        sys.meta_path.remove(without)
        for name in list(sys.modules):
            if f"{name}.".startswith(f"{_MODULE}."):
                del sys.modules[name]
        vars(optuna)["importance"] = lazy


class _WithoutScikitLearn(MetaPathFinder):
    """A finder that has no scikit-learn for the thread that made it."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Find nothing, so that the other finders are asked; raise ImportError for scikit-learn."""
        if fullname.partition(".")[0] == "sklearn" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is not imported here", name=fullname)
