"""Check what MLflow has about a sweep against its study and its checkpoints."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dashboards.tracking import contents, runs
from dashboards.tracking.contents import DESCRIPTION, FINAL, SETTING, lineage, points, probed, settings_text, worked
from dashboards.tracking.known import WHOLE
from dashboards.tracking.ledger import ARTIFACT, STATUS
from dashboards.views import views
from lstm import checkpoint
from lstm.config.trial import TrialConfig
from lstm.records.epoch import Epoch, same
from lstm.records.errors import Fault, Finding, fault, finding
from lstm.records.events import About, DataPart, TrialEnded
from lstm.records.sweep import BASE, Sweep
from lstm.records.trial import Trial

Curves = Mapping[str, Sequence[tuple[int, float, int]]]  # by metric: (step, value, timestamp in milliseconds)
FORMER = ("data.path",)  # configuration fields that only earlier versions recorded


@dataclass(frozen=True)
class Expected:
    """The expected content of MLflow.

    Args:
        sweep: The sweep as its study knows it.
        study: The study's id.
        histories: The histories in the checkpoints, by trial; a trial without an entry is not compared.
        whole: Whether a driver has stored that everything was delivered.
        driven: Whether a driver lives; it may not have delivered the latest events yet.
        read_yaml: Reads a file of YAML.
        moved: Old and new address of the checkpoints, if they were moved and no driver has stored that yet.
        rivals: The rivals' figures, `rival/NAME/METRIC`, if they were judged.
        only_these: Whether MLflow must have no other rivals' figures.
    """

    sweep: Sweep
    study: str
    histories: Mapping[int, tuple[Epoch, ...]]
    whole: bool
    driven: bool
    read_yaml: Callable[[str], Any]
    moved: tuple[str, str] | None = None
    rivals: Mapping[str, float] = field(default_factory=dict)
    only_these: bool = False


def check(uri: str, expected: Expected) -> Iterator[Finding]:
    """Check the sweep's run and each trial's; a store that does not answer is a finding itself."""
    name = expected.sweep.name
    if (missing := runs.missing_file(uri)) is not None:
        yield finding(fault("mlflow-store-missing", file=missing), None, "mlflow", sweep=name)
        return
    try:
        yield from _Check(runs.connect(runs.readable(uri)), expected).findings()
    except Exception as error:  # a store raises errors of many classes
        if not runs.is_outage(error):
            raise
        yield finding(fault("mlflow-away", why=runs.cause(error)), None, "mlflow", sweep=name)


class _Check:
    def __init__(self, client: Any, expected: Expected) -> None:
        self._client, self._expected = client, expected
        self._sweep = expected.sweep
        self._endings = {ending.number: ending for ending in self._sweep.endings()}
        self._about = About.of(self._sweep.facts)

    def findings(self) -> Iterator[Finding]:
        sweep_run = yield from self._sweep_run()
        experiment = runs.find_trials_experiment(self._client, self._sweep.name, self._expected.study)
        yield from self._views(sweep_run, experiment)
        found = list(runs.search(self._client, experiment, {})) if experiment else []
        by_trial: dict[int, list[Any]] = defaultdict(list)
        for run in found:
            if (number := run.data.tags.get("sweep.trial", "")).isdecimal():  # other runs are somebody's own
                by_trial[int(number)].append(run)
        known = {trial.number: trial for trial in self._sweep.trials}
        for number in sorted(by_trial.keys() - known.keys()):
            if not self._expected.driven:
                yield self._finding(number, fault("run-of-unknown-trial"))
        for number, trial in known.items():
            yield from self._trial_runs(trial, by_trial[number], sweep_run)

    def _finding(self, trial: int | None, wrong: Fault) -> Finding:
        return finding(wrong, trial, "mlflow", sweep=self._sweep.name)

    def _views(self, sweep_run: Any, experiment: str | None) -> Iterator[Finding]:
        if sweep_run is None or not views.MARK.items() <= sweep_run.data.tags.items():
            return  # an earlier version made none
        wanted = {experiment: (views.TRIALS, views.SETTINGS)}
        wanted |= {sweep_run.info.experiment_id: (views.SWEEPS,)} if self._expected.whole else {}
        for experiment_id, keys in wanted.items():
            if experiment_id is None:
                continue
            found = self._client.get_experiment(experiment_id)
            for key in views.missing(found.tags, keys):
                yield self._finding(None, replace(fault("view-missing", view=key), place=f"experiment {found.name}"))

    # --- the sweep's run

    def _sweep_run(self) -> Generator[Finding, None, Any]:
        """Yield findings; return the run, or None."""
        identity = {"sweep.name": self._sweep.name, "sweep.study": self._expected.study}
        home = runs.find_sweeps_experiment(self._client)
        found = list(runs.search(self._client, home, identity)) if home else []
        if len(found) != 1:
            if found or not self._expected.driven:
                yield self._finding(None, fault("sweep-runs-not-one", count=len(found)))
            return found[0] if found else None
        (run,) = found
        for wrong in self._of_sweep(run):
            yield self._finding(None, replace(wrong, place="the sweep's run"))
        if self._sweep.facts.get("complete") and not self._expected.driven and not self._expected.whole:
            yield self._finding(None, fault("sweep-end-not-delivered"))
        return run

    def _of_sweep(self, run: Any) -> Iterator[Fault]:
        sweep, facts = self._sweep, self._sweep.facts
        if self._expected.driven:  # its latest changes may still be on their way
            return
        yield from _differing(
            "parameter", run.data.params, {"metric": sweep.metric, "direction": sweep.direction}, only=True
        )
        tags = {"sweep.n_trials": str(sweep.n_trials)}
        tags |= {f"sweep.{k}": str(facts[k]) for k in ("spec_hash", "data_fingerprint") if facts.get(k)}
        if self._expected.whole:
            counts = Counter(ending.state for ending in self._endings.values() if ending.place)  # a refit has none
            tags |= {f"sweep.trials.{state.lower()}": str(n) for state, n in counts.items()}
            tags |= {"sweep.best_trial": str(sweep.best.number)} if sweep.best else {}
            if sweep.best and views.MARK.items() <= run.data.tags.items():  # an earlier version did not say it here
                tags["sweep.settings"] = settings_text(sweep.best.settings)[:5000]
            bests = [
                ("best", e.best_value, e.at_ms, e.place) for e in self._endings.values() if e.best_value is not None
            ]
            judged = (facts.get("judged") or {}).get("metrics", {})
            judged = {**judged, **worked(sweep.goodput)}
            judged |= self._expected.rivals
            shown = {name for name in run.data.metrics if name.startswith("rival/")}
            more = sorted(shown - set(runs.metric_names(judged).values()))
            if more and self._expected.only_these:
                yield fault("rival-figures-unknown", count=len(more), name=more[0])
            curves = self._curves(run, ["best", *runs.metric_names(judged).values()])
            yield from _curve_faults({"best": curves["best"]}, bests, exact=True)
            yield from _judged_faults(curves, judged)
            if run.info.status != "FINISHED":
                yield fault("run-not-finished", status=run.info.status)
            if self._text(run, contents.REPORT) is None:
                yield fault("run-file-missing", file=contents.REPORT)
            is_pictured = contents.PICTURED in run.data.tags  # an earlier version drew none
            if is_pictured and self._text(run, contents.PICTURE) is None:
                yield fault("run-file-missing", file=contents.PICTURE)
        yield from _differing("tag", run.data.tags, tags)
        if self._expected.whole:
            yield from _page_faults(run, self._about.parts)
        if sweep.spec_text and self._text(run, "spec.yaml") != sweep.spec_text:
            yield fault("run-spec-differs")

    # --- a trial's run

    def _trial_runs(self, trial: Trial, found: Sequence[Any], sweep_run: Any) -> Iterator[Finding]:
        if len(found) > 1:
            yield self._finding(trial.number, fault("trial-runs-too-many", count=len(found)))
            return
        whole = bool(found) and WHOLE.items() <= found[0].data.tags.items()
        if trial.ended and not whole:
            if not self._expected.driven:
                codes = ("trial-run-missing", "trial-run-incomplete")
                if not self._expected.whole:
                    codes = ("trial-run-not-delivered", "trial-run-not-delivered-whole")
                yield self._finding(trial.number, fault(codes[bool(found)]))
            return
        if not found or (not trial.ended and self._expected.driven):
            return
        for wrong in self._of_trial(trial, found[0], sweep_run):
            yield self._finding(trial.number, wrong)

    def _of_trial(self, trial: Trial, run: Any, sweep_run: Any) -> Iterator[Fault]:
        ending = self._endings.get(trial.number)
        tags = {"sweep.name": self._sweep.name}
        tags |= {"mlflow.parentRunId": sweep_run.info.run_id} if sweep_run is not None else {}
        if ending is not None:
            tags |= {"sweep.state": ending.state, "sweep.best_epoch": str(ending.best_epoch)}
            tags |= {"sweep.epochs": str(ending.epochs)} if ending.epochs is not None else {}
            tags |= {"sweep.reason": ending.reason[:5000], "sweep.checkpoint": runs.without_password(ending.checkpoint)}
            tags |= {"sweep.settings": settings_text(trial.settings)[:5000], **lineage(trial)}
            if SETTING not in run.data.tags and not (trial.derived and trial.derived.changes):
                del tags[SETTING]  # an earlier version recorded the trial
            best = self._sweep.best is not None and self._sweep.best.number == trial.number
            if self._expected.whole and (run.data.tags.get("sweep.best") == "true") != best:
                yield fault("best-run-not-marked" if best else "other-run-marked-best")
            status, right = run.info.status, STATUS[ending.state]
            if (status, run.info.end_time) != (right, ending.at_ms):
                since, right_since = run.info.end_time, ending.at_ms
                yield fault("run-status-differs", status=status, since=since, right=right, right_since=right_since)
        yield from _differing("tag", self._carried(run.data.tags), tags)
        if ending is not None:  # an interrupted driver may have sent a part of the start
            shown = self._description(trial, run, sweep_run, ending)
            yield from _page_faults(run, self._about.parts_of(trial.derived), shown)
        with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
            path = runs.fetch(self._client, run, "config.yaml", folder)
            written = self._expected.read_yaml(str(path)) if path else None
        shall = runs.flatten(trial.config)
        config, given = _without_former(runs.flatten(written or {}), shall), _without_former(run.data.params, shall)
        younger = shall.keys() - config.keys() if written else set()
        if written and younger and runs.flatten(_with_defaults(written)) == shall:
            # An earlier version, which had fewer fields, recorded the trial.
            shall = {name: value for name, value in shall.items() if name not in younger}
        params = {runs.metric_name(k): v[:6000] for k, v in shall.items()}
        yield from _differing("parameter", given, params, only=True)
        if written is None or config != shall:
            yield fault("run-config-differs") if path else fault("run-file-missing", file="config.yaml")
        history = self._expected.histories.get(trial.number)
        if history is not None:
            yield from self._of_curves(trial, run, history, ending)
            yield from self._of_checkpoint(run, history)

    def _description(self, trial: Trial, run: Any, sweep_run: Any, ending: TrialEnded) -> str:
        """Return the description of an ended trial's run; "" without a run of the sweep."""
        if sweep_run is None:
            return ""
        ids = contents.Places(sweep_run.info.experiment_id, sweep_run.info.run_id, run.info.experiment_id)
        return contents.describe_trial(self._sweep.name, self._about, ids, trial.starting(""), ending)[:5000]

    def _carried(self, tags: Mapping[str, str]) -> Mapping[str, str]:
        """Return a run's tags; the address of moved checkpoints is replaced by their new one."""
        before, after = self._expected.moved or ("", "")
        address = tags.get("sweep.checkpoint", "")
        if not before or not address.startswith(f"{before}/"):
            return tags
        return {**tags, "sweep.checkpoint": after + address.removeprefix(before)}

    def _of_curves(
        self, trial: Trial, run: Any, history: Sequence[Epoch], ending: TrialEnded | None
    ) -> Iterator[Fault]:
        shall = list(points(history))
        late = set[str]() if self._expected.whole else {name for name, *_ in shall if name.startswith(FINAL)}
        if ending is not None and ending.value is not None:
            shall.append(("best", ending.value, ending.at_ms, ending.best_epoch))
        shall += [point for event in self._sweep.probings() if event.number == trial.number for point in probed(event)]
        judged = self._sweep.facts.get("judged") or {}
        curves = self._curves(run, [name for name, *_ in shall])
        # A trial that was the best when an earlier run ended was judged on the test part, too.
        tested = {name: curve for name, curve in curves.items() if name.startswith(("test/", "baseline/", BASE))}
        trained = sum(epoch.window == 1 for epoch in history)
        lost = range(trained + 1, trained + trial.lost_epochs + 1)  # their figures were right, and may stay
        kept = {k: [p for p in v if p[0] not in lost or k == "best"] for k, v in curves.items() if k not in tested}
        # The training before the test part comes after the trial's end, and is sent when the sweep ends.
        after = {name: curve for name, curve in kept.items() if name in late}
        yield from _curve_faults(after, [point for point in shall if point[0] in late], exact=False)
        before = {name: curve for name, curve in kept.items() if name not in late}
        yield from _curve_faults(before, [p for p in shall if p[0] not in late], exact=ending is not None)
        yield from _latest_faults(run, curves)
        if self._expected.whole and judged.get("trial") == trial.number:
            yield from _judged_faults(tested, judged["metrics"])

    def _of_checkpoint(self, run: Any, history: Sequence[Epoch]) -> Iterator[Fault]:
        if not ARTIFACT.items() <= run.data.tags.items():
            return
        with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
            path = runs.fetch(self._client, run, "checkpoint/checkpoint.pt", folder)
            if path is None:
                yield fault("artifact-missing")
                return
            try:
                kept = checkpoint.loads(path.read_bytes())
            except checkpoint.BrokenCheckpoint as error:
                yield fault("artifact-broken", why=str(error))
                return
        windows, mine = self._sweep.windows, kept.state.history
        if not _alike(windows.judged(mine), windows.judged(history)) or len(mine) > len(history):
            yield fault("artifact-differs")

    # --- reading

    def _curves(self, run: Any, names: Iterable[str]) -> Curves:
        return runs.curves(self._client, run.info.run_id, [*run.data.metrics, *names])

    def _text(self, run: Any, name: str) -> str | None:
        with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
            path: Path | None = runs.fetch(self._client, run, name, folder)
            return path.read_bytes().decode("utf-8", "replace") if path else None


def _alike(one: Sequence[Epoch], other: Sequence[Epoch]) -> bool:
    """Return whether two histories have the same points; NaN counts as equal to NaN."""
    rows = [list(points(history)) for history in (one, other)]
    pairs = zip(*rows, strict=False)
    return len(rows[0]) == len(rows[1]) and all(
        (a[0], a[2], a[3]) == (b[0], b[2], b[3]) and same(a[1], b[1]) for a, b in pairs
    )


def _latest_faults(run: Any, curves: Curves) -> Iterator[Fault]:
    """Yield the curves for which MLflow shows another value than their last point."""
    for name, curve in curves.items():
        last = max(curve, key=lambda point: (point[0], point[2]), default=None)
        shown = run.data.metrics.get(name)
        if last is not None and not same(shown, last[1]):
            yield fault("latest-value-differs", curve=name, shown=shown, last=last[1])


def _differing(kind: str, are: Mapping[str, str], shall: Mapping[str, str], only: bool = False) -> Iterator[Fault]:
    """Yield parameters or tags that differ from `shall`; with `only`, also those that must not be there."""
    for name in sorted(shall.keys() | (are.keys() if only else ())):
        value, right = are.get(name), shall.get(name)
        if value == right:
            continue
        if value is None:
            yield fault("run-value-missing", kind=kind, name=name, right=right)
        elif right is None:
            yield fault("run-value-unknown", kind=kind, name=name, value=value)
        else:
            yield fault("run-value-differs", kind=kind, name=name, value=value, right=right)


def _page_faults(run: Any, parts: Sequence[DataPart], description: str = "") -> Iterator[Fault]:
    """Yield what is wrong with a run's data sets and description. A run of an earlier version has neither.

    What a user wrote instead of a description, or after it, is left alone.
    """
    are, told = contents.data_sets(run), run.data.tags.get(DESCRIPTION, "")
    if not are and not contents.is_ours(told):
        return
    for context, right in contents.as_data_sets(parts).items():
        if context not in are:
            yield fault("data-set-missing", context=context)
        elif are[context] != right:
            shown = ["{} ({})".format(*each) for each in (are[context], right)]
            yield fault("data-set-differs", context=context, found=shown[0], right=shown[1])
    if description and (contents.is_ours(told) or not told):
        is_told, shall = map(contents.without_addresses, (told, description))
        if not is_told.startswith(shall):
            yield fault("description-differs")


def _without_former(fields: Mapping[str, str], shall: Mapping[str, str]) -> dict[str, str]:
    """Return a configuration's fields without those that only earlier versions recorded."""
    return {name: value for name, value in fields.items() if name in shall or name not in FORMER}


def _with_defaults(config: Any) -> Any:
    """Return a configuration with defaults for missing fields; unchanged if it is not valid then."""
    try:
        return TrialConfig.model_validate(config).model_dump()
    except ValidationError:
        return config


def _judged_faults(curves: Curves, judged: Mapping[str, float]) -> Iterator[Fault]:
    """Yield the final figures of which the last point of the curve is not the expected value."""
    for metric, name in runs.metric_names(judged).items():
        values, right = [value for _, value, _ in curves.get(name, ())], judged[metric]
        if not values:
            yield fault("judged-figure-missing", figure=name, right=right)
        elif not same(values[-1], runs.finite(right)):
            yield fault("judged-figure-differs", figure=name, values=values, right=right)


def _curve_faults(curves: Curves, shall: Iterable[tuple[str, float, int, int]], *, exact: bool) -> Iterator[Fault]:
    """Yield the curves that differ from the expected points; without `exact`, points may still be missing."""
    expected: dict[str, dict[int, tuple[float, int]]] = defaultdict(dict)
    for name, value, at_ms, step in shall:
        expected[name][step] = (runs.finite(value), at_ms)
    for name in sorted(curves.keys() | expected.keys()):
        are = curves.get(name, ())
        steps = Counter(step for step, _, _ in are)
        wrong = [fault("point-twice", epoch=step, times=n) for step, n in steps.items() if n > 1]
        wrong += [fault("point-unknown", epoch=step) for step in sorted(steps.keys() - expected[name].keys())]
        if exact:
            wrong += [fault("point-missing", epoch=step) for step in sorted(expected[name].keys() - steps.keys())]
        for step, value, at_ms in are:
            right = expected[name].get(step)
            if right is not None and not (same(value, right[0]) and at_ms == right[1]):
                shown = {"value": value, "at_ms": at_ms, "right": right[0], "right_ms": right[1]}
                wrong.append(Fault("point-differs", values={"epoch": step, **shown}))
        for first in wrong[:1]:
            yield replace(first, values={"curve": name, **first.values, "more": len(wrong) - 1 or None})
