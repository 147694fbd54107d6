"""Drives a sweep in a process of somebody else, such as a notebook: in a thread, silently, and with no lasting change.

The thread makes Ctrl-C safe. Ctrl-C interrupts the main thread, which only waits here, so the driver is never cut off
in the middle of a commit: it is asked to end, as by `sweep stop`. Ray and Tune install signal handlers only when they
run in the main thread.
"""

import importlib
import io
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, TextIO, TypeVar

from rich.console import Console

from experiments import lookup
from experiments.operations import running
from experiments.operations.training import check_room_on_cpu
from experiments.own_code import CodeFile
from experiments.terminal.live import Screen
from experiments.terminal.log import open_log
from experiments.trials import fitting, refitting
from lstm.device import borrowed
from lstm.messages.message import Message
from lstm.records.epoch import Epoch
from lstm.records.events import Event, Notice, TrialLost
from lstm.records.sweep import Sweep

if TYPE_CHECKING:
    from cluster.interrupts import Stop

LOG = logging.getLogger("experiments")
T = TypeVar("T")
LOOK_S = 1.0  # between two checks whether the sweep was asked to end
PATIENCE_S = 300.0  # the wait for a sweep that was asked to end: Ray's calls may wait for a dead head for ever
# Some settings of Ray, Tune and MLflow exist only as environment variables. These are restored at the end.
VARIABLES = ("RAY_", "TUNE_", "MLFLOW_", "PGCONNECT_TIMEOUT")
LOGGERS = ("optuna", "mlflow", "alembic", "ray.tune.analysis.experiment_analysis", "ray.widgets")


class Unended(Exception):
    """A sweep was asked to end and has not ended; its thread still runs."""


def drive(ready: running.Ready) -> running.Ended:
    """Drive a sweep, and log what the command line would show.

    Raises:
        BadInput: something is wrong that could not be checked before.
        HeldError: another driver holds the sweep.
        KeyboardInterrupt: Ctrl-C was pressed, and the sweep is in a state that can be resumed.
        Unended: the sweep did not end when asked to, which points to a problem with Ray.
    """

    def act(stop: "Stop") -> running.Ended:
        with open_log(ready.plan, ready.started) as log, log.open("a", encoding="utf-8") as file:
            return running.carry_out(ready, lambda before: Told(ready, before, file), stop=stop)

    return _in_thread(act)


def refit(found: lookup.Found, asked: refitting.Asked, code: CodeFile) -> None:
    """Train a refit of a sweep, and log what the command line would show.

    Raises:
        BadInput: the sweep or the trial can't be fitted again, or its data have changed.
        HeldError: another driver holds the sweep.
        Failed: a training diverged or was stopped by somebody, or a store failed.
        KeyboardInterrupt: Ctrl-C was pressed, and every finished epoch is kept.
        Unended: the refit did not end when asked to.
    """
    with as_found():
        ready = refitting.prepare(found, asked, code, ours=False)
        check_room_on_cpu(ready.plan, ready.config)
        LOG.info("%s", ready.about)
        _in_thread(lambda stop: fitting.fit(ready, _Logged(), stop=stop))


class _Logged:
    """A view of a refit for a program."""

    def say(self, message: Message) -> None:
        """Log a note."""
        LOG.warning("%s", message)

    def epoch(self, number: int, epoch: Epoch, of: int) -> None:
        """Log an epoch's training loss."""
        LOG.info("trial %d: epoch %d of %d: train/loss %.5g", number, epoch.number, of, epoch.metrics["train/loss"])


def _in_thread(act: "Callable[[Stop], T]") -> T:
    """Do something in a thread that can be asked to end, and return what it returns."""
    from cluster.interrupts import Stop

    stop, done = Stop(), threading.Event()
    made: list[T] = []
    failed: list[BaseException] = []

    def do() -> None:
        try:
            made.append(act(stop))
        except BaseException as error:
            failed.append(error)
        finally:
            done.set()

    with as_found():
        threading.Thread(target=do, name="sweep", daemon=True).start()
        _wait(done, stop)
    if failed:
        raise failed[0]
    return made[0]


def _wait(done: threading.Event, stop: "Stop") -> None:
    try:
        while not done.wait(LOOK_S):
            if stop.code:
                _wait_for_end(done, stop)
    except KeyboardInterrupt:
        stop.now("interrupted", 130)
        LOG.warning("interrupted: the sweep ends so that it can be gone on with; once more, and that is not waited for")
        with suppress(Unended):
            _wait_for_end(done, stop)
        raise


def _wait_for_end(done: threading.Event, stop: "Stop") -> None:
    if not done.wait(PATIENCE_S):
        raise Unended(f"the sweep was to end ({stop.reason}) and has not in {PATIENCE_S:g} s; use another process")


class Told(AbstractContextManager["Told"]):
    """A view of a sweep for a program: each line becomes a record of `logging` and a line in the sweep's log."""

    def __init__(self, ready: running.Ready, before: Sweep | None, file: TextIO) -> None:
        """Start from what is known of the sweep `before`; `file` is the sweep's log."""
        self._screen = Screen.of(ready.plan.order, Console(file=io.StringIO()), before)
        self._file = file

    def __exit__(self, *_: object) -> None:
        """Do nothing: nothing was opened."""

    def __call__(self, event: Event) -> None:
        """Handle an event; called from several threads."""
        if line := self._screen.line(event):
            LOG.log(logging.WARNING if isinstance(event, Notice | TrialLost) else logging.INFO, "%s", line)
            with suppress(OSError):  # MLflow, the study and the trials report a full disk
                print(time.strftime("%Y-%m-%d %H:%M:%S"), line, file=self._file, flush=True)


@contextmanager
def as_found() -> Iterator[None]:
    """Restore process-wide state that libraries change: environment, loggers, PyTorch's random state and threads."""
    importlib.import_module("cluster.study.stored")  # imports Optuna, which adds a handler to its logger
    environment = {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
    loggers = {name: logging.getLogger(name) for name in LOGGERS}
    before = {name: (each.level, each.handlers[:], each.propagate) for name, each in loggers.items()}
    loggers["optuna"].handlers[:], loggers["optuna"].propagate = [logging.NullHandler()], True
    loggers["ray.widgets"].setLevel(logging.ERROR)  # a notebook does not need Ray's widgets
    try:
        with borrowed() if "torch" in sys.modules else nullcontext():
            yield
    finally:
        for name in [name for name in os.environ if name.startswith(VARIABLES) and name not in environment]:
            del os.environ[name]
        os.environ.update(environment)
        for name, (level, handlers, propagate) in before.items():
            loggers[name].setLevel(level)
            loggers[name].handlers[:], loggers[name].propagate = handlers, propagate
