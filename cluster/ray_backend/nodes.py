"""The nodes of a cluster: their room for trials, and checks that each node can run them."""

import importlib.util
import os
import platform
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.config import ResourcesConfig
from cluster.protocol import what_ray_said
from cluster.ray_backend.room import Growth, count_slots
from lstm import device
from lstm.messages.message import Message, Note, note
from lstm.records.errors import Away, BadInput, Fault, fault, refused
from lstm.storage import objects

LATE = ("node-silent", "no-worker-in-time")  # faults of nodes that may be right, and are only slow
ANSWER_S = 90.0  # for a node's check: longer than the 65 s that Ray takes to find a host dead


@dataclass(frozen=True, slots=True)
class Joined:
    """A cluster that is ready for trials."""

    address: str  # "local", or the cluster's address
    hosts: tuple[str, ...]
    cpus: float
    gpus: float
    slots: int  # trials that fit at once
    gpus_per_trial: float
    warnings: tuple[Message, ...]
    nodes: tuple[str, ...] = ()  # the ids of the nodes that were checked
    growth: Growth | None = None  # what the cluster may become; None if it has no autoscaler


def check(
    ray: Any,
    address: str | None,
    resources: ResourcesConfig,
    checkpoints: str,
    packages: Sequence[str] = (),
    growth: Growth | None = None,
) -> Joined:
    """Check every node of the cluster: room for a trial, our packages, the checkpoints' folder.

    `packages` are the packages that the user's own code imports; each node must have them. Of a cluster that can grow,
    a node that does not answer in time is left to the check of later nodes, if another one answers.

    Raises:
        BadInput: a node can't run trials; a fault for each reason.
    """
    nodes, gpus, slots = find_room(ray, resources, growth)
    checked, silent = {str(node.get("NodeID")) for node in nodes}, set[str]()
    if address:
        _check_nodes(ray, nodes, checkpoints, silent if growth else None)
        _check_packages(ray, [node for node in nodes if node.get("NodeID") not in silent], packages)
        nodes, gpus, slots = find_room(ray, resources, growth)  # a host may have been found dead
    else:
        check_here(checkpoints)
    notes = _check_gpus(ray, nodes, resources, local=not address) if gpus else []
    if notes and notes[-1].code == "no-gpu-usable":
        nodes, gpus, slots = find_room(ray, resources.model_copy(update={"gpus_per_trial": 0.0}), growth)
    open_door = address is not None and os.environ.get("RAY_AUTH_MODE", "") != "token"
    return Joined(
        address=address or "local",
        hosts=tuple(sorted(str(node["NodeManagerAddress"]) for node in nodes)),
        cpus=_total(nodes, "CPU"),
        gpus=_total(nodes, "GPU"),
        slots=slots,
        gpus_per_trial=gpus,
        warnings=(*((note("cluster-without-token"),) if open_door else ()), *notes),
        nodes=tuple(id_ for id_ in (str(node.get("NodeID")) for node in nodes) if id_ in checked - silent),
        growth=growth,
    )


def find_room(
    ray: Any, resources: ResourcesConfig, growth: Growth | None = None
) -> tuple[list[dict[str, Any]], float, int]:
    """Return the living nodes, the GPUs for a trial, and how many trials fit at once.

    Raises:
        BadInput: not even one trial fits.
    """
    nodes, gpus = living(ray), gpus_for(ray, resources, growth)
    slots = count_slots(resources.cpus_per_trial, gpus)
    if slots == 0:
        raise no_room(nodes, resources, gpus, growth)
    return nodes, gpus, slots


def living(ray: Any) -> list[dict[str, Any]]:
    """Return the nodes that live, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]


def gpus_for(ray: Any, resources: ResourcesConfig, growth: Growth | None) -> float:
    """Return the GPUs for a trial: what the spec says, or by what there is and what the autoscaler may start."""
    asked = resources.gpus_per_trial
    if asked != "auto":
        return float(asked)
    return 1.0 if _total(living(ray), "GPU") >= 1 or (growth is not None and growth.has_gpus) else 0.0


def no_room(nodes: list[dict[str, Any]], resources: ResourcesConfig, gpus: float, growth: Growth | None) -> BadInput:
    """Return the refusal of a trial that fits on no node, and on none that the autoscaler may start."""
    there = {
        "cpus": resources.cpus_per_trial,
        "gpus": gpus,
        "nodes": len(nodes),
        "cluster_cpus": _total(nodes, "CPU"),
        "cluster_gpus": _total(nodes, "GPU"),
    }
    if growth is None:
        return refused("trial-fits-no-node", "resources", **there)
    return refused("trial-fits-no-node-type", "resources", **there, types=[str(each) for each in growth.types])


def _host(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})"


def _total(nodes: list[dict[str, Any]], kind: str) -> float:
    return sum(float(node["Resources"].get(kind, 0.0)) for node in nodes)


def check_here(checkpoints: str) -> None:
    """Check that this machine can write checkpoints; the only node of a local Ray has this very Python and PyTorch.

    Raises:
        BadInput: it can't write them.
    """
    probe = f".probe-{uuid.uuid4().hex}"
    try:
        if trouble := _trouble(checkpoints, f"{probe}-here"):
            raise BadInput(objects.unwritable(checkpoints, trouble, at=platform.node()))
    finally:
        forget(checkpoints, probe)


def _check_gpus(ray: Any, nodes: list[dict[str, Any]], resources: ResourcesConfig, *, local: bool) -> list[Note]:
    """Return notes on GPUs that PyTorch can't use; the last one is "no-gpu-usable" if it can use none at all.

    Raises:
        BadInput: some GPUs can't be used, and the spec asks for a number of GPUs.
    """
    owners = [node for node in nodes if node["Resources"].get("GPU", 0.0) >= 1]
    usable, faults = 0, list[Fault]()
    for node, (count, why) in zip(
        owners, [usable_gpus() for _ in owners] if local else _ask_for_gpus(ray, owners), strict=True
    ):
        there = int(node["Resources"]["GPU"])
        usable += count
        if count < there:
            path = "resources.gpus_per_trial"
            faults.append(fault("gpus-unusable", path, at=_host(node), usable=count, there=there, why=why))
    if faults and resources.gpus_per_trial != "auto":
        raise BadInput(*faults)
    notes = [note("gpus-unused", at=each.place, **each.values) for each in faults]
    return [*notes, note("no-gpu-usable", "resources.gpus_per_trial")] if notes and not usable else notes


def _ask_for_gpus(ray: Any, nodes: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Return each node's usable GPUs. A node that does not answer has died, or its trials will show its fault."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0)(usable_gpus)
    pinned = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    asked = [task.options(scheduling_strategy=each).remote() for each in pinned]
    end, answers = time.monotonic() + ANSWER_S, []
    for node, each in zip(nodes, asked, strict=True):
        try:
            answers.append(ray.get(each, timeout=max(0.0, end - time.monotonic())))
        except ray.exceptions.RayError:
            answers.append((int(node["Resources"]["GPU"]), ""))
    return answers


def usable_gpus() -> tuple[int, str]:
    """On a node: return the number of GPUs that PyTorch can use, and why there are none."""
    return device.gpu_count(), device.why_no_gpu()


def _check_nodes(ray: Any, nodes: list[dict[str, Any]], checkpoints: str, silent: set[str] | None = None) -> None:
    """Check versions, folder and workers; `silent`, if given, takes the nodes that do not answer in time."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = f".probe-{uuid.uuid4().hex}"

    def ask(task: Callable[[str, str], Any]) -> list[Any]:
        answers = []
        for node in nodes:
            pinned = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            answers.append(ray.remote(num_cpus=0)(task).options(scheduling_strategy=pinned).remote(checkpoints, probe))
        return answers

    end = time.monotonic() + ANSWER_S
    answers = ask(look)
    try:
        found = [
            (node["NodeID"], f)
            for node, answer in zip(nodes, answers, strict=True)
            for f in _faults(ray, node, answer, end, checkpoints, probe)
        ]
    finally:
        forget(checkpoints, probe)
    if faults := _told(found, silent, len(nodes)):
        answers = ask(forget)  # what a node wrote to its own disk
        ray.wait(answers, num_returns=len(answers), timeout=10)
        raise (Away if _are_late(faults) else BadInput)(*faults)
    _check_actors(ray, time.monotonic() + ANSWER_S if silent else end, silent)  # the silent ones have taken all of it


def _told(found: list[tuple[str, Fault]], silent: set[str] | None, count: int) -> list[Fault]:
    """Return the faults of nodes; where `silent` may take those that did not answer in time, it does so."""
    late = {node for node, each in found if each.code in LATE}
    if silent is None or len(late) == count:
        return [each for _, each in found]
    silent |= late
    return [each for node, each in found if node not in late]


def _are_late(faults: Sequence[Fault]) -> bool:
    """Return whether time alone was lacking. A launched job is then tried again: a node may have just started."""
    return all(each.code in LATE for each in faults)


def _check_packages(ray: Any, nodes: list[dict[str, Any]], packages: Sequence[str]) -> None:
    """Check that each node has the packages; a node that has died lacks nothing.

    Raises:
        BadInput: a node lacks packages.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if not packages:
        return
    pinned = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    task = ray.remote(num_cpus=0)(lacking)
    answers = [task.options(scheduling_strategy=where).remote(list(packages)) for where in pinned]
    ray.wait(answers, num_returns=len(answers), timeout=ANSWER_S)
    faults = []
    for node, answer in zip(nodes, answers, strict=True):
        with suppress(ray.exceptions.RayError):
            if missing := ray.get(answer, timeout=0.0):
                faults.append(fault("packages-missing", at=_host(node), packages=missing))
    if faults:
        raise BadInput(*faults)


def lacking(packages: Sequence[str]) -> list[str]:
    """On a node: return the packages that it lacks."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


class _Actor:
    """An actor to try on a node: trials run in actors, and a task that runs says nothing about actors."""

    def lives(self) -> bool:
        """Return True."""
        return True


def _check_actors(ray: Any, end: float, silent: set[str] | None = None) -> None:
    """Check that a worker starts on each node that has room for trials; `silent` as in `_check_nodes`.

    Raises:
        Away: it starts on no node, or does not in time.
        BadInput: it does not start on some nodes; the faults say what Ray says about each.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    made = ray.remote(num_cpus=0)(_Actor)
    nodes = [node for node in ray.nodes() if node["Alive"] and node.get("Resources", {}).get("CPU")]
    nodes = [node for node in nodes if node["NodeID"] not in (silent or ())]
    pinned = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    actors = [made.options(scheduling_strategy=where).remote() for where in pinned]
    answers = [actor.lives.remote() for actor in actors]
    pairs = zip(nodes, answers, strict=True)
    found = [(node["NodeID"], f) for node, answer in pairs for f in _lifeless(ray, node, answer, end)]
    if not (faults := _told(found, silent, len(nodes))):
        return
    refusal = Away if len(faults) == len(nodes) or _are_late(faults) else BadInput
    if os.environ.get("RAY_AUTH_MODE") == "token":
        faults.append(fault("token-for-cluster-without", at="RAY_AUTH_MODE"))
    raise refusal(*faults)


def _lifeless(ray: Any, node: dict[str, Any], answer: Any, end: float) -> Iterator[Fault]:
    """Yield the fault that keeps a node from starting a worker; none if the node has died meanwhile."""
    try:
        ray.get(answer, timeout=max(1.0, end - time.monotonic()))
    except ray.exceptions.RayError as error:
        if any(other["Alive"] for other in ray.nodes() if other["NodeID"] == node["NodeID"]):
            if isinstance(error, ray.exceptions.GetTimeoutError):
                yield fault("no-worker-in-time", at=_host(node), seconds=ANSWER_S)
            else:
                yield fault("no-worker-lives", at=_host(node), why=what_ray_said(str(error)))


def _faults(ray: Any, node: dict[str, Any], answer: Any, end: float, checkpoints: str, probe: str) -> Iterator[Fault]:
    """Yield what keeps a node from running trials, by its answer to `look`; nothing for a node that has died."""
    host = _host(node)
    try:
        versions, trouble = ray.get(answer, timeout=max(0.0, end - time.monotonic()))
    except ray.exceptions.RayError as error:
        if not any(other["Alive"] for other in ray.nodes() if other["NodeID"] == node["NodeID"]):
            return
        if isinstance(error, ray.exceptions.GetTimeoutError):
            yield fault("node-silent", at=host, seconds=ANSWER_S)
        else:
            yield fault("node-fails", at=host, why=(str(error).splitlines() or [""])[-1][:200])
        return
    yield from differences(host, versions, trouble, checkpoints, f"{probe}-{node['NodeID']}")


def differences(host: str, versions: tuple[str, str], trouble: str, checkpoints: str, probe: str) -> Iterator[Fault]:
    """Yield what keeps a node from running trials, by what `look` returned there; `probe` is the file's name."""
    for what, theirs, ours in zip(("Python", "torch"), versions, _versions(), strict=True):
        if theirs != ours:
            yield fault("versions-differ", at=host, what=what, theirs=theirs, ours=ours)
    if trouble:
        yield objects.unwritable(checkpoints, trouble, at=host)
    elif "://" not in checkpoints and not (Path(checkpoints) / probe).exists():
        yield fault("folder-not-shared", at=host, folder=checkpoints)


def look(checkpoints: str, probe: str) -> tuple[tuple[str, str], str]:
    """On a node: return its versions, and what keeps it from writing checkpoints ("" if nothing does)."""
    import ray

    return _versions(), _trouble(checkpoints, f"{probe}-{ray.get_runtime_context().get_node_id()}")


def _trouble(checkpoints: str, name: str) -> str:
    """Return what keeps this process from writing checkpoints, "" if nothing does."""
    from lstm import checkpoint

    try:
        checkpoint.probe(checkpoints, name)
    except Exception as error:  # a file system may raise any error; its class is reported
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:500]}"
    return ""


def forget(checkpoints: str, probe: str, node: str = "*") -> None:
    """Remove what `look` left in a folder, as far as it is visible from here, and what killed drivers left there.

    With a node, what `look` left there alone: other nodes may be at it.

    A file's age is measured against a file that was just written, with the same clock, whichever that is.
    """
    mine: dict[Path, float] = {}
    for left in Path(checkpoints).glob(f"{probe}-{node}") if "://" not in checkpoints else ():
        with suppress(OSError):  # a few bytes may stay; the next driver tries again
            mine[left] = left.stat().st_mtime
            left.unlink()
    for others in (".probe-*", "..probe-*") if mine else ():  # complete and half-written files
        for other in Path(checkpoints).glob(others):
            with suppress(OSError):  # another driver may do the same at this moment
                if other.stat().st_mtime < max(mine.values()) - 2 * ANSWER_S:
                    other.unlink()


def _versions() -> tuple[str, str]:
    return platform.python_version(), device.version()
