"""Read what MLflow still knows about a sweep's trials, for a study that was lost."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from dashboards.tracking import runs
from dashboards.tracking.contents import LATER
from dashboards.tracking.known import WHOLE
from lstm.config.trial import LossOn
from lstm.records import looks
from lstm.records.epoch import Epoch, Why
from lstm.records.objective import Scalar
from lstm.records.state import Derived, Purpose, TrialState


@dataclass(frozen=True, slots=True)
class RememberedTrial:
    """A trial as its run describes it."""

    number: int
    settings: Mapping[str, Scalar]
    curve: tuple[tuple[int, float, int], ...]  # of the metric: epoch, value, time of measurement in ms
    attempt: int
    worker: str
    started_at_ms: int
    state: TrialState | None  # None if it had not ended, or its end did not reach MLflow
    reason: str
    value: float | None  # of its best epoch
    best_epoch: int
    ended_at_ms: int
    has_checkpoint: bool
    derived: Derived | None = None
    is_base: bool = False  # whether its settings are the spec's own
    probed: Mapping[str, float] = field(default_factory=dict)  # a probe's numbers
    probed_at: tuple[int, int] = (0, 0)  # the epoch that was probed, and the time in ms
    later: Mapping[int, tuple[tuple[int, float, int], ...]] = field(default_factory=dict)  # as `curve`, by later window

    def history(self, metric: str) -> tuple[Epoch, ...]:
        """Return the trial's epochs with what is known of them: the metric's value. A window before another has ended.

        The last window has ended if the trial is complete, or was pruned after that window.
        """
        curves, found = {1: self.curve, **self.later}, list[Epoch]()
        for window, curve in sorted(curves.items()):
            over = self.state == "COMPLETE" or self.reason == f"pruned after window {window}"
            ended = len(curves) > 1 and (window < max(curves) or over)
            for step, value, at_ms in curve:
                stop: Why | None = "max_epochs" if ended and (step, value, at_ms) == curve[-1] else None
                found.append(Epoch(step, {metric: value}, value, at_ms, stop, window=window))
        return tuple(found)


def trials(uri: str, sweep: str, study: str, metric: str) -> Iterator[RememberedTrial]:
    """Yield the trials of a sweep's study, by their runs; raises what the store raises."""
    client = runs.connect(uri)
    experiment_id = runs.find_trials_experiment(client, sweep, study)
    for run in runs.search(client, experiment_id, {}) if experiment_id else ():
        if run.data.tags.get("sweep.trial", "").isdecimal():
            yield _trial(client, run, metric)


def loss_on(uri: str, sweep: str, study: str) -> LossOn | None:
    """Return the loss of a sweep's trials, by one of their runs, or None without runs; raises what the store raises."""
    client = runs.connect(uri)
    experiment_id = runs.find_trials_experiment(client, sweep, study)
    for run in runs.search(client, experiment_id, {}) if experiment_id else ():
        if run.data.params:  # a run of an earlier version lacks `loss_on`
            return "measured" if run.data.params.get("loss_on") == "measured" else "all"
    return None


def looks_of(uri: str, sweep: str, study: str) -> list[dict[str, Any]]:
    """Return the looks at a sweep's test part, by its run, and which trial was best at the last.

    Raises what the store raises.
    """
    client = runs.connect(uri)
    home = runs.find_sweeps_experiment(client)
    for run in runs.search(client, home, {"sweep.name": sweep, "sweep.study": study}) if home else ():
        best = run.data.tags.get("sweep.best_trial", "")
        return looks.of_figures(run.data.metrics, int(best) if best.isdecimal() else None)
    return []


def _trial(client: Any, run: Any, metric: str) -> RememberedTrial:
    tags, metrics = run.data.tags, run.data.metrics
    ended = WHOLE.items() <= tags.items()
    probes = {name: value for name, value in metrics.items() if name.startswith("probe/")}
    return RememberedTrial(
        number=int(tags["sweep.trial"]),
        settings=json.loads(tags.get("sweep.settings", "{}")),
        curve=tuple((step, value, at_ms) for step, value, at_ms in _points(client, run, runs.metric_name(metric))),
        attempt=int(tags.get("sweep.attempt", 1)),
        worker=tags.get("sweep.worker", ""),
        started_at_ms=run.info.start_time or 0,
        state=tags.get("sweep.state") if ended else None,
        reason=tags.get("sweep.reason", ""),
        value=metrics.get("best"),
        best_epoch=int(tags.get("sweep.best_epoch", 0)),
        ended_at_ms=run.info.end_time or 0,
        has_checkpoint=bool(tags.get("sweep.checkpoint")),
        derived=_derived(tags),
        is_base=tags.get("sweep.base") == "true",
        probed={name.removeprefix("probe/"): value for name, value in probes.items()},
        later={
            int(match[1]): tuple(_points(client, run, name))
            for name in sorted(metrics)
            if (match := re.fullmatch(LATER.format(re.escape(runs.metric_name(metric))), name))
        },
        probed_at=next(((step, at_ms) for name in probes for step, _, at_ms in _points(client, run, name)), (0, 0)),
    )


def _derived(tags: Mapping[str, str]) -> Derived | None:
    if "sweep.kind" not in tags:
        return None
    parent, changes = tags.get("sweep.parent"), json.loads(tags.get("sweep.changes", "{}"))
    number = None if parent is None else int(parent)
    kind, fitted = cast("Purpose", tags["sweep.kind"]), json.loads(tags.get("sweep.fitted", "{}"))
    return Derived(number, kind, changes, int(tags.get("sweep.after", 0)), fitted)


def _points(client: Any, run: Any, name: str) -> list[tuple[int, float, int]]:
    history = client.get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.value, point.timestamp) for point in history)
