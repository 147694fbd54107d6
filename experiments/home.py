"""The home: the folder where everything is kept unless the spec says otherwise."""

import errno
import hashlib
import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from experiments.spec.rules import is_text
from lstm.messages.entry import shown
from lstm.records.errors import check_form, refused
from lstm.storage import disk, files

RECORD, FORMAT = "home.json", 1  # in the home: the version of its form, where it is, and where it was before


@dataclass(frozen=True)
class Home:
    """The folder where everything is kept unless the spec says otherwise."""

    folder: Path

    @classmethod
    def at(cls, path: str) -> "Home":
        """The home at a path, which need not exist yet.

        Raises:
            BadInput: an address of a database can't hold this path, a newer version made it, or what it says of itself
                can't be read.
        """
        # `resolve` would show where a link leads, `absolute` keeps dots, `expanduser` raises where there is no user.
        folder = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111
        # A database's address is decoded by some that read it, and taken as it stands by others.
        if "?" in folder or unquote(folder) != folder or not is_text(folder):
            decoded = "home-has-percent" if is_text(folder) else "home-not-utf8"
            raise refused("home-has-question-mark" if "?" in folder else decoded, at=f"--home {shown(folder, 300)}")
        home = cls(Path(folder))
        check_form(f"the home {home.folder}", int(home._record().get("form", FORMAT)), FORMAT)
        return home

    @property
    def study_url(self) -> str:
        """The study's database."""
        return f"sqlite:///{self.folder / 'study.db'}"

    @property
    def tracking_uri(self) -> str:
        """MLflow's database."""
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @property
    def artifacts(self) -> str:
        """MLflow's artifacts."""
        return str(self.folder / "artifacts")

    def sweep(self, name: str) -> Path:
        """The folder of a sweep: its spec as last run, its log, its checkpoints."""
        return self.folder / name

    @property
    def flag(self) -> str:
        """What a command needs to be given so that it finds this home: ` --home DIR`, or nothing."""
        default = os.path.abspath(os.path.expanduser(os.environ.get("SWEEP_HOME") or "runs"))  # noqa: PTH100, PTH111
        return "" if default == str(self.folder) else f" --home {shlex.quote(str(self.folder))}"

    def store_mark(self, tracking_uri: str) -> str:
        """Tells an MLflow store from another, without its address, which may hold a password."""
        if tracking_uri == self.tracking_uri:
            return "home"  # wherever it was moved to
        return hashlib.sha256(tracking_uri.encode()).hexdigest()[:16]

    def artifacts_of(self, tracking_uri: str) -> str | None:
        """Where the artifacts of an MLflow store go; a server decides for itself."""
        return None if tracking_uri.startswith(("http://", "https://", "databricks")) else self.artifacts

    @property
    def database(self) -> Path:
        """MLflow's database, which need not be there."""
        return self.folder / "mlflow.db"

    def moved_from(self) -> list[str]:
        """The folders in which the home was when it was last written to; none where it is where it was."""
        from dashboards.tracking import relocate

        record = self._record()
        places = [str(record["place"])] if "place" in record else relocate.former_places(self.database, self.folder)
        return [place for place in places if not disk.is_same(Path(place), self.folder)]

    def former_places(self) -> list[str]:
        """Those, and the folders in which it was before."""
        before = map(str, self._record().get("before", ()))
        return [
            place
            for place in dict.fromkeys([*self.moved_from(), *before])
            if not disk.is_same(Path(place), self.folder)
        ]

    def carried(self, path: Path) -> Path:
        """Where a path is that may have moved along with the home: itself where it is still there."""
        if not path.exists():
            for place in self.former_places():
                moved = Path(os.path.normpath(self.folder / os.path.relpath(path, place)))
                if moved.exists():
                    return moved
        return path

    def write_record(self) -> None:
        """Keeps in the home where it is."""
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
                return {}  # then it is no home, which is told where one is needed
            why = getattr(error, "strerror", None) or str(error)
            raise refused("home-record-not-read", at=path, why=why) from None
        try:
            record = json.loads(text)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise refused("home-record-damaged", at=path)
        return record
