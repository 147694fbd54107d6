"""Watch a cluster's head while a sweep runs: Ray ends a driver that loses it, without a message."""

import atexit
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from lstm.messages.message import Message
from lstm.records.errors import fault

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """The times and the error by which a head is watched."""

    every_s: float
    patience_s: float  # silence for longer means that the head is lost
    grace_s: float  # how long the driver may then take to end in the usual way
    silence: type[OSError]  # the error of a connection attempt that means silence


# Ray ends a driver 60 s after it lost its head, without a message or an exception; with a local Ray, after 5 s.
FAR = Pace(every_s=2.0, patience_s=20.0, grace_s=15.0, silence=OSError)
# Within one machine no packet is lost: if nobody listens, the head is dead.
NEAR = Pace(every_s=0.5, patience_s=1.5, grace_s=2.0, silence=ConnectionRefusedError)


class Watch:
    """A watch over a cluster's head, as a context manager. A driver without a head does not outlive it for long.

    Ray's calls wait for a dead head, each for its own time, some for ever. So when the head has been silent too long,
    `lost` is called with the reason and returns the exit code. What does not hang then ends the driver in the usual
    way. After a grace time the process exits, whatever it does, if it is `ours` (the command line's). All that matters
    was durable before.
    """

    def __init__(self, address: str, pace: Pace, lost: Callable[[Message], int], *, ours: bool = True) -> None:
        """Prepare the watch over the head at `address`, HOST:PORT."""
        self.lost = False
        self._ours = ours
        self._address, self._pace, self._tell = address, pace, lost
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="head", daemon=True)

    def __enter__(self) -> "Watch":
        """Start to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the watch, unless it has found the head lost."""
        self.end()

    def end(self) -> None:
        """Stop looking; the head may go. If it is lost already, the process still exits after the grace time."""
        self._done.set()

    def _watch(self) -> None:
        silent_since: float | None = None
        while not self._done.wait(self._pace.every_s):
            answers, now = self._answers(), time.monotonic()
            # Count from the first failed attempt, so that after a sleep of this machine the head does not seem silent.
            silent_since = None if answers else silent_since or now
            if silent_since is not None and now - silent_since >= self._pace.patience_s:
                break
        else:
            return
        self.lost = True
        code = 1
        try:
            code = self._tell(fault("cluster-head-gone", address=self._address))
        except Exception:
            LOG.exception("who watches could not be told")  # goes to the sweep's log
        if not self._ours:
            return
        atexit.register(leave, code)  # called before Ray's own exit handler, which would hang
        time.sleep(self._pace.grace_s)
        leave(code)

    def _answers(self) -> bool:
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
        except self._pace.silence:
            return False
        except OSError:
            return True  # this says nothing about the head
        return True


def leave(code: int) -> None:
    """End this process at once with an exit code, after flushing its output."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
