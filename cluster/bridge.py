"""Between Optuna's study and Ray Tune: what to try next, when to stop, what to try again.

Nothing here raises into Tune, where an exception would end the whole sweep: it backs off while the
study's database does not answer, or stops the sweep cleanly.
"""

import functools
import re
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import ray
from ray.tune.search import Searcher

from cluster import space
from cluster.config import StopConfig
from cluster.goodput import Workers
from cluster.lease import OUTAGE_S
from cluster.patience import Patience, Unreachable
from cluster.result import Failure, Probed, Started, what_ray_said
from cluster.stop import Stop
from cluster.study import Study
from lstm import checkpoint, ownership
from lstm.config import TrialConfig
from lstm.records import (
    BESIDE,
    EXHAUSTED,
    NOTHING,
    BadInput,
    Derived,
    Epoch,
    EpochEnded,
    Notice,
    Record,
    Spent,
    Sweep,
    Trial,
    TrialEnded,
    TrialLost,
    TrialProbed,
    TrialStarted,
    TrialState,
    best_epoch,
    counted,
    counts,
    epochs_s,
    sign_of,
)

LOSSES = 5  # attempts that may end with their process before a trial counts as failed
# And with a host that has no memory left before it counts as one that has no room: once it may be the others' fault.
MEMORY_LOSSES = 2
UNBORN = 4  # attempts at one trial that bring no worker to life, while no other lives, before the sweep ends
LOST, OUT_OF_MEMORY = "its process or its host was lost", "its host ran out of memory"
RAISED = "its process could not go on"
BASE_S = 0.5  # until a trial that is the base once more looks again whether that has ended
AGAIN_S = 5.0  # before a trial whose host could not reach the checkpoints is tried again, maybe elsewhere
T = TypeVar("T")


@dataclass(slots=True)
class Attempt:
    """A trial that Tune holds."""

    number: int
    attempt: int
    settings: Mapping[str, Any]
    config: Mapping[str, Any]
    address: str
    epochs: list[Epoch] = field(default_factory=list)
    ended: bool = False
    worker: str = ""  # host, pid and device
    actor: Any = None  # its handle, once it has started
    known: Spent = NOTHING  # what a checkpoint knows that no actor told
    waits: bool = False  # for the storage of checkpoints, and that was told
    born: bool = False  # whether a worker came to life for it
    error: str = ""  # what Ray said when its actor was lost
    derived: Derived | None = None
    pruned_after: int = 0  # the epoch after which it was pruned, while it is only to be probed

    @property
    def is_beside(self) -> bool:
        """Whether it is beside the search, which no other trial is compared with while that goes on."""
        return not counts(self.derived)


def _safely(method: Callable[..., T]) -> Callable[..., T | None]:
    """Turns an exception into a clean stop of the sweep."""

    @functools.wraps(method)
    def guarded(self: "Bridge", *arguments: Any, **named: Any) -> T | None:
        try:
            return method(self, *arguments, **named)
        except Unreachable as error:
            self.stop.now(str(error), 1)
            return None
        except Exception as error:
            with suppress(OSError):
                traceback.print_exc()  # goes to the sweep's log, whose disk may be full
            self.stop.now(f"{type(error).__name__} in {method.__name__}: {error}", 1)
            return None

    return guarded


class Bridge:
    """One study behind Tune's searcher and scheduler."""

    def __init__(
        self,
        study: Study,
        *,
        checkpoints: str,
        keep_best: bool,
        order: Mapping[str, Any],
        limit: Callable[[], int],
        stop: Stop,
        record: Record,
        patience: Patience,
    ) -> None:
        """Sets the bridge up.

        Args:
            study: The sweep's study, held under its lease.
            checkpoints: Address under which each trial has its own.
            keep_best: Whether a trial that is not the best loses its weights when it ends.
            order: What every actor is told: `cpus`, `gpus`, `probe`, `studies`.
            limit: Says how many trials may be asked for at once.
            stop: Where the end is asked for.
            record: Receives the events.
            patience: Calls the study, which may be away.

        Raises:
            Unreachable: the study is away for too long.
        """
        self.stop, self._insist = stop, patience
        self._study, self._checkpoints, self._keep_best = study, checkpoints, keep_best
        self._order, self._limit, self._record = dict(order), limit, record
        self._stops = study.search.stop if study.search else StopConfig()
        self._live: dict[str, Attempt] = {}
        # When to try again at the earliest, what.
        self._ready = [(0.0, number) for number in self._insist(study.running)]
        self._due = self._insist(study.due)  # trials that are yet to be asked for
        self._exhausted = False  # nothing new was found to try
        self._unborn: Counter[int] = Counter()  # attempts at each trial since a worker last came to life
        self._raised: Counter[int] = Counter()  # of them those whose worker raised, however many came to life since
        base = self._insist(study.base_trial)
        self._base = base.number if base else None
        self._base_is_open = base is not None and not base.ended
        self._stuck_since: float | None = None  # since when storage fails and no trial has gone on
        self._out_of_memory: Counter[int] = Counter()  # how often a trial was lost so
        self._direction = study.base.direction
        self._sign = sign_of(self._direction)
        sweep = self._insist(study.sweep)
        self._workers, self._beside = Workers(time.monotonic), sweep.beside
        ended = [t for t in sweep.trials if t.ended]
        self._ended, self._last_end_ms = len(ended), max((t.ended_at_ms or 0 for t in ended), default=0)
        failed = [t for t in sweep.counted if t.state == "FAIL"]
        self._failures = len(failed)
        # Of the best completed trial: its value (less is better), its number, its checkpoint.
        self._best: tuple[float, int, str] | None = None
        if (best := sweep.best) and best.value is not None:
            self._best = (self._sign * best.value, best.number, best.checkpoint)
        self._strip_again(sweep)
        self._check_target()
        self._check_failures(failed[-1].reason if failed else "")

    @_safely
    def suggest(self, tune_id: str) -> dict[str, Any] | str | None:
        """The next trial's config for Tune; None to be asked again; FINISHED when none can come any more."""
        if self.stop.reason:
            return str(Searcher.FINISHED)
        number = self._insist(self._next)
        if number is None:
            waiting = self._ready or any(not a.ended for a in self._live.values())
            return None if waiting or self._due > 0 else str(Searcher.FINISHED)
        settings, attempt = self._insist(lambda: self._study.begin_attempt(number))
        pruned_after = self._study.pruned_after(number)
        config = space.resolve(self._study.base, settings).model_dump()
        address = checkpoint.address_of(self._checkpoints, number)
        derived = self._study.derived(number)
        if number != self._base and self._insist(lambda: self._study.resolves_to_base(number)):
            self._take_from_base(number, attempt, address, config)
        live = Attempt(number, attempt, settings, config, address, pruned_after=pruned_after, derived=derived)
        self._live[tune_id] = live
        return {
            **self._order,
            "number": number,
            "attempt": attempt,
            "address": address,
            "trial": config,
            "over": bool(pruned_after),
        }

    def _unless_base_runs(self, number: int) -> int | None:
        """A trial, but where it is the base once more: that is not trained twice, and its end is waited for."""
        if number == self._base or not self._base_is_open or not self._study.resolves_to_base(number):
            return number
        self._ready.append((time.monotonic() + BASE_S, number))
        return None

    def _take_from_base(self, number: int, attempt: int, address: str, config: Mapping[str, Any]) -> None:
        """Gives a trial the base's checkpoint, where it is the base once more; without one it is trained."""
        base = self._insist(self._study.base_trial)
        if base is None or not base.checkpoint:
            return
        try:
            found = ownership.load(base.checkpoint, self._owner(base.number))
            if found is not None and found.state.history[-1].stop and checkpoint.load(address) is None:
                mine = replace(found, config=TrialConfig.model_validate(config), number=number, spent=NOTHING)
                checkpoint.write(address, attempt, mine)
        except (OSError, BadInput) as error:
            self._record(Notice(f"trial {number} is the spec's own settings, and is trained once more: {error}"))

    def _next(self) -> int | None:
        """The trial to run next, if there is one; tried again after a storage error, from the top."""
        if self._insist.doubt:  # a storage error may have left a suggested trial that nobody runs
            owned = {a.number for a in self._live.values() if not a.ended} | {n for _, n in self._ready}
            orphans = [n for n in self._study.running() if n not in owned]
            self._due = self._study.due()
            self._ready += [(0.0, n) for n in orphans]
            self._insist.doubt = False
        if sum(not a.ended for a in self._live.values()) >= self._limit():
            return None
        first = min(self._ready, default=None)
        if first and first[0] <= time.monotonic():
            self._study.adopt(first[1])
            self._ready.remove(first)
            return self._unless_base_runs(first[1])
        if self._due <= 0:
            return None
        number = self._study.ask()
        self._exhausted = number is None
        self._due = 0 if number is None else self._due - 1
        return None if number is None else self._unless_base_runs(number)

    def born(self, tune_id: str) -> None:
        """A worker has come to life for a trial, a new one or one that had another trial before."""
        if live := self._live.get(tune_id):
            live.born = True
            self._unborn.clear()
            self._raised.pop(live.number, None)

    @_safely
    def result(self, tune_id: str, result: Mapping[str, Any]) -> bool:
        """Takes a step's result; whether Tune must stop the trial. The last one ends the trial."""
        live, started = self._live.get(tune_id), result.get("started")
        actor = started.actor.pop() if started and started.actor else None
        if live is None or live.ended:
            return True
        if started:
            self.born(tune_id)
            live.actor = actor
            self._started(live, started)
            self._workers.begins(live.number, live.worker, result.get("spent", NOTHING), started.before)
        else:
            self._workers.hears(live.number, result.get("spent", NOTHING), kept=bool(result["epochs"]))
        live.epochs += result["epochs"]
        if failure := result.get("failure"):
            self._failed(live, failure)
            return True
        if text := result.get("waiting"):
            self._storage_fails(live, text)
            return False
        self._stuck_since = None
        prune = self._insist(lambda: self._study.report(live.number, result["epochs"]))
        for epoch in result["epochs"]:
            self._record(EpochEnded(live.number, epoch))
        self._after(live, prune=prune, probed=result.get("probed"))
        return live.ended

    def _after(self, live: Attempt, *, prune: bool, probed: Probed | None) -> None:
        """Ends a trial, or has it probed, where its latest epoch, its pruner or its probe was the last to come."""
        last = live.epochs[-1] if live.epochs else None
        if last and last.stop == "diverged":
            self._end(live, "PRUNED", f"diverged in epoch {last.number}", diverged=True)
        elif last and last.stop:
            if probed or not self._order["probe"]:
                self._complete(live, last, probed)
        elif last and prune and self._order["probe"] and live.actor is not None:
            self._wind_up(live, last.number)
        elif prune or probed:
            after = live.pruned_after or (last.number if last else 0)
            self._end(live, "PRUNED", f"pruned after epoch {after}", probed=probed)

    def _complete(self, live: Attempt, last: Epoch, probed: Probed | None) -> None:
        """Ends a trial that trained to its end; one without a figure that is searched for has nothing to be told."""
        second = self._study.second
        if second and (probed is None or second.figure(probed.numbers) is None):
            why = probed.trouble if probed and probed.trouble else f"its network has no {second.metric}"
            self._end(live, "PRUNED", f"could not be probed: {why}", probed=probed)
        else:
            self._end(live, "COMPLETE", "" if last.stop == "max_epochs" else str(last.stop), probed=probed)

    def _wind_up(self, live: Attempt, epoch: int) -> None:
        """Keeps that a trial is pruned, and has its actor probe instead of training on."""
        self._insist(lambda: self._study.prune(live.number, epoch))
        live.pruned_after = epoch
        live.actor.wind_up.remote()  # calls of one process keep their order: it comes before the step that is next

    def error(self, tune_id: str, text: str) -> None:
        """What Ray said of a trial's actor that was lost; `complete` follows."""
        if live := self._live.get(tune_id):
            live.error = text

    @_safely
    def complete(self, tune_id: str, result: Mapping[str, Any] | None, *, error: bool) -> None:
        """Tune's word that it let go of a trial; its last result comes only here."""
        live = self._live.get(tune_id)
        if live is None:
            return
        if not live.ended and result and result.get("done") and not error:
            self.result(tune_id, result)
        if not live.ended and error and live.error and not live.born:
            self._not_born(live)
        elif not live.ended and error:
            self._lost(live, _why_lost(live.error))
        del self._live[tune_id]

    def _started(self, live: Attempt, started: Started) -> None:
        worker, at_ms = started.worker, started.at_ms
        live.worker = worker
        self._insist(lambda: self._study.started(live.number, worker, at_ms))
        self._record(
            TrialStarted(
                live.number,
                live.attempt,
                live.settings,
                live.config,
                at_ms,
                checkpoint=live.address,
                worker=worker,
                derived=live.derived,
                is_base=live.number == self._base,
            )
        )
        for text in started.broken:
            self._record(Notice(f"trial {live.number}: {text}; an earlier state is used"))

    def let_go(self) -> None:
        """Kills the actors of trials that have not ended: what they have not written is trained again.

        Tune waits for an actor that is in the middle of an epoch, however long that takes.
        """
        for live in self._live.values():
            if live.actor is not None and not live.ended:
                live.ended = True
                self._workers.lets_go(live.number, live.worker, alive=False)
                with suppress(ray.exceptions.RayError, ValueError):  # it is gone already
                    ray.kill(live.actor)

    def _failed(self, live: Attempt, failure: Failure) -> None:
        self._workers.lets_go(live.number, live.worker, alive=True)
        if failure.kind == "passing":
            self._lost(live, failure.text)
        elif failure.kind == "storage":
            self._storage_fails(live, failure.text)
            self._again(live, failure.text, AGAIN_S)
        elif failure.kind == "refused":
            self._again(live, failure.text, AGAIN_S)
            self.stop.now(failure.text, 1)
        elif failure.kind == "diverged":
            self._end(live, "PRUNED", failure.text, diverged=True)
        else:
            self._end(live, "FAIL", failure.text)

    def _lost(self, live: Attempt, reason: str) -> None:
        self._workers.lets_go(live.number, live.worker, alive=False)
        losses = self._insist(lambda: self._study.lost(live.number))
        live.ended = True
        if reason == OUT_OF_MEMORY:
            self._out_of_memory.update([live.number])
        without_room = self._out_of_memory[live.number] >= MEMORY_LOSSES
        if (without_room or losses >= LOSSES) and self._give_up(live, reason, losses, without_room=without_room):
            return
        self._again(live, reason, min(2.0 ** (losses - 1), 30.0))

    def _give_up(self, live: Attempt, reason: str, times: int, *, without_room: bool = False) -> bool:
        """Ends a trial that was lost too often; whether it could be ended."""
        live.ended = True
        try:
            _, live.epochs, live.known = self._catch_up(live.number, live.address)
        except OSError as error:  # nothing is known of what it did: it is not ended now
            self._storage_fails(live, f"{live.address}: {error.strerror or error}")
            return False
        state: TrialState = "PRUNED" if without_room else "FAIL"
        self._end(live, state, f"{reason} ({times} times)", diverged=without_room)
        return True

    def _not_born(self, live: Attempt) -> None:
        """Tries a trial again for which no worker came to life, uncounted: that is no fault of the trial's.

        Where none comes to life at all, ends the sweep, ready to be run again. Where others do and this trial's raise
        each time, it is the trial after all.
        """
        live.ended = True
        self._workers.lets_go(live.number, live.worker, alive=False)
        self._unborn[live.number] += 1
        times, why, reason = self._unborn[live.number], what_ray_said(live.error), _why_lost(live.error)
        self._raised[live.number] += reason.startswith(RAISED)
        if (raised := self._raised[live.number]) >= LOSSES and self._give_up(live, reason, raised):
            return
        if times == 1:
            self._record(Notice(f"trial {live.number}: no worker came to life for it, it is tried again: {why}"))
        if times >= UNBORN and not any(other.born and not other.ended for other in self._live.values()):
            self.stop.now(f"no worker comes to life: {why}", 1)
        self._ready.append((time.monotonic() + min(2.0 ** (times - 1), 30.0), live.number))

    def _again(self, live: Attempt, reason: str, pause_s: float) -> None:
        self._workers.lets_go(live.number, live.worker, alive=False)
        live.ended = True
        self._ready.append((time.monotonic() + pause_s, live.number))
        self._record(TrialLost(live.number, live.attempt, reason, _now_ms()))

    def _storage_fails(self, live: Attempt, text: str) -> None:
        """Tells it once a trial; where nothing has moved for long, ends the sweep, ready to be run again."""
        now = time.monotonic()
        if self._stuck_since is None:
            self._stuck_since = now
        if not live.waits:
            live.waits = True
            self._record(Notice(f"trial {live.number} waits: {text}"))
        if now - self._stuck_since > OUTAGE_S:
            self.stop.now(f"no trial could go on for {OUTAGE_S / 60:.0f} minutes: {text}", 1)

    def _end(
        self,
        live: Attempt,
        state: TrialState,
        reason: str,
        *,
        diverged: bool = False,
        probed: Probed | None = None,
    ) -> None:
        self._workers.lets_go(live.number, live.worker, alive=True)
        best = best_epoch(live.epochs, self._direction)
        decision: dict[str, Any] = {
            "state": state,
            "value": best.value if best else None,
            "best_epoch": best.number if best else 0,
            "reason": reason,
            "diverged": diverged,
            "checkpoint": live.address if live.epochs else "",
            # Trials end in one order, whatever the clocks of the hosts that drove the sweep say.
            "at_ms": max(_now_ms(), self._last_end_ms + 1),
            "epochs_s": epochs_s(live.epochs),
            "spent": self._workers.ends(live.number, live.known).row(),
        }
        if probed and probed.numbers:
            decision["probed"] = {
                "numbers": dict(probed.numbers),
                "best_epoch": probed.best_epoch,
                "at_ms": probed.at_ms,
            }
        if self._study.second:
            decision["second"] = self._study.second.figure(probed.numbers) if probed else None
        self._insist(lambda: self._study.end(live.number, decision))
        live.ended = True
        if "probed" in decision:
            self._record(TrialProbed(live.number, **decision["probed"]))
        elif probed:
            self._record(Notice(f"trial {live.number} could not be probed: {probed.trouble}"))
        self._ended, self._last_end_ms = self._ended + 1, decision["at_ms"]
        if live.number == self._base:
            self._base_is_open = False
        value = best.value if best and state == "COMPLETE" and not live.is_beside else None
        self._record(self._ending(live.number, decision, value))
        if state == "FAIL" and not live.is_beside:
            self._failures += 1
            self._check_failures(reason)
        self._keep(live, value)
        self._check_target()

    def _keep(self, live: Attempt, value: float | None) -> None:
        """Keeps the best trial in mind, and its weights; `value` is a completed trial's."""
        loser = live.number if live.epochs else None  # `_strip` spares the base
        if value is not None:
            mine = (self._sign * value, live.number, live.address)
            if self._best is None or mine < self._best:
                loser, self._best = self._best[1] if self._best and self._best[2] else None, mine
        if loser is not None:
            self._strip(loser)

    def _strip(self, number: int) -> None:
        if not self._keep_best or number == self._base:  # the base is judged beside the best
            return
        address = checkpoint.address_of(self._checkpoints, number)
        try:
            if found := ownership.load(address, self._owner(number)):
                checkpoint.strip(address, found)
        except (OSError, BadInput) as error:
            self._record(Notice(f"{address}: its weights could not be removed: {error}"))

    def _owner(self, number: int) -> ownership.Owner:
        trial = self._insist(lambda: self._study.trial(number))
        return ownership.Owner(tuple(self._order["studies"]), number, trial.config)

    def _strip_again(self, sweep: Sweep) -> None:
        """Does what a driver that was killed at a trial's end left: that trial's turn, or the earlier best's."""
        best = sweep.best
        kept = {t.number for t in (best, sweep.base) if t}
        others = [t for t in sweep.trials if t.checkpoint and t.number not in kept]
        if not others:
            return
        runner_up = replace(sweep, trials=tuple(others)).best
        last = max(others, key=lambda t: t.ended_at_ms or 0)
        for number in {t.number for t in (runner_up, last) if t}:
            self._strip(number)

    def _ending(self, number: int, decision: Mapping[str, Any], value: float | None) -> TrialEnded:
        """The event of an end; `value` is a completed trial's."""
        known = [self._best[0]] if self._best else []
        mine = [] if value is None else [self._sign * value]
        return TrialEnded(
            number=number,
            state=decision["state"],
            reason=decision["reason"],
            value=decision["value"],
            best_epoch=decision["best_epoch"],
            checkpoint=decision["checkpoint"],
            at_ms=decision["at_ms"],
            place=self._ended,
            best_value=self._sign * min(known + mine) if known or mine else None,
        )

    def _check_failures(self, last: str) -> None:
        most = self._stops.max_failures
        if most is not None and self._failures >= most:
            self.stop.now(f"{counted(self._failures, 'trial')} failed (search.stop.max_failures), the last: {last}", 1)

    def _check_target(self) -> None:
        target, best = self._stops.target, self._best
        if self._base_is_open:  # it is never cut off: what was gained is said against it
            return
        if target is not None and best is not None and best[0] <= self._sign * target:
            self.stop.now(f"trial {best[1]} reached the target {target:g} with {self._sign * best[0]:g}", 0)

    @_safely
    def restart(self, text: str) -> None:
        """Takes back every trial after Tune gave up, as it does where Ray's memory monitor kills an actor.

        Those whose process Ray names are lost to the memory; the others go on from their checkpoints, uncounted.
        """
        named = set(re.findall(r"pid=(\d+)", "".join(re.findall(r"Selected to kill:.*", text))))
        attempts = [live for live in self._live.values() if not live.ended]
        for live in attempts:
            if live.actor is not None:
                with suppress(ray.exceptions.RayError, ValueError):  # it is gone already
                    ray.kill(live.actor)
            pid = re.search(r" pid (\d+)", live.worker)
            if pid and pid[1] in named:
                self._lost(live, OUT_OF_MEMORY)
            else:
                self._again(live, "Ray's memory monitor stopped the sweep's trials", 0.0)
        self._live.clear()
        self._workers.disband()

    def rest(self) -> dict[str, Any]:
        """What is known when no trial is left and no trial's end tells, as facts.

        That is what workers spent, under all drivers, and whether it was for want of anything new that none is left.
        """
        at_ms, before = self._beside
        spent = self._workers.rest()
        # In MLflow the later of two points after as many trials is the one that counts.
        facts = {BESIDE: {"at_ms": max(_now_ms(), at_ms + 1), **(before + spent).row()}} if spent.total else {}
        if self._exhausted:
            return facts | {EXHAUSTED: self._insist(self._study.exhausted)}
        known = self._insist(lambda: self._study.facts)
        return facts | ({EXHAUSTED: None} if known.get(EXHAUSTED) else {})

    @_safely
    def close_open(self, reason: str) -> None:
        """Ends, as pruned, every trial that has not; for a sweep that will not go on."""
        for number in self._insist(self._study.running):
            self._close(number, reason)

    def _close(self, number: int, reason: str) -> None:
        self._insist(lambda: self._study.adopt(number))
        address = checkpoint.address_of(self._checkpoints, number)
        try:
            trial, epochs, known = self._catch_up(number, address)
        except OSError as error:
            self._record(Notice(f"{address}: can't be read or written: {error}"))
            trial, epochs, known = self._insist(lambda: self._study.trial(number)), [], NOTHING
            self._record(trial.starting(address, _now_ms()))
        closed = Attempt(number, trial.attempt, trial.settings, trial.config, address, epochs, known=known)
        self._end(closed, "PRUNED", reason)

    def _catch_up(self, number: int, address: str) -> tuple[Trial, list[Epoch], Spent]:
        """Reports and records what a trial's checkpoint holds before the trial is ended without its actor.

        An earlier driver, or an epoch in flight, may have left it unsaid; what was said is not doubled. The state
        becomes that of an attempt of its own: what an actor that was cut off still writes is never read.

        Raises:
            OSError: the storage fails.
        """
        found = ownership.load(address, self._owner(number))
        if found:
            _, attempt = self._insist(lambda: self._study.begin_attempt(number))
            checkpoint.write(address, attempt, found)
        epochs = list(found.state.history) if found else []
        self._insist(lambda: self._study.report(number, epochs))
        trial = self._insist(lambda: self._study.trial(number))
        self._record(trial.starting(address, _now_ms()))
        for epoch in epochs:
            self._record(EpochEnded(number, epoch))
        return trial, epochs, found.spent if found else NOTHING


def _why_lost(said: str) -> str:
    """Why an actor is no more, by what Ray said: of its memory monitor, or of an error that was not in our own step.

    Of any other end Ray says that the kernel may have had no memory.
    """
    if "memory usage threshold" in said:
        return OUT_OF_MEMORY
    if re.search(r"ray::\w+\.\w+\(\)", said):  # a traceback: what follows its last line of code is the error
        *frames, error = re.split(r"\n\s+.*\n(?=\S)", said)
        return f"{RAISED}: {error.splitlines()[0][:300]}" if frames else RAISED
    return LOST


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
