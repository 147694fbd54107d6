"""How a study's database answers: how fast, how many commits a second, and by which clock."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

from cluster.doctor.judging import CLOCK_S
from cluster.doctor.line import Line, lines
from cluster.study import database
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput
from lstm.storage import disk

ASKED, COMMITS = 15, 25
SLOW_S = 0.05  # for an answer
FEW = 5.0  # commits a second
AREA = "study"


def examine(url: str) -> list[Line]:
    """Return what is good and what is wrong with a database. What is written there for that is removed again."""
    try:
        said, told = _measure(url)
    except BadInput as error:
        return [Line(AREA, said=each) for each in error.faults]
    return lines(AREA, said, told)


def _measure(url: str) -> tuple[list[Note], str]:
    """Return notes on a database, and how fast it is, in words.

    Raises:
        BadInput: it can't be opened or written to.
    """
    file = database.file_of(url)
    said = [] if file is None else [*_on_network(file)]
    with _opened(url, file) as engine:
        shown = str(file) if file else str(engine.url.render_as_string(hide_password=True))
        try:
            answer_s, off_s, commits = _answer_s(engine), _clock_off_s(engine), _commits(engine)
        except Exception as error:  # SQLAlchemy's, whose text may hold a password
            raise database.unopened(error) from None
    told = {"answer_ms": 1000 * answer_s, "commits": commits}
    if answer_s > SLOW_S or commits < FEW:
        said.append(note("study-slow", at=shown, **told))
    if abs(off_s) > CLOCK_S:
        said.append(note("clock-differs", at=shown, seconds=abs(off_s)))
    return said, f"{shown}: an answer takes {1000 * answer_s:.1f} ms, {commits:,.0f} commits a second"


def _on_network(file: Path) -> Iterator[Note]:
    if kind := disk.network_of(file):
        yield note("study-file-on-network", at=file, kind=kind)


@contextmanager
def _opened(url: str, file: Path | None) -> Iterator[Any]:
    """Yield an engine: of the database itself, or of another SQLite file beside it that is removed."""
    beside = None
    if file is not None:
        folder = next(each for each in file.absolute().parents if each.is_dir())
        beside = folder / f".doctor-{uuid.uuid4().hex}.db"
        url = f"sqlite:///{beside}"
    engine = database.engine(url)
    try:
        yield engine
    finally:
        engine.dispose()
        for suffix in ("", "-journal", "-wal", "-shm") if beside else ():
            with suppress(OSError):
                Path(f"{beside}{suffix}").unlink(missing_ok=True)


def _answer_s(engine: Any) -> float:
    taken = []
    with engine.connect() as connection:
        for _ in range(ASKED):
            begun = time.perf_counter()
            connection.exec_driver_sql("SELECT 1").scalar()
            taken.append(time.perf_counter() - begun)
    return median(taken)


def _clock_off_s(engine: Any) -> float:
    """Return by how many seconds the database's clock is ahead of this host's; 0 within the time of an answer."""
    with engine.connect() as connection:
        before = time.time()
        theirs = float(connection.exec_driver_sql(f"SELECT {database.CLOCK[engine.dialect.name]}").scalar())
        after = time.time()
    return max(theirs - after, 0.0) - max(before - theirs, 0.0)


def _commits(engine: Any) -> float:
    """Return how many commits a second the database makes of small writes, in a table that is removed again."""
    table = f"sweep_doctor_{uuid.uuid4().hex}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {table} (number INTEGER)")
    try:
        begun = time.perf_counter()
        for number in range(COMMITS):
            with engine.begin() as connection:
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({number})")
        return COMMITS / (time.perf_counter() - begun)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP TABLE {table}")
