"""The versions of the shipped specs and data, so that a changed spec does not collide with the sweep of an older one.

`versions.json` lists by sweep name the hash of each shipped version of a spec, the oldest first. `data/versions.json`
lists by file name the SHA-256 of each version of the data. A sweep of an older version stays as it is. The sweep of
today's version gets the same name with -2, -3 and so on.
`python -m experiments.shipped` adds today's versions. A test fails if one is missing.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from experiments.spec import loader as specs
from experiments.spec import yaml_document as yaml_file
from lstm.records.errors import BadInput

FOLDER = Path(__file__).parent
FILE = FOLDER / "versions.json"
DATA, DATA_FILE = FOLDER / "data", FOLDER / "data" / "versions.json"


class Held(NamedTuple):
    """What a study remembers of the spec that it was run with."""

    text: str  # the file's text
    same: Mapping[str, Any]  # the values that must not change between runs of the sweep, by dotted path
    data: str = ""  # the SHA-256 of the data


class Beside(NamedTuple):
    """The name of a shipped spec's sweep if sweeps of older versions exist."""

    name: str
    older: tuple[str, ...]  # the names of the older versions' sweeps


@cache
def versions() -> Mapping[str, tuple[str, ...]]:
    """Return by sweep name the hashes of a shipped spec's versions, the oldest first; the last is today's."""
    return _listed(FILE)


@cache
def data_versions() -> Mapping[str, tuple[str, ...]]:
    """Return by file name the SHA-256 of the versions of shipped data, the oldest first; the last is today's."""
    return _listed(DATA_FILE)


def _listed(file: Path) -> Mapping[str, tuple[str, ...]]:
    return {name: tuple(each) for name, each in json.loads(file.read_text(encoding="utf-8")).items()}


def beside(path: str | Path, name: str, overrides: Sequence[str], held: Callable[[str], Held | None]) -> Beside | None:
    """Return a new name for a shipped spec's sweep if an older version's sweep has its name; None if it keeps its name.

    It keeps its name if the user has changed the spec or the data, or if the sweep of that name is not of an older
    version: `run` then says what differs. An override counts as a change, unless the older sweep was run with it too.

    Args:
        path: The spec's file.
        name: The sweep's name in the spec.
        overrides: The overrides that the file is run with.
        held: Returns what the study of a name remembers of its spec; None if there is no such study.
    """
    every, data = versions().get(name, ("",)), _data_of(path, overrides)
    today = every[-1]
    if max(len(every), len(data)) == 1 or _hash(path) != today:
        return None
    now, older = _hash(path, overrides), list[str]()
    for number in count(1):
        candidate = name if number == 1 else f"{name}-{number}"
        there = held(candidate)
        if there is None:
            break
        known = specs.spec_hash(there.same)
        with _written(there.text) as file:
            version = known if known in every else _hash(file)
            is_shipped = version in every and (now == today or known == _hash(file, overrides))
        if is_shipped and (version != today or there.data in data[:-1]):
            older.append(candidate)
        elif number == 1 or version == today or known == now:
            break
    return Beside(candidate, tuple(older)) if older else None


def _data_of(path: str | Path, overrides: Sequence[str]) -> tuple[str, ...]:
    """Return the versions of the data that a spec names, if the file is the one shipped today; else none."""
    try:
        named = yaml_file.read(path, overrides, whole=False).filled["data"]["path"]
        known = data_versions().get(Path(named).name, ())
        if known and hashlib.sha256((Path(path).parent / named).read_bytes()).hexdigest() == known[-1]:
            return known
    except (BadInput, OSError, KeyError, TypeError):  # reported when the spec and the data are read for use
        pass
    return ()


def _hash(path: str | Path, overrides: Sequence[str] = ()) -> str:
    """Return the hash of the comparable values; "" if the spec is wrong. The data's paths need not be known."""
    try:
        read = yaml_file.read(path, overrides, whole=False)
        given = [f"data.{name}" for name in read.written["data"]]
        more = [f"{each}=unset" for each in given if each.endswith("path") and read.without(each)]
        return specs.spec_hash(specs.comparable(specs.load(path, [*overrides, *more], begun=True)))
    except BadInput:
        return ""


@contextmanager
def _written(text: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "spec.yaml")
        file.write_text(text, encoding="utf-8")
        yield file


def main() -> None:
    """Add today's versions of all shipped specs and data to the lists."""
    known = dict(versions())
    for path in sorted(FOLDER.glob("*.yaml")):
        name = str(yaml_file.read(path, whole=False).filled["name"])
        if not (today := _hash(path)):
            raise SystemExit(f"{path}: is no right spec; `sweep plan {path}` says why")
        if today != known.get(name, ("",))[-1]:
            known[name] = (*known.get(name, ()), today)
    data = dict(data_versions())
    for path in sorted(DATA.iterdir()):
        today = hashlib.sha256(path.read_bytes()).hexdigest()
        if path.suffix in (".csv", ".txt") and today != data.get(path.name, ("",))[-1]:
            data[path.name] = (*data.get(path.name, ()), today)
    for file, listed in ((FILE, known), (DATA_FILE, data)):
        file.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
