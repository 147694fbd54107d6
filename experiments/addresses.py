"""Where a spec's study, checkpoints and MLflow are: what is no full address starts at the spec.

Earlier versions let a relative path start at the working folder. A sweep that was run so keeps what it has: its file is
looked for there, and where the sweep's folder remembers it.
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

FILE = "addresses.json"  # in a sweep's folder: where its study, its checkpoints and its runs are (${} not filled in)
SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Addresses:
    """Full addresses; None and "" where the home's own are to be used."""

    study: str | None
    checkpoints: str | None
    tracking: str | None
    bases: Mapping[str, str]  # by field: the folder in which a relative path starts
    notes: tuple[Note, ...]  # where another folder than the spec's was taken


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
    """Finds the files of relative addresses.

    Args:
        name: The sweep's.
        home: Where the sweep is run.
        folder: The spec's.
        study: `storage.study`, as the environment fills it in.
        checkpoints: `storage.checkpoints`.
        tracking: `tracking.uri`.
        remembered: By field, the folder in which it started when the sweep was last run.

    Raises:
        BadInput: files stand in two places, and nothing says which is the sweep's.
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
    """By field, the folder in which a sweep's relative addresses started when it was last run in this home."""
    bases = (saved(home, name) or {}).get("bases", {})
    return {field: str(home.carried(Path(base))) for field, base in bases.items()}


def saved(home: Home, name: str) -> Mapping[str, Any] | None:
    """What a sweep's folder says of its addresses, as it was last run; None where it was not run from this home."""
    try:
        found = json.loads((home.sweep(name) / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


class _Search:
    def __init__(self, name: str, home: Home, folder: Path, remembered: Mapping[str, str]) -> None:
        self._name, self._spec_folder, self._remembered = name, folder.absolute(), remembered
        # The working folder of a command that kept its home in the default place, and remembered nothing.
        self._earlier = [home.folder.parent] if not remembered and home.sweep(name).is_dir() else []
        self.bases: dict[str, str] = {}
        self.notes: list[Note] = []

    def database(self, field: str, address: str | None, is_ours: Callable[[Path], bool]) -> str | None:
        """The address of a database; of a SQLite file that is given relatively, its full one."""
        if not address or not address.startswith(SQLITE):
            return address
        path, mark, options = address.removeprefix(SQLITE).partition("?")
        if not path or path == ":memory:" or path.startswith("file:"):
            return address
        return f"{SQLITE}{self._found(field, Path(path), is_ours)}{mark}{options}"

    def path(self, field: str, address: str | None, is_ours: Callable[[Path], bool]) -> str | None:
        """A folder's full path; what has a scheme is taken as it is."""
        if not address or "://" in address:
            return address
        # `Path.expanduser` raises where there is no such user.
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
    """Folders without those that are the same under another name."""
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
