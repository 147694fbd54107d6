"""The content of a sweep's runs in MLflow, and how the store is brought to it.

Every method may be called again with the same event, by this driver after an outage or by the next one after a kill:
a point has the timestamp at which it was measured, and MLflow takes the same point only once. A run is searched by
its tags before one is created, unless it is known that there is none. Methods raise what the store raises.
"""

import math
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dashboards.tracking import contents, runs
from dashboards.tracking.contents import DESCRIPTION, lineage, points, prefix_of, probed, settings_text, worked
from dashboards.tracking.known import WHOLE, Ended, Known, ended
from dashboards.views import views
from lstm.records.epoch import Epoch, Place, same
from lstm.records.events import About, SweepEnded, SweepStarted, TrialEnded, TrialLost, TrialProbed, TrialStarted
from lstm.records.trial import Trial

# MLflow shows KILLED with the red cross of FAILED, but a pruned trial is no problem for the user. Its state is in the
# tag sweep.state.
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED"}
ARTIFACT = {"sweep.artifact": "true"}  # the run has its checkpoint as an artifact
_BEST, _CONFIRM = {"sweep.best": "true"}, "confirm/"
_TIMED = "epoch_s"  # a metric that every epoch has
_Key = tuple[str, int]  # an epoch in a run: the prefix of its metrics, and its step


@dataclass
class _Live:
    """A trial that has not ended, with all of its history in memory, so that its run can be created again."""

    started: TrialStarted | None = None
    epochs: dict[Place, Epoch] = field(default_factory=dict)
    run_id: str | None = None
    sent: set[Place] = field(default_factory=set)
    stored: dict[_Key, int] = field(default_factory=dict)  # the timestamps of an earlier driver's points
    recomputed: bool = False  # whether the store has an epoch that was computed again since
    short: bool = False  # whether the store refused an epoch


class Ledger:
    """The runs of one sweep: its own in experiment `sweeps`, its trials' in the experiment of its name.

    Args:
        client: An MlflowClient.
        artifacts: Folder or address for the artifacts of new experiments; None leaves it to the server.
        sweep: The sweep's name.
        study: The id of its study, which distinguishes it from other sweeps of the same name.
        about: What the runs' pages say of the sweep; None: they say nothing of it.
    """

    def __init__(self, client: Any, artifacts: str | None, sweep: str, study: str, about: About | None = None) -> None:
        self._client = client
        self._artifacts = artifacts
        self._sweep = sweep
        self._study = study or "-"
        self._about = about
        self._home = ""  # the id of the experiment `sweeps`, once the sweep's run is known
        self._started: SweepStarted | None = None
        self._experiment: str | None = None
        self._sweep_run: str | None = None
        self._live: dict[int, _Live] = {}
        self._known = Known(lambda: runs.search(self._client, self.experiment(), {}))

    def doubt(self) -> None:
        """Remember that a call has failed: the store may carry it out later, so every run is searched from now on."""
        self._known.doubt()

    def forget(self) -> None:
        """Forget all ids, so that every run is searched again: somebody may have deleted one."""
        self._experiment = self._sweep_run = None
        for live in self._live.values():
            live.run_id = None

    # --- the sweep's run

    def start_sweep(self, event: SweepStarted) -> None:
        """Create or find the sweep's run, and store in its tags what is swept."""
        self._started = event
        run_id = self.sweep_run()
        tags = {"sweep.n_trials": event.n_trials, "sweep.spec_hash": event.spec_hash}
        tags |= {"sweep.data_fingerprint": event.data_fingerprint, "mlflow.source.git.commit": event.git_commit}
        tags |= {"sweep.experiment": self.experiment()}
        if self._about:
            self._about = replace(self._about, n_trials=event.n_trials)
            tags |= contents.source(self._about.driver_at(event.at_ms))
            tags |= {DESCRIPTION: contents.describe_sweep(self._sweep, self._about, self._places())}
        searched = [runs.metric_name(path) for path in event.searched]
        shown = views.of_trials(runs.metric_name(event.metric), event.direction, searched)
        tags |= views.MARK if runs.save_views(self._client, self.experiment(), shown) else {}
        runs.log(
            self._client,
            run_id,
            params={"metric": event.metric, "direction": event.direction},
            tags={key: str(value) for key, value in tags.items() if value},
        )
        if self._about:
            contents.log_data(self._client, run_id, self._about.parts)
        if event.spec_text:
            self._client.log_text(run_id, event.spec_text, "spec.yaml")
        self._client.update_run(run_id, status="RUNNING")

    def end_sweep(self, event: SweepEnded) -> None:
        """Close the sweep's run: this driver is done with it."""
        run_id = self.sweep_run()
        self._merge()
        goodput = worked(event.goodput)
        at = (event.goodput.at_ms, event.goodput.trials) if event.goodput else (0, 0)
        points = [(name, value, *at) for name, value in goodput.items()]
        runs.log(self._client, run_id, metrics=points, tags={"sweep.ended": event.reason or "complete"})
        status = "FINISHED" if event.complete else "KILLED"
        self._client.set_terminated(run_id, status, end_time=event.at_ms)

    def sweep_run(self) -> str:
        """Return the id of the sweep's run, in the experiment `sweeps`; create the run if it is missing."""
        if self._sweep_run is None:
            self._home = runs.sweeps_experiment(self._client, self._artifacts)
            self._sweep_run, _ = runs.find_or_create(
                self._client,
                self._home,
                identity={"sweep.name": self._sweep, "sweep.study": self._study},
                name=self._sweep,
                start_ms=self._started.at_ms if self._started else 0,
                tags={},
            )
        return self._sweep_run

    def _places(self) -> contents.Places:
        run = self.sweep_run()  # the experiment of its run is known then
        return contents.Places(sweeps=self._home, run=run, trials=self.experiment())

    def experiment(self) -> str:
        """Return the id of the experiment with the trials' runs; create it if it is missing."""
        if self._experiment is None:
            self._experiment = runs.trials_experiment(self._client, self._sweep, self._study, self._artifacts)
        return self._experiment

    def page(self, base_url: str) -> str | None:
        """Return the address of all loss curves in MLflow at `base_url`."""
        return runs.page(self._client.get_experiment(self.experiment()), base_url, views.TRIALS)

    def recorded(self) -> set[int]:
        """Return the numbers of the trials with complete runs."""
        return {ended(run).number for run in runs.search(self._client, self.experiment(), WHOLE)}

    # --- a trial's run

    def artifact(self, number: int) -> bytes | None:
        """Return the checkpoint file among the artifacts of a trial's run, or None."""
        identity = {"sweep.trial": str(number), **ARTIFACT}
        for run in runs.search(self._client, self.experiment(), identity):
            with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
                path = runs.fetch(self._client, run, "checkpoint/checkpoint.pt", folder)
                return path.read_bytes() if path else None
        return None

    def config_of(self, number: int) -> Mapping[str, Any] | None:
        """Return the configuration of a trial that has not ended, or None."""
        live = self._live.get(number)
        return live.started.config if live and live.started else None

    def start_trial(self, event: TrialStarted) -> None:
        """Create or find the trial's run and log its configuration."""
        live = self._live.setdefault(event.number, _Live())
        live.started = event
        if live.run_id is not None:  # another attempt in the same driver
            self._log_start(live.run_id, event)
        self._trial_run(event.number)

    def note(self, number: int, epoch: Epoch) -> None:
        """Remember an epoch, for `send_curve`; the store is not asked."""
        live = self._live.setdefault(number, _Live())
        known = live.epochs.get(epoch.place)
        if known is not None and known.measured_at_ms != epoch.measured_at_ms:
            live.recomputed = True
            live.epochs = {place: each for place, each in live.epochs.items() if place < epoch.place}
        live.epochs[epoch.place] = epoch

    def send_curve(self, number: int, left_out: list[int] | None = None) -> None:
        """Bring the trial's epochs into its run, each once.

        With `left_out` epochs are sent one by one, and refused numbers are appended to it. MLflow can't take
        a point back. So if an epoch was computed again (an attempt died, its last checkpoint was broken), the run is
        created again from the history in memory.
        """
        live = self._live.setdefault(number, _Live())
        run_id = self._trial_run(number)
        at = {(prefix_of(epoch), epoch.number): epoch.measured_at_ms for epoch in live.epochs.values()}
        other = any(live.stored.get(key, at_ms) != at_ms for key, at_ms in at.items())
        is_refit = live.started is not None and live.started.derived is not None and bool(live.started.derived.fitted)
        first = min(live.epochs, default=Place(0, 0))
        if (live.recomputed or other) and (first == Place(1, 1) or (is_refit and first.epoch == 1)):
            self._client.delete_run(run_id)
            live.run_id, live.recomputed = None, False
            run_id = self._trial_run(number)
        waiting = [epoch for place, epoch in sorted(live.epochs.items()) if place not in live.sent]
        for batch in [waiting] if left_out is None else [[epoch] for epoch in waiting]:
            try:
                runs.log(self._client, run_id, metrics=points(batch))
            except Exception as error:
                if left_out is None or not runs.is_refusal(error):
                    raise
                left_out.append(batch[0].number)
                live.short = True
            live.sent.update(epoch.place for epoch in batch)

    def lose_trial(self, event: TrialLost) -> None:
        """Store in the trial's run that an attempt was lost."""
        tags = {"sweep.lost": f"attempt {event.attempt}: {event.reason}"}
        runs.log(self._client, self._trial_run(event.number), tags=tags)

    def end_trial(self, event: TrialEnded, checkpoint: bytes | None, *, whole: bool = True) -> None:
        """Close the trial's run, update the sweep's run, and only then mark it as recorded, if it is complete."""
        self.send_curve(event.number)
        run_id = self._trial_run(event.number)
        if checkpoint is not None:
            self._attach(run_id, checkpoint)
        best = [] if event.value is None else [("best", event.value, event.at_ms, event.best_epoch)]
        tags = {
            "sweep.state": event.state,
            "sweep.reason": event.reason,
            "sweep.checkpoint": runs.without_password(event.checkpoint),
        }
        tags["sweep.best_epoch"] = str(event.best_epoch)
        tags |= {"sweep.epochs": str(event.epochs)} if event.epochs is not None else {}
        started = self._live[event.number].started
        if self._about and started:
            tags[DESCRIPTION] = contents.describe_trial(self._sweep, self._about, self._places(), started, event)
        runs.log(self._client, run_id, metrics=best, tags=tags)
        self._client.set_terminated(run_id, STATUS.get(event.state, "FAILED"), end_time=event.at_ms)
        self._log_progress(event)
        if whole and not self._live[event.number].short:
            runs.log(self._client, run_id, tags=WHOLE)
        self._live.pop(event.number, None)

    def probe_trial(self, event: TrialProbed) -> None:
        """Log a probe's numbers and pictures."""
        run_id = self._trial_run(event.number)
        if event.html is not None:
            self._client.log_text(run_id, event.html, "probe.html")
        runs.log(self._client, run_id, metrics=list(probed(event)))

    def finish(
        self, files: Mapping[str, str], metrics: Mapping[str, float], best: Trial | None, checkpoint: bytes | None
    ) -> None:
        """Log files, given by name (the report, the picture), and the final metrics, and mark the best trial."""
        run_id = self.sweep_run()
        self._merge()
        for name, text in files.items():
            self._client.log_text(run_id, text, name)
        every = self._known.ended()
        names = runs.metric_names(metrics)
        at_ms = every[-1].at_ms if every else 0  # not the present time: a second call must send the same points
        points = [(names[k], v, at_ms, len(every)) for k, v in metrics.items()]
        tags = {"sweep.best_trial": str(best.number), "sweep.settings": settings_text(best.settings)} if best else {}
        tags |= {contents.PICTURED: contents.PICTURE} if contents.PICTURE in files else {}
        self._log_final(run_id, points, tags)
        if best is not None:
            self._mark_best(best, metrics, checkpoint)

    def hold_against(self, rivals: Mapping[str, float], verdict: str) -> None:
        """Log the rivals' figures, `rival/NAME/METRIC`, in the sweep's run, with the verdict as its description."""
        every = self._known.ended()
        names, at_ms = runs.metric_names(rivals), every[-1].at_ms if every else 0
        points = [(names[k], v, at_ms, len(every)) for k, v in rivals.items()]
        text = contents.describe_sweep(self._sweep, self._about, self._places(), verdict) if self._about else verdict
        self._log_final(self.sweep_run(), points, {DESCRIPTION: text} if verdict else {})
        runs.show_sweeps(self._client, self._home)

    def _mark_best(self, best: Trial, metrics: Mapping[str, float], checkpoint: bytes | None) -> None:
        for run in runs.search(self._client, self.experiment(), _BEST):
            if run.data.tags.get("sweep.trial") != str(best.number):
                self._client.delete_tag(run.info.run_id, "sweep.best")
        identity = {"sweep.trial": str(best.number)}
        names = runs.metric_names(metrics)
        points = [(names[k], v, best.ended_at_ms or 0, best.best_epoch) for k, v in metrics.items()]
        for run in runs.search(self._client, self.experiment(), identity):
            self._log_final(run.info.run_id, points, _BEST)
            if checkpoint is not None:
                self._attach(run.info.run_id, checkpoint)

    def _log_final(self, run_id: str, points: Sequence[tuple[str, float, int, int]], tags: Mapping[str, str]) -> None:
        """Log an end's figures, (name, value, timestamp in ms, step), and tags. An earlier end may have had others.

        Of two points with one step and one timestamp MLflow shows the greater. So the new point is a millisecond
        younger. What confirm has said of a setting that it no longer compares becomes NaN.
        """
        shown = self._client.get_run(run_id).data.metrics
        sent = [(name, runs.finite(value), at_ms, step) for name, value, at_ms, step in points]
        if any(name.startswith(_CONFIRM) for name, *_ in sent):
            gone = [name for name in shown if name.startswith(_CONFIRM) and name not in {each[0] for each in sent}]
            sent += [(name, math.nan, *sent[0][2:]) for name in gone]
        changed = [name for name, value, *_ in sent if name in shown and not same(shown[name], value)]
        earlier = runs.curves(self._client, run_id, changed) if changed else {}
        for place, (name, value, at_ms, step) in enumerate(sent):
            times = [there_ms + 1 for there, _, there_ms in earlier.get(name, ()) if there == step]
            sent[place] = (name, value, max([at_ms, *times]), step)
        runs.log(self._client, run_id, metrics=sent, tags=tags)

    def _attach(self, run_id: str, checkpoint: bytes) -> None:
        runs.attach(self._client, run_id, "checkpoint.pt", checkpoint, "checkpoint")
        runs.log(self._client, run_id, tags=ARTIFACT)

    def _trial_run(self, number: int) -> str:
        live = self._live.setdefault(number, _Live())
        if live.run_id is None:
            first = min(live.epochs.values(), key=lambda epoch: epoch.place, default=None)
            at_ms = first.measured_at_ms if first else 0
            run_id, old = runs.find_or_create(
                self._client,
                self.experiment(),
                identity={"sweep.trial": str(number)},
                name=f"trial-{number:04d}",
                start_ms=live.started.at_ms if live.started else at_ms,
                tags={
                    "mlflow.parentRunId": self.sweep_run(),
                    "sweep.name": self._sweep,
                    **self._source(live),
                },
                may_be_there=self._known.may_have(number),
            )
            self._known.add(number)
            live.sent.clear()
            live.stored = self._stored(run_id) if old else {}
            if live.started:
                self._log_start(run_id, live.started)
            live.run_id = run_id
        return live.run_id

    def _source(self, live: _Live) -> dict[str, str]:
        if self._about is None or live.started is None:
            return {}
        return contents.source(self._about.driver_at(live.started.at_ms), live.started.derived)

    def _merge(self) -> None:
        """Keep one run for each trial and for the sweep, and make the sweep's run the parent of each trial's.

        A server that hung may carry out a request after its sender gave up, searched, found nothing and created another
        run.
        """
        if not self._known.begin_merge():
            return
        home = runs.sweeps_experiment(self._client, self._artifacts)
        found = list(runs.search(self._client, home, {"sweep.name": self._sweep, "sweep.study": self._study}))
        if found:
            self._sweep_run = runs.keep_one(self._client, found, self._sweep_run)
        trials: dict[str, list[Any]] = {}
        for run in runs.search(self._client, self.experiment(), {"sweep.name": self._sweep}):
            trials.setdefault(run.data.tags.get("sweep.trial", ""), []).append(run)
        for number, several in trials.items():
            for run in several:  # the sweep's run may have been deleted and created again
                before = run.data.tags.get("mlflow.parentRunId")
                if before != self.sweep_run():
                    text = run.data.tags.get(DESCRIPTION, "").replace(before or "", self.sweep_run())
                    tags = {"mlflow.parentRunId": self.sweep_run()} | ({DESCRIPTION: text} if text and before else {})
                    runs.log(self._client, run.info.run_id, tags=tags)
            if len(several) > 1 and number.isdecimal():
                live = self._live.get(int(number), _Live())
                whole = (run.info.run_id for run in several if WHOLE.items() <= run.data.tags.items())
                runs.keep_one(self._client, several, live.run_id or next(whole, None))

    def _stored(self, run_id: str) -> dict[_Key, int]:
        # An epoch's metrics are written in one transaction, so one metric is enough to know them all.
        names = sorted(set(self._client.get_run(run_id).data.metrics) - {"best"})
        chosen = {"": names[0]} if names else {}
        chosen |= {name.removesuffix(_TIMED): name for name in names if "/" in name and name.endswith(_TIMED)}
        history = {prefix: self._client.get_metric_history(run_id, name) for prefix, name in chosen.items()}
        return {(prefix, each.step): each.timestamp for prefix, some in history.items() for each in some}

    def _log_start(self, run_id: str, event: TrialStarted) -> None:
        tags = {
            "sweep.attempt": str(event.attempt),
            "sweep.worker": event.worker,
            "sweep.checkpoint": runs.without_password(event.checkpoint),
            "sweep.settings": settings_text(event.settings),
            **lineage(event),
        }
        if self._about:
            tags[DESCRIPTION] = contents.describe_trial(self._sweep, self._about, self._places(), event)
        self._client.log_dict(run_id, dict(event.config), "config.yaml")
        runs.log(self._client, run_id, params=runs.flatten(event.config), tags=tags)
        if self._about:
            contents.log_data(self._client, run_id, self._about.parts_of(event.derived))

    def _log_progress(self, event: TrialEnded) -> None:
        """Log in the sweep's run the best value after this many ended trials, and how they ended."""
        if not event.place:  # a refit has no place among them
            return
        every = self._known.end(Ended(event.at_ms, event.number, event.state))
        best = event.best_value
        point = [] if best is None else [("best", best, event.at_ms, event.place)]
        counts = Counter(each.state for each in every)
        tags = {f"sweep.trials.{state.lower()}": str(n) for state, n in counts.items()}
        runs.log(self._client, self.sweep_run(), metrics=point, tags=tags)
