"""Whether the places of a sweep take what it writes there: each is tried, and has room left."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.doctor.line import Line
from cluster.study.database import file_of
from dashboards.tracking.store import file_of as store_file
from experiments.doctor.subject import Subject
from lstm.messages.message import Note, note
from lstm.records.errors import Fault, fault
from lstm.storage import disk, room
from lstm.storage.files import folder_of

# A sweep of one small trial takes 11 MB of its home: MLflow's records, its report twice, the study.
HOME_BYTES, OTHER_BYTES = 16_000_000, 4_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that a sweep writes to."""

    area: str
    at: str  # the folder, as people know it
    folder: Path
    field: str  # the option, or the field of the spec, that names another
    least: int  # bytes that the sweep writes there
    most: int


def examine(subject: Subject) -> Iterator[Line]:
    """Yield what is wrong with the places on disks that this machine sees; if the home is good, a line for it."""
    places = [*_places(subject)]
    wrong = [*_unwritable(places), *_short(places)]
    if not any(area == "home" for area, _ in wrong):
        yield Line("home", disk.place_of(subject.home.folder))
    for area, said in wrong:
        yield Line(area, said=said)


def _places(subject: Subject) -> Iterator[Place]:
    home = subject.home.folder
    yield Place("home", f"--home {home}", home, "--home", HOME_BYTES, HOME_BYTES)
    checkpoints = folder_of(subject.checkpoints)
    if checkpoints is not None:
        least, most = (max(OTHER_BYTES, each - subject.kept_bytes) for each in subject.checkpoint_bytes)
        yield Place("folder", str(checkpoints), checkpoints, "storage.checkpoints", least, most)
    study, records = file_of(subject.study), store_file(subject.tracking)
    files = (("study", study, "storage.study"), ("mlflow", records, "tracking.uri"))
    for area, file, field in files:
        if file is not None and not file.absolute().is_relative_to(home):
            yield Place(area, str(file), file.absolute().parent, field, OTHER_BYTES, OTHER_BYTES)


def _unwritable(places: Sequence[Place]) -> Iterator[tuple[str, Fault]]:
    tried = set[Path]()
    for place in places:
        if place.folder in tried:
            continue
        tried.add(place.folder)
        why, is_full = room.why_not(place.folder)
        if why and not (is_full and _is_short(place)):
            yield place.area, fault("place-not-writable", at=place.at, why=why, field=place.field)


def _is_short(place: Place) -> bool:
    """Return whether `_short` tells it; of a quota that is used up, the file system often says nothing."""
    found = room.of(place.folder)
    return found.free < place.least or (found.files is not None and found.files < room.FILES)


def _short(places: Sequence[Place]) -> Iterator[tuple[str, Fault | Note]]:
    """Yield what each disk lacks: places on one disk share what it has left."""
    disks: dict[int, tuple[room.Room, list[Place]]] = {}
    for place in places:
        try:
            found = room.of(place.folder)
        except OSError:  # it can't be written to, which is told
            continue
        disks.setdefault(found.device, (found, []))[1].append(place)
    for there, group in disks.values():
        largest = max(group, key=lambda place: place.most)
        least, most = (sum(getattr(each, name) for each in group) for name in ("least", "most"))
        told: dict[str, Any] = {"at": largest.at, "free": there.free / 1e6, "field": largest.field}
        # What counts no bytes, as /proc, was tried before: nothing can be written there.
        if there.free < least and there.size:
            yield largest.area, fault("place-without-room", **told, needed=least / 1e6)
        elif there.free < most and there.size:
            yield largest.area, note("place-may-lack-room", **told, needed=most / 1e6)
        if there.files is not None and there.files < room.FILES:
            values: dict[str, Any] = {"files": there.files, "least": room.FILES, "field": largest.field}
            yield largest.area, fault("place-without-files", at=largest.at, **values)
