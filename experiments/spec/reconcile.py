"""Makes fields of a file give way to an override that they do not fit: leaves them out or changes them, with a note.

A fault follows from the overrides if the file alone does not have it. It is fixed in the field that the rule blames, if
the file contains that field. An override is never changed, and a conflict between two overrides is still refused.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from experiments.spec import rules, schema
from experiments.spec.errors import Address, dotted
from experiments.spec.yaml_document import Document
from experiments.spec.yaml_parser import value_at
from lstm.messages.entry import shown
from lstm.messages.message import Note, note
from lstm.records.errors import Fault

# What is left out, by the path of the fault.
OPTIONAL: Mapping[str, str] = {
    **{f"model.{name}": f"model.{name}" for name in ("bidirectional", "dropout", "forget_bias", "normalization")},
    **{f"model.{name}": f"model.{name}" for name in ("patch", "residual", "variant")},
    **{f"training.{name}": f"training.{name}" for name in ("input_noise", "loss", "momentum", "patience")},
    **{f"training.{name}": f"training.{name}" for name in ("schedule_gamma", "schedule_patience", "warmup_steps")},
    **{f"data.{name}": f"data.{name}" for name in ("calendar", "horizon", "memorize", "step", "symbols", "tau")},
    **{f"search.pruner.{name}": "search.pruner" for name in ("min_early_stopping_rate", "min_resource")},
    **{f"search.pruner.{name}": "search.pruner" for name in ("n_warmup_steps", "patience", "type")},
    **{name: name for name in ("search.first", "search.metric", "storage.keep")},
    "search.second_objective.metric": "search.second_objective",
}
LISTS = ("data.columns", "data.future_covariates", "data.past_covariates")  # a column may have one role only


@dataclass(frozen=True)
class Fit:
    """A change of the file's tree."""

    at: Address
    value: str | None  # as it would be written; None: the field is left out
    place: str  # its file and line
    written: str  # what the file has there
    reason: str


def of(faults: Iterable[Fault], broken: Iterable[str], document: Document, parts: Mapping[str, Any]) -> list[Fit]:
    """Return the changes that remove the faults which follow from overrides, the last in the tree first.

    Args:
        faults: The faults of the document.
        broken: The paths of the faults that the file alone has: no override caused those.
        document: The file with its overrides.
        parts: Its sections that are valid by themselves.
    """
    found: dict[Address, Fit] = {}
    if _limits_alone(document):
        place = document.where("search")
        why = "there is no search, so there is one training run, whatever its limits are"
        found["search",] = Fit(("search",), None, place, _text(document.written["search"]), why)
    for fault in faults:
        if fault.path in broken or overridden(document, (blamed := document.address(fault.path)), below=False):
            continue
        for at, value in _changes(fault, blamed, document, parts):
            if not overridden(document, at) and _changed(document.written, at, value):
                written = shown(_text(value_at(document.written, at)), 200)
                found.setdefault(at, Fit(at, value, document.where(at), written, _reason(at, fault, document)))
    outer = {at: fit for at, fit in found.items() if not any(at[:n] in found for n in range(1, len(at)))}
    return sorted(outer.values(), key=lambda fit: [(isinstance(key, int), str(key).zfill(7)) for key in fit.at])[::-1]


def passed(faults: Iterable[Fault], broken: Iterable[str], document: Document, *, begun: bool) -> dict[Fault, Note]:
    """Return a note for each fault that only says that a field does nothing, if the field may stay as it is.

    It may stay if an override of another field caused the fault, and in a sweep that was `begun`.
    """
    idle = [fault for fault in faults if fault.idle]
    own = {f: not (f.path in broken or overridden(document, document.address(f.path))) for f in idle}
    code = {True: "idle-field-beside-override", False: "idle-field-of-begun-sweep"}
    return {
        f: note(code[own[f]], f.path, at=document.where(f.path), why=_shortly(f, document))
        for f in idle
        if own[f] or begun
    }


def overridden(document: Document, at: Address, *, below: bool = True) -> bool:
    """Return whether an override wrote the value at an address, or (with `below`) anything below it."""
    inside = any(isinstance(place, str) and known[: len(at)] == at for known, place in document.lines.items())
    return (below and inside) or document.where(at).startswith("--set ")


def notes(fits: Iterable[Fit], filled: Any) -> Iterator[Note]:
    """Yield a note for each field that gave way, with what it has become."""
    for fit in fits:
        is_field = fit.at[:2] not in (("search", "space"), ("search", "first")) and isinstance(fit.at[-1], str)
        now = fit.value or _text(value_at(filled, fit.at) if is_field else None)
        code, become = ("field-left-out", {}) if now in ("null", "[]") else ("field-taken-as", {"now": now})
        yield note(code, dotted(fit.at), at=fit.place, written=fit.written, why=fit.reason, **become)


def _changes(
    fault: Fault, at: Address, document: Document, parts: Mapping[str, Any]
) -> Iterator[tuple[Address, str | None]]:
    path, search = fault.path, parts.get("search")
    if _of_another_variant(at, document):
        yield at, None
    elif fault.idle:
        return
    elif path in OPTIONAL:
        whole = document.address(OPTIONAL[path])
        yield (at if overridden(document, whole) else whole), None
    elif path == "search.direction" and search:
        yield at, rules.direction_of(document.filled.get("task"), search.metric)
    elif path == "search.n_trials" and search and (size := rules.grid_size(search)):
        yield at, str(size)
    elif path in LISTS and (data := parts.get("data")):
        yield from ((document.address(f"{path}.{index}"), None) for index in _doubled(data, path.partition(".")[2]))
    elif at[:2] == ("search", "space") and len(at) > 3 and len(value_at(document.filled, at[:2])) > 1:
        yield at[:3], None
    elif at[:2] == ("search", "first") and len(at) == 4:
        yield at, None
    elif at[:2] == ("search", "first") and len(at) == 3 and value_at(document.filled, at) == {}:
        yield at, None  # all its settings were left out


def _of_another_variant(at: Address, document: Document) -> bool:
    """Return whether a key belongs to a variant (of sampler, pruner, dimension) that an override has replaced."""
    kinds = dict(schema.variants(at[:-1], document.filled)) if at else {}
    own = kinds.get(schema.variant(value_at(document.filled, at[:-1])))
    known = any(at[-1] in fields for fields in kinds.values())
    return own is not None and known and at[-1] not in own and overridden(document, (*at[:-1], "type"))


def _doubled(data: Any, role: str) -> Iterator[int]:
    """Yield the indices of the columns in a list that also have another role."""
    before = [getattr(data, name, None) or [] for name in ("id", "time", "target", "past_covariates") if name != role]
    taken = {column for value in before for column in ([value] if isinstance(value, str) else value)}
    yield from (index for index, column in enumerate(getattr(data, role)) if column in taken)


def _reason(at: Address, fault: Fault, document: Document) -> str:
    """Return why a field gives way: the fault's text without the fix, with the path if it is another field's."""
    blamed = "" if document.address(fault.path) == at else f"{fault.path} "
    return f"{blamed or 'it '}{_shortly(fault, document)}"


def _shortly(fault: Fault, document: Document) -> str:
    """Return the text of a fault without the fix, and without secrets."""
    return document.hidden(fault).text


def _changed(written: Any, at: Address, value: str | None) -> bool:
    """Return whether a change has an effect: there is something to leave out, or the value differs."""
    above = value_at(written, at[:-1])
    there = at[-1] in above if isinstance(above, dict) else isinstance(above, list) and int(at[-1]) < len(above)
    return there if value is None else isinstance(above, dict) and _text(above.get(at[-1])) != value


def _limits_alone(document: Document) -> bool:
    """Return whether overrides limit a search that the file does not have."""
    search, place = document.filled.get("search"), document.where("search")
    added = place.startswith("--set ") and not re.match(r"--set search\s*=", place)
    return added and isinstance(search, dict) and {*search} <= {"n_trials", "stop"}


def _text(value: Any) -> str:
    """Return a value as written in a spec."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value, default=str)
