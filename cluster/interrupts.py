"""Where the end of a sweep is asked for, by whom and why."""

import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

LEAVE_S = 13.0  # after a signal, at the latest
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The end was asked for in the middle of something. No `Exception`: it is no fault of what was under way."""


class Stop:
    """Why the sweep ends before its last trial; written from signal handlers and threads, read by Tune's loop."""

    def __init__(self) -> None:
        """Nothing is asked for yet."""
        self._first: dict[str, tuple[str, int]] = {}

    def now(self, reason: str, code: int) -> None:
        """Asks for the end; the first reason holds, but one that ends it well gives way to a failure.

        Takes no lock: a signal handler may interrupt another call. Each line is atomic, so reason and code
        are always one caller's.
        """
        self._first.setdefault("first", (reason, code))
        if code == 1 and not self.code:
            self._first["first"] = (reason, code)

    @property
    def reason(self) -> str:
        """Why, or "" while nobody asked."""
        return self._first.get("first", ("", 0))[0]

    @property
    def code(self) -> int:
        """The exit code that goes with the reason: 0 where the sweep is to end well, 0 while nobody asked."""
        return self._first.get("first", ("", 0))[1]

    def heed(self) -> None:
        """Raises `Interrupted` where the end is asked for."""
        if self.reason:
            raise Interrupted(self.reason)


@contextmanager
def signals(stop: Stop) -> Iterator[Callable[[], None]]:
    """SIGINT, SIGTERM and SIGHUP end the sweep so that it can go on; a second one leaves at once, which is safe too.

    For the command line alone: the signals of any other process, and its end, are not ours.
    A thread sees to it that the process is gone in time, whatever the main thread is busy with: while that waits
    for a locked database, Python runs no signal handler. Leaving is as safe as being killed: all that was
    acknowledged is durable.

    Yields a function that installs the handlers again: `ray.init` puts its own on SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if before[signal.SIGHUP] == signal.SIG_IGN:
        del before[signal.SIGHUP]  # under nohup the sweep is to live on

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
        os.close(there)  # which ends the thread


def _heed(pipe: int, heeded: Collection[int], stop: Stop) -> None:
    """Takes every signal as it comes, until the pipe is closed."""
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
    with suppress(OSError):  # a terminal that is held, or whose line is cut off, is not waited for
        os.write(os.open("/dev/tty", os.O_WRONLY | os.O_NONBLOCK), b"\x1b[?25h")  # the live table hides the cursor
    os._exit(130)


@contextmanager
def deadline(hours: float | None, stop: Stop) -> Iterator[None]:
    """Ends the sweep well after so many hours; None is never."""
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
