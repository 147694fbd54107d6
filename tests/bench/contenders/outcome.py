"""What each contender did, read from what it kept, and whether that was the work."""

import json
import sqlite3
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Work = dict[str, Any]
SAME_LOSS = 0.05  # how far a trial's last loss may be from the limit's, where weights and order are drawn alike
LIKE_LOSS = 2.0  # and how many times the limit's the median may be, where they are drawn otherwise


@dataclass(frozen=True, slots=True)
class Trained:
    """One trial as its contender recorded it."""

    settings: dict[str, Any]  # hidden_size, num_layers, learning_rate
    recurrent: int  # parameters of the recurrent layers
    parameters: int  # of all
    steps: int  # of the optimizer
    losses: tuple[float, ...]  # val/loss of each epoch
    started: float  # seconds since 1970
    ended: float

    @property
    def key(self) -> str:
        """Its configuration in one word."""
        return key(self.settings)


def key(settings: dict[str, Any]) -> str:
    """A configuration in one word."""
    return "/".join(f"{settings[name]:g}" for name in ("hidden_size", "num_layers", "learning_rate"))


def limit(folder: Path) -> list[Trained]:
    """From the file that limit.py writes."""
    return [_trained(row) for row in json.loads((folder / "trials.json").read_text(encoding="utf-8"))]


def stock(folder: Path) -> list[Trained]:
    """From the files that Tune keeps of each trial."""
    trials = []
    for path in folder.glob("stock/*/result.json"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        trials.append(_trained({**rows[-1], "settings": rows[-1]["config"], "losses": [r["val/loss"] for r in rows]}))
    return trials


def autolstm(folder: Path) -> list[Trained]:
    """From the files that autolstm.py's callback writes."""
    return [_trained(json.loads(path.read_text(encoding="utf-8"))) for path in (folder / "trials").iterdir()]


def ours(folder: Path) -> list[Trained]:
    """From the study and the checkpoints."""
    from cluster.study import stored
    from lstm import checkpoint

    (name,) = (path.name for path in folder.glob("bench-*"))
    trials = []
    for trial in stored.read(f"sqlite:///{folder / 'study.db'}", name).trials:
        found = checkpoint.load(trial.checkpoint)
        if not (found and trial.started_at_ms and trial.ended_at_ms):
            continue  # it has not ended; it will be missed
        sizes = {path: weights.numel() for path, weights in found.state.model.items()}
        trials.append(
            Trained(
                {path.rpartition(".")[2]: value for path, value in trial.settings.items()},
                sum(size for path, size in sizes.items() if path.startswith("cell.")),
                sum(sizes.values()),
                int(found.state.optimizer["state"][0]["step"]),
                tuple(value for _, value in trial.curve),
                trial.started_at_ms / 1000,
                trial.ended_at_ms / 1000,
            )
        )
    return trials


def _trained(row: dict[str, Any]) -> Trained:
    return Trained(**{name: row[name] for name in Trained.__slots__} | {"losses": tuple(row["losses"])})


def mlflow_points(folder: Path) -> int:
    """Points of validation loss that a contender's MLflow holds."""
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        (count,) = database.execute("SELECT count(*) FROM metrics WHERE key = 'val/loss'").fetchone()
    return int(count)


def faults(work: Work, trials: Sequence[Trained], reference: Sequence[Trained], *, alike: bool) -> Iterator[str]:
    """In what a contender's trials are not the work.

    Args:
        work: As workload.py makes it.
        trials: What the contender did.
        reference: What the limit did.
        alike: Whether its network, its first weights and its order of windows are the limit's.
    """
    wanted, found = Counter(map(key, work["trials"])), Counter(trial.key for trial in trials)
    if wanted != found:
        yield f"not the configurations: lacks {sorted(wanted - found)}, has too much {sorted(found - wanted)}"
        return
    steps = work["max_epochs"] * work["steps_per_epoch"]
    models = {trial.key: trial for trial in reference}
    for trial in sorted(trials, key=lambda t: t.key):
        model = models[trial.key]
        if len(trial.losses) != work["max_epochs"]:
            yield f"{trial.key}: {len(trial.losses)} judged epochs, not {work['max_epochs']}"
        if trial.steps != steps:
            yield f"{trial.key}: {trial.steps} steps, not {steps}"
        if trial.recurrent != model.recurrent:
            yield f"{trial.key}: {trial.recurrent} recurrent parameters, not {model.recurrent}"
        if alike and trial.parameters != model.parameters:
            yield f"{trial.key}: {trial.parameters} parameters, not {model.parameters}"
        if alike and not abs(trial.losses[-1] / model.losses[-1] - 1) <= SAME_LOSS:
            yield f"{trial.key}: ends at a loss of {trial.losses[-1]:.4g}, not {model.losses[-1]:.4g}"
    median, usual = (statistics.median(trial.losses[-1] for trial in some) for some in (trials, reference))
    if not 1 / LIKE_LOSS <= median / usual <= LIKE_LOSS:
        yield f"the median of its last losses is {median:.4g}, the limit's {usual:.4g}"
