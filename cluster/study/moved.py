"""A study that was moved or copied with its folder: find its checkpoints, and give a copy an identity of its own.

A SQLite study remembers the folder in which it was last written to. In another folder it was moved, or copied if
the first folder still has it. A reader looks next to the study for the checkpoints. The next driver stores the new
place, and makes a copy a study of its own before anything is written for it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy

from lstm import checkpoint, ownership
from lstm.storage import disk, files

DEEPEST = 5  # folders between an earlier version's study and its checkpoints, at most
PLACE = "place"  # the fact that names the folder in which the study was last written to


@dataclass(frozen=True, slots=True)
class Moved:
    """The facts to store about a study that is not in its old place."""

    before: str  # the folder in which the study was
    copied: bool  # whether the study is still there, too
    study: str  # the study's id from now on
    study_before: str
    checkpoints: str  # the checkpoints' folder from now on
    checkpoints_before: str  # their folder until `carry_out` is done


def folder_of(url: str) -> str:
    """Return the folder of a study's SQLite file; "" if a server keeps the study."""
    parts = sqlalchemy.make_url(url)
    is_file = parts.get_backend_name() == "sqlite" and parts.database
    return str(Path(str(parts.database)).absolute().parent) if is_file else ""


def is_in_place(facts: Mapping[str, Any], url: str) -> bool:
    """Return whether a study is in the folder in which it was last written to; True if it has not stored its place."""
    return PLACE not in facts or disk.is_same(Path(str(facts[PLACE])), Path(folder_of(url)))


def checkpoints_of(facts: Mapping[str, Any], url: str, name: str) -> str:
    """Return the address of a sweep's checkpoints; if they are below their study's folder, they move with it."""
    root, here = str(facts.get("checkpoints", "")), folder_of(url)
    if not root and here and any((Path(here) / name).glob("trial-*")):
        return str(Path(here) / name)  # the first versions kept them there and did not store it
    if not root or not here or "://" in root:
        return root
    if PLACE in facts:
        before = str(facts[PLACE])
        beside = _carried(root, before, here)
        return beside if beside and (Path(beside).is_dir() or not Path(root).is_dir()) else root
    # Earlier versions did not store the study's place: take the folder that may have moved along and has trials.
    parts = Path(root).parts
    for count in range(1, min(len(parts), DEEPEST)):
        folder = Path(here, *parts[-count:])
        if folder != Path(root) and any(folder.glob("trial-*")):
            return str(folder)
    return root


def look(
    url: str,
    name: str,
    facts: Mapping[str, Any],
    former: Sequence[str],
    facts_of: Callable[[str], Mapping[str, Any] | None],
) -> Moved | None:
    """Return what the next driver has to store; None if a study is in its old place. Changes nothing.

    Args:
        url: The study's database.
        name: The sweep's name.
        facts: What the study remembers.
        former: Folders in which its home was, if the study is the home's own. They are for studies of earlier versions,
            which did not store their place.
        facts_of: Reads the facts of the study of this name in another database; returns None if there is none.
    """
    here, known = folder_of(url), str(facts.get("checkpoints", ""))
    if not here or "id" not in facts:
        return None
    found = checkpoints_of(facts, url, name)
    # The study's old folder is as many levels above its checkpoints as its new one.
    depth = len(Path(found).relative_to(here).parts) if found != known else 0
    guesses = [str(Path(*Path(known).parts[:-depth]))] if depth else []
    places = [str(facts[PLACE])] if PLACE in facts else [*guesses, *former]
    places = [place for place in places if place and not disk.is_same(Path(place), Path(here))]
    if not places:
        return None
    study = str(facts["id"])
    database = Path(str(sqlalchemy.make_url(url).database))
    files_there = {place: Path(place) / database.name for place in places}
    others = {place: f"sqlite:///{file}" for place, file in files_there.items() if _is_another(file, database)}
    original = next((p for p, other in others.items() if (facts_of(other) or {}).get("id") == study), None)
    if original is None:
        return Moved(places[0], False, study, study, found, found)
    own = _copy_id(study, here, database)
    if "://" not in found and Path(found).is_relative_to(here):
        return Moved(original, True, own, study, found, found)
    # The checkpoints stayed: the copy gets its own folder, in its own place if the original has one in its place.
    parent = _parent(found, name)
    return Moved(original, True, own, study, f"{_carried(parent, original, here) or parent}/{own}", found)


def carry_out(moved: Moved, mark: ownership.Mark) -> None:
    """Make a copy's checkpoints its own. After a kill it may be called again, with the same result.

    Raises:
        ForeignCheckpoint: the checkpoints have another study's mark.
        OSError: they can't be read or written.
    """
    if moved.copied and moved.checkpoints == moved.checkpoints_before:
        there = ownership.mark_of(moved.checkpoints)
        if there is not None and there.study not in (moved.study, moved.study_before):
            ownership.refuse_another(moved.checkpoints, moved.study)
        ownership.take_over(moved.checkpoints, mark)
    elif moved.copied:
        ownership.claim(moved.checkpoints, mark)
        _copy(moved.checkpoints_before, moved.checkpoints)


def _carried(root: str, before: str, here: str) -> str | None:
    """Return an address below folder `before` as it is below folder `here`; None if it is not below `before`."""
    if not before or "://" in root or not Path(root).is_relative_to(before):
        return None
    return str(Path(here) / Path(root).relative_to(before))


def _is_another(file: Path, database: Path) -> bool:
    return file.is_file() and not disk.is_same(file, database)


def _copy_id(study: str, here: str, database: Path) -> str:
    """Return the id of a copy; it is the same at every call until the copy has it."""
    file = database.stat()
    text = f"{study} {here} {file.st_dev} {file.st_ino}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _parent(root: str, name: str) -> str:
    """Return the folder of all checkpoints of sweeps of a name; earlier versions had no folder for each study in it."""
    parent, _, last = root.rpartition("/")
    return root if last == name else parent


def _copy(source: str, target: str) -> None:
    for trial in sorted(n for n in files.names(source) if n.startswith("trial-")):
        there = set(files.names(f"{target}/{trial}"))
        for name in checkpoint.names(f"{source}/{trial}"):
            data = None if name in there else files.get(f"{source}/{trial}", name)
            if data is not None:
                files.put(f"{target}/{trial}", name, data)
