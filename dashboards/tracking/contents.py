"""What runs have in MLflow, made from the records of sweep and trial: tags, metrics, descriptions."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dashboards.tracking import runs
from dashboards.views import views
from lstm.records.confirmation import setting_of
from lstm.records.epoch import Epoch
from lstm.records.events import About, DataPart, Driver, TrialEnded, TrialProbed, TrialStarted
from lstm.records.goodput import Goodput
from lstm.records.objective import Scalar
from lstm.records.state import Derived
from lstm.records.trial import Trial, counted, epochs_named

REPORT = "report.html"
PICTURE, PICTURED = "search.svg", "sweep.picture"  # the file with the picture of a sweep; the tag that names it
FITTED = "sweep.fitted"  # the tag of a refit's run: what it is trained on
LATER = r"window-(\d+)/{}"  # the name of a metric in a later window of a backtest
SETTING = "sweep.config"  # the tag with a trial's setting
FINAL = "final/"  # prefix of the metrics of the training before the test part, which follows a backtest; of a refit


def settings_text(settings: Mapping[str, Scalar]) -> str:
    """Return the searched settings as text for the tag sweep.settings."""
    return json.dumps(dict(settings), ensure_ascii=False)


def lineage(trial: Trial | TrialStarted) -> dict[str, str]:
    """Return the tags that say what a trial was made from and for; a trial of the search has no `sweep.kind`.

    `sweep.config` is a digest of the setting, the configuration without its seed: equal for equal settings.
    """
    tags = {SETTING: setting_of(trial.config)} | ({"sweep.base": "true"} if trial.is_base else {})
    if trial.derived is None:
        return tags
    derived = trial.derived
    tags |= {} if derived.parent is None else {"sweep.parent": str(derived.parent)}
    if derived.changes or derived.fitted:
        tags |= {"sweep.after": str(derived.after), "sweep.changes": json.dumps(dict(derived.changes))}
    if derived.fitted:
        tags |= {FITTED: json.dumps(dict(derived.fitted))}
    return {**tags, "sweep.kind": derived.purpose}


def source(driver: Driver, derived: Derived | None = None) -> dict[str, str]:
    """Return the tags that say who made a run, with what: the command and the spec, and the spec's git commit."""
    verb = derived.purpose if derived and derived.purpose in ("extend", "refit") else "run"
    tags = {"mlflow.user": driver.user, "mlflow.source.git.commit": driver.commit}
    tags |= {"mlflow.source.name": f"sweep {verb} {driver.source}" if driver.source else ""}
    return {name: value for name, value in tags.items() if value}


def points(epochs: Iterable[Epoch]) -> Iterator[tuple[str, float, int, int]]:
    """Yield epochs' metrics as a trial's run has them: name, value, timestamp in milliseconds, step."""
    for epoch in epochs:
        metrics, prefix = {**epoch.metrics, **epoch.system}, prefix_of(epoch)
        names = runs.metric_names(metrics)
        for name, value in metrics.items():
            yield prefix + names[name], value, epoch.measured_at_ms, epoch.number


def prefix_of(epoch: Epoch) -> str:
    """Return the prefix of an epoch's metrics: none in the first window, so that its curves are as without a backtest.

    Only the training before the test part has no judged figures.
    """
    if epoch.window == 1:
        return ""
    return f"window-{epoch.window}/" if any(name.startswith("val/") for name in epoch.metrics) else FINAL


def worked(goodput: Goodput | None) -> dict[str, float]:
    """Return where workers' time went, as the sweep's run has it: each part's share, the seconds, the epochs."""
    if goodput is None:
        return {}
    shares = {f"goodput/{part}": share for part, share in goodput.shares.items()}
    epochs = {"goodput/epochs": float(goodput.epochs)} if goodput.epochs is not None else {}
    return {**shares, "goodput/worker_s": goodput.worker_s, **epochs}


def probed(event: TrialProbed) -> Iterator[tuple[str, float, int, int]]:
    """Yield a probe's numbers as a trial's run has them: `probe/...`, one point each, at the best epoch."""
    names = runs.metric_names(f"probe/{name}" for name in event.numbers)
    for name, value in event.numbers.items():
        yield names[f"probe/{name}"], value, event.at_ms, event.best_epoch


DESCRIPTION = "mlflow.note.content"  # the tag with the text that MLflow shows as a run's description
_WORKFLOW = "?workflowType=machine_learning"  # without it MLflow shows a run under "GenAI, Evaluation runs"
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|])")  # of Markdown
_CONTEXT = "mlflow.data.context"  # the tag that says what a data set is used for
_MOST = 500  # characters of a data set's name
_USES = {"training": "to train on", "validation": "to validate", "test": "to test"}


@dataclass(frozen=True, slots=True)
class Places:
    """The ids of what descriptions lead to."""

    sweeps: str  # the experiment of the sweeps' runs
    run: str  # the sweep's run
    trials: str  # the experiment of the trials' runs

    @property
    def links(self) -> str:
        """The line of a description that leads on."""
        report = f"[Report]({self._page(self.sweeps, self.run)}/artifacts/report.html{_WORKFLOW})"
        every = f"[all trials](#/experiments/{self.trials}/runs{_WORKFLOW})"
        return f"{report} · {every} · [curves]({views.address('', self.trials, views.TRIALS).lstrip('/')})"

    def sweep(self, name: str) -> str:
        """Return a link to the sweep's run."""
        return f"[{_plain(name)}]({self._page(self.sweeps, self.run)}{_WORKFLOW})"

    def trial(self, number: int) -> str:
        """Return a link to a trial's run, found by its tag: the run may be made anew."""
        found = quote(f'tags.`sweep.trial` = "{number}"')
        return f"[trial {number}](#/experiments/{self.trials}/runs{_WORKFLOW}&searchFilter={found})"

    @staticmethod
    def _page(experiment: str, run: str) -> str:
        return f"#/experiments/{experiment}/runs/{run}"


def describe_sweep(name: str, about: About, places: Places, verdict: str = "") -> str:
    """Return the description of a sweep's run, in Markdown."""
    lowest = "lowest" if about.direction == "minimize" else "highest"
    lines = [
        f"**{_plain(name)}**: a sweep of {counted(about.n_trials, 'trial')} for the {lowest} {_plain(about.metric)}, "
        f"task {_plain(about.task)}",
        places.links,
    ]
    told, data = [verdict, ""] if verdict else [], [*_data(about.parts)]
    return "\n".join([*lines, "", *told, *data])


def describe_trial(
    sweep: str, about: About, places: Places, started: TrialStarted, ended: TrialEnded | None = None
) -> str:
    """Return the description of a trial's run, in Markdown: what it is, its settings, its end, its data, links."""
    model = started.config.get("model") or {}
    cell = f" with {_plain(str(model['cell']))}" if model.get("cell") else ""
    settings = [f"{_plain(path.rpartition('.')[2])} {_plain(_short(v))}" for path, v in started.settings.items()]
    lines = [
        f"**Trial {started.number}** of the sweep {places.sweep(sweep)}: {_plain(about.task)}{cell}"
        + _purpose(started, places),
        places.links,  # MLflow folds what comes after the third line
        *([_end(about, ended)] if ended else []),
        f"Settings: {', '.join(settings) or 'as the spec has them'}",
        *_data(about.parts_of(started.derived)),
    ]
    return "\n".join(lines)


def is_ours(description: str) -> bool:
    """Return whether a description is ours, and not a text that a user wrote instead."""
    return description.startswith("**Trial ") and "](#/experiments/" in description


def without_addresses(description: str) -> str:
    """Return a description without the addresses of its links, which differ where the same was written anew."""
    return re.sub(r"\]\([^)]*\)", "]", description)


def _purpose(started: TrialStarted, places: Places) -> str:
    derived = started.derived
    if derived is None or derived.parent is None:
        return ", the base (the spec's own settings)" if started.is_base else ""
    parent = places.trial(derived.parent)
    words = {
        "retry": f", which replaces {parent}",
        "extend": f", which trains {parent} further from epoch {derived.after} on",
        "confirm": f", which confirms {parent} from another seed",
        "refit": f", a refit of {parent} on all data, for predictions",
    }
    return words.get(derived.purpose, f", derived from {parent}")


def _end(about: About, ended: TrialEnded) -> str:
    figure = ""
    if ended.value is not None:
        figure = f", {_plain(about.metric)} {ended.value:.5g} at {epochs_named(ended.best_epoch, ended.best_epochs)}"
    reason = f" ({_plain(ended.reason[:200])})" if ended.reason else ""
    return f"State: {ended.state.lower()}{reason}{figure}"


def _data(parts: Sequence[DataPart]) -> Iterator[str]:
    if parts:
        sizes = ", ".join(f"{part.count:,} {_USES[part.context]}" for part in parts)
        yield f"Data: {_plain(parts[0].name)}, {parts[0].unit}: {sizes}"


def _short(value: Scalar) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(text: str) -> str:
    """Return a text as Markdown that shows it as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def log_data(client: Any, run_id: str, parts: Iterable[DataPart]) -> None:
    """Log parts of data as a run's data sets, in the form in which MLflow's own `log_input` stores them, in one call.

    MLflow takes the same one only once.
    """
    from mlflow.entities import DatasetInput, InputTag

    sets = [DatasetInput(_data_set(part), [InputTag(_CONTEXT, part.context)]) for part in parts]
    if sets:
        client.log_inputs(run_id, datasets=sets)


def _data_set(part: DataPart) -> Any:
    from mlflow.entities import Dataset

    columns = [{"type": kind, "name": name, "required": True} for name, kind in part.columns.items()]
    schema = json.dumps({"mlflow_colspec": columns}) if columns else None
    # Data without a file come from the code, in MLflow's words.
    scheme, mark, _ = part.place.partition("://")
    kind = (scheme if mark else "local") if part.place else "code"
    place = json.dumps({"uri": part.place} if part.place else {"tags": {}})
    profile = json.dumps({f"num_{part.unit}": part.count})
    return Dataset(part.name[:_MOST], part.digest, kind, place, schema, profile)


def data_sets(run: Any) -> dict[str, tuple[str, str]]:
    """Return the data sets of a run by what they are used for: name and digest.

    MLflow keeps the rest once for each name and digest of an experiment, and never writes it again.
    """
    found = {}
    for each in run.inputs.dataset_inputs if run.inputs else ():
        context = next((tag.value for tag in each.tags if tag.key == _CONTEXT), "")
        found[context] = each.dataset.name, each.dataset.digest
    return found


def as_data_sets(parts: Iterable[DataPart]) -> dict[str, tuple[str, str]]:
    """Return parts of data as `data_sets` returns them."""
    return {part.context: (part.name[:_MOST], part.digest) for part in parts}
