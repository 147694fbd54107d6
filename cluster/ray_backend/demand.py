"""Nodes that are asked of a cluster's autoscaler: for the first trial, and for more trials at once."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from cluster.config import ResourcesConfig
from cluster.interrupts import Stop
from cluster.ray_backend.nodes import gpus_for, living, no_room
from cluster.ray_backend.room import NODE_ID, Growth, count_slots
from lstm.messages.message import Say, note
from lstm.records.errors import Away, BadInput, fault

LOG = logging.getLogger(__name__)
MOST = 1_000  # places that are asked for at once
LOOK_S = 0.5  # between two looks for new nodes


class WaitEnded(BadInput):
    """The wait for a cluster's first node was interrupted: exit code 130, nothing written."""

    code = 130


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who waits for a place where trials can run."""

    trials: Callable[[], int]  # how many are to be run
    tell: Say  # is told what is waited for
    stop: Stop  # ends the wait


class Demand:
    """Places for trials that are asked for, each as a placement group that waits.

    None of them is for a node that is known: each would take a place there from a trial. Ray removes them with their
    driver, however that ends, so a cluster never grows for a sweep that is gone.
    """

    def __init__(self, ray: Any, cpus_per_trial: int, gpus_per_trial: float) -> None:
        """Prepare the demand; nothing is asked for yet."""
        self._ray = ray
        self._bundle = {"CPU": float(cpus_per_trial)} | ({"GPU": gpus_per_trial} if gpus_per_trial else {})
        self._known: tuple[str, ...] = ()
        self._held: list[Any] = []

    def ask(self, count: int) -> None:
        """Ask for so many places on nodes that are not there yet; what was asked for before counts."""
        from ray.util import placement_group

        known = tuple(sorted(str(node["NodeID"]) for node in living(self._ray)))
        if known != self._known:  # what waits may have been placed on a new node, or would be
            self.withdraw()
            self._known = known
        self.withdraw(down_to=max(0, count))
        elsewhere = {NODE_ID: f"!in({','.join(known)})"}
        while len(self._held) < min(count, MOST):
            self._held.append(placement_group([self._bundle], bundle_label_selector=[elsewhere] if known else None))

    def withdraw(self, down_to: int = 0) -> None:
        """Ask for no more places than this."""
        from ray.util import remove_placement_group

        while len(self._held) > down_to:
            remove_placement_group(self._held.pop())


def most_at_once(ray: Any, resources: ResourcesConfig, gpus: float, growth: Growth) -> int:
    """Return how many trials there may be at once when the cluster has grown as far as it can.

    Where the types are unknown, that is twice what there is now, and some.
    """
    now = count_slots(resources.cpus_per_trial, gpus)
    room = growth.room(resources.cpus_per_trial, gpus)
    most = max(now, room) if growth.types else 2 * now + 8
    return most if resources.max_concurrent == "auto" else min(most, resources.max_concurrent)


@contextmanager
def room_awaited(
    ray: Any, resources: ResourcesConfig, growth: Growth, waiting: Waiting, address: str | None
) -> Iterator[None]:
    """Wait until a node has room for a trial, asking for as many places as there are trials for.

    What was asked for is held as long as the context: while nodes are checked none of them counts as idle.

    Raises:
        BadInput: a trial fits on no node type, or the wait was ended.
    """
    gpus = gpus_for(ray, resources, growth)
    if count_slots(resources.cpus_per_trial, gpus):
        yield
        return
    if not growth.may_have(resources.cpus_per_trial, gpus):
        raise no_room(living(ray), resources, gpus, growth)
    wanted = min(waiting.trials(), most_at_once(ray, resources, gpus, growth))
    what = {"cpus": resources.cpus_per_trial, "gpus": gpus, "places": wanted}
    waiting.tell(
        note(
            "node-awaited",
            at=f"--address {address}",
            types=[str(each) for each in growth.types],
            why=growth.why,
            **what,
        )
    )
    demand = Demand(ray, resources.cpus_per_trial, gpus)
    try:
        while not count_slots(resources.cpus_per_trial, gpus):
            if why := waiting.stop.reason:
                ended = fault("wait-for-node-ended", at=f"--address {address}", why=why)
                raise WaitEnded(ended) if waiting.stop.code == 130 else Away(ended)
            demand.ask(wanted)
            time.sleep(LOOK_S)
        yield
    finally:
        demand.withdraw()


@contextmanager
def kept_asking(demand: Demand, missing: Callable[[], int]) -> Iterator[None]:
    """Ask, from a thread, for what `missing` says, again and again as it changes; ask for nothing at the end."""
    over = threading.Event()

    def act() -> None:
        while not over.wait(LOOK_S):
            try:
                demand.ask(missing())
            except RuntimeError:  # the trials changed while they were counted
                continue
            except Exception:
                LOG.exception("no more nodes are asked for")  # goes to the sweep's log
                return

    thread = threading.Thread(target=act, name="demand", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10.0)
        with suppress(Exception):  # the head may be gone, and all that was asked for with it
            demand.withdraw()
