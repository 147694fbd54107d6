"""The home: the folder for everything that is kept, unless the spec names another place."""

import errno
import getpass
import hashlib
import json
import os
import shlex
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lstm.messages.entry import shown
from lstm.records.errors import Fault, check_form, fault, refused
from lstm.storage import disk, files
from lstm.storage.address import is_text

RECORD, FORMAT = "home.json", 1  # a file in the home: its format's version, the home's place and its former places


@dataclass(frozen=True)
class Home:
    """The folder for everything that is kept, unless the spec names another place."""

    folder: Path

    @classmethod
    def given(cls, folder: str | os.PathLike[str] | None) -> "Home":
        """Return the home that was given from Python. Default: the environment's SWEEP_HOME, or `runs`."""
        return cls.at(os.fspath(folder) if folder is not None else os.environ.get("SWEEP_HOME") or "runs")

    @classmethod
    def at(cls, path: str) -> "Home":
        """Return the home at a path, which need not exist yet.

        Raises:
            BadInput: a database's address can't contain this path, a newer version made the home, or its `home.json`
                can't be read.
        """
        # `resolve` would follow links, `absolute` keeps dots, `expanduser` of Path raises if there is no such user.
        folder = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111
        # Some libraries decode a database's address, others take it as written.
        if "?" in folder or unquote(folder) != folder or not is_text(folder):
            decoded = "home-has-percent" if is_text(folder) else "home-not-utf8"
            raise refused("home-has-question-mark" if "?" in folder else decoded, at=f"--home {shown(folder, 300)}")
        home = cls(Path(folder))
        check_form(f"the home {home.folder}", int(home._record().get("form", FORMAT)), FORMAT)
        return home

    @property
    def study_url(self) -> str:
        """The address of the study's database."""
        return f"sqlite:///{self.folder / 'study.db'}"

    @property
    def tracking_uri(self) -> str:
        """The address of MLflow's database."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def artifacts(self) -> str:
        """The folder of MLflow's artifacts."""
        return str(self.folder / "artifacts")

    def sweep(self, name: str) -> Path:
        """Return the folder of a sweep: its spec as last run, its log, its checkpoints."""
        return self.folder / name

    @property
    def flag(self) -> str:
        """The option that a command needs to find this home: ` --home DIR`, or "" for the default."""
        default = os.path.abspath(os.path.expanduser(os.environ.get("SWEEP_HOME") or "runs"))  # noqa: PTH100, PTH111
        return "" if default == str(self.folder) else f" --home {shlex.quote(str(self.folder))}"

    def check(self, name: str) -> None:
        """Check that a sweep of a name can be kept in the home, as far as the folders tell.

        Raises:
            BadInput: the home, or the sweep's folder in it, is a file, or can't exist.
        """
        try:
            folder = self._there()
        except OSError as error:  # a name that is too long
            raise refused("home-not-possible", at=f"--home {self.folder}", why=error.strerror) from None
        if not folder.is_dir():
            file = None if folder == self.folder else str(folder)
            raise refused("home-is-file", at=f"--home {self.folder}", file=file)
        if self.sweep(name).is_file():
            raise refused("sweep-folder-is-file", at=self.sweep(name))

    def unwritable(self) -> Fault | None:
        """Return a fault if nothing can be written in the home."""
        if os.access(folder := self._there(), os.W_OK | os.X_OK):
            return None
        return fault("home-not-writable", at=f"--home {self.folder}", folder=str(folder))

    def _there(self) -> Path:
        """Return the home, or the nearest folder above it that exists."""
        return next(folder for folder in (self.folder, *self.folder.parents) if folder.exists())

    def store_mark(self, tracking_uri: str) -> str:
        """Return an id of an MLflow store. It does not contain the address, which may have a password in it."""
        if tracking_uri == self.tracking_uri:
            return "home"  # also after the home was moved
        return hashlib.sha256(tracking_uri.encode()).hexdigest()[:16]

    def artifacts_of(self, tracking_uri: str) -> str | None:
        """Return the folder for the artifacts of an MLflow store; None for a server, which chooses it itself."""
        return None if tracking_uri.startswith(("http://", "https://", "databricks")) else self.artifacts

    @property
    def database(self) -> Path:
        """The file of MLflow's database, which need not exist."""
        return self.folder / "mlflow.db"

    def moved_from(self) -> list[str]:
        """Return the folder where the home was when it was last written to; none if it has not moved.

        Without `home.json` these are the folders that MLflow's database names.
        """
        from dashboards.tracking import relocate

        record = self._record()
        places = [str(record["place"])] if "place" in record else relocate.former_places(self.database, self.folder)
        return [place for place in places if not disk.is_same(Path(place), self.folder)]

    def former_places(self) -> list[str]:
        """Return all folders where the home was before, the latest first."""
        before = map(str, self._record().get("before", ()))
        return [
            place
            for place in dict.fromkeys([*self.moved_from(), *before])
            if not disk.is_same(Path(place), self.folder)
        ]

    def carried(self, path: Path) -> Path:
        """Return where a path is now, if it has moved along with the home; the path itself if it still exists."""
        if not path.exists():
            for place in self.former_places():
                moved = Path(os.path.normpath(self.folder / os.path.relpath(path, place)))
                if moved.exists():
                    return moved
        return path

    def keep_former_places(self) -> None:
        """Write down where a moved home was, before MLflow's database no longer says so; an old home has no record."""
        if not self._record() and (places := self.moved_from()):
            record = {"form": FORMAT, "place": places[0], "before": places[1:]}
            files.put(str(self.folder), RECORD, (json.dumps(record, indent=1) + "\n").encode())

    def write_record(self) -> None:
        """Write the home's present place into its `home.json`."""
        record = {"form": FORMAT, "place": str(self.folder), "before": self.former_places()}
        if self._record() != record:  # drivers of several sweeps may write it at once
            files.put(str(self.folder), RECORD, (json.dumps(record, indent=1) + "\n").encode())

    def _record(self) -> dict[str, Any]:
        path = self.folder / RECORD
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) == errno.ENAMETOOLONG:
                return {}  # then it can't be a home, which is reported when one is needed
            why = getattr(error, "strerror", None) or str(error)
            raise refused("home-record-not-read", at=path, why=why) from None
        try:
            record = json.loads(text)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise refused("home-record-damaged", at=path)
        return record


def user() -> str:
    """Return the name of the user of this process; a number if it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def kept_in(home: Home) -> str:
    """Return where a sweep is kept and by whom, in words, for people who find its checkpoints."""
    return f"the home {home.folder} of {user()} on {socket.gethostname()}"
