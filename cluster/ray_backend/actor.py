"""The worker's side of Ray Tune: an actor around a worker, and the driver's handle on it."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune

from cluster.goodput import Clock, process_age_s
from cluster.protocol import Handle
from cluster.ray_backend.admission import Seen, see
from cluster.worker import TrialWorker
from lstm.data.dataset import Dataset


@dataclass(frozen=True, slots=True)
class ActorHandle:
    """The driver's handle on an actor."""

    actor: Any

    def wind_up(self) -> None:
        """Let the next step probe. Ray keeps the order of one process's calls, so this call comes before that step."""
        self.actor.wind_up.remote()

    def kill(self) -> None:
        """Kill the actor, which may be gone already."""
        with suppress(ray.exceptions.RayError, ValueError):
            ray.kill(self.actor)


class TrialActor(tune.Trainable):  # type: ignore[misc] # Ray ships no types
    """A worker as a Tune trainable; see `TrialWorker` for its orders and results."""

    def __new__(cls, *_: Any, **__: Any) -> "TrialActor":
        """Start the clock before Tune's own part, which fetches the series."""
        made: TrialActor = super().__new__(cls)
        made._clock = Clock(process_age_s())
        return made

    def setup(self, config: dict[str, Any], series: Dataset | None = None) -> None:
        """Start the actor's first trial; the series is in the object store, once for all trials of a host."""
        assert series is not None
        self._worker = TrialWorker(series, self._clock, name=_name, handle=_handle, passing=(ray.exceptions.RayError,))
        self._order: dict[str, Any] | None = config
        self._seen: Seen | None = see(config.get("nodes"))
        if self._seen is None:
            self._begin()

    def _begin(self) -> None:
        if self._order is not None:
            order, self._order = self._order, None
            self._worker.begin(order)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial in the same process."""
        if self._order is not None:  # the first one ended before it began
            self._order = new_config
        else:
            self._worker.take(new_config)
        return True

    def wind_up(self) -> None:
        """Train no further: the next step probes."""
        self._worker.wind_up()

    def step(self) -> dict[str, Any]:
        """Report the start, then one epoch at a time. On a node that nobody has checked report that node before."""
        if self._seen is not None:
            seen, self._seen = self._seen, None
            return {"node": seen, "epochs": (), "done": False}
        self._begin()
        return self._worker.step()

    def cleanup(self) -> None:
        """Release the trial."""
        self._worker.let_go()


def _handle() -> list[Handle]:
    return [ActorHandle(ray.get_runtime_context().current_actor)]


def _name(device: str) -> str:
    place = f"{ray.util.get_node_ip_address()} ({socket.gethostname()}) pid {os.getpid()}"
    if device == "cuda":
        return f"{place} gpu {','.join(map(str, ray.get_gpu_ids()))}"
    # The device in use, whatever was reserved. Without a GPU in the cluster it needs no mention.
    return f"{place} cpu" if ray.cluster_resources().get("GPU") else place
