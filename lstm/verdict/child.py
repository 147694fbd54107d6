"""The process of `lstm.verdict.bounded`: reads what it shall fit, writes what became of it."""

import pickle
import sys
from pathlib import Path

from lstm.verdict import bounded, fitting


def main(given: str, made: str, budget_s: str) -> None:
    """Fits and judges one rival."""
    bounded.bound(float(budget_s))
    name, data, config = pickle.loads(Path(given).read_bytes())  # what our own parent has just written
    Path(made).write_bytes(pickle.dumps(fitting.run(name, data, config)))


if __name__ == "__main__":
    main(*sys.argv[1:])
