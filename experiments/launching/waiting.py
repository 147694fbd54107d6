"""In the job of a launched sweep: wait for what does not answer now. Nobody is there to give the command again."""

import time
from collections.abc import Callable
from typing import TypeVar

from cluster.launch import record
from experiments.terminal.output import print_note
from lstm.messages.message import note
from lstm.records.errors import Refusal, may_pass, why_of

WAIT_S = 600.0  # as long as a driver waits for the study's database in the middle of its work
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 30.0
T = TypeVar("T")


def patiently(act: Callable[[], T]) -> T:
    """Return what `act` returns; in a launched job, call it again while what it needs does not answer.

    Raises:
        Refusal: as `act` does, of what will be refused again, outside of a launched job, or after `WAIT_S`.
    """
    end, pause_s = time.monotonic() + WAIT_S, FIRST_PAUSE_S
    while True:
        try:
            return act()
        except Refusal as error:
            if not (record.of_environment() and may_pass(error)) or time.monotonic() + pause_s > end:
                raise
            print_note(note("launched-waits", why=why_of(error), pause_s=pause_s))
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
