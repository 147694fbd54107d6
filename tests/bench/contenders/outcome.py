"""What a contender did, read from what it kept, and whether that was the work."""

import json
import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Work = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trained:
    """One trial as its contender recorded it."""

    settings: dict[str, Any]  # hidden_size, num_layers, learning_rate
    parameters: int
    steps: int  # of the optimizer
    losses: tuple[float, ...]  # val/loss of each epoch
    started: float  # seconds since 1970
    ended: float

    @property
    def key(self) -> str:
        """Its configuration in one word."""
        return "/".join(f"{self.settings[name]:g}" for name in ("hidden_size", "num_layers", "learning_rate"))


def limit(folder: Path) -> list[Trained]:
    """From the file that limit.py writes."""
    rows = json.loads((folder / "trials.json").read_text(encoding="utf-8"))
    return [Trained(**{**row, "losses": tuple(row["losses"])}) for row in rows]


def stock(folder: Path) -> list[Trained]:
    """From the file that Tune keeps of each trial."""
    trials = []
    for path in folder.glob("stock/*/result.json"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        last, losses = rows[-1], tuple(row["val/loss"] for row in rows)
        trials.append(
            Trained(last["config"], last["parameters"], last["steps"], losses, last["started"], last["ended"])
        )
    return trials


def ours(folder: Path) -> list[Trained]:
    """From the study and the checkpoints."""
    from cluster import study
    from lstm import checkpoint

    name = next(folder.glob("bench-*")).name
    trials = []
    for trial in study.read(f"sqlite:///{folder}/study.db", name).trials:
        found = checkpoint.load(trial.checkpoint)
        assert found is not None
        assert trial.started_at_ms is not None
        assert trial.ended_at_ms is not None
        trials.append(
            Trained(
                {path.rpartition(".")[2]: value for path, value in trial.settings.items()},
                sum(weights.numel() for weights in found.state.model.values()),
                int(found.state.optimizer["state"][0]["step"]),
                tuple(value for _, value in trial.curve),
                trial.started_at_ms / 1000,
                trial.ended_at_ms / 1000,
            )
        )
    return trials
