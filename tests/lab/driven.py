"""`sweep run` over real Ray in a folder. Its processes bear a mark, so that a test kills only what it has started."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

EPOCHS_KNOWN = "SELECT count(*) FROM trial_intermediate_values"
WORKERS = (b"ray::ResourceTrainable", b"ray::TrialActor")  # a worker with a trial, by what it does just now


class Driven:
    """`sweep run SPEC --home home` in a folder, each time in a process group of its own."""

    def __init__(self, folder: Path, spec: str) -> None:
        self.folder, self.spec = folder, spec
        self.mark = f"sweep-test-{os.getpid()}-{folder.name}"
        self.database = folder / "home" / "study.db"
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *more: str) -> "subprocess.Popen[str]":
        """Starts the command."""
        process = subprocess.Popen(
            [Path(sys.executable).with_name("sweep"), "run", self.spec, "--home", "home", *more],
            cwd=self.folder,
            env=os.environ | {"SWEEP_TEST": self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def send(self, pids: Iterable[int], number: signal.Signals) -> None:
        """A signal to those of these processes that still live: others may have ended them meanwhile."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self) -> None:
        """Ends what is left of this test and waits for what it started."""
        self.send(self.left(), signal.SIGKILL)
        for process in self.started:
            with process:
                pass

    def ask(self, query: str) -> int:
        """What a query on the study's database gives; 0 where that is not there yet."""
        try:
            with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
                return int(connection.execute(query).fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    def wait_for(self, process: "subprocess.Popen[str]", query: str, at_least: int) -> None:
        """Until a query on the study's database gives so much; the process must live."""
        while process.poll() is None:
            if self.ask(query) >= at_least:
                return
            time.sleep(0.02)
        raise AssertionError(process.communicate()[0])

    def left(self, *names: bytes) -> list[int]:
        """The processes that belong to this test and whose command starts with one of these names, if any is given."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                mine = f"SWEEP_TEST={self.mark}".encode() in (entry / "environ").read_bytes().split(b"\0")
                if mine and (entry / "cmdline").read_bytes().startswith(names or b""):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def wait_alone(self) -> None:
        """Until all is gone but the raylet's two agents, which Ray 2.60 forgets now and then (seen: 1 kill in 5)."""
        end = time.monotonic() + 60
        while left := set(self.left()) - set(self.left(b"ray::DashboardAgent", b"ray::RuntimeEnvAgent")):
            assert time.monotonic() < end, f"left behind: {left}"
            time.sleep(0.1)
