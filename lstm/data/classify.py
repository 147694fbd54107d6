"""The data of the task `classify`: a file in long format (one row per step) as labelled, split, scaled sequences."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from lstm.config.classify import ClassifyData
from lstm.config.shared.backtest import AT
from lstm.data import folds
from lstm.data.dataset import Before, Facts, Part, Scale, Whole, read_otherwise
from lstm.data.tables import reader, regular, sentinels
from lstm.data.tables.content import PLAIN, Form
from lstm.data.tables.digests import as_bytes, sha
from lstm.data.tables.sentinels import Odd
from lstm.data.tables.timing import times
from lstm.messages.message import Note, note
from lstm.records.errors import refused

MOST_CLASSES = 1_000  # each pair of classes has a cell in the confusion picture
FEWEST = 3  # sequences that a class must have: one for each part


@dataclass(frozen=True, slots=True)
class Source:
    """The sequences of a file in original units, ordered by the first row of each id."""

    ids: tuple[str, ...]
    starts: np.ndarray  # (sequence + 1,) int64: the first row of each sequence in `values`; the last entry is the end
    values: np.ndarray  # (row, column) float64: one sequence's steps after another's, no missing values
    labels: tuple[str, ...]  # one per sequence; empty if the file was read without labels
    notes: tuple[Note, ...]  # what was found and done, for people
    odd: tuple[tuple[Odd, np.ndarray], ...] = ()  # values far outside all others, with the sequence of each row
    reading: Mapping[str, Any] = field(default_factory=dict)  # what was read, as digests and counts
    form: Form = PLAIN  # of the file's text
    beginning: Mapping[str, Any] = field(default_factory=dict)  # `reading` as if the file had fewer rows; see `read`


Batch = tuple[np.ndarray, np.ndarray, np.ndarray]  # steps (sequence, time, column), lengths, classes


@dataclass(frozen=True, slots=True)
class SequenceFacts(Facts):
    """The facts about labelled sequences that a classifier needs."""

    targets: tuple[str, ...]  # the classes
    inputs: int  # columns of a step
    scale: Scale
    longest: int = 1  # steps of the longest sequence; only initial weights depend on it, and old checkpoints lack it
    reading: Mapping[str, Any] = field(default_factory=dict)  # what was read; empty in checkpoints before 2026-11-30


@dataclass(frozen=True, slots=True)
class Sequences:
    """Labelled sequences ready for training. All trials share the arrays and never write to them.

    With folds, each fold has a scale of its own, fitted on the other folds: no value of a fold changes anything in its
    training. So `values` are in original units, and `batch_of` scales what it gathers. Outside a fold, everything that
    stands before the test part is both trained on and judged.
    """

    values: np.ndarray  # (row, column) float32, scaled; with folds float64 in original units
    starts: np.ndarray  # (sequence + 1,) int64
    labels: np.ndarray  # (sequence,) int64: the index of the class in `targets`
    parts: dict[Part, np.ndarray]  # the sequence numbers of each part, sorted
    targets: tuple[str, ...]  # the classes
    scale: Scale
    fingerprint: str
    notes: tuple[Note, ...]
    doubts: tuple[Note, ...] = ()  # what is likely wrong in the file
    reading: Mapping[str, Any] = field(default_factory=dict)  # what was read, as digests and counts
    folds: tuple[np.ndarray, ...] = ()  # the sequence numbers of each fold of a backtest, sorted
    scales: tuple[Scale, ...] = ()  # of each fold's training, then of the training before the test part

    def at_window(self, number: int) -> "Sequences":
        """Return the sequences as fold `number` has them, from 1; they share the arrays.

        The validation part is the fold, the training part all other folds. The number after the last fold is the
        training before the test part: all folds are trained on, so nothing may be judged on them.
        """
        if not self.folds:
            return self
        every, scale = np.sort(np.concatenate(self.folds)), self.scales[number - 1]
        judged = self.folds[number - 1] if number <= len(self.folds) else every
        train = every[~np.isin(every, judged)] if number <= len(self.folds) else every
        parts: dict[Part, np.ndarray] = {"train": train, "validation": judged, "test": self.parts["test"]}
        return replace(self, parts=parts, scale=scale)

    @property
    def facts(self) -> SequenceFacts:
        """Facts about the sequences that a classifier needs."""
        return SequenceFacts(self.fingerprint, self.targets, self.inputs, self.scale, self.longest, self.reading)

    @property
    def inputs(self) -> int:
        """Columns of a step."""
        return int(self.values.shape[1])

    @property
    def nbytes(self) -> int:
        """Size of `values` in bytes."""
        return self.values.nbytes

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each sequence: (sequence,)."""
        return np.diff(self.starts)

    @property
    def longest(self) -> int:
        """Steps of the longest sequence."""
        return int(self.lengths.max())


def batch_of(data: Sequences, chosen: np.ndarray) -> Batch:
    """Gather the sequences with the given numbers into a batch, padded with 0 to the longest of them.

    Returns steps (sequence, time, column) float32, lengths (sequence,) and classes (sequence,).
    """
    lengths = data.lengths[chosen]
    steps = np.arange(lengths.max())
    inside = steps < lengths[:, None]
    values = np.zeros((*inside.shape, data.inputs), dtype=np.float32)
    found = data.values[(data.starts[chosen][:, None] + steps)[inside]]
    values[inside] = standardised(found, data.scale) if data.folds else found
    return values, lengths, data.labels[chosen]


def load(section: ClassifyData, path: Path) -> Sequences:
    """Read a file, split its sequences by class and scale the values. Scaling is fitted on the training part only.

    With a backtest, the sequences outside the test part are dealt out into folds.

    Raises:
        BadInput: the file is wrong, has too few or too many classes, or has too few sequences of a class to put one
            into each part.
    """
    source = read(section, path)
    classes = _ordered(source.labels)
    places = {name: place for place, name in enumerate(classes)}
    labels = np.array([places[name] for name in source.labels], dtype=np.int64)
    parts = _drawn(path, labels, classes, section)
    known, doubts = regular.fingerprint(path), tuple(_doubts(source, parts))
    scale, reading = _fit(path, source, parts["train"], section), source.reading
    if section.backtest is None:
        values = scaled(path, source.values, scale, section)
        return Sequences(values, source.starts, labels, parts, classes, scale, known, source.notes, doubts, reading)
    before = parts["train"]
    dealt = folds.deal(before, labels[before], section.backtest.folds, section.split.seed)
    reading = {**reading, "folds": sha(np.concatenate(dealt))}
    shared = (classes, scale, known, source.notes, doubts, reading)
    made = Sequences(source.values, source.starts, labels, parts, *shared, dealt)
    fitted = [_fit(path, source, before[~np.isin(before, fold)], section) for fold in dealt]
    ends = np.stack([source.values.min(axis=0), source.values.max(axis=0)])
    for each in fitted:
        scaled(path, ends, each, section)  # so that a value that is too large is refused here
    scaled(path, ends, scale, section)
    return replace(made, scales=(*fitted, scale))


def load_all(section: ClassifyData, path: Path, before: Before) -> Whole:
    """Read a file with all its sequences as the training part. It may have newer ones than the sweep has seen.

    Raises:
        BadInput: the file is wrong, or its old sequences are others or are not known.
    """
    known = {name: value for name, value in before.reading.items() if name != "folds"}  # all are trained on
    source = read(section, path, begun=int(known.get("rows", 0)))
    count, old = len(source.ids), len(source.ids)
    if regular.fingerprint(path) == before.fingerprint:
        if what := read_otherwise(source, known):
            raise refused("data-read-otherwise", "data", at=path, what=what)
    elif not known:
        raise refused("old-rows-unknown", "data", at=path)
    elif source.beginning != known:
        raise refused("old-rows-changed", "data", at=path, count=int(known["rows"]), unit="rows")
    else:
        old = int(known["sequences"])
    classes = _ordered(source.labels)
    places = {name: place for place, name in enumerate(classes)}
    labels = np.array([places[name] for name in source.labels], dtype=np.int64)
    none = np.zeros(0, dtype=np.int64)
    parts: dict[Part, np.ndarray] = {"train": np.arange(count), "validation": none, "test": none}
    scale = _fit(path, source, parts["train"], section)
    values = scaled(path, source.values, scale, section)
    digest = hashlib.sha256(repr((classes, scale)).encode())
    for each in (values, source.starts, labels):
        digest.update(as_bytes(each))
    data = Sequences(
        values, source.starts, labels, parts, classes, scale, digest.hexdigest(), source.notes, (), source.reading
    )
    return Whole(data, "sequences", count, count - old)


def read(section: ClassifyData, path: Path, *, labelled: bool = True, begun: int = 0) -> Source:
    """Read a file in long format. `labelled` says whether the file must have the label column.

    With `begun`, `Source.beginning` has what `Source.reading` would be if the file had only so many rows.

    Raises:
        BadInput: the file, a column, an id, a label, a time or a value is wrong.
    """
    texts = [section.id, *([section.label] if labelled else [])]
    wanted = [*texts, *([section.time] if section.time else []), *section.columns]
    form = Form.of(section)
    raw = reader.read(path, wanted, numbers=section.columns, texts=texts, form=form)
    values = reader.numbers(path, raw, section.columns, form)
    codes, ids = pd.factorize(_names(path, raw, section.id, "id", form))
    order = np.argsort(codes, kind="stable")
    if section.time:
        found = times.read(path, [raw.column(section.time)], section, form)
        order = _by_time(path, codes, ids, found.index, section)
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes))]).astype(np.int64)
    first = order[starts[:-1]]
    labels = None
    if labelled:
        named = _names(path, raw, section.label, "label", form)
        labels = _labels(path, named, first[codes], ids[codes], form)
    filled, notes = _filled(path, values, order, codes, section)
    far = tuple((each, codes[each.rows]) for each in sentinels.find(path, section.columns, values))
    known = tuple(labels[first]) if labels is not None else ()
    reading = _reading(section, values, order, known)
    beginning: Mapping[str, Any] = {}
    if 0 < begun <= len(codes) and (begun == len(codes) or codes[begun:].min() > codes[:begun].max()):
        beginning = _reading(section, values[:begun], order[order < begun], known[: codes[:begun].max() + 1])
    return Source(tuple(ids), starts, filled, known, notes, far, reading, form, beginning)


def _reading(section: ClassifyData, values: np.ndarray, order: np.ndarray, labels: tuple[str, ...]) -> dict[str, Any]:
    """Return what was read: values `(row, column)`, the rows in the order of their sequences, and a label for each."""
    reading = {"rows": len(values), "sequences": len(labels), "columns": [*section.columns]}
    return reading | {"values": sha(values), "order": sha(order), "labels": sha(np.array(labels, dtype=np.str_))}


def _doubts(source: Source, parts: dict[Part, np.ndarray]) -> Iterator[Note]:
    """Yield a note for each value far outside all others, with the parts that contain it; of folds it is training."""
    part_of = {number: part for part, numbers in reversed(parts.items()) for number in numbers.tolist()}
    for found, sequences in source.odd:
        named = [part_of.get(number, "") for number in sequences.tolist()]
        if told := sentinels.told(found, ["training" if part == "train" else part for part in named], source.form):
            yield told


def scaled(path: Path, values: np.ndarray, scale: Scale, section: ClassifyData) -> np.ndarray:
    """Scale values `(row, column)` for the network. The result is float32.

    Raises:
        BadInput: a value is too large for float32.
    """
    found = standardised(values, scale)
    for index in np.flatnonzero(~np.isfinite(found).all(axis=0)):
        raise refused("values-too-large", at=path, column=section.columns[index])
    return found


def standardised(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Scale values `(row, column)` for the network, as float32; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        found: np.ndarray = ((values - np.array(scale.mean)) / np.array(scale.deviation)).astype(np.float32)
    return found


def _names(path: Path, raw: pa.Table, name: str, role: Literal["id", "label"], form: Form) -> np.ndarray:
    """Return a column of ids or labels as texts, one per row."""
    column = raw.column(name)
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise refused("id-or-label-missing", at=reader.place(path, row, form), column=name, role=role)
    if pa.types.is_floating(column.type):
        raise refused("id-or-label-with-fractions", at=path, column=name, role=role)
    try:
        texts: np.ndarray = column.cast(pa.string()).to_pandas().to_numpy(dtype=object)
    except pa.ArrowException:
        raise refused("id-or-label-without-text", at=path, column=name, role=role, type=str(column.type)) from None
    return texts


def _by_time(path: Path, codes: np.ndarray, ids: np.ndarray, index: pd.Index, section: ClassifyData) -> np.ndarray:
    """Return the row numbers ordered by sequence, then by time."""
    order: np.ndarray = np.lexsort((index.to_numpy(), codes))
    again = (codes[order][1:] == codes[order][:-1]) & (index[order][1:] == index[order][:-1])
    if again.any():
        row = int(order[1:][again].min())
        where, sequence = reader.place(path, row, Form.of(section)), str(ids[codes[row]])
        raise refused("time-twice-in-sequence", at=where, column=section.time, time=str(index[row]), sequence=sequence)
    return order


def _labels(path: Path, labels: np.ndarray, first: np.ndarray, ids: np.ndarray, form: Form) -> np.ndarray:
    """Return the labels of all rows, after a check that all rows of a sequence have the same label."""
    if (others := labels != labels[first]).any():
        row = int(np.flatnonzero(others)[0])
        values = {"sequence": str(ids[row]), "label": str(labels[row]), "other": str(labels[first[row]])}
        raise refused("labels-differ", at=reader.place(path, row, form), **values)
    return labels


def _filled(
    path: Path, values: np.ndarray, order: np.ndarray, codes: np.ndarray, section: ClassifyData
) -> tuple[np.ndarray, tuple[Note, ...]]:
    """Return the values ordered by sequence and step with missing ones filled in, and notes on what was done."""
    ordered = values[order]
    if not (count := int(np.isnan(values).sum())):
        return ordered, ()
    if section.missing == "zero":
        ordered = np.nan_to_num(ordered, nan=0.0)
    elif section.missing == "forward_fill":
        ordered = pd.DataFrame(ordered).groupby(codes[order]).ffill().to_numpy()
    if len(left := np.argwhere(np.isnan(ordered))):
        rows = order[left[:, 0]]
        nearest = int(np.argmin(rows))
        code = "no-value-to-repeat" if section.missing == "forward_fill" else "value-missing"
        at = reader.place(path, int(rows[nearest]), Form.of(section))
        raise refused(code, at=at, column=section.columns[left[nearest, 1]])
    return ordered, (note("values-missing-noted", "data.missing", count=count, missing=section.missing),)


def _ordered(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes sorted by size if all are whole numbers, else alphabetically."""
    try:
        return tuple(sorted(set(labels), key=lambda name: (int(name), name)))
    except ValueError:
        return tuple(sorted(set(labels)))


def _drawn(path: Path, labels: np.ndarray, classes: tuple[str, ...], section: ClassifyData) -> dict[Part, np.ndarray]:
    """Draw the parts from the split's seed: the same share of each class, at least one sequence per class and part.

    The test part does not depend on the validation part. With folds, all others are both trained on and judged.
    """
    _check_classes(path, labels, classes, section)
    generator, split = np.random.default_rng(section.split.seed), section.split
    drawn: dict[Part, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    for number, name in enumerate(classes):
        members = generator.permutation(np.flatnonzero(labels == number))
        test = max(1, round(split.test * len(members)))
        validation = 0 if section.backtest else max(1, round((split.validation or 0) * len(members)))
        if validation + test >= len(members):
            raise refused("class-without-training", "data.split", label=name, count=len(members), file=str(path))
        for part, chosen in zip(drawn, np.split(members[::-1], [-validation - test, -test]), strict=True):
            drawn[part].append(chosen)
    if section.backtest:
        _check_folds(path, [len(chosen) for chosen in drawn["train"]], classes, section.backtest.folds)
        drawn["validation"] = drawn["train"]
    return {part: np.sort(np.concatenate(chosen)) for part, chosen in drawn.items()}


def _check_folds(path: Path, counts: list[int], classes: tuple[str, ...], wanted: int) -> None:
    """Check that each fold can have a sequence of each class; `counts` are those outside the test part."""
    least = min(counts)
    if least < wanted:
        named = {"label": classes[counts.index(least)], "count": least, "folds": wanted, "file": str(path)}
        raise refused("class-smaller-than-folds", AT, most=least if least > 1 else None, **named)


def _check_classes(path: Path, labels: np.ndarray, classes: tuple[str, ...], section: ClassifyData) -> None:
    if len(classes) > MOST_CLASSES:
        raise refused("too-many-classes", at=path, column=section.label, count=len(classes), limit=MOST_CLASSES)
    if len(classes) == 1:
        raise refused("only-one-class", at=path, column=section.label, count=len(labels), label=classes[0])
    counts = np.bincount(labels)
    if len(rare := np.flatnonzero(counts < FEWEST)):
        values = {"column": section.label, "label": classes[rare[0]], "count": int(counts[rare[0]]), "least": FEWEST}
        if len(rare) == 1:
            raise refused("class-too-small", at=path, **values)
        raise refused("classes-too-small", at=path, others=len(rare) - 1, classes=len(classes), **values)


def _fit(path: Path, source: Source, chosen: np.ndarray, section: ClassifyData) -> Scale:
    """Return the scale of some sequences, by their numbers."""
    columns = len(section.columns)
    if section.scaling == "none":
        return Scale((0.0,) * columns, (1.0,) * columns)
    train = source.values[np.repeat(np.isin(np.arange(len(source.ids)), chosen), np.diff(source.starts))]
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = train.mean(axis=0), train.std(axis=0)
    for index in np.flatnonzero(~np.isfinite(mean) | ~np.isfinite(deviation)):
        raise refused("values-too-large-to-average", at=path, column=section.columns[index])
    # A constant column has no information. Dividing by 1 makes it 0 and avoids a division by 0.
    constant = deviation <= 1e-14 * np.abs(mean)
    return Scale(tuple(mean.tolist()), tuple(np.where(constant, 1.0, deviation).tolist()))
