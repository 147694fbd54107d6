"""A rival in a process of its own, which ends when it has used what it may: nothing else can stop a library's fit."""

import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lstm.config.code import Carried, executed
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.rivals.rival import LeftOut

MOST_BYTES = 2**28  # of data that are handed over
PATIENCE = 10  # times as long by the clock: other work may hold the processor
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def run(name: str, data: Dataset, config: TrialConfig, budget_s: float) -> Any:
    """What `fitting.run` gives in a process that may use so many seconds of a core.

    Raises:
        LeftOut: that was not enough, or the data are too large to be handed over.
        RuntimeError: the process died of something else.
    """
    if data.nbytes > MOST_BYTES:
        megabytes = f"{data.nbytes // 2**20:,} MB"
        raise LeftOut(f"the data are too large for it: {megabytes}, of at most {MOST_BYTES // 2**20:,}")
    over = LeftOut(f"it was not done within {budget_s:,.0f} s of a core")
    with tempfile.TemporaryDirectory(prefix="rival-") as folder:
        given, made = Path(folder, "given"), Path(folder, "made")
        codes = executed(config.code.values())
        given.write_bytes(pickle.dumps((name, Carried(data, codes) if codes else data, config)))
        # The same packages as here, however this process came to find them.
        paths = os.pathsep.join(path for path in sys.path if path)
        environment = {**os.environ, "PYTHONPATH": paths} | dict.fromkeys(THREADS, "1")
        command = [sys.executable, "-P", "-m", "lstm.verdict.child", str(given), str(made)]
        try:
            ended = subprocess.run(
                [*command, str(budget_s)],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=PATIENCE * budget_s + 60,
            )
        except subprocess.TimeoutExpired:
            raise over from None
        if ended.returncode == -signal.SIGXCPU:
            raise over
        if ended.returncode:
            last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise RuntimeError(f"its process ended with {ended.returncode} {' '.join(last)}".rstrip())
        return pickle.loads(made.read_bytes())  # what our own process has just written


def bound(budget_s: float) -> None:
    """Has this process ended by the system when it has used so many seconds of a core."""
    seconds = max(int(-(-budget_s // 1)), 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # that end would leave a file
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
