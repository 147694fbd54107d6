"""The views that we save with MLflow: of a sweep's trials, of the same by setting, and of all sweeps.

MLflow has no call to save a view of its pages. Its pages save one as a tag of the experiment (`mlflow.sharedViewState.`
and a key, "Views, Save as new view"), and an address opens it by that key (`viewStateShareKey`). So do we. The form is
that of MLflow 3.15 and later. Older pages read the plain fields beside it: columns and order, without our charts.
"""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboards.views import charts
from lstm.records.objective import Direction

TAG = "mlflow.sharedViewState."  # prefix of the tag of an experiment with a view
MARK = {"sweep.views": "1"}  # the tag of a sweep's run whose experiments have views
TRIALS, SETTINGS, SWEEPS = "sweep", "settings", "sweeps"  # the views' keys, as addresses have them
_BEST = "best"  # the metric with a trial's best value, and after each trial the sweep's
_MADE_MS = 1_795_996_800_000  # when these views were first made, for MLflow's menu: 30 November 2026
_SIGNED = ("nll", "likelihood", "elbo", "r2")  # of losses that may be below 0: no logarithm
_WIDTH_PX, _LETTER_PX = 90, 8  # of a column at least; of a letter in its head
# What pages of MLflow before 3.15 read, too.
_PLAIN = (
    "searchFilter",
    "startTime",
    "lifecycleFilter",
    "orderByKey",
    "orderByAsc",
    "selectedColumns",
    "runsHiddenMode",
    "globalLineChartConfig",
)
_DURATION = "attributes.`Duration`"  # its place in the table has another name
# Prefixes of metrics whose charts MLflow makes and would show: "" has those without one.
_OTHERS = ("train", "val", "test", "base/val", "base/test", "baseline", "final", "probe", "goodput", "system", "")


@dataclass(frozen=True)
class View:
    """A view of an experiment's runs: its key, its name in MLflow's menu, and its state as MLflow's pages have it."""

    key: str
    name: str
    state: Mapping[str, Any]

    @property
    def saved(self) -> str:
        """The value of the tag, the same for the same view: a rebuilt store has the same."""
        text = json.dumps(self.state, separators=(",", ":"), ensure_ascii=True)
        packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
        plain = {name: self.state[name] for name in _PLAIN}
        plain["by"] = "lstm-sweeps"  # gone where somebody else saved a view under this key
        whole = {"name": self.name, "createdAt": _MADE_MS, "updatedAt": _MADE_MS, "state": f"deflate;{packed}"}
        return json.dumps({**plain, **whole}, separators=(",", ":"), ensure_ascii=True)


def of_trials(metric: str, direction: Direction, searched: Sequence[str]) -> tuple[View, View]:
    """Return the views of a sweep's trials: each trial, best first; and the mean of each setting.

    Args:
        metric: The sweep's metric, as MLflow has it.
        direction: Its direction.
        searched: The searched parameters, as MLflow has them.
    """
    log = is_log(metric, direction)
    curves = charts.section("Curves", [charts.line(metric, log=log), charts.line("train/loss", log=log)], columns=2)
    by_parameter = charts.section("Best value by parameter", [charts.scatter(each, _BEST) for each in searched])
    of_each = [
        curves,
        charts.section("Best value by trial, when it ended", [charts.line(_BEST, log=log, by_time=True)], columns=1),
        charts.section("Searched parameters", [charts.parallel(searched, [_BEST])] if searched else [], columns=1),
        by_parameter,
        charts.section("What differs", [charts.difference(["Parameters", "Model metrics"])], columns=1),
    ]
    of_settings = [curves, charts.section("Best value, mean", [charts.bars(_BEST)], columns=1), by_parameter]
    columns = [
        _metric(_BEST),
        _tag("sweep.state"),
        _tag("sweep.best_epoch"),
        *map(_param, searched),
        _DURATION,
    ]
    grouped = {"aggregateFunction": "average", "groupByKeys": [{"mode": "tag", "groupByData": "sweep.config"}]}
    by_setting = {"groupBy": grouped, "useGroupedValuesInCharts": True}
    return (
        View(TRIALS, "Trials, best first", _state(columns, _BEST, direction, of_each)),
        View(SETTINGS, "Mean by setting", _state(columns, _BEST, direction, of_settings) | by_setting),
    )


def of_sweeps(judged: Sequence[str]) -> View:
    """Return the view of all sweeps.

    Args:
        judged: The metrics on the test part, of networks and rivals, as MLflow has them.
    """
    cost = "goodput/worker_s"
    columns = [
        _metric(_BEST),
        *map(_metric, judged),
        _metric(cost),
        _tag("sweep.trials.complete"),
        _tag("sweep.trials.pruned"),
        _tag("sweep.settings"),
        _DURATION,
        _attribute("Description"),
    ]
    shown = [
        charts.section("Best value after each trial", [charts.line(_BEST)], columns=1),
        charts.section("On the test part: network, base, rivals", map(charts.bars, judged)),
        charts.section("Cost in seconds of work", [charts.bars(cost)]),
        charts.section("What differs", [charts.difference(["Model metrics", "Tags"])], columns=1),
    ]
    return View(SWEEPS, "All sweeps", _state(columns, "", "maximize", shown))


def judged(metrics: Iterable[str], objectives: Iterable[str]) -> list[str]:
    """Return the metrics of sweeps that tell networks and rivals apart on the test part, the best trials' first."""
    wanted = {name.removeprefix("val/") for name in objectives}
    order = ("test", "base", "rival")
    found = {(order.index(name.partition("/")[0]), name) for name in metrics if _judges(name, wanted)}
    return [name for _, name in sorted(found)]


def is_log(metric: str, direction: Direction) -> bool:
    """Return whether a metric reads better on a logarithmic axis: an error, which is above 0 and falls."""
    return direction == "minimize" and not any(word in metric.lower() for word in _SIGNED)


def address(base_url: str, experiment_id: str, key: str = "") -> str:
    """Return the address of an experiment's charts, in a view. Without the workflow type MLflow shows it as GenAI."""
    view = f"&viewStateShareKey={key}" if key else ""
    shown = f"compareRunsMode=CHART{view}&workflowType=machine_learning"
    return f"{base_url.rstrip('/')}/#/experiments/{experiment_id}/runs?{shown}"


def changes(tags: Mapping[str, str], views: Sequence[View]) -> dict[str, str]:
    """Return the tags that an experiment with these tags lacks to have the views; another's view stays."""
    wanted = {TAG + view.key: view.saved for view in views}
    return {name: value for name, value in wanted.items() if tags.get(name) != value and _is_ours(tags.get(name, ""))}


def missing(tags: Mapping[str, str], keys: Sequence[str]) -> list[str]:
    """Return the keys of the views that an experiment with these tags does not have; another's counts."""
    return [key for key in keys if "name" not in _read(tags.get(TAG + key, ""))]


def _read(value: str) -> Mapping[str, Any]:
    try:
        found = json.loads(value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _is_ours(value: str) -> bool:
    """Return whether we wrote a tag, or nobody did: others' have a name without our mark."""
    found = _read(value)
    return "name" not in found or "by" in found


def _judges(name: str, wanted: Iterable[str]) -> bool:
    ends = "|".join(map(re.escape, wanted))
    return re.fullmatch(rf"(test|base/test|rival/[^/]+)/({ends})", name) is not None


def _state(columns: Sequence[str], order: str, direction: Direction, shown: Sequence[charts.Section]) -> dict[str, Any]:
    every = [*(each for each in shown if each[1]), *map(charts.section, _OTHERS)]
    return {
        "searchFilter": "",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "orderByKey": _metric(order) if order else "attributes.start_time",
        "orderByAsc": bool(order) and direction == "minimize",
        "selectedColumns": list(columns),
        "columnOrder": [_attribute("Run Name"), *("duration" if name == _DURATION else name for name in columns)],
        "columnWidths": {name: max(_WIDTH_PX, _LETTER_PX * len(name.split("`")[1])) for name in columns},
        "runsHiddenMode": "SHOW_ALL",  # else the first ten
        "autoRefreshEnabled": True,
        "hideEmptyCharts": True,
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
        "isAccordionReordered": True,
        "compareRunSections": [section for section, _ in every],
        "compareRunCharts": [chart for _, placed in every for chart in placed],
    }


def _metric(name: str) -> str:
    return f"metrics.`{name}`"


def _param(name: str) -> str:
    return f"params.`{name}`"


def _tag(name: str) -> str:
    return f"tags.`{name}`"


def _attribute(name: str) -> str:
    return f"attributes.`{name}`"
