"""Turns pydantic's errors into faults: what came, what is allowed, and the nearest right name."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from experiments.spec import schema
from experiments.spec.errors import Address
from experiments.spec.yaml_document import Document
from experiments.spec.yaml_parser import value_at
from experiments.spec.yaml_scalars import typed
from lstm.config.tasks import SECTIONS
from lstm.messages.entry import shown
from lstm.records.errors import Fault, fault, nearest

_OTHER_NAMES = {  # names of our fields in other libraries, and frequent slips
    "learning_rate": "lr eta step_size",
    "max_epochs": "epoch epochs num_epochs n_epochs max_steps",
    "batch_size": "bs batch",
    "gradient_clip": "clip grad_clip gradient_clip_val max_grad_norm",
    "schedule": "scheduler lr_schedule lr_scheduler",
    "patience": "early_stopping early_stop_patience",
    "hidden_size": "hidden hidden_dim hidden_units units",
    "num_layers": "layers n_layers encoder_n_layers",
    "cell": "rnn rnn_type cell_type",
    "variant": "lstm_variant lstm_type",
    "forget_bias": "forget_gate_bias unit_forget_bias chrono",
    "bidirectional": "bidir bi bidirection",
    "lookback": "look_back input_size input_chunk_length window context_length",
    "horizon": "h prediction_length output_chunk_length",
    "windows": "folds n_windows",
    "folds": "windows n_splits n_folds cv",
    "validation": "val valid",
    "n_trials": "trials num_samples num_trials",
    "direction": "mode",
    "space": "param_space search_space params parameters",
    "low": "min lower",
    "high": "max upper",
    "choices": "values options",
    "seed": "random_state random_seed",
    "uri": "tracking_uri mlflow_uri",
    "max_concurrent": "max_concurrent_trials concurrency n_jobs",
}
Told = tuple[str, dict[str, Any]]  # a fault's code, and the values in its message
ALIASES = {other: name for name, others in _OTHER_NAMES.items() for other in others.split()}


def tell(errors: Iterable[ErrorDetails], document: Document, kind: schema.Kind = None) -> Iterator[Fault]:
    """Yield one fault for each wrong place. The errors of a union's members are one fault.

    Args:
        errors: What pydantic has found.
        document: The file.
        kind: What the file is read as; None for a spec.
    """
    places: dict[Address, list[ErrorDetails]] = {}
    for error in errors:
        places.setdefault(_address(error, document.filled), []).append(error)
    meant = {_meant(at, document.filled, kind) for at, found in places.items() if found[0]["type"] == "extra_forbidden"}
    for at, found in places.items():
        if found[0]["type"] == "missing" and at in meant:
            continue  # the field is there under a wrong name
        below = any(len(other) > len(at) and other[: len(at)] == at for other in places)
        if below and not any(e["type"] in ("missing", "extra_forbidden") for e in found):
            continue  # a member of a union that the value was not meant for
        is_key = any(each["loc"][-1] == "[key]" for each in found)
        code, values = (_of_key if is_key else _told)(found, at, document, kind)
        yield fault(code, ".".join(map(str, at)), **values)


def listed(words: Sequence[str], joint: str = "or") -> str:
    """Return words joined as in a sentence: `a, b or c`."""
    return f" {joint} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _address(error: ErrorDetails, here: Any) -> Address:
    """Return the address of an error, without the names of union members that pydantic adds."""
    found: Address = ()
    *above, last = error["loc"]
    for key in above:
        if (isinstance(here, dict) and key in here) or (isinstance(here, list) and isinstance(key, int)):
            found, here = (*found, key), here[key]  # type: ignore[index] # a list or a mapping
    is_key = isinstance(here, dict) and (last in here or error["type"] == "missing")
    if is_key or (isinstance(here, list) and isinstance(last, int)):
        found = (*found, last)
    return (*found, "type") if error["type"].startswith("union_tag") else found


def _of_key(_: list[ErrorDetails], at: Address, document: Document, kind: schema.Kind) -> Told:
    """Return the fault of a key of a mapping that takes any keys of a form."""
    keys = schema.node_at(at[:-1], document.filled, kind).get("propertyNames", {})
    return "wrong-key", {"about": keys.get("form", keys.get("description"))}


def _told(found: list[ErrorDetails], at: Address, document: Document, kind: schema.Kind) -> Told:
    error, node = found[0], schema.node_at(at, document.filled, kind)
    if error["type"] == "extra_forbidden":
        return _unknown(at, document.filled, kind)
    allowed = [str(v) for v in schema.allowed(node)]
    if error["type"] in ("missing", "union_tag_not_found"):
        about = None if allowed else node.get("description")
        return "field-missing", {"allowed": allowed or None, "about": about}
    came, filled = _came(at, document), value_at(document.filled, at)
    if len({e["loc"] for e in found}) > 1 or error["type"].endswith("_type") or error["type"] == "int_from_float":
        near = nearest(filled, _names(node)) if isinstance(filled, str) and _names(node) else None
        return "wrong-type", {"came": came, "wanted": _wanted(node), "near": near, "hint": _hint(filled, node)}
    if allowed:
        return "not-one-of", {"came": came, "allowed": allowed, "near": nearest(str(filled), allowed)}
    is_pattern, bounds = error["type"] == "string_pattern_mismatch", _bounds(node)
    if bounds and not is_pattern:
        return "out-of-bounds", {"came": came, "bounds": bounds}
    return "wrong-form", {
        "came": came,
        "about": node.get("form", node.get("description")) if is_pattern else error["msg"],
    }


def _came(at: Address, document: Document) -> str:
    """Return the value at an address in words; if the environment filled it in, ${NAME} and its type only."""
    value, written = value_at(document.filled, at), value_at(document.written, at)
    if isinstance(written, str) and "${" in written:
        return f"{shown(written)}, filled in as {_kind(value)}"
    match value:
        case None:
            return "empty"
        case bool() | int() | float():
            return shown(str(value).lower())
        case str():
            return f'"{shown(value)}"'
    return _kind(value)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if value in ([], {}):
        return "an empty list" if value == [] else "an empty mapping"
    kinds = {int: "a whole number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return kinds.get(type(value), "nothing")


def _wanted(node: Mapping[str, Any]) -> str:
    """Return in words which types and values a field may have."""
    members = [m for m in node.get("anyOf", [node]) if m.get("type") != "null"]
    if _takes_own(members):
        own = [str(member["description"]) for member in members if "pattern" in member]
        return listed([*_names(node), *own])
    words = []
    for member in members:
        kind, allowed = member.get("type"), [str(v) for v in schema.allowed(member)]
        names = {
            "integer": "a whole number",
            "number": "a number",
            "string": "text",
            "boolean": "true or false",
            "array": "a list",
        }
        if "oneOf" in member:
            allowed = ["a mapping with type: " + listed(allowed, "or")]
        word = listed(allowed, "or") if allowed else names.get(str(kind), "a mapping, as in {key: value}")
        bounds = _bounds(member) if len(members) > 1 or kind == "array" else ""
        words.append(f"{word} ({bounds})" if bounds and not allowed else word)
    about = f". {node['description'].rstrip('.')}" if len(words) > 1 and "description" in node else ""
    return listed(words, "or") + about


def _names(node: Mapping[str, Any]) -> list[str]:
    """Return the fixed names of a field that takes a name or the user's own code; else none."""
    members = node.get("anyOf", ())
    return [str(value) for member in members for value in schema.allowed(member)] if _takes_own(members) else []


def _takes_own(members: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a field takes one of some names, or the user's own code as `FILE.py:Class`."""
    return len(members) > 1 and any("pattern" in member and "description" in member for member in members)


def _bounds(node: Mapping[str, Any]) -> str:
    """Return a field's bounds in words."""
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "below {}",
        "minLength": "at least {} characters long",
        "maxLength": "at most {} characters long",
        "minItems": "at least {} long",
        "maxItems": "at most {} long",
        "minProperties": "at least {} entries long",
    }
    node = next((m for m in node.get("anyOf", ()) if m.get("type") != "null"), node)
    told = [text.format(node[key]) for key, text in words.items() if key in node]
    return listed([t.replace(" 1 characters", " 1 character").replace(" 1 entries", " 1 entry") for t in told], "and")


def _hint(value: Any, node: Mapping[str, Any]) -> str | None:
    """Return how to write what was probably meant; None if that is not clear."""
    if isinstance(value, str) and _names(node):
        return None
    kinds = {m.get("type") for m in node.get("anyOf", [node])}
    if isinstance(value, str) and (kinds & {"integer", "number", "boolean"}):
        return "remove the quotes" if not isinstance(typed(value), str) else None
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return "leave the decimal point out"
    if isinstance(value, str) and "oneOf" in node:
        return f"write {{type: {shown(value)}}}" if value in schema.allowed(node) else None
    if value is None:
        return "leave the key out for its default"
    is_text = "string" in kinds and not kinds & {"integer", "number"} and not schema.allowed(node)
    return "put it in quotes" if is_text and not isinstance(value, list | dict) else None


def _unknown(at: Address, filled: Any, kind: schema.Kind) -> Told:
    """Return the fault of an unknown key, with the nearest right one: here, in another variant or another section."""
    above, key = at[:-1], str(at[-1])
    others = [name for name, fields in schema.variants(above, filled, kind) if name and key in fields]
    if at == ("data", "backtest") and not kind:
        task = str(value_at(filled, ("task",)))
        generated = task in SECTIONS and not SECTIONS[task][1].model_fields  # no location: there is no file
        return "backtest-of-generated-data" if generated else "backtest-of-another-task", {"task": shown(task)}
    if others:
        given = shown(str(schema.variant(value_at(filled, above))))
        return "field-of-another-type", {"type": given, "types": others}
    if right := _meant(at, filled, kind):
        return "unknown-field", {"near": right[-1], "allowed": None}
    right_name = key if schema.homes(key, filled, kind) else _alias(key)
    if homes := [home for home in schema.homes(right_name, filled, kind) if home != ".".join(map(str, above))]:
        return "field-of-another-section", {"name": right_name, "sections": homes}
    return "unknown-field", {"near": None, "allowed": list(schema.fields(above, filled, kind))}


def _meant(at: Address, filled: Any, kind: schema.Kind) -> Address | None:
    """Return the address of the field in the same section that a wrong key most likely means; None if there is none."""
    above, key = at[:-1], str(at[-1])
    own = schema.fields(above, filled, kind)
    if _alias(key) in own:
        return (*above, _alias(key))
    # A key that is right in another section must be nearer to count as misspelt here.
    close = difflib.get_close_matches(key.lower(), own, 1, 0.85 if schema.homes(_alias(key), filled, kind) else 0.6)
    return (*above, close[0]) if close else None


def _alias(key: str) -> str:
    key = key.lower().replace("-", "_")
    return ALIASES.get(key, key)
