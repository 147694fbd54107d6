"""Checkpoints: a trial's last state, its best epoch's weights and its whole history, in one file.

A trial's address is a folder (or an object store's prefix). Each epoch writes one new file there,
`attempt-01-epoch-000007.pt`: whole or not at all, with a checksum; the one before is kept until the
next is written. After the first window its name has the window, too:
`attempt-01-window-02-epoch-000007.pt`. A file is what `torch.save` makes, with `sha256:<hex>` as the
zip archive's comment, so `torch.load` opens it as it is. Loading never runs code (`weights_only=True`).
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
from lstm.records.epoch import Epoch, Place, State
from lstm.records.errors import NewerForm, check_form
from lstm.records.goodput import NOTHING, Spent
from lstm.storage import disk, files

FORMAT = 3  # 1 had the same facts of the data whatever the task, 2 knew no windows
NAME = re.compile(r"attempt-(\d+)(?:-window-(\d+))?-epoch-(\d+)\.pt")
TEMPORARY = re.compile(rf"\.{NAME.pattern}\.(.+\.)?\d+")  # a file while a host's process writes it


class BrokenCheckpoint(Exception):
    """A checkpoint file that is truncated, altered or not ours; it was not loaded."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a file holds."""

    config: TrialConfig
    facts: Mapping[str, Any]  # the fields of its task's `Facts`: what a network must know of its data
    state: State
    spent: Spent = NOTHING  # of the trial's workers beside its epochs, before the file was written
    study: str = ""  # the id of the trial's study; earlier versions did not say it
    number: int | None = None  # the trial's, with `study`

    @property
    def fingerprint(self) -> str:
        """Tells the data that it was trained on from others."""
        return str(self.facts["fingerprint"])


def address_of(checkpoints: str, number: int) -> str:
    """The address of a trial, below that of its sweep's checkpoints."""
    return f"{checkpoints}/trial-{number:04d}"


def write(address: str, number: int, checkpoint: Checkpoint) -> str:
    """Writes the state of an epoch of attempt `number` durably and removes what it replaces; returns the file's name.

    An attempt writes one file at a time, so what it or an older one left half written is removed, too.

    Raises:
        OSError: the store can't be written to; the checkpoint before is still there.
    """
    name = file_name(number, checkpoint.state.place)
    files.put(address, name, dumps(checkpoint))
    there = files.names(address)
    mine = [n for n in _checkpoints(there) if attempt(n) == number]
    for old in [*mine[:-2], *_half_written(there, number)]:
        with suppress(OSError):  # another is there; a file too many does no harm
            files.remove(address, old)
    return name


def load(address: str, broken: Say = lambda _: None) -> Checkpoint | None:
    """The newest valid checkpoint at an address: the latest attempt's, there the latest epoch's.

    What an older attempt leaves after a later one has written is never read. Each file that can't be
    trusted is named to `broken` and passed over. Whose it is, is not asked: of a sweep's trial `ownership.load` does.

    Raises:
        NewerForm: a newer version wrote it.
        OSError: the store can't be read.
    """
    found = newest(address, broken)
    return found[1] if found else None


def strip(address: str, checkpoint: Checkpoint) -> None:
    """Leaves only the history of a trial whose weights are no longer wanted, as one small file.

    What was left half written is removed, but for an attempt that is newer than that file's.

    Args:
        address: The trial's.
        checkpoint: What is there.
    """
    bare = dataclasses.replace(checkpoint.state, model={}, optimizer={}, schedule={}, best_weights={})
    kept = names(address)[-1]
    files.put(address, kept, dumps(dataclasses.replace(checkpoint, state=bare)))
    there = files.names(address)
    for old in [*_checkpoints(there), *_half_written(there, attempt(kept))]:
        if old != kept:
            files.remove(address, old)


def place_of(address: str) -> str:
    """Where an address is, for people: of a folder with the disk that it lies on."""
    folder = files.folder_of(address)
    return address if folder is None else disk.place_of(folder)


def probe(address: str, name: str) -> None:
    """Leaves a small file in a folder, or writes and removes one in an object store; raises where it can't."""
    files.put(address, name, b"probe")
    if "://" in address:
        files.remove(address, name)


def names(address: str) -> list[str]:
    """The checkpoint files at an address, oldest first: by attempt, window and epoch."""
    return _checkpoints(files.names(address))


def file_name(number: int, place: Place) -> str:
    """The name of the file that attempt `number` writes after the epoch at a place."""
    window = f"-window-{place.window:02d}" if place.window > 1 else ""
    return f"attempt-{number:02d}{window}-epoch-{place.epoch:06d}.pt"


def attempt(name: str) -> int:
    """The attempt that wrote a file."""
    return _sort_key(name)[0]


def _checkpoints(there: Iterable[str]) -> list[str]:
    return sorted((n for n in there if NAME.fullmatch(n)), key=_sort_key)


def _half_written(there: Iterable[str], number: int) -> list[str]:
    """What a kill during a write of an attempt, or of one before it, left in a folder."""
    return [n for n in there if (found := TEMPORARY.fullmatch(n)) and int(found[1]) <= number]


def _sort_key(name: str) -> tuple[int, Place]:
    match = NAME.fullmatch(name)
    assert match is not None
    return int(match[1]), Place(int(match[2] or 1), int(match[3]))


def newest(address: str, broken: Say) -> tuple[bytes, Checkpoint] | None:
    """The same as `load`, with the bytes of the file."""
    for name in reversed(names(address)):
        try:
            data = files.get(address, name)
            if data is not None:  # else another process has just removed it
                return data, loads(data)
        except BrokenCheckpoint as error:
            broken(note("file-passed-over", at=f"{address}/{name}", why=str(error)))
        except NewerForm as error:
            raise error.at(f"{address}/{name}") from None
    return None


def dumps(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as the bytes of a file."""
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
        **{f.name: getattr(state, f.name) for f in dataclasses.fields(State) if f.name != "history"},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    # The archive ends with the length of its comment, 0 in two bytes: the seal takes their place.
    body = buffer.getvalue()[:-2]
    return body + files.seal(body)


def loads(data: bytes) -> Checkpoint:
    """A checkpoint from the bytes of a file; no code in it is ever run.

    Raises:
        BrokenCheckpoint: the bytes are not a whole, unaltered checkpoint.
        NewerForm: a newer version wrote it.
    """
    import torch

    body = files.unsealed(data)
    if body is None:
        raise BrokenCheckpoint("is truncated, altered or not a checkpoint of ours: its checksum does not match")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        check_form("", content["format"], FORMAT)
        history = tuple(Epoch(**row) for row in content["history"])
        content = {"window": 1} | content  # earlier forms knew none
        fields = {f.name: content[f.name] for f in dataclasses.fields(State) if f.name != "history"}
        return Checkpoint(
            config=TrialConfig.model_validate(content["config"]),
            facts=_facts(content["facts"]),
            state=State(history=history, **fields),
            spent=Spent(**content.get("spent", {})),  # earlier versions did not measure it
            study=str(content.get("study", "")),
            number=content.get("trial"),
        )
    except NewerForm:
        raise
    except Exception as error:  # what torch's reader raises on foreign bytes is not one class
        first = (str(error).splitlines() or [""])[0][:120]
        raise BrokenCheckpoint(f"can't be read: {type(error).__name__}: {first}") from None


def _epoch_row(epoch: Epoch) -> dict[str, Any]:
    return {
        "window": epoch.window,
        "number": epoch.number,
        "metrics": dict(epoch.metrics),
        "value": epoch.value,
        "measured_at_ms": epoch.measured_at_ms,
        "stop": epoch.stop,
    }


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(row["fingerprint"], str):
        raise TypeError("no fingerprint of the data")
    return dict(row)
