"""Requests to end a sweep: from signals, threads and deadlines, with a reason and an exit code."""

import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

LEAVE_S = 13.0  # after a signal the process leaves at the latest
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A request to end in the middle of work. It is no `Exception`: the work itself is not at fault."""


class Stop:
    """The request to end a sweep early; signal handlers and threads write it, Tune's loop reads it."""

    def __init__(self) -> None:
        """Start without a request."""
        self._first: dict[str, tuple[str, int]] = {}

    def now(self, reason: str, code: int) -> None:
        """Ask for the end. The first request counts, but a failure replaces a request that ends the sweep well.

        Takes no lock, because a signal handler may interrupt another call. Each line is atomic, so reason and code
        are always from one caller.
        """
        self._first.setdefault("first", (reason, code))
        if code == 1 and not self.code:
            self._first["first"] = (reason, code)

    def take_back(self) -> str:
        """Take back a request to end well, so that work goes on that comes after the search; return its reason."""
        return self._first.pop("first", ("", 0))[0] if not self.code else ""

    @property
    def reason(self) -> str:
        """The reason, or "" while nobody has asked."""
        return self._first.get("first", ("", 0))[0]

    @property
    def code(self) -> int:
        """The exit code of the request: 0 if the sweep is to end well, and 0 while nobody has asked."""
        return self._first.get("first", ("", 0))[1]

    def heed(self) -> None:
        """Raise `Interrupted` if the end was asked for."""
        if self.reason:
            raise Interrupted(self.reason)


@contextmanager
def signals(stop: Stop) -> Iterator[Callable[[], None]]:
    """End the sweep on SIGINT, SIGTERM and SIGHUP so that it can go on later; leave at once on a second signal.

    For the command line only: the signals of any other process, and its end, are not ours.
    A thread makes sure that the process ends in time, even if the main thread is busy: while that waits for a locked
    database, Python runs no signal handler. Leaving is as safe as being killed: all that was acknowledged is durable.

    Yields a function that installs the handlers again: `ray.init` puts its own on SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if before[signal.SIGHUP] == signal.SIG_IGN:
        del before[signal.SIGHUP]  # under nohup the sweep goes on

    def install() -> None:
        for number in before:
            signal.signal(number, lambda *_: stop.now("interrupted", 130))

    here, there = os.pipe()
    os.set_blocking(there, False)
    threading.Thread(target=_heed, args=(here, set(before), stop), name="signals", daemon=True).start()
    install()
    earlier = signal.set_wakeup_fd(there, warn_on_full_buffer=False)
    try:
        yield install
    finally:
        signal.set_wakeup_fd(earlier)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(there)  # this ends the thread


def _heed(pipe: int, heeded: Collection[int], stop: Stop) -> None:
    """Handle every signal as it comes, until the pipe is closed."""
    leave = threading.Timer(LEAVE_S, _leave)
    leave.daemon = True
    asked = False
    while taken := os.read(pipe, 1):
        if taken[0] not in heeded:
            continue
        if asked:
            _leave()
        asked = True
        stop.now("interrupted", 130)
        leave.start()
    leave.cancel()
    os.close(pipe)


def _leave() -> None:
    with suppress(OSError):  # does not wait for a terminal that is stopped or disconnected
        os.write(os.open("/dev/tty", os.O_WRONLY | os.O_NONBLOCK), b"\x1b[?25h")  # the live table hides the cursor
    os._exit(130)


@contextmanager
def deadline(hours: float | None, stop: Stop) -> Iterator[None]:
    """End the sweep well after this many hours; None: never."""
    if hours is None:
        yield
        return
    timer = threading.Timer(hours * 3600, lambda: stop.now(f"search.stop.max_hours: {hours:g} h have passed", 0))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
