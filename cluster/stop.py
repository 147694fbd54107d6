"""Where the end of a sweep is asked for, by whom and why."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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


@contextmanager
def signals(stop: Stop) -> Iterator[Callable[[], None]]:
    """SIGINT, SIGTERM and SIGHUP end the sweep so that it can go on; a second one leaves at once, which is safe too.

    Yields a function that installs the handlers again: `ray.init` puts its own on SIGTERM.
    """
    caught: list[int] = []

    def handle(number: int, _: object) -> None:
        if caught:
            os._exit(130)
        caught.append(number)
        stop.now("interrupted", 130)

    def install() -> None:
        for number in before:
            signal.signal(number, handle)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if before[signal.SIGHUP] == signal.SIG_IGN:
        del before[signal.SIGHUP]  # under nohup the sweep is to live on
    install()
    try:
        yield install
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
