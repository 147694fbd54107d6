"""Asks each node of a cluster, after the checks that `run` makes; a node that can't answer stops nobody."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster.config import ResourcesConfig
from cluster.ray_backend.connection import check_address, reached
from cluster.ray_backend.nodes import ANSWER_S, Joined, check, gpus_for
from cluster.ray_backend.room import growth
from lstm.records.errors import BadInput, Fault


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a cluster, as Ray describes it."""

    id: str
    address: str
    name: str
    ports: tuple[int, ...]  # at which each other host must reach it
    gpus: int
    memory: int  # bytes that Ray keeps objects in


@dataclass(frozen=True, slots=True)
class Answer:
    """What a node answered, and when by this host's clock."""

    value: Any  # None if it did not answer
    asked_s: float
    answered_s: float


class Cluster:
    """A cluster that was joined, and what `run` would say of it; neither if it would wait for a node with room."""

    def __init__(self, ray: Any, joined: Joined | None, faults: Sequence[Fault]) -> None:
        self._ray, self.joined, self.faults = ray, joined, tuple(faults)
        self.nodes = [_node(each) for each in ray.nodes() if each["Alive"]]

    def ask(self, task: Callable[..., Any], arguments: Callable[[Node], Sequence[Any]]) -> list[Answer]:
        """Call a function on each node, in the order of the nodes; `arguments` are those of a node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        remote, asked_s = self._ray.remote(num_cpus=0)(task), time.time()
        pinned = [NodeAffinitySchedulingStrategy(node.id, soft=False) for node in self.nodes]
        found = [
            remote.options(scheduling_strategy=where).remote(*arguments(node))
            for node, where in zip(self.nodes, pinned, strict=True)
        ]
        end, answers = time.monotonic() + ANSWER_S, []
        for each in found:
            try:
                value = self._ray.get(each, timeout=max(0.0, end - time.monotonic()))
            except self._ray.exceptions.RayError:
                value = None
            answers.append(Answer(value, asked_s, time.time()))
        return answers


@contextmanager
def opened(
    address: str, resources: ResourcesConfig, checkpoints: str, packages: Sequence[str] = ()
) -> Iterator[Cluster]:
    """Join a cluster and check it as `run` does. It is no fault if `run` would wait for a first node with room.

    Raises:
        BadInput: there is no cluster that can be joined at the address.
    """
    check_address(address)
    with reached(address, ours=False) as (ray, _):
        joined, faults, grows = None, list[Fault](), growth(ray)
        try:
            joined = check(ray, address, resources, checkpoints, packages, grows)
        except BadInput as error:
            comes = grows and grows.may_have(resources.cpus_per_trial, gpus_for(ray, resources, grows))
            faults += (each for each in error.faults if not (comes and each.code == "trial-fits-no-node-type"))
        yield Cluster(ray, joined, faults)


def _node(node: dict[str, Any]) -> Node:
    ports = (node.get("NodeManagerPort"), node.get("ObjectManagerPort"))
    return Node(
        id=str(node["NodeID"]),
        address=str(node["NodeManagerAddress"]),
        name=f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})",
        ports=tuple(int(port) for port in ports if port),
        gpus=int(node["Resources"].get("GPU", 0.0)),
        memory=int(node["Resources"].get("object_store_memory", 0.0)),
    )
