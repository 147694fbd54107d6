"""The plain records that pass between the rooms; this file knows no vendor.

`lstm` makes epochs and states, `cluster` makes events and trials of them, `dashboards` and the
screen receive them. Times are Unix times in milliseconds, taken once, where the thing happened.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, astuple, dataclass, field
from typing import Any, Literal, NamedTuple

BASE = "base/"  # before the metrics of the spec's own settings, beside those of the best trial: `base/test/loss`
BESIDE = "beside"  # the fact that holds what workers spent and no trial's end tells
KEEPS_BASE = "keeps_base"  # the fact that the spec's own settings are a trial; earlier versions had none
EXHAUSTED = "exhausted"  # the fact that nothing new was found to try: `tried` of `combinations`, by so many `trials`
PROBE_FACT = "probed."  # before a trial's number: the fact that a study keeps of its probe
TRAINED_AGAIN = "trained_again"  # the fact that lists the trials whose lost checkpoint was made by training again
Scalar = bool | int | float | str | None
Direction = Literal["minimize", "maximize"]
TrialState = Literal["WAITING", "RUNNING", "COMPLETE", "PRUNED", "FAIL"]
Judged = Literal["validation", "test"]
Why = Literal["max_epochs", "patience", "target_loss", "diverged"]
Purpose = Literal["retry", "base", "extend", "confirm", "refit", "fork"]  # what a trial was made of another for


class Fault(NamedTuple):
    """Something wrong in the input: a dotted path and one sentence that tells the mend."""

    path: str
    message: str


class Idle(Fault):
    """An option that would merely do nothing, with which a sweep may have begun: that one goes on, with a note."""

    __slots__ = ()


class Finding(NamedTuple):
    """Something wrong in a sweep's records: where, what, and how to mend it."""

    trial: int | None  # None where it is the sweep's own
    store: Literal["study", "checkpoint", "mlflow"]
    what: str
    mend: str


def sign_of(direction: Direction) -> int:
    """What a value is multiplied with, so that less is better."""
    return 1 if direction == "minimize" else -1


class Objective(NamedTuple):
    """A figure that is searched for, and which way it is better."""

    metric: str
    direction: Direction

    def figure(self, numbers: Mapping[str, float]) -> float | None:
        """The figure among a probe's numbers; None where the network has none."""
        return numbers.get(self.metric.removeprefix("probe/"))


class BadInput(Exception):
    """The user's input is wrong: exit code 2, nothing started, nothing written."""

    code = 2

    def __init__(self, *messages: str) -> None:
        super().__init__("\n".join(messages))
        self.messages = messages


class NewerForm(BadInput):
    """A newer version of the product made what is to be read: it is never taken for damage."""


def check_form(what: str, form: int, known: int) -> None:
    """Whether this version can read something by the version of its form.

    Raises:
        NewerForm: it can't.
    """
    if form > known:
        raise NewerForm(
            f"{what} has form {form}, this version of lstm-sweeps reads forms up to {known}; use the one that made it"
        )


class NoWorker(BadInput):
    """The input may be right, and the cluster brings no worker to life: exit code 1, nothing written either."""

    code = 1


class Derived(NamedTuple):
    """That a trial was not asked for by the search; a retry stands in its parent's place, the others count for nothing.

    The base, which is the spec's own settings, has no parent; one that is tried again has its predecessor.
    """

    parent: int | None
    purpose: Purpose


def counts(derived: Derived | None) -> bool:
    """Whether the search asked for a trial, or it stands in the place of such a one."""
    return derived is None or derived.purpose == "retry"


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of workers that went into something else than epochs, by what it was."""

    start: float = 0.0  # a process, from its birth until it could take a trial
    data: float = 0.0  # the series fetched, the network and its batches made
    waiting: float = 0.0  # for a trial, until the sweep's last has ended
    checkpoint: float = 0.0  # read, copied, written; waited for while the storage fails
    report: float = 0.0  # until the driver and its study had taken a result
    probe: float = 0.0  # of its network, at a trial's end
    lost: float = 0.0  # what came to nothing: the process died, the trial raised, the sweep was stopped

    def __add__(self, other: "Spent") -> "Spent":
        """Both together."""
        return Spent(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: "Spent") -> "Spent":
        """What is more than in the other."""
        return Spent(*(max(0.0, a - b) for a, b in zip(astuple(self), astuple(other), strict=True)))

    def at_least(self, other: "Spent") -> "Spent":
        """Of each part the longer of two accounts of the same time."""
        return Spent(*map(max, astuple(self), astuple(other)))

    @property
    def total(self) -> float:
        """All parts together."""
        return float(sum(astuple(self)))

    def row(self) -> dict[str, float]:
        """By part, to the millisecond, as a study keeps it."""
        return {part: round(seconds, 3) for part, seconds in asdict(self).items()}


NOTHING = Spent()


@dataclass(frozen=True, slots=True)
class Goodput:
    """Where the time of a sweep's workers went."""

    seconds: Mapping[str, float]  # by part, `training` (epochs that count) first; they add up to the workers' time
    trials: int  # how many had ended
    at_ms: int  # when the latest of it was measured

    @property
    def worker_s(self) -> float:
        """The workers' time."""
        return math.fsum(self.seconds.values())

    @property
    def shares(self) -> dict[str, float]:
        """Each part's share of the workers' time."""
        return {part: seconds / self.worker_s for part, seconds in self.seconds.items()}


@dataclass(frozen=True, slots=True)
class State:
    """All that training needs to go on exactly where it stood after an epoch."""

    epoch: int
    model: Mapping[str, Any]  # state_dict after this epoch
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    best_epoch: int  # 0 while no epoch had a finite value
    best_value: float
    best_weights: Mapping[str, Any]  # state_dict of the best epoch
    history: tuple["Epoch", ...]  # one per epoch, in order, without their states


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch did."""

    number: int  # from 1
    metrics: Mapping[str, float]  # train/loss, val/..., lr, grad_norm, epoch_s
    value: float  # of the metric that is searched for
    measured_at_ms: int
    stop: Why | None = None  # why this epoch is the last, if it is
    state: State | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SweepStarted:
    """A driver holds the sweep and is about to run trials."""

    sweep: str
    n_trials: int
    metric: str
    direction: Direction
    at_ms: int
    spec_text: str = ""  # as written, before ${} was filled in
    spec_hash: str = ""
    data_fingerprint: str = ""
    git_commit: str | None = None


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """An attempt at a trial begins, on a worker; also sent again for trials of an earlier driver."""

    number: int
    attempt: int
    settings: Mapping[str, Scalar]  # what was searched, by dotted path
    config: Mapping[str, Any]  # resolved, nested: task, data, model, training (before ${} was filled in)
    at_ms: int
    checkpoint: str  # the trial's address
    worker: str = ""  # host, pid and GPU numbers, for people
    derived: Derived | None = None
    is_base: bool = False  # whether these are the spec's own settings, derived or asked for by the search


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """A trial's epoch is durable: its checkpoint is written and the study knows it."""

    number: int
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial will not run again."""

    number: int
    state: TrialState
    reason: str  # "" when it simply finished
    value: float | None  # the best epoch's
    best_epoch: int
    checkpoint: str  # address of the trial, "" if there is none
    at_ms: int
    place: int = 0  # among the sweep's trials in the order in which they ended, from 1
    best_value: float | None = None  # of the trials that had completed by then, this one among them


@dataclass(frozen=True, slots=True)
class TrialProbed:
    """What the network of a trial's best epoch is like was measured, at its end (then told before it) or later."""

    number: int
    numbers: Mapping[str, float]  # by name, `delay/half_life`
    best_epoch: int
    at_ms: int
    html: str | None = None  # the pictures, as a page


@dataclass(frozen=True, slots=True)
class TrialLost:
    """An attempt ended without the trial's end (its process or host died); it is tried again."""

    number: int
    attempt: int
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class SweepEnded:
    """This driver is done with the sweep."""

    complete: bool  # all n_trials have ended
    reason: str  # why it ended, for people
    at_ms: int
    goodput: Goodput | None = None  # None where no trial that ended has told


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for the user, for the screen and the log."""

    text: str


Event = SweepStarted | TrialStarted | EpochEnded | TrialEnded | TrialProbed | TrialLost | SweepEnded | Notice
Record = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial as the study knows it."""

    number: int
    state: TrialState
    value: float | None  # the best epoch's
    settings: Mapping[str, Scalar]
    config: Mapping[str, Any]
    curve: tuple[tuple[int, float], ...]  # (epoch, value), in order
    attempt: int = 0
    best_epoch: int = 0
    reason: str = ""
    diverged: bool = False
    checkpoint: str = ""
    worker: str = ""
    started_at_ms: int | None = None
    ended_at_ms: int | None = None
    epochs_s: float | None = None  # time of its epochs, over all attempts; waiting is not in it
    told: tuple[float, ...] = ()  # the values that the sampler was told
    second: float | None = None  # the second objective's figure
    probed: TrialProbed | None = None  # at its end, before the sampler was told
    spent: Spent | None = None  # of its workers beside its epochs; None where a trial's end did not tell that yet
    derived: Derived | None = None
    is_base: bool = False  # whether its settings are the spec's own: never pruned, and what the best is held against

    @property
    def counts(self) -> bool:
        """Whether the search asked for it, or it stands in the place of such a trial."""
        return counts(self.derived)

    @property
    def is_retry(self) -> bool:
        """Whether it stands in another trial's place."""
        return self.derived is not None and self.derived.purpose == "retry"

    @property
    def ended(self) -> bool:
        """Whether it will not run again."""
        return self.state not in ("WAITING", "RUNNING")

    def starting(self, checkpoint: str, at_ms: int = 0) -> TrialStarted:
        """The event of its latest start, to be sent again; `at_ms` where the study does not know when."""
        return TrialStarted(
            self.number,
            self.attempt,
            self.settings,
            self.config,
            self.started_at_ms or at_ms,
            checkpoint=checkpoint,
            worker=self.worker,
            derived=self.derived,
            is_base=self.is_base,
        )

    def ending(self, place: int = 0, best_value: float | None = None) -> TrialEnded:
        """The event of its end, to be sent again; where the sweep stood then, `Sweep.endings` knows."""
        return TrialEnded(
            self.number,
            self.state,
            self.reason,
            self.value,
            self.best_epoch,
            self.checkpoint,
            self.ended_at_ms or 0,
            place,
            best_value,
        )

    @property
    def duration_s(self) -> float | None:
        """Seconds of its epochs; where they are not known, from its first start to its end."""
        if self.epochs_s is not None:
            return self.epochs_s
        if self.started_at_ms is None or self.ended_at_ms is None:
            return None
        return (self.ended_at_ms - self.started_at_ms) / 1000


def counted(number: int, what: str) -> str:
    """A number of things in words: 1 trial, 2 trials."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def same(one: float | None, other: float | None) -> bool:
    """Whether two values are the same to the bit, or both none, or both not a number."""
    return one == other or (one is not None and other is not None and math.isnan(one) and math.isnan(other))


def best_epoch(history: Iterable[Epoch], direction: Direction) -> Epoch | None:
    """The epoch whose value is the trial's: the first of the best among those that did not diverge."""
    finite = [e for e in history if math.isfinite(e.value) and e.stop != "diverged"]
    sign = sign_of(direction)
    return min(finite, key=lambda e: (sign * e.value, e.number), default=None)


def epochs_s(history: Iterable[Epoch]) -> float:
    """Seconds of a history's epochs, to the millisecond."""
    return round(sum(e.metrics.get("epoch_s", 0.0) for e in history), 3)


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
        return self.best.value <= target if self.direction == "minimize" else self.best.value >= target

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
        signs = (sign_of(self.direction), sign_of(self.second.direction))
        done = [
            ((signs[0] * t.value, signs[1] * t.second), t)
            for t in self.counted
            if t.state == "COMPLETE" and not t.diverged and t.value is not None and t.second is not None
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
        done = [
            (t.value, t)
            for t in among
            if t.state == "COMPLETE" and not t.diverged and t.value is not None and not math.isnan(t.value)
        ]
        sign = sign_of(self.direction)
        return min(done, key=lambda pair: (sign * pair[0], pair[1].number), default=(None, None))[1]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecasts against the truth from a few origins, in the original units, for pictures and files."""

    target: str
    times: tuple[str, ...]  # of the horizon's steps, ISO 8601 or row numbers
    truth: tuple[float, ...]  # NaN where it is not known
    forecast: tuple[float, ...]
    baseline: tuple[float, ...]
    past_times: tuple[str, ...] = ()
    past: tuple[float, ...] = ()
    baseline_name: str = "seasonal naive"


@dataclass(frozen=True, slots=True)
class Curve:
    """Lines over one axis, for a picture."""

    title: str
    note: str  # what it shows, one sentence in plain words
    x_label: str
    y_label: str
    x: tuple[float, ...]
    series: Mapping[str, tuple[float, ...]]  # by name, each as long as x; NaN where there is nothing to draw
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Values over two axes, for a picture."""

    title: str
    note: str
    x_label: str
    y_label: str
    x: tuple[float, ...] | tuple[str, ...]  # places, or names of the columns
    y: tuple[str, ...]  # names of the rows
    values: tuple[tuple[float, ...], ...]  # a row per name, a value per x
    low: float  # the ends of the colours
    high: float


Picture = Curve | HeatMap


@dataclass(frozen=True, slots=True)
class Probe:
    """What a trained network is like: numbers by name (`delay/half_life`), all finite, and pictures."""

    numbers: Mapping[str, float]
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A text and how a network goes on with it."""

    title: str
    note: str  # what it shows, in plain words
    prompt: str  # what the network has read
    text: str  # what it wrote then


Example = Forecast | Passage | Picture  # what a network makes of data that it has never seen
