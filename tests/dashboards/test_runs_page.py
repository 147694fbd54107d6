"""MLflow's page of runs as a user's browser shows it, at the addresses that we print."""

import json
import os
import time
from pathlib import Path
from typing import Any

import many_runs
import pytest
import runs_page
import team_server
from outages import MlflowServer

from dashboards.tracking import runs
from dashboards.views import views

PICTURES = Path(__file__).parents[2] / "build" / "pages"
SEARCHED = list(many_runs.SEARCHED)
COLUMNS = ["best", "sweep.state", "sweep.best_epoch", *SEARCHED, "Duration"]
SIZES = {"sixteen": 16, "hundred": 100, "thousand": 1000}


def test_a_sweep_opens_best_first_with_its_charts(server: MlflowServer, chromium: Any) -> None:
    many_runs.fill(server.address, None, "six", 6)
    client = runs.connect(server.address)
    best = [run.info.run_name for run in by_best(client, "six")]
    address = runs.find_chart(server.address, "six", "", server.address)
    assert address is not None
    with runs_page.opened(chromium, address) as page:
        page.wait_for_rows(best[0])
        assert page.rows() == best
        assert [chart["y"] for chart in page.wait_for_charts(3)[:3]] == ["log"] * 3
        page.shows(["Trials, best first", "Curves", "Searched parameters", "Best value by parameter"])
        page.as_table()
        page.shows(COLUMNS)
        assert page.columns()[2:] == COLUMNS
        assert page.cells()[-1]["tags.`sweep.state`"] == "PRUNED"
        assert page.errors == []


def by_best(client: Any, name: str, count: int = 1000) -> list[Any]:
    """The runs of a sweep's trials, the best first."""
    found = client.get_experiment_by_name(name).experiment_id
    return list(client.search_runs([found], order_by=["metrics.best ASC"], max_results=count))


# --- `make pages`


@pytest.fixture(scope="module")
def filled(server: MlflowServer) -> MlflowServer:
    """Sweeps of 16, 100 and 1,000 trials, and one with three seeds of each setting."""
    # Straight into its store: through the server a thousand trials take minutes.
    store, artifacts = f"sqlite:///{server.database}", str(server.artifacts)
    for name, count in SIZES.items():
        many_runs.fill(store, artifacts, name, count)
    many_runs.fill(store, artifacts, "seeds", 24, seeds=3)
    return server


@pytest.mark.pages
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", SIZES)
def test_runs_stand_and_are_sorted(filled: MlflowServer, chromium: Any, name: str, dark: bool) -> None:
    """How long it takes is written beside the pictures, with the load of the machine."""
    client = runs.connect(filled.address)
    best = by_best(client, name, 100)
    address = runs.find_chart(filled.address, name, "", filled.address)
    assert address is not None
    look = "dark" if dark else "light"
    told: dict[str, float] = {"load": os.getloadavg()[0]}
    began = time.monotonic()
    with runs_page.opened(chromium, address, dark=dark) as page:
        page.wait_for_rows(best[0].info.run_name)
        told["rows_s"] = time.monotonic() - began
        charts = page.wait_for_charts(3)
        told["charts_s"] = time.monotonic() - began
        assert charts[0]["y"] == "log"
        assert charts[0]["traces"] >= min(len(best), 100)
        page.photograph(PICTURES / f"{name}-charts-{look}.png")
        for section in ("Searched parameters", "Best value by parameter", "What differs"):
            page.page.get_by_text(section, exact=True).first.scroll_into_view_if_needed()
            page.page.wait_for_timeout(1000)  # for the picture alone
            page.photograph(PICTURES / f"{name}-{section.split()[0].lower()}-{section.split()[-1]}-{look}.png")
        page.as_table()
        page.shows(COLUMNS)
        assert page.columns()[2:] == COLUMNS
        page.photograph(PICTURES / f"{name}-table-{look}.png")
        told["sort_s"] = page.sort_by("model.hidden_size")
        assert page.errors == []
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / f"{name}-{look}.json").write_text(json.dumps(told, indent=1))


@pytest.mark.pages
def test_more_runs_come_when_asked_for(filled: MlflowServer, chromium: Any) -> None:
    address = runs.find_chart(filled.address, "thousand", "", filled.address)
    with runs_page.opened(chromium, str(address)) as page:
        page.wait_for_rows("trial-")
        page.as_table()
        page.shows(["100"])
        page.page.locator(".ag-body-viewport").evaluate("box => { box.scrollTop = box.scrollHeight }")
        page.page.get_by_text("Load more").first.click()
        page.shows(["200"])
        assert page.errors == []


@pytest.mark.pages
def test_override_keeps_the_view_for_this_browser_and_leaves_the_shared_one(
    server: MlflowServer, chromium: Any
) -> None:
    many_runs.fill(server.address, None, "mine", 4)
    client = runs.connect(server.address)
    before = client.get_experiment_by_name("mine")
    address = str(runs.find_chart(server.address, "mine", "", server.address))
    with runs_page.opened(chromium, address) as page:
        page.wait_for_rows("trial-")
        override = page.page.get_by_role("button", name="Override saved view")
        override.click()
        override.wait_for(state="hidden")
        page.page.goto("about:blank")
        page.page.goto(views.address(server.address, before.experiment_id).replace("CHART", "TABLE"))
        page.wait_for_rows("trial-")
        page.shows(COLUMNS)
    assert client.get_experiment_by_name("mine").tags == before.tags


@pytest.mark.pages
def test_a_settings_runs_are_shown_by_their_mean(filled: MlflowServer, chromium: Any) -> None:
    """As a user comes there: from the menu of views."""
    address = runs.find_chart(filled.address, "seeds", "", filled.address)
    with runs_page.opened(chromium, str(address)) as page:
        page.wait_for_rows("trial-")
        page.page.get_by_test_id("saved-views-trigger").click()
        page.page.get_by_text("Mean by setting", exact=True).click()
        page.wait_for_rows("Group")
        first = page.cells()[0]["metrics.`best`"]  # the menu opens the table
        mean, how = first.split()
        assert (float(mean), how) == (
            pytest.approx(best_mean(runs.connect(filled.address), "seeds"), 1e-4),
            "(average)",
        )
        page.photograph(PICTURES / "settings-table.png")
        page.as_charts()
        page.shows(["Best value, mean"])
        page.wait_for_charts(2)
        page.photograph(PICTURES / "settings-charts.png")
        assert page.errors == []


def best_mean(client: Any, name: str) -> float:
    """The mean of the best values of the setting that has the best trial."""
    found = by_best(client, name)
    same = [run for run in found if run.data.tags["sweep.config"] == found[0].data.tags["sweep.config"]]
    assert len(same) == 3
    return sum(run.data.metrics["best"] for run in same) / len(same)


@pytest.mark.pages
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_sweeps_are_compared(filled: MlflowServer, chromium: Any, dark: bool) -> None:
    address = runs.find_sweeps(filled.address, filled.address)
    look = "dark" if dark else "light"
    with runs_page.opened(chromium, str(address), dark=dark) as page:
        page.shows([*SIZES, "Best value after each trial", "On the test part: network, base, rivals"])
        page.wait_for_charts(2)
        page.photograph(PICTURES / f"sweeps-charts-{look}.png")
        page.as_table()
        page.shows(["best", "test/loss", "rival/ridge/loss"])
        page.photograph(PICTURES / f"sweeps-table-{look}.png")
        assert page.errors == []


@pytest.mark.pages
def test_a_teams_server_shows_the_same(chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With passwords, on PostgreSQL, the artifacts on S3."""
    if why := team_server.missing():
        pytest.skip(why)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", team_server.USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", team_server.PASSWORD)
    who = {"http_credentials": {"username": team_server.USER, "password": team_server.PASSWORD}}
    with team_server.server(tmp_path) as server:
        many_runs.fill(server, None, "team", 12)
        client = runs.connect(server)
        best = by_best(client, "team")[0].info.run_name
        (of_sweep,) = client.search_runs([runs.find_sweeps_experiment(client)])
        assert of_sweep.info.artifact_uri.startswith("mlflow-artifacts:")
        assert runs.fetch(client, of_sweep, "report.html", str(tmp_path)) is not None
        for address, shown in (
            (runs.find_chart(server, "team", "", server), [best, "Curves"]),
            (runs.find_sweeps(server, server), ["team", "Best value after each trial"]),
        ):
            with runs_page.opened(chromium, str(address), **who) as page:
                page.shows(shown)
                page.wait_for_charts(1)
                assert page.errors == []
