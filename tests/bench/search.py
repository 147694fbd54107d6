"""How soon a search finds what is good, beside its equals on the same recorded curves.

    python tests/bench/search.py --seeds 100 --workers 2 8 --json search.json
    python tests/bench/search.py --check                                   # the peer's replay against Tune

Searches are replayed on recorded curves (`curves.py`), W trials at once in virtual time that recorded epochs take.
The sides have one trainer with the spec's patience, and one start: the base, which runs to its end and whose epochs
count, then the spec's first settings.

    ours        `cluster.study.study.Study` with the spec's sampler and pruner, but 10 random starts (`curves.STARTUP`)
    peer alike  Ray Tune's OptunaSearch and ASHA, with the spec's rungs, driven as Tune drives them
    optuna      Optuna alone with its defaults: TPE and the median pruner
    random      random draws, nothing pruned

**Regret** is how far the best value so far lies from the best of the table: 0 is the best cell's best epoch, 1 the
median cell's. It is told as the mean over the first B epochs that all trials took together, and as what it is after
them. Beside ours stands the difference, paired by seed, with its 95 % interval (percentile bootstrap over the seeds).
**Found** is the first epoch within 2 % of the best value. A search that does not come there in the most epochs counts
as not found; a quartile that such a search would decide is not told.
"""

import argparse
import heapq
import itertools
import json
import logging
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
import optuna
import ray
from curves import TABLES, Cell, Curve, Table
from ray import tune
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from cluster.config import CategoricalDimension, HyperbandPruner, IntDimension, SuccessiveHalvingPruner
from cluster.decisions import End
from cluster.space import combinations, suggest
from cluster.study.study import Study
from lstm.config.trial import TrialConfig
from lstm.records.epoch import Epoch, Why
from lstm.records.objective import Scalar
from lstm.records.sweep import KEEPS_BASE

NEAR = 1.02  # within 2 % of the best
BUDGETS = (50, 100, 200, 400)  # epochs of all trials together
RESAMPLES = 10_000


class Side(Protocol):
    """A search as a replay drives it; trials are named by their order."""

    def ask(self, trial: int) -> Mapping[str, Scalar]:
        """The next trial's settings; what they leave out is as in the base."""
        ...

    def report(self, trial: int, epoch: int, value: float, stop: Why | None) -> bool:
        """Takes an epoch's value, and whether it is the trainer's last; returns whether the trial ends."""
        ...


class Ours:
    """Our study as the controller drives it: each epoch reported, a finished trial's value its best epoch's."""

    def __init__(self, table: Table, seed: int, base: TrialConfig | None = None) -> None:
        """Begins a study in memory; `base` replaces the table's, for example by one with a backtest."""
        search = table.search
        seeded = search.model_copy(update={"sampler": search.sampler.model_copy(update={"seed": seed})})
        self._study = Study("", "replay", seeded, base or table.base, optuna.storages.InMemoryStorage())
        self._study.remember(**{KEEPS_BASE: True})
        self._study.enqueue_first()
        self._number: dict[int, int] = {}
        self._history: dict[int, list[Epoch]] = {}

    def ask(self, trial: int) -> Mapping[str, Scalar]:
        """Optuna's suggestion, as the study stores it."""
        number = self._study.ask()
        assert number is not None
        self._number[trial], self._history[trial] = number, []
        return self._study.begin_attempt(number)[0]

    def report(self, trial: int, epoch: int, value: float, stop: Why | None, window: int = 1) -> bool:
        """Reports, and ends the trial where the study says so, or the trainer in the last window of a backtest."""
        number, history, windows = self._number[trial], self._history[trial], self._study.windows
        history.append(Epoch(epoch, {"epoch_s": 0.0}, value, 0, stop, window=window))
        prune, is_over = self._study.report(number, history[-1:]), windows.is_over(history[-1])
        if is_over or prune:
            result = windows.result(history, "minimize")
            self._study.end(number, End("COMPLETE" if is_over else "PRUNED", *result, at_ms=0))
        return is_over or prune


class Peer:
    """OptunaSearch and ASHA, in the order of `TuneController._process_trial_result` and `stop_trial`."""

    def __init__(self, table: Table, seed: int, first: Sequence[Mapping[str, Scalar]] = (), **rungs: int) -> None:
        """Makes both; without rungs they are Tune's own."""
        self._kept = _base_place(table) is not None and bool(first)
        searched = OptunaSearch.convert_search_space(domains(table))
        tried = [dict(settings) for settings in first]
        self._searcher = OptunaSearch(searched, metric="value", mode="min", seed=seed, points_to_evaluate=tried)
        self._scheduler = ASHAScheduler(metric="value", mode="min", max_t=table.base.training.max_epochs, **rungs)

    @classmethod
    def alike(cls, table: Table, seed: int) -> "Peer":
        """The peer with our first settings and our rungs."""
        pruner = table.search.pruner
        assert isinstance(pruner, SuccessiveHalvingPruner | HyperbandPruner)
        rungs = {"grace_period": pruner.min_resource, "reduction_factor": pruner.reduction_factor}
        return cls(table, seed, first_settings(table), **rungs)

    def ask(self, trial: int) -> Mapping[str, Scalar]:
        """The searcher's suggestion."""
        settings: dict[str, Scalar] = self._searcher.suggest(str(trial))
        self._scheduler.on_trial_add(None, _tune_trial(trial))
        return settings

    def report(self, trial: int, epoch: int, value: float, stop: Why | None) -> bool:
        """Asks the scheduler, then tells the searcher."""
        result = {"training_iteration": epoch, "value": value}
        decision = self._scheduler.on_trial_result(None, _tune_trial(trial), result)
        is_base = self._kept and trial == 0
        ends = bool(stop) or (decision == TrialScheduler.STOP and not is_base)
        if ends:
            self._scheduler.on_trial_complete(None, _tune_trial(trial), result)
            self._searcher.on_trial_complete(str(trial), result)
        else:
            self._searcher.on_trial_result(str(trial), result)
        return ends


class Plain:
    """Optuna's own loop of ask, report, should_prune and tell."""

    def __init__(self, table: Table, sampler: optuna.samplers.BaseSampler, pruner: optuna.pruners.BasePruner) -> None:
        """Begins a study in memory."""
        self._space, self._kept = table.search.space, _base_place(table) is not None
        self._study = optuna.create_study(sampler=sampler, pruner=pruner)
        for settings in first_settings(table):
            self._study.enqueue_trial(dict(settings))
        self._trials: dict[int, optuna.Trial] = {}

    def ask(self, trial: int) -> Mapping[str, Scalar]:
        """Suggests."""
        self._trials[trial] = self._study.ask()
        return suggest.suggest(self._trials[trial], self._space)

    def report(self, trial: int, epoch: int, value: float, stop: Why | None) -> bool:
        """As Optuna's examples have it: the last epoch's value is the trial's."""
        live = self._trials[trial]
        live.report(value, epoch)
        if stop:
            self._study.tell(live, value)
            return True
        if live.should_prune() and not (self._kept and trial == 0):
            self._study.tell(live, state=optuna.trial.TrialState.PRUNED)
            return True
        return False


def first_settings(table: Table) -> list[Mapping[str, Scalar]]:
    """What is tried before anything is drawn; the base comes first where it is among them."""
    settings: list[Mapping[str, Scalar]] = list(table.search.first)
    place = _base_place(table)
    return settings if place is None else [settings.pop(place), *settings]


def _base_place(table: Table) -> int | None:
    return combinations.base_among(table.search.first, table.base, table.search.space)


class AfterBase:
    """A search with the base before it, of which it does not know; nothing is before it where its first is the base."""

    def __init__(self, table: Table, of: Side) -> None:
        """Wraps a search."""
        self._of, self._shift = of, 0 if _base_place(table) is not None else 1

    def ask(self, trial: int) -> Mapping[str, Scalar]:
        """The base's own settings, then the search's."""
        return self._of.ask(trial - self._shift) if trial >= self._shift else {}

    def report(self, trial: int, epoch: int, value: float, stop: Why | None) -> bool:
        """Hands on what is the search's own."""
        return self._of.report(trial - self._shift, epoch, value, stop) if trial >= self._shift else bool(stop)


def _tune_trial(trial: int) -> Any:
    return SimpleNamespace(trial_id=str(trial))


def domains(table: Table) -> dict[str, Any]:
    """The table's space in Tune's words."""
    found: dict[str, Any] = {}
    for path, of in table.search.space.items():
        if isinstance(of, CategoricalDimension):
            found[path] = tune.choice(of.choices)
        elif isinstance(of, IntDimension):
            found[path] = (
                tune.lograndint(of.low, of.high + 1) if of.log else tune.qrandint(of.low, of.high, of.step or 1)
            )
        else:
            found[path] = tune.loguniform(of.low, of.high) if of.log else tune.uniform(of.low, of.high)
    return found


@dataclass(frozen=True, slots=True)
class Course:
    """How a search went."""

    best: tuple[float, ...]  # the best value so far, after each epoch
    found: int | None  # the first epoch that was near the best of the table


def replay(table: Table, side: Side, workers: int, most_epochs: int = max(BUDGETS), near: float = NEAR) -> Course:
    """Searches the table for so many epochs."""
    goal = near * min(min(curve.values) for curve in table.curves.values())
    patience, base = table.base.training.patience, table.start
    order, trials = itertools.count(), itertools.count()
    best, found = list[float](), None
    events: list[tuple[float, int, int, int, Curve]] = []  # when which epoch of which trial is done

    def begin(now: float) -> None:
        trial = next(trials)
        curve = table.curves[table.cell({**base, **side.ask(trial)})]
        heapq.heappush(events, (now + curve.epoch_s, next(order), trial, 1, curve))

    for _ in range(workers):
        begin(0.0)
    while len(best) < most_epochs:
        now, _, trial, epoch, curve = heapq.heappop(events)
        value = curve.values[epoch - 1]
        best.append(min(value, best[-1]) if best else value)
        if found is None and value <= goal:
            found = len(best)
        if side.report(trial, epoch, value, _stop(curve, epoch, patience)):
            begin(now)
        else:
            heapq.heappush(events, (now + curve.epoch_s, next(order), trial, epoch + 1, curve))
    return Course(tuple(best), found)


def _stop(curve: Curve, epoch: int, patience: int | None) -> Why | None:
    """As `lstm.training.loop` says it."""
    values = curve.values[:epoch]
    if patience is not None and epoch - 1 - values.index(min(values)) >= patience:
        return "patience"
    return "max_epochs" if epoch == len(curve.values) else None


MEDIAN, NEVER = optuna.pruners.MedianPruner(), optuna.pruners.NopPruner()
SIDES: dict[str, Callable[[Table, int], Side]] = {
    "ours": Ours,
    "peer alike": lambda table, seed: AfterBase(table, Peer.alike(table, seed)),
    "optuna": lambda table, seed: AfterBase(table, Plain(table, optuna.samplers.TPESampler(seed=seed), MEDIAN)),
    "random": lambda table, seed: AfterBase(table, Plain(table, optuna.samplers.RandomSampler(seed=seed), NEVER)),
}


def regrets(table: Table, course: Course) -> dict[str, list[float]]:
    """Of each budget, the mean regret over its epochs and the regret after them; 1 is the median cell's best epoch."""
    ends = np.array([min(curve.values) for curve in table.curves.values()])
    regret = (np.array(course.best) - ends.min()) / (np.median(ends) - ends.min())
    return {
        "mean": [float(regret[:budget].mean()) for budget in BUDGETS],
        "after": [float(regret[budget - 1]) for budget in BUDGETS],
    }


def interval(differences: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a mean of differences that were paired by seed: a percentile bootstrap over the seeds."""
    drawn = np.random.default_rng(0).integers(len(differences), size=(RESAMPLES, len(differences)))
    low, high = np.percentile(differences[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _played(job: tuple[str, str, int, int, float]) -> tuple[dict[str, list[float]], int | None]:
    """One replay, in a process of the pool."""
    name, side, workers, seed, near = job
    logging.disable(logging.WARNING)  # Tune's word that the space was converted
    course = replay(TABLES[name], SIDES[side](TABLES[name], seed), workers, near=near)
    return regrets(TABLES[name], course), course.found


def compare(name: str, workers: int, seeds: Sequence[int], near: float, pool: ProcessPoolExecutor) -> dict[str, Any]:
    """All sides over the seeds: regrets, what it took to come near the best, and ours beside each other side."""
    jobs = [(name, side, workers, seed, near) for side in SIDES for seed in seeds]
    played = list(pool.map(_played, jobs, chunksize=5))
    by_side = {side: played[i * len(seeds) : (i + 1) * len(seeds)] for i, side in enumerate(SIDES)}
    told: dict[str, Any] = {"table": name, "workers": workers, "near": near, "seeds": len(seeds), "budgets": BUDGETS}
    for what in ("mean", "after"):
        each = {side: np.array([regret[what] for regret, _ in of]) for side, of in by_side.items()}
        told[what] = {side: of.mean(axis=0).tolist() for side, of in each.items()}
        told[f"{what}, ours less"] = {
            side: [(float(column.mean()), *interval(column)) for column in (each["ours"] - of).T]
            for side, of in each.items()
            if side != "ours"
        }
    told["found"] = {side: _finding([found for _, found in of]) for side, of in by_side.items()}
    return told


def _finding(found: Sequence[int | None]) -> dict[str, float | None]:
    """The share that was not found, and quartiles of the epochs; None for one that lies at the cut."""
    epochs = [math.inf if each is None else float(each) for each in found]
    quartiles = [float(q) for q in np.percentile(epochs, [25, 50, 75], method="higher")]
    return {
        "not found": sum(each is None for each in found) / len(found),
        **{f"{q} %": value if math.isfinite(value) else None for q, value in zip((25, 50, 75), quartiles, strict=True)},
    }


def show(told: Mapping[str, Any]) -> None:
    """A table's lines for a terminal."""
    print(
        f"\n{told['table']}, {told['workers']} at once, {told['seeds']} seeds; epochs", _row(told["budgets"], "{:>9}")
    )
    for what in ("mean", "after"):
        for side, values in told[what].items():
            print(f"  {what:5} regret  {side:12} {_row(values, '{:9.4f}')}")
        for side, triples in told[f"{what}, ours less"].items():
            cells = (f"{middle:+.4f} [{low:+.4f}, {high:+.4f}]" for middle, low, high in triples)
            print(f"     ours less {side:12} {'  '.join(cells)}")
    for side, of in told["found"].items():
        quarters = " / ".join("-" if of[q] is None else f"{of[q]:.0f}" for q in ("25 %", "50 %", "75 %"))
        print(f"  found          {side:12} not {of['not found']:4.0%}, epochs {quarters}", flush=True)


def _row(values: Iterable[float], form: str) -> str:
    return " ".join(form.format(value) for value in values)


class Played(tune.Trainable):  # type: ignore[misc] # Ray ships no types
    """A trainable that reads its table, for a real Tune."""

    def setup(self, config: dict[str, Any]) -> None:
        """Looks the curve up."""
        settings = {path: config[path] for path in TABLES[config["table"]].levels}
        table = TABLES[config["table"]]
        self._curve, self._patience = table.curves[table.cell(settings)], table.base.training.patience

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The next trial in the same actor, which saves its start."""
        self.setup(new_config)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a curve needs no state."""

    def step(self) -> dict[str, Any]:
        """An epoch."""
        return {
            "value": self._curve.values[self.iteration],
            "done": bool(_stop(self._curve, self.iteration + 1, self._patience)),
        }


def real(table: Table, seed: int, trials: int) -> list[tuple[Cell, int]]:
    """Tune's own run with one trial at once: each trial's cell and epochs."""
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    tuner = tune.Tuner(
        Played,
        param_space={**domains(table), "table": table.name},
        tune_config=tune.TuneConfig(
            metric="value",
            mode="min",
            num_samples=trials,
            max_concurrent_trials=1,
            search_alg=OptunaSearch(seed=seed),
            scheduler=ASHAScheduler(max_t=table.base.training.max_epochs),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(verbose=0),
    )
    results = tuner.fit()
    ray.shutdown()
    return [(table.cell(r.config), r.metrics["training_iteration"]) for r in results]


def replayed(table: Table, seed: int, trials: int) -> list[tuple[Cell, int]]:
    """The same by the replay."""
    peer, found = Peer(table, seed), list[tuple[Cell, int]]()
    ask, report = peer.ask, peer.report

    def asked(trial: int) -> Mapping[str, Scalar]:
        settings = ask(trial)
        found.append((table.cell(settings), 0))
        return settings

    def reported(trial: int, epoch: int, value: float, stop: Why | None) -> bool:
        found[trial] = (found[trial][0], epoch)
        return report(trial, epoch, value, stop)

    peer.ask, peer.report = asked, reported  # type: ignore[method-assign]
    replay(table, peer, 1, trials * table.base.training.max_epochs)
    return found[:trials]


def main() -> None:
    """Compares and prints, or holds the replay of the peer against a real Tune."""
    options = _options()
    logging.disable(logging.WARNING)
    if options.check:
        same = {t: real(TABLES[t], 0, 20) == replayed(TABLES[t], 0, 20) for t in options.tables}
        print("the replay does as Tune does" if all(same.values()) else f"they differ: {same}")
        sys.exit(not all(same.values()))
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    told = []
    with ProcessPoolExecutor(options.processes) as pool:
        for name, workers in itertools.product(options.tables, options.workers):
            told.append(compare(name, workers, seeds, options.near, pool))
            show(told[-1])
    if options.json:
        options.json.write_text(json.dumps(told, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 8])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--near", type=float, default=NEAR, help="times the best value: what counts as found")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--check", action="store_true", help="hold the peer's replay against a real Tune run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
