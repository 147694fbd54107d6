"""The search: which trial runs next (Optuna) and where trials run (Ray Tune, or the driver's own process)."""

import gc
import sys
from pathlib import Path

# Allocations between two garbage collections. The imports of a process make a million objects that stay. With Python's
# default of 700, scanning them takes a fifth of the start time.
GARBAGE_AFTER = 100_000

# A worker process is ours, and it imports this package first. A driver may run in anybody's process, such as a
# notebook; there the default stays, and the command line sets the threshold for its own process.
if Path(sys.argv[0] if sys.argv else "").name == "default_worker.py":  # Ray's script for every worker
    gc.set_threshold(GARBAGE_AFTER)
