"""Reads and writes checkpoints: a trial's last state, its best epoch's weights and its whole history, in one file.

A trial's address is a folder, or a prefix in an object store. Each epoch writes one new file there,
`attempt-01-epoch-000007.pt`, either whole or not at all, with a checksum. The previous file is kept until the next one
is written. After the first window, the name also contains the window: `attempt-01-window-02-epoch-000007.pt`. A file is
the output of `torch.save` with `sha256:<hex>` as the zip archive's comment, so `torch.load` opens it unchanged. Loading
never runs code (`weights_only=True`).
"""

import dataclasses
import io
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lstm.config.trial import TrialConfig
from lstm.messages.message import Say, note
from lstm.records.epoch import SYSTEM, Epoch, Place, State
from lstm.records.errors import NewerForm, check_form
from lstm.records.goodput import NOTHING, Spent
from lstm.storage import disk, files

FORMAT = 3  # format 1 had the same facts of the data for every task; format 2 had no windows
NAME = re.compile(r"attempt-(\d+)(?:-window-(\d+))?-epoch-(\d+)\.pt")
TEMPORARY = re.compile(rf"\.{NAME.pattern}\.(.+\.)?\d+")  # the name of a file while a process writes it


class BrokenCheckpoint(Exception):
    """The error for a checkpoint file that is truncated, altered or not of this program; it was not loaded."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The content of a checkpoint file."""

    config: TrialConfig
    facts: Mapping[str, Any]  # the fields of the task's `Facts`: what a network must know about its data
    state: State
    spent: Spent = NOTHING  # the workers' time in addition to the epochs, before the file was written
    study: str = ""  # the id of the trial's study; "" in files of earlier versions
    number: int | None = None  # the trial's number; None in files of earlier versions
    derived: Mapping[str, Any] | None = None  # if the trial extends another: its origin, as `Derived.row` writes it

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the data that the network was trained on."""
        return str(self.facts["fingerprint"])


def address_of(checkpoints: str, number: int) -> str:
    """Return the address of a trial, below the address of its sweep's checkpoints."""
    return f"{checkpoints}/trial-{number:04d}"


def write(address: str, number: int, checkpoint: Checkpoint) -> str:
    """Write a checkpoint of attempt `number` durably, remove the files it replaces, and return the new file's name.

    The attempt's last two files are kept. An attempt writes one file at a time, so half-written files of this attempt
    or an older one are removed as well.

    Raises:
        OSError: the store can't be written to; the previous checkpoint still exists.
    """
    name = file_name(number, checkpoint.state.place)
    files.put(address, name, dumps(checkpoint))
    there = files.names(address)
    mine = [n for n in _checkpoints(there) if attempt(n) == number]
    for old in [*mine[:-2], *_half_written(there, number)]:
        with suppress(OSError):  # the new file is written; one old file more does no harm
            files.remove(address, old)
    return name


def load(address: str, broken: Say = lambda _: None) -> Checkpoint | None:
    """Load the newest valid checkpoint at an address: the latest epoch of the latest attempt; None if there is none.

    A file of an older attempt is read only if the later attempts have no valid file. `broken` is called with a message
    for each damaged file, which is skipped. The owner is not checked: for a sweep's trial, use `ownership.load`.

    Raises:
        NewerForm: a newer version wrote the file.
        OSError: the store can't be read.
    """
    found = newest(address, broken)
    return found[1] if found else None


def strip(address: str, checkpoint: Checkpoint) -> None:
    """Replace a trial's checkpoint by one small file that has the history but no weights.

    Half-written files are removed as well, except those of an attempt newer than the file's.

    Args:
        address: The trial's address.
        checkpoint: The trial's checkpoint at the address.

    Raises:
        OSError: the store can't be written to.
    """
    kept = names(address)[-1]
    files.put(address, kept, dumps(_bare(checkpoint)))
    there = files.names(address)
    for old in [*_checkpoints(there), *_half_written(there, attempt(kept))]:
        if old != kept:
            files.remove(address, old)


def freeable(address: str, checkpoint: Checkpoint) -> int:
    """Return how many bytes `strip` would free; 0 if the trial has no weights and no other file any more.

    Args:
        address: The trial's address.
        checkpoint: The trial's checkpoint at the address.

    Raises:
        OSError: the store can't be read.
    """
    there, state = files.sizes(address), checkpoint.state
    kept = _checkpoints(there)[-1]
    mine = {*_checkpoints(there), *_half_written(there, attempt(kept))}
    if mine == {kept} and not (state.model or state.best_weights):
        return 0
    return max(sum(there[name] for name in mine) - len(dumps(_bare(checkpoint))), 0)


def _bare(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint without its weights."""
    state = dataclasses.replace(checkpoint.state, model={}, optimizer={}, schedule={}, best_weights={})
    return dataclasses.replace(checkpoint, state=state)


def place_of(address: str) -> str:
    """Return an address as people read it: a folder with its disk and the free space there."""
    folder = files.folder_of(address)
    return address if folder is None else disk.place_of(folder)


def probe(address: str, name: str) -> None:
    """Write a small file at an address to test that this is possible; at a URL, remove it again.

    Raises:
        OSError: the store can't be written to.
    """
    files.put(address, name, b"probe")
    if "://" in address:
        files.remove(address, name)


def names(address: str) -> list[str]:
    """Return the names of the checkpoint files at an address, oldest first: by attempt, window and epoch."""
    return _checkpoints(files.names(address))


def file_name(number: int, place: Place) -> str:
    """Return the name of the file that attempt `number` writes after the epoch at `place`."""
    window = f"-window-{place.window:02d}" if place.window > 1 else ""
    return f"attempt-{number:02d}{window}-epoch-{place.epoch:06d}.pt"


def attempt(name: str) -> int:
    """Return the number of the attempt that wrote a file."""
    return _sort_key(name)[0]


def place(name: str) -> Place:
    """Return the window and the epoch after which a file was written."""
    return _sort_key(name)[1]


def _checkpoints(there: Iterable[str]) -> list[str]:
    return sorted((n for n in there if NAME.fullmatch(n)), key=_sort_key)


def _half_written(there: Iterable[str], number: int) -> list[str]:
    """Return the half-written files of an attempt or an earlier one, which remain if a process is killed in a write."""
    return [n for n in there if (found := TEMPORARY.fullmatch(n)) and int(found[1]) <= number]


def _sort_key(name: str) -> tuple[int, Place]:
    match = NAME.fullmatch(name)
    assert match is not None
    return int(match[1]), Place(int(match[2] or 1), int(match[3]))


def newest(address: str, broken: Say) -> tuple[bytes, Checkpoint] | None:
    """Load the newest valid checkpoint together with the bytes of its file; None if there is none.

    Raises what `load` raises.
    """
    for name in reversed(names(address)):
        try:
            data = files.get(address, name)
            if data is not None:  # None: another process has just removed the file
                return data, loads(data)
        except BrokenCheckpoint as error:
            broken(note("file-passed-over", at=f"{address}/{name}", why=str(error)))
        except NewerForm as error:
            raise error.at(f"{address}/{name}") from None
    return None


def dumps(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as the bytes of a file, with its checksum."""
    import torch

    state = checkpoint.state
    content = {
        "format": FORMAT,
        "config": checkpoint.config.model_dump(),
        "facts": dict(checkpoint.facts),
        "history": [_epoch_row(epoch) for epoch in state.history],
        "spent": dataclasses.asdict(checkpoint.spent),
        "study": checkpoint.study,
        "trial": checkpoint.number,
        **({"derived": dict(checkpoint.derived)} if checkpoint.derived else {}),
        **{f.name: getattr(state, f.name) for f in dataclasses.fields(State) if f.name != "history"},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    # The archive ends with two bytes for the length of its comment, which is 0: the seal replaces them.
    body = buffer.getvalue()[:-2]
    return body + files.seal(body)


def loads(data: bytes) -> Checkpoint:
    """Return the checkpoint in the bytes of a file; no code in the file is ever run.

    Raises:
        BrokenCheckpoint: the bytes are not a whole, unaltered checkpoint.
        NewerForm: a newer version wrote the file.
    """
    import torch

    body = files.unsealed(data)
    if body is None:
        raise BrokenCheckpoint("is truncated, altered or not a checkpoint of ours: its checksum does not match")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        check_form("", content["format"], FORMAT)
        history = tuple(map(_epoch_of, content["history"]))
        content = {"window": 1} | content  # earlier formats had no windows
        fields = {f.name: content[f.name] for f in dataclasses.fields(State) if f.name != "history"}
        return Checkpoint(
            config=TrialConfig.model_validate(content["config"]),
            facts=_facts(content["facts"]),
            state=State(history=history, **fields),
            spent=Spent(**content.get("spent", {})),  # earlier versions did not measure this time
            study=str(content.get("study", "")),
            number=content.get("trial"),
            derived=content.get("derived"),
        )
    except NewerForm:
        raise
    except Exception as error:  # torch's reader raises exceptions of many classes on foreign bytes
        first = (str(error).splitlines() or [""])[0][:120]
        raise BrokenCheckpoint(f"can't be read: {type(error).__name__}: {first}") from None


def _epoch_row(epoch: Epoch) -> dict[str, Any]:
    return {
        "window": epoch.window,
        "number": epoch.number,
        "metrics": {**epoch.metrics, **epoch.system},  # together, as earlier versions read them
        "value": epoch.value,
        "measured_at_ms": epoch.measured_at_ms,
        "stop": epoch.stop,
    }


def _epoch_of(row: Mapping[str, Any]) -> Epoch:
    metrics = row["metrics"]
    system = {name: value for name, value in metrics.items() if name.startswith(SYSTEM)}
    results = {name: value for name, value in metrics.items() if name not in system}
    return Epoch(**{**row, "metrics": results, "system": system})


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(row["fingerprint"], str):
        raise TypeError("no fingerprint of the data")
    return dict(row)
