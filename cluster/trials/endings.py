"""The ends of trials: each is decided once, stored, then reported; it may change the best trial or end the sweep."""

import math
from typing import Any, NamedTuple

from cluster.decisions import End
from cluster.goodput import Workers
from cluster.protocol import Probed
from cluster.search_stop import StopRules
from cluster.study.retry import Patience
from cluster.study.study import Study
from cluster.trials.attempt import Attempt
from cluster.trials.checkpoints import TrialCheckpoints
from cluster.trials.queue import TrialQueue
from lstm.messages.message import note
from lstm.records.epoch import epochs_s
from lstm.records.events import Notice, Record, TrialEnded, TrialProbed, now_ms
from lstm.records.goodput import NOTHING
from lstm.records.objective import Direction, is_better, sort_key
from lstm.records.state import TrialState
from lstm.records.sweep import Sweep


class _Best(NamedTuple):
    """The best completed trial."""

    value: float
    number: int
    checkpoint: str

    def place(self, direction: Direction) -> tuple[float, int]:
        """Return a sort key that puts the best first; of equals the lowest trial number, in whatever order they end."""
        return sort_key(self.value, direction), self.number


class Endings:
    """The ends of a sweep's trials, and the best trial among them."""

    def __init__(
        self,
        study: Study,
        *,
        queue: TrialQueue,
        saved: TrialCheckpoints,
        rules: StopRules,
        workers: Workers,
        insist: Patience,
        record: Record,
        keeps: int = 1,
    ) -> None:
        """Prepare the endings; no trial has ended until they are opened. The `keeps` best trials keep their weights."""
        self.study, self._queue, self._saved, self._rules = study, queue, saved, rules
        self.workers, self.insist, self.record = workers, insist, record
        self._direction = study.base.direction
        self._ended, self.last_end_ms = 0, 0
        self._keeps = keeps
        self._leaders: list[_Best] = []  # the best completed trials, the best first

    @property
    def _best(self) -> _Best | None:
        return self._leaders[0] if self._leaders else None

    def open(self, sweep: Sweep) -> None:
        """Load the sweep as it is now, with its best trial."""
        ended = [t for t in sweep.trials if t.ended]
        self._ended = sum(not t.is_refit for t in ended)
        self.last_end_ms = max((t.ended_at_ms or 0 for t in ended), default=0)
        leaders = sweep.leaders(self._keeps)
        self._leaders = [_Best(t.value, t.number, t.checkpoint) for t in leaders if t.value is not None]

    def end(
        self,
        live: Attempt,
        state: TrialState,
        reason: str,
        *,
        diverged: bool = False,
        probed: Probed | None = None,
    ) -> None:
        """Decide how a trial ends, store the end, and record it."""
        self.workers.lets_go(live.number, live.worker, alive=True)
        result = self.study.windows.result(live.epochs, self._direction)
        second = self.study.second
        # The ends have one order, even if the clocks of the sweep's hosts differ.
        at_ms = max(now_ms(), self.last_end_ms + 1)
        own = live.epochs[live.derived.after if live.derived else 0 :]
        end = End(
            state,
            result.value,
            result.best_epochs,
            reason,
            diverged,
            checkpoint=live.address if live.epochs else "",
            at_ms=at_ms,
            epochs_s=epochs_s(own),
            epochs=len(own),
            spent=self.workers.ends(live.number, live.known),
            probed=_found(probed) if probed and probed.numbers else None,
            lost_epochs=self._lost_epochs(live),
            second=second.figure(probed.numbers) if second and probed else None,
        )
        self.insist(lambda: self.study.end(live.number, end))
        live.ended = True
        if end.probed is not None:
            self.record(TrialProbed(live.number, **end.probed))
        elif probed:
            self.record(Notice(note("trial-not-probed", at=f"trial {live.number}", why=probed.trouble)))
        self._ended, self.last_end_ms = self._ended + 1, at_ms
        self._queue.ends(live.number)
        value = result.value if state == "COMPLETE" and not live.is_beside else None
        self.record(self._ending(live.number, end, at_ms, value))
        if state == "FAIL" and not live.is_beside:
            self._rules.fails(reason)
        self._keep(live, value)
        self.check_target()

    def close(self, number: int, reason: str) -> None:
        """End an open trial without its worker, with the epochs in its checkpoints."""
        self.insist(lambda: self.study.adopt(number))
        address, is_read = self._saved.address_of(number), True
        try:
            trial, epochs, known = self._saved.catch_up(number, address)
        except OSError as error:
            is_read = False
            self.record(Notice(note("file-not-readable-or-writable", at=address, why=str(error))))
            trial, epochs, known = self.insist(lambda: self.study.trial(number)), [], NOTHING
            self.record(trial.starting(address, now_ms()))
        closed = Attempt(number, trial.attempt, trial.settings, trial.config, address, epochs, is_read, known=known)
        closed.derived = trial.derived
        self.end(closed, "PRUNED", reason)

    def _lost_epochs(self, live: Attempt) -> int:
        """Return how many known epochs of a trial are in no checkpoint any more, because the last ones were damaged."""
        if not live.is_read:  # a storage that can't be read now may have them all
            return 0
        kept = len(self.study.windows.steps(live.epochs, self._direction))
        trained = self.insist(lambda: self.study.steps_reported(live.number))
        if trained > kept:
            self.record(
                Notice(note("epochs-without-checkpoint", at=f"trial {live.number}", kept=kept, trained=trained))
            )
        return max(trained - kept, 0)

    def _keep(self, live: Attempt, value: float | None) -> None:
        """Update the best trials, and remove the weights of the trial that lost; `value` is a completed trial's."""
        loser = live.number if live.epochs else None  # `strip` spares the base
        if value is not None and math.isfinite(value):
            mine = _Best(value, live.number, live.address)
            self._leaders = sorted([*self._leaders, mine], key=lambda each: each.place(self._direction))
            last = self._leaders.pop() if len(self._leaders) > self._keeps else None
            loser = last.number if last and last.checkpoint else None
        if loser is not None:
            self._saved.strip(loser)

    def check_target(self) -> None:
        """End the sweep if the best trial reaches the target."""
        if self._best and not self._queue.base_is_open:  # the base always ends: gains are measured against it
            self._rules.check_target(self._best.number, self._best.value)

    def _ending(self, number: int, end: End, at_ms: int, value: float | None) -> TrialEnded:
        """Return the event of an end; `value` is a completed trial's."""
        best_value = self._best.value if self._best else None
        if is_better(value, best_value, self._direction):
            best_value = value
        return TrialEnded(
            number=number,
            state=end.state,
            reason=end.reason,
            value=end.value,
            best_epoch=end.best_epoch,
            checkpoint=end.checkpoint,
            at_ms=at_ms,
            place=self._ended,
            best_value=best_value,
            best_epochs=end.best_epochs if len(end.best_epochs) > 1 else (),
            epochs=end.epochs,
        )


def _found(probed: Probed) -> dict[str, Any]:
    """Return what a probe found, as a trial's end stores it."""
    return {"numbers": dict(probed.numbers), "best_epoch": probed.best_epoch, "at_ms": probed.at_ms}
