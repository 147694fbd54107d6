"""The room that a cluster has for trials: on the nodes that live now, and on those that its autoscaler may start."""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cluster.ray_backend import private_patches

NO_BOUND = 1_000_000  # nodes, where a type has no maximum
LOOK_S = 30.0  # for the head's answer
NODE_ID = "ray.io/node-id"  # Ray's label of each node


@dataclass(frozen=True, slots=True)
class NodeType:
    """A type of nodes that the autoscaler may start."""

    name: str
    cpus: float
    gpus: float
    most: int  # nodes of it at once

    def __str__(self) -> str:
        """Return the type for people."""
        gpus = f" and {self.gpus:g} GPUs" if self.gpus else ""
        return f"{self.name} with {self.cpus:g} CPUs{gpus}"


@dataclass(frozen=True, slots=True)
class Growth:
    """What the autoscaler of a cluster may start."""

    types: tuple[NodeType, ...]
    most: int  # nodes of all types at once
    why: str = ""  # why the types are unknown, where they are

    def room(self, cpus_per_trial: int, gpus_per_trial: float) -> int:
        """Return how many trials fit at once on the nodes that there may be; those that can't grow do not count."""
        left, slots = self.most, 0
        fits = [(fit(each.cpus, each.gpus, cpus_per_trial, gpus_per_trial), each.most) for each in self.types]
        for each, most in sorted(fits, reverse=True):
            nodes = min(left, most)
            left, slots = left - nodes, slots + nodes * each
        return slots

    def may_have(self, cpus_per_trial: int, gpus_per_trial: float) -> bool:
        """Return whether a node may come that has room for a trial; where the types are unknown, one may."""
        return not self.types or self.room(cpus_per_trial, gpus_per_trial) > 0

    @property
    def has_gpus(self) -> bool:
        """Return whether a type has a whole GPU."""
        return any(each.gpus >= 1 for each in self.types)


def fit(cpus: float, gpus: float, cpus_per_trial: int, gpus_per_trial: float) -> int:
    """Return how many trials fit at once on a machine; a fraction of a GPU never spans two GPUs."""
    by_cpu = int(cpus // cpus_per_trial)
    if not gpus_per_trial:
        return by_cpu
    by_gpu = gpus // gpus_per_trial if gpus_per_trial >= 1 else int(gpus) * int(1 / gpus_per_trial + 1e-9)
    return min(by_cpu, int(by_gpu))


def count_slots(cpus_per_trial: int, gpus_per_trial: float, without: Collection[str] = ()) -> int:
    """Return how many trials fit at once on the nodes that live now; the cluster may grow and shrink.

    Nodes whose ids are in `without` do not count.
    """
    import ray

    resources = [node["Resources"] for node in ray.nodes() if node["Alive"] and node.get("NodeID") not in without]
    return sum(fit(node.get("CPU", 0.0), node.get("GPU", 0.0), cpus_per_trial, gpus_per_trial) for node in resources)


def growth(ray: Any) -> Growth | None:
    """Return what the cluster's autoscaler may start; None if the cluster has no autoscaler."""

    def on_head(call: Callable[[str], Any], address: str) -> Any:
        head = next((node for node in ray.nodes() if node["Alive"] and _is_head(node)), None)
        if head is None:  # of a cluster that has just started: its processes may not be there yet either
            return {"types": {}, "most": None, "why": "the head has not joined its cluster yet"}
        if head["NodeID"] == ray.get_runtime_context().get_node_id():
            return call(address)
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        pinned = NodeAffinitySchedulingStrategy(head["NodeID"], soft=False)
        asked = ray.remote(num_cpus=0)(call).options(scheduling_strategy=pinned).remote(address)
        with suppress(ray.exceptions.RayError):
            return ray.get(asked, timeout=LOOK_S)
        return {"types": {}, "most": None, "why": "the head did not answer"}

    found = private_patches.node_types(ray, on_head)
    if found is None:
        return None
    types = [
        NodeType(name, float(row.get("CPU", 0.0)), float(row.get("GPU", 0.0)), NO_BOUND if most < 0 else most)
        for name, (row, most) in sorted(found["types"].items())
    ]
    types, most, why = [each for each in types if each.most], found["most"], str(found.get("why", ""))
    return Growth(tuple(types), NO_BOUND if most is None else int(most), why) if types or why else None


def _is_head(node: dict[str, Any]) -> bool:
    return "node:__internal_head__" in node.get("Resources", {})
