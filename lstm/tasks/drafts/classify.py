"""Draft of a first spec for labelled sequences: roles of the columns, and a search by the number of sequences."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lstm.config.classify import ClassifyData, Shares
from lstm.data import classify as classify_data
from lstm.data.profile import labelled
from lstm.data.profile.files import GivenFile
from lstm.data.profile.labelled import Labelled
from lstm.messages.entry import quoted, shown
from lstm.records.errors import BadInput
from lstm.tasks.drafts.draft import (
    Draft,
    Line,
    Lines,
    Recognition,
    Remark,
    Value,
    choices,
    fewer_batches,
    integers,
    left_out,
    numbers,
)

NEEDS = (
    "needs a table (CSV or Parquet) with one row per step, an id column that tells sequences apart, and a label "
    "column with few values, and the same value in all rows of an id"
)
SHARE = 0.2  # of the validation part, and of the test part
FOLDS = 4  # of a backtest: with fewer, no difference can be called sure
LEAST_IN_FOLD = 5  # sequences of the rarest class
SURE = 1_000  # with so many validation sequences, the standard error of an accuracy is at most 1.6 %: no folds
FINE = 100  # with so many validation sequences, accuracy shows small differences
UNEVEN = 3.0  # sequences of the commonest class per one of the rarest, from which accuracy would neglect rare classes


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings that are chosen for labelled sequences."""

    found: Labelled

    @property
    def part(self) -> int:
        """Sequences of the test part, and of the validation part if there is one."""
        return sum(max(1, round(SHARE * count)) for count in self.found.classes.values())

    @property
    def folds(self) -> int:
        """Folds of a backtest; 0 if a class is too small for it, or if one validation part is sure enough."""
        rarest = min(self.found.classes.values())
        outside = rarest - max(1, round(SHARE * rarest))
        return FOLDS if outside >= FOLDS * LEAST_IN_FOLD and self.part < SURE else 0

    @property
    def judged(self) -> int:
        """Sequences that a trial is judged on."""
        return len(self.found.lengths) - self.part if self.folds else self.part

    @property
    def train(self) -> int:
        """Sequences that a network is trained on."""
        outside = len(self.found.lengths) - self.part
        return max(outside - (outside // self.folds if self.folds else self.part), 1)

    @property
    def batch_size(self) -> int:
        """Sequences in a batch."""
        return 64 if self.train >= 2000 else 32 if self.train >= 300 else 16

    @property
    def batches(self) -> int:
        """Batches in a pass."""
        return math.ceil(self.train / self.batch_size)

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches in an epoch if a pass would take seconds; None if an epoch is a pass."""
        return fewer_batches(self.batches, int(self.found.lengths.max()))

    @property
    def max_epochs(self) -> int:
        """Most epochs of a trial, enough for a small table, too."""
        return min(max(1000 // (self.steps_per_epoch or self.batches), 20), 60)

    @property
    def units(self) -> int:
        """Units of the base's layer."""
        return 64 if self.train >= 300 else 32


def recognise(files: Sequence[GivenFile]) -> Recognition:
    """Return whether a table can be read as labelled sequences, in one way or in several."""
    if len(files) != 1 or files[0].form.kind != "table":
        return Recognition(False, NEEDS)
    if not (ways := files[0].groupings):
        return Recognition(False, NEEDS)
    first = ways[0]
    labels = " or ".join(map(quoted, first.labels))
    told = f"{first.count:,} sequences, told apart by {quoted(first.id)}, each with one label in {labels}"
    return Recognition(True, told)


def draft(file: GivenFile) -> Draft:
    """Draft the spec for a table of labelled sequences.

    Raises:
        BadInput: there are several ways to read the table, an id or a label is missing, the steps can't be put in
            order, or no column can be an input.
    """
    found = labelled.profile(file)
    chosen = Choice(found)
    metric, why = _metric(chosen)
    return Draft(
        data=tuple(_data(chosen)),
        model=(
            Line("cell", "lstm", "searched below"),
            Line("hidden_size", chosen.units, "searched below"),
            Line("num_layers", 1, "searched below"),
            Line("bidirectional", True, "the whole sequence is known, so the network can read it from both ends"),
        ),
        training=tuple(_training(chosen)),
        metric=Line("metric", f"val/{metric}", why),
        direction="minimize" if metric == "loss" else "maximize",
        first=_first_settings(chosen),
        first_why="tried before the search draws any: the base above, and a lighter network in one direction",
        space=_space(chosen),
        found=_summary(found),
        facts=_facts(found),
        why="one row per step, one label per sequence",
    )


def _data(chosen: Choice) -> Iterator[Line | Remark]:
    found = chosen.found
    yield Line("path", found.file.path, f"{found.file.raw.num_rows:,} rows")
    reading = found.file.reading
    yield from (Line(name, _value(value), reading.why.get(name, "")) for name, value in reading.fields.items())
    yield Line("id", found.id, f"tells {found.size} apart")
    if found.time:
        yield Line("time", found.time, found.time_why)
    else:
        yield Remark("time: COLUMN", found.time_why)
    yield Line("columns", [*found.columns], "the network's inputs at each step")
    yield from left_out(found.left_out, shown)
    yield from (Remark(str(each)) for each in found.file.notes)
    yield Line("label", found.label, f"the same in all rows of a sequence: {_classes(found)}")
    yield from _judged(chosen)
    if found.missing:
        how, why = _missing(found)
        yield Line("missing", how, f"{found.missing:,} values are missing: {why}")


def _judged(chosen: Choice) -> Iterator[Line | Remark]:
    """Yield the lines of the parts, and of the folds that take the place of the validation part."""
    drawn = "of each class's sequences, drawn from the seed"
    if chosen.folds:
        yield Line("split", {"test": SHARE, "seed": 1}, f"share {drawn}; all others are dealt out into folds")
        instead = f"without this line, but with validation: {SHARE} in the split: quicker, less sure"
        why = f"{chosen.folds} trainings a trial, each on all folds but one, which judges it; {instead}"
        yield Line("backtest", {"folds": chosen.folds}, why)
        return
    yield Line("split", {"validation": SHARE, "test": SHARE, "seed": 1}, f"shares {drawn}")
    if chosen.part >= SURE:
        why = f"would take {FOLDS} trainings a trial; one validation part of {chosen.part:,} sequences is sure enough"
        yield Remark(f"backtest: {{folds: {FOLDS}}}", why)


def _value(value: Any) -> Value:
    return [*value] if isinstance(value, list | tuple) else value


def _section(found: Labelled, missing: Any) -> ClassifyData:
    return ClassifyData(
        **found.file.reading.fields,
        id=found.id,
        time=found.time,
        columns=[*found.columns],
        label=found.label,
        split=Shares(validation=SHARE, test=SHARE, seed=1),
        missing=missing,
    )


def _missing(found: Labelled) -> tuple[str, str]:
    """Return how to fill missing values, and why: the last value if each sequence begins with a value, else 0."""
    try:
        classify_data.read(_section(found, "forward_fill"), found.file.path)
    except BadInput:
        return "zero", "some are at the start of a sequence, where no value can be repeated"
    return "forward_fill", "the last value in the sequence is repeated"


def _classes(found: Labelled) -> str:
    ranked = sorted(found.classes.items(), key=lambda each: -each[1])
    told = ", ".join(f"{shown(name, 20)} {count:,}" for name, count in ranked[:5])
    return f"{len(ranked):,} classes ({told}{', …' if len(ranked) > 5 else ''})"


def _metric(chosen: Choice) -> tuple[str, str]:
    """Return the metric by which trials are compared, and why."""
    if chosen.judged < FINE:
        step = 1 / chosen.judged
        return "loss", f"cross-entropy; accuracy would move in steps of {step:.1%} on {chosen.judged} sequences"
    counts = chosen.found.classes.values()
    if max(counts) >= UNEVEN * min(counts):
        return "f1", "averaged over the classes, because the commonest has many more sequences than the rarest"
    return "accuracy", f"share of correct answers on {chosen.judged:,} sequences, at the best epoch"


def _training(chosen: Choice) -> Iterator[Line | Remark]:
    yield Line("max_epochs", chosen.max_epochs, "most trials end earlier")
    yield Line("batch_size", chosen.batch_size, f"a pass over the training sequences has {chosen.batches} batches")
    if chosen.steps_per_epoch:
        why = f"batches in an epoch; a whole pass ({chosen.batches}) would make pruning decisions rare"
        yield Line("steps_per_epoch", chosen.steps_per_epoch, why)
    yield Line("learning_rate", 5e-3, "searched below")
    yield Line("optimizer", "adamw")
    yield Line("weight_decay", 1e-2, "searched below")
    yield Line("schedule", "cosine", "from the learning rate down to 0 over max_epochs")
    yield Line("seed", 1)


def _first_settings(chosen: Choice) -> tuple[dict[str, Value], ...]:
    rest: dict[str, Value] = {"model.num_layers": 1, "training.learning_rate": 5e-3, "training.weight_decay": 1e-2}
    units: Value = chosen.units
    return (
        {"model.cell": "lstm", "model.hidden_size": units, "model.bidirectional": True, **rest},
        {"model.cell": "gru", "model.hidden_size": units, "model.bidirectional": False, **rest},
    )


def _space(chosen: Choice) -> Lines:
    return (
        integers("model.hidden_size", chosen.units // 2, 2 * chosen.units, log=True),
        integers("model.num_layers", 1, 2, "a second layer takes about as long as the first"),
        choices("model.cell", ["lstm", "gru"]),
        choices("model.bidirectional", [True, False], "both directions take twice as long"),
        numbers("training.learning_rate", 1e-3, 2e-2),
        numbers("training.weight_decay", 1e-3, 0.3),
    )


def _summary(found: Labelled) -> dict[str, str]:
    lines = {"rows": f"{found.file.raw.num_rows:,} in {found.file.path}"}
    lines["steps"] = f"{found.size}, told apart by {found.id}"
    lines["time"] = f"{found.time}: {found.time_why}" if found.time else found.time_why
    lines["label"] = f"{found.label}: {_classes(found)}"
    lines["inputs"] = ", ".join(found.columns)
    if found.left_out:
        lines["left out"] = "; ".join(f"{name} ({why})" for name, why in found.left_out.items())
    lines["gaps"] = f"{found.missing:,} values are missing" if found.missing else "none"
    return lines | ({"notes": "; ".join(map(str, found.file.notes))} if found.file.notes else {})


def _facts(found: Labelled) -> dict[str, Any]:
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
        "notes": [each.row() for each in found.file.notes],
    }
