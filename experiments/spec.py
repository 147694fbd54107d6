"""The spec: the rooms' sections added up, checked as a whole, told in plain words, compared, and as a schema.

Top to bottom: the models, `load` and the rules that no room can check alone; then what must stay the same
between runs of a sweep; then pydantic's errors in plain words; then the JSON Schema that editors use, which
`python -m experiments.spec` writes.
"""

import difflib
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails

from cluster import space
from cluster.config import (
    AnyDimension,
    CategoricalDimension,
    GpSampler,
    GridSampler,
    HyperbandPruner,
    IntDimension,
    MedianPruner,
    NoPruner,
    PatientPruner,
    ResourcesConfig,
    SearchConfig,
    StorageConfig,
    SuccessiveHalvingPruner,
    TpeSampler,
)
from dashboards.config import TrackingConfig
from experiments import load as yaml_file
from experiments.load import Address, Document, shown
from lstm import config as lstm_config
from lstm.config import DataConfig, ModelConfig, Section, Task, TrainingConfig, TrialConfig
from lstm.records import Fault

SCHEMA = Path(__file__).with_name("spec.schema.json")
# Names of MLflow's experiments, and of what lies in the home folder beside the sweeps' own folders.
RESERVED = ("sweeps", "artifacts", "default", "mlflow.db", "study.db")
MAX_GRID = 1_000_000  # the grid is held in memory
# What may change between runs of a sweep. The data's bytes are compared by a fingerprint, not by their path.
FREE = ("name", "search.n_trials", "search.stop", "resources", "tracking", "storage", "data.path")
_OTHER_NAMES = {  # as other libraries, or haste, call them
    "learning_rate": "lr eta step_size",
    "max_epochs": "epoch epochs num_epochs n_epochs max_steps",
    "batch_size": "bs batch",
    "gradient_clip": "clip grad_clip gradient_clip_val max_grad_norm",
    "schedule": "scheduler lr_schedule lr_scheduler",
    "patience": "early_stopping early_stop_patience",
    "hidden_size": "hidden hidden_dim hidden_units units",
    "num_layers": "layers n_layers encoder_n_layers",
    "cell": "rnn rnn_type cell_type",
    "lookback": "look_back input_size input_chunk_length window context_length",
    "horizon": "h prediction_length output_chunk_length",
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
ALIASES = {other: name for name, others in _OTHER_NAMES.items() for other in others.split()}


class Experiment(Section):
    """A spec: one training configuration, what is searched around it, and where that runs and is kept."""

    name: str = Field(
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="The sweep's name: a letter or digit, then letters, digits, '.', '_' and '-'.",
    )
    task: Task = Field("forecast", description="What the network learns to do.")
    data: DataConfig
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    search: SearchConfig | None = Field(None, description="What is searched; without it the spec is one training run.")
    resources: ResourcesConfig = Field(default_factory=ResourcesConfig)
    storage: StorageConfig = Field(default_factory=StorageConfig)
    tracking: TrackingConfig = Field(default_factory=TrackingConfig)

    @property
    def base(self) -> TrialConfig:
        """The configuration around which is searched, and which `train` trains."""
        searched = {"metric": self.search.metric, "direction": self.search.direction} if self.search else {}
        parts = {"task": self.task, "data": self.data, "model": self.model, "training": self.training}
        return TrialConfig.model_validate(parts | searched)

    @property
    def reach(self) -> int:
        """The largest look-back of any trial, in steps: windows are counted with it."""
        return int(_largest("data.lookback", self.data.lookback, self.search))


@dataclass(frozen=True)
class Spec:
    """A spec that was read and found right."""

    experiment: Experiment = field(repr=False)  # filled in: may hold secrets
    written: Mapping[str, Any]  # the same, nested, with defaults and with ${} as it stands
    document: Document
    folder: Path  # where paths in the spec start


def load(path: str | Path, overrides: Sequence[str] = (), environment: Mapping[str, str] = os.environ) -> Spec:
    """Read and check a spec; raises BadInput with all that is wrong, in the order of the file."""
    document = yaml_file.read(path, overrides, environment)
    parts, faults = _sections(document)
    faults += _rules(parts, document)
    if faults:
        raise document.refuse(faults)
    experiment = Experiment.model_validate(document.filled)
    written = _unfilled(experiment.model_dump(), document.written, document.filled)
    return Spec(experiment, written, document, Path(path).parent)


def warnings(spec: Spec) -> list[str]:
    """Tell what is allowed and yet seldom meant, a sentence each."""
    search = spec.experiment.search
    if search and isinstance(search.sampler, GpSampler) and not isinstance(search.pruner, NoPruner):
        where = f"{spec.document.where('search.pruner')}: search.pruner"
        return [
            f"{where}: the gp sampler learns from completed trials only, so trials that {search.pruner.type} prunes "
            "teach it nothing; use the tpe sampler, or pruner: {type: none}"
        ]
    return []


# --- What is checked --------------------------------------------------------------------------------------


def _sections(document: Document) -> tuple[dict[str, Any], list[Fault]]:
    """Validate all sections; returns those that are valid in themselves, and what is wrong with the others."""
    filled = document.filled
    try:
        whole = Experiment.model_validate(filled)
        return {name: getattr(whole, name) for name in Experiment.model_fields}, []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    broken = {e["loc"][0] for e in errors}
    parts = {
        name: _adapter(name).validate_python(filled[name])
        if name in filled
        else info.get_default(call_default_factory=True)
        for name, info in Experiment.model_fields.items()
        if name not in broken
    }
    return parts, list(_told(errors, document))


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    info = Experiment.model_fields[name]
    return TypeAdapter(Annotated[info.annotation, info])  # type: ignore[arg-type]


def _rules(parts: Mapping[str, Any], document: Document) -> Iterator[Fault]:
    """All rules across fields, on the sections that are valid in themselves."""
    data, model, training = (parts.get(name) for name in ("data", "model", "training"))
    yield from lstm_config.faults(data, model, training)
    if (name := parts.get("name")) and (name.lower().startswith(RESERVED[3:]) or name.lower() in RESERVED):
        yield Fault("name", f"is {name}, which is reserved; take another")
    if name and (".." in name or name.endswith(".")):
        yield Fault("name", f"is {name}, may not hold '..' or end with '.'")
    if (resources := parts.get("resources")) and resources.gpus_per_trial != "auto":
        gpus = resources.gpus_per_trial
        if gpus > 1 and gpus != int(gpus):
            message = f"is {gpus:g}, must be a whole number above 1 (Ray's rule); fractions share one GPU"
            yield Fault("resources.gpus_per_trial", message)
    if "search" in document.filled and document.filled["search"] is None:
        yield Fault("search", "is empty; leave it out for one training run without a search")
    elif search := parts.get("search"):
        base = {n: s for n, s in (("data", data), ("model", model), ("training", training)) if s is not None}
        yield from space.faults(search, base)
        yield from _search_rules(search, data, training, document)
    elif "search" in parts:
        yield from _idle_without_search(parts)


def _idle_without_search(parts: Mapping[str, Any]) -> Iterator[Fault]:
    idle = "would do nothing: there is no search, so there is one trial; leave it out, or add search"
    resources, storage = parts.get("resources"), parts.get("storage")
    if resources and resources.max_concurrent != "auto" and resources.max_concurrent > 1:
        yield Fault("resources.max_concurrent", idle)
    if storage and storage.keep == "best":
        yield Fault("storage.keep", idle)


def _search_rules(
    search: SearchConfig, data: DataConfig | None, training: TrainingConfig | None, document: Document
) -> Iterator[Fault]:
    if data and search.metric not in (names := lstm_config.metrics(data)):
        message = f"is {_quoted(document.hide(search.metric))}, must be one of {_listed(names)}"
        yield Fault("search.metric", message + _near(search.metric, names))
    if search.direction == "maximize":
        message = f"would search for the worst: {search.metric} is an error, better when lower; use minimize"
        yield Fault("search.direction", message)
    if training:
        yield from _pruner_rules(search, training)
    yield from _sampler_rules(search)


def _pruner_rules(search: SearchConfig, training: TrainingConfig) -> Iterator[Fault]:
    """A pruner whose first decision is at the last epoch, or after it, would do nothing."""
    pruner = search.pruner
    match pruner:
        case MedianPruner():
            name, first = "n_warmup_steps", max(pruner.n_warmup_steps, 1)
        case SuccessiveHalvingPruner():
            first = pruner.min_resource * pruner.reduction_factor**pruner.min_early_stopping_rate
            name = "min_resource" if pruner.min_resource == first else "min_early_stopping_rate"
        case HyperbandPruner():
            name, first = "min_resource", pruner.min_resource
        case PatientPruner():
            name, first = "patience", max(pruner.patience, 1)
        case _:
            return
    epochs = int(_largest("training.max_epochs", training.max_epochs, search))
    if first >= epochs:
        message = f"can never act: it first decides at epoch {first} and trials end at epoch {epochs}"
        yield Fault(f"search.pruner.{name}", f"{message}; make it smaller, or use pruner: {{type: none}}")
    if isinstance(pruner, MedianPruner) and "n_startup_trials" in pruner.model_fields_set:
        yield from _startup_rule("pruner", pruner.n_startup_trials, search.n_trials)


def _sampler_rules(search: SearchConfig) -> Iterator[Fault]:
    sampler = search.sampler
    conditional = [path for path, dimension in search.space.items() if dimension.when]
    if conditional and sampler.type in ("gp", "grid"):
        message = f"is {sampler.type}, which can't search where a parameter has a condition ({conditional[0]} has "
        yield Fault("search.sampler.type", message + "`when`); use tpe or random")
    if isinstance(sampler, TpeSampler | GpSampler) and "n_startup_trials" in sampler.model_fields_set:
        yield from _startup_rule("sampler", sampler.n_startup_trials, search.n_trials)
    if isinstance(sampler, GridSampler):
        yield from _grid_rules(search)


def _startup_rule(who: str, n_startup_trials: int, n_trials: int) -> Iterator[Fault]:
    if n_startup_trials >= n_trials:
        other = "sampler: {type: random}" if who == "sampler" else "pruner: {type: none}"
        message = f"is {n_startup_trials} of n_trials: {n_trials}, so the {who} would never act; make it smaller"
        yield Fault(f"search.{who}.n_startup_trials", f"{message}, or use {other}")


def _grid_rules(search: SearchConfig) -> Iterator[Fault]:
    sizes = {path: _size(dimension) for path, dimension in search.space.items()}
    for path in (path for path, size in sizes.items() if size is None):
        is_log = getattr(search.space[path], "log", False)
        mend = "a step instead of log" if is_log else "a step"
        yield Fault(f"search.space.{path}", f"has no list of values for the grid; give it {mend}, or choices")
    if None in sizes.values() or any(size is not None and size < 1 for size in sizes.values()):
        return
    size = math.prod(size or 1 for size in sizes.values())
    if size > MAX_GRID:
        message = f"makes a grid of {size:,} combinations; {MAX_GRID:,} is the most, so take larger steps"
        yield Fault("search.space", message)
    elif search.n_trials > size:
        yield Fault("search.n_trials", f"is {search.n_trials}, but the grid has {size} combinations; use {size}")


def _size(dimension: AnyDimension) -> int | None:
    """How many values a dimension has; counted, not listed: a seed has two thousand million."""
    if isinstance(dimension, CategoricalDimension):
        return len(dimension.choices)
    if dimension.log or (dimension.step is None and not isinstance(dimension, IntDimension)):
        return None
    steps = (dimension.high - dimension.low) / (dimension.step or 1)
    return math.floor(min(steps, 1e18) + 1e-9) + 1


def _largest(path: str, value: int, search: SearchConfig | None) -> float:
    """The largest value that a searched field can have: the base's or the space's."""
    dimension = search.space.get(path) if search else None
    if dimension is None:
        return value
    ends = dimension.choices if isinstance(dimension, CategoricalDimension) else [dimension.high]
    return max([value, *(end for end in ends if isinstance(end, int | float))])


# --- What must stay the same ------------------------------------------------------------------------------


def _unfilled(value: Any, written: Any, filled: Any) -> Any:
    """Put ${} back where it stood, into a tree of values with defaults."""
    if isinstance(written, dict) and isinstance(value, dict):
        return {k: _unfilled(v, written[k], filled[k]) if k in written else v for k, v in value.items()}
    if isinstance(written, list) and isinstance(value, list):
        return [_unfilled(*items) for items in zip(value, written, filled, strict=True)]
    return written if isinstance(written, str) and "${" in written else value


def comparable(spec: Spec) -> dict[str, Any]:
    """All that must not change between runs of a sweep, by dotted path: changed, its trials can't be compared."""
    flat = dict(_flat(spec.written, ()))
    return {path: flat[path] for path in sorted(flat) if not any(_below(path, free) for free in FREE)}


def spec_hash(comparable: Mapping[str, Any]) -> str:
    """The SHA-256, in hex, of what must not change."""
    text = json.dumps(comparable, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Tell what differs, a line each: `training.batch_size: was 64, is 32`."""
    lines = []
    for path in sorted({*old, *new}):
        was, now = (json.dumps(c[path], ensure_ascii=False) if path in c else "absent" for c in (old, new))
        if was != now:
            lines.append(f"{path}: was {shown(was)}, is {shown(now)}")
    return lines


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


# --- Pydantic's errors in plain words ---------------------------------------------------------------------


def _told(errors: Iterable[ErrorDetails], document: Document) -> Iterator[Fault]:
    """One fault for each wrong place; the errors of a union's members are one."""
    places: dict[Address, list[ErrorDetails]] = {}
    for error in errors:
        places.setdefault(_address(error, document.filled), []).append(error)
    meant = {_meant(at, document.filled) for at, found in places.items() if found[0]["type"] == "extra_forbidden"}
    for at, found in places.items():
        if found[0]["type"] == "missing" and at in meant:
            continue  # it is there, under a wrong name
        below = any(len(other) > len(at) and other[: len(at)] == at for other in places)
        if below and not any(e["type"] in ("missing", "extra_forbidden") for e in found):
            continue  # a member of a union that the value was not meant for
        yield Fault(".".join(map(str, at)), _message(found, at, document))


def _address(error: ErrorDetails, here: Any) -> Address:
    """The place of an error, without the names of union members that pydantic puts into it."""
    found: Address = ()
    *above, last = error["loc"]
    for key in above:
        if (isinstance(here, dict) and key in here) or (isinstance(here, list) and isinstance(key, int)):
            found, here = (*found, key), here[key]  # type: ignore[index]
    is_key = isinstance(here, dict) and (last in here or error["type"] == "missing")
    if is_key or (isinstance(here, list) and isinstance(last, int)):
        found = (*found, last)
    return (*found, "type") if error["type"].startswith("union_tag") else found


def _message(found: list[ErrorDetails], at: Address, document: Document) -> str:
    error, node = found[0], _schema_at(at, document.filled)
    if error["type"] == "extra_forbidden":
        return _unknown(at, document.filled)
    if error["type"] in ("missing", "union_tag_not_found"):
        return _missing(node)
    came = _came(at, document)
    filled = _value_at(document.filled, at)
    if len({e["loc"] for e in found}) > 1 or error["type"].endswith("_type") or error["type"] == "int_from_float":
        return f"{came}, must be {_wanted(node)}{_hint(filled, node)}"
    allowed = [str(v) for v in _allowed(node)]
    if allowed:
        return f"{came}, must be {_listed(allowed, 'or')}{_near(str(filled), allowed)}"
    if error["type"] == "string_pattern_mismatch":
        return f"{came}, which does not fit. {node.get('description', '')}"
    return f"{came}, must be {_bounds(node) or error['msg']}"


def _missing(node: Mapping[str, Any]) -> str:
    allowed = [str(v) for v in _allowed(node)]
    if allowed:
        return f"is missing; must be {_listed(allowed, 'or')}"
    return f"is missing: {node['description']}" if "description" in node else "is missing"


def _came(at: Address, document: Document) -> str:
    """What stands there; as ${NAME} where the environment filled it in."""
    value, written = _value_at(document.filled, at), _value_at(document.written, at)
    if isinstance(written, str) and "${" in written:
        return f"is {shown(written)}, filled in as {_kind(value)}"
    match value:
        case None:
            return "is empty"
        case bool() | int() | float():
            return f"is {shown(str(value).lower())}"
        case str():
            return f"is {_quoted(value)}"
    return f"is {_kind(value)}"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if value in ([], {}):
        return "an empty list" if value == [] else "an empty mapping"
    kinds = {int: "a whole number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return kinds.get(type(value), "nothing")


def _wanted(node: Mapping[str, Any]) -> str:
    """What a field may be, of any of its types."""
    members = [m for m in node.get("anyOf", [node]) if m.get("type") != "null"]
    words = []
    for member in members:
        kind, allowed = member.get("type"), [str(v) for v in _allowed(member)]
        names = {
            "integer": "a whole number",
            "number": "a number",
            "string": "text",
            "boolean": "true or false",
            "array": "a list",
        }
        if "oneOf" in member:
            allowed = ["a mapping with type: " + _listed(allowed, "or")]
        word = _listed(allowed, "or") if allowed else names.get(str(kind), "a mapping, as in {key: value}")
        bounds = _bounds(member) if len(members) > 1 or kind == "array" else ""
        words.append(f"{word} ({bounds})" if bounds and not allowed else word)
    about = f". {node['description'].rstrip('.')}" if len(words) > 1 and "description" in node else ""
    return _listed(words, "or") + about


def _bounds(node: Mapping[str, Any]) -> str:
    """A field's bounds in words."""
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "below {}",
        "minLength": "at least {} characters long",
        "maxLength": "at most {} characters long",
        "minItems": "at least {} long",
        "maxItems": "at most {} long",
        "minProperties": "with at least {} entries",
    }
    node = next((m for m in node.get("anyOf", ()) if m.get("type") != "null"), node)
    told = [text.format(node[key]) for key, text in words.items() if key in node]
    return _listed([t.replace(" 1 characters", " 1 character").replace(" 1 entries", " 1 entry") for t in told], "and")


def _hint(value: Any, node: Mapping[str, Any]) -> str:
    kinds = {m.get("type") for m in node.get("anyOf", [node])}
    if isinstance(value, str) and (kinds & {"integer", "number", "boolean"}):
        return "; remove the quotes" if not isinstance(yaml_file.typed(value), str) else ""
    if isinstance(value, float) and "integer" in kinds and value.is_integer():
        return "; leave the decimal point out"
    if isinstance(value, str) and "oneOf" in node:
        return f"; write {{type: {shown(value)}}}" if value in _allowed(node) else ""
    if value is None:
        return "; leave the key out for its default"
    is_text = "string" in kinds and not kinds & {"integer", "number"} and not _allowed(node)
    return "; put it in quotes" if is_text and not isinstance(value, list | dict) else ""


def _unknown(at: Address, filled: Any) -> str:
    """An unknown key, and the nearest right one: here, of a like option, or of another section."""
    above, key = at[:-1], str(at[-1])
    others = [kind for kind, fields in _variants(above, filled) if kind and key in fields]
    if others:
        kind = shown(str(_variant(_value_at(filled, above))))
        return f"would do nothing with type: {kind}; it belongs to {_listed(others, 'and')}"
    if right := _meant(at, filled):
        return f"unknown key, did you mean {right[-1]}?"
    right_name = _alias(key)
    if homes := [home for home in _homes(right_name) if home != ".".join(map(str, above))]:
        return f"unknown key here, {right_name} belongs to {_listed(homes, 'or')}"
    return f"unknown key; allowed are {_listed(_fields(above, filled), 'and')}"


def _meant(at: Address, filled: Any) -> Address | None:
    """The address of the field that a wrong key most likely means, if it is one beside it."""
    above, key = at[:-1], str(at[-1])
    own = _fields(above, filled)
    if _alias(key) in own:
        return (*above, _alias(key))
    # A key that is right elsewhere must be nearer to count as misspelt here.
    close = difflib.get_close_matches(key.lower(), own, 1, 0.85 if _homes(_alias(key)) else 0.6)
    return (*above, close[0]) if close else None


def _alias(key: str) -> str:
    key = key.lower().replace("-", "_")
    return ALIASES.get(key, key)


def _fields(at: Address, filled: Any) -> list[str]:
    """The keys that a place may have."""
    found = dict(_variants(at, filled)).get(_variant(_value_at(filled, at)))
    return list(_schema_at(at, filled).get("properties", {}) if found is None else found)


def _variant(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else None


def _near(name: str, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, allowed, 1)
    return f", did you mean {close[0]}?" if close else ""


def _listed(words: Sequence[str], joint: str = "or") -> str:
    return f" {joint} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _quoted(text: str) -> str:
    return f'"{shown(text)}"'


def _value_at(tree: Any, at: Address) -> Any:
    for key in at:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


# --- The schema -------------------------------------------------------------------------------------------


class _Tidy(GenerateJsonSchema):
    """No titles made of field names: they say nothing that the names don't."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@cache
def _schema() -> dict[str, Any]:
    made = Experiment.model_json_schema(schema_generator=_Tidy)
    for node in (made, *made["$defs"].values()):
        node.pop("title", None)
    return {"$schema": GenerateJsonSchema.schema_dialect, "title": "Sweep spec", **made}


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a spec, for editors."""
    return json.loads(json.dumps(_schema()))  # type: ignore[no-any-return]


def _deref(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference, and past null to the one other member; the field's own description stays."""
    own = {k: node[k] for k in ("description",) if k in node}
    members = [m for m in node.get("anyOf", ()) if m.get("type") != "null"]
    if len(members) == 1:
        return {**_deref(members[0]), **own}
    if "$ref" in node:
        return {**_deref(_schema()["$defs"][node["$ref"].rpartition("/")[2]]), **own}
    return node


def _schema_at(at: Address, filled: Any) -> Mapping[str, Any]:
    """The schema of a place; of what has variants, that of the variant which its `type` names."""
    node = _deref(_schema())
    for n, key in enumerate(at):
        if "oneOf" in node:
            kind = _variant(_value_at(filled, at[:n]))
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


def _allowed(node: Mapping[str, Any]) -> list[Any]:
    """The fixed values of a field; of what has variants, their types."""
    if "oneOf" in node:
        return list(node["discriminator"]["mapping"])
    return list(node["enum"]) if "enum" in node else [node["const"]] if "const" in node else []


def _variants(at: Address, filled: Any) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """The `type` and the fields of each variant of a place."""
    node = _schema_at(at, filled)
    for kind, ref in node.get("discriminator", {}).get("mapping", {}).items():
        yield kind, _deref({"$ref": ref})["properties"]


@cache
def _homes(key: str) -> list[str]:
    """The sections that have a key of this name, `search` and its parts last."""

    def walk(node: Mapping[str, Any], at: tuple[str, ...]) -> Iterator[str]:
        fields = _deref(node).get("properties", {})
        if key in fields:
            yield ".".join(at) or "the top level"
        for name, child in fields.items():
            if (*at, name) != ("search", "space"):
                yield from walk(child, (*at, name))

    return list(walk(_schema(), ()))


def main() -> None:
    """Write the schema to its file."""
    SCHEMA.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
