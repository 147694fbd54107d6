"""What runs have in MLflow: descriptions, data sets, who made them, and how MLflow's own page shows that."""

from types import SimpleNamespace
from typing import Any

import browser
import pytest
from outages import MlflowServer

from dashboards.config import TrackingConfig
from dashboards.tracking import contents, runs
from dashboards.tracking.recorder import Recorder
from lstm.records.events import About, DataPart, Driver, TrialEnded, TrialStarted
from lstm.records.state import Derived

# What MLflow's own page says of itself: it asks for what a server does not have, and watches its own sizes.
OF_MLFLOW = ("Failed to load resource", "ResizeObserver")
PATIENCE_MS = 120_000  # of a busy machine
PLACES = contents.Places(sweeps="1", run="abc", trials="2")
COLUMNS = {"day": "string", "sold_units": "double"}
PARTS = tuple(
    DataPart(context, "my_sales.csv", digest, count, "rows", COLUMNS, "/data/my_sales.csv")
    for context, digest, count in (("training", "a1", 1200), ("validation", "b2", 60), ("test", "c3", 80))
)
DRIVERS = (Driver(0, "ann", "my_sales.yaml", "8db63a7f00"), Driver(5_000, "bob", "my_sales.yaml", "5dbc953f00"))
ABOUT = About("forecast", "val/loss", "minimize", 4, PARTS, DRIVERS)


def started(derived: Derived | None = None, *, is_base: bool = False) -> TrialStarted:
    settings = {"model.hidden_size": 12, "training.learning_rate": 0.0259192}
    config = {"task": "forecast", "model": {"cell": "lstm", "hidden_size": 12}}
    return TrialStarted(3, 1, settings, config, 2_000, "/c/trial-0003", "host 7", derived, is_base)


def test_a_description_says_what_a_trial_is_in_five_lines() -> None:
    ended = TrialEnded(3, "PRUNED", "pruned after epoch 2", 0.50212, 2, "/c", 9_000)
    text = contents.describe_trial("a*b", ABOUT, PLACES, started(), ended)
    assert contents.without_addresses(text).split("\n") == [
        r"**Trial 3** of the sweep [a\*b]: forecast with lstm",
        "[Report] · [all trials] · [curves]",
        "State: pruned (pruned after epoch 2), val/loss 0.50212 at epoch 2",
        r"Settings: hidden\_size 12, learning\_rate 0.02592",
        r"Data: my\_sales.csv, rows: 1,200 to train on, 60 to validate, 80 to test",
    ]
    assert text.count("workflowType=machine_learning") == 4
    assert contents.is_ours(text)


@pytest.mark.parametrize(
    ("derived", "words"),
    [
        (Derived(2, "retry"), "which replaces [trial 2]"),
        (Derived(2, "extend", {"training.max_epochs": 9}, 4), "which trains [trial 2] further from epoch 4 on"),
        (Derived(2, "confirm", {"training.seed": 7}), "which confirms [trial 2] from another seed"),
        (Derived(2, "refit", {}, 0, {"data": "f" * 64, "count": 1340}), "a refit of [trial 2] on all data"),
    ],
)
def test_a_derived_trial_leads_to_its_parent(derived: Derived, words: str) -> None:
    text = contents.describe_trial("s", ABOUT, PLACES, started(derived))
    assert words in contents.without_addresses(text)
    assert "searchFilter=tags.%60sweep.trial%60%20%3D%20%222%22" in text


def test_the_base_and_a_refit_say_so() -> None:
    assert "the base (the spec's own settings)" in contents.describe_trial("s", ABOUT, PLACES, started(is_base=True))
    refit = Derived(2, "refit", {}, 0, {"data": "f" * 64, "count": 1340})
    (whole,) = ABOUT.parts_of(refit)
    assert (whole.context, whole.digest, whole.count) == ("training", "f" * 12, 1340)
    assert contents.source(ABOUT.driver_at(9_000), refit) == {
        "mlflow.user": "bob",
        "mlflow.source.git.commit": "5dbc953f00",
        "mlflow.source.name": "sweep refit my_sales.yaml",
    }
    assert ABOUT.driver_at(2_000).user == "ann"


def test_data_sets_are_stored_as_mlflow_itself_stores_them(uri: str, home: Any) -> None:
    import mlflow
    from mlflow.data.dataset_source import DatasetSource

    client = runs.connect(uri)
    run = client.create_run("0")
    contents.log_data(client, run.info.run_id, PARTS)
    contents.log_data(client, run.info.run_id, PARTS)  # as after an answer that was lost
    found = client.get_run(run.info.run_id)
    assert contents.data_sets(found) == contents.as_data_sets(PARTS)
    assert len(found.inputs.dataset_inputs) == 3
    source = mlflow.data.get_source(found.inputs.dataset_inputs[0])
    assert isinstance(source, DatasetSource)
    assert source.uri == "/data/my_sales.csv"
    generated = DataPart("training", "memory", "d4", 5, "sequences", {})
    contents.log_data(client, run.info.run_id, [generated])
    assert len(client.get_run(run.info.run_id).inputs.dataset_inputs) == 4


def recorded(server: MlflowServer, make: SimpleNamespace) -> tuple[str, str]:
    """The addresses of a trial's page and of its sweep's, on a server."""
    recorder = Recorder(server.address, None, TrackingConfig(checkpoints="none"), "co2", study="page", about=ABOUT)
    recorder(make.sweep_started())
    recorder(make.trial_started(3))
    recorder(make.epoch_ended(3, 1, 0.5))
    recorder(make.trial_ended(3, 0.5, place=1, best_value=0.5))
    recorder.finish("<html><body>What the report says</body></html>", {}, None, {"rival/ridge/loss": 0.6}, "Worth it.")
    assert recorder.close(60) == 0
    client = runs.connect(server.address)
    found = {run.data.tags.get("sweep.trial", ""): run.info for run in runs.of_sweep(client, "co2", "page")}
    pages = [f"{server.address}/#/experiments/{found[n].experiment_id}/runs/{found[n].run_id}" for n in ("3", "")]
    return pages[0] + "?workflowType=machine_learning", pages[1] + "?workflowType=machine_learning"


@pytest.mark.pages  # of MLflow's pages in a browser, make test opens one: tests/dashboards/test_runs_page.py
def test_mlflow_shows_description_data_and_report(server: MlflowServer, make: SimpleNamespace, chromium: Any) -> None:
    trial, of_sweep = recorded(server, make)
    with browser.opened(chromium, trial) as tab:
        page = tab.page
        page.context.set_default_timeout(PATIENCE_MS)
        page.get_by_text("val/loss 0.5 at epoch 2").wait_for()
        for shown in ("sweep run my_sales.yaml", "8db63a7", "my_sales.csv (a1)"):
            page.get_by_text(shown).first.wait_for()
        page.get_by_role("link", name="ann", exact=True).wait_for()
        assert page.get_by_text("Evaluation runs").count() == 0
        report = page.get_by_role("link", name="Report").get_attribute("href")
        assert [error for error in tab.errors if not any(its in error for its in OF_MLFLOW)] == []
    with browser.opened(chromium, f"{server.address}/{report}") as tab:
        tab.page.frame_locator("iframe").get_by_text("What the report says").wait_for(timeout=PATIENCE_MS)
    with browser.opened(chromium, of_sweep, dark=True) as tab:
        tab.page.get_by_text("Worth it.").wait_for(timeout=PATIENCE_MS)
