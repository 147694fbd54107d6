"""Separates a driver's output: its own lines go to the screen, those of libraries to the log in the sweep's folder."""

import os
import pdb
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from experiments.planning import Plan
from experiments.terminal import streams
from lstm.records.errors import BadInput, refused

HURRY_S = 5.0  # the wait for a slow reader of the screen after a failure, and before a debugger


@contextmanager
def open_log(plan: Plan, started: threading.Event) -> Iterator[Path]:
    """Yield the path of the sweep's log, in its folder. If the input is wrong and nothing has started, restore both.

    Raises:
        BadInput: the folder can't be made.
    """
    folder = plan.home.sweep(plan.order.name)
    log = folder / "sweep.log"
    fresh = [path for path in (folder, *folder.parents) if not path.exists()]
    said = log.stat().st_size if log.exists() else None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        place = f"--home {plan.home.folder}"
        raise refused("folder-not-made", at=place, folder=str(folder), why=error.strerror) from None
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
def redirected(log: Path, *, to_stderr: bool, is_debugged: bool = False) -> Iterator[streams.Relay]:
    """Redirect standard output and error to the log, and yield the screen.

    With `is_debugged` the screen shows plain lines instead of a live table, which would draw over a debugger.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in kept:
        os.dup2(descriptor, number)
    os.close(descriptor)
    view = streams.View(os.dup(kept[2 if to_stderr else 1]), _tell_lost, closefd=True)
    screen = streams.Relay(view, is_plain=is_debugged)
    try:
        with _breakpoints(screen) if is_debugged else nullcontext():
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


@contextmanager
def _breakpoints(screen: streams.Relay) -> Iterator[None]:
    """Let `breakpoint()` use the terminal, because standard output leads to the log. A debugger's own hook stays."""
    before = sys.breakpointhook

    def stop_here(*arguments: Any, **named: Any) -> None:
        try:
            here, there = (Path("/dev/tty").open(mode) for mode in "rw")  # noqa: SIM115 # the debugger keeps them
        except OSError:  # there is no terminal
            before(*arguments, **named)
            return
        screen.settle(HURRY_S)  # a line that came late would stand behind the debugger's prompt
        pdb.Pdb(stdin=here, stdout=there, nosigint=True).set_trace(sys._getframe(1))

    if before is sys.__breakpointhook__ and "PYTHONBREAKPOINT" not in os.environ:
        sys.breakpointhook = stop_here
    try:
        yield
    finally:
        sys.breakpointhook = before


def _tell_lost(error: OSError) -> None:
    """Print a line in the log when the screen is lost: a closed terminal, a reader that has left, a full disk."""
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"{now} note: the screen can't be written ({error.strerror}); the sweep continues without it", flush=True)
