"""A driver's output: what it says goes to the screen, what libraries say to the log in the sweep's folder."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from experiments.planning import Plan
from experiments.terminal import streams
from lstm.records.errors import BadInput

HURRY_S = 5.0  # for who reads the screen, unless all went well


@contextmanager
def open_log(plan: Plan, started: threading.Event) -> Iterator[Path]:
    """The sweep's log in its folder; both as before where the input turns out wrong before anything started."""
    folder = plan.home.sweep(plan.order.name)
    log = folder / "sweep.log"
    fresh = [path for path in (folder, *folder.parents) if not path.exists()]
    said = log.stat().st_size if log.exists() else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--home {plan.home.folder}: {folder} can't be made: {error.strerror}") from None
    try:
        yield log
    except BadInput:
        if started.is_set():
            raise
        if folder in fresh:
            shutil.rmtree(folder)
        elif said is None:
            log.unlink(missing_ok=True)
        else:
            os.truncate(log, said)
        for path in fresh:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        raise


@contextmanager
def redirected(log: Path, *, to_stderr: bool) -> Iterator[streams.Relay]:
    """Sends all that libraries and workers say to the log; yields the screen."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in kept:
        os.dup2(descriptor, number)
    os.close(descriptor)
    screen = streams.Relay(streams.View(os.dup(kept[2 if to_stderr else 1]), _tell_lost, closefd=True))
    try:
        yield screen
    except BaseException:
        screen.patience_s = HURRY_S
        raise
    finally:
        screen.close()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # the log's disk may be full
                stream.flush()
        streams.forget()
        for number, saved in kept.items():
            os.dup2(saved, number)
            os.close(saved)


def _tell_lost(error: OSError) -> None:
    """A line in the log where the screen is gone: a terminal that was closed, a reader that has left, a full disk."""
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"{now} note: the screen can't be written ({error.strerror}); the sweep goes on without it", flush=True)
