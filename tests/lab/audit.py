"""Judges a sweep by plain SQL and file reads: the study, the checkpoints and MLflow must tell one story.

`sweep verify` makes the same promise with the product's own code; it must not grade itself, so nothing of the
product, of Optuna or of MLflow is imported here. What their tables and our files mean is written down a second time.
"""

import hashlib
import io
import json
import math
import os
import re
import sqlite3
import time
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

ENDED = ("COMPLETE", "PRUNED", "FAIL")
END = {"state", "value", "best_epoch", "reason", "diverged", "checkpoint", "at_ms"}  # what a trial's end says
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED", "RUNNING": "RUNNING"}
CHECKPOINT = re.compile(r"attempt-(\d+)(?:-window-(\d+))?-epoch-(\d+)\.pt")
SEAL = re.compile(rb"sha256:[0-9a-f]{64}")
SEAL_LENGTH = len("sha256:") + 64
FORMER = "data.path"  # earlier versions recorded where the data lay with each trial; a file may be moved
Point = tuple[int, int, float | None]  # step, timestamp in ms, value (None where it is not finite)


@dataclass
class Trial:
    """A trial as the study's tables hold it."""

    number: int
    state: str
    told: list[float | None] = field(default_factory=list)  # the values that Optuna keeps, by objective
    epochs: dict[int, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def kind(self) -> str | None:
        """What it was made of another trial for; None where the search asked for it."""
        return self.attributes.get("derived", {}).get("purpose")

    @property
    def changes(self) -> Mapping[str, Any]:
        """What its configuration has otherwise than its parent's."""
        return self.attributes.get("derived", {}).get("changes", {})

    @property
    def after(self) -> int:
        """How many of its epochs its parent has trained."""
        return self.attributes.get("derived", {}).get("after", 0)

    @property
    def fitted(self) -> Mapping[str, Any]:
        """What a refit is trained on; empty for any other trial. Nothing judges a refit."""
        return self.attributes.get("derived", {}).get("fitted", {})

    @property
    def is_base(self) -> bool:
        """Whether its settings are the spec's own."""
        return self.kind == "base" or "base" in self.attributes

    @property
    def end(self) -> Mapping[str, Any]:
        """How it ended; empty where it did not, or where the study does not say all of it."""
        there = self.attributes.get("end", {})
        return there if self.ended and set(there) >= END else {}


@dataclass
class Study:
    """A study's tables."""

    facts: dict[str, Any]
    direction: str
    trials: list[Trial]
    driven: bool  # whether a driver that lives holds the sweep


@dataclass
class Run:
    """A run that is not deleted, as MLflow's tables hold it."""

    id: str
    status: str
    end_time: int | None
    artifacts: str
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    curves: dict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))
    latest: dict[str, Point] = field(default_factory=dict)


@dataclass
class Tracking:
    """MLflow's tables."""

    experiments: dict[int, tuple[str, dict[str, str]]]  # those not deleted: name, tags
    runs: dict[int, list[Run]]  # by experiment


def audit(
    home: Path, name: str, *, study: str | None = None, mlflow: str | None = None, artifacts: Path | None = None
) -> list[str]:
    """What is wrong with a sweep, a sentence each: `trial 3: ...` or `the sweep: ...`; nothing where all is right.

    While a driver holds the sweep, or a trial is still to go on, what a later store lacks is no finding, for it
    may be on its way; what contradicts an earlier store is one at any time.

    Args:
        home: The folder where the sweep is kept.
        name: The sweep's name.
        study: The study's database, by default `study.db` in the home: an address (sqlite, postgresql) or a file.
        mlflow: The database behind MLflow, by default `mlflow.db` in the home; not a server's address.
        artifacts: The folder behind a server's `mlflow-artifacts:/`, by default `artifacts` in the home.
    """
    try:
        # The derived store first: what it holds then, the stores before it hold when they are read after it.
        tracking = _tracking(mlflow or str(home / "mlflow.db"))
    except _Unreadable as error:
        tracking, trouble = Tracking({}, {}), [f"the sweep: MLflow's database can't be read: {error}"]
    else:
        trouble = []
    try:
        kept = _study(study or str(home / "study.db"), name)
    except _Unreadable as error:
        return [*trouble, f"the sweep: its study's database can't be read: {error}"]
    if kept is None:
        return [*trouble, "the sweep: the study's database holds no study of this name"]
    if missing := [fact for fact in ("base", "id", "checkpoints", "n_trials") if fact not in kept.facts]:
        return [*trouble, f"the sweep: its study lacks the facts {missing}"]
    here = _folder_of_study(study or str(home / "study.db"))
    return [*trouble, *_Audit(home, name, kept, tracking, artifacts or home / "artifacts", here).findings()]


def _folder_of_study(address: str) -> Path | None:
    """The folder of a SQLite file; None for a server's database."""
    if "://" in address and not address.startswith("sqlite:///"):
        return None
    return Path(address.removeprefix("sqlite:///")).absolute().parent


class _Unreadable(Exception):
    pass


# --- the study's database


def _rows(address: str, questions: Mapping[str, tuple[str, tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """The answers to questions in SQL, all from one connection; a table that is not there has no rows."""
    scheme, mark, rest = address.partition("://")
    if mark and scheme.startswith("postgresql"):
        return _postgresql_rows(f"postgresql://{rest}", questions)
    path = rest.removeprefix("/") if mark else address
    if not Path(path).is_file():
        raise _Unreadable("there is no such file")
    answers = {}
    try:
        # Read-only: an audit that could mend what it looks at would be none.
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=90)) as database:
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for key, (sql, values) in questions.items():
                there = _table(sql) in tables
                answers[key] = database.execute(sql, values).fetchall() if there else []
    except sqlite3.DatabaseError as error:
        raise _Unreadable(str(error)) from None
    return answers


def _postgresql_rows(
    address: str, questions: Mapping[str, tuple[str, tuple[Any, ...]]]
) -> dict[str, list[tuple[Any, ...]]]:
    import psycopg2

    answers = {}
    try:
        with closing(psycopg2.connect(address)) as database, database.cursor() as cursor:
            for key, (sql, values) in questions.items():
                cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (_table(sql),))
                there = cursor.fetchone()[0]
                if there:
                    cursor.execute(sql.replace("?", "%s").replace(_SQLITE_NOW, _POSTGRESQL_NOW), values)
                answers[key] = cursor.fetchall() if there else []
    except psycopg2.Error as error:
        raise _Unreadable(str(error).strip()) from None
    return answers


_SQLITE_NOW = "(julianday('now') - 2440587.5) * 86400.0"
_POSTGRESQL_NOW = "extract(epoch from clock_timestamp())"


def _table(sql: str) -> str:
    return sql.partition(" FROM ")[2].split(maxsplit=1)[0]


def _study(address: str, name: str) -> Study | None:
    of_study = "JOIN studies s ON s.study_id = x.study_id WHERE s.study_name = ?"
    of_trial = f"JOIN trials t ON t.trial_id = y.trial_id {of_study.replace('x.', 't.')}"
    questions = {
        "study": "SELECT study_id FROM studies WHERE study_name = ?",
        "directions": f"SELECT x.direction FROM study_directions x {of_study} ORDER BY x.objective",
        "facts": f"SELECT x.key, x.value_json FROM study_user_attributes x {of_study}",
        "trials": f"SELECT x.trial_id, x.number, x.state FROM trials x {of_study} ORDER BY x.number, x.trial_id",
        "told": f"SELECT y.trial_id, y.value, y.value_type FROM trial_values y {of_trial} ORDER BY y.objective",
        "epochs": "SELECT y.trial_id, y.step, y.intermediate_value, y.intermediate_value_type "
        f"FROM trial_intermediate_values y {of_trial}",
        "params": f"SELECT y.trial_id, y.param_name, y.param_value, y.distribution_json FROM trial_params y {of_trial}",
        "attributes": f"SELECT y.trial_id, y.key, y.value_json FROM trial_user_attributes y {of_trial}",
        "lease": f"SELECT owner, expires > {_SQLITE_NOW} FROM sweep_lease WHERE sweep = ?",
    }
    rows = _rows(address, {key: (sql, (name,)) for key, sql in questions.items()})
    if not rows["study"]:
        return None
    trials = {key: Trial(number, state) for key, number, state in rows["trials"]}
    for key, value, kind in rows["told"]:
        trials[key].told.append(_number(value, kind))
    for key, step, value, kind in rows["epochs"]:
        trials[key].epochs[step] = _number(value, kind)
    for key, path, value, distribution in rows["params"]:
        trials[key].params[path] = _setting(value, json.loads(distribution))
    for key, attribute, value in rows["attributes"]:
        trials[key].attributes[attribute] = json.loads(value)
    return Study(
        facts={key: json.loads(value) for key, value in rows["facts"]},
        direction=",".join(row[0] for row in rows["directions"]),
        trials=list(trials.values()),
        driven=any(alive and not _surely_dead(json.loads(owner)) for owner, alive in rows["lease"]),
    )


def _number(value: float | None, kind: str) -> float:
    """A value as Optuna stores it: what is not finite is empty, and its kind says what it was."""
    named = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
    return float(value) if kind == "FINITE" and value is not None else named.get(kind, math.nan)


def _setting(value: float, distribution: Mapping[str, Any]) -> Any:
    """A parameter as it was drawn: Optuna stores a choice by its index and a whole number as a real one."""
    kind, attributes = distribution["name"], distribution["attributes"]
    if kind == "CategoricalDistribution":
        return attributes["choices"][int(value)]
    return int(value) if kind == "IntDistribution" else float(value)


def _surely_dead(owner: Mapping[str, Any]) -> bool:
    """Whether a lease's owner ran in this very boot and container of this machine, and its process is gone."""
    try:
        here = f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
        if owner["boot"] != here:
            return False
        fields = Path(f"/proc/{owner['pid']}/stat").read_text().rpartition(")")[2].split()
        return fields[0] in "ZX" or fields[19] != owner["born"]
    except FileNotFoundError:
        return True
    except OSError:
        return False


# --- MLflow's database


def _tracking(address: str) -> Tracking:
    questions = {
        "experiments": "SELECT experiment_id, name FROM experiments WHERE lifecycle_stage = 'active'",
        "experiment_tags": "SELECT experiment_id, key, value FROM experiment_tags",
        "runs": "SELECT experiment_id, run_uuid, status, end_time, artifact_uri FROM runs "
        "WHERE lifecycle_stage = 'active' ORDER BY start_time, run_uuid",
        "tags": "SELECT run_uuid, key, value FROM tags",
        "params": "SELECT run_uuid, key, value FROM params",
        "metrics": "SELECT run_uuid, key, step, timestamp, value, is_nan FROM metrics ORDER BY step, timestamp, value",
        "latest": "SELECT run_uuid, key, step, timestamp, value, is_nan FROM latest_metrics",
    }
    rows = _rows(address, {key: (sql, ()) for key, sql in questions.items()})
    experiments: dict[int, tuple[str, dict[str, str]]] = {key: (name, {}) for key, name in rows["experiments"]}
    for key, tag, value in rows["experiment_tags"]:
        if key in experiments:
            experiments[key][1][tag] = value
    by_experiment = defaultdict(list)
    for experiment, *run in rows["runs"]:
        by_experiment[experiment].append(Run(*run))
    by_id = {run.id: run for runs in by_experiment.values() for run in runs}
    of_these = {kind: [row for row in found if row[0] in by_id] for kind, found in rows.items()}
    for key, tag, value in of_these["tags"]:
        by_id[key].tags[tag] = value
    for key, param, value in of_these["params"]:
        by_id[key].params[param] = value
    for key, metric, *point in of_these["metrics"]:
        by_id[key].curves[metric].append(_point(*point))
    for key, metric, *point in of_these["latest"]:
        by_id[key].latest[metric] = _point(*point)
    return Tracking(experiments, by_experiment)


def _point(step: int, at_ms: int, value: float, is_nan: bool) -> Point:
    return step, at_ms, None if is_nan else value


def _finite(value: float) -> float | None:
    """A value as it shall lie in MLflow: infinity, which its charts can't take, is NaN there, too."""
    return value if math.isfinite(value) else None


def _clean(name: str) -> str:
    """A name without what MLflow refuses in one."""
    path = []
    for part in name.split("/"):
        kept = "".join(c if re.match(r"[\w\-. :]", c) else "_" for c in part).strip(" ")
        path.append("_" if not kept.strip(".") else kept)
    return "/".join(path)[:250].rstrip("/ ")


def _clean_all(names: Iterable[str]) -> dict[str, str]:
    """Each name with its clean one; of two that become one, the later in the alphabet gets a number."""
    clean: dict[str, str] = {}
    for name in sorted(names):
        short, number = _clean(name), 2
        candidate = short
        while candidate in clean.values():
            candidate, number = f"{short[:244]}_{number}", number + 1
        clean[name] = candidate
    return clean


# --- checkpoints


@dataclass(frozen=True)
class File:
    """A checkpoint file that is what its seal says."""

    attempt: int
    window: int
    epoch: int
    data: bytes
    content: Mapping[str, Any]

    @property
    def windows(self) -> dict[int, list[Mapping[str, Any]]]:
        """The rows of its history by window; earlier versions knew only one."""
        found: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for row in self.content["history"]:
            found[row.get("window", 1)].append(row)
        return found


class _Broken(Exception):
    pass


def _listed(address: str) -> list[str]:
    """The checkpoint files at an address, the newest last: a later attempt's are newer, whatever their epoch."""
    if (folder := _folder(address)) is not None:
        names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 # names alone are wanted
    else:
        from pyarrow import fs

        system, path = fs.FileSystem.from_uri(address)
        names = [info.base_name for info in system.get_file_info(fs.FileSelector(path, allow_not_found=True))]
    return sorted((n for n in names if CHECKPOINT.fullmatch(n)), key=_age)


def _age(name: str) -> tuple[int, int, int]:
    match = CHECKPOINT.fullmatch(name)
    assert match
    return int(match[1]), int(match[2] or 1), int(match[3])


def _bytes(address: str, name: str) -> bytes:
    if (folder := _folder(address)) is not None:
        return (folder / name).read_bytes()
    from pyarrow import fs

    system, path = fs.FileSystem.from_uri(address)
    with system.open_input_stream(f"{path}/{name}") as stream:
        return bytes(stream.read())


def _archive(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The document and the arrays of a sealed archive, once its seal was found right."""
    import numpy as np

    data = path.read_bytes()
    _check_seal(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            content = json.loads(archive.read("content.json"))
            arrays = {n[:-4]: np.load(io.BytesIO(archive.read(n))) for n in archive.namelist() if n.endswith(".npy")}
    except Exception as error:  # whatever the readers make of foreign bytes
        raise _Broken(f"can't be read: {type(error).__name__}") from None
    return content, arrays


def _folder(address: str) -> Path | None:
    if "://" not in address:
        return Path(address)
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _check_seal(data: bytes) -> None:
    body, length, seal = data[: -2 - SEAL_LENGTH], data[-2 - SEAL_LENGTH : -SEAL_LENGTH], data[-SEAL_LENGTH:]
    if int.from_bytes(length, "little") != SEAL_LENGTH or not SEAL.fullmatch(seal):
        raise _Broken("does not end in its checksum: it is truncated or not ours")
    if hashlib.sha256(body).hexdigest().encode() != seal.removeprefix(b"sha256:"):
        raise _Broken("has another checksum than it names: it was altered")


def _opened(data: bytes) -> Mapping[str, Any]:
    """The content of a checkpoint's bytes, once their seal was found right."""
    _check_seal(data)
    import torch

    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        missing = {"format", "config", "facts", "history", "epoch", "best_epoch", "best_value", "best_weights"}
        missing -= set(content)
    except Exception as error:  # whatever the reader makes of foreign bytes
        raise _Broken(f"can't be read without running code: {type(error).__name__}") from None
    if missing:
        raise _Broken(f"lacks {sorted(missing)}")
    return content


# --- the audit


class _Audit:
    def __init__(
        self, home: Path, name: str, study: Study, tracking: Tracking, artifacts: Path, here: Path | None
    ) -> None:
        self.home, self.name, self.study, self.tracking, self.artifacts = home, name, study, tracking, artifacts
        self.facts = study.facts
        self.base: Mapping[str, Any] = study.facts["base"]
        backtest = self.base["data"].get("backtest") or {}
        self.windows = int(backtest.get("folds", backtest.get("windows", 1)))
        self.refit = bool(backtest.get("refit", True))
        highest = study.facts.get("comparable", {}).get("search.space.training.max_epochs.high", 0)
        self.longest = max(int(self.base["training"]["max_epochs"]), int(highest))  # epochs of a window
        self.sign = 1 if self.base["direction"] == "minimize" else -1
        # Refits leave the sweep's own run as it is.
        self.ended = sorted(
            (t for t in study.trials if t.end and not t.fitted), key=lambda t: (t.end["at_ms"], t.number)
        )
        self.here, self.studies = here, [self.facts["id"], *self.facts.get("ancestors", [])]
        self.root = self._root()
        self.sweep_runs = self._runs_of_sweep()
        self.sweep_run = self.sweep_runs[0] if self.sweep_runs else None
        self.experiment = self._experiment()
        self.runs: dict[str, list[Run]] = defaultdict(list)
        for run in self.tracking.runs.get(self.experiment or -1, []):
            if "sweep.trial" in run.tags:
                self.runs[run.tags["sweep.trial"]].append(run)
        replaced = {t.attributes["derived"]["parent"] for t in study.trials if t.kind == "retry"}
        # Those that count: a retry stands in the place of the trial that failed; of others made of trials none does.
        self.counted = [t for t in study.trials if t.number not in replaced and t.kind in (None, "retry")]
        self.concluded = self._concluded()
        self.best = self._best()

    def findings(self) -> Iterator[str]:
        yield from (f"the sweep: {what}" for what in (*self._numbering(), *self._ownership(), *self._base_trial()))
        yield from (f"the sweep: {what}" for what in (*self._confirmed(), *self._winner(), *self._settings_in_mlflow()))
        yield from self._holes()
        for trial in self.study.trials:
            yield from (f"trial {trial.number}: {what}" for what in self._trial(trial))
        yield from self._unknown()
        yield from (f"the sweep: {what}" for what in self._sweep())
        yield from self._verdict()

    # --- the sweep in the study

    def _numbering(self) -> Iterator[str]:
        directions = [self.base["direction"], *(self.facts["second"][1:] if self.facts.get("second") else [])]
        if self.study.direction != ",".join(directions).upper():
            yield f"its study's direction is {self.study.direction}, its configuration's {', '.join(directions)}"
        ended, wanted = sum(t.ended for t in self.counted), self._wanted()
        said = self.sweep_run.tags.get("sweep.ended", "") if self.sweep_run else ""
        if not self.study.driven and self.facts.get("recorded") and ended < wanted and "reached the target" not in said:
            yield f"its study says that it is complete, and {ended} of {wanted} trials have ended"
        if not self.study.driven and self.facts.get("complete") and not self.facts.get("recorded"):
            yield "its study says that it is complete, and not that MLflow has all of it"

    def _base_trial(self) -> Iterator[str]:
        """The spec's own settings are a trial that nothing cut short, where the sweep was begun with one."""
        bases = [t for t in self.study.trials if t.is_base]
        if bases and not self.facts.get("keeps_base"):
            yield f"trial {bases[0].number} is the base, and the study does not say that it keeps one"
        if not bases or not self.concluded:
            if self.concluded and self.facts.get("keeps_base"):
                yield "its study keeps a base, and no trial is it"
            return
        base = bases[-1]
        if any(t.kind == "base" and t.params for t in bases):
            yield f"trial {base.number} is the base beside the search, and holds settings that were drawn"
        if base.end.get("reason", "").startswith("pruned after"):
            yield f"trial {base.number} is the base, and was pruned"
        judged = self.facts.get("judged") or {}
        complete = base.end.get("state") == "COMPLETE" and self.best is not None
        if complete and (judged.get("base") != base.number or "base/test/loss" not in judged.get("metrics", {})):
            yield f"trial {base.number} is the base, and the study holds no judgement of it"

    def _setting(self, trial: Trial) -> str:
        """A trial's configuration without its seed, and without the windows that it is judged on."""
        config = self._config(trial)
        config["training"].pop("seed")
        config.pop("judged_on", None)
        return json.dumps(config, sort_keys=True)

    def _confirmed(self) -> Iterator[str]:
        """Each setting that is to be confirmed was trained from as many seeds as were asked for, each of its own."""
        mine, asked = [t for t in self.study.trials if t.kind == "confirm"], self.facts.get("confirm")
        if mine and not asked:
            yield f"it has {len(mine)} trials of confirm, and its study does not say what was asked for"
        if not asked or not self.concluded:
            return
        trials = {t.number: t for t in self.study.trials}
        there: dict[str, set[int]] = defaultdict(set)
        for trial in mine:
            config = self._config(trial)
            if config.get("judged_on", "search") == asked["windows"]:
                there[self._setting(trial)].add(config["training"]["seed"])
        for _, number in asked["settings"]:
            seeds = there[self._setting(trials[number])]
            if len(seeds) < asked["seeds"]:
                yield f"the setting of trial {number} was confirmed from {len(seeds)} seeds, not from {asked['seeds']}"
        confirmed = {t.attributes["derived"]["parent"] for t in mine} - {t.number for t in mine}
        unfit = [n for n in confirmed if not self._may_be_best(trials[n], beside=True)]
        yield from (f"trial {number} was confirmed, and has not completed" for number in unfit)

    def _winner(self) -> Iterator[str]:
        """The winner in its run has the least geometric mean over the windows, by the values that Optuna has."""
        asked, shown = self.facts.get("confirm"), self.sweep_run.latest if self.sweep_run else {}
        if not asked or not self.concluded or "confirm/winner" not in shown or self.sign < 0:
            return
        trials, by_setting = {t.number: t for t in self.study.trials}, defaultdict[str, dict[int, list[float]]](dict)
        for trial in self.study.trials:
            config = self._config(trial) if trial.kind == "confirm" else {}
            if config and config.get("judged_on", "search") == asked["windows"]:
                by_setting[self._setting(trial)][config["training"]["seed"]] = self._in_windows(trial)
        means = {}
        for _, number in asked["settings"]:
            rows = by_setting[self._setting(trials[number])].values()
            if rows and all(len(row) == self.windows for row in rows):
                means[number] = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        every = [value for row in means.values() for value in row]
        if not every or min(every) <= 1e-4 * max(every):
            return  # compared in the metric's own unit
        logs = {number: sum(map(math.log, row)) / len(row) for number, row in means.items()}
        best, told = min(logs, key=lambda number: logs[number]), shown["confirm/winner"][2]
        if told not in logs or logs[int(told)] > logs[best] + 1e-9:
            yield f"its run's winner is trial {told}, trial {best} is better over the windows of confirm"
        for number in logs.keys() - {best}:
            name = f"confirm/better_than/{'base' if trials[number].is_base else f'trial-{number}'}"
            gain = 100 * (1 - math.exp(logs[best] - logs[number]))
            if name in shown and not math.isclose(shown[name][2] or 0.0, gain, rel_tol=1e-5, abs_tol=1e-9):
                yield f"its run's {name} is {shown[name][2]!r}, {gain!r} is right"

    def _in_windows(self, trial: Trial) -> list[float]:
        """A trial's best value in each window: Optuna has the epochs of the first, then the means so far."""
        first = [value for step, value in trial.epochs.items() if step <= self.longest or self.windows == 1]
        means = [min(first)] if first else []
        means += [value for step, value in sorted(trial.epochs.items()) if step > self.longest and self.windows > 1]
        sums = [0.0, *(count * mean for count, mean in enumerate(means, 1))]
        return [after - before for before, after in pairwise(sums)]

    def _settings_in_mlflow(self) -> Iterator[str]:
        """Runs have the same tag `sweep.config` where their settings are the same, and only there."""
        tagged: dict[str, set[str]] = defaultdict(set)
        for trial in self.study.trials:
            for run in self.runs[str(trial.number)]:
                if tag := run.tags.get("sweep.config"):
                    tagged[tag].add(self._setting(trial))
        several = {tag: len(settings) for tag, settings in tagged.items() if len(settings) > 1}
        yield from (f"{count} settings have the tag sweep.config {tag} in MLflow" for tag, count in several.items())
        every = [setting for settings in tagged.values() for setting in settings]
        if len(set(every)) < len(every):
            yield "a setting has several tags sweep.config in MLflow"

    def _wanted(self) -> int:
        """How many trials are to end: as many as were asked for, or as had anything new to try."""
        n_trials, exhausted = self.facts["n_trials"], self.facts.get("exhausted")
        return min(n_trials, exhausted["trials"]) if exhausted else n_trials

    def _holes(self) -> Iterator[str]:
        count = Counter(t.number for t in self.study.trials)
        yield from (f"trial {n}: the study holds it {times} times" for n, times in count.items() if times > 1)
        gaps = sorted(set(range(max(count, default=-1) + 1)) - set(count))
        yield from (f"trial {n}: the study does not hold it, and holds a later one" for n in gaps)

    def _unknown(self) -> Iterator[str]:
        """Trials that only a later store knows."""
        known = {str(t.number) for t in self.study.trials}
        for number in sorted(set(self.runs) - known):
            yield f"trial {number}: MLflow has a run of it, and the study does not hold it"
        place = _folder(self.root)
        for folder in sorted(place.glob("trial-*")) if place and place.is_dir() else []:
            number = folder.name.removeprefix("trial-").lstrip("0") or "0"
            if number not in known and _listed(str(folder)):
                yield f"trial {number}: there are checkpoints of it in {folder}, and the study does not hold it"

    def _best(self) -> Trial | None:
        counted = {t.number for t in self.counted}
        done = [t for t in self.ended if self._may_be_best(t) and t.number in counted]
        return min(done, key=lambda t: (self.sign * t.end["value"], t.number), default=None)

    def _best_number(self) -> str | None:
        return str(self.best.number) if self.best else None

    def _may_be_best(self, trial: Trial, *, beside: bool = False) -> bool:
        """Whether a trial has a value to compare; Optuna was told FAIL of one that is `beside` the search."""
        value = trial.end.get("value")
        told = trial.state == "COMPLETE" or (beside and trial.kind == "base")
        completed = told and trial.end["state"] == "COMPLETE" and not trial.end["diverged"]
        return completed and value is not None and math.isfinite(value)

    def _concluded(self) -> bool:
        """Whether a driver came to the end of all trials and judged the best."""
        if self.study.driven:
            return False
        if self.facts.get("recorded"):
            return True
        said = self.sweep_run.tags.get("sweep.ended", "") if self.sweep_run else ""
        over = said == "all trials have ended" or said.endswith(" were tried") or said.startswith("nothing new was")
        waits = any(t.kind in ("retry", "base", "extend", "confirm") and not t.ended for t in self.study.trials)
        return over and not waits and sum(bool(t.end) for t in self.counted) >= self._wanted()

    # --- a trial in the study and its checkpoints

    def _trial(self, trial: Trial) -> Iterator[str]:
        if trial.state == "WAITING":
            yield from self._nothing_of(trial)
            return
        if trial.state == "RUNNING" and not self.study.driven:
            yield "is RUNNING in the study, and no living driver holds the sweep"
        lagging = self.study.driven or trial.state == "RUNNING"
        first = {step for step in trial.epochs if self.windows == 1 or step <= self.longest}
        yield from _contiguous(first, "the study's epochs")
        yield from _contiguous((step - self.longest for step in trial.epochs.keys() - first), "its later windows")
        file = None
        if not (self.study.driven and trial.state == "RUNNING"):  # there it changes while it is read
            file, broken = self._checkpoint(trial)
            yield from broken
        if file is not None:
            yield from self._content(trial, file)
            yield from self._against_study(trial, file, lagging=lagging)
        if trial.ended:
            yield from self._end(trial, file)
        yield from self._run(trial, file, lagging=lagging)

    def _nothing_of(self, trial: Trial) -> Iterator[str]:
        if trial.epochs:
            yield "is WAITING in the study, which has epochs of it"
        if self.runs[str(trial.number)]:
            yield "is WAITING in the study, and MLflow has a run of it"

    def _root(self) -> str:
        """The folder of the checkpoints; one below its study's folder moves along with that."""
        root, place = self.facts["checkpoints"], self.facts.get("place")
        if not self.here or "://" in root:
            return root
        if place is None:  # an earlier version's: it kept them in a folder of the sweep's name, beside the study
            beside = self.here / self.name
            return str(beside) if Path(root).name == self.name and list(beside.glob("trial-*")) else root
        moved = self.here / Path(root).relative_to(place) if Path(root).is_relative_to(place) else None
        return str(moved) if moved and moved.is_dir() else root

    def _address(self, trial: Trial) -> str:
        return f"{self.root}/trial-{trial.number:04d}"

    def _ownership(self) -> Iterator[str]:
        """The mark of a study in the folder of its checkpoints."""
        if _folder(self.root) is None:
            return
        mark = Path(self.root) / "study.json"
        if not mark.is_file():
            if self.facts.get("form"):
                yield f"its checkpoints in {self.root} have no mark of its study"
            return
        try:
            study = json.loads(mark.read_text())["study"]
        except (ValueError, KeyError, TypeError):
            yield f"the mark {mark} can't be read"
            return
        if study not in self.studies:
            yield f"its checkpoints in {self.root} are of the study {study}, this one is {self.facts['id']}"

    def _checkpoint(self, trial: Trial) -> tuple[File | None, list[str]]:
        """The newest checkpoint file of a trial, and what is wrong with it."""
        address = self._address(trial)
        named = trial.end.get("checkpoint")
        if named and Path(named).name != f"trial-{trial.number:04d}":
            return None, [f"the study names {named} as its checkpoint, which is another trial's"]
        try:
            names = _listed(address)
            if not names:
                needed = bool(trial.epochs or named)
                return None, [f"there is no checkpoint at {address}"] if needed else []
            data = _bytes(address, names[-1])
            return File(*_age(names[-1]), data, _opened(data)), []
        except (_Broken, OSError) as error:
            return None, [f"its checkpoint {address}/{names[-1]} {error}"]

    def _places(self, trial: Trial, file: File) -> Iterator[str]:
        """The windows and epochs of a checkpoint: none is missing, and none comes after the last of its window."""
        content, history = file.content, file.content["history"]
        windows = file.windows
        if trial.fitted:
            if set(windows) != {self.windows + 1}:
                yield f"is a refit, which nothing judges, and its checkpoint has the windows {sorted(windows)}"
        else:
            yield from _contiguous(windows, "its checkpoint's windows")
        if max(windows, default=1) > self.windows + (self.windows > 1 or bool(trial.fitted)):
            yield f"its checkpoint has {max(windows)} windows, a trial is judged over {self.windows}"
        for window, rows in windows.items():
            if window == 1 or self.refit or window > self.windows:
                yield from _contiguous((row["number"] for row in rows), "its checkpoint's epochs")
        ends = (history[-1].get("window", 1), history[-1]["number"]) if history else (1, 0)
        if not ((file.window, file.epoch) == (content.get("window", 1), content["epoch"]) == ends):
            said = f"{content.get('window', 1)}:{content['epoch']}"
            yield f"its checkpoint is named after epoch {file.window}:{file.epoch}, says {said}, holds {ends}"
        early = [row["number"] for rows in windows.values() for row in rows[:-1] if row["stop"]]
        early += [rows[-1]["number"] for window, rows in windows.items() if window < ends[0] and not rows[-1]["stop"]]
        if early:
            yield f"its checkpoint goes on after epoch {early[0]}, which was to be the last"

    def _content(self, trial: Trial, file: File) -> Iterator[str]:
        """What a checkpoint must say of itself."""
        content, history = file.content, file.content["history"]
        if content["format"] not in (1, 2, 3):
            yield f"its checkpoint has format {content['format']}"
        if content.get("study") and (content["study"], content["trial"]) not in [
            (s, trial.number) for s in self.studies
        ]:
            yield f"its checkpoint is trial {content['trial']}'s of the study {content['study']}"
        yield from self._places(trial, file)
        if file.attempt > trial.attributes.get("attempt", 0):
            yield f"its checkpoint is of attempt {file.attempt}, the study knows {trial.attributes.get('attempt', 0)}"
        for row in history:  # the training before the test part is not judged, so it has no value
            if not _same(row["value"], row["metrics"].get(self.base["metric"], math.nan)):
                yield f"its checkpoint's value of epoch {row['number']} is not its {self.base['metric']}"
        windows = file.windows
        is_judged = max(windows, default=1) <= self.windows
        best = self._best_row(windows[max(windows)]) if windows and is_judged else None
        number, value = (best["number"], best["value"]) if best else (0, math.nan)
        if is_judged and (content["best_epoch"] != number or not _same(content["best_value"], value)):
            yield f"its checkpoint says that epoch {content['best_epoch']} is its best; its history, epoch {number}"
        if trial is self.best and not content["best_weights"]:
            yield "is the best, and its checkpoint has no weights"
        if trial.fitted:
            yield from self._refit(trial, content)
        wanted = self.windows > 1 and self.concluded and (trial is self.best or (trial.is_base and trial.ended))
        if wanted and self._may_be_best(trial, beside=True) and max(windows) != self.windows + 1:
            yield "is judged on the test part, and was not trained on all before it"
        wrong = _unlike(_flat(content["config"]), _flat(self._config(trial)), but=FORMER)
        yield from (f"its checkpoint was trained with {what}" for what in wrong)

    def _refit(self, trial: Trial, content: Mapping[str, Any]) -> Iterator[str]:
        history, epochs = content["history"], trial.fitted["epochs"]
        if trial.end.get("state") == "COMPLETE":
            if not content["best_weights"] or content["best_epoch"] != epochs:
                yield "is a refit that completed, and its checkpoint has not the weights of its last epoch"
            if len(history) != epochs:
                yield f"is a refit of {epochs} epochs, its checkpoint has {len(history)}"
        if any(name.startswith(("val/", "test/")) for row in history for name in row["metrics"]):
            yield "is a refit, and was judged on what it has seen"
        if content["facts"]["fingerprint"] != trial.fitted["data"]:
            yield "is a refit, and its checkpoint was trained on other data than the study says"

    def _whose(self, trial: Trial, content: Mapping[str, Any]) -> Iterator[str]:
        if content["format"] not in (1, 2, 3):
            yield f"its checkpoint has format {content['format']}"
        study, number = content.get("study"), content.get("trial")  # earlier versions said neither
        if study and (study not in self.studies or number != trial.number):
            yield f"its checkpoint is trial {number}'s of the study {study}"
        if (fingerprint := content["facts"]["fingerprint"]) != self.facts.get("data_fingerprint"):
            yield f"its checkpoint was trained on the data {fingerprint[:12]}, the sweep is of other data"

    def _against_study(self, trial: Trial, file: File, *, lagging: bool) -> Iterator[str]:
        history = self._steps(file)
        lost = _lost(trial, len(history))
        for epoch in sorted(history.keys() | trial.epochs.keys()):
            if epoch in lost:
                continue
            if epoch not in history:
                yield f"the study has epoch {epoch}, its checkpoint has not"
            elif epoch not in trial.epochs:
                if not lagging:
                    yield f"its checkpoint has epoch {epoch}, the study has not"
            elif not _near(history[epoch], trial.epochs[epoch], exact=self.windows == 1):
                yield (
                    f"the study's value of epoch {epoch} is {trial.epochs[epoch]!r}, "
                    f"its checkpoint's {history[epoch]!r}"
                )

    def _means_so_far(self, file: File) -> list[float]:
        """After each window that has ended: the mean over the windows so far, each at its best epoch."""
        bests: list[float] = []
        for window, rows in sorted(file.windows.items()):
            best = self._best_row(rows)
            if window > self.windows or best is None or rows[-1]["stop"] in (None, "diverged"):
                break
            bests.append(best["value"])
        return [sum(bests[:count]) / count for count in range(1, len(bests) + 1)]

    def _steps(self, file: File) -> dict[int, float]:
        """What Optuna shall have: the epochs of the first window, then a step for each later one."""
        later = enumerate(self._means_so_far(file)[1:], self.longest + 1)
        return {row["number"]: row["value"] for row in file.windows.get(1, ())} | dict(later)

    def _result(self, file: File) -> tuple[int, float | None]:
        """The first window's best epoch, and the value: the mean over all windows, if the trial has had them."""
        best = self._best_row(file.windows.get(1, ()))
        if self.windows == 1 or best is None:
            return (best["number"], best["value"]) if best else (0, None)
        means = self._means_so_far(file)
        return best["number"], means[-1] if len(means) == self.windows else None

    def _best_row(self, history: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        sound = [row for row in history if math.isfinite(row["value"]) and row["stop"] != "diverged"]
        return min(sound, key=lambda row: (self.sign * row["value"], row["number"]), default=None)

    def _end(self, trial: Trial, file: File | None) -> Iterator[str]:
        """How a trial ended, by the study alone and by its history."""
        end = trial.end
        if not end:
            missing = sorted(END - set(trial.attributes.get("end", {})))
            yield f"is {trial.state} in the study, which does not say how it ended (lacks {missing})"
            return
        second = self.facts.get("second")
        told_as_failed = second and (trial.state, end["state"]) == ("FAIL", "PRUNED")  # Optuna can't prune of two
        beside = trial.kind in ("base", "extend", "confirm", "refit")
        told_as_failed = told_as_failed or (beside and trial.state == "FAIL")
        if trial.state != end["state"] and not (end["diverged"] and trial.state == "COMPLETE") and not told_as_failed:
            yield f"is {trial.state} in the study, and was decided to end {end['state']}"
        yield from self._told(trial)
        history = file.content["history"] if file else []
        if file is not None:
            number, value = self._result(file)
            history = [row for row in history if trial.fitted or row.get("window", 1) <= self.windows]
            if end["best_epoch"] != number or not _near(end["value"], value, exact=self.windows == 1):
                yield (
                    f"ended with {end['value']!r} of epoch {end['best_epoch']} in the study; "
                    f"its history's best is {value!r} of epoch {number}"
                )
            if not end["checkpoint"]:
                yield f"has a checkpoint at {self._address(trial)}, and the study names none"
            last = history[-1]["stop"] if history else None
            if end["state"] == "COMPLETE" and last in (None, "diverged"):
                yield f"is COMPLETE, and its last epoch says {last}"
            took = sum(row["metrics"].get("epoch_s", 0.0) for row in history[trial.after :])
            again = trial.number in self.facts.get("trained_again", [])  # its file was lost, and took another time
            if end.get("epochs", len(history) - trial.after) != len(history) - trial.after:
                yield f"has {end['epochs']} epochs in the study, {len(history) - trial.after} by its history"
            if not again and not math.isclose(end.get("epochs_s", took), took, abs_tol=0.001):
                yield f"its epochs took {end['epochs_s']} s in the study, {took} s by its history"
        elif self.windows == 1 and end["best_epoch"] and not _same(trial.epochs.get(end["best_epoch"]), end["value"]):
            yield f"ended with {end['value']!r} of epoch {end['best_epoch']}, where the study has another value"

    def _told(self, trial: Trial) -> Iterator[str]:
        """The values that Optuna keeps of a trial, from which its samplers learn."""
        end, second = trial.end, self.facts.get("second")
        if second and end["state"] == "COMPLETE" and not trial.fitted:  # nothing measures a refit
            figure = end.get("probed", {}).get("numbers", {}).get(second[0].removeprefix("probe/"))
            if figure is None or not _same(figure, end["second"]):
                yield f"has {end['second']!r} as its {second[0]} in the study, its probe found {figure!r}"
        if end["diverged"] and trial.state == "COMPLETE":  # a penalty: the worst of those that completed before
            others = [t.told for t in self.study.trials if t.state == "COMPLETE" and t is not trial]
            if any(value not in column for value, column in zip(trial.told, zip(*others, strict=True), strict=True)):
                yield f"diverged, and the study's value of it, {trial.told!r}, is no other trial's"
            return
        last = trial.epochs.get(max(trial.epochs, default=0))
        pruned = [last] if last is not None and not math.isnan(last) else []
        complete = [end["value"], *([end["second"]] if second else [])]
        expected = {"COMPLETE": complete, "PRUNED": pruned, "FAIL": []}[trial.state]
        if len(trial.told) != len(expected) or not all(map(_same, trial.told, expected)):
            yield f"has the value {trial.told!r} in the study, where {expected!r} is right"

    def _config(self, trial: Trial) -> dict[str, Any]:
        """What a trial trains: the base configuration with its own settings."""
        config = json.loads(json.dumps(self.base))
        for path, value in {**trial.params, **trial.changes}.items():
            section, _, key = path.rpartition(".")  # a trial of confirm also says at the top where it is judged
            (config[section] if section else config)[key] = value
        return config

    # --- MLflow

    def _runs_of_sweep(self) -> list[Run]:
        wanted = {"sweep.name": self.name, "sweep.study": self.facts["id"]}
        every = self.tracking.experiments.items()
        # Users may rename it; an earlier version's has no tag.
        homes = [key for key, (_, tags) in every if tags.get("sweep.holds") == "sweeps"]
        homes = homes or [key for key, (name, _) in every if name == "sweeps"]
        return [r for key in homes for r in self.tracking.runs.get(key, []) if wanted.items() <= r.tags.items()]

    def _experiment(self) -> int | None:
        names = {self.name, f"{self.name} ({self.facts['id'][:8]})"}
        ours = {"sweep.name": self.name, "sweep.study": self.facts["id"]}
        found = [(name not in names, key) for key, (name, tags) in self.tracking.experiments.items()
                 if ours.items() <= tags.items()]  # fmt: skip
        return min(found)[1] if found else None

    def _run(self, trial: Trial, file: File | None, *, lagging: bool) -> Iterator[str]:
        found = self.runs[str(trial.number)]
        if not found:
            if not lagging:
                yield "MLflow has no run of it"
            return
        if len(found) > 1:
            yield f"MLflow has {len(found)} runs of it: {', '.join(run.id for run in found)}"
        run = found[0]
        if self.sweep_run and run.tags.get("mlflow.parentRunId") != self.sweep_run.id:
            yield f"its run's parent is {run.tags.get('mlflow.parentRunId')}, the sweep's run is {self.sweep_run.id}"
        if run.tags.get("sweep.name") != self.name:
            yield f"its run's sweep.name is {run.tags.get('sweep.name')!r}"
        state = trial.end.get("state", trial.state)  # a diverged trial may be told to Optuna as another
        if run.status != STATUS[state] and not lagging:
            yield f"is {state} in the study, its run is {run.status}"
        if trial.end:
            yield from self._run_end(trial, run, lagging=lagging)
        if self.concluded and (run.tags.get("sweep.best") == "true") != (trial is self.best):
            yield f"its run's sweep.best is {run.tags.get('sweep.best')}, the study's best is {self._best_number()}"
        if "start" in trial.attributes and not lagging:  # else no worker ever began it, and nothing was trained
            yield from self._run_config(trial, run)
        yield from self._curves(trial, file, run, lagging=lagging)
        yield from self._run_artifact(trial, file, run)

    def _run_end(self, trial: Trial, run: Run, *, lagging: bool) -> Iterator[str]:
        end = trial.end
        if lagging and "sweep.recorded" not in run.tags:
            return
        expected = {key: str(end[key]) for key in ("state", "reason", "best_epoch", "epochs") if key in end}
        expected["checkpoint"] = self._address(trial) if end["checkpoint"] else ""
        expected |= {"recorded": "true", "attempt": str(trial.attributes.get("attempt", 0))}
        if derived := trial.attributes.get("derived"):
            expected |= {"kind": derived["purpose"]}
            expected |= {} if derived["parent"] is None else {"parent": str(derived["parent"])}
        if trial.fitted:
            expected |= {"changes": json.dumps(trial.changes), "fitted": json.dumps(trial.fitted)}
        elif trial.changes:
            expected |= {"changes": json.dumps(trial.changes), "after": str(trial.after)}
        if trial.is_base:
            expected["base"] = "true"
        for key, value in expected.items():
            if (there := run.tags.get(f"sweep.{key}")) != value[:5000]:
                yield f"its run's sweep.{key} is {there!r}, the study's {value!r}"
        if run.end_time != end["at_ms"]:
            yield f"its run ended at {run.end_time} ms, in the study at {end['at_ms']}"

    def _run_config(self, trial: Trial, run: Run) -> Iterator[str]:
        config = self._config(trial)
        there = {key: _read(value) for key, value in run.params.items()}
        expected = {_clean(key): _read(_written(value)) for key, value in _flat(config).items()}
        yield from (f"its run's parameters have {what}" for what in _unlike(there, expected, but=FORMER))
        settings = json.loads(run.tags.get("sweep.settings", "null"))
        searched = {path: trial.changes.get(path, value) for path, value in trial.params.items()}
        if settings != searched:
            yield f"its run's sweep.settings are {settings}, the study's {searched}"
        text = self._artifact(run, "config.yaml")
        if text is None:
            yield "its run has no config.yaml"
            return
        try:
            written = yaml.load(text, yaml.CSafeLoader)
        except (yaml.YAMLError, UnicodeDecodeError):
            written = None
        if not isinstance(written, dict):
            yield "its run's config.yaml can't be read"
            return
        yield from (f"its run's config.yaml has {what}" for what in _unlike(_flat(written), _flat(config), but=FORMER))

    def _curves(self, trial: Trial, file: File | None, run: Run, *, lagging: bool) -> Iterator[str]:
        """Every point of a trial's run against its history; against the study where there is no history."""
        yield from _latest(run)
        # Without a history there is only the study's value, and it does not know when an epoch was measured.
        expected = self._history_points(file) if file else self._study_points(trial)
        of_end = self._end_points(trial)
        lost = _lost(trial, len(file.content["history"])) if file else range(0)
        for metric in sorted(expected.keys() | of_end.keys() | run.curves.keys()):
            there = [p for p in run.curves.get(metric, []) if metric not in expected or p[0] not in lost]
            if metric in of_end:
                yield from _points_apart(metric, there, of_end[metric], lagging=lagging)
            elif metric in expected:
                yield from _points_apart(metric, there, expected[metric], lagging=lagging, timed=file is not None)
            elif (
                metric.startswith(("test/", "baseline/", "base/")) and trial.end
            ):  # it was the best of fewer trials once
                if [point[:2] for point in there] != [(trial.end["best_epoch"], trial.end["at_ms"])]:
                    yield f"its run's {metric} is not one point at the end of its best epoch"
            elif file is not None:
                yield f"its run has a curve {metric} that its checkpoint's history has not"

    def _study_points(self, trial: Trial) -> dict[str, list[Point]]:
        first = [(step, value) for step, value in trial.epochs.items() if self.windows == 1 or step <= self.longest]
        return {_clean(self.base["metric"]): [(step, 0, _finite(value)) for step, value in first]}

    def _history_points(self, file: File) -> dict[str, list[Point]]:
        """Every curve that MLflow shall have of a history: the first window's as ever, later ones under their name."""
        points: dict[str, list[Point]] = defaultdict(list)
        for row in file.content["history"]:
            window, names = row.get("window", 1), _clean_all(row["metrics"])
            before = "" if window == 1 else "final/" if window > self.windows else f"window-{window}/"
            for metric, value in row["metrics"].items():
                points[before + names[metric]].append((row["number"], row["measured_at_ms"], _finite(value)))
        return points

    def _end_points(self, trial: Trial) -> dict[str, list[Point]]:
        """What a trial's end adds to its run, and a probe of it, each a single point."""
        found = trial.end.get("probed") or self.facts.get(f"probed.{trial.number}") or {"numbers": {}}
        names = _clean_all([f"probe/{name}" for name in found["numbers"]])
        probed = {
            names[f"probe/{name}"]: [(found["best_epoch"], found["at_ms"], _finite(value))]
            for name, value in found["numbers"].items()
        }
        if trial.end.get("value") is None:
            return probed
        judged = self._judged() if trial is self.best and self.concluded else {}
        step, at_ms = trial.end["best_epoch"], trial.end["at_ms"]
        ended = {"best": trial.end["value"], **judged}
        return {**{metric: [(step, at_ms, _finite(value))] for metric, value in ended.items()}, **probed}

    def _judged(self) -> dict[str, float]:
        judged = self.facts.get("judged") or {}
        if self.best is None or judged.get("trial") != self.best.number:
            return {}
        names = _clean_all(judged["metrics"])
        return {names[metric]: value for metric, value in judged["metrics"].items()}

    def _run_artifact(self, trial: Trial, file: File | None, run: Run) -> Iterator[str]:
        data = self._artifact(run, "checkpoint/checkpoint.pt")
        if data is None:
            mode = self._mode()
            is_best = mode == "best" and trial is self.best and self.concluded
            of_all = mode == "all" and "sweep.recorded" in run.tags and bool(trial.end.get("checkpoint"))
            of_refit = mode == "best" and trial.fitted and trial.end.get("state") == "COMPLETE"
            if is_best or of_all or (of_refit and "sweep.recorded" in run.tags):
                yield "its run lacks the checkpoint as an artifact"
            return
        try:
            content = _opened(data)
        except _Broken as error:
            yield f"its run's artifact checkpoint.pt {error}"
            return
        if file is None:
            return
        if trial is self.best and self.concluded and data != file.data:
            yield "its run's artifact checkpoint.pt is not the file at its address"
        # The weights may have gone from the address since; the history stays.
        elif repr((content["history"], content["config"])) != repr((file.content["history"], file.content["config"])):
            yield "its run's artifact checkpoint.pt holds another history than the file at its address"

    def _mode(self) -> str:
        """The spec's `tracking.checkpoints`, as the sweep was last run."""
        folder = self.home / self.name
        spec, origin = folder / "spec.yaml", folder / "origin.json"
        text = spec.read_text(encoding="utf-8") if spec.is_file() else self.facts.get("spec_text", "")
        mode = ((yaml.load(text, yaml.CSafeLoader) or {}).get("tracking") or {}).get("checkpoints", "best")
        for override in json.loads(origin.read_text())["overrides"] if origin.is_file() else []:
            path, _, value = override.partition("=")
            if path == "tracking.checkpoints":
                mode = value
        return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda m: os.environ.get(m[1], m[2] or ""), str(mode))

    def _artifact(self, run: Run, name: str) -> bytes | None:
        parts = urlsplit(run.artifacts)
        if parts.scheme == "mlflow-artifacts":  # a server's own folder, under which it lays them by experiment
            folder = self.artifacts / unquote(parts.path).lstrip("/")
        elif parts.scheme in ("", "file"):
            folder = Path(unquote(parts.path))
        else:
            raise ValueError(f"artifacts at {parts.scheme}:// are not read here")
        path = folder / name
        return path.read_bytes() if path.is_file() else None

    # --- the sweep's run

    def _sweep(self) -> Iterator[str]:
        started = any(t.state != "WAITING" for t in self.study.trials)
        lagging = self.study.driven
        if self.experiment is None and started and not lagging:
            yield f"MLflow has no experiment of the name {self.name} that is of its study {self.facts['id'][:8]}"
        if not self.sweep_runs:
            if not lagging:
                yield "MLflow has no run of it in the experiment sweeps"
            return
        if len(self.sweep_runs) > 1:
            yield f"MLflow has {len(self.sweep_runs)} runs of it: {', '.join(run.id for run in self.sweep_runs)}"
        run = self.sweep_runs[0]
        yield from _latest(run)
        if not lagging:
            yield from self._sweep_facts(run)
            yield from self._sweep_counts(run)
        yield from _points_apart("best", run.curves.get("best", []), self._progress(), lagging=lagging)
        if self.concluded:
            yield from self._conclusion(run)

    def _sweep_facts(self, run: Run) -> Iterator[str]:
        expected = {
            "sweep.n_trials": str(self.facts["n_trials"]),
            "sweep.spec_hash": self.facts.get("spec_hash") or None,
            "sweep.data_fingerprint": self.facts.get("data_fingerprint") or None,
            "sweep.experiment": str(self.experiment),
        }
        for tag, value in expected.items():
            if run.tags.get(tag) != value:
                yield f"its run's {tag} is {run.tags.get(tag)!r}, the study's {value!r}"
        for param in ("metric", "direction"):
            if run.params.get(param) != self.base[param]:
                yield f"its run's {param} is {run.params.get(param)!r}, the study's {self.base[param]!r}"
        text = self._artifact(run, "spec.yaml")
        if (text or b"").decode(errors="replace") != self.facts.get("spec_text", ""):
            yield "its run's spec.yaml is not the study's spec"
        if run.status == "RUNNING":
            yield "its run is RUNNING, and no living driver holds the sweep"
        elif run.status not in ("FINISHED", "KILLED") or (self.concluded and run.status != "FINISHED"):
            yield f"its run is {run.status}, and the study says that it is complete"
        elif run.status == "FINISHED" and not self._is_complete(run):
            yield f"its run is FINISHED, and {len(self.ended)} of {self.facts['n_trials']} trials have ended"

    def _is_complete(self, run: Run) -> bool:
        ended = sum(bool(t.end) for t in self.counted)
        return ended >= self._wanted() or "reached the target" in run.tags.get("sweep.ended", "")

    def _sweep_counts(self, run: Run) -> Iterator[str]:
        counts = Counter(t.end["state"] for t in self.ended)
        for state in ENDED:
            there = run.tags.get(f"sweep.trials.{state.lower()}", "0")
            if there != str(counts[state]):
                yield f"its run counts {there} trials {state}, the study {counts[state]}"

    def _progress(self) -> list[Point]:
        """The best value after each trial that ended, in the order of their ends."""
        points: list[Point] = []
        best: float | None = None
        for step, trial in enumerate(self.ended, 1):
            value = trial.end["value"]
            counts = trial.kind in (None, "retry")
            if counts and self._may_be_best(trial) and (best is None or self.sign * value < self.sign * best):
                best = value
            if best is not None:
                points.append((step, trial.end["at_ms"], best))
        return points

    def _conclusion(self, run: Run) -> Iterator[str]:
        """What a sweep's run says when all is over."""
        best = self._best_number()
        if run.tags.get("sweep.best_trial") != best:
            yield f"its run's sweep.best_trial is {run.tags.get('sweep.best_trial')!r}, the study's best is {best}"
        if self.best and not self._judged():
            yield f"its best is trial {best}, and the study holds no judgement of it"
        if self._artifact(run, "report.html") is None:
            yield "its run has no report.html"
        if "sweep.picture" in run.tags and b"<svg" not in (self._artifact(run, run.tags["sweep.picture"]) or b""):
            yield "its run has no picture"
        for metric, value in self._goodput().items():
            step, _, there = run.latest.get(metric, (0, 0, None))
            if step != len(self.ended) or there is None or not math.isclose(there, value, rel_tol=1e-9, abs_tol=1e-12):
                yield f"its run's {metric} is {there!r} after {step} trials, {value!r} is right"
        for metric, value in self._judged().items():
            point = (len(self.ended), self.ended[-1].end["at_ms"], _finite(value))
            there = [p for p in run.curves.get(metric, []) if p[0] >= point[0]]  # those before: of fewer trials
            yield from _points_apart(metric, there, [point], lagging=False)

    # --- what was judged

    def _verdict(self) -> Iterator[str]:
        """What was judged by item must be what networks, rivals and MLflow say of it."""
        # Another home may hold what an earlier run has judged.
        here = str(self.facts.get("judged_in", "")).startswith(f"the home {self.home.absolute()} of ")
        if not self.concluded or self.study.driven or not here:
            return
        folder = self.home / self.name
        shown = {
            key: point[2]
            for key, point in (self.sweep_run.latest if self.sweep_run else {}).items()
            if key.startswith("rival/")
        }
        fitted = sorted(folder.glob("rival-*.npz"))
        if not (folder / "judged.npz").is_file():
            if fitted or shown:
                yield f"the sweep: {folder / 'judged.npz'} is not there, and rivals were fitted or are in MLflow"
            return
        for path in fitted:
            yield from (f"the sweep: {path} {what}" for what in self._fitted(path))
        try:
            content, arrays = _archive(folder / "judged.npz")
        except _Broken as error:
            yield f"the sweep: {folder / 'judged.npz'} {error}"
            return
        yield from (f"the sweep: what was judged {what}" for what in self._whose_judgement(content))
        figures = []
        for entry in content["entries"]:
            whose = "the sweep" if entry["trial"] is None else f"trial {entry['trial']}"
            found, faults = self._means(entry, arrays)
            figures.append(found)
            yield from (f"{whose}: what was judged of {entry['name']} {what}" for what in faults)
        yield from (f"the sweep: {what}" for what in self._rivals_shown(content["entries"], figures, shown))
        yield from (f"the sweep: {what}" for what in self._sentence(content, arrays))

    def _whose_judgement(self, content: Mapping[str, Any]) -> Iterator[str]:
        if content["study"] not in self.studies:
            yield f"is of the study {content['study']}"
        if content["data"] != self.facts.get("data_fingerprint"):
            yield f"is of the data {content['data'][:12]}, the sweep is of other data"
        if content["metric"] != self.base["metric"].removeprefix("val/"):
            yield f"is by {content['metric']}, the sweep is by {self.base['metric']}"
        bases = [t.number for t in self.study.trials if t.is_base]
        wanted = {"network": self.best and self.best.number, "base": bases[-1] if bases else None}
        if not any(path.startswith("search.") for path in self.facts.get("comparable", {})):
            wanted.pop("base")
        for role, number in wanted.items():
            there = [entry["trial"] for entry in content["entries"] if entry["role"] == role]
            if there != ([] if number is None else [number]):
                yield f"has {there} as its {role}, the study {number}"

    def _fitted(self, path: Path) -> Iterator[str]:
        """What a rival has fitted must be this sweep's, and what was judged of it."""
        try:
            content, _ = _archive(path)
            judged, _ = _archive(path.parent / "judged.npz")
        except _Broken as error:
            yield str(error)
            return
        if content["study"] not in self.studies or content["data"] != self.facts.get("data_fingerprint"):
            yield f"is of the study {content['study']}, of the data {content['data'][:12]}"
        if path.name != f"rival-{content['name']}.npz":
            yield f"is what {content['name']} has fitted"
        for entry in judged["entries"]:
            is_known = entry["rival"] == content["name"] and entry.get("fitted")  # earlier versions did not say it
            if is_known and entry["fitted"] != hashlib.sha256(path.read_bytes()).hexdigest():
                yield "is not the one that was judged"

    def _means(self, entry: Mapping[str, Any], arrays: Mapping[str, Any]) -> tuple[dict[str, float], list[str]]:
        """An entry's figures on the test part by its items, and where others have other ones."""
        faults, found = [], dict(entry["figures"].get("test", {}))
        told = self._judged() if entry["role"] in ("network", "base") else {}
        before = "base/test/" if entry["role"] == "base" else "test/"
        for part, items in entry["items"].items():
            weights = arrays[items["weights"]]
            for metric, key in items["errors"].items():
                held = weights > 0
                mean = float((weights * arrays[key])[held].sum() / weights[held].sum()) if held.any() else math.nan
                figure = entry["figures"][part].get(metric, mean)
                if not (math.isclose(mean, figure, rel_tol=1e-5) or (math.isnan(mean) and math.isnan(figure))):
                    faults.append(f"has {part}/{metric} {mean!r} by its items, {figure!r} beside them")
                if part == "test":
                    found[metric] = mean
        for metric, figure in found.items():
            other = told.get(f"{before}{metric}", figure)
            if not (math.isclose(figure, other, rel_tol=1e-5) or (math.isnan(figure) and math.isnan(other))):
                faults.append(f"is {metric} {figure!r} on the test part, the study was told {other!r}")
        if entry["rival"] and entry["items"] and not (self.home / self.name / f"rival-{entry['rival']}.npz").is_file():
            faults.append("has no file of what it has fitted")
        return found, faults

    def _rivals_shown(
        self, entries: list[Mapping[str, Any]], figures: list[dict[str, float]], shown: Mapping[str, float | None]
    ) -> Iterator[str]:
        """MLflow's figures of the rivals, by those of their items."""
        wanted = {
            f"rival/{entry['rival']}/{metric}": value
            for entry, found in zip(entries, figures, strict=True)
            for metric, value in found.items()
            if entry["rival"]
        }
        names = _clean_all(wanted)
        wanted = {names[metric]: value for metric, value in wanted.items()}
        for metric in sorted(wanted.keys() | shown.keys()):
            there, value = shown.get(metric, "nothing"), _finite(wanted.get(metric, math.nan))
            if metric not in wanted or there == "nothing" or (there is None) != (value is None):
                yield f"its run's {metric} is {there!r}, {wanted.get(metric, 'nothing')!r} was judged"
            elif there is not None and not math.isclose(there, value, rel_tol=1e-5):
                yield f"its run's {metric} is {there!r}, {value!r} was judged"

    def _sentence(self, content: Mapping[str, Any], arrays: Mapping[str, Any]) -> Iterator[str]:
        """The verdict in the description of its run: the best rival, and by how many per cent the network is better."""
        entries, metric = content["entries"], content["metric"]
        network = next((e for e in entries if e["role"] == "network" and e["items"]), None)
        rivals = [
            e for e in entries if e["rival"] and math.isfinite(e["figures"].get("validation", {}).get(metric, math.inf))
        ]
        if network is None or not rivals or self.sweep_run is None:
            return
        best = min(rivals, key=lambda e: self.sign * e["figures"]["validation"][metric])
        lines = self.sweep_run.tags.get("mlflow.note.content", "").split("\n\n")
        of_confirm = "over these windows "
        told = [line for line in lines if best["name"] in line and not line.startswith(of_confirm)]
        if not told:
            yield f"its run's description does not name {best['name']}, the rival that is best on validation"
            return
        by = metric if all(metric in items["errors"] for e in entries for items in e["items"].values()) else "loss"
        said = re.search(r"([\d,]+\.?(\d*)) %(?: \[[^]]*\])? (better|worse)", told[0])
        if said is None or self.sign < 0 or (by != metric and metric == "f1"):
            return
        gain = 100 * (1 - _joint_mean(network, best, by, arrays) / _joint_mean(best, network, by, arrays))
        value = float(said[1].replace(",", "")) * (1 if said[3] == "better" else -1)
        if abs(gain - value) > 0.51 * 10 ** -len(said[2]):
            yield f"its run's description says {said[0]!r} of {best['name']}, {gain:.4g} % better is right"

    def _goodput(self) -> dict[str, float]:
        """What part of workers' time went where, by the ends of trials that tell, and by the sweep for the rest."""
        tell = [t.end for t in self.ended if "spent" in t.end]
        seconds = defaultdict(float, training=sum(end["epochs_s"] for end in tell))
        for spent in [*(end["spent"] for end in tell), self.facts.get("beside", {})]:
            for part, value in spent.items():
                seconds[part] += value
        seconds.pop("at_ms", None)
        whole = sum(seconds.values())
        if not tell or not whole:
            return {}
        shares = {f"goodput/{part}": value / whole for part, value in seconds.items()}
        epochs = [end.get("epochs") for end in tell]  # an earlier version did not store them
        return {"goodput/worker_s": whole, **shares, **({} if None in epochs else {"goodput/epochs": sum(epochs)})}


def _joint_mean(mine: Mapping[str, Any], other: Mapping[str, Any], metric: str, arrays: Mapping[str, Any]) -> float:
    """One's mean on the test part over the items that both were judged on."""
    ours, theirs = mine["items"]["test"], other["items"]["test"]
    held = (arrays[ours["weights"]] > 0) & (arrays[theirs["weights"]] > 0)
    weights = arrays[ours["weights"]][held]
    return float((weights * arrays[ours["errors"][metric]][held]).sum() / weights.sum())


def _latest(run: Run) -> Iterator[str]:
    """What MLflow shows first of a curve must be its last point."""
    for metric in sorted(run.curves.keys() | run.latest.keys()):
        points = run.curves.get(metric, [])
        last = max(points, key=lambda p: (p[0], p[1], -math.inf if p[2] is None else p[2]), default=None)
        if run.latest.get(metric) != last:
            yield f"its run's latest {metric} is {run.latest.get(metric)}, its curve's last point is {last}"


def _lost(trial: Trial, held: int) -> range:
    """The epochs after those that its checkpoint holds, as far as its end says that no checkpoint held them."""
    return range(held + 1, held + 1 + trial.end.get("lost_epochs", 0))


def _points_apart(
    metric: str, there: list[Point], expected: list[Point], *, lagging: bool, timed: bool = True
) -> Iterator[str]:
    """In what a curve differs from what it shall be, step by step."""
    found: dict[int, list[Point]] = defaultdict(list)
    for point in there:
        found[point[0]].append(point)
    wanted = {point[0]: point for point in expected}
    for step in sorted(found.keys() | wanted.keys()):
        points = found.get(step, [])
        if step not in wanted:
            yield f"its run has {metric} at step {step}, where there is none"
        elif not points:
            if not lagging:
                yield f"its run lacks {metric} at step {step}"
        elif len(points) > 1:
            yield f"its run has {metric} at step {step} {len(points)} times"
        elif points[0][2] != wanted[step][2]:
            yield f"its run's {metric} at step {step} is {points[0][2]!r}, where {wanted[step][2]!r} is right"
        elif points[0][1] != wanted[step][1] and timed:
            yield f"its run's {metric} at step {step} is of {points[0][1]} ms, measured at {wanted[step][1]}"


def _contiguous(numbers: Iterable[int], what: str) -> Iterator[str]:
    ordered = sorted(numbers)
    if ordered != list(range(1, len(ordered) + 1)):
        yield f"{what} are {ordered}, not 1 to {len(ordered)}, each once"


def _same(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return a == b or (math.isnan(a) and math.isnan(b))


def _near(a: float | None, b: float | None, *, exact: bool) -> bool:
    """Whether two values are the same; means may be summed in another order."""
    return _same(a, b) or (not exact and a is not None and b is not None and math.isclose(a, b, rel_tol=1e-12))


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return flat


def _written(value: Any) -> str:
    """A configuration's value as MLflow keeps it, in a text of bounded length."""
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:6000]


def _read(text: str) -> Any:
    """The number behind a parameter's text, so that 1 is 1.0; the text itself where it is none."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _unlike(there: Mapping[str, Any], expected: Mapping[str, Any], but: str = "") -> Iterator[str]:
    for key in sorted((there.keys() | expected.keys()) - {but}):
        if key not in expected:
            yield f"{key}, which the configuration has not"
        elif key not in there:
            yield f"no {key}, which the configuration has"
        elif there[key] != expected[key] or isinstance(there[key], bool) != isinstance(expected[key], bool):
            yield f"{key} {there[key]!r}, the study's configuration has {expected[key]!r}"


if __name__ == "__main__":
    import sys

    started = time.perf_counter()
    found = audit(Path(sys.argv[1]), sys.argv[2])
    print(*found, f"{len(found)} findings in {time.perf_counter() - started:.1f} s", sep="\n")
    sys.exit(bool(found))
