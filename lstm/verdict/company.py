"""Finds the winner among the settings that were confirmed, and its company: all that can't be told apart from it.

Confirm judges the base, the best settings and the best rival over the same windows, each setting from several seeds. A
window is one observation: the seeds are averaged inside it. More seeds make an observation more exact, and do not make
more of them.

The interval of a difference is Student's t over the windows, with one degree of freedom less than there are windows.
Errors are compared by the logarithm of their ratio in each window, so the percentage is that of a typical window, and a
window with large errors counts no more than another. Plain differences say "better" falsely as seldom, but find
only differences that are 1.1 to 4.5 times as large, because errors differ from window to window. A permutation by sign
can't reach the level of several comparisons below eight windows. Simulated by `tests/bench/company.py`.

The luckiest of many is not the best. Bonferroni's correction therefore makes every interval wider: by the number of
settings beside the winner that were ever confirmed on these windows, if they are fresh; else by the number of settings
that the search has tried on these windows. Two things then hold for all comparisons together, each in at least 97.5 %
of the cases, however the winner was chosen: it is not called better than a base that is as good; and the best setting
is the winner or in its company (Hsu 1984, multiple comparisons with the best, with a t for each pair).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from lstm.records.confirmation import JUDGED_ON, Confirmation, Confirmed, setting_of
from lstm.records.objective import POINTS, Direction, points_of
from lstm.records.sweep import Sweep
from lstm.verdict.interval import Difference, Unit, students_t
from lstm.verdict.verdict import NOTHING

LEAST = 4  # least number of windows for an interval
LARGEST_POWER = 700.0  # the exponential of more is no finite number
BASE = "base"  # the name of the spec's own settings in a confirmation
LEAST_ERROR = 1e-300  # the logarithm of 0 is no number; it only ranks a rival that is compared by another unit
Role = Literal["setting", "base", "rival"]
Answer = Literal["better", "alike", "base", "unknown", "none"]


@dataclass(frozen=True, slots=True)
class Member:
    """A setting that was confirmed, the base among them, or the rival."""

    name: str
    role: Role
    number: int | None = None  # the trial of the search that has the setting
    value: float | None = None  # the metric's mean over windows and seeds; None without figures
    seeds: int = 0  # from which it was judged; 1 for a rival
    difference: Difference | None = None  # how much better the winner is; None for the winner itself
    why: str = ""  # why it has no figures


@dataclass(frozen=True, slots=True)
class Company:
    """The winner of a confirmation and what it was compared with."""

    metric: str
    direction: Direction
    windows: Literal["fresh", "search"]
    count: int  # of the windows
    comparisons: int  # for which the intervals hold together
    members: tuple[Member, ...]  # the winner first if there is one, then the best first, then those without figures
    missed: int | None = None  # the best trial of the search, if its setting was not confirmed
    are_folds: bool = False  # whether the windows are folds, whose trainings share most of their data
    second: str | None = None  # the second objective, by which nobody is judged again

    @property
    def winner(self) -> Member | None:
        """The best of the settings, the base among them; None if none has figures."""
        first = self.members[0] if self.members else None
        return first if first and first.difference is None and not first.why and first.role != "rival" else None

    @property
    def base(self) -> Member | None:
        """The spec's own settings; None if they were not confirmed."""
        return next((each for each in self.members if each.role == "base"), None)

    @property
    def rival(self) -> Member | None:
        """The best rival; None if there was none."""
        return next((each for each in self.members if each.role == "rival"), None)

    @property
    def alike(self) -> tuple[Member, ...]:
        """The company: all that can't be told apart from the winner, the base and the rival among them."""
        return tuple(m for m in self.members if m.difference and m.difference.answer in ("alike", "unknown"))

    @property
    def beaten(self) -> tuple[Member, ...]:
        """Those than which the winner is better."""
        return tuple(m for m in self.members if m.difference and m.difference.answer == "better")

    @property
    def absent(self) -> tuple[Member, ...]:
        """Those without figures."""
        return tuple(each for each in self.members if each.why)

    @property
    def answer(self) -> Answer:
        """The answer to whether the winner is better than the base.

        "base" if the base is the winner, "unknown" if there are too few windows, "none" if one of the two has no
        figures.
        """
        winner, base = self.winner, self.base
        if winner is None or base is None or base.why:
            return "none"
        if base is winner:
            return "base"
        assert base.difference is not None
        answer = base.difference.answer
        return "alike" if answer == "worse" else answer


def company(found: Confirmation, before: int = 0, points: float = POINTS) -> Company:
    """Find the winner and its company among all that were confirmed.

    Args:
        found: The figures of all that were confirmed.
        before: How many other settings were confirmed before on the same windows. They count in the correction.
        points: How many points a value of 1 of the metric is.
    """
    means = {each.setting: _means(each) for each in found.settings if not _lack(each, found.count)}
    # A rival whose error is nearly 0 changes the unit of its own comparison, and not of those between the settings.
    ours = [means[each.setting] for each in found.settings if each.setting in means and _is_ours(each)]
    scale, beside_rival = _Scale.of(found, ours, points), _Scale.of(found, list(means.values()), points)
    ranked = sorted((e for e in found.settings if e.setting in means), key=lambda e: scale.mean(means[e.setting]))
    winner = next((each for each in ranked if _is_ours(each)), None)
    others = max(len(found.settings) + before - 1, 1)
    comparisons = others if found.windows == "fresh" else max(found.tried, others)

    def member(each: Confirmed) -> Member:
        role: Role = "rival" if each.number is None else "base" if each.name == BASE else "setting"
        known = (each.name, role, each.number)
        if why := _lack(each, found.count):
            return Member(*known, seeds=len(each.errors), why=why)
        mine, difference = means[each.setting], None
        if winner is not None and each is not winner:
            by = scale if _is_ours(each) else beside_rival
            difference = by.difference(means[winner.setting], mine, comparisons)
        return Member(*known, float(mine.mean()), len(each.errors), difference)

    lacking = [each for each in found.settings if each.setting not in means]
    ordered = [*([winner] if winner else []), *(e for e in ranked if e is not winner), *lacking]
    told = tuple(member(each) for each in ordered)
    return Company(found.metric, found.direction, found.windows, found.count, comparisons, told)


def concluded(swept: Sweep) -> Company | None:
    """Find the winner of a sweep; None if nobody asked confirm, or if one of its trials has not ended."""
    found, best = swept.confirmation, swept.best
    if found is None or found.open:
        return None
    settings = {each.setting for each in found.settings}
    before = {setting_of(t.config) for t in swept.confirming if t.config.get(JUDGED_ON, "search") == found.windows}
    is_missed = best is not None and setting_of(best.config) not in settings
    told = company(found, len(before - settings), points_of(swept.facts, found.metric))
    second = swept.second.metric if swept.second is not None else None
    missed = best.number if best is not None and is_missed else None
    return replace(told, missed=missed, second=second, are_folds=_are_folds(swept))


def _are_folds(swept: Sweep) -> bool:
    data = (swept.base or swept.best or swept.trials[0]).config.get("data") or {}
    return "folds" in (data.get("backtest") or {})


def as_row(found: Company) -> dict[str, Any]:
    """Return a company with its answer as plain JSON."""
    return {**asdict(found), "answer": found.answer}


def figures(found: Company) -> dict[str, float]:
    """Return the numbers of a company by the names of MLflow's metrics.

    `confirm/winner` is a trial's number. `confirm/better_than/NAME` is how much better the winner is, in per cent, in
    points or in the metric's unit; `/low` and `/high` are the ends of the interval.
    """
    told = {"confirm/windows": float(found.count), "confirm/alike": float(len(found.alike))}
    if found.winner is not None and found.winner.number is not None:
        told["confirm/winner"] = float(found.winner.number)
    for member in found.members:
        name = "rival" if member.role == "rival" else member.name.replace(" ", "-")
        if member.value is not None:
            told[f"confirm/{name}/{found.metric}"] = member.value
        if (each := member.difference) is not None:
            ends = {"": each.value, "/low": each.low, "/high": each.high}
            told |= {f"confirm/better_than/{name}{end}": value for end, value in ends.items() if value is not None}
    return told


def _is_ours(each: Confirmed) -> bool:
    """Return whether it is a setting, and not the rival."""
    return each.number is not None


def _lack(each: Confirmed, windows: int) -> str:
    """Return why a setting has no figures; "" if it has all.

    A setting that diverged from one seed is not as good as its other seeds say. So there is no mean over the others.
    """
    whole = [len(row) == windows and all(map(_is_figure, row)) for row in each.errors]
    if whole and all(whole):
        return ""
    if not any(whole):
        return "it has no figures"
    if len(whole) == 1:
        return "it has no figure in some windows"
    return f"it has no figures from {len(whole) - sum(whole)} of {len(whole)} seeds"


def _is_figure(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _means(each: Confirmed) -> np.ndarray:
    """Return the mean over the seeds in each window, (window,)."""
    means: np.ndarray = np.array(each.errors, dtype=float).mean(axis=0)
    return means


@dataclass(frozen=True, slots=True)
class _Scale:
    """How the figures of two settings are compared in a window: in per cent, in points or in the metric's own unit."""

    metric: str
    direction: Direction
    unit: Unit
    points: float = POINTS

    @classmethod
    def of(cls, found: Confirmation, means: Sequence[np.ndarray], points: float) -> "_Scale":
        """Return the one scale for all: per cent, unless higher is better or an error is nearly 0."""
        metric = found.metric.removeprefix("val/")
        if found.direction == "maximize":
            return cls(metric, found.direction, "points", points)
        every = np.concatenate(means) if means else np.ones(1)
        return cls(metric, found.direction, "%" if every.min() > NOTHING * abs(every).max() else "metric")

    def losses(self, means: np.ndarray) -> np.ndarray:
        """Return a number for each window, (window,); lower is better, and differences of them are compared."""
        return (
            np.log(np.maximum(means, LEAST_ERROR))
            if self.unit == "%"
            else -means
            if self.direction == "maximize"
            else means
        )

    def mean(self, means: np.ndarray) -> float:
        """Return the mean over the windows of what is compared."""
        return float(self.losses(means).mean())

    def difference(self, ours: np.ndarray, theirs: np.ndarray, comparisons: int) -> Difference:
        """Return how much better the first is, with an interval that holds for so many comparisons together."""
        gains = self.losses(theirs) - self.losses(ours)
        count, mean = len(gains), float(gains.mean())
        if count < LEAST:
            why = f"{count} window{'s' if count > 1 else ''}, {LEAST} are needed"
            return Difference(self.metric, self.unit, self._told(mean), blocks=count, why=why)
        half = students_t(count - 1, comparisons) * float(gains.std(ddof=1)) / math.sqrt(count)
        ends = (self._told(mean - half), self._told(mean + half))
        return Difference(self.metric, self.unit, self._told(mean), *ends, blocks=count)

    def _told(self, gain: float) -> float:
        if self.unit == "%":
            return -100 * math.expm1(min(-gain, LARGEST_POWER))
        return self.points * gain if self.unit == "points" else gain
