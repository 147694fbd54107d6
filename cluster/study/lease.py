"""One driver for each sweep: a lease row in the study's own database, timed by that database's clock.

Clocks of hosts may differ, so every comparison uses the one clock that all drivers share. SQLite has only each
host's own clock. There a driver watches another machine's claim: a claim that is renewed is alive, whatever the
clocks say.
"""

import hashlib
import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import sqlalchemy
from sqlalchemy.dialects import postgresql, sqlite

from cluster.study.database import CLOCK, LEASES, create, engine, is_missing, readable, unopened
from lstm.records.errors import Fault, HeldError, StoppedError, fault
from lstm.storage import files

TTL_S = 30.0  # a driver that was cut off for longer may have lost the sweep
BEAT_S = 3.0
# Both kinds of insert can update a row that exists.
INSERT: dict[str, Callable[[sqlalchemy.Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
OUTAGE_S = 600.0  # the sweep ends if its database is away for longer
# A clock that goes on while the machine sleeps, as the database's clock does.
_CLOCK_ID = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that drives a sweep."""

    host: str
    boot: str  # identifies the machine and its container: process ids mean nothing elsewhere
    pid: int
    born: str  # start time of the process: process ids are used again
    id: str

    @classmethod
    def myself(cls, job: str = "") -> "Owner":
        """Return this process as an owner, in a job."""
        number = _mark(job) + uuid.uuid4().hex
        return cls(socket.gethostname(), files.machine(), os.getpid(), _born(os.getpid()), number)

    def is_here(self) -> bool:
        """Return whether the process surely ran on this machine. If not, a dead driver's claim must run out first."""
        return bool(self.boot) and self.boot == files.machine()

    def is_dead(self) -> bool:
        """Return whether the process is surely gone: it ran on this machine and does not run any more."""
        return self.is_here() and _born(self.pid) != self.born

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Lease:
    """The right to drive one sweep, as a context manager that renews it in the background."""

    def __init__(
        self, url: str, sweep: str, *, lost: Callable[[Fault], None], stop: Callable[[], None], job: str = ""
    ) -> None:
        """Prepare the lease; nothing is taken until it is entered.

        Args:
            url: The study's database.
            sweep: The sweep's name.
            lost: Called once, from a thread, when another driver has taken the sweep or the database stays away; the
                fault says which.
            stop: Called once, from a thread, when `request_stop` asked this driver to end.
            job: The job that this driver runs in; "" outside one. A system may start its job again, with another
                driver. If `request_stop` has asked a driver of the job to end, no other one of it takes the sweep.
        """
        self._engine, self._sweep, self._lost, self._stop = engine(url), sweep, lost, stop
        self.owner, self._job = Owner.myself(job), job
        self.generation = 0
        self._renewed = -TTL_S  # when the last renewal was sent that the database granted
        self._gone = False
        self._done = Event()
        self._thread = Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> "Lease":
        """Take the sweep.

        Raises:
            HeldError: another driver has it; the fault says who and until when.
            StoppedError: an earlier driver of this job was asked to end.
            BadInput: the database can't be opened.
        """
        try:
            self.generation = self._take()
        except sqlalchemy.exc.DBAPIError as error:
            self._engine.dispose()
            raise unopened(error) from None
        except BaseException:
            self._engine.dispose()
            raise
        self._thread.start()
        return self

    def _take(self) -> int:
        create(self._engine)
        ended = _stopped(self._job)
        if self._job and self._is_so(ended):  # at once: a claim of that driver may have to run out first
            raise self._stopped_before()
        claim = _claim(self._engine, self._sweep)
        dead = claim.owner.id if claim and claim.owner.is_dead() else ""
        over = LEASES.c.expires <= _clock(self._engine)
        if self._engine.dialect.name == "sqlite":
            seen = None if claim is None or dead else self._outlived(claim)
            over = LEASES.c.expires == 0
            over |= (
                sqlalchemy.and_(LEASES.c.owner_id == seen.owner.id, LEASES.c.expires == seen.expires) if seen else False
            )
        new = INSERT[self._engine.dialect.name](LEASES).values(
            sweep=self._sweep,
            owner_id=self.owner.id,
            owner=json.dumps(asdict(self.owner)),
            generation=1,
            expires=_clock(self._engine) + TTL_S,
            stop=0,
        )
        mine = {name: new.excluded[name] for name in ("owner_id", "owner", "expires", "stop")}
        take = new.on_conflict_do_update(
            index_elements=[LEASES.c.sweep],
            set_={**mine, "generation": LEASES.c.generation + 1},
            where=(over | (LEASES.c.owner_id == dead)) & sqlalchemy.not_(ended),
        ).returning(LEASES.c.generation)
        sent = _passed_s()
        with self._engine.begin() as connection:
            taken = connection.execute(take).scalar()
        if taken is None:
            if self._is_so(ended):  # just now
                raise self._stopped_before()
            raise held_by(self._sweep, holder(self._engine, self._sweep))
        self._renewed = sent
        return int(taken)

    def _is_so(self, condition: sqlalchemy.ColumnElement[bool]) -> bool:
        row = sqlalchemy.select(LEASES.c.sweep).where(LEASES.c.sweep == self._sweep, condition)
        with self._engine.connect() as connection:
            return connection.execute(row).first() is not None

    def _stopped_before(self) -> StoppedError:
        return StoppedError(fault("job-stopped", at=self._sweep, job=self._job))

    def _outlived(self, claim: "Claim") -> "Claim | None":
        """Return the claim if it is over: by the clock if it is this machine's, else if TTL_S pass without renewal."""
        if claim.owner.is_here():
            return claim if claim.left_s <= 0 else None
        if 0 < claim.left_s <= TTL_S:
            return None
        end = _passed_s() + TTL_S
        while _passed_s() < end:
            time.sleep(BEAT_S / 3)  # a row can only be polled
            if _claim(self._engine, self._sweep) != claim:
                return None
        return claim

    def held(self) -> bool:
        """Return whether the sweep is surely this driver's at this moment, so that it may write to the study."""
        return not self._gone and _passed_s() - self._renewed < TTL_S

    def __exit__(self, *_: object) -> None:
        """Give the sweep back; if the database does not take that, the claim runs out by itself."""
        self._done.set()
        self._thread.join()
        with suppress(sqlalchemy.exc.SQLAlchemyError), self._engine.begin() as connection:
            connection.execute(self._own().values(expires=0))
        self._engine.dispose()

    def _beat(self) -> None:
        asked = False
        while not self._done.wait(BEAT_S):
            sent = _passed_s()
            try:
                stop = self._renew()
            except sqlalchemy.exc.SQLAlchemyError:
                # Silence alone is harmless: nobody can take the sweep except through this database.
                if _passed_s() - self._renewed > OUTAGE_S:
                    self._give_up(fault("study-silent", minutes=OUTAGE_S / 60))
                    return
                continue
            if stop is None:
                self._give_up(self._taken_over())
                return
            self._renewed = sent
            if stop and not asked:
                asked = True
                self._stop()

    def _give_up(self, why: Fault) -> None:
        self._gone = True
        self._lost(why)

    def _taken_over(self) -> Fault:
        held = None
        with suppress(sqlalchemy.exc.SQLAlchemyError):
            held = holder(self._engine, self._sweep)
        return fault("sweep-taken-over", **(_named(held.owner) if held else {"pid": None, "host": None}))

    def _renew(self) -> bool | None:
        renew = self._own().values(expires=_clock(self._engine) + TTL_S).returning(LEASES.c.stop)
        with self._engine.begin() as connection:
            stop = connection.execute(renew).scalar()
        return None if stop is None else bool(stop)

    def _own(self) -> sqlalchemy.Update:
        return sqlalchemy.update(LEASES).where(LEASES.c.sweep == self._sweep, LEASES.c.owner_id == self.owner.id)


@dataclass(frozen=True, slots=True)
class Holder:
    """The driver of a sweep, as the database knows it."""

    owner: Owner
    generation: int
    left_s: float


def held_by(sweep: str, held: Holder | None) -> HeldError:
    """The refusal of a sweep that another driver holds; None where that has taken it at this moment."""
    if held is None:
        return HeldError(fault("sweep-just-taken", at=sweep, sweep=sweep))
    return HeldError(fault("sweep-driven", at=sweep, sweep=sweep, **_named(held.owner), left_s=held.left_s))


def _named(owner: Owner) -> dict[str, Any]:
    return {"pid": owner.pid, "host": owner.host}


def holder(database: sqlalchemy.Engine, sweep: str) -> Holder | None:
    """Return the living driver of a sweep, or None."""
    left = LEASES.c.expires - _clock(database)
    # A claim that lasts longer was written by another clock.
    lives = sqlalchemy.and_(LEASES.c.sweep == sweep, left > 0, left <= TTL_S + 1)
    with database.connect() as connection:
        row = connection.execute(sqlalchemy.select(LEASES.c.owner, LEASES.c.generation, left).where(lives)).first()
    return Holder(Owner(**json.loads(row[0])), int(row[1]), float(row[2])) if row else None


@dataclass(frozen=True, slots=True)
class Claim:
    """The row of a lease that was not given back; its driver may be alive or not."""

    owner: Owner
    expires: float
    left_s: float = field(compare=False)  # by the clock of the database


def _claim(database: sqlalchemy.Engine, sweep: str) -> Claim | None:
    rows = sqlalchemy.select(LEASES.c.owner, LEASES.c.expires, LEASES.c.expires - _clock(database))
    with database.connect() as connection:
        row = connection.execute(rows.where(LEASES.c.sweep == sweep, LEASES.c.expires > 0)).first()
    return Claim(Owner(**json.loads(row[0])), float(row[1]), float(row[2])) if row else None


def driver(url: str, sweep: str) -> Holder | None:
    """Return the living driver of a sweep in the database at `url`; None if there is none, or it never ran there.

    Creates nothing.

    Raises:
        BadInput: the database can't be opened.
    """
    database = engine(readable(url))
    try:
        if is_missing(url) or not sqlalchemy.inspect(database).has_table(LEASES.name):
            return None
        held = holder(database, sweep)
        return None if held and held.owner.is_dead() else held
    except sqlalchemy.exc.DBAPIError as error:
        raise unopened(error) from None
    finally:
        database.dispose()


def request_stop(url: str, sweep: str) -> None:
    """Ask the driver of a sweep, wherever it runs, to end as if interrupted.

    Raises:
        BadInput: the database can't be written to.
    """
    database = engine(url)
    try:
        with database.begin() as connection:
            connection.execute(sqlalchemy.update(LEASES).where(LEASES.c.sweep == sweep).values(stop=1))
    except sqlalchemy.exc.DBAPIError as error:
        raise unopened(error) from None
    finally:
        database.dispose()


def _mark(job: str) -> str:
    """Return what the ids of all drivers of a job begin with."""
    return f"{hashlib.sha256(job.encode()).hexdigest()[:20]}-" if job else ""


def _stopped(job: str) -> sqlalchemy.ColumnElement[bool]:
    """Return whether a lease's row is of a driver of this job that was asked to end."""
    if not job:
        return sqlalchemy.false()
    return sqlalchemy.and_(LEASES.c.stop == 1, LEASES.c.owner_id.startswith(_mark(job)))


def _clock(database: sqlalchemy.Engine) -> sqlalchemy.ColumnElement[float]:
    return sqlalchemy.literal_column(CLOCK[database.dialect.name], sqlalchemy.Double)


def _passed_s() -> float:
    return time.clock_gettime(_CLOCK_ID)


def _born(pid: int) -> str:
    try:
        # The command's name may contain anything. After it come the state and, 20th, the start time in ticks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]  # a zombie does not run any more
    except OSError:
        return ""
