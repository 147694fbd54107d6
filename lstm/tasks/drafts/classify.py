"""The first spec for labelled sequences: which columns are what, and a search by the number of sequences."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lstm.config.classify import ClassifyData, Shares
from lstm.data import classify as classify_data
from lstm.data.profile import roles, sequences
from lstm.data.profile.files import File
from lstm.data.profile.sequences import Grouping
from lstm.data.tables import reader
from lstm.records.errors import BadInput
from lstm.tasks.drafts.draft import Draft, Line, Lines, Recognition, Remark, Value, choices, integers, numbers

NEEDS = (
    "needs a table (CSV or Parquet) with a row per step, an id column that tells its sequences apart, and a label "
    "column with few values, the same in all rows of an id"
)
STEPS = (*roles.TIMES, "step", "frame", "row", "position", "seconds", "elapsed", "tick", "index", "timestep")
SHARE = 0.2  # of validation, and of test
MOST_COLUMNS = 64  # inputs to start with
MOST_TOLD = 12  # names in a comment
FINE = 100  # sequences from which the share of right answers tells small differences
UNEVEN = 3.0  # times as many sequences of the commonest class as of the rarest: accuracy would forget the rare ones
LSTM_STEPS = 10_000  # of an epoch: about a second on one core


@dataclass(frozen=True, slots=True)
class Found:
    """What is in a table of labelled sequences."""

    file: File
    id: str
    label: str
    time: str | None
    time_why: str
    columns: tuple[str, ...]
    left_out: Mapping[str, str]
    lengths: np.ndarray  # steps of each sequence
    classes: Mapping[str, int]  # sequences of each
    missing: int  # values

    @property
    def validation(self) -> int:
        """Sequences of the validation part."""
        return sum(max(1, round(SHARE * count)) for count in self.classes.values())

    @property
    def train(self) -> int:
        """Sequences of the training part."""
        return max(len(self.lengths) - 2 * self.validation, 1)

    @property
    def batch_size(self) -> int:
        """Sequences in a batch."""
        return 64 if self.train >= 2000 else 32 if self.train >= 300 else 16

    @property
    def batches(self) -> int:
        """So many are a pass."""
        return math.ceil(self.train / self.batch_size)

    @property
    def steps_per_epoch(self) -> int | None:
        """Fewer batches than a pass, where a pass would take seconds."""
        most = max(25, LSTM_STEPS // int(self.lengths.max()) // 5 * 5)
        return most if self.batches > 1.5 * most else None

    @property
    def max_epochs(self) -> int:
        """So many that few sequences are seen some hundred times too."""
        return min(max(1000 // (self.steps_per_epoch or self.batches), 20), 60)

    @property
    def units(self) -> int:
        """Of the base's layer."""
        return 64 if self.train >= 300 else 32

    @property
    def size(self) -> str:
        """How many sequences there are, and how long, in words."""
        shortest, longest = int(self.lengths.min()), int(self.lengths.max())
        steps = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
        return f"{len(self.lengths):,} sequences of {steps} steps"


def recognise(files: Sequence[File]) -> Recognition:
    """Whether a table can be read as labelled sequences, in one way or in several."""
    if len(files) != 1 or files[0].form.kind != "table":
        return Recognition(False, NEEDS)
    if not (ways := files[0].groupings):
        return Recognition(False, NEEDS)
    first = ways[0]
    labels = " or ".join(reader.quoted(name) for name in first.labels)
    told = f"{first.count:,} sequences, told apart by {reader.quoted(first.id)}, each with one label in {labels}"
    return Recognition(True, told)


def draft(file: File) -> Draft:
    """The spec for a table of labelled sequences.

    Raises:
        BadInput: it can be read as such in several ways, or has no column to tell the classes by.
    """
    found = look(file)
    metric, why = _metric(found)
    return Draft(
        data=tuple(_data(found)),
        model=(
            Line("cell", "lstm", "searched below"),
            Line("hidden_size", found.units, "searched below"),
            Line("num_layers", 1, "searched below"),
            Line("bidirectional", True, "the whole sequence is there when it is judged: read it from both ends"),
        ),
        training=tuple(_training(found)),
        metric=Line("metric", f"val/{metric}", why),
        direction="minimize" if metric == "loss" else "maximize",
        first=_first_settings(found),
        first_why="tried before anything is drawn: the base above, and a lighter network that reads once",
        space=_space(found),
        found=_summary(found),
        facts=_facts(found),
        why="a row per step, sequences with a label each",
    )


def look(file: File) -> Found:
    """What the columns of a table of labelled sequences are.

    Raises:
        BadInput: they can be that in several ways, or the steps can't be put in order, or nothing is there to tell by.
    """
    way, raw = _only(file), file.raw
    _check_whole(file, way)
    codes = sequences.codes_of(raw.column(way.id))[0]
    time, why, idle = _order(file, way, codes)
    left_out = {name: reason for name in raw.column_names if (reason := idle.get(name, ""))}
    able: list[str] = []
    for column in file.columns:
        if column.name in (way.id, way.labels[0], time) or column.name in left_out:
            continue
        if reason := _unfit(raw.column(column.name), column.kind, column.name, codes):
            left_out[column.name] = reason
        elif len(able) == MOST_COLUMNS:
            left_out[column.name] = f"{MOST_COLUMNS} columns are enough to start with"
        else:
            able.append(column.name)
    if not able:
        told = "; ".join(f"{reader.shown(name)}: {reason}" for name, reason in [*left_out.items()][:MOST_TOLD])
        raise BadInput(
            f"{file.path}: has no column of numbers that changes within the sequences of column "
            f"{reader.quoted(way.id)}, by which their classes could be told ({told})"
        )
    labels = raw.column(way.labels[0]).take(pa.array(sequences.firsts(codes))).cast(pa.string())
    names, counts = np.unique(labels.to_pandas().to_numpy(dtype=str), return_counts=True)
    classes = dict(zip(names.tolist(), counts.tolist(), strict=True))
    missing = sum(column.missing for column in file.columns if column.name in able)
    lengths = np.bincount(codes)
    return Found(file, way.id, way.labels[0], time, why, tuple(able), left_out, lengths, classes, missing)


def _only(file: File) -> Grouping:
    """The one way to read a table as labelled sequences.

    Raises:
        BadInput: there are several.
    """
    ways = file.groupings
    if len(ways) == 1 and len(ways[0].labels) == 1:
        return ways[0]
    told = "; ".join(
        f"id {reader.quoted(way.id)} with label {' or '.join(map(reader.quoted, way.labels))}" for way in ways
    )
    first = ways[0]
    taken = {first.id, *first.labels, *first.times}
    columns = [c.name for c in file.columns if c.kind == "number" and c.name not in taken][:3] or ["…"]
    example = (
        f"task: classify, data: {{path: {file.path.name}, id: {first.id}, label: {first.labels[0]}, columns: "
        f"[{', '.join(columns)}], split: {{validation: {SHARE}, test: {SHARE}}}}}"
    )
    raise BadInput(
        f"{file.path}: can be read as labelled sequences in several ways: {told}; drop the columns that are not meant, "
        f"or write the spec by hand, as in {example}"
    )


def _check_whole(file: File, way: Grouping) -> None:
    """Whether each row has an id and a label.

    Raises:
        BadInput: one has none; with its place.
    """
    for name, what in ((way.id, "id"), (way.labels[0], "label")):
        column = next(column for column in file.columns if column.name == name)
        if column.missing:
            raise BadInput(
                f"{column.first_missing}: column {reader.quoted(name)} has no {what} there ({column.missing:,} rows "
                f"lack it); for the task classify, with id {reader.quoted(way.id)} and label "
                f"{reader.quoted(way.labels[0])}, every row needs one: empty, NA, null and the like count as none, so "
                "write another word"
            )


# --- The columns ------------------------------------------------------------------------------------------


def _order(file: File, way: Grouping, codes: np.ndarray) -> tuple[str | None, str, dict[str, str]]:
    """The column that orders the steps, why it is that, and which others do no more than that.

    Raises:
        BadInput: a column that is named like a time orders the steps otherwise than the rows, and can't be read.
    """
    if way.times:
        first = min(way.times, key=_rank)
        beside = {name: f"a time beside {reader.quoted(first)}" for name in way.times if name != first}
        return first, "orders the steps of a sequence", beside
    taken = {way.id, *way.labels}
    able = [c.name for c in file.columns if c.kind == "number" and not c.missing and c.name not in taken]
    raw = file.raw
    counts = {name: sequences.begin_anew(raw.column(name), codes) for name in able}
    orders = [n for n in able if (counts[n] or _rank(n) < len(STEPS)) and not sequences.repeats(codes, raw.column(n))]
    whole = sorted((n for n in orders if pa.types.is_integer(raw.column(n).type)), key=_rank)
    time = whole[0] if whole else None
    idle = {name: "counts the steps, too" for name in orders if name != time and counts[name]}
    if time:
        return time, "orders the steps of a sequence", idle
    for name in orders:
        if not _rises(reader.float64(raw.column(name)), codes):
            raise BadInput(
                f"{file.path}: column {reader.quoted(name)} orders the steps of a sequence by its name, the rows stand "
                "in another order, and data.time takes no fractions; sort the rows, or write whole numbers"
            )
        idle[name] = "the rows stand in its order; data.time takes no fractions"
    return None, "no column counts the steps; rows are taken in their order", idle


def _rank(name: str) -> int:
    return STEPS.index(name.lower()) if name.lower() in STEPS else len(STEPS)


def _rises(values: np.ndarray, codes: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return bool((np.diff(values)[codes[1:] == codes[:-1]] > 0).all())


def _unfit(values: pa.ChunkedArray, kind: str, name: str, codes: np.ndarray) -> str:
    """Why a column is no input; "" where it is one."""
    if kind == "time":
        return "a time that stands in a sequence twice"
    if not values.null_count and sequences.stays(codes, sequences.codes_of(values)[0]):
        return "one value in each sequence"
    if kind != "number":
        return "holds true and false; write 1 and 0 to use it" if pa.types.is_boolean(values.type) else "no numbers"
    if values.null_count > len(values) / 2:
        return f"{values.null_count} of {len(values)} values are missing"
    if name.lower() in roles.COUNTERS or (pa.types.is_integer(values.type) and _is_row_number(values)):
        return "only counts rows"
    return ""


def _is_row_number(values: pa.ChunkedArray) -> bool:
    return not values.null_count and set(np.diff(reader.float64(values))) == {1.0}


# --- The lines --------------------------------------------------------------------------------------------


def _data(found: Found) -> Iterator[Line | Remark]:
    yield Line("path", found.file.path, f"{found.file.raw.num_rows:,} rows; the path starts where this file lies")
    yield Line("id", found.id, f"tells {found.size} apart")
    if found.time:
        yield Line("time", found.time, found.time_why)
    else:
        yield Remark("time: COLUMN", found.time_why)
    yield Line("columns", [*found.columns], "what the network sees of a step")
    for name, why in [*found.left_out.items()][:MOST_TOLD]:
        yield Remark(f"left out: {reader.shown(name)}, {why}")
    if (more := len(found.left_out) - MOST_TOLD) > 0:
        yield Remark(f"left out: {more} more columns")
    yield Line("label", found.label, f"one in all rows of a sequence: {_classes(found)}")
    why = "shares of each class's sequences, by lot from the seed"
    yield Line("split", {"validation": SHARE, "test": SHARE, "seed": 1}, why)
    if found.missing:
        yield Line("missing", _missing(found), f"{found.missing:,} values are missing")


def _section(found: Found, missing: Any) -> ClassifyData:
    return ClassifyData(
        path=found.file.path.name,
        id=found.id,
        time=found.time,
        columns=[*found.columns],
        label=found.label,
        split=Shares(validation=SHARE, test=SHARE, seed=1),
        missing=missing,
    )


def _missing(found: Found) -> str:
    """What to do with missing values: the last one again where each sequence begins with one, else 0."""
    try:
        classify_data.read(_section(found, "forward_fill"), found.file.path.parent)
    except BadInput:
        return "zero"
    return "forward_fill"


def _classes(found: Found) -> str:
    ranked = sorted(found.classes.items(), key=lambda each: -each[1])
    told = ", ".join(f"{reader.shown(name, 20)} {count:,}" for name, count in ranked[:5])
    return f"{len(ranked):,} classes ({told}{', …' if len(ranked) > 5 else ''})"


def _metric(found: Found) -> tuple[str, str]:
    """What trials are compared by, and why."""
    if found.validation < FINE:
        step = 1 / found.validation
        return "loss", f"cross-entropy; accuracy would move in steps of {step:.1%} on {found.validation} sequences"
    counts = found.classes.values()
    if max(counts) >= UNEVEN * min(counts):
        return "f1", "averaged over the classes: the commonest has many times the sequences of the rarest"
    return "accuracy", "share of right answers on the validation part, of the best epoch"


def _training(found: Found) -> Iterator[Line | Remark]:
    yield Line("max_epochs", found.max_epochs, "most trials end earlier")
    yield Line("batch_size", found.batch_size, f"{found.batches} batches are a pass over the training sequences")
    if found.steps_per_epoch:
        why = f"batches in an epoch: a whole pass ({found.batches}) would be long between two decisions"
        yield Line("steps_per_epoch", found.steps_per_epoch, why)
    yield Line("learning_rate", 5e-3, "searched below")
    yield Line("optimizer", "adamw")
    yield Line("weight_decay", 1e-2, "searched below")
    yield Line("schedule", "cosine", "from the learning rate down to 0 over max_epochs")
    yield Line("seed", 1)


def _first_settings(found: Found) -> tuple[dict[str, Value], ...]:
    rest: dict[str, Value] = {"model.num_layers": 1, "training.learning_rate": 5e-3, "training.weight_decay": 1e-2}
    units: Value = found.units
    return (
        {"model.cell": "lstm", "model.hidden_size": units, "model.bidirectional": True, **rest},
        {"model.cell": "gru", "model.hidden_size": units, "model.bidirectional": False, **rest},
    )


def _space(found: Found) -> Lines:
    return (
        integers("model.hidden_size", found.units // 2, 2 * found.units, log=True),
        integers("model.num_layers", 1, 2, "a second one takes about as long as the first"),
        choices("model.cell", ["lstm", "gru"]),
        choices("model.bidirectional", [True, False], "both ends take twice as long"),
        numbers("training.learning_rate", 1e-3, 2e-2),
        numbers("training.weight_decay", 1e-3, 0.3),
    )


def _summary(found: Found) -> dict[str, str]:
    lines = {"rows": f"{found.file.raw.num_rows:,} in {found.file.path}"}
    lines["steps"] = f"{found.size}, told apart by {found.id}"
    lines["time"] = f"{found.time}: {found.time_why}" if found.time else found.time_why
    lines["label"] = f"{found.label}: {_classes(found)}"
    lines["inputs"] = ", ".join(found.columns)
    if found.left_out:
        lines["left out"] = "; ".join(f"{name} ({why})" for name, why in found.left_out.items())
    lines["gaps"] = f"{found.missing:,} values are missing" if found.missing else "none"
    return lines | ({"notes": "; ".join(found.file.notes)} if found.file.notes else {})


def _facts(found: Found) -> dict[str, Any]:
    return {
        "path": str(found.file.path),
        "rows": found.file.raw.num_rows,
        "sequences": len(found.lengths),
        "shortest": int(found.lengths.min()),
        "longest": int(found.lengths.max()),
        "id": found.id,
        "time": found.time,
        "inputs": [*found.columns],
        "label": found.label,
        "classes": dict(found.classes),
        "left_out": dict(found.left_out),
        "missing_values": found.missing,
        "notes": [*found.file.notes],
    }
