"""Finds a spec's study, checkpoints and MLflow. A relative path starts at the spec's folder.

In earlier versions a relative path started at the working folder. A sweep of such a version keeps its files: they are
also searched in the working folder, and in the folder that the sweep remembers.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.home import Home
from lstm.messages.message import Note, note
from lstm.records.errors import refused
from lstm.storage import disk

FILE = "addresses.json"  # in a sweep's folder: the addresses of its study, checkpoints and runs (${} not filled in)
SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Addresses:
    """Full addresses; None or "" stands for the home's own."""

    study: str | None
    checkpoints: str | None
    tracking: str | None
    bases: Mapping[str, str]  # by field: the folder where a relative path starts
    notes: tuple[Note, ...]  # a note for each path that does not start at the spec's folder


def locate(
    name: str,
    home: Home,
    folder: Path,
    *,
    study: str | None,
    checkpoints: str | None = None,
    tracking: str | None = None,
    remembered: Mapping[str, str],
) -> Addresses:
    """Find the files of relative addresses.

    Args:
        name: The sweep's name.
        home: The home where the sweep is run.
        folder: The spec's folder.
        study: `storage.study`, with the environment's values.
        checkpoints: `storage.checkpoints`, likewise.
        tracking: `tracking.uri`, likewise.
        remembered: By field, the folder where its relative path started when the sweep was last run.

    Raises:
        BadInput: there are files in several places, and nothing says which are the sweep's.
    """
    found = _Search(name, home, folder, remembered)
    return Addresses(
        study=found.database("storage.study", study, _holds_study(name)),
        checkpoints=found.path("storage.checkpoints", checkpoints, lambda path: (path / name).is_dir()),
        tracking=found.database("tracking.uri", tracking, Path.is_file),
        bases=found.bases,
        notes=tuple(found.notes),
    )


def remembered(home: Home, name: str) -> dict[str, str]:
    """Return by field the folder where a sweep's relative path started when it was last run in this home."""
    bases = (saved(home, name) or {}).get("bases", {})
    return {field: str(home.carried(Path(base))) for field, base in bases.items()}


def saved(home: Home, name: str) -> Mapping[str, Any] | None:
    """Return the addresses in a sweep's folder, as last run; None if the sweep was not run from this home."""
    try:
        found = json.loads((home.sweep(name) / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def on_network(study: str) -> list[Note]:
    """Return a note if a study's database is a SQLite file on a network file system."""
    path = study.removeprefix(SQLITE).partition("?")[0] if study.startswith(SQLITE) else ""
    kind = disk.network_of(Path(path)) if path else ""
    return [note("study-file-on-network", "storage.study", kind=kind)] if kind else []


class _Search:
    def __init__(self, name: str, home: Home, folder: Path, remembered: Mapping[str, str]) -> None:
        self._name, self._spec_folder, self._remembered = name, folder.absolute(), remembered
        # The likely working folder of an earlier version, which remembered nothing: the parent of the default home.
        self._earlier = [home.folder.parent] if not remembered and home.sweep(name).is_dir() else []
        self.bases: dict[str, str] = {}
        self.notes: list[Note] = []

    def database(self, field: str, address: str | None, is_ours: Callable[[Path], bool]) -> str | None:
        """Return the address of a database, with the full path of a SQLite file that is given relatively."""
        if not address or not address.startswith(SQLITE):
            return address
        path, mark, options = address.removeprefix(SQLITE).partition("?")
        if not path or path == ":memory:" or path.startswith("file:"):
            return address
        return f"{SQLITE}{self._found(field, Path(path), is_ours)}{mark}{options}"

    def path(self, field: str, address: str | None, is_ours: Callable[[Path], bool]) -> str | None:
        """Return a folder's full path; an address with a scheme as it is."""
        if not address or "://" in address:
            return address
        # `Path.expanduser` raises if there is no such user.
        return str(self._found(field, Path(os.path.expanduser(address)), is_ours))  # noqa: PTH111

    def _found(self, field: str, path: Path, is_ours: Callable[[Path], bool]) -> Path:
        if path.is_absolute():
            return path
        told = [Path(self._remembered[field])] if field in self._remembered else []
        here = [*told, self._spec_folder, Path.cwd(), *self._earlier]
        ours = [folder for folder in _different(here) if is_ours(folder / path)]
        chosen = ours[0] if ours else self._spec_folder
        if len(ours) > 1 and chosen not in told:
            files = [str(folder / path) for folder in ours]
            raise refused("file-in-several-places", field, path=str(path), files=files)
        if chosen != self._spec_folder:
            self.notes.append(note("file-where-sweep-was", field, path=str(path), found=str(chosen / path)))
        self.bases[field] = str(chosen)
        return chosen / path


def _different(folders: Sequence[Path]) -> list[Path]:
    """Return the folders without those that are the same folder under another name."""
    kept: list[Path] = []
    for folder in folders:
        if not any(disk.is_same(folder, other) for other in kept):
            kept.append(folder)
    return kept


def _holds_study(name: str) -> Callable[[Path], bool]:
    def holds(path: Path) -> bool:
        from cluster.study import stored

        return path.is_file() and stored.facts(f"{SQLITE}{path}", name) is not None

    return holds
