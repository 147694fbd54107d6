"""Join a Ray cluster, or start a local one; check every node before the first trial and watch the head."""

import atexit
import logging
import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import cluster
import lstm
from cluster.config import ResourcesConfig
from cluster.ray_backend import head, private_patches, scratch
from cluster.ray_backend.demand import Waiting, room_awaited
from cluster.ray_backend.head_watch import FAR, NEAR, Watch, leave
from cluster.ray_backend.nodes import Joined, check, find_room
from cluster.ray_backend.room import growth
from lstm import device
from lstm.messages.message import Message
from lstm.records.errors import Away, BadInput, Fault, fault, refused


@contextmanager
def join(
    address: str | None,
    resources: ResourcesConfig,
    checkpoints: str,
    head_lost: Callable[[Message], int] = lambda _: 1,
    meanwhile: Callable[[], object] = lambda: None,
    packages: Sequence[str] = (),
    *,
    ours: bool = True,
    waiting: Waiting | None = None,
) -> Iterator[Joined]:
    """Connect to the cluster at an address, or start a local Ray that ends with this context.

    `head_lost` is called once, from a thread, if the cluster's head is gone: see `Watch`. `meanwhile` is called from a
    thread while Ray's processes start, or a cluster's nodes are checked, which takes seconds; what has no room is
    refused before. `packages` must be installed on every node. `ours` says that the command line made this process:
    its streams go to the sweep's log, and it ends if the head is gone. `waiting` lets it wait for a first node where
    the cluster can grow; without it such a cluster must have room now.

    Raises:
        BadInput: the address is wrong, no cluster answers there, versions differ, a node can't write the checkpoints,
            no node has what a trial needs, or Ray is already in use in this process.
        Away: a cluster is there, and its head or its nodes do not answer in time.
    """
    with reached(address, head_lost, (lambda: None) if address else meanwhile, ours=ours) as (ray, said):
        grows = growth(ray) if address else None
        with room_awaited(ray, resources, grows, waiting, address) if grows and waiting else nullcontext():
            if address:
                find_room(ray, resources, grows)
            with _aside(meanwhile) if address else nullcontext():
                joined = check(ray, address, resources, checkpoints, packages, grows)
        yield replace(joined, warnings=(*joined.warnings, said)) if said else joined


@contextmanager
def reached(
    address: str | None,
    head_lost: Callable[[Message], int] = lambda _: 1,
    meanwhile: Callable[[], object] = lambda: None,
    *,
    ours: bool = True,
) -> Iterator[tuple[Any, Message | None]]:
    """Connect as `join` does, and check no node; yield `ray`, and what is to be said of where its files are.

    Raises:
        BadInput: the address is wrong, no cluster answers there, Ray's versions differ, or Ray is already in use in
            this process.
        Away: a cluster is there, and does not answer in time.
    """
    if address:
        check_address(address)
    private_patches.set_environment(local=not address)
    asked = _asked(address) if address else lambda: 0.0
    import ray

    if ray.is_initialized():
        raise refused("ray-in-use")
    place, said = (None, None) if address else scratch.for_ray()
    speaking = nullcontext() if ours else private_patches.through_logging()
    with speaking, scratch.folder() as own, nullcontext() if address else scratch.token(own):
        rooms = _stage(own / "rooms")
        left_s = asked()
        with _aside(meanwhile):
            try:
                with _limit(left_s) if address else private_patches.sooner():
                    _init(ray, address, rooms, place, ours=ours)
            except (Exception, Late) as error:  # Ray raises bare `Exception`s, too
                if not isinstance(error, Late):  # after `Late` this would wait, too
                    ray.shutdown()
                refusal = Away if isinstance(error, Late) else BadInput
                raise refusal(_unjoined(address, error)) from None
        with _watched(ray, address, head_lost, ours=ours):
            scratch.protect_token()
            yield ray, said


def _asked(address: str) -> Callable[[], float]:
    """Ask the head from a thread, which takes as long as `import ray`; return a function that returns what `ask` does.

    The function raises BadInput as `ask` does.
    """
    answer = Future[float]()

    def act() -> None:
        try:
            answer.set_result(head.ask(address))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=act, name="head", daemon=True).start()
    return answer.result


@contextmanager
def _aside(act: Callable[[], object]) -> Iterator[None]:
    """Call a function from a thread; wait for its end: a process must not end in the middle of an import."""
    thread = threading.Thread(target=act, name="meanwhile", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _unjoined(address: str | None, error: BaseException) -> Fault:
    why = str(error).strip() or "no answer"
    if not address:
        return fault("ray-not-started", why=why)
    named = f"--address {address}"
    if isinstance(error, Late):
        return fault("cluster-joined-too-late", at=named, seconds=head.JOIN_S)
    return fault("cluster-not-joined", at=named, why=why)


def _init(ray: Any, address: str | None, rooms: Path, place: str | None, *, ours: bool) -> None:
    ray.init(
        address=address or "local",
        include_dashboard=None if address else False,
        log_to_driver=ours,  # if ours, the driver's streams go to the sweep's log
        logging_level=logging.WARNING,
        configure_logging=ours,
        # Only our two packages are sent, in a copy: workers never see the folder in which the command was given.
        runtime_env={
            "working_dir": str(rooms),
            **({"env_vars": private_patches.worker_variables()} if address else {}),
        },
        num_cpus=None if address else device.cpu_count(),
        **private_patches.start_options(ray, place=place, local=not address),
    )


@contextmanager
def _watched(ray: Any, address: str | None, head_lost: Callable[[Message], int], *, ours: bool) -> Iterator[None]:
    """Watch the head while Ray is in use; leave Ray at the end, unless the head is lost."""
    with Watch(ray.get_runtime_context().gcs_address, FAR if address else NEAR, head_lost, ours=ours) as watch:
        try:
            yield
        finally:
            if not address:
                watch.end()  # a local head ends with the context
            if not watch.lost:  # with a lost head this would wait for its answer
                private_patches.shut_down(ray)


class Late(BaseException):
    """The signal that joining took too long. It is no `Exception`, because Ray catches those and goes on."""


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise `Late` if `ray.init` takes longer than this. Python gets its turn within a minute, between Ray's waits.

    `head.ask` has already asked for everything that `ray.init` may wait for without end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(*_: object) -> None:
        atexit.register(leave, Away.code)  # called before Ray's own exit handler, which would hang
        raise Late

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check_address(address: str) -> None:
    """Check that something listens at a cluster's address.

    Raises:
        BadInput: nothing listens there, or the address is of a kind that is not offered.
    """
    named = f"--address {address}"
    if address == "auto":
        if (address := os.environ.get("RAY_ADDRESS") or "auto") == "auto":
            return
        named = f"--address auto (RAY_ADDRESS is {address})"
    if address.startswith("ray://"):
        raise refused("ray-client-address", at=named)
    host, _, port = address.rpartition(":")
    if not host or "://" in address or not port.isdecimal() or not 0 < int(port) <= 65535:
        raise refused("no-cluster-address", at=named)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, UnicodeError) as error:  # UnicodeError if the host is not a possible name
        why = str(getattr(error, "strerror", None) or error)
        raise refused("nothing-listens", at=named, why=why) from None


def _stage(folder: Path) -> Path:
    """Fill a folder with the two packages that workers need, and nothing else."""
    for package in (lstm, cluster):
        source = Path(str(package.__file__)).parent
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.j2"))
    return folder
