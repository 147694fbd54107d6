"""What the parts train: their settings and data, on the device that they use."""

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from experiments import lookup, planning
from experiments.home import Home
from lstm import device
from lstm.config.trial import TrialConfig
from lstm.data.dataset import Dataset
from lstm.records.epoch import Epoch
from lstm.training.loop import train

ROOT = Path(__file__).parents[3]
SCRIPT = str(Path(__file__).with_name("parts.py"))  # what a part starts as a process of its own
Row = dict[str, Any]
USED = "cuda" if device.gpu_count() else "cpu"
# For each task a shipped spec, cut down. `classify/peepholes` is a cell of ours, which cuDNN does not have, and
# `forecast/dropout` draws inside of cuDNN.
TASKS: Mapping[str, tuple[str, Sequence[str]]] = {
    "forecast": ("co2", ()),
    "forecast/dropout": ("co2", ("model.num_layers=2", "model.dropout=0.3")),
    "classify": ("digits", ()),
    "classify/peepholes": ("odyssey", ("training.steps_per_epoch=10",)),
    "language_model": ("text", ("training.steps_per_epoch=40",)),
    "memory": ("copy", ("data.sizes={train: 1000, validation: 200, test: 200}",)),
    "memory/evolution": ("evolution", ("training.method=evolution", "training.steps_per_epoch=3")),
    "translate": ("dates", ("data.sizes={train: 800, validation: 100, test: 100}",)),
    "video": (
        "moving_digits",
        ("data.digits.sizes={train: 32, validation: 10, test: 10}", "training.steps_per_epoch=2"),
    ),
}
EPOCHS = 3


class Skipped(Exception):
    """A part can't run here; its text says why."""


def loaded(name: str, overrides: Sequence[str], folder: Path) -> tuple[TrialConfig, Dataset]:
    """A shipped spec's own settings, and its data."""
    epochs = f"training.max_epochs={EPOCHS}"
    found = lookup.spec(str(ROOT / "experiments" / f"{name}.yaml"), Home.at(str(folder)), [epochs, *overrides])
    plan = planning.make(found, Home.at(str(folder)))
    return plan.order.base, plan.series


def cases() -> Iterator[tuple[str, TrialConfig, Dataset]]:
    """Each task with its settings and data."""
    with tempfile.TemporaryDirectory() as folder:
        for name, (spec, overrides) in TASKS.items():
            yield name, *loaded(spec, overrides, Path(folder))


def trained(config: TrialConfig, data: Dataset, on: str, state: Any = None) -> tuple[list[Epoch], float]:
    """The epochs of a training on a device, and its seconds."""
    began = time.perf_counter()
    epochs = list(train(config, data, state, device=on))
    return epochs, time.perf_counter() - began


def told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:150]}"


def last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:300]


def warm() -> None:
    """Lets the device load its libraries, so that the first measurement does not."""
    cell = nn.LSTM(1, 8).to(USED)
    torch.autograd.backward(cell(torch.ones(4, 1, 1, device=USED))[0].sum())


def waves(
    folder: Path, rows: int, model: Row, training: Row, lookback: int = 48, code: Mapping[str, str] | None = None
) -> tuple[TrialConfig, Dataset]:
    """A forecast of generated waves."""
    from lstm.data.forecast import load

    values = "\n".join(f"{(i * 37) % 101 / 101 + (i % 12):.3f}" for i in range(rows))
    (folder / "waves.csv").write_text(f"y\n{values}\n")
    split = {"validation": 0.1, "test": 0.1}
    section = {"target": "y", "lookback": lookback, "horizon": 12, "split": split}
    given = {"batch_size": 64, "learning_rate": 1e-3} | training
    config = TrialConfig.model_validate({"data": section, "model": model, "training": given, "code": code or {}})
    return config, load(config.data, folder / "waves.csv")


WAVES = (
    "name: packed\ndata: {path: waves.csv, target: y, lookback: 48, horizon: 12, split: {validation: 0.1, test: 0.1}}\n"
)
