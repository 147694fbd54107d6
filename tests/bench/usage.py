"""What system metrics cost a trial: CPU seconds of the same training with and without them, in turns.

    python tests/bench/usage.py --rounds 5 --epochs 40

The training is a small one in this process (hidden size 8, batches of 32), so that its steps are short and the share of
what is done at each step is large. The least of the rounds counts, because other processes only ever make one longer.
"""

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch

from lstm.config.trial import TrialConfig
from lstm.data.forecast import prepare
from lstm.data.tables.regular import Table
from lstm.training.loop import train
from lstm.usage import Usage

CONFIG = {
    "task": "forecast",
    "data": {"target": "y", "lookback": 8, "horizon": 3, "split": {"validation": 0.2, "test": 0.2}},
    "model": {"hidden_size": 8},
    "training": {"batch_size": 32, "learning_rate": 0.01},
}


def main() -> None:
    """Trains in turns, and prints the CPU seconds of each way and their difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = TrialConfig.model_validate(CONFIG | {"training": CONFIG["training"] | {"max_epochs": options.epochs}})
    values = np.random.default_rng(0).normal(size=(4000, 1)).cumsum(axis=0)
    table = Table("a.csv", pd.RangeIndex(len(values)), values, ("y",), "", "0" * 64, ())
    series = prepare(table, config.data, config.data.lookback)
    spent: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(options.rounds):
        for read in (False, True):
            began = time.process_time()
            for _epoch in train(config, series, usage=Usage("cpu") if read else None):
                pass
            spent[read].append(time.process_time() - began)
    without, with_usage = min(spent[False]), min(spent[True])
    print(f"without {without:.3f} s, with {with_usage:.3f} s: {(with_usage / without - 1) * 100:+.2f} %")
    _parts()


def _parts() -> None:
    made = Usage("cpu", clock=iter(range(10**9)).__next__)  # a second passes between two calls
    began = time.process_time()
    for _ in range(1000):
        made.mean()
    print(f"a reading, at most one a second: {(time.process_time() - began) * 1e3:.1f} us")
    made = Usage("cpu")
    began = time.process_time()
    for _ in range(100_000):
        made.look()
    print(f"a look without a reading, at each step: {(time.process_time() - began) * 10:.2f} us")


if __name__ == "__main__":
    main()
