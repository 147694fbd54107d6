"""What a worker tells the driver in a step's result, and what Ray's own sentences say of one that is gone.

Tune flattens mappings, so messages are records. No other file reads Ray's sentences; samples of them are in the tests.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from lstm.messages.message import Message
from lstm.records.goodput import NOTHING, Spent

FINISHED = "FINISHED"  # in place of an order: none will come any more
LOST, OUT_OF_MEMORY = "its process or its host was lost", "its host ran out of memory"
RAISED = "its process could not go on"


class Handle(Protocol):
    """What a driver holds a worker by while that has a trial."""

    def wind_up(self) -> None:
        """No epoch is to come any more: the next step probes."""
        ...

    def kill(self) -> None:
        """Ends the worker, which may be gone already."""
        ...


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt has begun."""

    worker: str  # host, pid and GPU numbers, for people
    at_ms: int
    pid: int  # of the actor's process
    broken: tuple[Message, ...]  # of checkpoints that could not be used
    # The worker's handle, to be popped: Tune pickles what is left in results, and a handle can't be.
    actor: list[Handle] = field(default_factory=list, compare=False)
    before: Spent = NOTHING  # of earlier attempts' workers, as far as the checkpoint knows


@dataclass(frozen=True, slots=True)
class Probed:
    """What the network of the trial's best epoch is like; the trial ends with it."""

    numbers: Mapping[str, float]  # empty where it could not be measured
    best_epoch: int
    at_ms: int
    trouble: str = ""  # why it could not


Kind = Literal["diverged", "broken", "passing", "storage", "refused"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial can't go on: out of memory alone (diverged), it would fail again (broken), or it may pass.

    Where storage does not take or give its checkpoints it is no fault of the trial, and is not counted. Where what is
    there may not be used (refused), being another study's, the sweep ends.
    """

    kind: Kind
    text: str


def what_ray_said(text: str) -> str:
    """Ray's sentences, without its count of failures, its ids and lines of code."""
    plain = re.sub(r"\x1b\[\d*m", "", text)
    told = [line for line in plain.splitlines() if line.strip() and not re.match(r"Failure # \d+|\s", line)]
    return " ".join(told)[:1000]


def why_lost(said: str) -> str:
    """Why an actor is no more, by what Ray said: of its memory monitor, or of an error that was not in our own step.

    Of any other end Ray says that the kernel may have had no memory.
    """
    if "memory usage threshold" in said:
        return OUT_OF_MEMORY
    if re.search(r"ray::\w+\.\w+\(\)", said):  # a traceback: what follows its last line of code is the error
        *frames, error = re.split(r"\n\s+.*\n(?=\S)", said)
        return f"{RAISED}: {error.splitlines()[0][:300]}" if frames else RAISED
    return LOST


def killed_for_memory(said: str) -> set[int]:
    """Ids of the processes that Ray's memory monitor ended, by what Ray said."""
    return {int(pid) for pid in re.findall(r"pid=(\d+)", "".join(re.findall(r"Selected to kill:.*", said)))}
