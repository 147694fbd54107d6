"""Record a sweep's events in MLflow from a thread of its own, so that training never waits for MLflow."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from dashboards.config import TrackingConfig
from dashboards.tracking import contents, runs
from dashboards.tracking.ledger import Ledger
from lstm.messages.message import Message, Say, note
from lstm.records.errors import BadInput, why_of
from lstm.records.events import (
    About,
    EpochEnded,
    Event,
    Notice,
    SweepEnded,
    SweepStarted,
    TrialEnded,
    TrialLost,
    TrialProbed,
    TrialStarted,
)
from lstm.records.trial import Trial

_GATHER_S = 1.0  # events that come within this time are sent together, a trial's epochs in one call
_GATHER_EVENTS = 2000
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_LONGEST_PAUSE_AT_CLOSE_S = 1.0  # little time is left, and the store may be back any moment


@dataclass(frozen=True)
class _Finish:
    html: str | None
    metrics: Mapping[str, float]
    best: Trial | None
    rivals: Mapping[str, float]
    verdict: str
    picture: str | None


@dataclass(frozen=True)
class _Question:
    answer: Future[Any]
    ask: Callable[[Ledger], Any]


@dataclass(frozen=True)
class _Close:
    pass


class _Part(NamedTuple):
    """What is sent at once, in words."""

    what: str
    trial: int | None = None

    def __str__(self) -> str:
        return self.what if self.trial is None else f"{self.what} of trial {self.trial}"


_Item = Event | _Finish | _Question | _Close
_WORDS: Mapping[type, str] = {
    SweepStarted: "the sweep's start",
    TrialStarted: "the start",
    TrialLost: "a lost attempt",
    TrialEnded: "the end",
    TrialProbed: "the probe",
    SweepEnded: "the sweep's end",
    _Finish: "the report",
}


class Recorder:
    """A `Record` (see lstm.records.events): call it with events, and one daemon thread sends them to MLflow in order.

    While the store is away, events wait in memory and are sent again, for ever, until `close`. An event that the store
    refuses is left out and named in `refused`, and its trial is not marked as recorded. The same events may come again:
    nothing is doubled. Replay trials of an earlier driver in the order in which they ended.

    Args:
        uri: MLflow's tracking URI.
        artifacts: Folder for the artifacts of new experiments if the store is a local database; None if a server
            decides.
        tracking: Says which trials' checkpoints become artifacts.
        sweep: The sweep's name.
        study: The id of the sweep's study, which distinguishes it from another sweep of the same name.
        notice: Gets a message when the store stops answering, is back, or refuses something. The thread calls it.
        studies_before: The ids of the studies that this one was copied from.
        about: What the runs' pages say of the sweep.
        away: Whether it was already reported that the store does not answer.
    """

    def __init__(
        self,
        uri: str,
        artifacts: str | None,
        tracking: TrackingConfig,
        sweep: str,
        study: str = "",
        notice: Say | None = None,
        studies_before: tuple[str, ...] = (),
        *,
        about: About | None = None,
        away: bool = False,
    ) -> None:
        self._uri = uri
        self._artifacts = artifacts
        self._tracking = tracking
        self._sweep = sweep
        self._study = study
        self._about = about
        self._studies = (study, *studies_before)
        self._notice = notice
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._ledger: Ledger | None = None
        self._away = away
        self._barred = ""
        self._refits = set[int]()  # the trials whose checkpoints MLflow gets as it gets the best trial's
        self._refused: dict[_Part, str] = {}  # by what was left out: why
        self._undelivered = 0
        self._count = threading.Lock()
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Take an event; return at once and never raise."""
        if isinstance(event, Notice) or self._closing.is_set():
            return
        if isinstance(event, TrialStarted) and event.derived and event.derived.fitted:
            self._refits.add(event.number)
        if isinstance(event, EpochEnded):  # its weights are not needed
            event = replace(event, epoch=replace(event.epoch, state=None))
        self._put(event)

    def finish(
        self,
        html: str | None,
        metrics: Mapping[str, float],
        best: Trial | None,
        rivals: Mapping[str, float] | None = None,
        verdict: str = "",
        *,
        picture: str | None = None,
    ) -> None:
        """Queue the sweep's end: report, final metrics, the best trial and its checkpoint, rivals, verdict, picture."""
        self._put(_Finish(html, dict(metrics), best, dict(rivals or {}), verdict, picture))

    def recorded(self, timeout_s: float = 30.0) -> set[int]:
        """Return the numbers of the trials that are complete in MLflow; empty if it does not answer in time."""
        found = self._ask(lambda ledger: ledger.recorded(), timeout_s)
        return found if found is not None else set()

    def artifact(self, number: int, timeout_s: float = 60.0) -> bytes | None:
        """Return the checkpoint file in a trial's run; None if there is none, or no answer in time."""
        found: bytes | None = self._ask(lambda ledger: ledger.artifact(number), timeout_s)
        return found

    def chart_address(self, base_url: str, timeout_s: float = 10.0) -> str | None:
        """Return the address of all loss curves in MLflow at `base_url`; None if the store does not answer in time."""
        found: str | None = self._ask(lambda ledger: ledger.page(base_url), timeout_s)
        return found

    def close(self, timeout_s: float) -> int:
        """Deliver what waits, for at most `timeout_s`; return how many events did not reach the store."""
        self._deadline = time.monotonic() + timeout_s
        self._queue.put(_Close())
        self._closing.set()
        self._thread.join(timeout_s)
        return self._undelivered

    @property
    def refused(self) -> list[str]:
        """What the store has refused and lacks for good, unless somebody fixes the reason."""
        found = [f"{what} ({why})" for what, why in self._refused.items()]
        return [*found, f"all that it was sent last ({self._barred})"] if self._barred else found

    def _put(self, item: Event | _Finish) -> None:
        with self._count:
            self._undelivered += 1
        self._queue.put(item)

    def _ask(self, ask: Callable[[Ledger], Any], timeout_s: float) -> Any:
        question = _Question(Future(), ask)
        self._queue.put(question)
        try:
            return question.answer.result(timeout_s)
        except Exception:  # no answer in time, or refused: a notice reports it
            return None

    # --- in the thread

    def _work(self) -> None:
        closed = False
        while not closed:
            items = self._gather()
            closed = any(isinstance(item, _Close) for item in items)
            self._deliver(items)

    def _gather(self) -> list[_Item]:
        """Return what is queued: wait for the first item, then shortly for more, unless somebody waits for it."""
        items = [self._queue.get()]
        end = time.monotonic() + _GATHER_S
        while not isinstance(items[-1], _Question | _Finish | _Close) and len(items) < _GATHER_EVENTS:
            try:
                items.append(self._queue.get(timeout=max(0.0, end - time.monotonic())))
            except queue.Empty:
                break
        return items

    def _deliver(self, items: list[_Item]) -> None:
        waiting: dict[int, int] = {}  # epochs by trial; a trial's epochs go in one call
        for item in items:
            if isinstance(item, EpochEnded):
                waiting[item.number] = waiting.get(item.number, 0) + 1
                self._insist(partial(_note, item), 0, _Part("an epoch"))
                continue
            if isinstance(item, _Close):
                continue
            number = getattr(item, "number", None)
            for each in [number] if number is not None else list(waiting):  # an item of no trial comes after all epochs
                if each in waiting:
                    self._send(each, waiting.pop(each))
            self._take(item)
        for number, count in waiting.items():
            self._send(number, count)

    def _take(self, item: Event | _Finish | _Question) -> None:
        if isinstance(item, _Question):
            self._insist(partial(self._apply, item), 0)
            item.answer.cancel()  # without an answer, the asker need not wait any longer
            return
        what = _Part(_WORDS[type(item)], getattr(item, "number", None))
        if not self._wants_checkpoint(item):
            self._insist(partial(self._apply, item), 1, what)
            return
        why = self._insist(partial(self._apply, item), 1)
        # A server may refuse a file of that size; the trial must still have its end.
        if why and not self._insist(partial(self._apply, item, bare=True), 1, what):
            trial = item.best if isinstance(item, _Finish) else item
            self._leave_out(_Part("the checkpoint", getattr(trial, "number", None)), why)

    def _send(self, number: int, count: int) -> None:
        what = _Part("some epochs", number)
        if why := self._insist(lambda ledger: ledger.send_curve(number), count):
            left_out: list[int] = []
            gone = self._insist(lambda ledger: ledger.send_curve(number, left_out), count, what)
            if left_out and not gone:
                self._leave_out(what, why)

    def _insist(self, deliver: Callable[[Ledger], None], count: int, what: _Part | None = None) -> str:
        """Deliver an item, again and again while the store is away, at most until the close.

        Returns the reason if the store refuses it twice, else "". With `what` the refusal is reported, and the item no
        longer counts as undelivered.
        """
        pause_s = _FIRST_PAUSE_S
        refused = False
        while not (self._closing.is_set() and time.monotonic() > self._deadline):
            try:
                deliver(self._open())
            except Exception as error:
                if self._ledger is not None:
                    self._ledger.doubt()
                if not runs.is_refusal(error):
                    self._tell_away(error)
                    pause_s = self._wait(pause_s)
                elif refused:
                    if what:
                        self._leave_out(what, runs.cause(error))
                        self._count_off(count)
                    return runs.cause(error)
                else:  # somebody may have deleted the run: search it again, or create another
                    refused = True
                    if self._ledger is not None:
                        self._ledger.forget()
                continue
            self._delivered(count)
            return ""
        return ""

    def _leave_out(self, what: _Part, why: str) -> None:
        if why not in self._refused.values():  # each reason is reported once, not for each epoch
            self._say(note("mlflow-refuses-some", what=what.what, trial=what.trial, why=why))
        self._refused[what] = why

    def _open(self) -> Ledger:
        if self._ledger is None:
            client = runs.connect(self._uri)
            self._ledger = Ledger(client, self._artifacts, self._sweep, self._study, self._about)
        return self._ledger

    def _tell_away(self, error: Exception) -> None:
        self._barred = runs.cause(error) if runs.bars(error) else ""
        if self._away:
            return
        self._away = True
        folder = runs.full_disk(error, self._uri, self._artifacts)
        if folder is not None:
            self._say(note("mlflow-disk-full", folder=folder) if folder else note("mlflow-database-disk-full"))
        elif self._barred:
            self._say(note("mlflow-refuses-all", why=self._barred))
        else:
            self._say(note("mlflow-away-while-running", why=runs.cause(error)))

    def _wait(self, pause_s: float) -> float:
        """Wait before the next try, at most until the close; return how long to wait after the next one."""
        if not self._closing.is_set():
            self._closing.wait(pause_s)
            return min(2 * pause_s, _LONGEST_PAUSE_S)
        pause_s = min(pause_s, _LONGEST_PAUSE_AT_CLOSE_S)
        time.sleep(max(0.0, min(pause_s, self._deadline - time.monotonic())))
        return 2 * pause_s

    def _count_off(self, count: int) -> None:
        with self._count:
            self._undelivered -= count

    def _delivered(self, count: int) -> None:
        self._count_off(count)
        self._barred = ""
        if self._away and count:
            self._away = False
            self._say(note("mlflow-back"))

    def _say(self, message: Message) -> None:
        if self._notice is not None:
            with contextlib.suppress(Exception):
                self._notice(message)

    def _wants_checkpoint(self, item: Event | _Finish) -> bool:
        match item:
            case TrialEnded():
                wanted = ("all", "best") if item.number in self._refits and item.state == "COMPLETE" else ("all",)
                return self._tracking.checkpoints in wanted and bool(item.checkpoint)
            case _Finish(best=Trial()):
                return self._tracking.checkpoints == "best"
        return False

    def _apply(self, item: Event | _Finish | _Question, ledger: Ledger, *, bare: bool = False) -> None:
        match item:
            case SweepStarted():
                ledger.start_sweep(item)
            case TrialStarted():
                ledger.start_trial(item)
            case TrialLost():
                ledger.lose_trial(item)
            case TrialEnded():
                wanted = not bare and self._wants_checkpoint(item)
                content = (
                    self._checkpoint(item.checkpoint, item.number, ledger.config_of(item.number)) if wanted else None
                )
                ledger.end_trial(item, content, whole=not bare)
            case TrialProbed():
                ledger.probe_trial(item)
            case SweepEnded():
                ledger.end_sweep(item)
            case _Finish():
                wanted = not bare and self._wants_checkpoint(item)
                best = item.best
                content = self._checkpoint(best.checkpoint, best.number, best.config) if wanted and best else None
                files = {contents.REPORT: item.html, contents.PICTURE: item.picture}
                there = {name: text for name, text in files.items() if text is not None}
                ledger.finish(there, item.metrics, best, content)
                ledger.hold_against(item.rivals, item.verdict)
            case _Question():
                answer = item.ask(ledger)
                item.answer.set_result(answer)

    def _checkpoint(self, address: str, number: int, config: Mapping[str, Any] | None) -> bytes | None:
        """Return the trial's checkpoint file at the address, or None: a run without its file is better than no run."""
        from lstm import ownership

        if not address or config is None:
            return None
        try:
            found = ownership.read(address, ownership.Owner(self._studies, number, config))
        except BadInput as error:  # it belongs to another study
            self._say(note("checkpoint-not-sent", at=f"trial {number}", why=why_of(error)))
        except Exception as error:
            self._say(note("checkpoint-not-sent", at=f"trial {number}", why=type(error).__name__))
        else:
            if found is not None:
                return found[0]
            self._say(note("no-checkpoint-to-send", at=f"trial {number}", address=address))
        return None


def _note(item: EpochEnded, ledger: Ledger) -> None:
    ledger.note(item.number, item.epoch)
