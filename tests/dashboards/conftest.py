import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import migrations
import pytest
import statements
from outages import MlflowServer

from dashboards.tracking import runs
from lstm.records.epoch import Epoch
from lstm.records.events import EpochEnded, SweepStarted, TrialEnded, TrialStarted
from lstm.records.state import TrialState
from lstm.records.trial import Trial


@pytest.fixture(scope="session", autouse=True)
def _migrations() -> None:
    """Read once, not for each database."""
    migrations.read_once()
    statements.shared()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    runs.connect(f"sqlite:///{path}").search_experiments()  # the migration, once
    return path


@pytest.fixture(scope="package")  # no longer: it computes while it waits
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real server of MLflow, for all tests that need one; each has a sweep of its own there."""
    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, empty_store: Path) -> Path:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def uri(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow.db'}"


def sweep_started(at_ms: int = 1_000, n_trials: int = 4) -> SweepStarted:
    return SweepStarted(
        "co2",
        n_trials,
        "val/loss",
        "minimize",
        at_ms,
        "name: co2\n",
        "hash",
        "print",
        git_commit="abc",
        searched=("model.hidden_size",),
    )


def trial_started(number: int, attempt: int = 1) -> TrialStarted:
    config = {
        "task": "forecast",
        "data": {"target": ["a", "b"], "lookback": 8},
        "model": {"hidden_size": 2**number},
    }
    settings = {"model.hidden_size": 2**number}
    return TrialStarted(number, attempt, settings, config, 2_000 + number, f"/c/trial-{number:04d}", "host 7")


def epoch_ended(number: int, epoch: int, value: float = 0.5, at_ms: int | None = None) -> EpochEnded:
    at_ms = 10_000 * (number + 1) + epoch if at_ms is None else at_ms
    return EpochEnded(number, Epoch(epoch, {"train/loss": value * 2, "val/loss": value}, value, at_ms))


def trial_ended(
    number: int,
    value: float | None,
    state: TrialState = "COMPLETE",
    reason: str = "",
    at_ms: int | None = None,
    place: int = 0,
    best_value: float | None = None,
) -> TrialEnded:
    at_ms = 10_000 * (number + 1) + 500 if at_ms is None else at_ms
    return TrialEnded(number, state, reason, value, 2, f"/c/trial-{number:04d}", at_ms, place, best_value)


def trial(number: int, value: float | None, state: TrialState = "COMPLETE", **more: object) -> Trial:
    curve = () if value is None else tuple((step, value * (1 + 1 / step)) for step in range(1, 6))
    settings = {"model.hidden_size": 16 + number, "training.learning_rate": 1e-3 * (number + 1)}
    every: dict[str, object] = {"settings": settings, "config": {}, "curve": curve, "best_epoch": 5}
    every |= {"started_at_ms": 1_000 * number, "ended_at_ms": 1_000 * number + 4_000}
    return Trial(number=number, state=state, value=value, **(every | more))  # type: ignore[arg-type]


@pytest.fixture
def make() -> SimpleNamespace:
    return SimpleNamespace(
        sweep_started=sweep_started,
        trial_started=trial_started,
        epoch_ended=epoch_ended,
        trial_ended=trial_ended,
        trial=trial,
    )
