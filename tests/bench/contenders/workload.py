"""The work, taken from a spec, as the contenders that can't read one take it: a plain JSON document."""

import math
import os
from pathlib import Path
from typing import Any

from experiments.spec import loader
from lstm.config.forecast import ForecastData

FOLDER = Path(__file__).parent
SPECS = {"short": FOLDER / "short.yaml", "minute": FOLDER / "minute.yaml"}


def make(path: Path, csv: Path, gpus_per_trial: float = 0.0) -> dict[str, Any]:
    """What is to be trained, on which rows, in which order, with which share of a GPU."""
    experiment = loader.load(path, environment={**os.environ, "BENCH_CSV": str(csv)}).experiment
    data, training, search = experiment.data, experiment.training, experiment.search
    assert isinstance(data, ForecastData)
    assert search is not None
    validation, test = int(data.split.validation), int(data.split.test)
    train = len(csv.read_text(encoding="utf-8").splitlines()) - 1 - validation - test
    windows = train - data.lookback - data.horizon + 1
    return {
        "csv": str(csv),
        "lookback": data.lookback,
        "horizon": data.horizon,
        "train": train,
        "validation": validation,
        "batch_size": training.batch_size,
        "steps_per_epoch": math.ceil(windows / training.batch_size),
        "max_epochs": training.max_epochs,
        "gradient_clip": training.gradient_clip,
        "seed": training.seed,
        "cores": len(os.sched_getaffinity(0)),
        "gpus_per_trial": gpus_per_trial,
        "trials": [{path.rpartition(".")[2]: value for path, value in first.items()} for first in search.first],
    }
