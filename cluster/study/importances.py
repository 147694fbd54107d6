"""How much each searched field matters, by Optuna."""

import functools
import importlib
import sys
import warnings

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from cluster.study.stored import load_study

LEAST_COMPLETED = 2  # trials from which importances are told


def importances_of(url: str, name: str) -> dict[str, float]:
    """`importances` of a sweep by name."""
    return importances(load_study(url, name))


def importances(study: optuna.Study) -> dict[str, float]:
    """Importances by PED-ANOVA (Watanabe et al., 2023)."""
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < LEAST_COMPLETED:
        return {}  # Optuna would give each parameter the same share
    _import_importance()
    try:
        target = functools.partial(_first, study.directions[0]) if len(study.directions) > 1 else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")  # `_first` sees to it
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found = optuna.importance.get_param_importances(study, evaluator=evaluator, target=target)
        return {name: float(share) for name, share in found.items()}
    except (ValueError, RuntimeError, ZeroDivisionError):
        return {}  # too few completed trials, or all alike


def _import_importance() -> None:
    # Beside PED-ANOVA Optuna imports two evaluators that need scikit-learn, a second's import, and does without it
    # where it is not there.
    if "optuna.importance" in sys.modules or "sklearn" in sys.modules:
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment] # what the import system takes for "not there"
    try:
        importlib.import_module("optuna.importance")
    finally:
        del sys.modules["sklearn"]


def _first(direction: StudyDirection, trial: FrozenTrial) -> float:
    """The metric's value, less is better, as the evaluator wants it."""
    return float(trial.values[0]) * (1 if direction == StudyDirection.MINIMIZE else -1)
