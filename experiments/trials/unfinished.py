"""Warm refits that are not whole: what is kept of the trainings for their windows, and how it is removed.

These trainings are no trials. A fact of the study says that they were begun, so that `sweep status` can name them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lstm.records.sweep import WARMING, Sweep


def address_of(checkpoints: str, parent: int) -> str:
    """Return the address of the trainings for the windows of a warm refit, below that of the sweep's checkpoints."""
    return f"{checkpoints}/warm-{parent:04d}"


def begun(facts: Mapping[str, Any], parent: int, until: str | None, epochs: Mapping[str, int]) -> dict[str, Any]:
    """Return the fact that a warm refit of a trial is begun.

    Args:
        facts: The study's facts.
        parent: The number of the trial.
        until: The time of the last row, if that was asked for.
        epochs: The number of epochs of each training, by its name.
    """
    return {WARMING: {**(facts.get(WARMING) or {}), str(parent): {"until": until, "epochs": dict(epochs)}}}


def ended(facts: Mapping[str, Any], parents: Sequence[int]) -> dict[str, Any]:
    """Return the fact that nothing is left of the warm refits of some trials; empty if that is known."""
    known = facts.get(WARMING) or {}
    left = {number: row for number, row in known.items() if int(number) not in parents}
    return {} if left == known else {WARMING: left}


def rows(swept: Sweep) -> list[dict[str, Any]]:
    """Return the warm refits that are not whole, as plain data: of which trial, and how many epochs are kept.

    `kept` is None if the checkpoints can't be asked.
    """
    return [
        {
            "refit_of": int(number),
            "until": row["until"],
            "trainings": len(row["epochs"]),
            "epochs": sum(row["epochs"].values()),
            "kept": _kept(address_of(str(swept.facts.get("checkpoints", "")), int(number)), row["epochs"]),
        }
        for number, row in (swept.facts.get(WARMING) or {}).items()
    ]


def _kept(address: str, epochs: Mapping[str, int]) -> int | None:
    from lstm import checkpoint

    try:
        newest = [(checkpoint.names(f"{address}/{name}")[-1:], count) for name, count in epochs.items()]
    except OSError:
        return None
    return sum(min(checkpoint.place(names[0]).epoch, count) for names, count in newest if names)


def left(swept: Sweep) -> dict[int, int]:
    """Return the size in bytes of what is left of trainings for windows, by the trial that was to be fitted.

    The folder is looked through, because a study that was restored does not know of them.

    Raises:
        OSError: the store can't be read.
    """
    from lstm.storage import files

    root = str(swept.facts.get("checkpoints", ""))
    found = (re.fullmatch(r"warm-(\d+)", name) for name in files.names(root)) if root else ()
    numbers = sorted(int(match[1]) for match in found if match)
    there = {number: [files.sizes(each) for each in _trainings(address_of(root, number))] for number in numbers}
    return {number: sum(sum(each.values()) for each in sizes) for number, sizes in there.items() if any(sizes)}


def clear(address: str) -> None:
    """Remove the trainings for the windows of a warm refit.

    Raises:
        OSError: a file can't be removed.
    """
    from lstm.storage import files

    for training in _trainings(address):
        for name in files.names(training):
            files.remove(training, name)
    if (folder := files.folder_of(address)) is not None and folder.is_dir():
        for empty in (*folder.iterdir(), folder):
            empty.rmdir()


def _trainings(address: str) -> Iterator[str]:
    from lstm.storage import files

    yield from (f"{address}/{name}" for name in files.names(address) if name.startswith("window-"))
