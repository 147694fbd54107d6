"""The JSON Schema of a spec: made for editors, and looked up for messages.

`python -m experiments.schema` writes the editors' file.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from experiments.config import Experiment
from experiments.refusal import Address
from experiments.tree import value_at

SCHEMA = Path(__file__).with_name("spec.schema.json")


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a spec, for editors."""
    return json.loads(json.dumps(_whole()))  # type: ignore[no-any-return]


def main() -> None:
    """Write the schema to its file."""
    SCHEMA.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def node_at(at: Address, filled: Any) -> Mapping[str, Any]:
    """The schema of a place; of what has variants, that of the variant which its `type` names."""
    node = _deref(_whole())
    for n, key in enumerate(at):
        if "oneOf" in node:
            kind = variant(value_at(filled, at[:n]))
            mapping = node["discriminator"]["mapping"]
            if kind not in mapping:
                return {"enum": list(mapping)} if key == "type" else {}
            node = _deref({"$ref": mapping[kind]})
        if isinstance(key, int):
            lists = [m for m in node.get("anyOf", [node]) if "items" in m]
            node = _deref(lists[0]["items"]) if lists else {}
        else:
            more = node.get("additionalProperties")
            node = _deref(node.get("properties", {}).get(key) or (more if isinstance(more, dict) else {}))
    return node


def allowed(node: Mapping[str, Any]) -> list[Any]:
    """The fixed values of a field; of what has variants, their types."""
    if "oneOf" in node:
        return list(node["discriminator"]["mapping"])
    return list(node["enum"]) if "enum" in node else [node["const"]] if "const" in node else []


def fields(at: Address, filled: Any) -> list[str]:
    """The keys that a place may have."""
    found = dict(variants(at, filled)).get(variant(value_at(filled, at)))
    return list(node_at(at, filled).get("properties", {}) if found is None else found)


def variants(at: Address, filled: Any) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """The `type` and the fields of each variant of a place."""
    node = node_at(at, filled)
    for kind, ref in node.get("discriminator", {}).get("mapping", {}).items():
        yield kind, _deref({"$ref": ref})["properties"]


def variant(value: Any) -> str | None:
    """Which variant a value says it is."""
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


@cache
def homes(key: str) -> list[str]:
    """The sections that have a key of this name, `search` and its parts last."""

    def walk(node: Mapping[str, Any], at: tuple[str, ...]) -> Iterator[str]:
        own = _deref(node).get("properties", {})
        if key in own:
            yield ".".join(at) or "the top level"
        for name, child in own.items():
            if (*at, name) != ("search", "space"):
                yield from walk(child, (*at, name))

    return list(walk(_whole(), ()))


class _Tidy(GenerateJsonSchema):
    """No titles made of field names: they say nothing that the names don't."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@cache
def _whole() -> dict[str, Any]:
    made = Experiment.model_json_schema(schema_generator=_Tidy)
    for node in (made, *made["$defs"].values()):
        node.pop("title", None)
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": "Sweep spec", **made}


def _deref(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference, and past null to the one other member; the field's own description stays."""
    own = {k: node[k] for k in ("description",) if k in node}
    members = [m for m in node.get("anyOf", ()) if m.get("type") != "null"]
    if len(members) == 1:
        return {**_deref(members[0]), **own}
    if "$ref" in node:
        return {**_deref(_whole()["$defs"][node["$ref"].rpartition("/")[2]]), **own}
    return node


if __name__ == "__main__":
    main()
