"""A user's own files that a spec names as `FILE.py:Class`: which there are, and how they come to be executed.

Only `plan`, `run`, `train`, `predict` and `probe` execute them (and `new`, where its `--task` names one), and never one
that lies in a home or a store.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.spec.yaml_document import Document
from experiments.spec.yaml_parser import value_at
from lstm.config.code import Code, execute, file_of, is_reference, read
from lstm.records.errors import BadInput, Fault, refused
from lstm.tasks import registry as tasks

CELL = "model.cell"


def references(filled: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where a document names code of the user's, and what it names there."""
    first = value_at(filled, ("search", "first"))
    places: list[tuple[str | int, ...]] = [("task",), ("model", "cell")]
    choices = value_at(filled, ("search", "space", CELL, "choices"))
    if isinstance(choices, list):
        places += [("search", "space", CELL, "choices", number) for number in range(len(choices))]
    if isinstance(first, list):
        places += [("search", "first", number, CELL) for number in range(len(first))]
    for at in places:
        name = value_at(filled, at)
        if is_reference(name):
            yield at, str(name)


def executed(document: Document, folder: Path, place: str | None = None) -> Document:
    """The document with the digests of the files that it names, which are executed.

    Args:
        document: A spec.
        folder: Where the files' names start: that of the original spec.
        place: `--code`: another place of the one file that it names.

    Raises:
        BadInput: a file can't be read, or raises.
    """
    named: dict[str, tuple[str | int, ...]] = {}
    for at, name in references(document.filled):
        named.setdefault(file_of(name), at)
    if place is not None and len(named) != 1:
        raise _without_use(place, document.path, len(named))
    found, faults = list[Code](), list[Fault]()
    for file, at in named.items():
        try:
            code = read(Path(place) if place else folder / file, file)
            execute(code)
            found.append(code)
            if at == ("task",):
                tasks.own(document.filled["task"], {file: code.digest})
        except BadInput as error:
            faults += [replace(each, path=".".join(map(str, at))) for each in error.faults]
    if faults:
        raise document.refuse(faults)
    return replace(document, code={code.file: code.digest for code in found})


def ready(digests: Mapping[str, str], folder: Path, place: str | None = None) -> None:
    """Executes the files that a trial was trained with.

    Raises:
        BadInput: one can't be read, raises, or is another than the trial's; with both digests.
    """
    if place is not None and len(digests) != 1:
        raise _without_use(place, "the trial", len(digests))
    for file, digest in digests.items():
        code = read(Path(place) if place else folder / file, file)
        if code.digest != digest:
            where = place or folder / file
            raise refused("code-of-another-training", at=where, digest=code.digest[:12], trained=digest[:12])
        execute(code)


def _without_use(place: str, named: str, count: int) -> BadInput:
    """The refusal of `--code` for what does not have one file of code."""
    return refused("code-flag-without-use", at=f"--code {place}", named=named, count=count)
