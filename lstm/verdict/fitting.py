"""A task's rivals fitted and judged: one of them, or all. None that fails stops anything."""

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
    """What became of a rival: fitted and judged, or why not."""

    name: str
    fitted: Fitted | None = None
    judgements: Mapping[Judged, Judgement] = field(default_factory=dict)
    why: str = ""  # it has failed, or was left out: the reason, for people


def lacking(each: Rival) -> list[str]:
    """The packages that a rival needs and this machine lacks."""
    return [package for package in each.needs if importlib.util.find_spec(package) is None]


def run(name: str, data: Dataset, config: TrialConfig, budget_s: float | None = None) -> Outcome:
    """Fits one and judges it on both parts; whatever goes wrong is told in the outcome.

    With a budget in seconds of a core it runs in a process of its own, which ends with the budget.
    """
    each = tasks.of(config).rival(name)
    if packages := lacking(each):
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
        rival = tasks.of(config).rival(fitted.name)
        judgements = {part: rival.judge(fitted, data, config, part) for part in PARTS}
    except Exception as error:  # as in `run`
        return Outcome(fitted.name, why=f"{type(error).__name__}: {error}")
    return Outcome(fitted.name, fitted, judgements)


def run_some(some: Sequence[str], data: Dataset, config: TrialConfig, budget_s: float) -> Iterator[Outcome]:
    """Some, one after another; the extra ones within a budget in seconds of a core, shared by those still to come.

    One that the budget does not reach is named with that.
    """
    rivals = {name: tasks.of(config).rival(name) for name in some}
    extra = [name for name, each in rivals.items() if each.needs and not lacking(each)]
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
