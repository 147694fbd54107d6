"""The messages of a worker to the driver, and what Ray's own sentences say about a lost worker.

Tune flattens mappings, so messages are records. No other file reads Ray's sentences; the tests have samples of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from lstm.messages.message import Message
from lstm.records.goodput import NOTHING, Spent

FINISHED = "FINISHED"  # in place of an order: no more orders will come
LOST, OUT_OF_MEMORY = "its process or its host was lost", "its host ran out of memory"
RAISED = "its process could not go on"


class Handle(Protocol):
    """The driver's handle on a worker while that has a trial."""

    def wind_up(self) -> None:
        """Let the worker train no further: its next step probes."""
        ...

    def kill(self) -> None:
        """End the worker, which may be gone already."""
        ...


@dataclass(frozen=True, slots=True)
class Started:
    """The start of an attempt."""

    worker: str  # host, pid and GPU numbers, for people
    at_ms: int
    pid: int  # of the actor's process
    broken: tuple[Message, ...]  # about checkpoints that could not be used
    # The worker's handle, to be popped: Tune pickles results, and a handle can't be pickled.
    actor: list[Handle] = field(default_factory=list, compare=False)
    before: Spent = NOTHING  # by earlier attempts' workers, according to the checkpoint


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe of the trial's best epoch found; the trial ends with it."""

    numbers: Mapping[str, float]  # empty if the network could not be measured
    best_epoch: int
    at_ms: int
    trouble: str = ""  # why it could not be measured


Kind = Literal["diverged", "broken", "passing", "spoilt", "storage", "refused", "node"]


@dataclass(frozen=True, slots=True)
class Failure:
    """The reason why an attempt can't go on, by kind.

    diverged: the trial ran out of memory. broken: it would fail again. passing: another try may work. spoilt: another
    try may work in another process, since this one can't use its GPU any more. storage: its checkpoints can't be read
    or written; the trial is not at fault, and no loss is counted. refused: the checkpoints there belong to another
    study or a newer version, and must not be used; the sweep ends. node: no trial can run on that node; this one has
    not begun, and no loss is counted.
    """

    kind: Kind
    text: str


def what_ray_said(text: str) -> str:
    """Return Ray's sentences without its count of failures, ids and lines of code; at most 1000 characters."""
    plain = re.sub(r"\x1b\[\d*m", "", text)
    told = [line for line in plain.splitlines() if line.strip() and not re.match(r"Failure # \d+|\s", line)]
    return " ".join(told)[:1000]


def why_lost(said: str) -> str:
    """Return why an actor was lost, from Ray's text: its memory monitor, or an error outside our own step.

    For any other end Ray's text names lack of memory as a possible cause, so that says nothing.
    """
    if "memory usage threshold" in said:
        return OUT_OF_MEMORY
    if re.search(r"ray::\w+\.\w+\(\)", said):  # a traceback: what follows its last line of code is the error
        *frames, error = re.split(r"\n\s+.*\n(?=\S)", said)
        return f"{RAISED}: {error.splitlines()[0][:300]}" if frames else RAISED
    return LOST


def killed_for_memory(said: str) -> set[int]:
    """Return the ids of the processes that Ray's memory monitor killed, from Ray's text."""
    return {int(pid) for pid in re.findall(r"pid=(\d+)", "".join(re.findall(r"Selected to kill:.*", said)))}
