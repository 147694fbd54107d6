"""The program of the process that `lstm.verdict.bounded` starts: fits one rival and writes the outcome."""

import pickle
import sys
from pathlib import Path

from lstm.verdict import bounded, fitting


def main(given: str, made: str, budget_s: str) -> None:
    """Fit and judge one rival: read the task from file `given`, write the outcome to file `made`."""
    bounded.bound(float(budget_s))
    name, data, config = pickle.loads(Path(given).read_bytes())  # our own parent process wrote these bytes
    Path(made).write_bytes(pickle.dumps(fitting.run(name, data, config)))


if __name__ == "__main__":
    main(*sys.argv[1:])
