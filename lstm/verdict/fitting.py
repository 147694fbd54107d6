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
from lstm.records.windows import mean_metrics
from lstm.rivals.rival import Fitted, LeftOut, Rival, Windowed
from lstm.tasks import registry as tasks
from lstm.verdict import bounded


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome for a rival: the fit and its judgements, or the reason why there are none."""

    name: str
    fitted: Fitted | None = None
    judgements: Mapping[Judged, Judgement] = field(default_factory=dict)
    why: str = ""  # why the rival failed or was left out, for people; "" if it was judged
    # The metrics of a part that is judged window by window: their mean over the windows.
    over_windows: Mapping[Judged, Mapping[str, float]] = field(default_factory=dict)


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
        return _over_windows(each, data, config) if parts(config) != PARTS else _on_parts(each, data, config)
    except LeftOut as error:
        return Outcome(name, why=str(error))
    except Exception as error:  # a rival that fails must not stop the sweep
        return Outcome(name, why=f"{type(error).__name__}: {error}")


def parts(config: TrialConfig) -> tuple[Judged, ...]:
    """Return the parts that are judged item by item: after a backtest only the test part, as each window has a fit."""
    return PARTS if config.windows.count == 1 else ("test",)


def _on_parts(rival: Rival, data: Dataset, config: TrialConfig, fitted: Fitted | None = None) -> Outcome:
    fitted = fitted or rival.fit(data, config)
    return Outcome(rival.name, fitted, {part: rival.judge(fitted, data, config, part) for part in PARTS})


def _over_windows(rival: Rival, data: Dataset, config: TrialConfig, chosen: Fitted | None = None) -> Outcome:
    """Fit a rival for each window of a backtest, with one choice for all, and then to all before the test part.

    Raises:
        LeftOut: the rival can't be judged over windows.
    """
    if not isinstance(rival, Windowed):
        raise LeftOut("it can't be judged over the windows of a backtest")
    views, whole = tasks.windows_of(config, data), tasks.before_test(config, data)
    chosen = chosen or rival.choose(views, config)
    judged = [rival.judge(rival.refit(chosen, view, config), view, config, "validation").metrics for view in views]
    fitted = rival.refit(chosen, whole, config)
    test = rival.judge(fitted, whole, config, "test")
    return Outcome(rival.name, fitted, {"test": test}, over_windows={"validation": mean_metrics(judged)})


def errors_over(fitted: Fitted, data: Dataset, config: TrialConfig) -> list[float]:
    """Return a fitted rival's value of the search's metric in each window that a configuration is judged on.

    In each window it is fitted again with the same choice, as when it was judged. Without a backtest there is one
    window, the validation part.
    """
    rival, metric = tasks.of(config).rival(fitted.name), config.metric.removeprefix("val/")
    if config.windows.count == 1:
        return [rival.judge(fitted, data, config, "validation").metrics[metric]]
    assert isinstance(rival, Windowed)
    views = tasks.windows_of(config, data)
    fits = [(rival.refit(fitted, view, config), view) for view in views]
    return [rival.judge(each, view, config, "validation").metrics[metric] for each, view in fits]


def judge_again(fitted: Fitted, data: Dataset, config: TrialConfig) -> Outcome:
    """Judge a rival again with its earlier fit; the outcome says what went wrong, and nothing is raised."""
    try:
        rival = tasks.of(config).rival(fitted.name)
        again = _over_windows if parts(config) != PARTS else _on_parts
        return again(rival, data, config, fitted)
    except Exception as error:  # as in `run`
        return Outcome(fitted.name, why=f"{type(error).__name__}: {error}")


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
