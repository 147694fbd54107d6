"""Is the network worth it? The best trial's network beside the base and the rivals, and one sentence.

A verdict is a plain record, made of what was judged (`lstm/verdict/store.py`) and of nothing else, so it comes out the
same at any time. What it says in words is in `lstm/verdict/sentences.py`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from lstm.judging.items import PARTS, Blocks, Items
from lstm.records.epoch import Judged
from lstm.records.objective import Direction, best, is_better
from lstm.records.sweep import BASE, Sweep
from lstm.records.trial import Trial
from lstm.verdict.interval import Difference, Unit, compare
from lstm.verdict.store import Entry, Judgements, Role

# Of the largest error: below it one is next to nothing. Where data have no noise a rule is as near as computing goes,
# and a network that is as good for every purpose would be a million per cent worse. The largest stands for the spread:
# there is always a rule that is about as wrong as that, as the last value, the mean or the commonest class.
NOTHING = 1e-4
LARGEST = 100.0  # times as wrong: beyond it no per cent is told, either
SAME = 1e-6  # of an error's mean: rules that differ by less everywhere are one rule, computed in two ways
NO_BASE = "this sweep was begun by a version that did not train the spec's own settings beside the search"
Answer = Literal["better", "worse", "alike", "unknown", "none"]


@dataclass(frozen=True, slots=True)
class Row:
    """The network, the base, or a rival."""

    name: str  # of rules that coincide all names
    role: Role
    validation: float | None = None  # by the metric that is searched for; None where it has no finite figure
    test: float | None = None
    difference: Difference | None = None  # how much better the network is than it, on the test part
    gain: float | None = None  # the same on validation, in `gain_unit`; chosen there, so it has no interval
    gain_unit: Unit = "%"
    trial: int | None = None
    rivals: tuple[str, ...] = ()  # the stable names of the rules that it stands for
    second: float | None = None
    why: str = ""  # why it has no figures: it failed, diverged or was left out
    note: str = ""  # what people should know of a rival's fit: a sample, a limit
    # Of a network of two objectives: how much better it is than the base by each, as far as that is known.
    beside_base: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sweep's network is worth."""

    metric: str  # that is searched for, without its part
    direction: Direction
    judged_by: str  # the mean over items that differences are of: the metric itself, or the nearest one
    length: int  # steps of a block
    searched: bool  # else one training is held against the rivals
    rows: tuple[Row, ...]  # the network first, then the front, the base, the rivals, and those without figures
    best: str = ""  # the row of the rival that is best on validation
    best_on_test: str = ""  # another one that is better on the test part
    no_base: str = ""
    second: str = ""  # the other objective's metric, where there are two

    def row(self, name: str) -> Row:
        """A row by its name."""
        return next(row for row in self.rows if row.name == name)

    @property
    def network(self) -> Row | None:
        """The best trial's; None where no trial has completed."""
        return next((row for row in self.rows if row.role == "network" and not row.why), None)

    @property
    def base(self) -> Row | None:
        """The spec's own settings'."""
        return next((row for row in self.rows if row.role == "base"), None)

    @property
    def rivals(self) -> tuple[Row, ...]:
        """Those that have figures, in the order in which the task names them."""
        return tuple(row for row in self.rows if row.role == "rival" and not row.why)

    @property
    def absent(self) -> tuple[Row, ...]:
        """Those that have none, with the reason."""
        return tuple(row for row in self.rows if row.why)

    @property
    def best_rival(self) -> Row | None:
        """The rival that is best on validation."""
        return self.row(self.best) if self.best else None

    @property
    def answer(self) -> Answer:
        """Whether the network is better than the best rival; unknown without an interval, none without one of both."""
        rival = self.best_rival
        if self.network is None or rival is None or rival.difference is None:
            return "none"
        return rival.difference.answer


def verdict(judged: Judgements) -> Verdict:
    """The verdict on what was judged."""
    network = next((entry for entry in judged.entries if entry.role == "network" and not entry.why), None)
    metric, direction, mean = judged.metric, judged.direction, _mean(judged)
    ordered = [entry for role in get_args(Role) for entry in judged.entries if entry.role == role]
    largest = {part: _largest(judged.entries, part, mean) for part in PARTS}
    held = _Held(network, metric, direction, mean, judged.blocks, largest)
    base = next((entry for entry in judged.entries if entry.role == "base"), None)
    rows = [
        replace(_row(group, held), beside_base=_beside(group[0], base, judged, held)) for group in _coinciding(ordered)
    ]
    rows.sort(key=lambda row: bool(row.why) and row.role != "front")  # the order is kept otherwise
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
    )


def of_figures(sweep: Sweep, base: Trial | None, metrics: Mapping[str, float], *, searched: bool = True) -> Verdict:
    """The best trial beside the base by their figures alone, where nothing was judged by item; without intervals.

    `metrics` are the best trial's as they were told, the base's among them.
    """
    metric, direction = sweep.metric.removeprefix("val/"), sweep.direction
    best, rows = sweep.best, list[Row]()
    tested = metrics.get(f"test/{metric}")
    if best is not None:
        rows.append(Row(f"trial {best.number}", "network", best.value, tested, trial=best.number))
    if base is not None and (why := why_no_figures(base)):
        rows.append(Row("base", "base", trial=base.number, why=why))
    elif base is not None:
        theirs = metrics.get(f"{BASE}test/{metric}")
        gain = _of_figures(metric, direction, best.value if best else None, base.value)
        row = Row("base", "base", base.value, theirs, _of_figures(metric, direction, tested, theirs), trial=base.number)
        rows.append(replace(row, gain=gain.value, gain_unit=gain.unit) if gain else row)
    no_base = NO_BASE if searched and base is None else ""
    return Verdict(metric, direction, metric, 1, searched, tuple(rows), no_base=no_base)


def why_no_figures(base: Trial) -> str:
    """Why a base has no figures; "" where it has some."""
    if base.state == "COMPLETE" and base.value is not None and not base.diverged:
        return ""
    if not base.ended:
        return f"trial {base.number} has not ended"
    how = "diverged" if base.diverged else {"FAIL": "failed"}.get(base.state, "has no finite figure")
    return f"trial {base.number} {how}" + (f": {base.reason}" if base.reason else "")


def as_row(found: Verdict) -> dict[str, Any]:
    """A verdict as plain JSON, with the answer."""
    return {**asdict(found), "answer": found.answer}


def of_row(row: Mapping[str, Any]) -> Verdict:
    """The verdict that `as_row` gave; the answer follows from the rest."""
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


def _mean(judged: Judgements) -> str:
    """The metric itself where all that were judged have it by item, else the nearest that is a mean."""
    having = [set(items.errors) for entry in judged.entries for items in entry.items.values()]
    return judged.metric if all(judged.metric in errors for errors in having) else judged.mean


@dataclass(frozen=True, slots=True)
class _Held:
    """What every row is held against."""

    network: Entry | None
    metric: str
    direction: Direction  # of the mean, too
    mean: str
    blocks: Blocks
    largest: Mapping[Judged, float]  # error of all that were judged, by part


def _largest(entries: Sequence[Entry], part: Judged, mean: str) -> float:
    items = [entry.items[part] for entry in entries if part in entry.items]
    errors = [each.mean(mean) for each in items if mean in each.errors]
    return max((error for error in errors if math.isfinite(error)), default=0.0)


def _row(group: Sequence[Entry], held: _Held) -> Row:
    entry, network, metric = group[0], held.network, held.metric
    difference, gain = None, None
    if network is not None and entry is not network and not entry.why:
        difference = _difference(network, entry, "test", held)
        gain = _difference(network, entry, "validation", held)
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
    """How much better a network of two objectives is than the base by both; without weights by validation figures."""
    if not judged.second or base is None or entry.rival or entry.trial == base.trial:
        return ()
    second, direction = judged.second
    tested = _difference(entry, base, "test", held)
    if tested is not None and tested.value is not None:
        by_metric: Difference | None = replace(tested, metric=f"{tested.metric} on the test part")
    else:
        figures = (_figure(entry, "validation", held.metric), _figure(base, "validation", held.metric))
        by_metric = _of_figures(f"{held.metric} on validation", held.direction, *figures)
    by_second = _of_figures(
        second,
        "maximize" if direction == "maximize" else "minimize",
        entry.second,
        base.second,
        in_points=False,
    )
    return tuple(each for each in (by_metric, by_second) if each is not None)


def _of_figures(
    metric: str, direction: Direction, ours: float | None, theirs: float | None, *, in_points: bool = True
) -> Difference | None:
    """A difference without an interval; in per cent where the other's is an error that is more than next to nothing."""
    if ours is None or theirs is None or not math.isfinite(ours - theirs):
        return None
    if direction == "minimize" and ours >= 0 and theirs > ours / LARGEST:
        return Difference(metric, "%", 100 * (1 - ours / theirs))
    if direction == "maximize" and in_points:
        return Difference(metric, "points", 100 * (ours - theirs))
    return Difference(metric, "metric", theirs - ours if direction == "minimize" else ours - theirs)


def _difference(network: Entry, other: Entry, part: Judged, held: _Held) -> Difference | None:
    ours, theirs, mean, blocks = network.items.get(part), other.items.get(part), held.mean, held.blocks
    if ours is None or theirs is None or not (mean in ours.errors and mean in theirs.errors):
        return None
    try:
        least = max(NOTHING * held.largest[part], ours.mean(mean) / LARGEST)
        return compare(ours, theirs, mean, held.direction, blocks, least)
    except ValueError as error:  # they were judged on other things; a rival's fault is told, and not fatal
        return Difference(mean, "%", None, length=blocks.length, why=str(error))


def _figure(entry: Entry, part: Literal["validation", "test"], metric: str) -> float | None:
    """An entry's figure, as its task has it or else the mean over its items; None where that is not finite."""
    items = entry.items.get(part)
    figure = entry.figures.get(part, {}).get(metric)
    if figure is None and items is not None and metric in items.errors:
        figure = items.mean(metric)
    return figure if figure is not None and math.isfinite(figure) else None


def _coinciding(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Rules that did the same on every item of both parts, together; the order is kept."""
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
    """Whether two did the same on every item, to the bit or to rounding."""
    if one.errors.keys() != other.errors.keys() or not np.array_equal(one.places, other.places):
        return False
    if not np.array_equal(one.weights, other.weights):
        return False
    return all(_same_errors(one.errors[metric], other.errors[metric]) for metric in one.errors)


def _same_errors(one: np.ndarray, other: np.ndarray) -> bool:
    finite = np.abs(one[np.isfinite(one)])
    near = SAME * float(finite.mean()) if len(finite) else 0.0
    return bool(np.allclose(one, other, rtol=SAME, atol=near, equal_nan=True))
