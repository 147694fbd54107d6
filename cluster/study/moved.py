"""A study that was moved or copied together with the folder that it lies in: where its checkpoints are, whose it is.

A SQLite study remembers the folder in which it was last written to. Found in another one it was moved, or copied where
the first is still there. A reader looks beside it; the next driver writes down where it is now, and a copy becomes a
study of its own before anything is written for it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy

from lstm import checkpoint, ownership
from lstm.storage import disk, files

DEEPEST = 5  # folders between an earlier version's study and its checkpoints
PLACE = "place"  # the fact: the folder in which the study was when it was last written to


@dataclass(frozen=True, slots=True)
class Moved:
    """What is to be written down about a study that is not where it was."""

    before: str  # the folder in which it was
    copied: bool  # it is still there, too
    study: str  # its id from now on
    study_before: str
    checkpoints: str  # their folder from now on
    checkpoints_before: str  # and where they are before that is done


def folder_of(url: str) -> str:
    """The folder of a study's SQLite file; "" where a server keeps the study."""
    parts = sqlalchemy.make_url(url)
    is_file = parts.get_backend_name() == "sqlite" and parts.database
    return str(Path(str(parts.database)).absolute().parent) if is_file else ""


def is_in_place(facts: Mapping[str, Any], url: str) -> bool:
    """Whether a study is in the folder in which it was last written to, as far as it says so."""
    return PLACE not in facts or disk.is_same(Path(str(facts[PLACE])), Path(folder_of(url)))


def checkpoints_of(facts: Mapping[str, Any], url: str, name: str) -> str:
    """Where a sweep's checkpoints are: those below the folder of their study move along with it."""
    root, here = str(facts.get("checkpoints", "")), folder_of(url)
    if not root and here and any((Path(here) / name).glob("trial-*")):
        return str(Path(here) / name)  # the first versions did not say it, and kept them there
    if not root or not here or "://" in root:
        return root
    if PLACE in facts:
        before = str(facts[PLACE])
        beside = _carried(root, before, here)
        return beside if beside and (Path(beside).is_dir() or not Path(root).is_dir()) else root
    # Earlier versions did not say where the study was: of the folders that may have moved along it is the one that
    # has trials.
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
    """What the next writer has to write down; None where a study is where it was. Changes nothing.

    Args:
        url: The study's database.
        name: The sweep's name.
        facts: What the study remembers.
        former: Folders in which its home was, where the study is the home's own; for earlier versions' studies, which
            did not remember theirs.
        facts_of: Reads what the study of this name in another database remembers; None where there is none.
    """
    here, known = folder_of(url), str(facts.get("checkpoints", ""))
    if not here or "id" not in facts:
        return None
    found = checkpoints_of(facts, url, name)
    # Where the study was is as far above its checkpoints as it is now.
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
    # They stayed where they were: the copy gets a folder of its own, in its own place where it has one for them.
    parent = _parent(found, name)
    return Moved(original, True, own, study, f"{_carried(parent, original, here) or parent}/{own}", found)


def carry_out(moved: Moved, mark: ownership.Mark) -> None:
    """Makes a copy's checkpoints its own; done twice, as after a kill, it comes to the same.

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
    """An address below one folder, as it is below another; None where it is not below the first."""
    if not before or "://" in root or not Path(root).is_relative_to(before):
        return None
    return str(Path(here) / Path(root).relative_to(before))


def _is_another(file: Path, database: Path) -> bool:
    return file.is_file() and not disk.is_same(file, database)


def _copy_id(study: str, here: str, database: Path) -> str:
    """The id of a copy: the same whenever it is asked for, until the copy has it."""
    file = database.stat()
    text = f"{study} {here} {file.st_dev} {file.st_ino}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _parent(root: str, name: str) -> str:
    """The folder of all checkpoints of sweeps of a name; earlier versions had no folder for each study in it."""
    parent, _, last = root.rpartition("/")
    return root if last == name else parent


def _copy(source: str, target: str) -> None:
    for trial in sorted(n for n in files.names(source) if n.startswith("trial-")):
        there = set(files.names(f"{target}/{trial}"))
        for name in checkpoint.names(f"{source}/{trial}"):
            data = None if name in there else files.get(f"{source}/{trial}", name)
            if data is not None:
                files.put(f"{target}/{trial}", name, data)
