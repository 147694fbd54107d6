"""Rewrite MLflow's rows with addresses below a home, after the home was moved or copied.

MLflow stores full addresses of artifacts. This is the one place that changes its tables by SQL, and only in the SQLite
file in a home, which is the sweep's own. A test looks for columns of that kind that are not named here.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from dashboards.tracking import runs
from dashboards.tracking.private_patches import ADDRESSES, TAGS
from lstm.storage import disk

_TAG = "sweep.checkpoint"  # our tag of a trial's run
_ARTIFACTS = "/artifacts"  # the end of the path of a home's artifacts
_WAIT_S = 90.0


def former_places(database: Path, here: Path) -> list[str]:
    """Return the folders in which a home was, by the addresses of its experiments; empty if it was not moved."""
    if not database.is_file():
        return []
    with closing(_open(database, "ro")) as connection:
        try:
            rows = connection.execute("SELECT artifact_location FROM experiments").fetchall()
        except sqlite3.OperationalError:  # its tables do not exist yet
            return []
    locations = [str(row[0]) for row in rows if str(row[0]).startswith("file://")]
    ours = [unquote(urlsplit(place).path) for place in locations if place.endswith(_ARTIFACTS)]
    places = dict.fromkeys(place.removesuffix(_ARTIFACTS) for place in ours)
    return [place for place in places if not disk.is_same(Path(place), here)]


def rewrite(database: Path, before: Sequence[str], here: Path) -> None:
    """Put a home's folder into all addresses below its former folders, in one transaction."""
    with closing(_open(database, "rw")) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        _rewrite(connection, before, here)


def rename_study(database: Path, sweep: str, before: str, after: str) -> None:
    """Give the runs of a sweep to another study: its copy."""
    with closing(_open(database, "rw")) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        for table, key in TAGS.items():
            mine = f"SELECT {key} FROM {table} WHERE key = 'sweep.name' AND value = ?"
            connection.execute(
                f"UPDATE {table} SET value = ? WHERE key = 'sweep.study' AND value = ? AND {key} IN ({mine})",
                (after, before, sweep),
            )


@contextmanager
def as_if_here(database: Path, before: Sequence[str], here: Path) -> Iterator[Path]:
    """Yield a copy of a moved home's database with its addresses rewritten, for reading; the home stays as it is."""
    with TemporaryDirectory(prefix="sweep-") as folder:
        copy = Path(folder) / "mlflow.db"
        with closing(_open(database, "ro")) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            with target:
                _rewrite(target, before, here)
        yield copy


def retag(uri: str, sweep: str, study: str, before: str, after: str) -> None:
    """Set on a server the tag of the checkpoints' new address in the runs of a sweep; raises what the server raises."""
    client = runs.connect(uri)
    for run in runs.of_sweep(client, sweep, study):
        address = run.data.tags.get(_TAG, "")
        if address.startswith(f"{before}/"):
            client.set_tag(run.info.run_id, _TAG, after + address.removeprefix(before))


def _rewrite(connection: sqlite3.Connection, before: Sequence[str], here: Path) -> None:
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for place in before:
        # An address is a path's URL, or the path itself.
        for old, new in ((place, str(here)), (Path(place).as_uri(), here.as_uri())):
            for table in ADDRESSES.keys() & there:
                known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
                for column in known.intersection(ADDRESSES[table]):
                    _replace(connection, table, column, old, new)
            if "tags" in there:
                _replace(connection, "tags", "value", old, new, f"key = '{_TAG}' AND ")


def _replace(connection: Any, table: str, column: str, old: str, new: str, which: str = "") -> None:
    connection.execute(
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
        f"WHERE {which}({column} = ? OR substr({column}, 1, ?) = ?) AND {column} <> ? AND substr({column}, 1, ?) <> ?",
        # A copy may be below its original: an address that was rewritten already stays.
        (new, len(old) + 1, old, len(old) + 1, f"{old}/", new, len(new) + 1, f"{new}/"),
    )


def _open(database: Path, mode: str) -> sqlite3.Connection:
    address = f"{database.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(address, uri=True, timeout=_WAIT_S, isolation_level=None)
