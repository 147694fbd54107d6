"""The JSON Schema of a spec: it is written for editors, and messages look up fields in it.

`python -m experiments.spec.schema` writes the editors' file.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from experiments.spec.errors import Address
from experiments.spec.experiment import EXPERIMENTS, of_task
from experiments.spec.yaml_parser import value_at
from lstm.config.section import Section
from lstm.config.tasks import SECTIONS

Kind = type[Section] | None  # what a file is read as; None: the experiment of the task that the file names
SCHEMA = Path(__file__).parents[1] / "spec.schema.json"


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a spec, for editors."""
    first = next(iter(EXPERIMENTS.values()))
    made = json.loads(json.dumps(_whole(first)))
    made["allOf"] = []
    # The sections that depend on the task: `data`, and those that a task extends.
    names = ["data", *sorted({name for data, _ in SECTIONS.values() for name in data.extended})]
    for task, kind in EXPERIMENTS.items():
        whole = _whole(kind)
        made["$defs"] |= whole["$defs"]
        needs = [] if kind is first else ["task"]  # the first task is the default
        is_it = {"properties": {"task": {"const": task}}, **({"required": needs} if needs else {})}
        own = {name: whole["properties"][name] for name in names}
        made["allOf"].append({"if": is_it, "then": {"properties": own}})
    made["properties"]["data"] = {"description": "What the task learns from."}
    for name in names[1:]:
        made["properties"][name] = {"description": _deref(_whole(first)["properties"][name], made)["description"]}
    return json.loads(json.dumps(made))  # type: ignore[no-any-return] # a mapping, like `made`


def main() -> None:
    """Write the schema to its file."""
    SCHEMA.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def node_at(at: Address, filled: Any, kind: Kind = None) -> Mapping[str, Any]:
    """Return the schema of a place; if that has variants, of the variant that `type` names."""
    whole = _whole(kind or of_task(filled))
    node: Mapping[str, Any] = whole
    for n, key in enumerate(at):
        if "oneOf" in node:
            meant = variant(value_at(filled, at[:n]))
            mapping = node["discriminator"]["mapping"]
            if meant not in mapping:
                return {"enum": list(mapping)} if key == "type" else {}
            node = _deref({"$ref": mapping[meant]}, whole)
        if isinstance(key, int):
            lists = [m for m in node.get("anyOf", [node]) if "items" in m]
            node = _deref(lists[0]["items"], whole) if lists else {}
        else:
            sections = [m for m in node.get("anyOf", ()) if "$ref" in m]  # a list, or a section
            node = _deref(sections[0], whole) if len(sections) == 1 else node
            node = _deref(node.get("properties", {}).get(key) or _of_each_key(node), whole)
    return node


def _of_each_key(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the node of a mapping's values, whatever their keys are."""
    found: Any = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), {})
    return found if isinstance(found, dict) else {}


def allowed(node: Mapping[str, Any]) -> list[Any]:
    """Return the fixed values of a field; if it has variants, their types."""
    if "oneOf" in node:
        return list(node["discriminator"]["mapping"])
    return list(node["enum"]) if "enum" in node else [node["const"]] if "const" in node else []


def fields(at: Address, filled: Any, kind: Kind = None) -> list[str]:
    """Return the keys that a place may have."""
    found = dict(variants(at, filled, kind)).get(variant(value_at(filled, at)))
    if found is not None:
        return list(found)
    node = node_at(at, filled, kind)
    sections = [m for m in node.get("anyOf", ()) if "$ref" in m]
    node = _deref(sections[0], _whole(kind or of_task(filled))) if len(sections) == 1 else node
    return list(node.get("properties", {}))


def variants(at: Address, filled: Any, kind: Kind = None) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """Yield the `type` and the fields of each variant of a place."""
    node = node_at(at, filled, kind)
    for name, ref in node.get("discriminator", {}).get("mapping", {}).items():
        yield name, _deref({"$ref": ref}, _whole(kind or of_task(filled)))["properties"]


def variant(value: Any) -> str | None:
    """Return the `type` of a value; None if it has none."""
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


def homes(key: str, filled: Any, kind: Kind = None) -> list[str]:
    """Return the sections that have a key of this name, in the order of the schema."""
    return _homes(key, kind or of_task(filled))


@cache
def _homes(key: str, kind: type[Section]) -> list[str]:
    whole = _whole(kind)

    def walk(node: Mapping[str, Any], at: tuple[str, ...]) -> Iterator[str]:
        own = _deref(node, whole).get("properties", {})
        if key in own:
            yield ".".join(at) or "the top level"
        for name, child in own.items():
            if (*at, name) != ("search", "space"):
                yield from walk(child, (*at, name))

    return list(walk(whole, ()))


class _Tidy(GenerateJsonSchema):
    """A generator without titles: pydantic makes them from the fields' names, which say the same."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@cache
def _whole(kind: type[Section]) -> dict[str, Any]:
    made = kind.model_json_schema(schema_generator=_Tidy)
    for node in (made, *made.get("$defs", {}).values()):
        node.pop("title", None)
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": "Sweep spec", **made}


def _deref(node: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a node with its reference resolved; of `X | None` the node of X.

    The field's own description stays. `form` is what X itself says of a text with a pattern.
    """
    own = {k: node[k] for k in ("description",) if k in node}
    members = [m for m in node.get("anyOf", ()) if m.get("type") != "null"]
    if len(members) == 1:
        form = {"form": members[0]["description"]} if {"pattern", "description"} <= members[0].keys() else {}
        return {**_deref(members[0], whole), **own, **form}
    if "$ref" in node:
        return {**_deref(whole["$defs"][node["$ref"].rpartition("/")[2]], whole), **own}
    return node


if __name__ == "__main__":
    main()
