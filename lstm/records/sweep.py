"""A sweep as its study records it: its trials, the best trial, the Pareto front, and the cost."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lstm.records.confirmation import Confirmation, confirmation
from lstm.records.events import TrialEnded, TrialProbed
from lstm.records.goodput import BESIDE, Goodput, Spent
from lstm.records.objective import Direction, Objective, best, is_better, sort_key
from lstm.records.trial import Trial
from lstm.records.windows import Windows

BASE = "base/"  # prefix of the base's metrics, next to the best trial's metrics: `base/test/loss`
KEEPS_BASE = "keeps_base"  # fact: the spec's own settings are a trial; earlier versions had no such trial
EXHAUSTED = "exhausted"  # fact: nothing new is left to try; `tried` of `combinations` after so many `trials`
PROBE_FACT = "probed."  # prefix of a trial's number: the fact with the trial's probe
FIRST_FROM = "first_from"  # fact: what is tried first of earlier sweeps, as it was chosen when the sweep began
LAUNCHED = "launched"  # fact: the system and the job that drive it, or drove it last
RECORDED_BEFORE = "recorded_before"  # fact: the mark of MLflow's store, if it had everything when a refit began
REFIT = "refit"  # fact: the trials of the refit that was asked for last and is whole; it may be an older one again
UNTOLD = "untold"  # fact: the trials of the refit that was begun last, until the webhook has taken its end
WARMING = "warming"  # fact: by trial, its warm refit that is not whole: `until`, and `epochs` by training
# Completed trials from which importances are told, and from which they are more than a rough estimate. PED-ANOVA
# compares the best tenth with all. The best tenth of ten trials is one: the shares then tell what kinds of fields there
# are. Optuna's documentation asks for five trials in the best tenth.
WEIGHED_FROM, WEIGHED_WELL_FROM = 11, 41
TRAINED_AGAIN = "trained_again"  # fact: the trials that were trained again because their checkpoint was lost


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep as its study records it."""

    name: str
    metric: str
    direction: Direction
    n_trials: int
    trials: tuple[Trial, ...]
    spec_text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)  # e.g. the best trial's test metrics
    second: Objective | None = None  # the second objective, if the sweep has two

    def reached(self, target: float | None) -> bool:
        """Return whether the best trial is at least as good as a target; False without a target or a best value."""
        if target is None or self.best is None or self.best.value is None:
            return False
        return not is_better(target, self.best.value, self.direction)

    @property
    def windows(self) -> Windows:
        """The windows that each trial is judged on; one without a backtest."""
        return Windows.of(self.facts)

    @property
    def replaced(self) -> frozenset[int]:
        """The numbers of the trials that a retry replaces, whether the retry has run or not."""
        parents = (t.derived.parent for t in self.trials if t.derived and t.is_retry)
        return frozenset(parent for parent in parents if parent is not None)

    @property
    def counted(self) -> tuple[Trial, ...]:
        """The trials that count in n_trials and in comparisons: all except replaced trials and other derived trials."""
        replaced = self.replaced
        return tuple(t for t in self.trials if t.number not in replaced and t.counts)

    @property
    def completed(self) -> int:
        """How many of the counted trials have completed."""
        return sum(trial.state == "COMPLETE" for trial in self.counted)

    @property
    def extensions(self) -> tuple[Trial, ...]:
        """The trials that extend others. They are no trials of the search."""
        return tuple(t for t in self.trials if t.extends is not None)

    @property
    def confirming(self) -> tuple[Trial, ...]:
        """The trials of confirm, in the order of their numbers. They are no trials of the search."""
        return tuple(t for t in self.trials if _comes_after(t))

    @property
    def confirmation(self) -> Confirmation | None:
        """What confirm has found so far; None if nobody has asked for it."""
        return confirmation(self)

    @property
    def refits(self) -> tuple[Trial, ...]:
        """The trials that are trained on all data. They are no trials of the search."""
        return tuple(t for t in self.trials if t.is_refit)

    @property
    def refit(self) -> tuple[Trial, ...]:
        """The refit that was asked for last; else the latest of which all seeds have completed; empty if none has."""
        asked = [t for t in self.refits if t.number in self.facts.get(REFIT, ())]
        for last in (*asked, *reversed(self.refits)):
            mine = self.refits_like(last)
            if len(mine) == last.fitted["seeds"]:
                return mine
        return ()

    def refits_like(self, one: Trial) -> tuple[Trial, ...]:
        """Return the completed trials that belong to the same refit as one, by their seeds each once."""
        assert one.derived is not None
        found = {
            t.config["training"]["seed"]: t
            for t in self.refits
            if t.derived and t.state == "COMPLETE" and (t.derived.parent, t.fitted) == (one.derived.parent, one.fitted)
        }
        return tuple(found.values())

    @property
    def base(self) -> Trial | None:
        """The trial of the spec's own settings, the latest one if it was tried again; None if the sweep has none."""
        return max((t for t in self.trials if t.is_base), key=lambda t: t.number, default=None)

    @property
    def done(self) -> int:
        """The number of trials that count and have ended."""
        return sum(t.ended for t in self.counted)

    @property
    def exhausted(self) -> str:
        """A text that says that nothing new is left to try; "" if no driver has found that."""
        found = self.facts.get(EXHAUSTED)
        if not found:
            return ""
        tried, every = found["tried"], found["combinations"]
        if every is not None and every <= tried:
            return f"all {every} combinations were tried"
        return f"nothing new was found to try after {tried} trials" + (f", of {every} combinations" if every else "")

    def over(self, n_trials: int | None = None) -> bool:
        """Return whether no trial is left to run, out of `n_trials`; None takes the study's own number of trials."""
        return all(t.ended for t in self.trials if not (t.counts or t.is_refit)) and self._searched(n_trials)

    @property
    def searched(self) -> bool:
        """Return whether the search has ended: no trial is left but those that come after it, of confirm."""
        beside = (t for t in self.trials if not (t.counts or t.is_refit or _comes_after(t)))
        return all(t.ended for t in beside) and self._searched()

    def _searched(self, n_trials: int | None = None) -> bool:
        counted, done, base = self.counted, self.done, self.base
        if any(t.is_retry and t.state == "WAITING" for t in counted) or (base is not None and not base.ended):
            return False
        if done >= (self.n_trials if n_trials is None else n_trials):
            return True
        return bool(self.exhausted) and done >= max(
            self.facts[EXHAUSTED]["trials"], sum(t.state != "WAITING" for t in counted)
        )

    def leaders(self, count: int) -> list[Trial]:
        """Return the best completed trials, at most `count`, the best first."""
        done = [t for t in self.counted if t.compared_value is not None and math.isfinite(t.compared_value)]
        return sorted(done, key=lambda t: (sort_key(t.compared_value, self.direction), t.number))[:count]

    @property
    def best(self) -> Trial | None:
        """The completed trial with the best value, never a diverged one; None if there is none."""
        return self._best(self.counted)

    @property
    def front(self) -> list[Trial]:
        """The Pareto front by value and second objective, the best value first; empty without a second objective.

        No completed trial is better than a trial of the front in one objective and at least as good in the other.
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
        """How the workers spent their time, by the trials that have ended; None if none of them recorded it."""
        counted = [(t, t.spent) for t in self.trials if t.ended and t.spent is not None]
        at_ms, beside = self.beside
        spent = sum((spent for _, spent in counted), beside)
        seconds = {"training": math.fsum(t.epochs_s or 0.0 for t, _ in counted), **asdict(spent)}
        if not counted or not sum(seconds.values()):
            return None
        ended = [t.ended_at_ms or 0 for t in self.trials if t.ended and not t.is_refit]
        epochs = [t.trained for t, _ in counted if t.trained is not None]
        every = sum(epochs) if len(epochs) == len(counted) else None
        return Goodput(seconds, len(ended), max(at_ms, *ended), every)

    @property
    def beside(self) -> tuple[int, Spent]:
        """The worker time that is in no ended trial's account: when it was last measured (Unix time in ms), and it."""
        row = dict(self.facts.get(BESIDE) or {"at_ms": 0})
        return row.pop("at_ms"), Spent(**row)

    def endings(self) -> list[TrialEnded]:
        """Return the ends of the sweep's trials, in the order in which the trials ended. A refit has no place in it."""
        ended = sorted((t for t in self.trials if t.ended), key=lambda t: (t.ended_at_ms or 0, t.number))
        endings, best, place = [], None, 0
        for trial in ended:
            if trial.is_refit:
                endings.append(trial.ending())
                continue
            place += 1
            mine = [trial] if trial.counts else []
            best = self._best([*mine, best] if best else mine)
            endings.append(trial.ending(place, best.value if best else None))
        return endings

    def probings(self) -> list[TrialProbed]:
        """Return one result for each trial that was probed, at its end or later, in the order of their numbers."""
        found = {t.number: t.probed for t in self.trials if t.probed is not None}
        later = {int(k.removeprefix(PROBE_FACT)): v for k, v in self.facts.items() if k.startswith(PROBE_FACT)}
        found = {number: TrialProbed(number, **fact) for number, fact in later.items()} | found
        return [found[number] for number in sorted(found)]

    def _best(self, among: Iterable[Trial]) -> Trial | None:
        return best(sorted(among, key=lambda t: t.number), lambda t: t.compared_value, self.direction)


def _comes_after(trial: Trial) -> bool:
    """Return whether a trial comes after the search."""
    return trial.derived is not None and trial.derived.purpose == "confirm"
