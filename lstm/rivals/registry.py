"""The rivals of each task; one of them, or all, fitted and judged. None that fails stops anything."""

import importlib.util
import resource
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from lstm.config.tasks import DATA
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.epoch import Judged
from lstm.records.errors import BadInput
from lstm.rivals import bounded, classify, forecast, kernels, language_model, memory, others
from lstm.rivals.items import PARTS
from lstm.rivals.rival import Fitted, Forecasting, Judgement, LeftOut, Rival

RIVALS: Mapping[str, tuple[Rival, ...]] = {
    "forecast": cast("tuple[Rival, ...]", (*forecast.RIVALS, *others.RIVALS)),
    "classify": cast("tuple[Rival, ...]", (*classify.RIVALS, *kernels.RIVALS)),
    "language_model": cast("tuple[Rival, ...]", language_model.RIVALS),
    "memory": cast("tuple[Rival, ...]", memory.RIVALS),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a rival: fitted and judged, or why not."""

    name: str
    fitted: Fitted | None = None
    judgements: Mapping[Judged, Judgement] = field(default_factory=dict)
    why: str = ""  # it has failed, or was left out: the reason, for people


def names(task: str) -> tuple[str, ...]:
    """The names of a task's rivals: those that always run, then the extra ones."""
    section = DATA[task]
    return section.rivals + section.extra_rivals


def rival(task: str, name: str) -> Rival:
    """A task's rival by its name.

    Raises:
        BadInput: it has none of that name.
    """
    for each in RIVALS[task]:
        if each.name == name:
            return each
    raise BadInput(f"the task {task} has no rival {name!r}; it has {', '.join(names(task))}")


def lacking(task: str, name: str) -> list[str]:
    """The packages that a rival needs and this machine lacks."""
    return [package for package in rival(task, name).needs if importlib.util.find_spec(package) is None]


def judge(fitted: Fitted, data: Dataset, config: TrialConfig, part: Judged) -> Judgement:
    """What a fitted rival does on a part; the same numbers each time."""
    return rival(config.task, fitted.name).judge(fitted, data, config, part)


def check_forecasts(name: str) -> None:
    """Whether a rival forecasts what nobody knows yet.

    Raises:
        BadInput: it is judged only, or there is none of that name.
    """
    if not hasattr(rival("forecast", name), "forecast"):
        others = ", ".join(each.name for each in RIVALS["forecast"] if hasattr(each, "forecast"))
        raise BadInput(f"the rival {name!r} is judged only, it does not forecast what is next; {others} do")


def forecast_of(fitted: Fitted, past: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Scaled forecasts of a fitted rival: see `Forecasting.forecast`.

    Raises:
        BadInput: it is judged only.
    """
    check_forecasts(fitted.name)
    return cast("Forecasting", rival("forecast", fitted.name)).forecast(fitted, past, ahead)


def run(name: str, data: Dataset, config: TrialConfig, budget_s: float | None = None) -> Outcome:
    """Fits one and judges it on both parts; whatever goes wrong is told in the outcome.

    With a budget in seconds of a core it runs in a process of its own, which ends with the budget.
    """
    each = rival(config.task, name)
    if packages := lacking(config.task, name):
        return Outcome(name, why=f"{' and '.join(packages)} not installed: pip install 'lstm-sweeps[rivals]'")
    try:
        if budget_s is not None:
            return cast("Outcome", bounded.run(name, data, config, budget_s))
        fitted = each.fit(data, config)
        judgements = {part: each.judge(fitted, data, config, part) for part in PARTS}
    except LeftOut as error:
        return Outcome(name, why=str(error))
    except Exception as error:  # a rival is never worth a sweep
        return Outcome(name, why=f"{type(error).__name__}: {error}")
    return Outcome(name, fitted, judgements)


def judge_again(fitted: Fitted, data: Dataset, config: TrialConfig) -> Outcome:
    """What was fitted before, judged on both parts; whatever goes wrong is told in the outcome."""
    try:
        judgements = {part: judge(fitted, data, config, part) for part in PARTS}
    except Exception as error:  # as in `run`
        return Outcome(fitted.name, why=f"{type(error).__name__}: {error}")
    return Outcome(fitted.name, fitted, judgements)


def run_some(some: Sequence[str], data: Dataset, config: TrialConfig, budget_s: float) -> Iterator[Outcome]:
    """Some, one after another; the extra ones within a budget in seconds of a core, shared by those still to come.

    One that the budget does not reach is named with that.
    """
    extra = [name for name in some if rival(config.task, name).needs and not lacking(config.task, name)]
    for name in some:
        if name not in extra:
            yield run(name, data, config)
            continue
        share = budget_s / (len(extra) - extra.index(name))
        if share < 1:
            yield Outcome(name, why=f"there was no time for it: {budget_s:.1f} s of a core are left")
            continue
        used = _children_s()
        yield run(name, data, config, share)
        budget_s -= _children_s() - used


def _children_s() -> float:
    """Seconds of a core that ended processes of this one have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
