"""One `sweep run` of an old tree and of a new one by turns: the ratios of wall clock and CPU seconds.

    python tests/bench/pairs.py OLD [NEW] [--rounds 7] [--spec experiments/co2.yaml]

OLD and NEW are checkouts, each with its own virtual environment in `.venv`; NEW is the checkout of this script where
it is not given. SPEC lies in both; without it 24 trials of three short epochs are run, so that what a sweep costs
beside its training is most of it. Each round runs both, the one that was first before is second now, after one round
that is not counted. CPU seconds are the whole machine's while the run and Ray's daemons live, so the machine must have
nothing else to do. The interval is the percentile bootstrap of the median ratio over the rounds, 90 %.
"""

import argparse
import ctypes
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

SHORT = """\
name: pairs
data: {path: waves.csv, target: y, lookback: 48, horizon: 12, split: {validation: 0.2, test: 0.2}}
model: {hidden_size: 16}
training: {max_epochs: 3}
search:
  n_trials: 24
  space:
    training.learning_rate: {type: float, low: 1e-4, high: 1e-1, log: true}
    training.batch_size: {type: categorical, choices: [32, 64]}
"""
NAMES = ("wall clock", "CPU")
PR_SET_CHILD_SUBREAPER = 36  # from linux/prctl.h: daemons that leave their parent become ours, so we can wait for them
DRAWS = 10_000


def main() -> None:
    """Prints a line a round, then the ratio of each measure."""
    options = _options()
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise SystemExit("this system lets no process take over the daemons of its children")
    trees, rounds = (options.old, options.new), []
    for count in range(options.rounds + 1):
        order = (0, 1) if count % 2 else (1, 0)
        taken = {place: _run(trees[place].resolve(), options.spec) for place in order}
        line = "; ".join(f"{name} {taken[0][k]:.2f} and {taken[1][k]:.2f} s" for k, name in enumerate(NAMES))
        print(f"{f'round {count}' if count else 'not counted'}: {line}", flush=True)
        if count:
            rounds.append([taken[0], taken[1]])
    for k, name in enumerate(NAMES):
        old, new = np.array(rounds)[:, :, k].T
        low, high = _interval(new / old)
        print(
            f"{name}: {statistics.median(old):.2f} and {statistics.median(new):.2f} s, "
            f"median ratio {statistics.median(new / old):.3f} [{low:.3f}, {high:.3f}]"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path, nargs="?", default=Path(__file__).parents[2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--spec", type=Path, help="of each tree, by its path there")
    return parser.parse_args()


def _run(tree: Path, spec: Path | None) -> tuple[float, float]:
    """Seconds of the wall clock and of all processes' CPU."""
    with tempfile.TemporaryDirectory(prefix="p-", dir="/tmp") as name:  # Ray's sockets need a short path
        folder = Path(name)
        rows = np.sin(np.arange(3000) / 9) + np.random.default_rng(0).normal(0, 0.1, 3000)
        (folder / "waves.csv").write_text("y\n" + "\n".join(f"{y:.5f}" for y in rows) + "\n")
        (folder / "pairs.yaml").write_text(SHORT)
        before, begun = _cpu_s(), time.perf_counter()
        command = [tree / ".venv/bin/sweep", "--home", folder / "home", "run", tree / spec if spec else "pairs.yaml"]
        environment = {**os.environ, "RAY_TMPDIR": name}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of our modules is compiled anew in each process
        subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
        taken_s = time.perf_counter() - begun
        _bury()
    return taken_s, _cpu_s() - before


def _cpu_s() -> float:
    times = psutil.cpu_times()
    return times.user + times.nice + times.system


def _bury() -> None:
    """Waits for every process that the run left behind."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return


def _interval(ratios: np.ndarray) -> tuple[float, float]:
    drawn = np.random.default_rng(0).choice(ratios, (DRAWS, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.05, 0.95])
    return float(low), float(high)


if __name__ == "__main__":
    main()
