"""A driver that dies: `sweep run --in-process` in a forked child, which is killed just before its k-th durable step.

What Ray would add is a minute of waiting for each k, and the same commits in the same order.
"""

import contextlib
import errno
import faulthandler
import functools
import importlib
import os
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import blank
import inside
import migrations
import sqlalchemy
import statements

from experiments.cli import main
from lstm import checkpoint
from lstm.records.epoch import Place

# What a sweep imports on its way: once here, and not in each child.
_NEEDED = (
    "torch",
    "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store",
    "pyarrow.parquet",
    "cluster.driver",
    "cluster.executors.choice",
    "cluster.executors.in_process",
    "cluster.study.restore",
    "cluster.study.study",
    "dashboards.report.page",
    "dashboards.tracking.recorder",
    "experiments.operations.running",
    "experiments.recovery.lost_checkpoint",
    "experiments.report",
    "experiments.verbs.run",
    "experiments.verbs.verify",
    "lstm.data.tables.regular",
    "lstm.diagnostics.probe",
    "lstm.rivals.forecast",
    "lstm.tasks.networks.forecast",
    "lstm.training.loop",
    "lstm.verdict.store",
    "plotly.graph_objects",
)


FEWER = 5  # durable steps that a run may have less than another: MLflow's records are sent in parcels
HANGS_S = 240  # less than the time of a test, in pyproject.toml


@functools.cache
def warm() -> None:
    """Imports what a sweep needs, for all children that are forked from here on."""
    for name in _NEEDED:
        importlib.import_module(name)
    import optuna
    from plotly import graph_objects as figures

    from cluster.study import stored

    stored.prepare_importances()
    migrations.read_once()
    statements.made()
    # The first study and the first figure of a process prepare what the others find.
    study = optuna.create_study(storage="sqlite://")  # in memory
    study.tell(study.ask(), 0.0)
    lines = [figures.Scatter(y=[0.0, 1.0]), figures.Bar(y=[1.0]), figures.Parcoords()]
    figures.Figure(lines).update_layout(template="plotly_white", margin={}, font={}).to_json()


def tell_where_it_hangs() -> None:
    """Has this child print what its threads do, where pytest captures, before the time of a test is over."""
    faulthandler.dump_traceback_later(HANGS_S, file=os.dup(2))


def code_of(act: Callable[[], object]) -> int:
    """Does something, and the exit code that a process would have then; 99 after an exception, which is printed."""
    try:
        act()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 98
    except BaseException:
        traceback.print_exc()
        return 99
    return 0


def wait(child: int) -> int:
    """The exit code of a child, or minus the signal that killed it. The child dies where the test's time is over."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except BaseException:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise


def forked(act: Callable[[], object], log: Path, *, drawn: bool = False) -> int:
    """Does something in a child process; its exit code, or minus the signal that killed it.

    Only where it is `drawn` is there anything to see in reports and pages of probes.
    """
    warm()
    child = os.fork()
    if child == 0:
        code = 99
        try:
            tell_where_it_hangs()
            if not drawn:
                blank.for_good()
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            # Where pytest captures, these are no longer the process's own.
            sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
            code = code_of(act)
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
            os._exit(code)
    return wait(child)


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
    words: Sequence[str] = ("run",),
    *,
    drawn: bool = False,
) -> int:
    """`sweep run --in-process` in a child, a fault before each durable step whose number is chosen; its exit code.

    `words` are another verb and the arguments that follow the spec's or the sweep's name.

    Durable steps are the commits of every database (study, lease, MLflow), and the files that get or lose their
    name (checkpoints, the spec in the home). `steps` gets how many there were; `more` are further arguments.
    """

    def act() -> None:
        os.chdir(folder)
        with _counting(at, fault) as count:
            try:
                main([words[0], spec, *words[1:], "--in-process", "--home", home, "--json", *more])
            finally:
                if steps:
                    steps.write_text(str(count[0]))

    return forked(act, folder / "driver.log", drawn=drawn)


def killed_at(folder: Path, spec: str, home: str, place: Place, words: Sequence[str] = ("run",)) -> None:
    """A verb, as in `run`, in a child, which is killed once the checkpoint of an epoch at `place` is written."""

    def act() -> None:
        def written(*arguments: Any) -> str:
            name = kept(*arguments)
            if arguments[2].state.place == place:
                kill()
            return name

        kept, checkpoint.write = checkpoint.write, written  # type: ignore[assignment] # of the child alone
        os.chdir(folder)
        main([words[0], spec, *words[1:], "--in-process", "--home", home, "--json"])

    assert forked(act, folder / "driver.log") == -signal.SIGKILL


def verify(folder: Path, home: str, name: str) -> int:
    """`sweep verify` in this process; its exit code."""
    answer = inside.call(["verify", name, "--home", folder / home, "--json"], folder)
    with (folder / "driver.log").open("a") as log:
        log.write(answer.out + answer.err)
    return answer.code


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
