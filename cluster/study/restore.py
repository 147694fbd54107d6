"""Make a lost study again from what the checkpoints and MLflow know about its trials.

`experiments/recovery/lost_study.py` gathers what they know.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from cluster.config import GridSampler
from cluster.decisions import ATTEMPT, Decisions, End
from cluster.space import suggest
from cluster.study.private_patches import FIXED, GRID, GRID_PLACE
from cluster.study.study import Study
from lstm.config.trial import TrialConfig
from lstm.records.epoch import Epoch
from lstm.records.objective import Scalar
from lstm.records.sweep import KEEPS_BASE


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about a trial."""

    number: int
    settings: Mapping[str, Scalar] | None  # None if no store knows them: then they are drawn again
    history: tuple[Epoch, ...] = ()
    end: End | None = None  # None if the trial is to go on
    attempt: int = 0
    worker: str = ""  # given together with `started_at_ms`, if known
    started_at_ms: int | None = None
    made: Decisions | None = None  # what it was made from and for; None if no store knows


def settings_of(config: TrialConfig, searched: suggest.Space) -> dict[str, Scalar]:
    """Return the searched values of a trial's whole configuration: the active parameters, conditions first."""
    settings = dict[str, Scalar]()
    for path in suggest.order(searched):
        if suggest.active(searched[path], settings):
            section, field = path.split(".")
            settings[path] = getattr(getattr(config, section), field)
    return settings


def restore(study: Study, known: Sequence[Known]) -> list[int]:
    """Put trials into an empty study, under the numbers that they had.

    Pruner and sampler get the trials as they once did: epoch by epoch, and the ends in their order. Returns the numbers
    of the trials without known settings; these trials are run again.
    """
    by_number = {each.number: each for each in known}
    numbers = range(max(by_number, default=-1) + 1)
    memory = Study(study.url, study.name, study.search, study.base, optuna.storages.InMemoryStorage())
    keeps_base = any(is_base(study, each) for each in known)
    memory.remember(**({KEEPS_BASE: True} if keeps_base else {}))
    queue = study.queue(keeps_base=keeps_base)
    points = _grid_points(study, by_number, numbers[keeps_base:])
    for number in numbers:
        memory.add(_running(study, by_number.get(number, Known(number, None)), queue, points.get(number)))
    ends = sorted((each.end.at_ms or 0, each.number) for each in known if each.end)
    open_ones = [each.number for each in known if not each.end and each.settings is not None]
    for number in [*(number for _, number in ends), *open_ones]:
        each = by_number[number]
        memory.adopt(number)
        for epoch in each.history:  # as they once came, one after another; the pruner's answers were acted on then
            memory.report(number, [epoch])
        if each.end:
            memory.end(number, each.end)
    for frozen in memory.frozen():
        study.add(frozen)
    return [number for number in numbers if number not in by_number or by_number[number].settings is None]


def _grid_points(study: Study, known: Mapping[int, Known], numbers: Sequence[int]) -> dict[int, int]:
    """Return, by trial, the number of its point in the grid; empty if the sampler is no grid.

    A trial without known settings gets a point that no other trial has.
    """
    if not (study.search and isinstance(study.search.sampler, GridSampler)):
        return {}
    grid = suggest.grid(study.search.space)
    places = {point: place for place, point in enumerate(_points(grid, study.search.sampler.seed))}
    settings = {number: known[number].settings for number in numbers if number in known}
    points = {
        number: places[point]
        for number, setting in settings.items()
        if setting and (point := tuple(setting.get(name) for name in sorted(grid))) in places
    }
    left = iter(sorted(set(range(len(places))) - set(points.values())))
    return {number: points[number] if number in points else next(left, 0) for number in numbers}


def _points(grid: Mapping[str, Sequence[Scalar]], seed: int) -> Iterator[tuple[Scalar, ...]]:
    """Yield a grid's points by number, shuffled as its sampler does; a point's values are in order of the names."""
    made, nobody = optuna.samplers.GridSampler(grid, seed=seed), optuna.create_study()
    choices = {name: optuna.distributions.CategoricalDistribution(grid[name]) for name in sorted(grid)}
    for place in range(math.prod(len(values) for values in grid.values())):
        trial = optuna.trial.create_trial(state=TrialState.RUNNING, system_attrs={GRID_PLACE: place})
        yield tuple(made.sample_independent(nobody, trial, name, each) for name, each in choices.items())


def _running(
    study: Study, known: Known, queue: Sequence[tuple[Mapping[str, Scalar], Decisions]], point: int | None
) -> FrozenTrial:
    """Return a trial as it was when its settings had been drawn.

    `queue` is what was tried before anything was drawn; `point` is the number of its point, if a grid is searched.
    """
    searched = study.search.space if study.search else {}
    settings, decided = dict(known.settings or {}), known.made or Decisions()
    system: dict[str, Any] = {}
    if known.number < len(queue):
        queued, told = queue[known.number]
        system[FIXED] = dict(queued)
        decided = replace(told, derived=decided.derived or told.derived, base=decided.base or told.base)
    if decided.derived and decided.derived.purpose == "base":
        settings = {}  # they are the spec's own, inside the space or not
    if point is not None:
        points = suggest.grid(searched)
        system |= {GRID_PLACE: point, GRID: {path: points[path] for path in sorted(points)}}
    attributes = decided.asked() | ({ATTEMPT: known.attempt} if known.attempt else {})
    attributes |= decided.started(known.worker, known.started_at_ms) if known.worker else {}
    return optuna.trial.create_trial(
        state=TrialState.RUNNING,
        params=settings,
        distributions={path: _distribution(searched, path) for path in settings},
        user_attrs=attributes,
        system_attrs=system,
    )


def is_base(study: Study, known: Known) -> bool:
    """Return whether a trial was the base; if no store says so, whether trial 0 has the spec's own settings."""
    if known.made is None:
        return known.number == 0 and known.settings is not None and study.is_base_setting(known.settings)
    return known.made.is_base


class _Recorder:
    """A trial that only keeps the distribution that `space.suggest` would draw from."""

    def __init__(self) -> None:
        self.distribution: BaseDistribution | None = None

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        self.distribution = optuna.distributions.IntDistribution(low, high, log=log, step=step)
        return low

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        self.distribution = optuna.distributions.FloatDistribution(low, high, log=log, step=step)
        return low

    def suggest_categorical(self, name: str, choices: Sequence[Scalar]) -> Scalar:
        self.distribution = optuna.distributions.CategoricalDistribution(choices)
        return choices[0]


def _distribution(searched: suggest.Space, path: str) -> BaseDistribution:
    recorder = _Recorder()
    suggest.suggest(recorder, {path: searched[path].model_copy(update={"when": None})})
    assert recorder.distribution is not None
    return recorder.distribution
