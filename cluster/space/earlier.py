"""Settings that were good in earlier sweeps: in what order they are tried, and which of them lie in a new space."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, NamedTuple

from cluster.config import AnyDimension, CategoricalDimension, FirstFrom, FloatDimension, SearchConfig
from cluster.space import combinations, rules, suggest
from lstm.config.section import unwritten
from lstm.config.training import TrainingConfig
from lstm.config.trial import TrialConfig
from lstm.records.errors import fault
from lstm.records.objective import Scalar, sort_key
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial

SEED = "training.seed"  # no part of a setting: another seed is another training of the same setting
MOST_LEFT_OUT = 20  # of the settings that are passed over, so many are kept with their reason


@dataclass(frozen=True, slots=True)
class Origin:
    """A trial of an earlier sweep, and what becomes of its settings here."""

    sweep: str
    trial: int
    rank: float  # 1 is the best; the mean over the earlier sweeps that tried the setting
    settings: Mapping[str, Scalar]  # in this space; empty if they don't lie in it
    why: str = ""  # why they don't lie in it


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is tried first of earlier sweeps, and what is passed over because it is not in the space."""

    first: tuple[Origin, ...]
    left_out: tuple[Origin, ...]  # at most `MOST_LEFT_OUT`
    left_out_count: int

    def row(self) -> dict[str, Any]:
        """Return it as plain data, as a study remembers it."""
        return asdict(self) | {name: [asdict(each) for each in getattr(self, name)] for name in ("first", "left_out")}

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Chosen":
        """Read it from a study's row."""
        first, left_out = (tuple(Origin(**each) for each in row[name]) for name in ("first", "left_out"))
        return cls(first, left_out, int(row["left_out_count"]))


class _Candidate(NamedTuple):
    origin: Origin
    key: str  # equal for settings that are the same in this space


def choose(first: FirstFrom, search: SearchConfig, base: TrialConfig, sweeps: Sequence[Sweep]) -> Chosen:
    """Choose the settings to try first.

    In each earlier sweep the settings of its completed trials and of its base are ranked by value. A setting of several
    sweeps has the mean of its ranks. Of equals, the one in more sweeps comes first, then the one of the sweep that is
    named first. So the choice depends on the earlier sweeps alone, and not on chance.

    Args:
        first: The names of the earlier sweeps, and how many settings are tried.
        search: The search of the new sweep.
        base: Its own settings.
        sweeps: The earlier sweeps, in the order of their names in `first`.
    """
    found: dict[str, list[tuple[float, int, Origin]]] = {}
    for place, sweep in enumerate(sweeps):
        for rank, (origin, key) in enumerate(_ranked(sweep, search, base), 1):
            found.setdefault(key, []).append((rank, place, origin))
    found.pop(combinations.Keys(base, search.space)({}), None)
    order = sorted(found.values(), key=lambda ranks: (fmean(each[0] for each in ranks), -len(ranks), ranks[0][:2]))
    chosen, left_out = list[Origin](), list[Origin]()
    for ranks in order:
        if len(chosen) == first.top:
            break
        one = ranks[0][2]
        mean = Origin(one.sweep, one.trial, round(fmean(each[0] for each in ranks), 3), one.settings, one.why)
        (left_out if mean.why else chosen).append(mean)
    return Chosen(tuple(chosen), tuple(left_out[:MOST_LEFT_OUT]), len(left_out))


def _ranked(sweep: Sweep, search: SearchConfig, base: TrialConfig) -> Iterator[_Candidate]:
    """Yield the different settings of a sweep that have a value, the best first."""
    beside = [sweep.base] if sweep.base and not sweep.base.counts else []
    trials = [trial for trial in (*sweep.counted, *beside) if trial.compared_value is not None]
    searched = {path for trial in sweep.trials for path in trial.settings}
    keys, seen = combinations.Keys(base, search.space), set[str]()
    for trial in sorted(trials, key=lambda t: (sort_key(t.compared_value, sweep.direction), t.number)):
        settings, why = _inside(trial, trial.settings or searched, search, base)
        origin = Origin(sweep.name, trial.number, 0, settings, why)
        key = f"{sweep.name} {trial.number}" if why else keys(settings)
        if key not in seen:
            seen.add(key)
            yield _Candidate(origin, key)


def _inside(
    trial: Trial, searched: Iterable[str], search: SearchConfig, base: TrialConfig
) -> tuple[dict[str, Scalar], str]:
    """Return an earlier trial's settings in this space and ""; if they don't lie in it, {} and why.

    `searched` are the fields that the earlier sweep searched. A field that the earlier trial does not have, because its
    task is another one, is left to the sampler.
    """
    own = base.model_dump()
    for path in searched:
        here, there = _value(own, path), _value(trial.config, path)
        if path not in search.space and path != SEED and not suggest.same(here, there):
            told = fault("first-fixed-here", path, value=there, here=here)
            return {}, f"{path} {told.text}"
    settings: dict[str, Scalar] = {}
    for path in suggest.order(search.space):
        dimension = search.space[path]
        if path == SEED or not suggest.active(dimension, settings):
            continue
        value = _value(trial.config, path)
        if value is ...:
            continue
        if value is None or not rules.possible(value, dimension):
            return {}, f"{path} {rules.outside(path, value, dimension).text}"
        settings[path] = _as_in(dimension, value)
    return settings, ""


def _value(config: Mapping[str, Any], path: str) -> Any:
    """Return a field's value in a configuration; ... if it has no such field."""
    section, _, field = path.partition(".")
    left_out = unwritten(TrainingConfig).get(field, ...) if section == "training" else ...
    return (config.get(section) or {}).get(field, left_out)


def _as_in(dimension: AnyDimension, value: Scalar) -> Scalar:
    """Return a value of a dimension in the dimension's own type."""
    if isinstance(dimension, CategoricalDimension):
        return next(choice for choice in dimension.choices if suggest.same(choice, value))
    return float(value) if isinstance(dimension, FloatDimension) and isinstance(value, int) else value
