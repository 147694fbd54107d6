"""Hostile input: specs and files of data as slips, other tools and ill will make them.

Strategies of hypothesis draw them at large; a `Tree` keeps a spec as text, so that what no YAML library would write
can be written too.
"""

import copy
import datetime as dt
import io
import json
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import yaml
from hypothesis import strategies as st

Slip = Callable[[Any, list[list[Any]], int, list[list[Any]]], object]
Spoil = Callable[[Any, bytes], bytes]
Tree = list[list[Any]] | list[Any] | str  # a mapping is a list of [key, value], so that a key may stand there twice


class File(NamedTuple):
    """A file of data, and the columns that a spec would name."""

    name: str
    content: bytes
    time: str | None
    target: str


# --- Scalars ----------------------------------------------------------------------------------------------

NUMBERS = ["0", "-1", "1", "2", "0.5", "-0.0", "1e-400", "1e400", "-1e400", "1e308", "1e-308", ".nan", ".inf", "-.inf"]
NUMBERS += ["nan", "inf", "1_000", "0x1F", "0o17", "0b1", "08", "1.", ".5", "+3", "1e3", "8193", "100001", "1000001"]
NUMBERS += [str(2**31), str(2**53 + 1), str(2**63), str(-(2**63)), "9" * 30, "9" * 31, "9" * 5000, "0x" + "f" * 28]
TEXTS = ["~", "null", "yes", "no", "true", "True", "on", "day", "load", "tiny.csv", "none", "tpe", "grid", "auto", "x"]
TEXTS += ["''", '""', '"\\0"', '"\\ud800"', '"\\x1b[31m"', '"\\u202e"', '"a\\nb"', "'14'", "caf\u00e9", "\u65e5\u672c"]
TEXTS += ["\U0001f9e8", "a\u0301", "\u200b", "x" * 300, "x" * 70_000, "2020-05-01", "2020-13-45", "12:30:45", "a: b"]
TEXTS += ["../../etc/passwd", "/dev/zero", "/dev/stdin", "/", ".", "tiny.csv/", "tiny.yaml", "tiny.csv\\0", "CON", "~x"]
TEXTS += ["s3://b/p", "s3://k:v@b/p?x=1", "ftp://x", "://", "sqlite:///no/such/x.db", "http://[", "http://x:99999999"]
FILLED = ["${PRIVATE}", "x${PRIVATE}x", "${PRIVATE:-3}", "${NO_SUCH}", "${NO_SUCH:-14}", "${NO_SUCH:-}", "${", "${}"]
FILLED += ["$${PRIVATE}", "${A:-${B}}", "${1X}", "'${PRIVATE}'", '"${NO_SUCH:-a: b}"', "${NO_SUCH:-[1, 2]}", "$", "$$"]
ODD = ["&a 14", "*a", "!!int 14", "!!python/object/apply:os.system [id]", "!x 1", "@x", "`x`", "%x", "? x", "- 1", "|"]
ODD += ["[]", "{}", "[1, 2]", "{a: 1}", "{type: tpe}", "[[[[1]]]]", "{type: int, low: 1, high: 2}", "{<<: {a: 1}}", "["]
ODD += ["{", "]", "'", '"', "[" * 50 + "]" * 50, "{a: " * 50 + "1" + "}" * 50, "[" * 3000, "{a: [" * 900, "{[a]: b}"]
ODD += [
    "# nothing",
    ",",
    ":",
    "-",
    "---",
    "...",
    "{type: [tpe]}",
    "{type: 1}",
    "{? {a: 1} : 2}",
    "[a, b, c: d]",
    "!!set {a}",
]
KEYS = [
    "<<",
    "?",
    "1",
    "null",
    "true",
    "''",
    '"a.b"',
    "x" * 500,
    "caf\u00e9",
    "lr",
    "Lookback",
    "lookback ",
    "${PRIVATE}",
    "a b",
]
KEYS += [
    "__class__",
    "model_config",
    "type",
    "when",
    "first",
    "storage",
    "tracking",
    "resources",
    "first.0",
    "0",
    ".",
    "\u202e",
]

scalars = st.one_of(*(st.sampled_from(kind) for kind in (NUMBERS, TEXTS, FILLED, ODD)))


# --- Specs that were right ---------------------------------------------------------------------------------


def tree_of(text: str) -> Tree:
    """A spec's tree, its scalars as they are written."""

    def walk(value: Any) -> Tree:
        if isinstance(value, dict):
            return [[str(key), walk(item)] for key, item in value.items()]
        return [walk(item) for item in value] if isinstance(value, list) else str(value)

    return walk(yaml.safe_load(text))


def written(tree: Tree, indent: int = 0) -> str:
    """A tree as YAML, mappings in block style and what lies in them deeper than two levels in flow style."""
    lines = []
    for key, value in tree:
        if isinstance(value, str) or indent >= 4:
            lines.append(f"{' ' * indent}{key}: {_flow(value)}\n")
        elif _is_mapping(value):
            lines.append(f"{' ' * indent}{key}:\n{written(value, indent + 2)}")
        else:
            lines.append(f"{' ' * indent}{key}: {_flow(value)}\n")
    return "".join(lines)


def _is_mapping(tree: Tree) -> bool:
    return isinstance(tree, list) and all(isinstance(item, list) and len(item) == 2 for item in tree)


def _flow(tree: Tree) -> str:
    if isinstance(tree, str):
        return tree
    if _is_mapping(tree):
        return "{" + ", ".join(f"{key}: {_flow(value)}" for key, value in tree) + "}"
    return "[" + ", ".join(_flow(item) for item in tree) + "]"


def _mappings(tree: Tree) -> Iterator[list[list[Any]]]:
    if _is_mapping(tree):
        yield tree
        for _, value in tree:
            yield from _mappings(value)


PLAIN = ["1", "2", "3", "5", "0.1", "0.2", "1e-3", "+4", "0x5", "${NO_SUCH:-6}"]


def _misspelt(draw: Any, key: str) -> str:
    at = draw(st.integers(0, max(len(key) - 1, 0)))
    return key[:at] + draw(st.sampled_from(["", key[at : at + 1] * 2, "-"])) + key[at + 1 :] or "k"


def _move(draw: Any, here: list[list[Any]], at: int, there: list[list[Any]]) -> None:
    there.append(copy.deepcopy(here[at]))


def _swap(draw: Any, here: list[list[Any]], at: int, there: list[list[Any]]) -> None:
    other = draw(st.integers(0, len(there) - 1))
    here[at][1], there[other][1] = copy.deepcopy(there[other][1]), copy.deepcopy(here[at][1])


def _wrap(draw: Any, here: list[list[Any]], at: int, there: list[list[Any]]) -> None:
    kept = copy.deepcopy(here[at][1])
    here[at][1] = draw(st.sampled_from([[kept], [["a", kept]], [kept] * 3]))


def _valued_by(values: st.SearchStrategy[str]) -> Slip:
    return lambda draw, here, at, there: operator.setitem(here[at], 1, draw(values))


# Each changes one thing in a tree: the pair at a place of a mapping, perhaps by another mapping.
SLIPS: list[Slip] = [
    *[_valued_by(st.sampled_from(PLAIN))] * 5,
    *[_valued_by(scalars)] * 5,
    _valued_by(st.sampled_from(["", "~", "{}", "[]", "''"])),
    lambda draw, here, at, there: here.append(here.pop(at)),
    lambda draw, here, at, there: here.reverse(),
    lambda draw, here, at, there: operator.delitem(here, at),
    lambda draw, here, at, there: here.insert(at, copy.deepcopy(here[at])),
    lambda draw, here, at, there: here.insert(at, [draw(st.sampled_from(KEYS)), draw(scalars)]),
    lambda draw, here, at, there: operator.setitem(here[at], 0, draw(st.sampled_from(KEYS))),
    lambda draw, here, at, there: operator.setitem(here[at], 0, json.dumps(here[at][0])),
    lambda draw, here, at, there: operator.setitem(here[at], 0, _misspelt(draw, here[at][0])),
    _move,
    _swap,
    _wrap,
]


def _slip(draw: Any, tree: Tree) -> None:
    every = [mapping for mapping in _mappings(tree) if mapping]
    here, there = draw(st.sampled_from(every)), draw(st.sampled_from(every))
    draw(st.sampled_from(SLIPS))(draw, here, draw(st.integers(0, len(here) - 1)), there)


ENCODINGS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-7", "cp037"]
PIECES = [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\x1b[31m", b"\t", b"\r", b"\x0c", b"\x7f"]
PIECES += [
    "\x85".encode(),
    "\u2028".encode(),
    b"---\n",
    b"...\n",
    b"%YAML 1.1\n",
    b"%TAG ! x\n",
    b"&a ",
    b"*a",
    b"!!x ",
]
PIECES += [
    b"<<: *a\n",
    b"'",
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b"|",
    b">",
    b"#",
    b": ",
    b"- ",
    b"? ",
    b"@",
    b"`",
    b"${",
    b"$",
]


def _at(change: Callable[[Any, bytes, int], bytes]) -> Spoil:
    """A change at some byte."""
    return lambda draw, raw: change(draw, raw, draw(st.integers(0, len(raw))))


def _line(change: Callable[[Any, bytes], bytes]) -> Spoil:
    """A change of one line."""

    def spoil(draw: Any, raw: bytes) -> bytes:
        lines = raw.splitlines(keepends=True) or [b"\n"]
        at = draw(st.integers(0, len(lines) - 1))
        lines[at] = change(draw, lines[at])
        return b"".join(lines)

    return spoil


# Each changes the bytes of a text file: its lines, its ends, its encoding, or some bytes of it.
SPOILS: list[Spoil] = [
    *[lambda draw, raw: raw.replace(b"\n", b"\r\n")] * 3,
    *[lambda draw, raw: b"\xef\xbb\xbf" + raw] * 3,
    *[lambda draw, raw: raw + b"\n\n"] * 3,
    *[_at(lambda draw, raw, at: raw[:at] + draw(st.sampled_from(PIECES)) + raw[at:])] * 2,
    _at(
        lambda draw, raw, at: raw[:at] + draw(st.binary(min_size=1, max_size=12)) + raw[at + draw(st.integers(0, 8)) :]
    ),
    _at(lambda draw, raw, at: raw[:at]),
    lambda draw, raw: raw.replace(b"\n", b"\r"),
    lambda draw, raw: raw.decode(errors="replace").encode(draw(st.sampled_from(ENCODINGS)), errors="replace"),
    lambda draw, raw: raw * 2,
    _line(lambda draw, line: b""),
    _line(lambda draw, line: line * 2),
    _line(lambda draw, line: line.lstrip()),
    _line(lambda draw, line: line.replace(b"  ", b"\t")),
    _line(lambda draw, line: b" " * draw(st.integers(1, 3)) + line),
]


def _spoil(draw: Any, raw: bytes) -> bytes:
    return draw(st.sampled_from(SPOILS))(draw, raw)


@st.composite
def slipped_specs(draw: Any, right: str) -> bytes:
    """A right spec in which something was changed, as a person or a program would, and then perhaps its bytes."""
    tree = tree_of(right)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        _slip(draw, tree)
    raw = written(tree).encode(errors="surrogatepass")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        raw = _spoil(draw, raw)
    return raw


# --- Specs that look right ---------------------------------------------------------------------------------

# What a field holds besides what its schema allows: a spec of nothing but chance would never get as far as the rules
# across fields and the data.
SPLITS: list[Any] = [{"validation": validation, "test": test} for validation, test in ((60, 60), (1, 1), (10**18, 1))]
SPLITS += [{"validation": "2020-07-01", "test": test} for test in ("2020-08-29", "2020-08-29T00:00+05:00", "next", 0.2)]
SPLITS += [{"validation": 0.2, "test": 0.2, "train": train} for train in (0.5, 100, "2020-02-01", 1e-9, None, 0.6)]
SPLITS += [
    {"validation": 0.999, "test": 1e-9},
    {"validation": 10**30, "test": 1},
    {"validation": "2020-13-01", "test": "9"},
]
LIKELY: Mapping[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["tiny"] * 9 + ["a.b-c_d", "9", "x" * 100, "sweeps", "study.db", "a.yaml"]),
    "data.path": st.sampled_from(["tiny.csv"] * 12 + ["./tiny.csv", "no.csv"]),
    "data.time": st.sampled_from(["day"] * 20 + [None, "load", ["day"], ["day", "load"]]),
    "data.target": st.sampled_from(["load"] * 20 + [["load"], ["load", "load"], "day"]),
    "data.past_covariates": st.sampled_from([[]] * 10 + [["load"], ["x"]]),
    "data.future_covariates": st.sampled_from([[]] * 10 + [["day"]]),
    "data.lookback": st.sampled_from([1, 2, 14, 30] * 3 + [170, 300, 100_000]),
    "data.horizon": st.sampled_from([1, 2, 7] * 3 + [54, 300, 100_000]),
    "data.step": st.sampled_from(
        [None] * 6 + ["1D", "2D", "7D", "1h", "MS", "B", "-1D", "0D", "W-MON", "1ns", "100YE", "x"]
    ),
    "data.backtest": st.sampled_from(
        [None] * 3
        + [{"windows": 2}, {"windows": 2, "refit": False}, {"windows": 2, "length": 14}] * 2
        + [{"windows": 4, "length": 1}, {"windows": 50}, {"windows": 2, "length": 100_000}]
    ),
    # How the table is written: what the file is not is refused, or leaves nothing to read.
    "data.encoding": st.sampled_from([None] * 9 + ["utf-8", "cp1252", "utf-16", "x"]),
    "data.delimiter": st.sampled_from([None, ","] * 6 + [";", " "]),
    "data.comment": st.sampled_from([None, "#"] * 6 + ["2"]),
    "data.skip_rows": st.sampled_from([0] * 12 + [1, 10_000]),
    "data.skip_last": st.sampled_from([0, 1, 5] * 4 + [10_000]),
    "data.header": st.sampled_from([True] * 12 + [False, ["day", "load"], ["a"]]),
    "data.decimal": st.sampled_from(["."] * 12 + [","]),
    "data.thousands": st.sampled_from([None, "_", "'"] * 4 + [",", "."]),
    "data.missing_values": st.sampled_from([[], ["M"], [-999]] * 4 + [[""], ["2020-01-01"]]),
    "data.time_format": st.sampled_from([None, "%Y-%m-%d"] * 6 + ["%d/%m/%Y", "unix_s", "x"]),
    "data.time_zone": st.sampled_from([None, "UTC", "Europe/Berlin"] * 4 + ["Mars/Base"]),
    "data.length": st.sampled_from([2, 3, 20] * 4 + [100_000]),
    "data.sizes": st.sampled_from(
        [{"train": 50, "validation": 9, "test": 9}] * 6 + [{"train": 10**8, "validation": 10**7, "test": 1}]
    ),
    "data.split": st.sampled_from([{"validation": 0.2, "test": 0.2}] * 8 + SPLITS),
    "model.hidden_size": st.integers(1, 64),  # what is wider costs more than a test may; see the test of memory
    "model.num_layers": st.integers(1, 3),
    "training.steps_per_epoch": st.sampled_from([None, 1, 7]),  # in a test an epoch may not be long
    "training.learning_rate": st.sampled_from([1e-2, 1e-3, 10.0, 1e-300, 5e-324, 1]),
    "search.metric": st.sampled_from(
        ["val/loss"] * 6 + ["val/mae", "val/mase", "val/rmse_original", "test/loss", "loss"]
    ),
    "search.direction": st.sampled_from(["minimize"] * 6 + ["maximize"]),
    "search.n_trials": st.sampled_from([1, 4, 30, 100_000]),
    "search.first": st.just([]),
    "search.second_objective": st.sampled_from(
        [None] * 9 + [{"metric": "probe/reliability/noise", "direction": "minimize"}]
    ),
    "resources.cpus_per_trial": st.sampled_from([1, 2]),  # each is a thread of the test's own process
    "storage.study": st.sampled_from(
        [None] * 6 + ["sqlite:///x.db", "sqlite:///no/such/x.db", "postgresql://u:p@h/d", "x"]
    ),
    "storage.checkpoints": st.sampled_from([None] * 6 + ["kept", "s3://b/p", "ftp://b", "s3://k:s@b/p"]),
    "tracking.uri": st.sampled_from([None] * 6 + ["http://127.0.0.1:1", "sqlite:///m.db", "http://u:p@h"]),
}
FOLDS: st.SearchStrategy[Any] = st.sampled_from([None] * 6 + [{"folds": count} for count in (2, 3, 100)])
SPACE = {
    "data.lookback": [7, 14, 28, 200],
    "model.hidden_size": [1, 2, 8, 64],
    "model.num_layers": [1, 2, 3],
    "model.dropout": [0, 0.1, 0.5, 1],
    "model.cell": ["lstm", "gru", "rnn", "qrnn"],
    "model.variant": [None, "vanilla", "coupled_gates", "no_forget_gate", "nig"],
    "model.forget_bias": [None, 1, -0.5, "chrono", "big"],
    "model.bidirectional": [True, False, 1],
    "training.optimizer": ["adam", "sgd", 1],
    "training.momentum": [0.0, 0.5, 0.9, 1.0],
    "training.learning_rate": [1e-4, 1e-2, 0.1, 1, 10, 11, 0],
    "training.batch_size": [1, 8, 2**53 + 1],
    "training.gradient_clip": [None, 0.5, 1],
    "training.max_epochs": [1, 2, 1_000_000],
}


def schema_specs(schema: Mapping[str, Any]) -> st.SearchStrategy[bytes]:
    """Specs drawn along the JSON Schema: each section right in itself, mostly, and nothing else promised."""

    def dumped(tree: Any) -> bytes:
        # JSON is YAML, and says 1e-05 where PyYAML's own writer says 1.0e-05.
        return "".join(f"{key}: {json.dumps(value)}\n" for key, value in tree.items()).encode()

    # What `data` holds is the task's.
    for_tasks = []
    for branch in schema["allOf"]:
        own = {"task": branch["if"]["properties"]["task"], **branch["then"]["properties"]}
        must = [*schema.get("required", ()), "task"]  # else it would be the default task with another's fields
        for_tasks.append(schema | {"properties": schema["properties"] | own, "required": must})
    return st.one_of(*(_valued(each, each, "") for each in for_tasks)).map(dumped)


def _valued(node: Mapping[str, Any], root: Mapping[str, Any], at: str) -> st.SearchStrategy[Any]:
    """Values that a node of the schema allows."""
    if {"$ref": "#/$defs/Folds"} in node.get("anyOf", ()):
        return FOLDS
    if at in LIKELY or at == "search.space":
        return LIKELY.get(at, _spaces())
    if "$ref" in node:
        return _valued(root["$defs"][node["$ref"].rpartition("/")[2]], root, at)
    for several in ("anyOf", "oneOf"):
        if several in node:
            return st.one_of(*(_valued(member, root, at) for member in node[several]))
    if "enum" in node or "const" in node:
        return st.sampled_from(node.get("enum", [node.get("const")]))
    return KINDS[node["type"]](node, root, at)


def _number(node: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    low = node.get("minimum", node.get("exclusiveMinimum", 0))
    high = node.get("maximum", node.get("exclusiveMaximum", 10**6))
    if node["type"] == "integer":
        return st.one_of(st.integers(low, min(high, low + 5)), st.sampled_from([low, high]))
    inside = st.sampled_from([low + (min(high, low + 1) - low) * share for share in (0.001, 0.1, 0.5, 0.9)])
    return st.one_of(inside, st.sampled_from([node[end] for end in ("minimum", "maximum") if end in node] or [0.5]))


def _object(node: Mapping[str, Any], root: Mapping[str, Any], at: str) -> st.SearchStrategy[Any]:
    """A mapping with what it must have and a few of the rest: all of it would always break a rule across fields."""
    fields = {key: _valued(field, root, f"{at}.{key}".strip(".")) for key, field in node.get("properties", {}).items()}
    must = {key: value for key, value in fields.items() if key in node.get("required", ())}
    rest = sorted(set(fields) - set(must))
    if not rest:
        return st.fixed_dictionaries(must)
    some = st.lists(st.sampled_from(rest), max_size=3 if at else 5, unique=True)
    return some.flatmap(lambda keys: st.fixed_dictionaries(must | {key: fields[key] for key in keys}))


def _list(node: Mapping[str, Any], root: Mapping[str, Any], at: str) -> st.SearchStrategy[Any]:
    return st.lists(_valued(node["items"], root, at), min_size=node.get("minItems", 0), max_size=2)


KINDS: Mapping[str, Callable[..., st.SearchStrategy[Any]]] = {
    "integer": lambda node, root, at: _number(node),
    "number": lambda node, root, at: _number(node),
    "string": lambda node, root, at: st.sampled_from(["a", "load", "2020-03-01", "x" * 200]),
    "boolean": lambda node, root, at: st.booleans(),
    "null": lambda node, root, at: st.none(),
    "array": _list,
    "object": _object,
}


@st.composite
def _spaces(draw: Any) -> dict[str, Any]:
    paths = draw(st.lists(st.sampled_from(sorted(SPACE)), min_size=1, max_size=3, unique=True))
    return {path: draw(_dimensions(path, paths)) for path in paths}


@st.composite
def _dimensions(draw: Any, path: str, paths: list[str]) -> dict[str, Any]:
    values = SPACE[path]
    if draw(st.integers(0, 2)) == 0 or not all(isinstance(value, int | float) for value in values):
        chosen = draw(st.lists(st.sampled_from(values), min_size=2, max_size=4, unique=draw(st.integers(0, 5)) > 0))
        dimension = {"type": "categorical", "choices": chosen}
    else:
        low, high = sorted(draw(st.lists(st.sampled_from(values), min_size=2, max_size=2, unique=True)))
        dimension = {"type": "int" if isinstance(low + high, int) else "float", "low": low, "high": high}
        dimension |= draw(st.sampled_from([{}, {}, {"log": True}, {"step": 1}, {"step": 0.1}, {"step": 1e-300}]))
    others = [other for other in paths if other != path] or paths
    if draw(st.integers(0, 4)) == 0:
        other = draw(st.sampled_from(others))
        dimension["when"] = {other: draw(st.sampled_from(SPACE[other]))}
    return dimension


# --- Data ---------------------------------------------------------------------------------------------------

DAY_0 = dt.datetime(2020, 1, 1)
TIMES: Mapping[str, Callable[[int], object]] = {
    "days": lambda n: (DAY_0 + dt.timedelta(n)).date(),
    "hours": lambda n: DAY_0 + dt.timedelta(hours=n),
    "zoned": lambda n: f"{(DAY_0 + dt.timedelta(hours=n)).isoformat()}+02:00",
    "two zones": lambda n: f"{(DAY_0 + dt.timedelta(hours=n)).isoformat()}+0{1 + n % 2}:00",
    "utc": lambda n: f"{(DAY_0 + dt.timedelta(hours=n)).isoformat()}Z",
    "american": lambda n: (DAY_0 + dt.timedelta(n)).strftime("%m/%d/%Y"),
    "european": lambda n: (DAY_0 + dt.timedelta(n)).strftime("%d.%m.%Y %H:%M"),
    "months": lambda n: f"{1990 + n // 12}-{1 + n % 12:02d}",
    "month ends": lambda n: (pd.Timestamp("1990-01-31") + pd.offsets.MonthEnd(n)).date(),
    "years": lambda n: 1700 + n,
    "counted": lambda n: n,
    "from below": lambda n: n - 50,
    "unix": lambda n: 1_577_836_800 + 3600 * n,
    "milliseconds": lambda n: 1_577_836_800_000 + 3_600_000 * n,
    "huge": lambda n: 9_223_372_036_854_775_000 + n,
    "huger": lambda n: 10**19 + n,
    "far": lambda n: f"{9990 + n}-01-01",
    "old": lambda n: f"{n + 1:04d}-06-01",
    "clock": lambda n: f"{n % 24:02d}:{n % 60:02d}",
    "fractions": lambda n: n + 0.5,
    "irregular": lambda n: DAY_0 + dt.timedelta(minutes=n * n),
    "centuries": lambda n: f"{1 + 37 * n:04d}-01-0{1 + n % 3}",
    "words": lambda n: ["now", "today", "May 1", "tomorrow"][n % 4],
    "weeks": lambda n: f"2020-W{1 + n % 52:02d}",
    "nanoseconds": lambda n: f"2020-01-01 00:00:00.{n:09d}",
}
VALUES: Mapping[str, Callable[[int], object]] = {
    "wave": lambda n: round(50 + 10 * math.sin(n / 7 * 2 * math.pi) + n % 5 / 10, 3),
    "constant": lambda n: 5,
    "none": lambda n: "",
    "gaps": lambda n: "" if n % 7 == 3 else n % 11,
    "nan": lambda n: "NaN" if n % 9 == 4 else n % 13,
    "starts late": lambda n: "" if n < 15 else n % 5,
    "ends early": lambda n: n % 5 if n < 30 else "",
    "large": lambda n: f"{n % 7}e300",
    "larger": lambda n: f"{n % 7}e400",
    "inf": lambda n: "inf" if n == 3 else n % 3,
    "tiny": lambda n: f"{1 + n % 7}e-320",
    "near": lambda n: repr(1e15 + n % 2 / 8),
    "integers": lambda n: 2**62 + n,
    "digits": lambda n: "9" * 60,
    "many digits": lambda n: "1" + "0" * 400,
    "jump": lambda n: n % 3 if n < 90 else 1e38 * (n % 3),
    "mixed": lambda n: ["1", "x", "2.5", "true", "2020-01-01"][n % 5],
    "comma": lambda n: f"{n},5",
    "percent": lambda n: f"{n}%",
    "text": lambda n: f"s{n % 3}",
    "true": lambda n: n % 2 == 0,
    "hex": hex,
    "spaces": lambda n: f"  {n % 6} ",
    "quotes": lambda n: '"' * (n % 3),
    "wide": lambda n: "w" * 5000,
    "unicode": lambda n: "\u0661\u0662",  # Arabic digits: float() takes them
    "times": lambda n: DAY_0 + dt.timedelta(n),
}
NAMES = [
    "day",
    "load",
    "y",
    "time",
    "a b",
    "",
    "load",
    "1",
    "caf\u00e9",
    "a.b",
    "*",
    "-",
    "${PRIVATE}",
    "x" * 3000,
    '"q',
    "\u202e",
    "id",
]


@st.composite
def csv_files(draw: Any) -> File:
    """A CSV that a person, a program or an accident may have written."""
    rows = draw(st.sampled_from([120] * 9 + [0, 1, 2, 3, 19, 20, 45]))
    time = draw(st.sampled_from(["days"] * 8 + sorted(TIMES)))
    kinds = draw(st.lists(st.sampled_from(["wave"] * 9 + sorted(VALUES)), min_size=1, max_size=3))
    named = draw(st.sampled_from([True] * 6 + [False]))
    names = ["day", "load", "x", "z"] if named else draw(st.lists(st.sampled_from(NAMES), min_size=4, max_size=4))
    makers = [TIMES[time], *(VALUES[kind] for kind in kinds)]
    if draw(st.integers(0, 9)) == 0:
        makers = makers[1:]  # no time
    order = list(range(rows))
    match draw(st.sampled_from(["as it is"] * 6 + ["reversed", "twice", "gap", "one twice", "shuffled"])):
        case "reversed":
            order.reverse()
        case "twice":
            order *= 2
        case "gap":
            order = order[: rows // 3] + order[rows // 3 + 2 :]
        case "one twice":
            order = order[:5] + order[4:]
        case "shuffled":
            order = draw(st.permutations(order)) if rows < 50 else order[1::2] + order[::2]
    mark = draw(st.sampled_from(",,,,,,;\t|"))
    quote = '"{}"' if draw(st.integers(0, 5)) == 0 else "{}"
    lines = [names[: len(makers)], *([str(make(n)) for make in makers] for n in order)]
    text = "\n".join(mark.join(quote.format(cell) for cell in line) for line in lines)
    raw = (text + draw(st.sampled_from(["\n"] * 9 + ["", "\n\n\n", "\n \n", ","]))).encode(errors="replace")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        raw = _spoil(draw, raw)
    return File("a.csv", raw, names[0] if len(makers) > len(kinds) else None, names[len(makers) - len(kinds)])


def _arrays(rows: int) -> dict[str, pa.Array]:
    """A column of each type that Parquet holds, as far as these rows fill it."""
    count, days = list(range(rows)), [(DAY_0 + dt.timedelta(n)).date() for n in range(rows)]
    wave = [50 + 10 * math.sin(n / 7 * 2 * math.pi) + n % 5 for n in count]
    made = {
        "float64": pa.array(wave),
        "float32": pa.array(wave, pa.float32()),
        "float16": pa.array(np.array(wave, np.float16)),
        "nan": pa.array([math.nan if n % 9 == 4 else v for n, v in enumerate(wave)]),
        "null here and there": pa.array([None if n % 9 == 4 else v for n, v in enumerate(wave)], pa.float64()),
        "infinite": pa.array([math.inf] * rows, pa.float64()),
        "large": pa.array([1e307 * (n % 9) for n in count], pa.float64()),
        "null": pa.nulls(rows),
        "bool": pa.array([n % 2 == 0 for n in count], pa.bool_()),
        "decimal": pa.array(count, pa.int64()).cast(pa.decimal128(38, 2)),
        "text": pa.array([str(n) for n in count], pa.string()),
        "large text": pa.array([str(n) for n in count], pa.large_string()),
        "binary": pa.array([b"\xff\0" * n for n in count], pa.binary()),
        "fixed": pa.array([b"ab"] * rows, pa.binary(2)),
        "dictionary": pa.array([f"k{n % 3}" for n in count], pa.string()).dictionary_encode(),
        "days": pa.array(days, pa.date32()),
        "date64": pa.array(days, pa.date32()).cast(pa.date64()),
        "list": pa.array([[n] for n in count], pa.list_(pa.int64())),
        "struct": pa.array([{"a": n} for n in count], pa.struct([("a", pa.int64())])),
        "map": pa.array([[("a", n)] for n in count], pa.map_(pa.string(), pa.int64())),
        "duration": pa.array(count, pa.duration("s")),
        "clock": pa.array(count, pa.time64("us")),
        "texts of days": pa.array([str(d) for d in days], pa.string()),
        "dictionary of days": pa.array([str(d) for d in days], pa.string()).dictionary_encode(),
    }
    for unit, factor in (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)):
        made[f"timestamp {unit}"] = pa.array([86_400 * factor * n for n in count], pa.timestamp(unit))
    made["zoned"] = pa.array([3600 * n for n in count], pa.timestamp("s", "Europe/Berlin"))
    made["far"] = pa.array([10**12 * n for n in count], pa.timestamp("s"))
    made["farthest"] = pa.array([2**62 + n for n in count], pa.timestamp("us"))
    for kind in (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64()):
        made[str(kind)] = pa.array([n % 100 for n in count], kind)
    made["largest"] = pa.array([2**64 - 1 - n for n in count], pa.uint64())
    return made


@st.composite
def parquet_files(draw: Any) -> File:
    """A Parquet file of any types; sometimes its bytes are wrong."""
    rows = draw(st.sampled_from([120] * 8 + [0, 1, 2, 19]))
    made = _arrays(rows)
    time = draw(st.sampled_from(["days"] * 14 + ["timestamp ns", "int64", *sorted(made)]))
    values = draw(st.lists(st.sampled_from(["float64"] * 9 + sorted(made)), min_size=1, max_size=3))
    names = (
        ["day", "load", "x", "z"]
        if draw(st.integers(0, 5))
        else draw(st.lists(st.sampled_from(NAMES), min_size=4, max_size=4))
    )
    columns = [made[time], *(made[kind] for kind in values)]
    table = pa.Table.from_arrays(columns, names=names[: len(columns)])
    kept = io.BytesIO()
    packing = draw(st.sampled_from(["none", "snappy", "gzip", "zstd"]))
    pa.parquet.write_table(table, kept, compression=packing, row_group_size=draw(st.sampled_from([7, 1000])))
    raw = kept.getvalue()
    match draw(st.sampled_from(["as it is"] * 5 + ["cut", "flipped", "no end", "a csv"])):
        case "cut":
            raw = raw[: draw(st.integers(0, len(raw)))]
        case "flipped":
            at = draw(st.integers(0, len(raw) - 1))
            raw = raw[:at] + bytes([raw[at] ^ draw(st.integers(1, 255))]) + raw[at + 1 :]
        case "no end":
            raw = raw[:-8] + draw(st.binary(min_size=4, max_size=4)) + b"PAR1"
        case "a csv":
            raw = b"day,load\n2020-01-01,1\n"
    return File("a.parquet", raw, names[0], names[1])


data_files = st.one_of(csv_files(), csv_files(), parquet_files())


def million_nulls(count: int) -> bytes:
    """A Parquet file of a few kilobytes that holds so many million rows."""
    kept, rows = io.BytesIO(), pa.table({"load": pa.nulls(1_000_000, pa.float64())})
    with pa.parquet.ParquetWriter(kept, rows.schema) as writer:
        for _ in range(count):
            writer.write_table(rows)
    return kept.getvalue()


@st.composite
def data_specs(draw: Any, file: File) -> str:
    """A spec for a file, of what matters to reading it."""
    lines = ["name: tiny", "data:", f"  path: {file.name}", f"  target: {_quoted(file.target or 'load')}"]
    if file.time and draw(st.sampled_from([True] * 5 + [False])):
        lines.append(f"  time: {_quoted(file.time)}")
        if draw(st.integers(0, 3)) == 0:
            lines.append(f"  step: {draw(st.sampled_from(['1D', '7D', '1h', '12h', 'MS', 'B', '1s', '1ns', '100YE']))}")
        if draw(st.integers(0, 3)) == 0:
            lines.append("  calendar: [day_of_week, hour_of_day, week_of_year]")
    lines.append(f"  missing: {draw(st.sampled_from(['refuse', 'interpolate', 'forward_fill', 'skip']))}")
    lines.append("  scaling: none" if draw(st.integers(0, 5)) == 0 else "  scaling: standard")
    lines += ["  lookback: 6", "  horizon: 3", "  split: {validation: 0.2, test: 0.2}"]
    return "\n".join([*lines, "model: {hidden_size: 3}", "training: {max_epochs: 1, batch_size: 16}", ""])


def _quoted(text: str) -> str:
    escaped = re.sub(r'(["\\])', r"\\\1", text.replace("${", "$${"))
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'
