"""Two versions of the code beside each other: the same losses to the bit, and the time and memory of reading.

    python tests/bench/readings.py OTHER_CHECKOUT [--rows 10000000]

Each version runs in a process of its own, by turns, on the same files: the shipped specs with a table are trained for
two epochs, and a made-up CSV of so many rows is read three times by each, `--turns` times. The exit code is 1 if a
loss differs; `--rows-only` leaves the losses out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parents[2]
SPECS = ("co2.yaml", "weather.yaml", "single.yaml", "conditional.yaml", "front.yaml", "digits.yaml")
TRAIN = """
import json, sys
from pathlib import Path
from experiments.spec import loader
from lstm.tasks import registry
from lstm.training import loop
found = {}
for name in sys.argv[2:]:
    experiment = loader.load(Path(sys.argv[1]) / name).experiment
    data = registry.load(experiment.widest, experiment.location.within(Path(sys.argv[1])), experiment.reach)
    base = experiment.base
    training = base.training.model_copy(update={"max_epochs": 2, "patience": None})
    epochs = loop.train(base.model_copy(update={"training": training}), data, None, device="cpu")
    found[name] = [float(epoch.metrics["train/loss"]).hex() for epoch in epochs]
print(json.dumps(found))
"""
READ = """
import json, resource, sys, time
from pathlib import Path
from lstm.config.forecast import ForecastData, Split
from lstm.data import forecast
config = ForecastData(time="t", target="v", lookback=10, horizon=5, split=Split(validation=0.1, test=0.1))
took = []
for _ in range(3):
    started = time.process_time()  # of all threads: other work on the machine does not count
    forecast.load(config, Path(sys.argv[1]))
    took.append(time.process_time() - started)
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"CPU seconds": round(min(took), 3), "MiB": round(most)}))
"""


def run(checkout: Path, code: str, *words: str) -> dict[str, object]:
    """Run code of one version and return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=checkout, env=environment, capture_output=True, text=True, check=True
    )
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Compare two versions."""
    parser = argparse.ArgumentParser()
    parser.add_argument("other", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--rows-only", action="store_true")
    asked = parser.parse_args()
    versions = {"other": asked.other.resolve(), "this": HERE}
    specs = () if asked.rows_only else SPECS
    losses = {name: run(where, TRAIN, str(HERE / "experiments"), *specs) for name, where in versions.items()}
    for spec in specs:
        print(
            spec,
            "same to the bit" if losses["other"][spec] == losses["this"][spec] else "DIFFERS",
            losses["this"][spec],
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.csv")
        times = pd.date_range("2001-01-01", periods=asked.rows, freq="min")
        values = np.random.default_rng(0).normal(size=asked.rows).round(4)
        pd.DataFrame({"t": times, "v": values}).to_csv(path, index=False)
        for turn in range(asked.turns):
            print(
                f"reading {asked.rows:,} rows, turn {turn + 1}:",
                {n: run(w, READ, str(path)) for n, w in versions.items()},
            )
    return int(losses["other"] != losses["this"])


if __name__ == "__main__":
    sys.exit(main())
