"""A real PostgreSQL on a socket of its own, that can be restarted in the middle of anything."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Postgres:
    """A server in a folder; made by `server`."""

    def __init__(self, programs: Path) -> None:
        """Makes its files and starts it."""
        self._programs = programs
        self.home = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path must be short
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:
            self._user = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.home, "postgres", "postgres")
            self.home.chmod(0o755)
        self._call("initdb", "-U", "sweeps", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8")
        self.start()

    def address(self, database: str = "postgres") -> str:
        """The address of a database."""
        return f"postgresql://sweeps@/{database}?host={self.home}"

    def create(self, database: str) -> str:
        """Makes a database; its address."""
        words = ["-h", str(self.home), "-U", "sweeps", database]
        subprocess.run([self._programs / "createdb", *words], check=True, stdin=subprocess.DEVNULL)
        return self.address(database)

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = f"-c listen_addresses= -c unix_socket_directories={self.home} -c fsync=off"
        self._call("pg_ctl", "-w", "-o", options, "-l", str(self.home / "log"), "start")

    def stop(self) -> None:
        """Ends it as a crash would: no session is asked."""
        self._call("pg_ctl", "-w", "-m", "immediate", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, "-D", self.home / "data", *arguments],
            check=True,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **self._user,
        )


def missing() -> str:
    """Why no PostgreSQL can be run here, or ""."""
    try:
        import psycopg2  # noqa: F401
    except ImportError:
        return "PostgreSQL's driver is not installed"
    return "" if _programs() else "PostgreSQL is not installed"


@contextmanager
def server() -> Iterator[Postgres]:
    """A server that is gone when the context ends."""
    programs = _programs()
    assert programs is not None, missing()
    made = Postgres(programs)
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(made.home)


def _programs() -> Path | None:
    found = shutil.which("initdb") or next(iter(Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    return Path(found).resolve().parent if found else None
