"""Nodes that join a cluster while a sweep runs: each is checked before a trial begins there."""

import socket
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cluster.config import ResourcesConfig
from cluster.ray_backend.nodes import differences, forget, lacking, look, usable_gpus
from cluster.ray_backend.room import NODE_ID, count_slots
from lstm.messages.message import Say, note
from lstm.records.errors import Fault, fault

PATIENCE = 3  # nodes that are left out one after another, after which no more are asked for


@dataclass(frozen=True, slots=True)
class Entry:
    """What a worker needs to know to be let in; it is sent with each order."""

    fit: tuple[str, ...]  # the ids of the nodes that were checked
    unfit: tuple[str, ...]  # the ids of those that can't run trials
    checkpoints: str
    probe: str  # how the names of the files begin that nodes write into that folder
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a worker saw on a node that nobody has checked."""

    node: str  # its id
    host: str  # for people
    versions: tuple[str, str]
    trouble: str  # what keeps it from writing checkpoints
    lacking: tuple[str, ...]  # packages
    gpus: tuple[int, int, str]  # those that PyTorch can use, those that the trial was given, and why not all
    actor: list[Any] = field(default_factory=list, compare=False)  # to be popped: Tune pickles results


def see(entry: Entry | None) -> Seen | None:
    """On a node, before its first trial: return what the driver judges the node by; None if it did so already."""
    if entry is None:
        return None
    import ray

    here = ray.get_runtime_context()
    node = here.get_node_id()
    if node in entry.fit:
        return None
    versions, trouble = look(entry.checkpoints, entry.probe)
    given = len(ray.get_gpu_ids())
    usable, why = usable_gpus() if given else (0, "")
    host = f"{ray.util.get_node_ip_address()} ({socket.gethostname()})"
    gpus = (min(usable, given), given, why)
    return Seen(node, host, versions, trouble, tuple(lacking(entry.packages)), gpus, [here.current_actor])


class Admission:
    """The nodes of a cluster that a sweep may use, as far as they are known."""

    def __init__(
        self,
        nodes: Sequence[str],
        checkpoints: str,
        packages: Sequence[str],
        tell: Say,
        resources: ResourcesConfig,
        gpus_per_trial: float,
    ) -> None:
        """Start with the nodes that were checked."""
        self._fit, self.unfit = dict.fromkeys(nodes), dict[str, str]()
        self._checkpoints, self._packages, self._tell = checkpoints, tuple(packages), tell
        self._must_have_gpus = resources.gpus_per_trial != "auto"
        self._trial = resources.cpus_per_trial, gpus_per_trial
        self._in_a_row = 0
        self._probe = f".probe-{uuid.uuid4().hex}"

    @property
    def is_hopeless(self) -> bool:
        """Return whether so many new nodes were left out that more of them would not help."""
        return self._in_a_row >= PATIENCE

    def entry(self) -> Entry:
        """Return what the next order's worker needs to know."""
        return Entry(tuple(self._fit), tuple(self.unfit), self._checkpoints, self._probe, self._packages)

    def judge(self, seen: Seen) -> str:
        """Return why trials can't run on a node; "" if they can. What is wrong is told once for each node."""
        is_known = seen.node in self._fit or seen.node in self.unfit  # two of its workers may have looked at once
        faults = [] if is_known else [*self._faults(seen)]
        forget(self._checkpoints, self._probe, seen.node)
        if is_known:
            return self.unfit.get(seen.node, "")
        if not faults:
            self._fit[seen.node], self._in_a_row = None, 0
            return ""
        self.unfit[seen.node] = "; ".join(each.text for each in faults)
        self._in_a_row += 1
        self._clean(seen.node)
        for each in faults:
            self._tell(note("node-left-out", at=seen.host, why=each.text, mend=each.mend))
        if self.is_hopeless:
            self._tell(note("no-more-nodes-asked", count=self._in_a_row))
        return self.unfit[seen.node]

    def _clean(self, node: str) -> None:
        """Remove what a node wrote into a folder that only it sees."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        pinned = NodeAffinitySchedulingStrategy(node, soft=False)
        ray.remote(num_cpus=0)(forget).options(scheduling_strategy=pinned).remote(self._checkpoints, self._probe, node)

    def _faults(self, seen: Seen) -> list[Fault]:
        found = [*differences(seen.host, seen.versions, seen.trouble, self._checkpoints, f"{self._probe}-{seen.node}")]
        if seen.lacking:
            found.append(fault("packages-missing", at=seen.host, packages=list(seen.lacking)))
        usable, there, why = seen.gpus
        if usable < there:
            values: dict[str, Any] = {"usable": usable, "there": there, "why": why}
            if self._must_have_gpus:
                found.append(fault("gpus-unusable", "resources.gpus_per_trial", at=seen.host, **values))
            elif not found:
                self._tell(note("gpus-unused", at=seen.host, **values))
        return found

    def slots(self) -> int:
        """Return how many trials fit at once on the nodes that live now and were not left out."""
        return count_slots(*self._trial, self.unfit)


def placing(resources: Mapping[str, float]) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function of a trial's order that says what the trial takes, and on which nodes it may not be."""
    bundle = {"CPU": float(resources["cpu"]), "GPU": float(resources["gpu"])}
    return partial(_place, bundle)


def _place(bundle: Mapping[str, float], order: Mapping[str, Any]) -> Any:
    from ray.tune import PlacementGroupFactory

    entry: Entry | None = order.get("nodes")
    if entry is None or not entry.unfit:
        return PlacementGroupFactory([dict(bundle)])
    return PlacementGroupFactory([dict(bundle)], bundle_label_selector=[{NODE_ID: f"!in({','.join(entry.unfit)})"}])
