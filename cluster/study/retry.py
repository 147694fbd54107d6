"""Retry calls of the study while its database does not answer."""

import time
from collections.abc import Callable
from typing import TypeVar

from cluster.interrupts import Stop
from cluster.study.lease import OUTAGE_S
from cluster.study.stored import AWAY, trouble, waited_for
from lstm.messages.message import note
from lstm.records.events import Notice, Record

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0  # between two tries
T = TypeVar("T")


class Unreachable(Exception):
    """The error that the study can't be written to and that waiting does not help."""


class Patience:
    """A caller of the study that tries again and again while the study's database does not answer.

    It does not wait if the sweep was interrupted or has failed. What is not written then, the next driver finds in the
    checkpoints.
    """

    def __init__(self, url: str, held: Callable[[], bool], stop: Stop, record: Record) -> None:
        """Prepare the calls.

        Args:
            url: The study's database.
            held: Returns whether the sweep is surely this driver's; if not, nothing is done.
            stop: Says whether the end is asked for.
            record: Receives a notice before each pause.
        """
        self._url, self._held, self._stop, self._record = url, held, stop, record
        self.doubt = False  # whether a failed call may have done its work; reset by the one who has looked

    def __call__(self, act: Callable[[], T]) -> T:
        """Return what `act` returns in the end.

        Raises:
            Unreachable: the database did not answer for too long, or the end was asked for.
        """
        waited_s, pause_s = 0.0, FIRST_PAUSE_S
        why = ""
        while waited_s < OUTAGE_S:
            why, told = "the claim on the sweep was not renewed", note("claim-not-renewed", pause_s=pause_s)
            if self._held():
                try:
                    return act()
                except AWAY as error:
                    self.doubt = True
                    why, told = trouble(self._url, error), waited_for(self._url, error, pause_s)
            if self._stop.code:
                raise Unreachable(why)
            self._record(Notice(told))
            self._wait(pause_s)
            waited_s, pause_s = waited_s + pause_s, min(2 * pause_s, LONGEST_PAUSE_S)
        raise Unreachable(f"the study's database did not answer for {OUTAGE_S / 60:.0f} minutes ({why})")

    def _wait(self, pause_s: float) -> None:
        end = time.monotonic() + pause_s
        while not self._stop.code and (left_s := end - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.2))
