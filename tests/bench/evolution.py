"""Evolution strategies beside back-propagation, with random weights as the floor: what each reaches, and what it costs.

    python tests/bench/evolution.py [--seeds 3]

On two problems, by the shipped specs: `evolution.yaml` (repeat a symbol: both methods find the way) and
`evolution_accuracy.yaml` (digits, by the share that is right, which has no gradient). The gradient's training is the
spec's base, evolution's is the spec's first setting. The floor draws networks as a training begins with them, one after
another, measures each on a whole pass, as many as have evolution's passes together, and keeps the best by the reward.
Printed are the search's metric on the validation and on the test part, passes over the training part (one of the
gradient counts as three: forward, and about twice as much backward), and CPU seconds on one thread.
"""

import argparse
import math
import time
from pathlib import Path
from statistics import mean

import torch

from experiments.spec import loader as specs
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.objective import is_better
from lstm.tasks import registry as tasks
from lstm.training.evolution import Evolution
from lstm.training.loop import train
from lstm.training.run import WEIGHTS, seed_of

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
SPECS = ("evolution.yaml", "evolution_accuracy.yaml")


def main() -> None:
    """Measures and prints a table for each problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    for name in SPECS:
        spec = specs.load(str(EXPERIMENTS / name))
        assert spec.experiment.search is not None
        base = spec.experiment.base
        settings = spec.experiment.search.first[0].items()
        first = {path.removeprefix("training."): value for path, value in settings if path.startswith("training.")}
        evolving = base.model_copy(update={"training": base.training.model_copy(update=first)})
        data = tasks.load(base, spec.location)
        print(f"\n{name}: {base.metric}, mean of {seeds} seeds\n")
        print("| method | validation | test | passes | CPU seconds |\n| --- | --- | --- | --- | --- |")
        spent = 0.0
        for method, config in (("gradient", base), ("evolution", evolving), ("random weights", evolving)):
            found = [answer(method, seeded(config, seed), data, spent) for seed in range(1, seeds + 1)]
            validation, test, spent, cpu = (mean(column) for column in zip(*found, strict=True))
            print(f"| {method} | {validation:.4g} | {test:.4g} | {spent:,.0f} | {cpu:.1f} |", flush=True)


def answer(method: str, config: TrialConfig, data: Dataset, passes: float) -> tuple[float, float, float, float]:
    """The metric on validation and test part, the passes over the training part, and the CPU seconds."""
    started = time.process_time()
    if method == "random weights":
        network = floor(config, data, round(passes))
    else:
        epochs = list(train(config, data))
        state = epochs[-1].state
        assert state is not None
        network = tasks.of(config).network(config, tasks.of(config).facts(data))
        network.load_state_dict(dict(state.best_weights))
        passes = len(epochs) * (1 + 2 * config.training.pairs if method == "evolution" else 3)
    cpu, feed = time.process_time() - started, tasks.of(config).feed(data, config, "cpu")
    values = [feed.evaluate(network, part)[config.metric.removeprefix("val/")] for part in ("validation", "test")]
    return values[0], values[1], passes, cpu


def floor(config: TrialConfig, data: Dataset, count: int) -> torch.nn.Module:
    """The best of networks with random weights, by the reward on the training part."""
    reward, best = config.training.rewarded, (math.nan, 0)
    direction = tasks.direction_of(config, reward)
    run = Evolution(config, data, "cpu")
    for number in range(count):
        run.network = drawn(config, data, number)
        batches = list(run.batches(1))
        value = run.measured(batches)[0][reward]
        if is_better(value, best[0], direction):
            best = value, number
    return drawn(config, data, best[1])


def drawn(config: TrialConfig, data: Dataset, number: int) -> torch.nn.Module:
    """A network with the weights of a beginning."""
    torch.manual_seed(seed_of(config.training.seed, WEIGHTS, number))
    return tasks.of(config).network(config, tasks.of(config).facts(data)).eval()


def seeded(config: TrialConfig, seed: int) -> TrialConfig:
    """The configuration with another seed."""
    return config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})


if __name__ == "__main__":
    main()
