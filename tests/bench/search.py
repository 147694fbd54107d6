"""How soon a search finds what is good, beside Ray Tune's own OptunaSearch and ASHA on the same space.

    python tests/bench/search.py --tables co2 seattle digits --workers 2 8 --seeds 20 --json search.json

Searches are replayed on recorded curves (`curves.py`), W trials at once in virtual time that recorded epochs take. What
counts is trials begun and epochs trained until any epoch of any trial is within 2 % of the best value in the table.
All sides have the same trainer, with the spec's patience. Ours is `cluster.study.Study` with the spec's own sampler,
pruner and first settings; the peer is OptunaSearch with its default sampler and ASHA with its defaults, driven as Tune
drives them; the peer alike has our rungs and our first settings, which leaves the two searches themselves.
A search that has found nothing after 200 trials counts as what it used up until then, which is too little.
"""

import argparse
import heapq
import itertools
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, Protocol
from unittest.mock import patch

import numpy as np
import optuna
import ray
from curves import TABLES, Cell, Curve, Table
from ray import tune
from ray.tune.schedulers import ASHAScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from cluster import storage, study
from cluster.config import CategoricalDimension, IntDimension, SearchConfig, SuccessiveHalvingPruner
from lstm.records import Epoch, Scalar, Why

NEAR = 1.02  # within 2 % of the best
MOST_TRIALS = 200


class Side(Protocol):
    """A search as a replay drives it; trials are named by their order."""

    def ask(self, trial: int) -> Mapping[str, Scalar]:
        """The next trial's settings."""
        ...

    def report(self, trial: int, epoch: int, value: float, stop: Why | None) -> bool:
        """Takes an epoch's value, and whether it is the trainer's last; returns whether the trial ends."""
        ...


class Ours:
    """Our study as the bridge drives it: each epoch reported, a finished trial's value its best epoch's."""

    def __init__(self, table: Table, search: SearchConfig, seed: int) -> None:
        seeded = search.model_copy(update={"sampler": search.sampler.model_copy(update={"seed": seed})})
        memory = optuna.storages.InMemoryStorage()
        with patch.object(storage, "connect", lambda _: memory), patch.object(study, "SoleStorage", lambda of: of):
            self._study = study.Study("", "replay", seeded, table.base)
        self._study.enqueue_first()
        self._number: dict[int, int] = {}
        self._values: dict[int, list[float]] = {}

    def ask(self, trial: int) -> Mapping[str, Scalar]:
        self._number[trial], self._values[trial] = self._study.ask(), []
        return self._study.begin_attempt(self._number[trial])[0]

    def report(self, trial: int, epoch: int, value: float, stop: Why | None) -> bool:
        number, values = self._number[trial], self._values[trial]
        values.append(value)
        prune = self._study.report(number, [Epoch(epoch, {"epoch_s": 0.0}, value, 0, stop)])
        if stop or prune:
            best = min(values)
            decision = {
                "state": "COMPLETE" if stop else "PRUNED",
                "value": best,
                "best_epoch": values.index(best) + 1,
                "reason": "",
                "diverged": False,
                "checkpoint": "",
                "at_ms": 0,
            }
            self._study.end(number, decision)
        return bool(stop or prune)


class Peer:
    """OptunaSearch and ASHA, in the order of `TuneController._process_trial_result` and `stop_trial`."""

    def __init__(self, table: Table, seed: int, first: Sequence[Mapping[str, Scalar]] = (), **rungs: int) -> None:
        space = OptunaSearch.convert_search_space(domains(table))
        first = [dict(settings) for settings in first]
        self._searcher = OptunaSearch(space, metric="value", mode="min", seed=seed, points_to_evaluate=first)
        self._scheduler = ASHAScheduler(metric="value", mode="min", max_t=table.base.training.max_epochs, **rungs)

    @classmethod
    def alike(cls, table: Table, seed: int) -> "Peer":
        """The peer with our first settings, and with our rungs where we have any."""
        pruner = table.search.pruner
        if not isinstance(pruner, SuccessiveHalvingPruner):
            return cls(table, seed, table.search.first)
        rungs = {"grace_period": pruner.min_resource, "reduction_factor": pruner.reduction_factor}
        return cls(table, seed, table.search.first, **rungs)

    def ask(self, trial: int) -> Mapping[str, Scalar]:
        settings: dict[str, Scalar] = self._searcher.suggest(str(trial))
        self._scheduler.on_trial_add(None, _tune_trial(trial))
        return settings

    def report(self, trial: int, epoch: int, value: float, stop: Why | None) -> bool:
        result = {"training_iteration": epoch, "value": value}
        ends = bool(stop) or (self._scheduler.on_trial_result(None, _tune_trial(trial), result) == TrialScheduler.STOP)
        if ends:
            self._scheduler.on_trial_complete(None, _tune_trial(trial), result)
            self._searcher.on_trial_complete(str(trial), result)
        else:
            self._searcher.on_trial_result(str(trial), result)
        return ends


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
class Found:
    """What it took; more than the replay's end where it was not found."""

    trials: int
    epochs: int
    seconds: float
    steps: tuple[tuple[int, int, float], ...]  # trials, epochs and value wherever the best got better


def replay(table: Table, side: Side, workers: int, most_trials: int = MOST_TRIALS, near: float = NEAR) -> Found:
    """Searches the table until a value is near the best there is."""
    goal = near * min(min(curve.values) for curve in table.curves.values())
    patience = table.base.training.patience
    trials = epochs = 0
    order = itertools.count()
    best, steps = float("inf"), list[tuple[int, int, float]]()
    events: list[tuple[float, int, int, int, Curve]] = []  # when which epoch of which trial is done

    def begin(now: float) -> None:
        nonlocal trials
        if trials < most_trials:
            curve = table.curves[table.cell(side.ask(trials))]
            heapq.heappush(events, (now + curve.epoch_s, next(order), trials, 1, curve))
            trials += 1

    for _ in range(workers):
        begin(0.0)
    while events:
        now, _, trial, epoch, curve = heapq.heappop(events)
        epochs += 1
        value = curve.values[epoch - 1]
        if value < best:
            best = value
            steps.append((trials, epochs, value))
        if value <= goal:
            return Found(trials, epochs, now, tuple(steps))
        if side.report(trial, epoch, value, _stop(curve, epoch, patience)):
            begin(now)
        else:
            heapq.heappush(events, (now + curve.epoch_s, next(order), trial, epoch + 1, curve))
    return Found(trials + 1, epochs + 1, now, tuple(steps))


def _stop(curve: Curve, epoch: int, patience: int | None) -> Why | None:
    """As `lstm.training` says it."""
    values = curve.values[:epoch]
    if patience is not None and epoch - 1 - values.index(min(values)) >= patience:
        return "patience"
    return "max_epochs" if epoch == len(curve.values) else None


def quartiles(values: Sequence[int]) -> list[float]:
    """The 25th, 50th and 75th of a hundred."""
    return [float(q) for q in np.percentile(values, [25, 50, 75])]


def compare(table: Table, workers: int, seeds: Sequence[int], near: float) -> dict[str, Any]:
    """All sides over the seeds, and the ratios of our median to theirs."""
    sides: dict[str, Callable[[int], Side]] = {
        "ours": lambda seed: Ours(table, table.search, seed),
        "peer": lambda seed: Peer(table, seed),
        "peer alike": lambda seed: Peer.alike(table, seed),
    }
    found = {name: [replay(table, make(seed), workers, near=near) for seed in seeds] for name, make in sides.items()}
    told: dict[str, Any] = {"table": table.name, "workers": workers, "near": near, "seeds": list(seeds)}
    for what in ("trials", "epochs", "seconds"):
        each = {name: [getattr(f, what) for f in all_found] for name, all_found in found.items()}
        told[what] = {name: quartiles(values) for name, values in each.items()} | {"each": each}
        told[what]["ratio"] = {name: median(each["ours"]) / median(each[name]) for name in sides if name != "ours"}
    told["not found"] = {name: sum(f.trials > MOST_TRIALS for f in each_found) for name, each_found in found.items()}
    return told


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
    replay(table, peer, 1, trials, near=0)
    return found


def main() -> None:
    """Compares and prints, or holds the replay of the peer against a real Tune."""
    options = _options()
    logging.disable(logging.WARNING)  # Tune's word that the space was converted
    if options.check:
        same = [real(TABLES[t], 0, 20) == replayed(TABLES[t], 0, 20) for t in options.tables]
        print(
            "the replay does as Tune does"
            if all(same)
            else f"they differ: {dict(zip(options.tables, same, strict=True))}"
        )
        sys.exit(not all(same))
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    told = [
        compare(TABLES[name], workers, seeds, options.near) for name in options.tables for workers in options.workers
    ]
    for each in told:
        print(f"{each['table']}, {each['workers']} at once, not found {each['not found']}")
        for what in ("trials", "epochs", "seconds"):
            shown = (f"{side} {' / '.join(f'{q:.0f}' for q in each[what][side]):16}" for side in each["not found"])
            print(f"  {what:8}", *shown, "ratios", *(f"{r:.2f}" for r in each[what]["ratio"].values()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(told, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--workers", type=int, nargs="+", default=[2])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--near", type=float, default=NEAR, help="times the best value: what counts as found")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--check", action="store_true", help="hold the peer's replay against a real Tune run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
