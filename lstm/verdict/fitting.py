"""Fits and judges a task's rivals. A rival that fails stops nothing."""

import importlib.util
import resource
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.judging.items import PARTS, Judgement
from lstm.records.epoch import Judged
from lstm.rivals.rival import Fitted, LeftOut, Rival
from lstm.tasks import registry as tasks
from lstm.verdict import bounded


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome for a rival: the fit and its judgements, or the reason why there are none."""

    name: str
    fitted: Fitted | None = None
    judgements: Mapping[Judged, Judgement] = field(default_factory=dict)
    why: str = ""  # why the rival failed or was left out, for people; "" if it was judged


def lacking(each: Rival) -> list[str]:
    """Return the packages that a rival needs and that are not installed."""
    return [package for package in each.needs if importlib.util.find_spec(package) is None]


def run(name: str, data: Dataset, config: TrialConfig, budget_s: float | None = None) -> Outcome:
    """Fit a rival and judge it on both parts; the outcome says what went wrong, and nothing is raised for it.

    With a budget in seconds of one core, the rival runs in a process of its own, which ends when the budget is used.
    """
    each = tasks.of(config).rival(name)
    if packages := lacking(each):
        return Outcome(name, why=f"{' and '.join(packages)} not installed: pip install {' '.join(packages)}")
    try:
        if budget_s is not None:
            return cast("Outcome", bounded.run(name, data, config, budget_s))
        fitted = each.fit(data, config)
        judgements = {part: each.judge(fitted, data, config, part) for part in PARTS}
    except LeftOut as error:
        return Outcome(name, why=str(error))
    except Exception as error:  # a rival that fails must not stop the sweep
        return Outcome(name, why=f"{type(error).__name__}: {error}")
    return Outcome(name, fitted, judgements)


def judge_again(fitted: Fitted, data: Dataset, config: TrialConfig) -> Outcome:
    """Judge a rival on both parts with its earlier fit; the outcome says what went wrong, and nothing is raised."""
    try:
        rival = tasks.of(config).rival(fitted.name)
        judgements = {part: rival.judge(fitted, data, config, part) for part in PARTS}
    except Exception as error:  # as in `run`
        return Outcome(fitted.name, why=f"{type(error).__name__}: {error}")
    return Outcome(fitted.name, fitted, judgements)


def run_some(some: Sequence[str], data: Dataset, config: TrialConfig, budget_s: float) -> Iterator[Outcome]:
    """Yield the outcomes of some rivals, one after another.

    Rivals that need extra packages share a budget in seconds of one core: each gets an equal share of what is left. If
    the share is below one second, the outcome says that there was no time.
    """
    rivals = {name: tasks.of(config).rival(name) for name in some}
    extra = [name for name, each in rivals.items() if each.needs and not lacking(each)]
    for name in some:
        if name not in extra:
            yield run(name, data, config)
            continue
        share = budget_s / (len(extra) - extra.index(name))
        if share < 1:
            yield Outcome(name, why=f"there was no time for it: {budget_s:.1f} s of one core are left")
            continue
        used = _children_s()
        yield run(name, data, config, share)
        budget_s -= _children_s() - used


def _children_s() -> float:
    """Return the seconds of a core that this process's ended child processes have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
