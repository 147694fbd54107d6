"""Profile of a table of labelled sequences: which column is the id, the label, the time, an input, or none of these."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from lstm.data.profile import roles
from lstm.data.profile.files import GivenFile
from lstm.data.profile.groups import sequences
from lstm.data.profile.groups.sequences import Grouping
from lstm.data.tables import reader
from lstm.messages.entry import quoted, shown
from lstm.records.errors import refused

STEPS = (*roles.TIMES, "step", "frame", "row", "position", "seconds", "elapsed", "tick", "index", "timestep")
MOST_COLUMNS = 64  # inputs to start with
MOST_TOLD = 12  # columns in a message


@dataclass(frozen=True, slots=True)
class Labelled:
    """The profile of a table of labelled sequences."""

    file: GivenFile
    id: str
    label: str
    time: str | None
    time_why: str  # why this column is the time, or why there is none
    columns: tuple[str, ...]  # inputs
    left_out: Mapping[str, str]  # all other columns, each with the reason
    lengths: np.ndarray  # (sequence,) steps
    classes: Mapping[str, int]  # the number of sequences of each class
    missing: int  # number of missing values in the inputs

    @property
    def size(self) -> str:
        """The number of sequences and their length, in words."""
        shortest, longest = int(self.lengths.min()), int(self.lengths.max())
        steps = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
        return f"{len(self.lengths):,} sequences of {steps} steps"


def profile(file: GivenFile) -> Labelled:
    """Find the role of each column in a table of labelled sequences.

    Raises:
        BadInput: there are several ways to read the table, an id or a label is missing, the steps can't be put in
            order, or no column can be an input.
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
        reasons = [f"{shown(name)}: {reason}" for name, reason in [*left_out.items()][:MOST_TOLD]]
        raise refused("no-column-to-classify-by", at=file.path, id=way.id, left_out=reasons)
    written = raw.column(way.labels[0])
    if pa.types.is_boolean(written.type) and not reader.has_types(file.path):  # yes and no are the names of classes
        written = reader.read(file.path, way.labels[:1], texts=way.labels[:1], form=file.reading.form).column(0)
    labels = written.take(pa.array(sequences.firsts(codes))).cast(pa.string())
    names, counts = np.unique(labels.to_pandas().to_numpy(dtype=str), return_counts=True)
    classes = dict(zip(names.tolist(), counts.tolist(), strict=True))
    missing = sum(column.missing for column in file.columns if column.name in able)
    lengths = np.bincount(codes)
    return Labelled(file, way.id, way.labels[0], time, why, tuple(able), left_out, lengths, classes, missing)


def _only(file: GivenFile) -> Grouping:
    """Return the only way to read a table as labelled sequences.

    Raises:
        BadInput: there are several ways.
    """
    ways = file.groupings
    if file.target is not None:
        kept = [replace(way, labels=(file.target,)) for way in ways if file.target in way.labels]
        if not kept:
            labels = [label for way in ways for label in way.labels]
            raise refused("no-such-label", at="--target", column=file.target, labels=labels)
        ways = tuple(kept)
    if len(ways) == 1 and len(ways[0].labels) == 1:
        return ways[0]
    first = ways[0]
    time, _, idle = _order(file, first, sequences.codes_of(file.raw.column(first.id))[0])
    taken = {first.id, *first.labels, *first.times, time, *idle}
    columns = [c.name for c in file.columns if c.kind == "number" and c.name not in taken][:3] or ["…"]
    raise refused(
        "several-ids-or-labels",
        at=file.path,
        ways=[[shown(way.id), shown(label)] for way in ways for label in way.labels],
        file=file.path.name,
        id=first.id,
        time=time,
        columns=columns,
        label=first.labels[0],
    )


def _check_whole(file: GivenFile, way: Grouping) -> None:
    """Check that each row has an id and a label.

    Raises:
        BadInput: a row has no id or no label; the message has its place.
    """
    for name, role in ((way.id, "id"), (way.labels[0], "label")):
        column = next(column for column in file.columns if column.name == name)
        if column.missing:
            values = {"column": name, "role": role, "count": column.missing, "id": way.id, "label": way.labels[0]}
            raise refused("ids-or-labels-missing", at=column.first_missing, **values)


def _order(file: GivenFile, way: Grouping, codes: np.ndarray) -> tuple[str | None, str, dict[str, str]]:
    """Return the column that orders the steps, the reason, and the other columns that only order the steps, too.

    Raises:
        BadInput: a column that is named like a time has fractions, and orders the steps differently from the rows.
    """
    if way.times:
        first = min(way.times, key=_rank)
        beside = {name: f"another time column, {quoted(first)} is used" for name in way.times if name != first}
        return first, "orders the steps of a sequence", beside
    taken = {way.id, *way.labels}
    able = [c.name for c in file.columns if c.kind == "number" and not c.missing and c.name not in taken]
    raw = file.raw
    counts = {name: sequences.begin_anew(raw.column(name), codes) for name in able}
    orders = [n for n in able if (counts[n] or _rank(n) < len(STEPS)) and not sequences.repeats(codes, raw.column(n))]
    whole = sorted((n for n in orders if pa.types.is_integer(raw.column(n).type)), key=_rank)
    time = whole[0] if whole else None
    idle = {name: "also counts the steps" for name in orders if name != time and counts[name]}
    if time:
        return time, "orders the steps of a sequence", idle
    for name in orders:
        if not _rises(reader.float64(raw.column(name)), codes):
            raise refused("steps-in-another-order", at=file.path, column=name)
        idle[name] = "the rows are already in its order, and data.time takes no fractions"
    return None, "no column counts the steps; rows are taken in their order", idle


def _rank(name: str) -> int:
    return STEPS.index(name.lower()) if name.lower() in STEPS else len(STEPS)


def _rises(values: np.ndarray, codes: np.ndarray) -> bool:
    with np.errstate(invalid="ignore"):
        return bool((np.diff(values)[codes[1:] == codes[:-1]] > 0).all())


def _unfit(values: pa.ChunkedArray, kind: str, name: str, codes: np.ndarray) -> str:
    """Return the reason why a column can't be an input, "" if it can."""
    if kind == "time":
        return "a time that occurs twice in a sequence"
    if not values.null_count and sequences.stays(codes, sequences.codes_of(values)[0]):
        return "one value in each sequence"
    if kind != "number":
        return "no numbers"
    if values.null_count > len(values) / 2:
        return f"{values.null_count} of {len(values)} values are missing"
    if name.lower() in roles.COUNTERS or (pa.types.is_integer(values.type) and _is_row_number(values)):
        return "only counts rows"
    return ""


def _is_row_number(values: pa.ChunkedArray) -> bool:
    return not values.null_count and set(np.diff(reader.float64(values))) == {1.0}
