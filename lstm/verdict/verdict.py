"""Computes the verdict: whether the best trial's network is better than the base and the rivals.

A verdict is a plain record, computed from the stored judgements (`lstm/verdict/store.py`) alone, so it is the same at
any time. `lstm/verdict/sentences.py` puts it into words.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from lstm.judging.items import PARTS, Blocks, Items
from lstm.records.epoch import Judged
from lstm.records.objective import POINTS, Direction, best, is_better, points_of
from lstm.records.sweep import BASE, Sweep
from lstm.records.trial import Trial
from lstm.verdict.interval import Difference, Unit, compare
from lstm.verdict.store import Entry, Judgements, Role

# An error below this share of the largest error counts as 0. On data without noise, a rule's error may be a rounding
# error, and a network that is as good for every purpose would be a million per cent worse. The largest error stands for
# the spread of the data: some rule (the last value, the mean, the most frequent class) is always about that wrong.
NOTHING = 1e-4
LARGEST = 100.0  # no percentage is given if the network's error is more than this many times the other's
SAME = 1e-6  # share of an error's mean; rules that differ by less on every item count as one rule
NO_BASE = "this sweep was begun by a version that did not train the spec's own settings as a trial"
Answer = Literal["better", "worse", "alike", "unknown", "none"]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a verdict: the network, the base, another network of the front, or a rival."""

    name: str  # for rules with equal results, all their names
    role: Role
    validation: float | None = None  # the metric that the sweep optimizes; None without a finite figure
    test: float | None = None
    difference: Difference | None = None  # how much better the network is than this row on the test part
    gain: float | None = (
        None  # as `difference`, on validation, in `gain_unit`; no interval, as trials were chosen there
    )
    gain_unit: Unit = "%"
    trial: int | None = None
    rivals: tuple[str, ...] = ()  # the stable names of the rivals in this row
    second: float | None = None  # the second objective's figure
    why: str = ""  # why the row has no figures: it failed, diverged or was left out
    note: str = ""  # what people should know about a rival's fit, such as a sample or a limit
    # For a network of a sweep with two objectives: how much better it is than the base by each, if known.
    beside_base: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The comparison of a sweep's best network with the base and the rivals."""

    metric: str  # the metric of all figures, without its part: the one that the sweep optimizes, if the rivals have it
    direction: Direction
    judged_by: str  # the mean over items in which differences are given: the metric itself, or the nearest one
    length: int  # steps of a block
    searched: bool  # False: a single training is compared with the rivals
    rows: tuple[Row, ...]  # the network first, then the front, the base, the rivals, and rows without figures
    best: str = ""  # the name of the row of the rival that is best on validation
    best_on_test: str = ""  # the name of another rival's row that is better on the test part
    no_base: str = ""  # why there is no base
    second: str = ""  # the second objective's metric, if there is one
    asked: str = ""  # the sweep's metric if the rivals lack it; then `metric` is the nearest one that they have

    def row(self, name: str) -> Row:
        """Return the row of a name.

        Raises:
            StopIteration: there is no such row.
        """
        return next(row for row in self.rows if row.name == name)

    @property
    def network(self) -> Row | None:
        """The row of the best trial's network; None if no trial has completed or the network was not judged."""
        return next((row for row in self.rows if row.role == "network" and not row.why), None)

    @property
    def base(self) -> Row | None:
        """The row of the spec's own settings; None if there is none."""
        return next((row for row in self.rows if row.role == "base"), None)

    @property
    def rivals(self) -> tuple[Row, ...]:
        """The rows of rivals that have figures, in the order in which the task lists the rivals."""
        return tuple(row for row in self.rows if row.role == "rival" and not row.why)

    @property
    def absent(self) -> tuple[Row, ...]:
        """The rows without figures, with the reason."""
        return tuple(row for row in self.rows if row.why)

    @property
    def best_rival(self) -> Row | None:
        """The row of the rival that is best on validation; None if no rival has figures."""
        return self.row(self.best) if self.best else None

    @property
    def answer(self) -> Answer:
        """The answer to whether the network is better than the best rival.

        "unknown" if there is no interval, "none" if the network or the rival has no figures.
        """
        rival = self.best_rival
        if self.network is None or rival is None or rival.difference is None:
            return "none"
        return rival.difference.answer


def verdict(judged: Judgements) -> Verdict:
    """Compute the verdict on judgements."""
    network = next((entry for entry in judged.entries if entry.role == "network" and not entry.why), None)
    by = _By.of(judged)
    metric, direction, mean = by.metric, by.direction, by.mean
    ordered = [entry for role in get_args(Role) for entry in judged.entries if entry.role == role]
    largest = {part: _largest(judged.entries, part, mean) for part in PARTS}
    held = _Held(network, by, judged.blocks, largest)
    base = next((entry for entry in judged.entries if entry.role == "base"), None)
    rows = [
        replace(_row(group, held), beside_base=_beside(group[0], base, judged, held)) for group in _coinciding(ordered)
    ]
    rows.sort(key=lambda row: bool(row.why) and row.role != "front")  # the sort is stable
    rivals = [row for row in rows if row.role == "rival" and not row.why]
    first = best(rivals, lambda row: row.validation, direction)
    on_test = best(rivals, lambda row: row.test, direction)
    surpassed = first is not None and on_test is not None and is_better(on_test.test, first.test, direction)
    return Verdict(
        metric=metric,
        direction=direction,
        judged_by=mean,
        length=judged.blocks.length,
        searched=judged.searched,
        rows=tuple(rows),
        best=first.name if first else "",
        best_on_test=on_test.name if on_test and surpassed else "",
        no_base=judged.no_base,
        second=next(iter(judged.second), ""),
        asked=judged.metric if metric != judged.metric else "",
    )


def of_figures(sweep: Sweep, base: Trial | None, metrics: Mapping[str, float], *, searched: bool = True) -> Verdict:
    """Compute a verdict without intervals from figures alone, for a sweep that was not judged by item.

    It compares the best trial with the base.

    Args:
        sweep: The sweep with its trials.
        base: The trial of the spec's own settings, if there is one.
        metrics: The best trial's test metrics, with the base's ones under the prefix `base/`.
        searched: False for a single training.
    """
    metric, direction = sweep.metric.removeprefix("val/"), sweep.direction
    points = points_of(sweep.facts, metric)
    best, rows = sweep.best, list[Row]()
    tested = metrics.get(f"test/{metric}")
    if best is not None:
        rows.append(Row(f"trial {best.number}", "network", best.value, tested, trial=best.number))
    if base is not None and (why := why_no_figures(base)):
        rows.append(Row("base", "base", trial=base.number, why=why))
    elif base is not None:
        theirs = metrics.get(f"{BASE}test/{metric}")
        gain = _of_figures(metric, direction, best.value if best else None, base.value, points)
        difference = _of_figures(metric, direction, tested, theirs, points)
        row = Row("base", "base", base.value, theirs, difference, trial=base.number)
        rows.append(replace(row, gain=gain.value, gain_unit=gain.unit) if gain else row)
    no_base = NO_BASE if searched and base is None else ""
    return Verdict(metric, direction, metric, 1, searched, tuple(rows), no_base=no_base)


def why_no_figures(base: Trial) -> str:
    """Return why a base has no figures; "" if it has figures."""
    if base.state == "COMPLETE" and base.value is not None and not base.diverged:
        return ""
    if not base.ended:
        return f"trial {base.number} has not ended"
    how = "diverged" if base.diverged else {"FAIL": "failed"}.get(base.state, "has no finite figure")
    return f"trial {base.number} {how}" + (f": {base.reason}" if base.reason else "")


def as_row(found: Verdict) -> dict[str, Any]:
    """Return a verdict with its answer as plain JSON."""
    return {**asdict(found), "answer": found.answer}


def of_row(row: Mapping[str, Any]) -> Verdict:
    """Return the verdict from what `as_row` returned."""
    rows = tuple(
        Row(
            **{
                **each,
                "rivals": tuple(each["rivals"]),
                "beside_base": tuple(Difference(**one) for one in each.get("beside_base", ())),
                "difference": Difference(**each["difference"]) if each["difference"] else None,
            }
        )
        for each in row["rows"]
    )
    return Verdict(**{name: value for name, value in row.items() if name != "answer"} | {"rows": rows})


@dataclass(frozen=True, slots=True)
class _By:
    """The metrics by which networks and rivals are compared."""

    metric: str  # of the figures
    mean: str  # of the differences: the same if every judgement has it by item, else the nearest metric that all have
    direction: Direction  # of both
    points: float

    @classmethod
    def of(cls, judged: Judgements) -> "_By":
        """Return the sweep's own metric, or the nearest one that the rivals have, too."""
        rivals = [known for entry in judged.entries if entry.rival for known in _known(entry)]
        if judged.mean != judged.metric and not all(judged.metric in known for known in rivals):
            direction, points = judged.nearest or (judged.direction, judged.points)
            return cls(judged.mean, judged.mean, "maximize" if direction == "maximize" else "minimize", points)
        every = [each for entry in judged.entries for each in entry.items.values()]
        mean = judged.metric if all(judged.metric in items.metrics for items in every) else judged.mean
        return cls(judged.metric, mean, judged.direction, judged.points)


def _known(entry: Entry) -> list[set[str]]:
    """Return the metrics that a rival has on each part that it was judged on."""
    return [{*entry.figures.get(part, {}), *items.metrics} for part, items in entry.items.items()]


@dataclass(frozen=True, slots=True)
class _Held:
    """The network that every row is compared with, and how it is compared."""

    network: Entry | None
    by: _By
    blocks: Blocks
    largest: Mapping[Judged, float]  # the largest error of all judgements by part


def _largest(entries: Sequence[Entry], part: Judged, mean: str) -> float:
    items = [entry.items[part] for entry in entries if part in entry.items]
    errors = [each.mean(mean) for each in items if mean in each.metrics]
    return max((error for error in errors if math.isfinite(error)), default=0.0)


def _row(group: Sequence[Entry], held: _Held) -> Row:
    entry, network, metric = group[0], held.network, held.by.metric
    difference, gain = None, None
    if network is not None and entry is not network and not entry.why:
        difference = _difference(network, entry, "test", held)
        gain = _difference(network, entry, "validation", held)
        if "validation" not in entry.items:  # the windows of a backtest have figures only
            figures = (_figure(network, "validation", metric), _figure(entry, "validation", metric))
            gain = _of_figures(metric, held.by.direction, *figures, held.by.points)
    return Row(
        name=" = ".join(each.name for each in group),
        role=entry.role,
        validation=_figure(entry, "validation", metric),
        test=_figure(entry, "test", metric),
        difference=difference,
        gain=gain.value if gain else None,
        gain_unit=gain.unit if gain else "%",
        trial=entry.trial,
        rivals=tuple(each.rival for each in group if each.rival),
        second=entry.second,
        why=entry.why,
        note=entry.note,
    )


def _beside(entry: Entry, base: Entry | None, judged: Judgements, held: _Held) -> tuple[Difference, ...]:
    """Return how much better a network of a sweep with two objectives is than the base, by each objective.

    The first difference is on the test part; if one of the two was not judged there, it is by validation figures.
    """
    if not judged.second or base is None or entry.rival or entry.trial == base.trial:
        return ()
    second, direction = judged.second
    tested = _difference(entry, base, "test", held)
    if tested is not None and tested.value is not None:
        by_metric: Difference | None = replace(tested, metric=f"{tested.metric} on the test part")
    else:
        by = held.by
        figures = (_figure(entry, "validation", by.metric), _figure(base, "validation", by.metric))
        by_metric = _of_figures(f"{by.metric} on validation", by.direction, *figures, by.points)
    by_second = _of_figures(
        second,
        "maximize" if direction == "maximize" else "minimize",
        entry.second,
        base.second,
        in_points=False,
    )
    return tuple(each for each in (by_metric, by_second) if each is not None)


def _of_figures(
    metric: str,
    direction: Direction,
    ours: float | None,
    theirs: float | None,
    points: float = POINTS,
    *,
    in_points: bool = True,
) -> Difference | None:
    """Return a difference without an interval; None if a figure is missing or not finite.

    It is a percentage if the other's figure is an error that is large enough.
    """
    if ours is None or theirs is None or not math.isfinite(ours - theirs):
        return None
    if direction == "minimize" and ours >= 0 and theirs > ours / LARGEST:
        return Difference(metric, "%", 100 * (1 - ours / theirs))
    if direction == "maximize" and in_points:
        return Difference(metric, "points", points * (ours - theirs))
    return Difference(metric, "metric", theirs - ours if direction == "minimize" else ours - theirs)


def _difference(network: Entry, other: Entry, part: Judged, held: _Held) -> Difference | None:
    ours, theirs, mean, blocks = network.items.get(part), other.items.get(part), held.by.mean, held.blocks
    if ours is None or theirs is None or not (mean in ours.metrics and mean in theirs.metrics):
        return None
    try:
        least = max(NOTHING * held.largest[part], ours.mean(mean) / LARGEST)
        return compare(ours, theirs, mean, held.by.direction, blocks, least, held.by.points)
    except ValueError as error:  # the two were judged on different items; a rival's fault is reported and not fatal
        return Difference(mean, "%", None, length=blocks.length, why=str(error))


def _figure(entry: Entry, part: Literal["validation", "test"], metric: str) -> float | None:
    """Return an entry's figure as its task computed it, else the mean over its items; None if that is not finite."""
    items = entry.items.get(part)
    figure = entry.figures.get(part, {}).get(metric)
    if figure is None and items is not None and metric in items.metrics:
        figure = items.mean(metric)
    return figure if figure is not None and math.isfinite(figure) else None


def _coinciding(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Group rivals that have equal results on every item of both parts; the order is kept."""
    groups: list[list[Entry]] = []
    for entry in entries:
        for group in groups:
            if _same(group[0], entry):
                group.append(entry)
                break
        else:
            groups.append([entry])
    return groups


def _same(one: Entry, other: Entry) -> bool:
    if (
        {one.role, other.role} != {"rival"}
        or one.why
        or other.why
        or not one.items
        or one.items.keys() != other.items.keys()
    ):
        return False
    return all(_same_items(one.items[part], other.items[part]) for part in one.items)


def _same_items(one: Items, other: Items) -> bool:
    """Return whether two have the same results on every item, exactly or up to rounding."""
    if one.errors.keys() != other.errors.keys() or one.sums.keys() != other.sums.keys():
        return False
    if not (np.array_equal(one.places, other.places) and np.array_equal(one.weights, other.weights)):
        return False
    if not all(np.array_equal(one.sums[metric], other.sums[metric]) for metric in one.sums):
        return False
    return all(_same_errors(one.errors[metric], other.errors[metric]) for metric in one.errors)


def _same_errors(one: np.ndarray, other: np.ndarray) -> bool:
    finite = np.abs(one[np.isfinite(one)])
    near = SAME * float(finite.mean()) if len(finite) else 0.0
    return bool(np.allclose(one, other, rtol=SAME, atol=near, equal_nan=True))
