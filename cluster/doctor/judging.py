"""What is good or wrong with the hosts of a cluster, by what they say of themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cluster.doctor.line import Line, lines
from cluster.doctor.looks import FREE, HELD, Looked
from lstm.messages.message import Note, note
from lstm.records.errors import Fault, fault

CLOCK_S = 2.0  # by which clocks may differ without a word
SIGNED_S = 600.0  # object stores refuse what is signed a quarter of an hour off
FREE_SHARE = 0.05  # Ray writes nothing more to a disk that is fuller
OPEN_FILES = 4096
MEMORY_DISK = 0.3  # of the memory that Ray keeps objects in: below that it keeps them in files, which is slow


@dataclass(frozen=True, slots=True)
class Host:
    """A host of a cluster, what it said, and when it was asked."""

    name: str  # address and name
    looked: Looked | None  # None: it did not answer
    asked_s: float  # by the driver's clock: when it was asked
    answered_s: float  # and when it had answered
    ray_gpus: int = 0  # that Ray counts there
    ray_memory: int = 0  # bytes that Ray keeps objects in
    sees_change: bool = True  # whether it sees that a file in the shared folder has changed


@dataclass(frozen=True, slots=True)
class Shared:
    """The folder of the checkpoints, and what was written there to be read."""

    folder: str
    written: dict[str, str] = field(default_factory=dict)  # by name, the text of each probe file
    is_address: bool = False
    has_study: bool = False  # whether the study is a SQLite file in it


def judge(hosts: Sequence[Host], shared: Shared, data_bytes: int = 0) -> list[Line]:
    """Return what is good and what is wrong; `data_bytes` is the size of the sweep's data, 0 if it is not known."""
    there = [(host, host.looked) for host in hosts if host.looked is not None]
    many = f"{len(there)} hosts" if len(there) != 1 else there[0][1].host
    return [
        *lines("gpus", (each for host, looked in there for each in _gpus(host, looked)), _gpus_good(there)),
        *_shared_lines(there, shared),
        *lines("clock", (each for host, looked in there for each in _clock(host, looked, shared)), f"{many}: alike"),
        *lines(
            "memory",
            (each for host, looked in there for each in _memory(host, looked, data_bytes)),
            f"{many}: /dev/shm has room for Ray's objects",
        ),
        *lines("disk", (each for host, looked in there for each in _disk(host, looked)), f"{many}: room to write"),
        *lines("ports", (each for host, looked in there for each in _ports(host, looked)), _ports_good(there)),
    ]


def _gpus(host: Host, looked: Looked) -> Iterator[Note]:
    if looked.gpus is None or looked.gpus == host.ray_gpus:
        return
    code = "gpus-hidden-from-ray" if looked.gpus > host.ray_gpus else "gpus-not-in-machine"
    yield note(code, at=host.name, ray=host.ray_gpus, machine=looked.gpus)


def _gpus_good(there: Sequence[tuple[Host, Looked]]) -> str:
    count = sum(looked.gpus or 0 for _, looked in there)
    return f"{count} GPUs, as Ray counts them" if count else "no GPUs: trials run on the CPU"


def _shared_lines(there: Sequence[tuple[Host, Looked]], shared: Shared) -> list[Line]:
    if shared.is_address:
        return []
    wrong = [each for host, looked in there for each in _shared(host, looked, shared)]
    locks = [each for host, looked in there for each in _locks(host, looked, shared)]
    where = shared.folder
    return [
        *lines("folder", wrong, f"{where}: what one host writes, each other reads"),
        *lines("locks", locks, f"{where}: a lock on one host holds on each other"),
    ]


def _shared(host: Host, looked: Looked, shared: Shared) -> Iterator[Fault | Note]:
    unlike = [name for name, text in shared.written.items() if looked.seen.get(name) != text]
    if unlike:
        why = looked.seen.get(unlike[0], "").strip("[]")[:80]
        yield fault("folder-not-coherent", at=host.name, folder=shared.folder, count=len(unlike), why=why)
    elif not host.sees_change:
        yield note("folder-shows-old", at=host.name, folder=shared.folder)


def _locks(host: Host, looked: Looked, shared: Shared) -> Iterator[Fault | Note]:
    if looked.lock in (HELD, ""):
        return
    why = None if looked.lock == FREE else looked.lock
    make = fault if shared.has_study else note
    yield make("locks-do-not-hold", at=host.name, folder=shared.folder, why=why)


def _clock(host: Host, looked: Looked, shared: Shared) -> Iterator[Fault | Note]:
    off = max(looked.time_s - host.answered_s, host.asked_s - looked.time_s)
    if off > SIGNED_S and shared.is_address:
        yield fault("clock-refused-by-store", at=host.name, seconds=off)
    elif off > CLOCK_S:
        yield note("clock-differs", at=host.name, seconds=off)


def _memory(host: Host, looked: Looked, data_bytes: int) -> Iterator[Fault | Note]:
    if host.ray_memory and data_bytes > host.ray_memory:
        yield fault("data-beyond-memory", at=host.name, size=data_bytes, memory=host.ray_memory)
    if looked.memory_disk is not None and looked.memory_disk < MEMORY_DISK * host.ray_memory:
        yield note("memory-disk-small", at=host.name, size=looked.memory_disk, memory=host.ray_memory)


def _disk(host: Host, looked: Looked) -> Iterator[Fault | Note]:
    if looked.temporary_free < FREE_SHARE:
        yield fault("disk-full", at=host.name, folder=looked.temporary, share=looked.temporary_free)
    if looked.open_files < OPEN_FILES:
        yield note("few-open-files", at=host.name, count=looked.open_files, least=OPEN_FILES)


def _ports(host: Host, looked: Looked) -> Iterator[Fault]:
    for address, port, why in looked.unreached:
        yield fault("port-closed", at=host.name, address=address, port=port, why=why)


def _ports_good(there: Sequence[tuple[Host, Looked]]) -> str:
    return "each host reaches each other" if len(there) > 1 else "there is one host alone"
