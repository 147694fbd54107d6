"""What `model.residual: linear` is worth: a spec's base with it and with `last`, and the ridge regression alone.

    python tests/bench/highway.py [SPEC] [--set data.lookback=104 …]

Each trained to its end from four seeds in this process, a minute for co2.yaml. Printed are the loss on validation
(scaled) of the best epoch, and the mean absolute error on the test part (original units), which nothing was chosen by.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from experiments.spec import loader as specs
from lstm.checkpoint import Checkpoint
from lstm.nn import highway
from lstm.tasks import registry as tasks
from lstm.tasks.networks import forecast
from lstm.training import loop

SEEDS = (1, 2, 3, 4)
CO2 = Path(__file__).parents[2] / "experiments" / "co2.yaml"


def main() -> None:
    """Measures and prints a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", nargs="?", default=str(CO2))
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    given = parser.parse_args()
    torch.set_num_threads(1)
    spec = specs.load(given.spec, given.overrides)
    base = spec.experiment.base
    series = tasks.load(base, spec.location, spec.experiment.reach)
    for residual in ("linear", "last"):
        model = base.model.model_copy(update={"residual": residual})
        rows = []
        for seed in SEEDS:
            seeded = base.training.model_copy(update={"seed": seed})
            config = base.model_copy(update={"model": model, "training": seeded})
            if residual == "linear" and seed == SEEDS[0]:
                network = forecast.build(config, series)
                highway.start(network, series, config)
                feed = forecast.Feed(series, config, "cpu")
                alone = [feed.evaluate(network, part) for part in ("validation", "test")]
                print(f"ridge   val/loss {alone[0]['loss']:.5f}  test {shown(alone[1])}", flush=True)
            *_, last = loop.train(config, series)
            kept = Checkpoint(config, asdict(series.facts), last.state)
            judged = {name.removeprefix("test/"): value for name, value in tasks.judge(kept, series).items()}
            loss = forecast.Feed(series, config, "cpu").evaluate(tasks.best_network(kept), "validation")["loss"]
            rows.append(loss)
            print(f"{residual:7} val/loss {loss:.5f}  test {shown(judged)}  seed {seed}", flush=True)
        print(f"{residual:7} val/loss {np.mean(rows):.5f}  in the mean", flush=True)


def shown(metrics: dict[str, float]) -> str:
    """The error of each target."""
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items() if name.startswith("mae_original"))


if __name__ == "__main__":
    main()
