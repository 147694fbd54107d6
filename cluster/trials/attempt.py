"""An attempt at a trial, while a worker has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.messages import Handle
from lstm.records.epoch import Epoch
from lstm.records.goodput import NOTHING, Spent
from lstm.records.state import Derived, counts


@dataclass(slots=True)
class Attempt:
    """A trial that Tune holds."""

    number: int
    attempt: int
    settings: Mapping[str, Any]
    config: Mapping[str, Any]
    address: str
    epochs: list[Epoch] = field(default_factory=list)
    is_read: bool = False  # whether its epochs are all that its checkpoints hold
    ended: bool = False
    worker: str = ""  # host, pid and device, for people
    pid: int = 0  # of the worker, on its host
    actor: Handle | None = None  # its worker's handle, once that has started
    known: Spent = NOTHING  # what a checkpoint knows that no actor told
    waits: bool = False  # for the storage of checkpoints, and that was told
    born: bool = False  # whether a worker came to life for it
    error: str = ""  # what Ray said when its actor was lost
    derived: Derived | None = None
    pruned_after: int = 0  # the epoch after which it was pruned, while it is only to be probed

    @property
    def is_beside(self) -> bool:
        """Whether it is beside the search, which no other trial is compared with while that goes on."""
        return not counts(self.derived)
