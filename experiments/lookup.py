"""Looks up a sweep by its NAME in the home, or by its SPEC file, for all verbs."""

import dataclasses
import json
import logging
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboards.config import Checkpoints, TrackingConfig
from dashboards.tracking.preflight import ask
from experiments import addresses, own_code, shipped
from experiments.home import Home
from experiments.own_code import CodeFile
from experiments.planning import Plan
from experiments.recovery import lost_study
from experiments.recovery.moved_home import Place
from experiments.spec import loader as specs
from experiments.spec import yaml_document
from experiments.spec.loader import Spec
from experiments.spec.mapping import Given
from experiments.spec.yaml_document import Document
from lstm.messages.entry import shown
from lstm.messages.message import Note, Say, note
from lstm.ownership import studies_of
from lstm.records.errors import BadInput, nearest, refused
from lstm.records.events import About
from lstm.records.sweep import FIRST_FROM, Sweep

if TYPE_CHECKING:
    from dashboards.tracking.recorder import Recorder

LOG = logging.getLogger(__name__)

# Files in a sweep's folder: its spec as last run; the spec's folder and overrides; the addresses of its records.
SPEC, ORIGIN, ADDRESSES = "spec.yaml", "origin.json", addresses.FILE


@dataclass(frozen=True)
class Found:
    """A sweep that was run, and the addresses of its records."""

    name: str
    home: Home
    study: str | None
    tracking: str | None
    kept: Checkpoints = "best"
    lacking: Mapping[str, BadInput] = field(default_factory=dict)  # by attribute: the environment variable is missing
    is_private: bool = False  # the study's address comes from the environment
    spec: str = field(default="", compare=False)  # the path of the spec; "" if the sweep was found by its name

    def command(self, verb: str) -> str:
        """Return a command for this sweep that works where this home does not know its name, as with a shared study."""
        is_known = not self.spec or (self.home.sweep(self.name) / ADDRESSES).is_file()
        return f"`sweep {verb} {self.name if is_known else shlex.quote(self.spec)}{self.home.flag}`"

    @property
    def study_url(self) -> str:
        """The address of the study's database.

        This and the properties below raise BadInput if they need an environment variable that is missing.
        """
        return self._known("study") or self.home.study_url

    @property
    def tracking_uri(self) -> str:
        """The address of MLflow's store."""
        return self._known("tracking") or self.home.tracking_uri

    @property
    def artifacts(self) -> Checkpoints:
        """Which trials' checkpoints MLflow gets."""
        return self._known("kept")  # type: ignore[no-any-return] # one of the fields

    def _known(self, name: str) -> Any:
        if name in self.lacking:
            raise self.lacking[name]
        return getattr(self, name)

    @property
    def place(self) -> Place:
        """The sweep's stores, for a check whether they have moved."""
        return Place(self.home, self.name, self.study_url, self.tracking_uri, self.is_private)


def sweep(named: str, home: Home, say: Say = LOG.warning) -> Found:
    """Find the records of a NAME or a SPEC. A missing environment variable is an error only when its value is needed.

    `say` is called with a note for each choice that the name does not make plain.

    Raises:
        BadInput: there is no such sweep or file, or the spec is wrong.
    """
    if _is_file(named):
        parts, document = specs.sections(named)
        if error := document.without("name"):
            raise error
        paths = {"study": "storage.study", "tracking": "tracking.uri", "kept": "tracking.checkpoints"}
        name, folder, kept = parts["name"], Path(named).parent, parts["tracking"].checkpoints
        study, tracking = parts["storage"].study, parts["tracking"].uri
        if not document.without(paths["study"]) and (found := _beside(named, name, home, study, ())):
            name = found.name
            say(_told(found, document))
    else:
        document = yaml_document.read(_folder(named, home) / ADDRESSES, whole=False)
        paths = {"study": "study", "tracking": "tracking"}
        name, folder, kept = named, _spec_folder(named, home), document.filled.get("artifacts", "best")
        study, tracking = document.filled.get("study"), document.filled.get("tracking")
    lacking = {each: error for each, path in paths.items() if (error := document.without(path))}
    where = addresses.locate(
        name,
        home,
        folder,
        study=None if "study" in lacking else study,
        tracking=None if "tracking" in lacking else tracking,
        remembered=addresses.remembered(home, name),
    )
    for each in where.notes:
        say(document.hidden(each))
    written = document.written.get("study") or (document.written.get("storage") or {}).get("study")
    spec = named if _is_file(named) else ""
    return Found(name, home, where.study, where.tracking, kept, lacking, "${" in str(written), spec)


def ask_store(found: Found) -> None:
    """Check a sweep's MLflow store before the work that ends there. An outage passes.

    Raises:
        BadInput: it never will take records. But a home that does not exist yet gets its own store.
    """
    if found.tracking_uri != found.home.tracking_uri or found.home.folder.is_dir():
        ask(found.tracking_uri, f"{found.name}: tracking.uri")


def read(found: Found) -> Sweep:
    """Read a sweep from its study.

    Raises:
        BadInput: the sweep was not run yet, its study is lost, or the database does not answer.
    """
    from cluster.study import stored

    try:
        return stored.read(found.study_url, found.name)
    except stored.NoSuchSweep:
        tracking = "" if "tracking" in found.lacking else found.tracking_uri
        remains = lost_study.look(found.name, found.home, tracking, [str(found.home.sweep(found.name))])
        if remains is None:
            raise
        raise lost_study.missing(found.name, found.home, remains) from None


def source(named: str, home: Home, field: str = "path") -> tuple[str | None, Path, Document]:
    """Return the data file of a NAME or a SPEC, the folder where its path starts, and the document that hides secrets.

    `field` is the field of the section `data` that has the path; the path is None if the spec leaves the field out.

    Raises:
        BadInput: there is no such sweep or file, the spec is wrong, or the environment variable of the path is missing.
    """
    folder = None if _is_file(named) else _folder(named, home)
    path = Path(named) if folder is None else folder / SPEC
    _, document = specs.sections(path, all_overrides(named, home, ()), begun=folder is not None)
    if error := document.without(f"data.{field}"):
        raise error
    start = path.parent if folder is None else _spec_folder(named, home)
    return document.filled["data"].get(field), start, document


def document(named: str, home: Home, overrides: Sequence[str], environment: Mapping[str, str] = os.environ) -> Document:
    """Return the document of a NAME or a SPEC, also where the environment lacks variables. It is not checked.

    Raises:
        BadInput: there is no such sweep or file, or it is no mapping of YAML.
    """
    path = Path(named) if _is_file(named) else _folder(named, home) / SPEC
    return yaml_document.read(path, all_overrides(named, home, overrides), environment, whole=False)


def spec(
    named: str | Given, home: Home, overrides: Sequence[str] = (), *, execute: bool = False, code: CodeFile = None
) -> Spec:
    """Load the spec of a NAME (as last run), of a SPEC file, or of a mapping.

    With `execute` the user's own files that it names are executed. `code` is the path of the one such file, if it is
    not where the spec says.

    Raises:
        BadInput: there is no such sweep or file, or the spec is wrong.
    """
    if isinstance(named, Given):
        run = partial(own_code.executed, folder=Path(), place=code) if execute else None
        return specs.load(named, overrides, execute=run)
    if _is_file(named):
        run = partial(own_code.executed, folder=Path(named).parent, place=code) if execute else None
        found = specs.load(named, overrides, execute=run)
        section = found.experiment
        other = _beside(named, section.name, home, section.storage.study, overrides)
        if other is None:
            return found
        renamed = specs.load(named, [*overrides, f"name={other.name}"], execute=run)
        return dataclasses.replace(renamed, notes=(*renamed.notes, _told(other, found.document)), beside=True)
    folder, start = _folder(named, home), _spec_folder(named, home)
    run = partial(own_code.executed, folder=start, place=code) if execute else None
    found = specs.load(folder / SPEC, all_overrides(named, home, overrides), begun=True, execute=run)
    return dataclasses.replace(found, folder=start)


def spec_folder(named: str, home: Home) -> Path:
    """Return the folder where relative paths in the spec of a NAME or a SPEC start."""
    return Path(named).parent if _is_file(named) else _spec_folder(named, home)


def all_overrides(named: str | Given, home: Home, overrides: Sequence[str]) -> list[str]:
    """Return the overrides; for a NAME after those that it was last run with."""
    if isinstance(named, Given) or _is_file(named):
        return list(overrides)
    return [*_origin(_folder(named, home))["overrides"], *overrides]


def names(home: Home) -> list[str]:
    """Return the names of the sweeps that were run in a home."""
    if not home.folder.is_dir():
        return []
    return sorted(p.name for p in home.folder.iterdir() if (p / ADDRESSES).is_file())


def keep(plan: Plan, overrides: Sequence[str]) -> None:
    """Write a sweep's spec into its folder, so that it is found by its name."""
    spec, home = plan.spec, plan.home
    folder = home.sweep(spec.experiment.name)
    folder.mkdir(parents=True, exist_ok=True)
    named = [f"name={spec.experiment.name}"] if spec.beside else []
    origin = {"folder": str(spec.folder.absolute()), "overrides": [*overrides, *named]}
    saved = {"study": spec.written["storage"]["study"], "tracking": spec.written["tracking"]["uri"]}
    saved |= {"artifacts": spec.experiment.tracking.checkpoints, "bases": dict(plan.bases)}
    saved |= {"study_id": plan.order.study_id, "checkpoints": plan.order.checkpoints}
    saved |= {FIRST_FROM: dict(plan.order.first_from)} if plan.order.first_from else {}
    texts = {SPEC: spec.document.text, ORIGIN: json.dumps(origin, indent=1) + "\n"}
    texts[ADDRESSES] = json.dumps(saved, indent=1) + "\n"  # written last: if it exists, so do the others
    for name, text in texts.items():
        whole = folder / f".{name}.part"  # always the same name, so that a killed driver's rest is overwritten
        try:
            whole.write_text(text, encoding="utf-8")
            whole.replace(folder / name)
        except OSError as error:  # the error of a full disk does not name the file
            raise OSError(error.errno, error.strerror, str(folder / name)) from None


def _beside(named: str, name: str, home: Home, study: str | None, overrides: Sequence[str]) -> shipped.Beside | None:
    """Return another name for a shipped spec's sweep if an older version's sweep has its name; see `shipped.beside`."""

    def held(candidate: str) -> shipped.Held | None:
        from cluster.study import stored

        remembered = addresses.remembered(home, candidate)
        where = addresses.locate(candidate, home, Path(named).parent, study=study, remembered=remembered)
        try:
            facts = stored.facts(where.study or home.study_url, candidate) or {}
        except BadInput:  # the database does not answer, which is reported when it is needed
            return None
        if stored.COMPARABLE not in facts:
            return None
        return shipped.Held(
            facts.get("spec_text", ""), facts[stored.COMPARABLE], str(facts.get("data_fingerprint") or "")
        )

    return shipped.beside(named, name, overrides, held)


def _told(found: shipped.Beside, document: Document) -> Note:
    return note("older-version-kept", "name", at=document.where("name"), older=list(found.older), name=found.name)


def _is_file(named: str) -> bool:
    looks = Path(named).suffix in (".yaml", ".yml", ".json") or "/" in named
    return looks or os.path.isfile(named)  # noqa: PTH113 # Path.is_file raises if a name is too long


def _spec_folder(named: str, home: Home) -> Path:
    """Return the folder where paths in a sweep's spec start, also if it has moved along with the home."""
    return home.carried(Path(_origin(_folder(named, home))["folder"]))


def _origin(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    return found


def _folder(named: str, home: Home) -> Path:
    known = names(home)
    if named in known:
        return home.sweep(named)
    near = nearest(named, known)
    others = [] if near else known[:10]
    called = shown(named) or '""'
    raise refused("no-sweep-of-this-name", at=called, home=str(home.folder), near=near, known=others)


def study_id(found: Found) -> str:
    """Return the id of a sweep's study, "" if it can't be read: its pages are shown all the same."""
    from cluster.study import stored

    try:
        return str((stored.facts(found.study_url, found.name) or {}).get("id", ""))
    except BadInput:
        return ""


def recorder(found: Found, swept: Sweep, say: Say) -> "Recorder":
    """Return what writes records of a sweep to MLflow, for a verb that no driver runs beside."""
    from dashboards.tracking.recorder import Recorder

    return Recorder(
        found.tracking_uri,
        found.home.artifacts_of(found.tracking_uri),
        TrackingConfig(checkpoints=found.artifacts),
        found.name,
        study=str(swept.facts.get("id", "")),
        notice=say,
        studies_before=studies_of(swept.facts)[1:],
        about=About.of(swept.facts),
    )
