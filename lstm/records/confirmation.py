"""The confirmation of a sweep: its best settings, the base and the best rival, judged again from other seeds.

Confirm trains each setting from several seeds. Its trials are derived trials (`Derived`, purpose `confirm`): no trials
of the search. They are judged over windows that the search has not seen (`data.backtest.fresh`), or over the search's
own; without a backtest that is one window, the validation part. There are as many fresh windows as the search has.

What was asked for is the study's fact `CONFIRM`, stored before the first such trial; the errors of the best rival are
the fact `RIVAL`. Both are plain data; everything else is read from the trials.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from lstm.records.objective import Direction, Scalar, best, sort_key
from lstm.records.state import Derived
from lstm.records.trial import Trial

if TYPE_CHECKING:
    from lstm.records.sweep import Sweep

JudgedOn = Literal["search", "fresh"]  # the windows that a trial is judged on
IN_WORDS: Mapping[JudgedOn, str] = {
    "fresh": "windows that the search has not seen",
    "search": "the search's own windows",
}
JUDGED_ON, SEED = "judged_on", "training.seed"  # the fields of a configuration that are no part of a setting
# The fact of what was asked for last: windows, seeds, the sampler's `seed`, and the settings, each as [digest, trial].
CONFIRM = "confirm"
CHOSEN = "chosen"  # in that fact: the windows are those of `sweep confirm --windows`
RIVAL = "confirm_rival"  # fact: the best rival on the search's windows, its title, windows, and its error in each


class Request(NamedTuple):
    """What is to be confirmed: by the spec, or by `sweep confirm`."""

    top: int
    seeds: int
    windows: JudgedOn
    sampler_seed: int
    is_asked: bool = (
        False  # by `sweep confirm`: then it replaces what was asked for before, and failed trials run again
    )
    is_chosen: bool = False  # whether the windows are those of `--windows`: then the spec does not change them again


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A setting (or the rival) with its errors: the metric of the search, one row per seed, one column per window."""

    setting: str  # its digest, as MLflow's tag `sweep.config`; "" for the rival
    number: int | None  # the search's trial with this setting, the lowest; the base included; None for the rival
    name: str  # `base`, `trial 7`, or the rival's title
    trials: tuple[int, ...]  # the trials of confirm, one for each row; () for the rival
    errors: tuple[tuple[float | None, ...], ...]  # None: not judged yet, failed, or diverged; the rival has one row

    @property
    def mean(self) -> float | None:
        """The mean over windows of the means over seeds; None if any figure is missing."""
        figures = [figure for row in self.errors for figure in row if figure is not None]
        if not figures or len(figures) < sum(map(len, self.errors)):
            return None
        return sum(figures) / len(figures)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What confirm has found so far."""

    metric: str
    direction: Direction
    windows: JudgedOn
    count: int  # windows: the columns of `errors`
    tried: int  # settings that the search has tried on its own windows, pruned ones and the base included
    settings: tuple[Confirmed, ...]  # the base first, then the best of the search in their order, then the rival
    open: int = 0  # trials of confirm that have not ended; nothing may be concluded while there are any


def setting_of(config: Mapping[str, Any]) -> str:
    """Return a digest of a setting: a configuration without its seed, wherever it is judged.

    It is equal for equal settings. Fields that are absent have no part in it, so it stays what earlier versions had.
    """
    tree = {name: value for name, value in config.items() if name != JUDGED_ON}
    if training := tree.get("training"):
        tree["training"] = {name: value for name, value in training.items() if name != "seed"}
    text = json.dumps(tree, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def seed_of(sampler_seed: int, setting: str, place: int) -> int:
    """Return the seed of a setting's trial at a place, from 0: the same on every machine and in every resumed run."""
    digest = hashlib.sha256(f"confirm:{sampler_seed}:{setting}:{place}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 2**31


def settings_tried(sweep: "Sweep") -> dict[str, Trial]:
    """Return, by setting, the search's lowest trial that was judged at least once, the base included."""
    base = [sweep.base] if sweep.base and not sweep.base.counts else []
    found: dict[str, Trial] = {}
    for trial in sorted((*base, *sweep.counted), key=lambda t: t.number):
        if trial.curve:
            found.setdefault(setting_of(trial.config), trial)
    return found


def best_settings(sweep: "Sweep") -> dict[str, Trial]:
    """Return, by setting, the search's lowest completed trial of it, the best setting first.

    With two objectives only the settings of the Pareto front, in its order. A setting of several trials has the value
    of its best one.
    """
    among = (
        sweep.front
        if sweep.second
        else sorted(
            (t for t in sweep.counted if t.compared_value is not None),
            key=lambda t: (sort_key(t.compared_value, sweep.direction), t.number),
        )
    )
    found: dict[str, Trial] = {}
    for trial in among:
        setting = setting_of(trial.config)
        before = found.get(setting)
        found[setting] = trial if before is None or trial.number < before.number else before
    return found


def row_of(sweep: "Sweep", request: Request) -> dict[str, Any]:
    """Return the fact of a request, for the search as it is now: the base, then the best settings.

    A base that has not completed is left out, and so are settings that there are not.
    """
    chosen = dict([*best_settings(sweep).items()][: request.top])
    base, settings = sweep.base, dict[str, Trial]()
    if base is not None and base.compared_value is not None:
        settings[setting_of(base.config)] = base
    for setting, trial in chosen.items():
        before = settings.get(setting)
        settings[setting] = trial if before is None or trial.number < before.number else before
    rows = [[setting, trial.number] for setting, trial in settings.items()]
    row = {"windows": request.windows, "seeds": request.seeds, "seed": request.sampler_seed, "settings": rows}
    return row | ({CHOSEN: True} if request.is_chosen else {})


def to_confirm(sweep: "Sweep", request: Request | None) -> dict[str, Any] | None:
    """Return the fact that holds from now on: what was asked for before, if it has all of this request.

    None if there is nothing to confirm. The search must have ended.
    """
    known: dict[str, Any] | None = sweep.facts.get(CONFIRM)
    if request is None or sweep.best is None:
        return known
    if known is not None and known.get(CHOSEN) and not request.is_asked:
        request = request._replace(windows=known["windows"], is_chosen=True)
    row = row_of(sweep, request)
    if request.is_asked or known is None or (known["windows"], known["seed"]) != (row["windows"], row["seed"]):
        return row
    there = {setting for setting, _ in known["settings"]}
    return known if known["seeds"] >= row["seeds"] and all(each in there for each, _ in row["settings"]) else row


def lacking(sweep: "Sweep", row: Mapping[str, Any], *, is_asked: bool = False) -> list[Derived]:
    """Return the trials of confirm that are yet to be queued: none is there, or (if somebody asked) it has failed."""
    made = _made(sweep, row["windows"])
    found = list[Derived]()
    for setting, number in row["settings"]:
        for place in range(row["seeds"]):
            seed = seed_of(row["seed"], setting, place)
            trial = made.get((setting, seed))
            if trial is None or (is_asked and trial.state == "FAIL"):
                changes: dict[str, Scalar] = {SEED: seed}
                changes |= {JUDGED_ON: row["windows"]} if row["windows"] != "search" else {}
                found.append(Derived(number, "confirm", changes))
    return found


def is_left(sweep: "Sweep", request: Request | None) -> bool:
    """Return whether anything is left to confirm in a sweep whose search has ended."""
    if any(not trial.ended for trial in sweep.confirming):
        return True
    row = to_confirm(sweep, request)
    if row is None:
        return False
    asked = request is not None and request.is_asked
    return row != sweep.facts.get(CONFIRM) or bool(lacking(sweep, row, is_asked=asked))


def remembered(sweep: "Sweep", sampler_seed: int) -> dict[str, Any]:
    """Return the facts of a lost study, by its trials of confirm: what was asked for, as far as trials were queued.

    The windows are those of the latest trial.
    """
    if not sweep.confirming:
        return {}
    windows = sweep.confirming[-1].config.get(JUDGED_ON, "search")
    made, seeds = _made(sweep, windows), 0
    there = {setting for setting, _ in made}
    row = row_of(sweep, Request(len(sweep.trials), 0, windows, sampler_seed))
    others = [[setting, trial.number] for setting, trial in settings_tried(sweep).items()]
    numbers = dict[str, int]()
    for setting, number in (*row["settings"], *others):
        if setting in there:
            numbers.setdefault(setting, number)
    while any((setting, seed_of(sampler_seed, setting, seeds)) in made for setting in there):
        seeds += 1
    return {CONFIRM: {**row, "seeds": seeds, "settings": [*map(list, numbers.items())]}}


def errors_of(sweep: "Sweep", trial: Trial) -> tuple[float | None, ...]:
    """Return the metric of a trial in each window, at its best epoch there; None where it was not judged to the end."""
    count = sweep.windows.count
    if not trial.ended or trial.state == "FAIL" or (trial.diverged and not trial.later):
        return (None,) * count
    first = best(trial.curve, lambda step: step[1], sweep.direction)
    values: list[float | None] = [first[1] if first else None]
    mean = values[0]
    for window, (_, after) in enumerate(trial.later, 2):
        values.append(None if mean is None else window * after - (window - 1) * mean)
        mean = after
    return (*values, *(None,) * (count - len(values)))[:count]


def confirmation(sweep: "Sweep") -> Confirmation | None:
    """Return what confirm has found so far, by a sweep's study; None if nobody has asked for it."""
    asked = sweep.facts.get(CONFIRM)
    if not asked:
        return None
    windows, seeds = asked["windows"], int(asked["seeds"])
    made = _made(sweep, windows)
    base, known = sweep.base, {trial.number: trial for trial in sweep.trials}
    rows = list[Confirmed]()
    for setting, number in asked["settings"]:
        mine = [made.get((setting, seed_of(int(asked["seed"]), setting, place))) for place in range(seeds)]
        trials = [trial for trial in mine if trial is not None]
        is_base = base is not None and setting_of(base.config) == setting
        name = "base" if is_base else f"trial {known[number].number}"
        errors = tuple(errors_of(sweep, trial) for trial in trials)
        rows.append(Confirmed(setting, number, name, tuple(t.number for t in trials), errors))
    rival = sweep.facts.get(RIVAL)
    if rival and rival["windows"] == windows:
        rows.append(Confirmed("", None, rival["title"], (), (tuple(rival["errors"]),)))
    left = seeds * len(asked["settings"]) - sum(trial.ended for trial in _of_rows(rows, known))
    tried = len(settings_tried(sweep))
    return Confirmation(sweep.metric, sweep.direction, windows, sweep.windows.count, tried, tuple(rows), left)


def _of_rows(rows: list[Confirmed], known: Mapping[int, Trial]) -> Iterator[Trial]:
    for row in rows:
        for number in row.trials:
            yield known[number]


def _made(sweep: "Sweep", windows: str) -> dict[tuple[str, int], Trial]:
    """Return the trials of confirm on some windows by setting and seed; the latest, if one was tried again."""
    mine = (trial for trial in sweep.confirming if trial.config.get(JUDGED_ON, "search") == windows)
    return {(setting_of(trial.config), trial.config["training"]["seed"]): trial for trial in mine}
