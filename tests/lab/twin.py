"""A near twin of the cluster: `sweep run` in this process, actors stepped in turn, no Ray; and a driver that dies.

Everything else is the product's own: front desk, lease, study, controller, actor, checkpoints, recorder, MLflow. A
driver in a forked child is killed just before its k-th durable step, for any k: what Ray adds is a minute of
waiting for each k, and the same commits in the same order.
"""

import contextlib
import errno
import os
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import sqlalchemy

from cluster import driver
from cluster.ray_backend.actor import TrialActor
from cluster.ray_backend.nodes import Joined
from cluster.ray_backend.tune import StudyScheduler, StudySearcher, StudyStopper
from experiments.cli import main

SLOTS = 2


def tune(controller: Any, series: Any, *_: Any) -> None:
    """Stands where Tune stands: asks for trials, steps their actors in turn, hands in what they say."""
    searcher, scheduler, stopper = StudySearcher(controller), StudyScheduler(controller), StudyStopper(controller)
    running: dict[str, TrialActor] = {}
    count, more = 0, True
    while (running or more) and not stopper.stop_all():
        while more and len(running) < SLOTS:
            config = searcher.suggest(f"t{count}")
            more = config != "FINISHED"
            if not isinstance(config, dict):
                break
            actor = TrialActor.__new__(TrialActor)
            actor.setup(config, series)
            running[f"t{count}"], count = actor, count + 1
        for name, actor in list(running.items()):
            result = actor.step()
            stop = "CONTINUE"
            if not result["done"]:
                stop = scheduler.on_trial_result(None, SimpleNamespace(trial_id=name), result)
            if result["done"] or stop == "STOP":
                searcher.on_trial_complete(name, result)
                del running[name]


@contextlib.contextmanager
def near() -> Iterator[None]:
    """Within this context `sweep run` needs no Ray."""

    @contextlib.contextmanager
    def join(address: str | None, *_: Any) -> Iterator[Joined]:
        yield Joined("near", ("here",), cpus=SLOTS, gpus=0.0, slots=SLOTS, gpus_per_trial=0.0, warnings=())

    with (
        mock.patch.object(driver, "join", join),
        mock.patch("cluster.ray_backend.tune.tune", tune),
        mock.patch.object(driver, "count_slots", return_value=SLOTS),
        mock.patch.object(TrialActor, "_worker", return_value="here"),
        mock.patch.object(TrialActor, "_handle", return_value=[]),
        mock.patch("lstm.device.claim", return_value="cpu"),
    ):
        yield


def forked(act: Callable[[], object], log: Path) -> int:
    """Does something in a child process; its exit code, or minus the signal that killed it."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            # Where pytest captures, these are no longer the process's own.
            sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
            act()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 98
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
            os._exit(code)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except BaseException:  # the test's time is over
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise


def kill() -> None:
    """Ends this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def full() -> None:
    """What a full disk says."""
    raise OSError(errno.ENOSPC, "No space left on device")


def run(
    folder: Path,
    spec: str,
    home: str,
    at: Callable[[int], bool] = lambda _: False,
    fault: Callable[[], None] = kill,
    steps: Path | None = None,
    more: Sequence[str] = (),
) -> int:
    """`sweep run` in a child, with a fault just before each durable step whose number is chosen; its exit code.

    Durable steps are the commits of every database (study, lease, MLflow), and the files that get or lose their
    name (checkpoints, the spec in the home). `steps` gets how many there were; `more` are further arguments.
    """

    def act() -> None:
        os.chdir(folder)
        with near(), _counting(at, fault) as count:
            try:
                main(["run", spec, "--home", home, "--json", *more])
            finally:
                if steps:
                    steps.write_text(str(count[0]))

    return forked(act, folder / "driver.log")


def verify(folder: Path, home: str, name: str) -> int:
    """`sweep verify` in a child; its exit code."""
    return forked(lambda: main(["verify", name, "--home", str(folder / home), "--json"]), folder / "driver.log")


@contextlib.contextmanager
def _counting(at: Callable[[int], bool], fault: Callable[[], None]) -> Iterator[list[int]]:
    count, lock = [0], threading.Lock()

    def step() -> None:
        with lock:
            count[0] += 1
            chosen = at(count[0])
        if chosen:
            fault()

    def commit(_: Any) -> None:
        try:
            step()
        except OSError:
            error = sqlite3.OperationalError("database or disk is full")
            raise sqlalchemy.exc.OperationalError("COMMIT", {}, error) from None

    def before(act: Callable[..., Any]) -> Callable[..., Any]:
        def acting(*arguments: Any, **named: Any) -> Any:
            step()
            return act(*arguments, **named)

        return acting

    sqlalchemy.event.listen(sqlalchemy.Engine, "commit", commit)
    with (
        mock.patch.object(Path, "replace", before(Path.replace)),
        mock.patch.object(Path, "unlink", before(Path.unlink)),
    ):
        yield count
