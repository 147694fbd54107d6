"""Tell a webhook how a sweep fares: its end, and each new best trial; and how a training alone or a refit ended.

Nothing ever waits for the webhook.

What is told is a small JSON document, in one of three forms (`tracking.notify_form`). The webhook's address may hold a
secret, so no message has any part of it.
"""

import base64
import contextlib
import html
import http.client
import json
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from dashboards.config import NOTIFY, Form, TrackingConfig
from lstm.messages.message import Note, Say, note
from lstm.records.events import Event, SweepStarted, TrialEnded, now_ms
from lstm.records.objective import Direction, is_better
from lstm.records.sweep import Sweep
from lstm.records.trial import epochs_named

Kind = Literal["ended", "failed", "interrupted", "new_best"]
What = Literal["sweep", "training", "refit"]
Told = dict[str, Any]

CLOSE_S = 10.0  # the longest wait for the webhook when a run ends
INTERRUPTED_S = 3.0  # the same when it was interrupted
_ANSWER_S = 5.0  # the longest wait for a connection, and for each piece of an answer
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_LONGEST_PAUSE_AT_CLOSE_S = 0.5
_BUSY = {408, 425, 429}  # in addition to 5xx: the same may be taken later
_WORDS: Mapping[type[BaseException], str] = {  # the first class that fits says the most
    TimeoutError: "no answer in time",
    ConnectionRefusedError: "nothing listens at the address",
    socket.gaierror: "the host is not known",
    ssl.SSLCertVerificationError: "its certificate is not trusted here",
    ssl.SSLError: "no encrypted connection is possible",
    ConnectionError: "the connection broke",
    http.client.HTTPException: "its answer is not HTTP",
    OSError: "the connection broke",
}


class _Answer(NamedTuple):
    """What came of telling a webhook."""

    why: str = ""  # it was not taken; "" if it was
    may_pass: bool = False  # the same may be taken later


class Notifier:
    """A `Record` (see lstm.records.events) that tells a webhook; one daemon thread sends.

    At most two things wait: the newest best trial, and the run's end, which has the best trial and takes its place.

    Args:
        tracking: Has the webhook's address and form.
        sweep: The sweep's name.
        best: The best value before this run; None if there is none.
        say: Called once, from the thread, if the webhook does not take what it is told.
        what: What is run.
    """

    def __init__(
        self, tracking: TrackingConfig, sweep: str, best: float | None, say: Say, *, what: What = "sweep"
    ) -> None:
        """Start the thread, if there is a webhook."""
        self._address, self._form, self._sweep = tracking.notify or "", tracking.notify_form, sweep
        self._best, self._say, self._what = best, say, what
        self._begun: tuple[str, Direction] | None = None  # metric and direction
        self._changed = threading.Condition()
        self._waiting: Told | None = None
        self._deadline = float("inf")  # when the run stops waiting
        self._is_closing = self._is_ended = self._is_delivered = self._has_complained = False
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)
        if self._address:
            self._thread.start()

    def __call__(self, event: Event) -> None:
        """Take an event; return at once and never raise."""
        if isinstance(event, SweepStarted):
            self.begin(event.metric, event.direction)
        if not isinstance(event, TrialEnded) or self._begun is None:
            return
        if event.state != "COMPLETE" or event.value is None or event.value != event.best_value:
            return
        metric, direction = self._begun
        if not is_better(event.value, self._best, direction):
            return
        before, self._best = self._best, event.value
        epoch = epochs_named(event.best_epoch, event.best_epochs)
        was = "" if before is None else f" (before: {before:.6g})"
        text = f"new best: trial {event.number}, {metric} {event.value:.6g} at {epoch}{was}"
        best = {"trial": event.number, "value": event.value, "epoch": event.best_epoch}
        self._put("new_best", text, event.at_ms, best=best)

    def begin(self, metric: str, direction: Direction) -> None:
        """Take what a run is judged by: from now on its end is told, also if an error ends it."""
        self._begun = metric, direction

    @property
    def is_idle(self) -> bool:
        """Whether there is no webhook."""
        return not self._address

    def end(
        self,
        kind: Kind,
        text: str,
        swept: Sweep | None = None,
        *,
        complete: bool = False,
        verdict: str = "",
        best_epoch: tuple[float, int] | None = None,
    ) -> None:
        """Tell how the run has ended.

        Args:
            kind: How.
            text: The same in a sentence.
            swept: The sweep as it is now; None if it is not known, or what is run is no sweep.
            complete: Whether nothing is left to do.
            verdict: The verdict's first sentence.
            best_epoch: Of a training alone, the best value and its epoch.
        """
        self._is_ended = True
        best = swept.best if swept is not None else None
        row = {"trial": best.number, "value": best.value, "epoch": best.best_epoch} if best else None
        if best_epoch is not None:
            row = {"trial": None, "value": best_epoch[0], "epoch": best_epoch[1]}
        if swept is not None and best is not None and best.value is not None:
            text += f" Best: trial {best.number}, {swept.metric} {best.value:.6g}."
        trials = {"ended": swept.done, "of": swept.n_trials} if swept is not None else None
        text += f" Is the network worth it? {verdict}." if verdict else ""
        self._put(kind, text, now_ms(), best=row, trials=trials, complete=complete, verdict=verdict or None)

    def __enter__(self) -> "Notifier":
        """Return itself."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """End the thread; if an error ends a run whose end nobody told, tell that."""
        if error is not None and self._begun is not None and not self._is_ended:
            by_hand = isinstance(error, KeyboardInterrupt | SystemExit)
            why = f"The run broke off ({type(error).__name__})."
            self.end("interrupted" if by_hand else "failed", why)
        self.close(INTERRUPTED_S)

    def close(self, timeout_s: float) -> bool:
        """Wait at most `timeout_s` for what waits to be taken; return whether the webhook has taken the run's end."""
        if not self._address or self._is_closing:
            return self._is_delivered
        with self._changed:
            self._deadline = time.monotonic() + timeout_s
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        say, self._say = self._say, lambda _: None  # a thread that still hangs has nobody to tell
        if self._thread.is_alive() and not self._has_complained:
            say(_takes_nothing("no answer in time"))
        return self._is_delivered

    def _put(self, kind: Kind, text: str, at_ms: int, **more: Any) -> None:
        if not self._address or self._is_closing:
            return
        about = {"metric": self._begun[0], "direction": self._begun[1]} if self._begun else {}
        at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
        with self._changed:
            self._waiting = {
                "event": kind,
                "what": self._what,
                "sweep": self._sweep,
                "text": f"{self._sweep}: {text}",
                "at": at,
                **about,
                **more,
            }
            self._changed.notify_all()

    # --- in the thread

    def _work(self) -> None:
        while (told := self._next()) is not None:
            self._insist(told)

    def _next(self) -> Told | None:
        """Return what waits, as soon as something does; None if nothing will come any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            told, self._waiting = self._waiting, None
            return told

    def _insist(self, told: Told) -> None:
        """Tell the webhook, again and again unless it refuses, there is something newer to tell, or the run is over."""
        pause_s = _FIRST_PAUSE_S
        while True:
            answer = post(self._address, self._form, told)
            if not answer.why:
                self._is_delivered = told["event"] != "new_best"
                return
            if not self._has_complained:
                self._has_complained = True
                with contextlib.suppress(Exception):
                    self._say(_takes_nothing(answer.why))
            with self._changed:
                if not answer.may_pass or self._waiting or time.monotonic() > self._deadline:
                    return
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                self._changed.wait(_LONGEST_PAUSE_AT_CLOSE_S if self._is_closing else pause_s)


def _takes_nothing(why: str) -> Note:
    return note("webhook-takes-nothing", NOTIFY, why=why)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: urllib would ask with GET there, and the secret of the address would go elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        """Return nothing, so that a redirect is an error."""


def post(address: str, form: Form, told: Told) -> _Answer:
    """Tell a webhook; return what came of it. It never raises, and reads no more of an answer than its head."""
    try:
        opener = urllib.request.build_opener(_NoRedirect)  # a proxy is taken from the environment
        with opener.open(_request(address, form, told), timeout=_ANSWER_S) as answer:
            return _Answer() if 200 <= answer.status < 300 else _Answer(f"error {answer.status}")
    except urllib.error.HTTPError as error:
        with error:
            if 300 <= error.code < 400:
                return _Answer(f"it redirects to another address ({error.code}), which is not followed")
            return _Answer(f"error {error.code}", may_pass=error.code in _BUSY or error.code >= 500)
    except Exception as error:  # what it says may contain the address
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        words = next((words for kind, words in _WORDS.items() if isinstance(reason, kind)), type(error).__name__)
        return _Answer(words, may_pass=True)


def _request(address: str, form: Form, told: Told) -> urllib.request.Request:
    parts = urlsplit(address)
    headers = {"Content-Type": "application/json", "User-Agent": "lstm-sweeps"}
    if parts.username is not None or parts.password is not None:
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    parts = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    document = dict(told)
    if form == "slack":
        document = {"text": html.escape(told["text"], quote=False)}  # as Slack asks for
    elif form == "ntfy":
        path, _, topic = parts.path.rstrip("/").rpartition("/")
        parts = parts._replace(path=f"{path}/")
        title = f"{told['sweep']}: {told['event'].replace('_', ' ')}"
        document = {"topic": unquote(topic), "title": title, "message": told["text"]}
    body = json.dumps(document, allow_nan=False).encode()
    return urllib.request.Request(urlunsplit(parts), body, headers, method="POST")
