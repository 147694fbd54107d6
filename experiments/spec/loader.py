"""Reads a spec, checks it as a whole, and says which of its values must stay the same between runs of a sweep."""

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
from experiments.spec import reconcile, rules, validation
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
MOST_ROUNDS = 20  # a field that gives way to an override may make another field give way

# Fields that may change between runs of a sweep. The data's path may change too: a fingerprint compares their bytes.
FREE = ("name", "search.n_trials", "search.stop", "search.confirm", "probe", "resources", "tracking", "storage")


@dataclass(frozen=True)
class Spec:
    """A spec that was read and found right."""

    experiment: Experiment = field(repr=False)  # filled in: may contain secrets
    written: Mapping[str, Any]  # the experiment as nested mappings, with defaults; ${} is not filled in
    document: Document
    folder: Path  # relative paths in the spec start here
    notes: tuple[Note, ...] = ()  # faults that were let pass, and fields that gave way to an override
    beside: bool = False  # its name was changed, because an older version's sweep has the name in the file

    @property
    def location(self) -> Location:
        """Where its data are."""
        return self.experiment.location.within(self.folder)

    def placed(self, fault: Fault) -> Fault:
        """Return a fault of the data or an address without secrets, and with its line if it is a field of the spec."""
        if fault.code == "column-not-in-file" and (path := self._naming(fault.values["column"])):
            fault = replace(fault, path=path, place=self.document.where(path), within=fault.place)
        fault = self.document.hidden(fault)
        is_ours = not fault.place and fault.path.partition(".")[0] in ("data", "model", "storage", "tracking")
        return replace(fault, place=self.document.where(fault.path)) if is_ours else fault

    def _naming(self, column: str) -> str:
        """Return the field of the data section that names a column, "" if none does."""
        for name, value in self.experiment.data.model_dump().items():
            if value == column:
                return f"data.{name}"
            if isinstance(value, list | tuple) and column in value:
                return f"data.{name}.{value.index(column)}"
        return ""

    @property
    def written_location(self) -> dict[str, str]:
        """Where its data are, by field, as written in the file: what the environment fills in may be private."""
        given = [name for name, path in self.experiment.location if path is not None]
        return {name: str(self.written["data"][name]) for name in given}

    @property
    def shown_location(self) -> str:
        """The place of its data's file; what the environment fills in is not shown. "" for generated data."""
        written = next(iter(self.written_location.values()), "")
        is_full = not written or "${" in written or "://" in written
        return written if is_full else str((self.folder / written).absolute())


def load(
    path: Source,
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    *,
    begun: bool = False,
    execute: Executed | None = None,
) -> Spec:
    """Read and check a spec.

    A field of the file that does not fit an override gives way to it, with a note. For a sweep that was `begun`, a
    field that does nothing is a note instead of a fault: the version that began the sweep may have accepted it. The
    user's own files are executed only if `execute` is given.

    Raises:
        BadInput: all faults, in the order of the file.
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
        if not known >= {fault.path for fault in faults}:  # a fault that giving way has caused is not the user's
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
    """Return a spec's sections by name, and its document, for a caller that needs only some of them.

    A missing environment variable is no fault here. `Document.without` gives the error when a value is needed.

    Raises:
        BadInput: another part of the spec is wrong. This is not checked if a variable is missing and the sweep was
            `begun`, as the spec was right then.
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
    """Return a note for each setting that is allowed but is rarely intended."""
    search, told, where = spec.experiment.search, list(spec.notes), spec.document.where
    if search and isinstance(search.sampler, GpSampler) and not isinstance(search.pruner, NoPruner):
        at = where("search.pruner")
        told.append(note("gp-learns-nothing-from-pruned", "search.pruner", at=at, pruner=search.pruner.type))
    if search and SEED in search.space:
        field = f"search.space.{SEED}"
        told.append(note("seed-searched", field, at=where(field)))
    return told


def comparable(spec: Spec) -> dict[str, Any]:
    """Return the values that must stay the same between runs of a sweep, so that its trials compare, by dotted path."""
    flat = dict(_flat(spec.written, ()))
    free = (*FREE, *(f"data.{name}" for name in spec.written_location))
    fixed = (path for path in sorted(flat) if not any(_below(path, each) for each in free))
    younger = dict(spec.experiment.younger())
    own = {path: flat[path] for path in fixed if path not in younger or flat[path] != younger[path]}
    return own | {f"the code in {file}, SHA-256,": digest for file, digest in sorted(spec.document.code.items())}


def from_environment(spec: Spec) -> dict[str, str]:
    """Return digests of the comparable values that the environment fills in: another value means another sweep."""
    filled = dict(_flat(spec.experiment.model_dump(), ()))
    return {
        f"{path}, which is {written},": hashlib.sha256(json.dumps(filled.get(path)).encode()).hexdigest()[:12]
        for path, written in comparable(spec).items()
        if isinstance(written, str) and "${" in written
    }


def spec_hash(comparable: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hex, of the comparable values."""
    text = json.dumps(_plain(comparable), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class _Checked(NamedTuple):
    """A document that was validated."""

    whole: Experiment | None  # None unless each section is valid in itself
    parts: dict[str, Any]  # the valid sections
    faults: list[Fault]


def _checked(document: Document) -> _Checked:
    """Check a document, each section and the rules across sections."""
    found = _sections(document)
    faults = dict.fromkeys([*found.faults, *rules.faults(found.parts, document)])
    return found._replace(faults=list(faults))


def _broken(path: Source, environment: Mapping[str, str]) -> set[str]:
    """Return the paths of the faults of the file without overrides; none if it can't be filled in without them."""
    try:
        return {fault.path for fault in _checked(yaml_file.read(path, (), environment)).faults}
    except BadInput:
        return set()


def _sections(document: Document) -> _Checked:
    """Validate each section by itself."""
    filled, kind = document.filled, of_task(document.filled)
    try:
        whole = kind.model_validate(filled)
        return _Checked(whole, {name: getattr(whole, name) for name in kind.model_fields}, [])
    except ValidationError as error:
        errors = error.errors(include_url=False)
    if any(e["loc"][:1] == ("task",) for e in errors):  # then it is unknown what `data` should contain
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
    return _Checked(None, parts, list(validation.tell(errors, document)))


@cache
def _adapter(kind: type[Experiment], name: str) -> TypeAdapter[Any]:
    info = kind.model_fields[name]
    return TypeAdapter(Annotated[info.annotation, info])  # type: ignore[arg-type] # known when it runs


def _unfilled(value: Any, written: Any, filled: Any) -> Any:
    """Return a tree of values with defaults, with each ${} as it was written in the file."""
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
    """Return a value with one form for each number: 0.0 becomes 0, as for Optuna."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def _below(path: str, ancestor: str) -> bool:
    return path == ancestor or path.startswith(f"{ancestor}.")
