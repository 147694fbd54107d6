"""Tags and metrics of a trial's run in MLflow, made from the records of the trial."""

import json
from collections.abc import Iterable, Iterator, Mapping

from dashboards.tracking import runs
from lstm.records.confirmation import setting_of
from lstm.records.epoch import Epoch
from lstm.records.events import TrialProbed, TrialStarted
from lstm.records.goodput import Goodput
from lstm.records.objective import Scalar
from lstm.records.trial import Trial

LATER = r"window-(\d+)/{}"  # the name of a metric in a later window of a backtest
SETTING = "sweep.config"  # the tag with a trial's setting
FINAL = "final/"  # prefix of the metrics of the training before the test part, which follows a backtest


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
    if derived.changes:
        tags |= {"sweep.after": str(derived.after), "sweep.changes": json.dumps(dict(derived.changes))}
    return {**tags, "sweep.kind": derived.purpose}


def points(epochs: Iterable[Epoch]) -> Iterator[tuple[str, float, int, int]]:
    """Yield epochs' metrics as a trial's run has them: name, value, timestamp in milliseconds, step."""
    for epoch in epochs:
        names, prefix = runs.metric_names(epoch.metrics), prefix_of(epoch)
        for name, value in epoch.metrics.items():
            yield prefix + names[name], value, epoch.measured_at_ms, epoch.number


def prefix_of(epoch: Epoch) -> str:
    """Return the prefix of an epoch's metrics: none in the first window, so that its curves are as without a backtest.

    Only the training before the test part has no judged figures.
    """
    if epoch.window == 1:
        return ""
    return f"window-{epoch.window}/" if any(name.startswith("val/") for name in epoch.metrics) else FINAL


def worked(goodput: Goodput | None) -> dict[str, float]:
    """Return where workers' time went, as the sweep's run has it: each part's share, and the total in seconds."""
    if goodput is None:
        return {}
    shares = {f"goodput/{part}": share for part, share in goodput.shares.items()}
    return {**shares, "goodput/worker_s": goodput.worker_s}


def probed(event: TrialProbed) -> Iterator[tuple[str, float, int, int]]:
    """Yield a probe's numbers as a trial's run has them: `probe/...`, one point each, at the best epoch."""
    names = runs.metric_names(f"probe/{name}" for name in event.numbers)
    for name, value in event.numbers.items():
        yield names[f"probe/{name}"], value, event.at_ms, event.best_epoch
