"""Charts of MLflow's page of runs, in the form in which its pages save them (`RunsChartsCardConfig` of MLflow 3.17)."""

from collections.abc import Iterable, Sequence
from typing import Any

Chart = dict[str, Any]
Section = tuple[dict[str, Any], list[Chart]]


def line(metric: str, *, log: bool = False, by_time: bool = False) -> Chart:
    """Return a metric's curves, a run a line: by step, or by the time of day."""
    chart = {"type": "LINE", "metricKey": metric, "selectedMetricKeys": [metric], "yAxisKey": "metric"}
    drawn = {"scaleType": "log" if log else "linear", "lineSmoothness": 0, "useGlobalLineSmoothing": True}
    return {**chart, **drawn, "xAxisKey": "time" if by_time else "step", "useGlobalXaxisKey": not by_time}


def bars(metric: str) -> Chart:
    """Return the latest value of a metric, a run a bar, in the order of the table."""
    return {"type": "BAR", "metricKey": metric}


def parallel(params: Sequence[str], metrics: Sequence[str]) -> Chart:
    """Return parallel coordinates, a run a line; the last metric gives the colour."""
    return {
        "type": "PARALLEL",
        "selectedParams": list(params),
        "selectedMetrics": list(metrics),
        "showAllRuns": True,
    }


def scatter(param: str, metric: str) -> Chart:
    """Return a point a run: a parameter, and a metric above it."""
    return {
        "type": "SCATTER",
        "xaxis": {"key": param, "type": "PARAM"},
        "yaxis": {"key": metric, "type": "METRIC"},
    }


def difference(groups: Sequence[str]) -> Chart:
    """Return a table of what differs between the runs."""
    return {
        "type": "DIFFERENCE",
        "compareGroups": list(groups),
        "chartName": "What differs",
        "showDifferencesOnly": True,
        "showChangeFromBaseline": False,
        "baselineColumnUuid": "",
    }


def section(name: str, charts: Iterable[Chart] = (), *, columns: int = 3, height_px: int = 360) -> Section:
    """Return a section with its charts; one without charts is closed and gets what MLflow adds.

    MLflow makes a chart of every other metric, in the section that is named as the metric's prefix, and opens it.
    """
    uuid = f"section-{name}"
    of = {"metricSectionId": uuid, "deleted": False, "isGenerated": False}
    placed = [{**chart, **of, "uuid": f"{name}-{place}"} for place, chart in enumerate(charts)]
    shown = {"uuid": uuid, "name": name, "display": bool(placed), "columns": columns, "cardHeight": height_px}
    return {**shown, "isReordered": True, "deleted": False, "isGenerated": False}, placed
