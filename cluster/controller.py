"""The controller between the study and the executor: it handles workers' results and decides how a trial goes on.

`trials/queue.py` chooses the next trial. Nothing here raises into Tune, where an exception would end the whole sweep:
the controller waits while the study's database does not answer, or stops the sweep cleanly.
"""

import functools
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from cluster import protocol
from cluster.config import StopConfig
from cluster.goodput import Workers
from cluster.interrupts import Stop
from cluster.protocol import FINISHED, OUT_OF_MEMORY, RAISED, Failure, Handle, Probed, Started
from cluster.search_stop import StopRules
from cluster.study.lease import OUTAGE_S
from cluster.study.retry import Patience, Unreachable
from cluster.study.study import Study
from cluster.trials.attempt import Attempt
from cluster.trials.beginning import Beginnings
from cluster.trials.checkpoints import TrialCheckpoints
from cluster.trials.endings import Endings
from cluster.trials.queue import TrialQueue
from lstm.messages.message import note
from lstm.records.epoch import Epoch, at, stage
from lstm.records.events import EpochEnded, Notice, Record, TrialLost, TrialStarted, now_ms
from lstm.records.goodput import BESIDE, NOTHING
from lstm.records.state import TrialState
from lstm.records.sweep import EXHAUSTED

LOSSES = 5  # attempts lost with their process after which a trial fails
# Attempts lost on a host without free memory after which a trial is pruned: the first may be another trial's fault.
MEMORY_LOSSES = 2
UNBORN = 4  # attempts at one trial that start no worker, while no other worker lives, after which the sweep ends
AGAIN_S = 5.0  # until a trial that could not reach its checkpoints is tried again, perhaps on another host
LOG = logging.getLogger(__name__)
T = TypeVar("T")


def _safely(method: Callable[..., T]) -> Callable[..., T | None]:
    """Turn an exception of a method into a clean stop of the sweep."""

    @functools.wraps(method)
    def guarded(self: "TrialController", *arguments: Any, **named: Any) -> T | None:
        try:
            return method(self, *arguments, **named)
        except Unreachable as error:
            self.stop.now(str(error), 1)
            return None
        except Exception as error:
            LOG.exception("the sweep ends")  # goes to the sweep's log
            self.stop.now(f"{type(error).__name__} in {method.__name__}: {error}", 1)
            return None

    return guarded


class TrialController:
    """The link between one study and the executor that runs its trials.

    Args:
        study: The sweep's study, opened under its lease.
        checkpoints: Address under which each trial has its own.
        keep: How many of the best trials keep their weights when they have ended; None for all.
        order: What every worker gets with each trial: `cpus`, `gpus`, `probe`, `studies`, `code`, `task`.
        limit: Returns how many trials may be live at once.
        stop: Asks for the end of the sweep, and says whether anybody has.
        record: Receives the events.
        patience: Calls the study, again and again while its database does not answer.
        beside: Whether the search has ended: only trials beside it run, and its target ends nothing.
    """

    def __init__(
        self,
        study: Study,
        *,
        checkpoints: str,
        keep: int | None,
        order: Mapping[str, Any],
        limit: Callable[[], int],
        stop: Stop,
        record: Record,
        patience: Patience,
        beside: bool = False,
    ) -> None:
        self.stop, self._insist = stop, patience
        self._study = study
        self.order, self._limit, self._record = dict(order), limit, record
        self.live: dict[str, Attempt] = {}
        self._beside_search = beside
        self.queue = TrialQueue(study, patience, beside=beside)
        stored: dict[str, Any] = {
            "insist": patience,
            "record": record,
            "keeps": max(keep or 1, study.search.leaders if study.search else 1),
        }
        self.saved = TrialCheckpoints(
            study, checkpoints, studies=order["studies"], keep_best=keep is not None, **stored
        )
        self._beginnings = Beginnings(study, self.saved, patience)
        self._unborn: Counter[int] = Counter()  # attempts at each trial since any worker last started
        self._raised: Counter[int] = Counter()  # attempts at each trial with a worker that raised at its start
        self._out_of_memory: Counter[int] = Counter()  # attempts at each trial that were lost to memory
        self._stuck_since: float | None = None  # since when storage fails and no trial goes on
        self.workers, self._beside = Workers(time.monotonic), (0, NOTHING)
        rules = study.search.stop if study.search else StopConfig()
        rules = rules.model_copy(update={"target": None}) if beside else rules
        self.rules = StopRules(rules, study.base.direction, stop)
        self.endings = Endings(
            study, queue=self.queue, saved=self.saved, rules=self.rules, workers=self.workers, **stored
        )

    def open(self) -> None:
        """Load the sweep's state from its study, before the first trial is asked for.

        Weights that a killed driver left are removed, and the sweep is ended if `search.stop` says so already.

        Raises:
            Unreachable: the study's database did not answer for too long.
        """
        sweep = self._insist(self._study.sweep)
        self._beside = sweep.beside
        self.queue.open(sweep)
        self.rules.open(sweep)
        self.endings.open(sweep)
        self.saved.open(sweep)
        self.endings.check_target()
        self.rules.check_failures()

    @_safely
    def suggest(self, tune_id: str) -> dict[str, Any] | str | None:
        """Return the next trial's order for a worker, None to be asked again, or FINISHED if no trial can follow."""
        if self.stop.reason:
            return FINISHED
        running = {a.number for a in self.live.values() if not a.ended}
        number = self._insist(lambda: self.queue.next(running, self._limit()))
        if number is None:
            return None if running or self.queue.is_waiting else FINISHED
        live = self._beginnings.begin(number)
        try:
            if why := self._beginnings.take_over(live, self.queue.base):
                self.end_for_good(live, "FAIL", why)
                return None
        except OSError as error:
            self._storage_fails(live, f"{live.address}: {error.strerror or error}")
            self._again(live, str(error), AGAIN_S)
            return None
        self.live[tune_id] = live
        return {**self.order, **live.order}

    def born(self, tune_id: str) -> None:
        """Note that a worker lives for a trial: a new worker, or one that had another trial before."""
        if live := self.live.get(tune_id):
            live.born = True
            self._unborn.clear()
            self._raised.pop(live.number, None)

    @_safely
    def result(self, tune_id: str, result: Mapping[str, Any]) -> bool:
        """Take a step's result and return whether Tune must stop the trial. The last result ends the trial."""
        live, started = self.live.get(tune_id), result.get("started")
        actor = started.actor.pop() if started and started.actor else None
        if live is None or live.ended:
            return True
        if started:
            self.born(tune_id)
            live.actor = actor
            self._started(live, started)
            self.workers.begins(live.number, live.worker, result.get("spent", NOTHING), started.before)
        else:
            self.workers.hears(live.number, result.get("spent", NOTHING), kept=bool(result["epochs"]))
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
        self.conclude(live, prune=prune, probed=result.get("probed"))
        return live.ended

    def conclude(self, live: Attempt, *, prune: bool, probed: Probed | None) -> None:
        """End a trial, or ask for its probe, if its latest epoch, the pruner or a probe says so."""
        last = live.epochs[-1] if live.epochs else None
        if last and last.stop == "diverged":
            self.endings.end(live, "PRUNED", f"diverged in {at(last)}", diverged=True)
        elif last and self._study.windows.is_over(last):
            if probed or not self.order["probe"]:
                self._complete(live, last, probed)
        elif last and prune and self.order["probe"] and live.actor is not None:
            self._wind_up(live, live.actor, last.number)
        elif prune or probed:
            self.endings.end(live, "PRUNED", f"pruned after {stage(last, live.pruned_after)}", probed=probed)

    def _complete(self, live: Attempt, last: Epoch, probed: Probed | None) -> None:
        """End a trial that trained to its end. Without a figure for the second objective it is pruned instead."""
        second = self._study.second
        if second and (probed is None or second.figure(probed.numbers) is None):
            why = probed.trouble if probed and probed.trouble else f"its network has no {second.metric}"
            self.endings.end(live, "PRUNED", f"could not be probed: {why}", probed=probed)
        else:
            reason = "" if last.stop == "max_epochs" or last.window > 1 else str(last.stop)
            self.endings.end(live, "COMPLETE", reason, probed=probed)

    def _wind_up(self, live: Attempt, actor: Handle, epoch: int) -> None:
        """Store that a trial is pruned, and let its worker probe instead of training further."""
        self._insist(lambda: self._study.prune(live.number, epoch))
        live.pruned_after = epoch
        actor.wind_up()

    def error(self, tune_id: str, text: str) -> None:
        """Keep what Ray said about a trial's lost actor; `complete` follows."""
        if live := self.live.get(tune_id):
            live.error = text

    @_safely
    def complete(self, tune_id: str, result: Mapping[str, Any] | None, *, error: bool) -> None:
        """Handle that Tune has released a trial. The last result of a trial comes only here."""
        live = self.live.get(tune_id)
        if live is None:
            return
        if not live.ended and result and result.get("done") and not error:
            self.result(tune_id, result)
        if not live.ended and error and live.error and not live.born:
            self._not_born(live)
        elif not live.ended and error:
            self._lost(live, protocol.why_lost(live.error))
        del self.live[tune_id]

    def _started(self, live: Attempt, started: Started) -> None:
        worker, at_ms = started.worker, started.at_ms
        live.worker, live.pid, live.is_read = worker, started.pid, True
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
                is_base=live.number == self.queue.base,
            )
        )
        for told in started.broken:
            self._record(Notice(told))

    def let_go(self) -> None:
        """Kill the workers of trials that have not ended. Epochs that are in no checkpoint are trained again.

        Tune would wait for an actor in the middle of an epoch, however long that takes.
        """
        for live in self.live.values():
            if live.actor is not None and not live.ended:
                live.ended = True
                self.workers.lets_go(live.number, live.worker, alive=False)
                live.actor.kill()

    def _failed(self, live: Attempt, failure: Failure) -> None:
        self.workers.lets_go(live.number, live.worker, alive=failure.kind != "node")
        if failure.kind in ("passing", "spoilt"):
            self._lost(live, failure.text)
        elif failure.kind == "node":
            self._again(live, failure.text, 0.0)
        elif failure.kind == "storage":
            self._storage_fails(live, failure.text)
            self._again(live, failure.text, AGAIN_S)
        elif failure.kind == "refused":
            self._again(live, failure.text, AGAIN_S)
            self.stop.now(failure.text, 1)
        elif failure.kind == "diverged":
            self.end_for_good(live, "PRUNED", failure.text)
        else:
            self.end_for_good(live, "FAIL", failure.text)

    def _lost(self, live: Attempt, reason: str) -> None:
        self.workers.lets_go(live.number, live.worker, alive=False)
        losses = self._insist(lambda: self._study.lost(live.number))
        live.ended, live.is_read = True, False  # it may have written more than it reported
        if reason == OUT_OF_MEMORY:
            self._out_of_memory.update([live.number])
        without_room = self._out_of_memory[live.number] >= MEMORY_LOSSES
        if without_room or losses >= LOSSES:
            self.end_for_good(live, "PRUNED" if without_room else "FAIL", f"{reason} ({losses} times)")
            return
        self._again(live, reason, min(2.0 ** (losses - 1), 30.0))

    def end_for_good(self, live: Attempt, state: TrialState, reason: str) -> None:
        """End a trial that would fail again, with the epochs in its checkpoints, even if no worker has read them.

        While the checkpoints can't be read, the trial's epochs are unknown: it is tried again.
        """
        live.ended = True
        if not live.is_read:
            try:
                _, live.epochs, live.known = self.saved.catch_up(live.number, live.address)
                live.is_read = True
            except OSError as error:
                self._storage_fails(live, f"{live.address}: {error.strerror or error}")
                self._again(live, reason, AGAIN_S)
                return
        self.endings.end(live, state, reason, diverged=state == "PRUNED")

    def _not_born(self, live: Attempt) -> None:
        """Try a trial again for which no worker started, without counting a loss: the trial is not at fault.

        If no worker starts at all, end the sweep; it can be run again. If only this trial's workers raise, the trial is
        at fault and fails.
        """
        live.ended = True
        self.workers.lets_go(live.number, live.worker, alive=False)
        self._unborn[live.number] += 1
        times, reason = self._unborn[live.number], protocol.why_lost(live.error)
        why = protocol.what_ray_said(live.error)
        self._raised[live.number] += reason.startswith(RAISED)
        if (raised := self._raised[live.number]) >= LOSSES:
            self.end_for_good(live, "FAIL", f"{reason} ({raised} times)")
            return
        if times == 1:
            self._record(Notice(note("trial-without-worker", at=f"trial {live.number}", why=why)))
        if times >= UNBORN and not any(other.born and not other.ended for other in self.live.values()):
            self.stop.now(f"no worker comes to life: {why}", 1)
        self.queue.again(live.number, min(2.0 ** (times - 1), 30.0))

    def _again(self, live: Attempt, reason: str, pause_s: float) -> None:
        self.workers.lets_go(live.number, live.worker, alive=False)
        live.ended = True
        self.queue.again(live.number, pause_s)
        self._record(TrialLost(live.number, live.attempt, reason, now_ms()))

    def _storage_fails(self, live: Attempt, text: str) -> None:
        """Report a storage failure once for each trial. If no trial goes on for OUTAGE_S, end the sweep."""
        now = time.monotonic()
        if self._stuck_since is None:
            self._stuck_since = now
        if not live.waits:
            live.waits = True
            self._record(Notice(note("trial-waits-for-storage", at=f"trial {live.number}", why=text)))
        if now - self._stuck_since > OUTAGE_S:
            self.stop.now(f"no trial could go on for {OUTAGE_S / 60:.0f} minutes: {text}", 1)

    @_safely
    def restart(self, text: str) -> None:
        """Take back every trial after Tune gave up, as it does when Ray's memory monitor kills an actor.

        A trial is lost to memory if Ray names its process. The others go on from their checkpoints; no loss is counted.
        """
        killed = protocol.killed_for_memory(text)
        attempts = [live for live in self.live.values() if not live.ended]
        for live in attempts:
            if live.actor is not None:
                live.actor.kill()
            if live.pid in killed:
                self._lost(live, OUT_OF_MEMORY)
            else:
                self._again(live, "Ray's memory monitor stopped the sweep's trials", 0.0)
        self.live.clear()
        self.workers.disband()

    def rest(self) -> dict[str, Any]:
        """Return, as facts for the study, what no trial's end says; call it when no trial is left.

        The facts are the workers' time under all drivers, and whether nothing new was left to try.
        """
        at_ms, before = self._beside
        spent = self.workers.rest()
        # Of two points after the same number of trials, MLflow shows the one with the later timestamp.
        facts = {BESIDE: {"at_ms": max(now_ms(), at_ms + 1), **(before + spent).row()}} if spent.total else {}
        if self._beside_search:
            return facts
        if self.queue.is_exhausted:
            return facts | {EXHAUSTED: self._insist(self._study.exhausted)}
        known = self._insist(lambda: self._study.facts)
        return facts | ({EXHAUSTED: None} if known.get(EXHAUSTED) else {})

    @_safely
    def close_open(self, reason: str) -> None:
        """End every open trial as pruned, for a search that will not go on; confirm comes after it."""
        later = {trial.number for trial in self._insist(self._study.sweep).confirming}
        for number in self._insist(self._study.running):
            if number not in later:
                self.endings.close(number, reason)

    @property
    def ended_by_target(self) -> bool:
        """Return whether the sweep's target ends the search."""
        return self.rules.ended_by_target
