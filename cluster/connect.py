"""Joins a Ray cluster, or starts a local one; every node is checked before the first trial, the head is watched."""

import atexit
import gc
import logging
import os
import platform
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cluster
import lstm
from cluster import head, scratch
from cluster.config import ResourcesConfig
from cluster.result import what_ray_said
from lstm import device
from lstm.records import BadInput, NoWorker

SEEN = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}  # a task that takes no GPU may look at them
# Read by Ray and Tune when they are imported or started.
SETTINGS = {
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",  # under `ray job submit` too, workers get our rooms alone
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run`, too: Ray would look for its pyproject.toml among them
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's own progress output
    **SEEN,
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the sweep's own handler keeps what was acknowledged
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # nothing of Tune's state is needed to resume
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "30",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "5",
}
CHOICES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}  # likewise, where the environment says nothing
# What the environment of a launcher, or of other work with Ray, would make of ours: another runtime environment,
# Ray Client, somebody's callbacks, several epochs in one report.
NOT_OURS = (
    "RAY_RUNTIME_ENV_HOOK",
    "RAY_CLIENT_MODE",
    "RAY_TUNE_CALLBACKS",
    "TUNE_RESULT_BUFFER_LENGTH",
    "TUNE_RESULT_BUFFER_MIN_TIME_S",
)
# And of a local Ray: another cluster's address, storage, port, size, job.
NOT_LOCAL = (
    "RAY_ADDRESS",
    "RAY_REDIS_ADDRESS",
    "RAY_GCS_SERVER_PORT",
    "RAY_OVERRIDE_RESOURCES",
    "RAY_JOB_CONFIG_JSON_ENV_VAR",
)

# Of Ray's system, where it is ours alone.
LOCAL = {
    "gcs_rpc_server_reconnect_timeout_s": 5,  # workers whose driver was killed would wait a minute for it to come back
    "prestart_worker_first_driver": False,  # workers without our rooms, which no trial can use
    # Its first process asks its second before that listens, then waits: for the usual second, of ten.
    "raylet_client_connect_timeout_milliseconds": 20,
    "raylet_client_num_connect_attempts": 500,
}
NO_GPU = "PyTorch can use no GPU of this cluster: trials take none and run on the CPU (resources.gpus_per_trial: auto)"
LOOK_S = 0.02  # between two looks whether a local Ray's node is there

ANSWER_S = 90.0  # for a node's check: longer than Ray takes to find that a host is dead, which is 65 s


@dataclass(frozen=True, slots=True)
class Joined:
    """A cluster that is ready for trials."""

    address: str  # "local", or the cluster's
    hosts: tuple[str, ...]
    cpus: float
    gpus: float
    slots: int  # trials that fit at once
    gpus_per_trial: float
    warnings: tuple[str, ...]


@contextmanager
def join(
    address: str | None,
    resources: ResourcesConfig,
    checkpoints: str,
    head_lost: Callable[[str], int] = lambda _: 1,
    meanwhile: Callable[[], object] = lambda: None,
) -> Iterator[Joined]:
    """Connects to the cluster at an address, or starts a local Ray that ends with this context.

    `head_lost` is called, once and from a thread, where the cluster's head is gone: see `Watch`. `meanwhile` is called
    from a thread while Ray's processes start, which takes seconds.

    Raises:
        BadInput: the address is wrong, no cluster answers there in time, versions differ, a node can't write the
            checkpoints, or no node has what a trial needs.
    """
    if address:
        check_address(address)
    _set_environment(local=not address)
    import ray

    left_s = head.ask(address) if address else 0.0
    place, said = (None, "") if address else scratch.for_ray()
    with scratch.folder() as own, nullcontext() if address else scratch.token(own):
        aside = threading.Thread(target=meanwhile, name="meanwhile", daemon=True)
        aside.start()
        try:
            with _limit(left_s) if address else _sooner():
                _init(ray, address, _stage(own / "rooms"), place)
        except (Exception, Late) as error:  # Ray raises bare ones, too
            if not isinstance(error, Late):  # else it would wait, too
                ray.shutdown()
            what = f"--address {address}: no cluster could be joined" if address else "Ray could not be started here"
            raise BadInput(f"{what}: {str(error).strip() or 'no answer'}") from None
        finally:
            aside.join()  # it must not be left in the middle of an import when this process ends
        with _watched(ray, address, head_lost):
            scratch.protect_token()
            joined = _check(ray, address, resources, checkpoints)
            yield replace(joined, warnings=(*joined.warnings, said)) if said else joined


def _init(ray: Any, address: str | None, rooms: Path, place: str | None) -> None:
    ray.init(
        address=address or "local",
        include_dashboard=None if address else False,
        log_to_driver=True,  # the driver's streams go to the sweep's log
        logging_level=logging.WARNING,
        configure_logging=True,
        # Only our two rooms travel, in a copy: workers never see the folder that the command was given in.
        runtime_env={"working_dir": str(rooms), **({"env_vars": SEEN} if address else {})},
        num_cpus=None if address else device.cpu_count(),
        _temp_dir=place,
        _system_config=None if address else LOCAL,
    )


@contextmanager
def _watched(ray: Any, address: str | None, head_lost: Callable[[str], int]) -> Iterator[None]:
    """Watches the head while Ray is in use; leaves Ray at the end, unless the head is lost."""
    with Watch(ray.get_runtime_context().gcs_address, FAR if address else NEAR, head_lost) as watch:
        try:
            yield
        finally:
            if not address:
                watch.end()  # a local head ends with the context
            if not watch.lost:  # else it would wait for the head's answer
                _shut_down(ray)


class Late(BaseException):
    """Joining took too long. No `Exception`: Ray would go on where it catches one."""


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raises where `ray.init` takes longer, as soon as Python has its turn; it waits by turns of at most a minute.

    What it may wait for without end was asked before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: object) -> None:
        atexit.register(_leave, 2)  # called before Ray's own, which would hang
        raise Late(f"it did not let this driver in within {head.JOIN_S:g} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _set_environment(*, local: bool) -> None:
    """What Ray reads is ours to say, whichever shell, launcher or job the driver was started from."""
    for name in NOT_OURS + (NOT_LOCAL if local else ()):
        os.environ.pop(name, None)
    os.environ.update(SETTINGS)
    for name, value in CHOICES.items():
        os.environ.setdefault(name, value)


def _shut_down(ray: Any) -> None:
    _end_monitor(ray)
    # Ray ends the process, with exit code 1, where something of its own is let go while it shuts down. What Tune left
    # hangs together in circles, which the search for garbage lets go, in whichever thread that is at the time.
    gc.disable()
    try:
        ray.shutdown()
    finally:
        gc.enable()


def _end_monitor(ray: Any) -> None:
    """Kills a local Ray's autoscaler, which nobody needs; `ray.shutdown` would wait a second for its end."""
    with suppress(AttributeError):  # these are no promises of Ray's; where the cluster is another's there is no node
        for info in ray._private.worker._global_node.all_processes.get("monitor", ()):
            info.process.kill()


@contextmanager
def _sooner() -> Iterator[None]:
    """Has `ray.init` start a local Ray in half the time; where Ray is made otherwise, it starts as it does.

    It looks for its new node every few milliseconds, where it would sleep for a whole second between two looks, and
    starts no server for the dashboard, which `include_dashboard=False` leaves empty and waits for all the same.
    """
    from ray._private import node, services, state

    def get_node(gcs_address: str, node_id: str) -> Any:
        with suppress(AttributeError, TypeError):
            found = state.GlobalState()
            found._initialize_global_state(services._get_gcs_client_options(gcs_address))
            end = time.monotonic() + 1.0  # then Ray itself looks, and counts its time
            while not any(each["NodeID"] == node_id for each in found.node_table()) and time.monotonic() < end:
                time.sleep(LOOK_S)
        return theirs[0](gcs_address, node_id)

    if not (hasattr(services, "get_node") and hasattr(node.Node, "start_api_server")):
        yield
        return
    theirs = services.get_node, node.Node.start_api_server
    services.get_node, node.Node.start_api_server = get_node, lambda *_, **__: None
    try:
        yield
    finally:
        services.get_node, node.Node.start_api_server = theirs


@dataclass(frozen=True, slots=True)
class Pace:
    """How a head is watched."""

    every_s: float
    patience_s: float  # silence that long is the end
    grace_s: float  # how long the driver may then take to end as it always does
    silence: type[OSError]  # what a try to connect that tells of silence raises


# Ray ends a driver 60 s after it lost its head, without a word or an exception; that of a local Ray after 5 s.
FAR = Pace(every_s=2.0, patience_s=20.0, grace_s=15.0, silence=OSError)
# Within a machine no answer is lost on the way: where nobody listens, the head is dead.
NEAR = Pace(every_s=0.5, patience_s=1.5, grace_s=2.0, silence=ConnectionRefusedError)


class Watch:
    """Watches a cluster's head, a context manager; a driver without one does not outlive it for long.

    Ray's calls wait for a dead head, each its own time, some for ever. So once the head has been silent too long,
    `lost` is told why in a sentence and answers with the exit code; what does not hang then ends the driver as always,
    and after a grace the process leaves, whatever it does. All that matters was durable before.
    """

    def __init__(self, address: str, pace: Pace, lost: Callable[[str], int]) -> None:
        """Prepares the watch over the head at `address`, HOST:PORT."""
        self.lost = False
        self._address, self._pace, self._tell = address, pace, lost
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="head", daemon=True)

    def __enter__(self) -> "Watch":
        """Begins to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the watch, but for one that has found the head lost."""
        self.end()

    def end(self) -> None:
        """Looks no more; the head may go. Where it is lost already the process still leaves after the grace."""
        self._done.set()

    def _watch(self) -> None:
        silent_since: float | None = None
        while not self._done.wait(self._pace.every_s):
            answers, now = self._answers(), time.monotonic()
            # From the first failure that is known, so that a machine that slept is not taken for a silent head.
            silent_since = None if answers else silent_since or now
            if silent_since is not None and now - silent_since >= self._pace.patience_s:
                break
        else:
            return
        self.lost = True
        code = 1
        try:
            code = self._tell(f"the head of the Ray cluster at {self._address} does not answer")
        except Exception:
            traceback.print_exc()  # goes to the sweep's log
        atexit.register(_leave, code)  # called before Ray's own, which would hang
        time.sleep(self._pace.grace_s)
        _leave(code)

    def _answers(self) -> bool:
        host, _, port = self._address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
        except self._pace.silence:
            return False
        except OSError:
            return True  # it tells nothing about the head
        return True


def _leave(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def check_address(address: str) -> None:
    """Whether something listens at a cluster's address.

    Raises:
        BadInput: nothing does, or the address is of a kind that is not offered.
    """
    named = f"--address {address}"
    if address == "auto":
        if (address := os.environ.get("RAY_ADDRESS") or "auto") == "auto":
            return
        named = f"--address auto: RAY_ADDRESS is {address}"
    if address.startswith("ray://"):
        raise BadInput(
            f"{named}: Ray Client is not offered, a sweep would end with its connection; run the sweep "
            "on the cluster: `ray job submit --working-dir . -- sweep run SPEC --address auto`, or on the head node "
            "with --address auto"
        )
    host, _, port = address.rpartition(":")
    if not host or "://" in address or not port.isdecimal() or not 0 < int(port) <= 65535:
        raise BadInput(f"{named}: is no address; write HOST:PORT (6379 by default), or auto on a node")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, UnicodeError) as error:  # the latter where the host can be no name
        raise BadInput(f"{named}: nothing answers there ({getattr(error, 'strerror', None) or error})") from None


def _stage(folder: Path) -> Path:
    """Fills a folder with the two packages that workers need, and nothing else."""
    for package in (lstm, cluster):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    return folder


def _check(ray: Any, address: str | None, resources: ResourcesConfig, checkpoints: str) -> Joined:
    nodes, gpus, slots = _room(ray, resources)
    if address:
        _check_nodes(ray, nodes, checkpoints)
        nodes, gpus, slots = _room(ray, resources)  # a host may have been found dead
    else:
        _check_here(checkpoints)
    notes = _check_gpus(ray, nodes, resources, local=not address) if gpus else []
    if notes and notes[-1] == NO_GPU:
        nodes, gpus, slots = _room(ray, resources.model_copy(update={"gpus_per_trial": 0.0}))
    open_door = address is not None and os.environ.get("RAY_AUTH_MODE", "") != "token"
    warning = (
        "this cluster may not ask for a token: whoever reaches its ports can run code on it (RAY_AUTH_MODE=token where "
        "it is started, then here, too, mends that)"
    )
    return Joined(
        address=address or "local",
        hosts=tuple(sorted(str(node["NodeManagerAddress"]) for node in nodes)),
        cpus=_total(nodes, "CPU"),
        gpus=_total(nodes, "GPU"),
        slots=slots,
        gpus_per_trial=gpus,
        warnings=(*((warning,) if open_door else ()), *notes),
    )


def _room(ray: Any, resources: ResourcesConfig) -> tuple[list[dict[str, Any]], float, int]:
    """The living nodes, a trial's GPUs, and how many trials fit at once; at least one must."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    asked = resources.gpus_per_trial
    gpus = (1.0 if _total(nodes, "GPU") >= 1 else 0.0) if asked == "auto" else float(asked)
    slots = count_slots(resources.cpus_per_trial, gpus)
    if slots == 0:
        raise BadInput(
            f"resources: a trial asks for {resources.cpus_per_trial} CPUs and {gpus:g} GPUs, which no node has; "
            f"the cluster's {len(nodes)} nodes have {_total(nodes, 'CPU'):g} CPUs and {_total(nodes, 'GPU'):g} GPUs "
            "together"
        )
    return nodes, gpus, slots


def _total(nodes: list[dict[str, Any]], kind: str) -> float:
    return sum(float(node["Resources"].get(kind, 0.0)) for node in nodes)


def count_slots(cpus_per_trial: int, gpus_per_trial: float) -> int:
    """Trials that fit at once onto the nodes that live now; the cluster may grow and shrink."""
    import ray

    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(fit(node.get("CPU", 0.0), node.get("GPU", 0.0), cpus_per_trial, gpus_per_trial) for node in resources)


def fit(cpus: float, gpus: float, cpus_per_trial: int, gpus_per_trial: float) -> int:
    """Trials that fit at once onto a machine; a fraction of a GPU never spans two of them."""
    by_cpu = int(cpus // cpus_per_trial)
    if not gpus_per_trial:
        return by_cpu
    by_gpu = gpus // gpus_per_trial if gpus_per_trial >= 1 else int(gpus) * int(1 / gpus_per_trial + 1e-9)
    return min(by_cpu, int(by_gpu))


def _check_here(checkpoints: str) -> None:
    """A local Ray's only node has this very Python and PyTorch; whether it can write is asked without a worker."""
    probe = f".probe-{uuid.uuid4().hex}"
    try:
        if trouble := _trouble(checkpoints, f"{probe}-here"):
            raise BadInput(f"{platform.node()}: can't write checkpoints to {checkpoints}: {trouble}")
    finally:
        _forget(checkpoints, probe)


def _check_gpus(ray: Any, nodes: list[dict[str, Any]], resources: ResourcesConfig, *, local: bool) -> list[str]:
    """What there is to say of GPUs that PyTorch can't use; the last is `NO_GPU` where it can use none at all.

    Raises:
        BadInput: GPUs were asked for by number.
    """
    owners = [node for node in nodes if node["Resources"].get("GPU", 0.0) >= 1]
    usable, faults = 0, []
    for node, (count, why) in zip(
        owners, [_gpus() for _ in owners] if local else _ask_for_gpus(ray, owners), strict=True
    ):
        there = int(node["Resources"]["GPU"])
        usable += count
        if count < there:
            host = f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})"
            faults.append(f"{host}: PyTorch can use {count} of {there} GPUs{f': {why}' if why else ''}")
    if faults and resources.gpus_per_trial != "auto":
        mend = "mend that, start Ray there with --num-gpus=0, or set resources.gpus_per_trial to 0 or auto"
        raise BadInput(*(f"resources.gpus_per_trial: {fault}; {mend}" for fault in faults))
    return [*faults, NO_GPU] if faults and not usable else faults


def _ask_for_gpus(ray: Any, nodes: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Each node's answer to `_gpus`; one that does not answer has died since, or will be told of by its trials."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0)(_gpus)
    pinned = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    asked = [task.options(scheduling_strategy=each).remote() for each in pinned]
    end, answers = time.monotonic() + ANSWER_S, []
    for node, each in zip(nodes, asked, strict=True):
        try:
            answers.append(ray.get(each, timeout=max(0.0, end - time.monotonic())))
        except ray.exceptions.RayError:
            answers.append((int(node["Resources"]["GPU"]), ""))
    return answers


def _gpus() -> tuple[int, str]:
    """On a node: the GPUs that PyTorch can use, and why there are none."""
    return device.gpu_count(), device.why_no_gpu()


def _check_nodes(ray: Any, nodes: list[dict[str, Any]], checkpoints: str) -> None:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = f".probe-{uuid.uuid4().hex}"

    def ask(task: Callable[[str, str], Any]) -> list[Any]:
        answers = []
        for node in nodes:
            pinned = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            answers.append(ray.remote(num_cpus=0)(task).options(scheduling_strategy=pinned).remote(checkpoints, probe))
        return answers

    end = time.monotonic() + ANSWER_S
    answers = ask(_look)
    try:
        faults = [
            f
            for node, answer in zip(nodes, answers, strict=True)
            for f in _faults(ray, node, answer, end, checkpoints, probe)
        ]
    finally:
        _forget(checkpoints, probe)
    if faults:
        answers = ask(_forget)  # what a node wrote to a disk of its own
        ray.wait(answers, num_returns=len(answers), timeout=10)
        raise BadInput(*faults)
    _check_actors(ray, end)


class _Actor:
    """What is made on a node to see whether any can be: trials run in actors, and tasks tell nothing about them."""

    def lives(self) -> bool:
        """Answers."""
        return True


def _check_actors(ray: Any, end: float) -> None:
    """Whether a worker comes to life on each node that has room for trials.

    Raises:
        NoWorker: on none.
        BadInput: on some; what Ray says of each.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    made = ray.remote(num_cpus=0)(_Actor)
    nodes = [node for node in ray.nodes() if node["Alive"] and node.get("Resources", {}).get("CPU")]
    pinned = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
    actors = [made.options(scheduling_strategy=where).remote() for where in pinned]
    answers = [actor.lives.remote() for actor in actors]
    faults = [f for node, answer in zip(nodes, answers, strict=True) for f in _lifeless(ray, node, answer, end)]
    if not faults:
        return
    refused = NoWorker if len(faults) == len(nodes) else BadInput
    if os.environ.get("RAY_AUTH_MODE") == "token":
        faults.append(
            "RAY_AUTH_MODE is token here: in a cluster that was started without it no worker comes to life; unset it, "
            "or start the cluster with it"
        )
    raise refused(*faults)


def _lifeless(ray: Any, node: dict[str, Any], answer: Any, end: float) -> Iterator[str]:
    """What keeps a node from bringing a worker to life; one that has died meanwhile keeps from nothing."""
    try:
        ray.get(answer, timeout=max(1.0, end - time.monotonic()))
    except ray.exceptions.RayError as error:
        if any(other["Alive"] for other in ray.nodes() if other["NodeID"] == node["NodeID"]):
            host = f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})"
            slow = isinstance(error, ray.exceptions.GetTimeoutError)
            why = f"none within {ANSWER_S:g} s" if slow else what_ray_said(str(error))
            yield f"{host}: no worker comes to life there: {why}"


def _faults(ray: Any, node: dict[str, Any], answer: Any, end: float, checkpoints: str, probe: str) -> Iterator[str]:
    """What keeps a node from running trials, by its answer to `_look`; one that has died keeps from nothing."""
    host = f"{node['NodeManagerAddress']} ({node['NodeManagerHostname']})"
    try:
        versions, trouble = ray.get(answer, timeout=max(0.0, end - time.monotonic()))
    except ray.exceptions.RayError as error:
        if not any(other["Alive"] for other in ray.nodes() if other["NodeID"] == node["NodeID"]):
            return
        if isinstance(error, ray.exceptions.GetTimeoutError):
            yield f"{host}: did not answer within {ANSWER_S:g} s"
        else:
            yield f"{host}: can't run our code: {(str(error).splitlines() or [''])[-1][:200]}"
        return
    here = _versions()
    for what, theirs, ours in zip(("Python", "torch"), versions, here, strict=True):
        if theirs != ours:
            yield f"{host}: has {what} {theirs}, this driver has {ours}; install the same everywhere"
    if trouble:
        yield f"{host}: can't write checkpoints to {checkpoints}: {trouble}"
    elif "://" not in checkpoints and not (Path(checkpoints) / f"{probe}-{node['NodeID']}").exists():
        yield (
            f"{host}: what it writes to {checkpoints} is not seen here; set storage.checkpoints to a folder that all "
            "hosts share, or to s3://…"
        )


def _look(checkpoints: str, probe: str) -> tuple[tuple[str, str], str]:
    """On a node: its versions, and what keeps it from writing checkpoints, if anything."""
    import ray

    return _versions(), _trouble(checkpoints, f"{probe}-{ray.get_runtime_context().get_node_id()}")


def _trouble(checkpoints: str, name: str) -> str:
    """What keeps this process from writing checkpoints, if anything."""
    from lstm import checkpoint

    try:
        checkpoint.probe(checkpoints, name)
    except Exception as error:  # whatever a file system raises is told by name
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    return ""


def _forget(checkpoints: str, probe: str) -> None:
    """Removes what `_look` left in a folder, as far as it is seen from here; so, too, what killed drivers left there.

    How old that is tells a file that was just written, by the same clock, whichever that is.
    """
    mine: dict[Path, float] = {}
    for left in Path(checkpoints).glob(f"{probe}-*") if "://" not in checkpoints else ():
        with suppress(FileNotFoundError):
            mine[left] = left.stat().st_mtime
            left.unlink()
    for other in Path(checkpoints).glob(".probe-*") if mine else ():
        with suppress(FileNotFoundError):  # a driver beside this one does the same
            if other.stat().st_mtime < max(mine.values()) - 2 * ANSWER_S:
                other.unlink()


def _versions() -> tuple[str, str]:
    return platform.python_version(), device.version()
