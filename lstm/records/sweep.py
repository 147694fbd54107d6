"""A sweep as its study knows it: its trials, the best, the front, what it cost."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lstm.records.events import TrialEnded, TrialProbed
from lstm.records.goodput import BESIDE, Goodput, Spent
from lstm.records.objective import Direction, Objective, best, is_better, sort_key
from lstm.records.trial import Trial

BASE = "base/"  # before the metrics of the spec's own settings, beside those of the best trial: `base/test/loss`
KEEPS_BASE = "keeps_base"  # the fact that the spec's own settings are a trial; earlier versions had none
EXHAUSTED = "exhausted"  # the fact that nothing new was found to try: `tried` of `combinations`, by so many `trials`
PROBE_FACT = "probed."  # before a trial's number: the fact that a study keeps of its probe
TRAINED_AGAIN = "trained_again"  # the fact that lists the trials whose lost checkpoint was made by training again


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep as its study knows it."""

    name: str
    metric: str
    direction: Direction
    n_trials: int
    trials: tuple[Trial, ...]
    spec_text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)  # e.g. the best trial's test metrics
    second: Objective | None = None  # beside the metric, where two are searched for

    def reached(self, target: float | None) -> bool:
        """Whether the best trial is as good as a target, where there is one."""
        if target is None or self.best is None or self.best.value is None:
            return False
        return not is_better(target, self.best.value, self.direction)

    @property
    def replaced(self) -> frozenset[int]:
        """The numbers of the trials in whose place a retry stands, whether that has run yet or not."""
        parents = (t.derived.parent for t in self.trials if t.derived and t.is_retry)
        return frozenset(parent for parent in parents if parent is not None)

    @property
    def counted(self) -> tuple[Trial, ...]:
        """The trials that count, in n_trials and wherever trials are compared: without replaced and other derived."""
        replaced = self.replaced
        return tuple(t for t in self.trials if t.number not in replaced and t.counts)

    @property
    def base(self) -> Trial | None:
        """The trial of the spec's own settings, the latest where it was tried again; None where a sweep has none."""
        return max((t for t in self.trials if t.is_base), key=lambda t: t.number, default=None)

    @property
    def done(self) -> int:
        """How many of the trials that count have ended."""
        return sum(t.ended for t in self.counted)

    @property
    def exhausted(self) -> str:
        """What a driver said that found nothing new to try; "" where n_trials is all that ends the sweep."""
        found = self.facts.get(EXHAUSTED)
        if not found:
            return ""
        tried, every = found["tried"], found["combinations"]
        if every is not None and every <= tried:
            return f"all {every} combinations were tried"
        return f"nothing new was found to try after {tried} trials" + (f", of {every} combinations" if every else "")

    def over(self, n_trials: int | None = None) -> bool:
        """Whether none is left to run of the trials asked for, `n_trials` or the study's own number."""
        counted, done, base = self.counted, self.done, self.base
        if any(t.is_retry and t.state == "WAITING" for t in counted) or (base is not None and not base.ended):
            return False
        if any(not t.ended for t in self.trials if not t.counts):
            return False
        if done >= (self.n_trials if n_trials is None else n_trials):
            return True
        return bool(self.exhausted) and done >= max(
            self.facts[EXHAUSTED]["trials"], sum(t.state != "WAITING" for t in counted)
        )

    @property
    def best(self) -> Trial | None:
        """The completed trial with the best value; a diverged one is never it."""
        return self._best(self.counted)

    @property
    def front(self) -> list[Trial]:
        """The Pareto front by value and second objective, the best value first; empty where one is searched for.

        No completed trial is better than one of them in both, or in one and as good in the other.
        """
        if self.second is None:
            return []
        done = [
            ((sort_key(t.compared_value, self.direction), sort_key(t.second, self.second.direction)), t)
            for t in self.counted
            if t.compared_value is not None and t.second is not None
        ]
        front: list[Trial] = []
        lowest = math.inf
        last: tuple[float, float] | None = None
        for pair, trial in sorted(done, key=lambda each: (each[0], each[1].number)):
            if pair[1] < lowest or pair == last:
                lowest, last = pair[1], pair
                front.append(trial)
        return front

    @property
    def goodput(self) -> Goodput | None:
        """Where the time of its workers went, by the trials that have ended; None where none of them tells."""
        counted = [(t, t.spent) for t in self.trials if t.ended and t.spent is not None]
        at_ms, beside = self.beside
        spent = sum((spent for _, spent in counted), beside)
        seconds = {"training": math.fsum(t.epochs_s or 0.0 for t, _ in counted), **asdict(spent)}
        if not counted or not sum(seconds.values()):
            return None
        ended = [t.ended_at_ms or 0 for t in self.trials if t.ended]
        return Goodput(seconds, len(ended), max(at_ms, *ended))

    @property
    def beside(self) -> tuple[int, Spent]:
        """When it was last measured what no trial's end tells, and that."""
        row = dict(self.facts.get(BESIDE) or {"at_ms": 0})
        return row.pop("at_ms"), Spent(**row)

    def endings(self) -> list[TrialEnded]:
        """The ends of its trials, in the order in which they came."""
        ended = sorted((t for t in self.trials if t.ended), key=lambda t: (t.ended_at_ms or 0, t.number))
        endings, best = [], None
        for place, trial in enumerate(ended, 1):
            mine = [trial] if trial.counts else []
            best = self._best([*mine, best] if best else mine)
            endings.append(trial.ending(place, best.value if best else None))
        return endings

    def probings(self) -> list[TrialProbed]:
        """What probes have found, one for each trial that was probed, at its end or later."""
        found = {t.number: t.probed for t in self.trials if t.probed is not None}
        later = {int(k.removeprefix(PROBE_FACT)): v for k, v in self.facts.items() if k.startswith(PROBE_FACT)}
        found = {number: TrialProbed(number, **fact) for number, fact in later.items()} | found
        return [found[number] for number in sorted(found)]

    def _best(self, among: Iterable[Trial]) -> Trial | None:
        return best(sorted(among, key=lambda t: t.number), lambda t: t.compared_value, self.direction)
