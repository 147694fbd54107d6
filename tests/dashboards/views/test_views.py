import base64
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dashboards.config import TrackingConfig
from dashboards.tracking import runs
from dashboards.tracking.recorder import Recorder
from dashboards.views import charts, views

ENOUGH_S = 60.0
TAG = views.TAG + views.TRIALS
FORMER = '{"runsHiddenMode": "SHOW_ALL", "chartsSearchFilter": "train/|val/"}'  # as version 0.1 wrote it


def unpacked(value: str) -> dict[str, Any]:
    """A view's state as MLflow's page reads it."""
    packed = json.loads(value)["state"]
    assert packed.startswith("deflate;")
    state: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed.removeprefix("deflate;"))))
    return state


def by_type(state: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    return [chart for chart in state["compareRunCharts"] if chart["type"] == kind]


def trials(metric: str = "val/loss", direction: Any = "minimize", searched: tuple[str, ...] = ("a.b", "a.c")) -> Any:
    return views.of_trials(metric, direction, searched)


def test_trials_are_shown_best_first_with_what_was_searched() -> None:
    state = unpacked(trials()[0].saved)
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best`", True)
    assert state["selectedColumns"] == [
        "metrics.`best`",
        "tags.`sweep.state`",
        "tags.`sweep.best_epoch`",
        "params.`a.b`",
        "params.`a.c`",
        "attributes.`Duration`",
    ]
    assert state["runsHiddenMode"] == "SHOW_ALL"
    assert by_type(state, "PARALLEL")[0]["selectedParams"] == ["a.b", "a.c"]
    sections = {section["uuid"]: section["display"] for section in state["compareRunSections"]}
    assert all(sections[chart["metricSectionId"]] for chart in state["compareRunCharts"])
    assert unpacked(trials("val/accuracy", "maximize")[0].saved)["orderByAsc"] is False


@pytest.mark.parametrize(
    ("metric", "direction", "log"),
    [
        ("val/loss", "minimize", True),
        ("val/mae/ppm", "minimize", True),
        ("val/accuracy", "maximize", False),
        ("val/nll", "minimize", False),  # a density may be above 1, and its negative logarithm below 0
    ],
)
def test_an_error_has_a_logarithmic_axis(metric: str, direction: Any, log: bool) -> None:
    state = unpacked(trials(metric, direction)[0].saved)
    assert [chart["scaleType"] for chart in by_type(state, "LINE")] == ["log" if log else "linear"] * 3


def test_without_a_search_there_is_nothing_to_compare_by_parameter() -> None:
    state = unpacked(trials(searched=())[0].saved)
    assert {chart["type"] for chart in state["compareRunCharts"]} == {"LINE", "DIFFERENCE"}


def test_runs_of_a_setting_are_one_group() -> None:
    state = unpacked(trials()[1].saved)
    keys = [{"mode": "tag", "groupByData": "sweep.config"}]
    assert state["groupBy"] == {"aggregateFunction": "average", "groupByKeys": keys}


def test_what_judges_networks_and_rivals_stands_in_the_page_of_sweeps() -> None:
    metrics = {
        "rival/naive/loss",
        "rival/naive/mae",
        "base/test/loss",
        "test/loss",
        "test/mae",
        "best",
        "base/val/loss",
    }
    found = views.judged(metrics, ["val/loss"])
    assert found == ["test/loss", "base/test/loss", "rival/naive/loss"]
    state = unpacked(views.of_sweeps(found).saved)
    assert [chart["metricKey"] for chart in by_type(state, "BAR")] == [*found, "goodput/worker_s"]
    assert "tags.`sweep.settings`" in state["selectedColumns"]
    assert views.judged(metrics, []) == []


def test_older_pages_read_columns_and_order() -> None:
    plain = json.loads(trials()[0].saved)
    assert plain["selectedColumns"][0] == "metrics.`best`"
    assert "compareRunCharts" not in plain


def test_a_view_of_many_parameters_fits_into_a_tag_of_any_version() -> None:
    searched = tuple(f"training.a_field_with_a_long_name_{n}" for n in range(20))
    assert all(len(view.saved) < 5000 for view in trials(searched=searched))


def test_a_section_closes_where_mlflow_fills_it() -> None:
    assert charts.section("val")[0]["display"] is False
    assert charts.section("Curves", [charts.line("val/loss")])[0]["display"] is True


# --- whose a view is


@pytest.mark.parametrize("kept", [None, FORMER, "", "{"])
def test_a_view_that_is_missing_damaged_or_of_an_earlier_version_is_written(kept: str | None) -> None:
    found = views.changes({} if kept is None else {TAG: kept}, trials()[:1])
    assert found[TAG] == trials()[0].saved
    assert views.changes(found, trials()[:1]) == {}


def test_our_own_view_is_replaced_and_anothers_stays() -> None:
    ours, other = views.changes({}, trials()[:1]), trials(searched=("other",))[:1]
    assert views.changes(ours, other) == {TAG: other[0].saved}
    theirs = {TAG: json.dumps({"name": "Trials, best first", "createdAt": 1, "updatedAt": 2, "state": "{}"})}
    assert views.changes(theirs, other) == {}


def test_a_view_that_mlflow_can_not_open_is_missing() -> None:
    ours, keys = views.changes({}, trials()), (views.TRIALS, views.SETTINGS)
    assert views.missing(ours, keys) == []
    assert views.missing({**ours, TAG: ""}, keys) == ["sweep"]
    assert views.missing({TAG: ours[TAG]}, keys) == ["settings"]


# --- in a store


def test_a_sweep_saves_its_views_once_and_a_store_made_anew_has_the_same(
    uri: str, home: Path, make: SimpleNamespace, tmp_path: Path
) -> None:
    client = runs.connect(uri)
    earlier = runs.trials_experiment(client, "co2", "s1", str(tmp_path))
    client.set_experiment_tag(earlier, TAG, FORMER)
    anew = f"sqlite:///{tmp_path}/anew.db"
    runs.connect(anew).search_experiments()
    told = [saved(where, tmp_path, make, at_ms) for where, at_ms in ((uri, 1_000), (uri, 2_000), (anew, 3_000))]
    assert told[0] == told[1] == told[2]
    assert sorted(told[0]) == [views.TAG + key for key in ("settings", "sweep", "sweeps")]
    assert unpacked(told[0][TAG])["selectedColumns"][3] == "params.`model.hidden_size`"
    assert "metrics.`rival/naive/loss`" in unpacked(told[0][views.TAG + "sweeps"])["selectedColumns"]


def saved(uri: str, folder: Path, make: SimpleNamespace, at_ms: int) -> dict[str, str]:
    """The views in a store after a sweep's driver."""
    record = Recorder(uri, str(folder / "artifacts"), TrackingConfig(), "co2", "s1")
    record(make.sweep_started(at_ms))
    best = make.trial(0, 0.5, ended_at_ms=5_000)
    record.finish(None, {"test/loss": 0.6}, best, {"rival/naive/loss": 0.7}, "It is needed.")
    assert record.close(ENOUGH_S) == 0
    assert record.refused == []
    client = runs.connect(uri)
    places = [runs.find_trials_experiment(client, "co2", "s1"), runs.find_sweeps_experiment(client)]
    tags = {key: value for place in places for key, value in client.get_experiment(place).tags.items()}
    return {key: value for key, value in tags.items() if key.startswith(views.TAG)}
