"""Messages about what `sweep verify` finds in a sweep's records; each has the sweep's name in `sweep`."""

from collections.abc import Mapping
from typing import Any

from lstm.messages.entry import Entry

_RUN = "`sweep run {sweep}` goes on and mends it"
_BACKUP = "restore the study's database from a backup, or run the spec again under another name"
_AGAIN = (
    "restore the file from a backup; where there is none, training the trial's configuration again gives the same "
    "weights (`sweep compare {sweep}` shows it)"
)
_REBUILD = "`sweep rebuild {sweep}` writes MLflow again"
_DELIVER = "`sweep run {sweep}` delivers it"
_LOOK = "see to it that the store answers, and look again"


def _entry(text: str, mend: str, **example: Any) -> Entry:
    return Entry(text, mend, {**example, **({"sweep": "co2"} if "{sweep}" in mend else {})})


_STUDY: Mapping[str, Entry] = {
    "trial-missing-from-study": _entry("is missing from the study, which has later trials", _BACKUP),
    "ended-trials-missing": _entry(
        "has {ended} ended trials, and the sweep was complete with {complete}", _BACKUP, ended=39, complete=40
    ),
    "trial-number-twice": _entry("has two trials with the same number", _BACKUP),
    "trial-driven-by-nobody": _entry("is RUNNING, and nobody drives the sweep", _RUN),
    "refit-driven-by-nobody": _entry(
        "is a refit that has not ended, and nobody trains it", "go on with it with `sweep refit {sweep}`"
    ),
    "end-not-stored": _entry("has ended, and how it ended is not stored", _BACKUP),
    "epochs-not-consecutive": _entry(
        "has {count} epochs that do not follow each other from 1: {epochs}", _BACKUP, count=3, epochs=[1, 2, 4]
    ),
    "study-ahead-of-checkpoint": _entry(
        "has {study} epochs, its checkpoint has {checkpoint}", _RUN, study=7, checkpoint=6
    ),
    "curve-length-differs": _entry(
        "has {study} epochs, its checkpoint has {checkpoint}", _BACKUP, study=7, checkpoint=6
    ),
    "epoch-value-differs": _entry(
        "has the value {study!r} in epoch {epoch}, its checkpoint has {checkpoint!r}",
        _BACKUP,
        epoch=4,
        study=0.25,
        checkpoint=0.5,
    ),
    "best-value-differs": _entry(
        "has the value {study!r} of epoch {epoch}, by its epochs the value is {value!r} of epoch {of}",
        _BACKUP,
        study=0.25,
        epoch=4,
        value=0.5,
        of=3,
    ),
    "epochs-time-differs": _entry(
        "has epochs that took {study!r} s, by its checkpoint they took {checkpoint!r} s",
        _BACKUP,
        study=12.5,
        checkpoint=12.25,
    ),
    "epochs-number-differs": _entry(
        "has {study} epochs, by its checkpoint they are {checkpoint}", _BACKUP, study=12, checkpoint=11
    ),
    "told-value-differs": _entry(
        "has the value {values}, the sampler was told {told}", _BACKUP, values=[0.5], told=[0.25]
    ),
    "sampler-told-nothing": _entry("has the value {values}, the sampler was told nothing", _BACKUP, values=[0.5]),
    "second-value-differs": _entry(
        "has {metric} of {study!r}, its probe found {probe!r}",
        _BACKUP,
        metric="probe/dead_units",
        study=0.1,
        probe=0.2,
    ),
    "complete-without-last-epoch": _entry("is COMPLETE, and no epoch of its checkpoint is the last", _BACKUP),
}
_CHECKPOINTS: Mapping[str, Entry] = {
    "store-unreadable": _entry("{address} can't be read: {why}", _LOOK, address="s3://b/co2", why="Forbidden"),
    "checkpoints-of-another-study": _entry(
        "{folder} is of the study {found} ({where}), this one is {study}",
        "another sweep has used this folder: restore the file from a backup, or run the spec under another name",
        folder="/home/ann/runs/checkpoints/co2",
        found="6f1c9a",
        where="/home/bob/runs",
        study="e02b77",
    ),
    "folder-without-mark": _entry("{folder} has no mark of its study", _RUN, folder="/home/ann/runs/checkpoints/co2"),
    "checkpoint-file-broken": _entry("{file}: {why}", _AGAIN, file="/runs/co2/trial-3/epoch-4.pt", why="is truncated"),
    "newest-checkpoint-broken": _entry("{file}: {why}", _RUN, file="/runs/co2/trial-3/epoch-4.pt", why="is truncated"),
    "checkpoint-missing": _entry("{address} has no valid checkpoint", _AGAIN, address="/runs/co2/trial-3"),
    "judged-checkpoint-missing": _entry("{address} has no valid checkpoint", _RUN, address="/runs/co2/trial-3"),
    "history-not-whole": _entry(
        "{address} has a history of {count} epochs{epochs:? (*)}, must have the epochs 1 to {epoch}",
        _AGAIN,
        address="/runs/co2/trial-3",
        count=3,
        epochs=[1, 2, 4],
        epoch=4,
    ),
    "best-epoch-differs": _entry(
        "{address} has the weights of epoch {epoch} as the best, the best is epoch {best}",
        _AGAIN,
        address="/runs/co2/trial-3",
        epoch=4,
        best=3,
    ),
    "best-epoch-unknown": _entry(
        "{address} has the weights of epoch {epoch} as the best, and no epoch is the best",
        _AGAIN,
        address="/runs/co2/trial-3",
        epoch=4,
    ),
    "weights-missing": _entry(
        "{address} has no weights, and the trial is the {role}", _AGAIN, address="/runs/co2/trial-3", role="best"
    ),
}
_MLFLOW: Mapping[str, Entry] = {
    "mlflow-store-missing": _entry("MLflow's store does not exist ({file})", _REBUILD, file="/home/ann/runs/mlflow.db"),
    "mlflow-away": _entry(
        "MLflow does not answer ({why}), so nothing more of it could be checked",
        "see to it that the server runs, and look again",
        why="error 503",
    ),
    "run-of-unknown-trial": _entry("has a run, and the study has no such trial", _REBUILD),
    "sweep-runs-not-one": _entry("has {count} runs of the sweep, must have one", _REBUILD, count=2),
    "sweep-end-not-delivered": _entry(
        "lacks some of what the sweep ended with, which was not sent or was refused", _DELIVER
    ),
    "trial-runs-too-many": _entry("has {count} runs, must have one", _REBUILD, count=2),
    "trial-run-missing": _entry("has no run", _REBUILD),
    "trial-run-incomplete": _entry("has a run that is not whole", _REBUILD),
    "trial-run-not-delivered": _entry("has no run", _DELIVER),
    "trial-run-not-delivered-whole": _entry("has a run that is not whole", _DELIVER),
    "rival-figures-unknown": _entry(
        "has figures of rivals that nothing here was judged to have ({count} in all), such as {name}",
        _REBUILD,
        count=3,
        name="rival/ridge/mae",
    ),
    "run-not-finished": _entry("has the status {status}, must have FINISHED", _REBUILD, status="RUNNING"),
    "run-status-differs": _entry(
        "has the status {status} since {since}, must have {right} since {right_since}",
        _REBUILD,
        status="RUNNING",
        since=1764000000000,
        right="FINISHED",
        right_since=1764000000500,
    ),
    "run-file-missing": _entry("has no {file}", _REBUILD, file="report.html"),
    "view-missing": _entry("lacks the view {view!r} of its page of runs", _REBUILD, view="sweep"),
    "run-spec-differs": _entry("has a spec.yaml that is not the spec", _REBUILD),
    "run-config-differs": _entry("has a config.yaml that is not what was trained", _REBUILD),
    "run-value-differs": _entry(
        "has the {kind} {name} {value!r}, must have {right!r}",
        _REBUILD,
        kind="parameter",
        name="model.cell",
        value="gru",
        right="lstm",
    ),
    "run-value-missing": _entry(
        "lacks the {kind} {name}, must have {right!r}", _REBUILD, kind="tag", name="sweep.state", right="COMPLETE"
    ),
    "data-set-missing": _entry("lacks the data set {context}", _REBUILD, context="training"),
    "data-set-differs": _entry(
        "has a data set {context} that is not the one of the sweep: {found}, must be {right}",
        _REBUILD,
        context="training",
        found="sales.csv (1f0c9a)",
        right="sales.csv (77b2e0)",
    ),
    "description-differs": _entry("has a description that does not say what the trial is", _REBUILD),
    "run-value-unknown": _entry(
        "has the {kind} {name} {value!r}, must not have it", _REBUILD, kind="parameter", name="x", value="1"
    ),
    "best-run-not-marked": _entry("is not marked as the best with sweep.best", _REBUILD),
    "other-run-marked-best": _entry("is marked as the best with sweep.best, and is not the best", _REBUILD),
    "artifact-missing": _entry("has no checkpoint among its artifacts", _REBUILD),
    "artifact-broken": _entry("has an artifact checkpoint.pt that {why}", _REBUILD, why="is truncated"),
    "artifact-differs": _entry("has an artifact checkpoint.pt that is not its checkpoint", _REBUILD),
    "latest-value-differs": _entry(
        "{curve} is shown as {shown!r}, the last point of its curve is {last!r}",
        _REBUILD,
        curve="val/loss",
        shown=0.5,
        last=0.25,
    ),
    "judged-figure-missing": _entry("lacks {figure}, must have {right!r}", _REBUILD, figure="test/mae", right=0.5),
    "judged-figure-differs": _entry(
        "{figure} is {values}, must be {right!r}", _REBUILD, figure="test/mae", values=[0.25], right=0.5
    ),
    "point-twice": _entry(
        "{curve}: epoch {epoch} occurs {times} times{more:? (and * more)}",
        _REBUILD,
        curve="val/loss",
        epoch=3,
        times=2,
        more=None,
    ),
    "point-unknown": _entry(
        "{curve}: epoch {epoch} is not in its history{more:? (and * more)}",
        _REBUILD,
        curve="val/loss",
        epoch=9,
        more=2,
    ),
    "point-missing": _entry(
        "{curve}: epoch {epoch} is missing{more:? (and * more)}", _REBUILD, curve="val/loss", epoch=3, more=None
    ),
    "point-differs": _entry(
        "{curve}: epoch {epoch} is {value!r} at {at_ms}, in its history {right!r} at {right_ms}{more:? (and * more)}",
        _REBUILD,
        curve="val/loss",
        epoch=3,
        value=0.5,
        at_ms=1764000000000,
        right=0.25,
        right_ms=1764000000500,
        more=None,
    ),
}
ENTRIES: dict[str, Entry] = {**_STUDY, **_CHECKPOINTS, **_MLFLOW}
