"""The state of an attempt at a trial while a worker has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.protocol import Handle
from lstm.records.epoch import Epoch
from lstm.records.goodput import NOTHING, Spent
from lstm.records.state import Derived, counts


@dataclass(slots=True)
class Attempt:
    """An attempt at a trial, from its suggestion until the executor releases it."""

    number: int
    attempt: int
    settings: Mapping[str, Any]
    config: Mapping[str, Any]
    address: str
    epochs: list[Epoch] = field(default_factory=list)
    is_read: bool = False  # whether `epochs` has all epochs of its checkpoints
    ended: bool = False
    worker: str = ""  # host, pid and device, for people
    pid: int = 0  # of the worker, on its host
    actor: Handle | None = None  # its worker's handle, after the worker has started
    known: Spent = NOTHING  # worker time that a checkpoint knows and no worker reported
    waits: bool = False  # whether it waits for the storage of checkpoints, as was reported
    born: bool = False  # whether a worker started for it
    error: str = ""  # what Ray said when its actor was lost
    derived: Derived | None = None
    pruned_after: int = 0  # the epoch after which it was pruned, if only its probe is left

    @property
    def is_beside(self) -> bool:
        """True if it is outside the search: no other trial is compared with it while the search goes on."""
        return not counts(self.derived)

    @property
    def order(self) -> dict[str, Any]:
        """The part of a worker's order that is the trial's own."""
        return {
            "number": self.number,
            "attempt": self.attempt,
            "address": self.address,
            "trial": self.config,
            "over": bool(self.pruned_after),
            **({"derived": self.derived.row()} if self.derived and self.derived.has_budget else {}),
        }
