"""What stands in a file gives way to an override that it does not go with: left out, or fitted, and said.

A fault follows from the overrides where the file alone is right in that rule. It is mended in the field that the rule
blames, if that stands in the file: an override is never changed, and what is wrong between overrides stays refused.
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

# Fields that can be left out, by the path of the fault, with what is left out.
OPTIONAL: Mapping[str, str] = {
    **{f"model.{name}": f"model.{name}" for name in ("bidirectional", "dropout", "forget_bias", "normalization")},
    **{f"model.{name}": f"model.{name}" for name in ("residual", "variant")},
    **{f"training.{name}": f"training.{name}" for name in ("input_noise", "momentum", "patience", "schedule_gamma")},
    **{f"training.{name}": f"training.{name}" for name in ("schedule_patience", "warmup_steps")},
    **{f"data.{name}": f"data.{name}" for name in ("calendar", "horizon", "memorize", "step", "symbols", "tau")},
    **{f"search.pruner.{name}": "search.pruner" for name in ("min_early_stopping_rate", "min_resource")},
    **{f"search.pruner.{name}": "search.pruner" for name in ("n_warmup_steps", "patience", "type")},
    **{name: name for name in ("search.first", "search.metric", "storage.keep")},
    "search.second_objective.metric": "search.second_objective",
}
LISTS = ("data.columns", "data.future_covariates", "data.past_covariates")  # of columns, each with one role


@dataclass(frozen=True)
class Fit:
    """A change of the file's tree."""

    at: Address
    value: str | None  # as it would be written; None is left out
    place: str  # its file and line
    written: str  # what the file has there
    reason: str


def of(faults: Iterable[Fault], broken: Iterable[str], document: Document, parts: Mapping[str, Any]) -> list[Fit]:
    """What gives way so that faults which follow from overrides are none, last in the tree first.

    Args:
        faults: What is wrong with the document.
        broken: The paths where the file alone is wrong: no override caused that.
        document: The file with its overrides.
        parts: Its sections, those that are valid in themselves.
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
    """Faults that merely say that a field does nothing, each as a note, where it may stay as it is.

    So it may where that follows from an override, and in a sweep that was `begun`.
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
    """Whether an override wrote what stands at an address, or anything below it."""
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
        yield at, None  # all of it was left out


def _of_another_variant(at: Address, document: Document) -> bool:
    """Whether a key belongs to the variant (of sampler, pruner, dimension) in whose place an override put another."""
    kinds = dict(schema.variants(at[:-1], document.filled)) if at else {}
    own = kinds.get(schema.variant(value_at(document.filled, at[:-1])))
    known = any(at[-1] in fields for fields in kinds.values())
    return own is not None and known and at[-1] not in own and overridden(document, (*at[:-1], "type"))


def _doubled(data: Any, role: str) -> Iterator[int]:
    """The places of columns in a list that have another role as well."""
    before = [getattr(data, name, None) or [] for name in ("id", "time", "target", "past_covariates") if name != role]
    taken = {column for value in before for column in ([value] if isinstance(value, str) else value)}
    yield from (index for index, column in enumerate(getattr(data, role)) if column in taken)


def _reason(at: Address, fault: Fault, document: Document) -> str:
    """What a fault says, without the mend; of another field with its path."""
    blamed = "" if document.address(fault.path) == at else f"{fault.path} "
    return f"since {blamed or 'it '}{_shortly(fault, document)}, it gives way to --set"


def _shortly(fault: Fault, document: Document) -> str:
    """What a fault says, without the mend."""
    return document.hidden(fault).text


def _changed(written: Any, at: Address, value: str | None) -> bool:
    """Whether there is something to leave out, or another value to put in its place."""
    above = value_at(written, at[:-1])
    there = at[-1] in above if isinstance(above, dict) else isinstance(above, list) and int(at[-1]) < len(above)
    return there if value is None else isinstance(above, dict) and _text(above.get(at[-1])) != value


def _limits_alone(document: Document) -> bool:
    """Whether overrides put limits to a search that the file does not have."""
    search, place = document.filled.get("search"), document.where("search")
    added = place.startswith("--set ") and not re.match(r"--set search\s*=", place)
    return added and isinstance(search, dict) and {*search} <= {"n_trials", "stop"}


def _text(value: Any) -> str:
    """A value as a spec has it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value, default=str)
