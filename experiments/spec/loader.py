"""The spec: read, checked as a whole, and what of it must stay the same between runs of a sweep."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from cluster.config import GpSampler, NoPruner
from experiments.spec import messages, reconcile, rules
from experiments.spec import yaml_document as yaml_file
from experiments.spec.errors import Address
from experiments.spec.experiment import Experiment, of_task
from experiments.spec.mapping import Source, folder_of
from experiments.spec.rules import is_reserved
from experiments.spec.schema import SCHEMA
from experiments.spec.yaml_document import Document
from lstm.config.section import Location
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput, Fault

__all__ = ["SCHEMA", "Experiment", "Spec", "comparable", "is_reserved", "load", "spec_hash", "warnings"]

SEED = "training.seed"
Executed = Callable[[Document], Document]  # see `own_code.executed`
MOST_ROUNDS = 20  # what gives way may have others give way

# What may change between runs of a sweep; so may where the data lie, whose bytes are compared by a fingerprint.
FREE = ("name", "search.n_trials", "search.stop", "probe", "resources", "tracking", "storage")


@dataclass(frozen=True)
class Spec:
    """A spec that was read and found right."""

    experiment: Experiment = field(repr=False)  # filled in: may hold secrets
    written: Mapping[str, Any]  # the same, nested, with defaults and with ${} as it stands
    document: Document
    folder: Path  # where paths in the spec start
    notes: tuple[Note, ...] = ()  # what was let pass, and what gave way to an override
    beside: bool = False  # whether it has its name because an older version's sweep has the one in the file

    @property
    def location(self) -> Location:
        """Where its data lie."""
        return self.experiment.location.within(self.folder)

    def placed(self, fault: Fault) -> Fault:
        """What is wrong with data or an address, as it may be shown; with its line where it is the spec's fault."""
        fault = self.document.hidden(fault)
        is_ours = not fault.place and fault.path.partition(".")[0] in ("data", "storage", "tracking")
        return replace(fault, place=self.document.where(fault.path)) if is_ours else fault

    @property
    def written_location(self) -> dict[str, str]:
        """The same as it is written, by field: what the environment fills in may be private."""
        return {name: str(self.written["data"][name]) for name in type(self.experiment.location).model_fields}


def load(
    path: Source,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    *,
    begun: bool = False,
    execute: Executed | None = None,
) -> Spec:
    """Read and check a spec; raises BadInput with all that is wrong, in the order of the file.

    What follows from an override gives way to it, with a note. So is noted, of a sweep that was `begun`, what would
    merely do nothing: the version that began it may have let it pass. The user's own files are executed by `execute`,
    and otherwise not.
    """

    def read(changes: Iterable[tuple[Address, str | None]] = ()) -> Document:
        document = yaml_file.read(path, overrides, environment, changes)
        return execute(document) if execute else document

    document, fits = read(), list[reconcile.Fit]()
    checked = first = _checked(document)
    faults = checked.faults
    broken = _broken(path, environment) if faults and overrides else {fault.path for fault in faults}
    for _ in range(MOST_ROUNDS if overrides else 0):
        if not (more := reconcile.of(faults, broken, document, checked.parts)):
            break
        fits += more
        document = read(changes=[(each.at, each.value) for each in fits])
        checked = _checked(document)
        faults = checked.faults
    passed = reconcile.passed(faults, broken, document, begun=begun)
    if len(passed) < len(faults):
        known = {fault.path for fault in first.faults}
        if not known >= {fault.path for fault in faults}:  # what came of giving way is not the user's fault
            raise read().refuse(first.faults)
        raise document.refuse(fault for fault in faults if fault not in passed)
    assert checked.whole is not None  # a fault of a single section is never passed
    experiment = checked.whole.with_code(document.code)
    written = _unfilled(experiment.model_dump(), document.written, document.filled)
    notes = (*reconcile.notes(fits, experiment.model_dump()), *passed.values())
    return Spec(experiment, written, document, folder_of(path), notes)


def sections(
    path: str | Path,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    *,
    begun: bool = False,
) -> tuple[dict[str, Any], Document]:
    """A spec's sections for who needs some of them: what the environment lacks is wrong where it is asked for.

    Raises:
        BadInput: anything else in the spec is wrong; one with which a sweep was `begun` was right then.
    """
    document = yaml_file.read(path, overrides, environment, whole=False)
    if not document.lacking:
        spec = load(path, overrides, environment, begun=begun)
        return {name: getattr(spec.experiment, name) for name in type(spec.experiment).model_fields}, spec.document
    checked = _sections(document)
    if wrong := [fault for fault in checked.faults if not begun and not document.without(fault.path)]:
        raise document.refuse(wrong)
    return checked.parts, document


def warnings(spec: Spec) -> list[Note]:
    """Return a note for each thing that is allowed and yet seldom meant."""
    search, told, where = spec.experiment.search, list(spec.notes), spec.document.where
    if search and isinstance(search.sampler, GpSampler) and not isinstance(search.pruner, NoPruner):
        at = where("search.pruner")
        told.append(note("gp-learns-nothing-from-pruned", "search.pruner", at=at, pruner=search.pruner.type))
    if search and SEED in search.space:
        field = f"search.space.{SEED}"
        told.append(note("seed-searched", field, at=where(field)))
    return told


def comparable(spec: Spec) -> dict[str, Any]:
    """All that must not change between runs of a sweep, by dotted path: changed, its trials can't be compared."""
    flat = dict(_flat(spec.written, ()))
    free = (*FREE, *(f"data.{name}" for name in spec.written_location))
    fixed = (path for path in sorted(flat) if not any(_below(path, each) for each in free))
    younger = dict(spec.experiment.younger())
    own = {path: flat[path] for path in fixed if path not in younger or flat[path] != younger[path]}
    return own | {f"the code in {file}, SHA-256,": digest for file, digest in sorted(spec.document.code.items())}


def from_environment(spec: Spec) -> dict[str, str]:
    """What the environment filled into that, by dotted path, as a digest: another value makes another sweep."""
    filled = dict(_flat(spec.experiment.model_dump(), ()))
    return {
        f"{path}, which is {written},": hashlib.sha256(json.dumps(filled.get(path)).encode()).hexdigest()[:12]
        for path, written in comparable(spec).items()
        if isinstance(written, str) and "${" in written
    }


def spec_hash(comparable: Mapping[str, Any]) -> str:
    """The SHA-256, in hex, of what must not change."""
    text = json.dumps(_plain(comparable), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class _Checked(NamedTuple):
    """A document that was validated."""

    whole: Experiment | None  # None unless each section is valid in itself
    parts: dict[str, Any]  # the sections that are
    faults: list[Fault]


def _checked(document: Document) -> _Checked:
    """All that is wrong with a document, in its sections and across them."""
    found = _sections(document)
    faults = dict.fromkeys([*found.faults, *rules.faults(found.parts, document)])
    return found._replace(faults=list(faults))


def _broken(path: Source, environment: Mapping[str, str]) -> set[str]:
    """The paths of all that is wrong in the file alone; none where it can't be filled in without the overrides."""
    try:
        return {fault.path for fault in _checked(yaml_file.read(path, (), environment)).faults}
    except BadInput:
        return set()


def _sections(document: Document) -> _Checked:
    """Validates each section in itself."""
    filled, kind = document.filled, of_task(document.filled)
    try:
        whole = kind.model_validate(filled)
        return _Checked(whole, {name: getattr(whole, name) for name in kind.model_fields}, [])
    except ValidationError as error:
        errors = error.errors(include_url=False)
    if any(e["loc"][:1] == ("task",) for e in errors):  # what `data` should hold is then unknown
        errors = [e for e in errors if e["loc"][0] != "data"]
        filled = {name: value for name, value in filled.items() if name != "data"}
    broken = {e["loc"][0] for e in errors}
    parts = {
        name: _adapter(kind, name).validate_python(filled[name])
        if name in filled
        else info.get_default(call_default_factory=True)
        for name, info in kind.model_fields.items()
        if name not in broken and (name in filled or not info.is_required())
    }
    return _Checked(None, parts, list(messages.tell(errors, document)))


@cache
def _adapter(kind: type[Experiment], name: str) -> TypeAdapter[Any]:
    info = kind.model_fields[name]
    return TypeAdapter(Annotated[info.annotation, info])  # type: ignore[arg-type] # known when it runs


def _unfilled(value: Any, written: Any, filled: Any) -> Any:
    """Put ${} back where it stood, into a tree of values with defaults."""
    if isinstance(written, dict) and isinstance(value, dict):
        return {k: _unfilled(v, written[k], filled[k]) if k in written else v for k, v in value.items()}
    if isinstance(written, list) and isinstance(value, list):
        return [_unfilled(*items) for items in zip(value, written, filled, strict=True)]
    return written if isinstance(written, str) and "${" in written else value


def _flat(value: Any, at: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, (*at, key))
    elif at != ("search",):  # absent, not null
        yield ".".join(at), _plain(value)


def _plain(value: Any) -> Any:
    """One form for one number: 0.0 is 0, as it is for Optuna."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _below(path: str, ancestor: str) -> bool:
    return path == ancestor or path.startswith(f"{ancestor}.")
