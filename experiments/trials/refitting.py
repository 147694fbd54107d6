"""Plans a refit: which trial's setting is trained again, on which data, for how long and from which seeds."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from experiments import lookup
from experiments.own_code import CodeFile
from experiments.planning import Plan, make
from experiments.recovery import moved_home
from experiments.trials import confirming, warming, winning
from experiments.trials.earlier import with_first
from experiments.trials.warming import START, Kind, Warming
from lstm.config.trial import TrialConfig
from lstm.data.dataset import READING, Before, Dataset, Warm, Whole
from lstm.messages.message import Message, Note, Say, note
from lstm.own_code import imports
from lstm.records.errors import BadInput, Fault, fault, refused
from lstm.records.objective import Scalar
from lstm.records.state import Derived
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial, counted
from lstm.records.windows import Result
from lstm.tasks import registry as tasks

if TYPE_CHECKING:
    from cluster.config import ResourcesConfig
    from cluster.executors.executor import Executor, Workplace
    from cluster.interrupts import Stop
    from cluster.study.moved import Moved

SEED = "training.seed"
SHOWN = 20  # the most trials that an error lists


@dataclass(frozen=True)
class Asked:
    """What is asked for."""

    trial: int | None = None  # whose setting; None for confirm's winner, or else the best trial
    until: str | None = None  # the time of the last row to train on; None for all rows
    seeds: int = 1
    warm: bool = False  # whether to judge first if it is better to go on from the trial's checkpoint
    address: str | None = None  # of the Ray cluster whose workers train the seeds; None for this machine
    in_process: bool = False  # whether the seeds are trained one after another in this process, without Ray


@dataclass(frozen=True)
class Ready:
    """A refit that was checked; nothing is started or written yet."""

    plan: Plan  # its data are those of the refit
    place: moved_home.Place
    elsewhere: "Moved | None"  # where the sweep was before, if it has moved
    known: Mapping[str, Any]  # what its study remembers
    parent: Trial
    seeds: tuple[Derived, ...]  # the trials of the refit, one for each seed; how a warm one starts is not known yet
    standing: str  # `the winner of confirm`, `the best`, or "" if the parent is neither
    warm: Warming | None = None  # if it is yet to be judged whether the refit starts from the parent's checkpoint
    executor: "Executor | None" = None  # what trains the seeds; None: this process
    started: threading.Event = field(default_factory=threading.Event)  # set when the seeds have a place

    @property
    def config(self) -> TrialConfig:
        """The configuration of the first seed: its parent's."""
        return TrialConfig.model_validate(self.parent.config)

    def series(self, kind: object) -> Dataset:
        """Return the data of a refit that starts in a way; `kind` is None if that was not to be judged."""
        return self.warm.data.warm.data if self.warm and kind == "warm" else self.plan.series

    def is_this(self, trial: Trial) -> bool:
        """Return whether a refit's trial is of this refit: asked for in the same way, on the same data."""
        same = is_same_request(trial, self.seeds[0])
        return same and trial.fitted["data"] == self.series(trial.fitted.get(START)).fingerprint

    def judged(self, found: Mapping[str, Scalar]) -> Derived:
        """Return the trial of a warm refit by what the windows have said."""
        assert self.warm is not None
        kind: Kind = "warm" if found[START] == "warm" else "fresh"
        whole = self.warm.whole(kind)
        told: dict[str, Scalar] = {"epochs": self.warm.epochs_on(kind, whole.count), "data": whole.data.fingerprint}
        return self.seeds[0]._replace(changes=self.warm.changes(kind), fitted={**self.seeds[0].fitted, **told, **found})

    @property
    def about(self) -> Note:
        """A note on what is trained: whose setting, on what, for how long."""
        if self.warm is not None:
            return replace(self.warm.about, place=self.plan.order.name)
        fitted = self.seeds[0].fitted
        return note(
            "refit-planned",
            at=self.plan.order.name,
            number=self.parent.number,
            best=f", {self.standing}," if self.standing else "",
            epochs=counted(int(str(fitted["epochs"])), "epoch"),
            seeds=counted(len(self.seeds), "seed"),
            new=fitted["new"] or None,
            **{name: fitted[name] for name in ("count", "unit", "first", "last")},
        )


def prepare(found: lookup.Found, asked: Asked, code: CodeFile = None, *, ours: bool = True) -> Ready:
    """Check a refit; start and write nothing.

    Args:
        found: The sweep.
        asked: What is asked for.
        code: The path of the one file of the user's own code, if it is not where the spec says.
        ours: Whether the process is the command line's own.

    Raises:
        BadInput: the sweep or the trial can't be fitted again, its data or its spec have changed, another refit of the
            sweep has not ended, or nothing listens at the cluster's address.
    """
    from cluster import opening
    from cluster.study import stored
    from lstm.training import refit

    _check(asked)
    swept = lookup.read(found)
    parent = parent_of(swept, asked.trial)
    config = TrialConfig.model_validate(parent.config)
    spec = lookup.spec(found.spec or found.name, found.home, execute=True, code=code)
    known = stored.facts(found.study_url, found.name) or {}
    before = Before(str(known.get("data_fingerprint") or ""), known.get(READING) or {})
    kept: list[Whole] = []
    warm: list[Warm] = []
    state = warming.checkpoint_of(swept, parent) if asked.warm else None

    def load(_: TrialConfig, location: Any, reach: int) -> Dataset:
        given = (config, location, reach, before, asked.until)
        if state is not None:
            warm.append(tasks.load_warm(*given, state, refit.Start.of(state).window))
        kept.append(warm[0].fresh if warm else tasks.load_all(*given))
        return kept[0].data

    plan = with_first(make(spec, found.home, load=load), known)
    if changed := opening.changed_settings(known, plan.order):
        raise BadInput(fault("sweep-trained-otherwise", at=found.name), *changed)
    place = moved_home.Place(found.home, found.name, plan.order.study_url, plan.tracking_uri, not plan.order.place)
    elsewhere = moved_home.look(place, known)
    order = opening.as_begun(plan.order, known, elsewhere)
    order = opening.as_moved(order, elsewhere) if elsewhere else order
    plan = replace(plan, order=order)
    fitted = _fitted(kept[0], Result(None, parent.best_epochs).epochs, asked)
    seeds = _seeds(parent, config, fitted, asked.seeds)
    epochs = int(str(fitted["epochs"]))
    judging = Warming.of(parent, state, warm[0], epochs, order.checkpoints) if state is not None else None
    check_open(swept, seeds[0], found.command("refit"))
    executor = _executor(asked, swept, seeds, order.resources, ours=ours)
    return Ready(plan, place, elsewhere, known, parent, seeds, _standing(swept, parent), judging, executor)


def _executor(
    asked: Asked, swept: Sweep, seeds: Sequence[Derived], resources: "ResourcesConfig", *, ours: bool
) -> "Executor | None":
    """Return what trains the seeds: the one that was asked for, or else Ray on this machine if two can run at once.

    Raises:
        BadInput: nothing listens at the address, or an option would have no effect.
    """
    from cluster.executors.choice import chosen
    from lstm import device

    done = [trial.derived for trial in swept.refits if trial.state == "COMPLETE"]
    left = sum(seed not in done for seed in seeds)
    room = device.cpu_count() // resources.cpus_per_trial
    at_once = min(left, room if resources.max_concurrent == "auto" else min(room, resources.max_concurrent))
    if at_once < 2 and asked.address is None and not asked.in_process:
        return None
    executor = chosen(asked.address, in_process=asked.in_process, ours=ours)
    return executor if left else None


def _check(asked: Asked) -> None:
    if faults := [*confirming.of_numbers(seeds=asked.seeds)]:
        raise BadInput(*faults)
    if asked.warm and asked.seeds > 1:
        raise refused("warm-from-one-seed", at=f"--seeds {asked.seeds}")
    if asked.warm and asked.address is not None:
        raise refused("warm-in-this-process", at=f"--address {asked.address}")


def _seeds(parent: Trial, config: TrialConfig, fitted: Mapping[str, Scalar], count: int) -> tuple[Derived, ...]:
    """Return the trials of a refit: the first has the seed of the trial whose setting it is."""
    from lstm.training import refit

    first = config.training.seed
    changes = [{SEED: seed} if seed != first else {} for seed in refit.seeds(first, count)]
    return tuple(Derived(parent.number, "refit", each, fitted=fitted) for each in changes)


def _standing(swept: Sweep, parent: Trial) -> str:
    won = winning.winner(swept)
    if won and won.trial == parent.number:
        return "the winner of confirm"
    return "the best" if swept.best and swept.best.number == parent.number else ""


def check_open(swept: Sweep, derived: Derived, again: str) -> None:
    """Check that no refit is open that was asked for with other options; `again` is the command of a refit.

    Raises:
        BadInput: one is.
    """
    for trial in swept.refits:
        if not trial.ended and not is_same_request(trial, derived):
            made, parent = trial.fitted, trial.derived.parent if trial.derived else None
            until = f" --until {made['until']}" if made["until"] else ""
            seeds = f" --seeds {made['seeds']}" if made["seeds"] != 1 else ""
            options = f"--trial {parent}{seeds}{until}{' --warm' * (START in made)}"
            command = f"{again.rstrip('`')} {options}`"
            raise refused("refit-being-made", at=swept.name, number=trial.number, parent=parent, command=command)


def is_same_request(trial: Trial, derived: Derived) -> bool:
    """Return whether an open trial belongs to a refit that was asked for in the same way; its data may be others."""
    fitted, is_warm = trial.fitted, START in derived.fitted
    names = ("until", "seeds") if is_warm else ("until", "seeds", "epochs")
    alike = (START in fitted) == is_warm and all(fitted[name] == derived.fitted[name] for name in names)
    return alike and trial.derived is not None and trial.derived.parent == derived.parent


def _fitted(whole: Whole, epochs: int, asked: Asked) -> Mapping[str, Scalar]:
    return {
        "epochs": epochs,
        "seeds": asked.seeds,
        "until": asked.until,
        "data": whole.data.fingerprint,
        "unit": whole.unit,
        "count": whole.count,
        "new": whole.new,
        "first": whole.first,
        "last": whole.last,
        **({START: None} if asked.warm else {}),
    }


def parent_of(swept: Sweep, number: int | None) -> Trial:
    """Return the trial whose setting is trained again.

    Raises:
        BadInput: the sweep has not ended, no trial has completed, the best one is newer than confirm, or the trial
            can't be fitted again.
    """
    if not (swept.facts.get("complete") or swept.over()):
        raise refused("refit-before-end", at=swept.name, done=swept.done, trials=swept.n_trials, sweep=swept.name)
    if number is None and swept.second is not None and swept.front:
        front = [trial.number for trial in swept.front]
        raise refused("refit-of-which-trial", at=swept.name, metric=swept.second.metric, trials=front[:SHOWN])
    if number is None:
        if (leader := winning.leader(swept)) is None:
            raise refused("refit-without-completed", at=swept.name)
        if (found := winning.company(swept)) is not None and found.missed is not None:
            raise refused(
                "refit-before-confirm", at=swept.name, best=found.missed, winner=leader.number, sweep=swept.name
            )
        return leader
    trial = next((each for each in swept.trials if each.number == number), None)
    if trial is None:
        there = [each.number for each in swept.trials if not [*_unfit(each)]]
        more = max(len(there) - SHOWN, 0) or None
        raise refused("no-trial-to-refit", at=swept.name, number=number, trials=there[:SHOWN], more=more)
    if faults := [replace(each, place=swept.name) for each in _unfit(trial)]:
        raise BadInput(*faults)
    return trial


def _unfit(trial: Trial) -> Iterator[Fault]:
    """Yield why the setting of a trial can't be trained again on all data."""
    derived = trial.derived
    if derived is not None and derived.purpose not in ("base", "retry"):
        yield fault("refit-of-derived-trial", number=trial.number, purpose=derived.purpose, parent=derived.parent)
    elif trial.diverged:
        yield fault("refit-of-diverged-trial", number=trial.number, reason=trial.reason)
    elif trial.state != "COMPLETE":
        yield fault("refit-of-incomplete-trial", number=trial.number, state=trial.state)


@contextmanager
def workplace(ready: Ready, say: Say, stop: "Stop") -> Iterator["Workplace"]:
    """Prepare the place where the seeds are trained: this process, or what the refit's executor offers."""
    from cluster.executors.in_process import here
    from cluster.ray_backend.demand import Waiting

    order = ready.plan.order

    def lost(why: Message) -> int:
        stop.now(why.text, 1)
        say(why)
        return stop.code

    if ready.executor is None:
        yield here(order.resources)
        return
    packages = sorted({name for each in order.code for name in imports(each)})
    waiting = Waiting(lambda: len(ready.seeds), say, stop)
    with ready.executor.ready(order.resources, str(order.storage.checkpoints), lost, packages, waiting) as place:
        ready.started.set()
        for each in place.warnings:
            say(each)
        yield place
