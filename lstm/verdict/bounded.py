"""Fits a rival in a process of its own with a limit on CPU time: nothing else can stop a library's fit."""

import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.own_code import Carried, executed
from lstm.rivals.rival import LeftOut

MOST_BYTES = 2**28  # most bytes of data that are passed to the process
PATIENCE = 10  # the limit in wall-clock time is this many times the CPU time, because other work may use the processor
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def run(name: str, data: Dataset, config: TrialConfig, budget_s: float) -> Any:
    """Return the result of `fitting.run`, called in a process that may use `budget_s` seconds of one core.

    Raises:
        LeftOut: the budget was not enough, or the data are too large to be passed on.
        RuntimeError: the process ended for another reason.
    """
    if data.nbytes > MOST_BYTES:
        megabytes = f"{data.nbytes // 2**20:,} MB"
        raise LeftOut(f"the data are too large for it: {megabytes}, the limit is {MOST_BYTES // 2**20:,} MB")
    over = LeftOut(f"it was not finished within {budget_s:,.0f} s of one core")
    with tempfile.TemporaryDirectory(prefix="rival-") as folder:
        given, made = Path(folder, "given"), Path(folder, "made")
        codes = executed(config.code.values())
        given.write_bytes(pickle.dumps((name, Carried(data, codes) if codes else data, config)))
        # The process imports the same packages, however this process finds them.
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
        return pickle.loads(made.read_bytes())  # our own process wrote these bytes


def bound(budget_s: float) -> None:
    """Let the system end this process when it has used `budget_s` seconds of a core, rounded up."""
    seconds = max(int(-(-budget_s // 1)), 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no core file when the system ends the process
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
