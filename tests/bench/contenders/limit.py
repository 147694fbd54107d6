"""The limit: bare PyTorch processes, one per core, each on one thread, that take the trials longest first.

    python limit.py WORK.json FOLDER

Nothing is kept but the losses; there is no study, no checkpoint, no tracking and no screen. `FOLDER/trials.json` holds
what each trial did and when.
"""

import json
import multiprocessing
import sys
import time
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any


def main() -> None:
    """Starts a process per core and waits for them."""
    work, folder = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    context = multiprocessing.get_context("spawn")
    taken, found = context.Value("i", 0), context.SimpleQueue()
    processes = [context.Process(target=_process, args=(work, taken, found)) for _ in range(work["cores"])]
    for process in processes:
        process.start()
    trials = [found.get() for _ in work["trials"]]
    for process in processes:
        process.join()
    (folder / "trials.json").write_text(json.dumps(trials), encoding="utf-8")


def _process(work: dict[str, Any], taken: "Synchronized[int]", found: Any) -> None:
    import bare
    import torch

    torch.set_num_threads(1)
    values = bare.series(work)
    while True:
        with taken.get_lock():
            number = taken.value
            taken.value += 1
        if number >= len(work["trials"]):
            return
        settings, started = work["trials"][number], time.time()
        training = bare.Training(work, settings, values)
        losses = [epoch["val/loss"] for epoch in training.epochs()]
        trial = {"settings": settings, **training.proof, "losses": losses, "started": started, "ended": time.time()}
        found.put(trial)


if __name__ == "__main__":
    main()
