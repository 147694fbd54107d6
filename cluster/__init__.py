"""Decides which trial runs next and where it runs: Optuna is the brain, Ray Tune the muscle."""

import gc
import sys
from pathlib import Path

# Objects made until Python looks for garbage. What a process imports is a million objects that stay: with the usual 700
# the search through them is a fifth of the time that a start takes.
GARBAGE_AFTER = 100_000

# A worker's process is ours, and a worker imports this first. A driver's may be anybody's, a notebook's, say: the
# command line does the same to its own.
if Path(sys.argv[0] if sys.argv else "").name == "default_worker.py":  # Ray's, of every worker
    gc.set_threshold(GARBAGE_AFTER)
