"""Finds and executes the user's own files, which a spec names as `FILE.py:Class`.

Only `plan`, `doctor`, `run`, `retry`, `train`, `predict` and `probe` execute them, and `new` if its `--task` names one.
A file in a home or a store is never executed.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.spec.yaml_document import Document
from experiments.spec.yaml_parser import value_at
from lstm.own_code import Code, execute, file_of, is_reference, read
from lstm.records.errors import BadInput, Fault, refused
from lstm.tasks import registry as tasks

CELL = "model.cell"
CodeFile = str | os.PathLike[str] | None  # where the one own file is; None: where the spec says


def references(filled: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the address of each reference to the user's own code in a document, and the reference."""
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


def executed(document: Document, folder: Path, place: CodeFile = None) -> Document:
    """Execute the own files that a document names, and return the document with their digests.

    Args:
        document: A spec.
        folder: The folder of the original spec, where the files' names start.
        place: The path from `--code` of the one file that the spec names.

    Raises:
        BadInput: a file can't be read or raises, or `place` is given and the spec does not name exactly one file.
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


def ready(digests: Mapping[str, str], folder: Path, place: CodeFile = None) -> None:
    """Execute the files that a trial was trained with.

    Args:
        digests: By file, the SHA-256 that the trial was trained with.
        folder: The folder where the files' names start.
        place: The path from `--code` of the one file.

    Raises:
        BadInput: a file can't be read, raises, or has another digest than the trial's (the error has both); or `place`
            is given and there is not exactly one file.
    """
    if place is not None and len(digests) != 1:
        raise _without_use(place, "the trial", len(digests))
    for file, digest in digests.items():
        code = read(Path(place) if place else folder / file, file)
        if code.digest != digest:
            where = place or folder / file
            raise refused("code-of-another-training", at=where, digest=code.digest[:12], trained=digest[:12])
        execute(code)


def _without_use(place: CodeFile, named: str, count: int) -> BadInput:
    """Return the refusal of `--code` for a spec or a trial that does not have exactly one file of code."""
    return refused("code-flag-without-use", at=f"--code {place}", named=named, count=count)
