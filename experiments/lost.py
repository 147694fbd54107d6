"""A sweep whose study is gone: what is still there of it, so that nobody trains it anew without knowing."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import addresses
from experiments.home import Home
from experiments.plan import Plan
from lstm import files, ownership
from lstm.records import BadInput


@dataclass(frozen=True)
class Remains:
    """What is there of a sweep without its study."""

    study: str  # the study's id; "" where nothing says it
    checkpoints: str  # their address; "" where there are none
    trials: int  # that have checkpoints
    runs: int  # of trials, in MLflow

    @property
    def text(self) -> str:
        """What is there, for people."""
        told = [f"checkpoints of {self.trials} trials in {self.checkpoints}"] if self.trials else []
        told += [f"{self.runs} runs in MLflow"] if self.runs else []
        return " and ".join(told)


def look(name: str, home: Home, tracking_uri: str, sweep_folders: list[str]) -> Remains | None:
    """What is left of a sweep that was run from this home; None where there is nothing.

    Args:
        name: The sweep's.
        home: Where it was run.
        tracking_uri: MLflow's store.
        sweep_folders: Addresses below which studies of this name keep their checkpoints.
    """
    saved = _saved(home, name)
    if saved is None:
        return None
    study, known = str(saved.get("study_id", "")), str(saved.get("checkpoints", ""))
    carried = [str(home.carried(Path(known))) if "://" not in known else known] if known else []
    places = [place for folder in sweep_folders for place in (f"{folder}/{study}", folder) if study or place == folder]
    checkpoints, trials = "", 0
    for place in [*carried, *places]:
        mark = _mark(place)
        if mark is not None and study and mark.study != study:
            continue
        if count := _count(place):
            checkpoints, trials, study = place, count, study or (mark.study if mark else "")
            break
    runs, of_study = _runs(name, study, home, tracking_uri)
    return Remains(study or of_study, checkpoints, trials, runs) if trials or runs else None


def refuse(plan: Plan) -> None:
    """Whether a sweep whose study is not there may begin.

    Raises:
        BadInput: it was run from this home before, and something of it is left.
    """
    order = plan.order
    remains = look(order.name, plan.home, plan.tracking_uri, [order.sweep_folder])
    if remains is not None:
        raise missing(order.name, plan.home, remains)


def missing(name: str, home: Home, remains: Remains) -> BadInput:
    """The error of a sweep whose study is gone."""
    flag = home.flag
    return BadInput(
        f"{name}: its study is not there any more, and {home.sweep(name)} says that it was run. There are "
        f"{remains.text}: nothing of it was changed. `sweep rebuild {name} --study{flag}` restores the study from "
        f"them. To begin anew, give the spec another name, or move {shlex.quote(str(home.sweep(name)))} away"
    )


def _saved(home: Home, name: str) -> Mapping[str, Any] | None:
    try:
        saved = json.loads((home.sweep(name) / addresses.FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return saved if isinstance(saved, dict) else None


def _mark(place: str) -> ownership.Mark | None:
    try:
        return ownership.mark_of(place)
    except (OSError, BadInput):
        return None


def _count(place: str) -> int:
    """The trials that have files at an address."""
    try:
        return sum(name.startswith("trial-") and bool(files.names(f"{place}/{name}")) for name in files.names(place))
    except OSError:
        return 0


def _runs(name: str, study: str, home: Home, tracking_uri: str) -> tuple[int, str]:
    """How many runs of its trials MLflow has, and whose they are; none where it does not answer."""
    from dashboards import runs

    if runs.missing_file(tracking_uri) is not None:
        return 0, study
    try:
        return runs.count_trials(runs.connect(tracking_uri), name, study)
    except Exception as error:  # what a store raises is no one class
        if not runs.is_outage(error):
            raise
        return 0, study
