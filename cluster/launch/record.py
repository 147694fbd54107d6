"""The record of a launched sweep: its job, kept in the sweep's folder where it was launched, and in its study.

Before a job is submitted, an intent is kept: what finds the job again if this process is killed before it has the
job's id. The record takes the place of the intent.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lstm.records.errors import check_form, refused
from lstm.storage import files

FILE, FORM = "launched.json", 1
INTENT = "launching.json"  # of the same form
VARIABLE = "SWEEP_LAUNCHED"  # in the job's environment, for the driver: SYSTEM:JOB
_LOCK = ".launching"
_TRIES = 10_000  # each is one that another process has spoilt just then


@dataclass(frozen=True, slots=True)
class Launched:
    """A job that was submitted for a sweep."""

    system: str  # "slurm" or "kubernetes"
    job: str  # the system's id of it; of an intent what the system will find it by
    sweep: str
    host: str = ""  # where it was launched
    user: str = ""  # by whom
    at: float = field(default_factory=time.time)  # seconds since 1970
    where: Mapping[str, str] = field(default_factory=dict)  # what finds the job again: the log's file, the namespace …

    @property
    def text(self) -> str:
        """The job in a word, as in `slurm:1234`."""
        return f"{self.system}:{self.job}"


def read(folder: Path) -> Launched | None:
    """Return the last job that was submitted for a sweep from here; None if there was none.

    Args:
        folder: The sweep's folder.

    Raises:
        BadInput: the record is damaged, or a newer version wrote it.
    """
    return _read(folder / FILE)


def intended(folder: Path) -> Launched | None:
    """Return the intent of a launch that is under way or was cut off; None if there is none. Raises as `read`."""
    return _read(folder / INTENT)


def _read(path: Path) -> Launched | None:
    try:
        row: Any = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refused("launch-record-not-read", at=path, why=error.strerror or str(error)) from None
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise refused("launch-record-damaged", at=path)
    form = row.pop("form", FORM)
    if not isinstance(form, int):
        raise refused("launch-record-damaged", at=path)
    check_form(path, form, FORM)
    try:
        found = Launched(**row)
    except TypeError:
        raise refused("launch-record-damaged", at=path) from None
    words = (found.system, found.job, found.sweep, found.host, found.user)
    is_where = isinstance(found.where, dict) and all(isinstance(each, str) for each in found.where.values())
    if not (is_where and isinstance(found.at, int | float) and all(isinstance(each, str) for each in words)):
        raise refused("launch-record-damaged", at=path)
    return found


def write(folder: Path, launched: Launched) -> None:
    """Write the record, durably and at once, in place of an earlier one and of the intent."""
    _write(folder, FILE, launched)
    forget(folder)


def intend(folder: Path, intent: Launched) -> None:
    """Write what a launch is about to submit, durably and at once."""
    _write(folder, INTENT, intent)


def forget(folder: Path) -> None:
    """Remove the intent of a launch that has submitted nothing."""
    (folder / INTENT).unlink(missing_ok=True)


def drop(folder: Path, launched: Launched) -> bool:
    """Remove the record of a job, or its intent, and what is kept of earlier jobs. Return whether it was there."""
    with launching(folder):
        if found := launched.text in (each.text for each in (intended(folder), read(folder)) if each):
            forget(folder)
            (folder / FILE).unlink(missing_ok=True)
    return found


def _write(folder: Path, name: str, launched: Launched) -> None:
    text = json.dumps({"form": FORM, **asdict(launched)}, indent=1) + "\n"
    files.put(str(folder), name, text.encode())


@contextmanager
def launching(folder: Path) -> Iterator[None]:
    """Let one process at a time launch a sweep; others wait.

    The tool that submits inherits the lock: if this process is killed, others wait for the tool's end. The folder is
    made with those above it. What was made goes again if it stays empty.
    """
    import fcntl

    made = [each for each in (folder, *folder.parents) if each == folder or not each.exists()]
    for left in reversed(range(_TRIES)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except (FileNotFoundError, FileExistsError):  # the process before this one has just removed the folder
            if not left:
                raise
            continue
        with suppress(OSError):  # a file system without locks: there, two launches at one moment are not told apart
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            break
        os.close(lock)  # while this process waited, the one before it removed the file
    os.set_inheritable(lock, True)
    try:
        yield
    finally:
        (folder / _LOCK).unlink(missing_ok=True)
        os.close(lock)
        with suppress(OSError):  # it holds something
            for each in made:
                each.rmdir()


def of_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the job in which this process drives, for the study to remember; nothing outside a launched job."""
    system, mark, job = environment.get(VARIABLE, "").partition(":")
    return {"system": system, "job": job} if mark else {}
