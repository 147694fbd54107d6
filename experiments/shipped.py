"""The versions of the shipped specs and data: where one was changed, the sweep starts beside that of an older version.

`versions.json` holds, by the name of the sweep, the hash of each version that was shipped, the oldest first;
`data/versions.json`, by the name of the file, the SHA-256 of the data. A sweep whose spec or data are an older version
stays as it is, and the sweep of today's takes its name with -2, -3 and so on.
`python -m experiments.shipped` adds today's versions; a test fails where one lacks.
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
    """What a study says of the spec that it was run with."""

    text: str  # the file's
    same: Mapping[str, Any]  # what must not change between runs of the sweep, by dotted path
    data: str = ""  # the SHA-256 of the data


class Beside(NamedTuple):
    """The name under which a shipped spec's sweep is kept beside those of older versions."""

    name: str
    older: tuple[str, ...]  # the names of those


@cache
def versions() -> Mapping[str, tuple[str, ...]]:
    """By the sweep's name, the hashes of a shipped spec's versions, the oldest first; the last is today's."""
    return _listed(FILE)


@cache
def data_versions() -> Mapping[str, tuple[str, ...]]:
    """By the file's name, the SHA-256 of shipped data's versions, the oldest first; the last is today's."""
    return _listed(DATA_FILE)


def _listed(file: Path) -> Mapping[str, tuple[str, ...]]:
    return {name: tuple(each) for name, each in json.loads(file.read_text(encoding="utf-8")).items()}


def beside(path: str | Path, name: str, overrides: Sequence[str], held: Callable[[str], Held | None]) -> Beside | None:
    """Where the sweep of a shipped spec is kept if older versions' sweeps have its name; None where it keeps its name.

    It keeps it where its user has changed the spec or the data, and where the sweep of that name is no older version's:
    `run` then says what differs. A change by `--set` counts as one, unless the older sweep was run with the same.

    Args:
        path: The spec's file.
        name: The sweep's.
        overrides: What the file is run with.
        held: What the study of a name says of its spec; None where there is no such study.
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
    """The versions of the data that a spec names, where these are as they are shipped today; else none."""
    try:
        named = yaml_file.read(path, overrides, whole=False).filled["data"]["path"]
        known = data_versions().get(Path(named).name, ())
        if known and hashlib.sha256((Path(path).parent / named).read_bytes()).hexdigest() == known[-1]:
            return known
    except (BadInput, OSError, KeyError, TypeError):  # told by who reads them
        pass
    return ()


def _hash(path: str | Path, overrides: Sequence[str] = ()) -> str:
    """Of what must not change; "" where the spec is not right. Who asks for it need not know where the data are."""
    try:
        is_unset = yaml_file.read(path, overrides, whole=False).without("data.path")
        more = ["data.path=unset"] if is_unset else []
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
    """Adds today's versions of all shipped specs."""
    known = dict(versions())
    for path in sorted(FOLDER.glob("*.yaml")):
        name = str(yaml_file.read(path, whole=False).filled["name"])
        if (today := _hash(path)) != known.get(name, ("",))[-1]:
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
