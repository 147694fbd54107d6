"""The rivals of each task; one of them, or all, fitted and judged. None that fails stops anything."""

import importlib.util
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from lstm.checkpoint import Dataset
from lstm.config import TrialConfig
from lstm.records import BadInput, Judged
from lstm.rivals import classify, forecast, language, memory
from lstm.rivals.rival import Fitted, Forecasting, Judgement, LeftOut, Rival, rank
from lstm.sections import DATA

PARTS: tuple[Judged, ...] = ("validation", "test")
RIVALS: Mapping[str, tuple[Rival, ...]] = {
    "forecast": cast("tuple[Rival, ...]", forecast.RIVALS),
    "classify": cast("tuple[Rival, ...]", classify.RIVALS),
    "language_model": cast("tuple[Rival, ...]", language.RIVALS),
    "memory": cast("tuple[Rival, ...]", memory.RIVALS),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a rival: fitted and judged, or why not."""

    name: str
    fitted: Fitted | None = None
    judgements: Mapping[Judged, Judgement] = field(default_factory=dict)
    why: str = ""  # it has failed, or was left out: the reason, for people
    failed: bool = False  # it raised, which it should not have
    also: tuple[str, ...] = ()  # names of rules that say the same here, and have no outcome of their own
    seconds: float = 0.0


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


def judge(fitted: Fitted, data: Dataset, config: TrialConfig, part: Judged) -> Judgement:
    """What a fitted rival does on a part; the same numbers each time."""
    return rival(config.task, fitted.name).judge(fitted, data, config, part)


def forecast_of(fitted: Fitted, past: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Scaled forecasts of a fitted rival: see `Forecasting.forecast`.

    Raises:
        BadInput: this rival does not forecast beyond the data.
    """
    each = rival("forecast", fitted.name)
    if not hasattr(each, "forecast"):
        raise BadInput(f"the rival {fitted.name!r} is judged only, it does not forecast; name another one")
    return cast("Forecasting", each).forecast(fitted, past, ahead)


def run(name: str, data: Dataset, config: TrialConfig) -> Outcome:
    """Fits one and judges it on both parts; whatever goes wrong is told in the outcome."""
    started, each = time.monotonic(), rival(config.task, name)
    if lacking := [package for package in each.needs if importlib.util.find_spec(package) is None]:
        return Outcome(name, why=f"{' and '.join(lacking)} not installed: pip install 'lstm-sweeps[rivals]'")
    try:
        fitted = each.fit(data, config)
        judgements = {part: each.judge(fitted, data, config, part) for part in PARTS}
    except LeftOut as error:
        return Outcome(name, why=str(error), seconds=time.monotonic() - started)
    except Exception as error:  # a rival is never worth a sweep
        return Outcome(name, why=f"{type(error).__name__}: {error}", failed=True, seconds=time.monotonic() - started)
    return Outcome(name, fitted, judgements, seconds=time.monotonic() - started)


def run_all(data: Dataset, config: TrialConfig) -> list[Outcome]:
    """Those that always run, one after another; rules that coincide are one row."""
    return together([run(each.name, data, config) for each in RIVALS[config.task] if not each.needs])


def together(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The same, but rules that came to the same answers are one: the first of them, which names the others."""
    found: list[Outcome] = []
    for each in outcomes:
        same = next((place for place, other in enumerate(found) if _coincide(each, other)), None)
        if same is None:
            found.append(each)
        else:
            found[same] = replace(found[same], also=(*found[same].also, each.name, *each.also))
    return found


def _coincide(one: Outcome, other: Outcome) -> bool:
    """Whether two rules, which fit nothing, are the same to the last bit on every item."""
    if one.fitted is None or other.fitted is None or one.fitted.arrays or other.fitted.arrays:
        return False
    return all(_same(one.judgements[part], other.judgements[part]) for part in PARTS)


def _same(one: Judgement, other: Judgement) -> bool:
    mine, theirs = one.items.errors, other.items.errors
    return all(np.array_equal(mine[metric], theirs[metric], equal_nan=True) for metric in mine)


def best(outcomes: Sequence[Outcome], config: TrialConfig) -> Outcome | None:
    """The one that is best on validation, by the metric searched for."""
    judged = [each for each in outcomes if each.fitted is not None]
    return min(judged, key=lambda each: rank(each.judgements["validation"].metrics, config), default=None)
