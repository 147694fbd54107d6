"""The page of the spec's fields, made from the JSON Schema and so from the models."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cluster.config import SearchConfig
from experiments.reference.markdown import link, paragraphs
from experiments.spec.schema import schema

Node = Mapping[str, Any]

_NUMBERS = {"integer": "a whole number", "number": "a number"}
_BOUNDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
_MADE = {  # the type of what a section makes if the field is absent, which the schema does not say
    f"search.{name}": SearchConfig.model_fields[name].get_default(call_default_factory=True).type
    for name in ("sampler", "pruner")
}

HEAD = """\
# The spec

This page is generated from the models of the spec (`make schema`). Do not edit it.

A spec is one YAML file. This page has every field of it. A field that is not here is refused, with the nearest right
name. `experiments/spec.schema.json` has the same for editors, which complete and check a spec with it.

- Any value can come from the environment: `${NAME}`, or `${NAME:-default}`.
- `--set PATH=VALUE` of [a verb](verbs.md) overrides a field, named by its path, such as `training.max_epochs`.
- `sweep plan SPEC` checks a spec. It starts nothing and writes nothing. [Errors](errors.md) lists what it may say.

"""


def page() -> str:
    """Return the page, in Markdown."""
    whole = schema()
    parts = list(_parts(whole))
    rows = [f"| {link(heading)} | {_first(text)} |" for heading, text, _ in parts]
    table = "\n".join(["| section | what it says |", "| --- | --- |", *rows])
    sections = [f"## {heading}\n\n{paragraphs(text)}{''.join(fields)}" for heading, text, fields in parts]
    return HEAD + table + "\n\n" + "".join(sections).rstrip() + "\n"


def _first(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())


def _parts(whole: Node) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each part of a spec: its heading, what it is, and its fields."""
    yield "The top level", "The name, the task and the sections.", list(_fields(whole, "", whole, "", 3))
    rules = {rule["if"]["properties"]["task"]["const"]: rule["then"]["properties"] for rule in whole["allOf"]}
    for task, own in rules.items():
        node = _at(own["data"], whole)
        yield f"data, task: {task}", node["description"], list(_fields(node, "data", whole, task, 3))
    shared = next(iter(rules.values()))  # the first task extends no section
    for name, field in whole["properties"].items():
        if name != "data" and (section := _section(shared.get(name, field), whole)):
            yield name, section["description"], list(_fields(section, name, whole, "", 3))
        for task, own in rules.items():
            if name != "data" and name in own and own[name] != shared[name]:
                yield (
                    f"{name}, task: {task}",
                    *_added(_at(shared[name], whole), _at(own[name], whole), name, whole, task),
                )


def _added(section: Node, own: Node, name: str, whole: Node, task: str) -> tuple[str, list[str]]:
    """Return what a task's own class of a section is, and the fields that it adds or defines anew."""
    more = {key: value for key, value in own["properties"].items() if value != section["properties"].get(key)}
    return own["description"], list(_fields({**own, "properties": more}, name, whole, task, 3))


def _fields(node: Node, path: str, whole: Node, of: str, depth: int) -> Iterator[str]:
    """Yield the fields of a section, each as a piece of the page; sections within follow their field."""
    for name, field in node["properties"].items():
        at = f"{path}.{name}" if path else name
        if name == "type" and "const" in field:
            continue  # the heading of the variant says it
        required = name in node.get("required", ())
        within = _section(field, whole)
        text = field.get("description") or (within or {}).get("description", "")
        heading = f"{'#' * depth} {at}{f' ({of})' if of else ''}\n\n"
        if not path and (within or set(field) == {"description"}):
            continue  # it has a part of its own
        yield heading + _value(field, at, whole, required=required) + paragraphs(text)
        if within:
            yield from _fields(within, at, whole, of, depth)
        for kind, variant in _variants(field, whole):
            inner = f"{at}.PATH" if at == "search.space" else at
            yield f"{'#' * depth} {inner} (type: {kind})\n\n" + paragraphs(variant["description"])
            yield from _fields(variant, inner, whole, kind, depth + 1)


def _at(node: Node, whole: Node) -> Node:
    found: Node = whole["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return found


def _members(node: Node) -> list[Node]:
    return list(node.get("anyOf") or [node])


def _section(node: Node, whole: Node) -> Node | None:
    """Return the section that a field is, if it is one."""
    found = [_at(each, whole) for each in _members(node) if "$ref" in each]
    return found[0] if found else None


def _variants(node: Node, whole: Node) -> Iterator[tuple[str, Node]]:
    """Yield the variants of a field, or of the values of a field that is a mapping."""
    more = node.get("additionalProperties")
    mapping = (more if isinstance(more, dict) else node).get("discriminator", {}).get("mapping", {})
    for kind, ref in mapping.items():
        yield kind, _at({"$ref": ref}, whole)


def _value(node: Node, at: str, whole: Node, *, required: bool) -> str:
    """Return the line that says what a field may be, and what it is if it is absent."""
    if required:
        absent = "**required**"
    elif at in _MADE:
        absent = f"**default:** `{{type: {_MADE[at]}}}`"
    elif node.get("default") is not None:
        absent = f"**default:** `{_literal(node['default'])}`"
    else:
        absent = "optional"
    return paragraphs(f"**value:** {kind_of(node, whole)} · {absent}")


def kind_of(node: Node, whole: Node) -> str:
    """Return the values that a field may have, in words."""
    if "anyOf" in node:
        if {each.get("type") for each in node["anyOf"]} >= {"boolean", "number", "string"}:
            return "a value" + ", or a list of values" * any(each.get("type") == "array" for each in node["anyOf"])
        return _or([kind_of(each, whole) for each in node["anyOf"]])
    if "const" in node or "enum" in node:
        return _or([f"`{_literal(each)}`" for each in node.get("enum") or [node["const"]]])
    if "$ref" in node:
        return "the fields below"
    if "oneOf" in node:
        return "a variant, named by its `type`: " + _or([f"`{kind}`" for kind, _ in _variants(node, whole)])
    return _collection(node, whole) if node["type"] in ("array", "object") else _plain(node)


def _collection(node: Node, whole: Node) -> str:
    if node["type"] == "array":
        bounds = [f"at least {node['minItems']}"] if node.get("minItems", 0) > 1 else []
        bounds += [f"at most {_number(node['maxItems'])}"] if "maxItems" in node else []
        how_many = f" of {' and '.join(bounds)}" if bounds else ""
        return f"a list{how_many} (each: {kind_of(node['items'], whole)})"
    more = node["additionalProperties"]
    each = "one of the variants below" if "oneOf" in more else kind_of(more, whole)
    return f"a mapping from paths of fields (to each: {each})"


def _plain(node: Node) -> str:
    if node["type"] == "string":
        return f"`{node['description']}`" if "pattern" in node and "FILE" in node.get("description", "") else "a text"
    if node["type"] in _NUMBERS:
        return f"{_NUMBERS[node['type']]}{_bounds(node)}"
    return {"boolean": "`true` or `false`", "null": "`null`"}[node["type"]]


def _bounds(node: Node) -> str:
    if "minimum" in node and "maximum" in node:
        return f" from {_number(node['minimum'])} to {_number(node['maximum'])}"
    said = [f"{word} {_number(node[key])}" for key, word in _BOUNDS.items() if key in node]
    return f" {' and '.join(said)}" if said else ""


def _or(values: list[str]) -> str:
    if any(" " in value for value in values):
        return ", or ".join(values)
    return " or ".join([", ".join(values[:-1]), values[-1]] if len(values) > 1 else values)


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def _literal(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
