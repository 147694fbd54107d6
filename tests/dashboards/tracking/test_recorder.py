import re
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy

from dashboards.config import TrackingConfig
from dashboards.tracking import recorder, runs
from dashboards.tracking.recorder import Recorder
from lstm import ownership
from lstm.messages.message import Message, note
from lstm.records.events import Event, Notice, SweepEnded, TrialLost
from lstm.records.goodput import Goodput

ENOUGH_S = 60.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are sent soon, and tries follow each other quickly."""
    monkeypatch.setattr(recorder, "_GATHER_S", 0.05)
    monkeypatch.setattr(recorder, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(recorder, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def record(uri: str, home: Path, events: list[Event], tracking: TrackingConfig | None = None) -> list[Message]:
    notices: list[Message] = []
    made = Recorder(uri, str(home / "artifacts"), tracking or TrackingConfig(), "co2", "s1", notices.append)
    for event in events:
        made(event)
    assert made.close(ENOUGH_S) == 0
    return notices


def trial_runs(uri: str) -> dict[int, Any]:
    client = runs.connect(uri)
    experiment = client.get_experiment_by_name("co2")
    found = client.search_runs([experiment.experiment_id])
    numbers = [int(run.data.tags["sweep.trial"]) for run in found]
    assert len(numbers) == len(set(numbers)), "a trial has two runs"
    return dict(zip(numbers, found, strict=True))


def sweep_run(uri: str) -> Any:
    client = runs.connect(uri)
    (run,) = client.search_runs([client.get_experiment_by_name("sweeps").experiment_id])
    return run


def curve(uri: str, run: Any, metric: str) -> list[tuple[int, float, int]]:
    history = runs.connect(uri).get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value, point.timestamp) for point in history)


def a_sweep(make: SimpleNamespace) -> list[Event]:
    """Trial 0 completes, 2 is pruned, 3 fails, 1 completes last with the best value."""
    events: list[Event] = [make.sweep_started()]
    ends = {0: (0.5, "COMPLETE"), 2: (0.9, "PRUNED"), 3: (None, "FAIL"), 1: (0.3, "COMPLETE")}
    for order, (number, (value, state)) in enumerate(ends.items()):
        events += [make.trial_started(number), make.epoch_ended(number, 1), make.epoch_ended(number, 2, 0.4)]
        best = 0.3 if number == 1 else 0.5
        events += [make.trial_ended(number, value, state, at_ms=90_000 + order, place=order + 1, best_value=best)]
    return [*events, SweepEnded(True, "", 99_000)]


def test_a_sweep_lies_in_mlflow_as_designed(uri: str, home: Path, make: SimpleNamespace) -> None:
    assert record(uri, home, a_sweep(make)) == []
    trials, sweep = trial_runs(uri), sweep_run(uri)
    run = trials[1]
    assert run.info.run_name == "trial-0001"
    assert run.info.start_time == 2_001
    assert run.info.end_time == 90_003
    assert run.data.params["model.hidden_size"] == "2"
    assert run.data.params["data.target"] == '["a", "b"]'
    assert run.data.tags["mlflow.parentRunId"] == sweep.info.run_id
    assert run.data.tags["sweep.checkpoint"] == "/c/trial-0001"
    assert curve(uri, run, "val/loss") == [(1, 0.5, 20_001), (2, 0.4, 20_002)]
    assert curve(uri, run, "best") == [(2, 0.3, 90_003)]
    statuses = {number: each.info.status for number, each in trials.items()}
    assert statuses == {0: "FINISHED", 1: "FINISHED", 2: "FINISHED", 3: "FAILED"}
    assert trials[2].data.tags["sweep.state"] == "PRUNED"
    assert {each.data.tags["sweep.recorded"] for each in trials.values()} == {"true"}
    assert sweep.info.status == "FINISHED"
    assert sweep.data.tags["mlflow.source.git.commit"] == "abc"
    assert sweep.data.tags["sweep.trials.complete"] == "2"
    assert (home / "artifacts" / sweep.info.run_id / "artifacts" / "spec.yaml").read_text() == "name: co2\n"
    assert (home / "artifacts" / run.info.run_id / "artifacts" / "config.yaml").exists()


def test_the_sweeps_curve_is_the_best_value_so_far_in_whatever_order_ends_arrive(
    uri: str, home: Path, make: SimpleNamespace
) -> None:
    events: list[Event] = [make.sweep_started()]
    for number, place, best in [(3, 4, 0.2), (0, 1, None), (2, 3, 0.2), (1, 2, 0.5)]:
        end = make.trial_ended(number, 0.9, at_ms=90_000 + place, place=place, best_value=best)
        events += [make.trial_started(number), end]
    record(uri, home, events)
    assert curve(uri, sweep_run(uri), "best") == [(2, 0.5, 90_002), (3, 0.2, 90_003), (4, 0.2, 90_004)]


@pytest.mark.parametrize("cut", [16, *(pytest.param(n, marks=pytest.mark.faults) for n in (0, 5, 10))])
def test_events_sent_again_by_the_next_driver_change_nothing(
    uri: str, home: Path, make: SimpleNamespace, cut: int
) -> None:
    events = a_sweep(make)
    record(uri, home, events[:cut])  # this driver was killed
    record(uri, home, events)
    record(uri, home, events)
    for run in trial_runs(uri).values():
        assert [step for step, _, _ in curve(uri, run, "train/loss")] == [1, 2]
    assert [(step, value) for step, value, _ in curve(uri, sweep_run(uri), "best")] == [
        (1, 0.5),
        (2, 0.5),
        (3, 0.5),
        (4, 0.3),
    ]


def test_where_workers_time_went_is_a_point_at_each_end_of_a_run(uri: str, home: Path, make: SimpleNamespace) -> None:
    first = SweepEnded(False, "stopped", 95_000, Goodput({"training": 3.0, "start": 1.0}, trials=2, at_ms=94_000))
    last = SweepEnded(True, "", 99_000, Goodput({"training": 9.0, "start": 1.0}, trials=4, at_ms=98_000))
    record(uri, home, [make.sweep_started(), first])
    record(uri, home, [*a_sweep(make)[:-1], last])
    record(uri, home, [make.sweep_started(), last])  # once more, by a driver with nothing left to do
    run = sweep_run(uri)
    assert curve(uri, run, "goodput/training") == [(2, 0.75, 94_000), (4, 0.9, 98_000)]
    assert curve(uri, run, "goodput/start") == [(2, 0.25, 94_000), (4, 0.1, 98_000)]
    assert curve(uri, run, "goodput/worker_s") == [(2, 4.0, 94_000), (4, 10.0, 98_000)]
    assert run.data.metrics["goodput/training"] == 0.9


def test_recorded_names_the_trials_that_are_whole(uri: str, home: Path, make: SimpleNamespace) -> None:
    record(uri, home, [*a_sweep(make)[:-1], make.trial_started(9), make.epoch_ended(9, 1)])
    again = Recorder(uri, str(home / "artifacts"), TrackingConfig(), "co2", "s1")
    assert again.recorded() == {0, 1, 2, 3}
    other = Recorder(uri, str(home / "artifacts"), TrackingConfig(), "co2", "another study")
    assert other.recorded() == set()
    assert (again.close(ENOUGH_S), other.close(ENOUGH_S)) == (0, 0)


@pytest.mark.parametrize("same_driver", [True, False])
def test_epochs_that_were_computed_again_replace_the_first(
    uri: str, home: Path, make: SimpleNamespace, same_driver: bool
) -> None:
    before: list[Event] = [make.sweep_started(), make.trial_started(0)]
    before += [make.epoch_ended(0, epoch, 0.5) for epoch in (1, 2, 3)]
    lost = TrialLost(0, 1, "host is gone", 50_000)
    after: list[Event] = [make.trial_started(0, attempt=2)]
    replayed = [] if same_driver else [make.epoch_ended(0, 1, 0.5)]
    after += [*replayed, make.epoch_ended(0, 2, 0.25, at_ms=60_000), make.trial_ended(0, 0.25)]
    if same_driver:
        record(uri, home, [*before, lost, *after])
    else:
        record(uri, home, before)
        record(uri, home, [make.sweep_started(), *after])
    run = trial_runs(uri)[0]
    assert curve(uri, run, "val/loss") == [(1, 0.5, 10_001), (2, 0.25, 60_000)]
    assert run.data.tags["sweep.attempt"] == "2"


def test_a_run_deleted_in_the_ui_comes_back_whole(uri: str, home: Path, make: SimpleNamespace) -> None:
    made = Recorder(uri, str(home / "artifacts"), TrackingConfig(), "co2", "s1")
    for event in a_sweep(make)[:3]:
        made(event)
    assert made.recorded() == set()  # an answer means that all before it is delivered
    runs.connect(uri).delete_run(trial_runs(uri)[0].info.run_id)
    for event in a_sweep(make)[3:]:
        made(event)
    assert made.close(ENOUGH_S) == 0
    assert [step for step, _, _ in curve(uri, trial_runs(uri)[0], "val/loss")] == [1, 2]


def test_what_the_store_refuses_is_told_once_and_named_at_the_end(uri: str, home: Path, make: SimpleNamespace) -> None:
    events = a_sweep(make)
    for trial, place in ((2, 7), (0, 4)):
        events.insert(place, make.epoch_ended(trial, 3, at_ms=2**70))
    notices: list[Message] = []
    made = Recorder(uri, str(home / "artifacts"), TrackingConfig(), "co2", "s1", notices.append)
    for event in events:
        made(event)
    assert made.close(ENOUGH_S) == 0
    [told] = notices
    assert (told.code, told.values["what"]) == ("mlflow-refuses-some", "some epochs")
    assert told.values["trial"] in (0, 2)
    assert sorted(each.partition(" (")[0] for each in made.refused) == [
        "some epochs of trial 0",
        "some epochs of trial 2",
    ]
    trials = trial_runs(uri)
    # What is not whole is sent again by the next driver.
    assert {number for number, run in trials.items() if "sweep.recorded" in run.data.tags} == {1, 3}
    assert [step for step, _, _ in curve(uri, trials[0], "val/loss")] == [1, 2]


@pytest.mark.parametrize(
    ("status", "why"), [(401, "the server asks for a name and a password"), (403, "the server gives no permission")]
)
def test_a_server_that_lets_nothing_in_any_more_is_told_as_that(
    unavailable: str, make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, status: int, why: str
) -> None:
    monkeypatch.setattr(_Unavailable, "status", status)
    notices: list[Message] = []
    made = Recorder(unavailable, None, TrackingConfig(), "co2", "s1", notices.append)
    made(make.sweep_started())
    assert _Unavailable.asked.wait(ENOUGH_S)
    assert made.close(0.5) == 1
    assert notices == [note("mlflow-refuses-all", why=why)]
    assert len(made.refused) == 1


class _Unavailable(BaseHTTPRequestHandler):
    asked = threading.Event()
    status = 503

    def do_GET(self) -> None:
        type(self).asked.set()
        self.send_response(self.status)
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def unavailable() -> Any:
    server = HTTPServer(("127.0.0.1", 0), _Unavailable)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://user:secret@127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_store_that_is_away_holds_nobody_up(unavailable: str, make: SimpleNamespace) -> None:
    notices: list[Message] = []
    made = Recorder(unavailable, None, TrackingConfig(), "co2", "s1", notices.append)
    events = a_sweep(make)
    for event in events:
        made(event)
    assert _Unavailable.asked.wait(ENOUGH_S)
    assert made.recorded(timeout_s=0.1) == set()
    assert made.close(0.5) == len(events)
    assert [each.code for each in notices] == ["mlflow-away-while-running"]
    assert "secret" not in str(notices[0])


def test_what_waited_is_sent_in_order_when_the_store_is_back(
    uri: str, home: Path, make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = runs.connect, []

    def connect(address: str) -> Any:
        tries.append(address)
        if len(tries) < 4:
            raise ConnectionError(address)
        return real(address)

    monkeypatch.setattr(runs, "connect", connect)
    notices = record(uri, home, a_sweep(make))
    assert notices == [note("mlflow-away-while-running", why="the connection broke"), note("mlflow-back")]
    assert [value for _, value, _ in curve(uri, sweep_run(uri), "best")] == [0.5, 0.5, 0.5, 0.3]
    assert set(trial_runs(uri)) == {0, 1, 2, 3}


@pytest.fixture
def short_lock() -> Iterator[None]:
    """MLflow's sessions wait 0.1 s for a lock, not 20 s."""

    def shorten(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
        return re.sub(r"(PRAGMA busy_timeout =) \d+", r"\1 100", statement), parameters

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", shorten, retval=True)
    yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", shorten)


@pytest.mark.usefixtures("short_lock")
def test_a_locked_database_is_waited_for(uri: str, home: Path, make: SimpleNamespace) -> None:
    noted = threading.Event()
    made = Recorder(uri, str(home / "artifacts"), TrackingConfig(), "co2", "s1", lambda _: noted.set())
    assert made.recorded(ENOUGH_S) == set()
    other = sqlite3.connect(home / "mlflow.db")
    other.execute("BEGIN EXCLUSIVE")
    for event in a_sweep(make):
        made(event)
    assert noted.wait(ENOUGH_S)
    other.rollback()
    other.close()
    assert made.close(ENOUGH_S) == 0
    assert set(trial_runs(uri)) == {0, 1, 2, 3}


@pytest.mark.parametrize("policy", ["best", "all", "none"])
def test_checkpoints_follow_the_policy(
    uri: str, home: Path, make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, policy: Any
) -> None:
    def read(address: str, _: ownership.Owner) -> tuple[bytes, Any]:
        if address.endswith("3"):
            raise FileNotFoundError(address)
        return address.encode(), None

    monkeypatch.setattr(ownership, "read", read)
    notices: list[Message] = []
    tracking = TrackingConfig(checkpoints=policy)
    made = Recorder(uri, str(home / "artifacts"), tracking, "co2", "s1", notices.append)
    for event in a_sweep(make):
        made(event)
    made.finish("<html>", {"test/loss": 0.25}, make.trial(0, 0.5, checkpoint="/c/trial-0000"))
    made.finish("<html>", {"test/loss": 0.25}, make.trial(1, 0.3, checkpoint="/c/trial-0001"))
    assert made.close(ENOUGH_S) == 0
    kept = {number for number, run in trial_runs(uri).items() if _checkpoint(home, run).exists()}
    assert kept == {"best": {0, 1}, "all": {0, 1, 2}, "none": set()}[policy]
    assert all(_checkpoint(home, trial_runs(uri)[n]).read_text() == f"/c/trial-000{n}" for n in kept)
    unread = note("checkpoint-not-sent", at="trial 3", why="FileNotFoundError")
    assert notices == ([unread] if policy == "all" else [])
    best = {number for number, run in trial_runs(uri).items() if "sweep.best" in run.data.tags}
    assert best == {1}


def _checkpoint(home: Path, run: Any) -> Path:
    return home / "artifacts" / run.info.run_id / "artifacts" / "checkpoint" / "checkpoint.pt"


@pytest.mark.parametrize("values", [(0.5, 0.25, 0.25, 0.75), (0.5, 0.25, 0.5), (float("nan"), 0.5, float("nan"))])
def test_figures_of_a_later_end_are_those_that_are_shown(
    uri: str, home: Path, make: SimpleNamespace, values: tuple[float, ...]
) -> None:
    """Confirm over other windows adds no trial, so the step and the time of its figures are the earlier ones'."""
    for value in values:
        made = Recorder(uri, str(home / "artifacts"), TrackingConfig(checkpoints="none"), "co2", "s1")
        for event in a_sweep(make):
            made(event)
        best, other = make.trial(1, 0.3), {"confirm/better_than/trial-0": 0.1} if value is values[0] else {}
        made.finish(
            "<html>", {"confirm/better_than/base": value, **other}, best, {"rival/ridge/loss": value}, "Worth it."
        )
        assert made.close(ENOUGH_S) == 0
        for run in (sweep_run(uri), trial_runs(uri)[1]):
            shown = run.data.metrics
            assert shown["confirm/better_than/base"] == pytest.approx(value, nan_ok=True)
            of_other = 0.1 if other else float("nan")  # NaN: confirm no longer compares it
            assert shown["confirm/better_than/trial-0"] == pytest.approx(of_other, nan_ok=True)
        assert sweep_run(uri).data.metrics["rival/ridge/loss"] == pytest.approx(value, nan_ok=True)


def test_finish_twice_is_finish_once(uri: str, home: Path, make: SimpleNamespace) -> None:
    for _ in range(2):
        made = Recorder(uri, str(home / "artifacts"), TrackingConfig(checkpoints="none"), "co2", "s1")
        for event in a_sweep(make):
            made(event)
        made.finish("<html>ü", {"test/loss": 0.25, "baseline/loss": 0.5}, make.trial(1, 0.3), picture="<svg>ü</svg>")
        assert made.close(ENOUGH_S) == 0
    sweep, best = sweep_run(uri), trial_runs(uri)[1]
    assert sweep.data.tags["sweep.best_trial"] == "1"
    assert len(curve(uri, sweep, "test/loss")) == len(curve(uri, best, "baseline/loss")) == 1
    report = home / "artifacts" / sweep.info.run_id / "artifacts" / "report.html"
    assert report.read_text(encoding="utf-8") == "<html>ü"
    assert report.with_name(sweep.data.tags["sweep.picture"]).read_text(encoding="utf-8") == "<svg>ü</svg>"


def test_notices_and_events_after_close_are_nobodys_loss(uri: str, home: Path, make: SimpleNamespace) -> None:
    made = Recorder(uri, str(home / "artifacts"), TrackingConfig(), "co2", "s1")
    made(Notice(note("mlflow-back")))
    assert made.close(ENOUGH_S) == 0
    made(make.sweep_started())
    assert made.close(0.0) == 0


def test_the_chart_address_leads_to_the_trials(uri: str, home: Path, make: SimpleNamespace) -> None:
    made = Recorder(uri, str(home / "artifacts"), TrackingConfig(), "co2", "s1")
    address = made.chart_address("http://127.0.0.1:5000")
    assert made.close(ENOUGH_S) == 0
    assert address == runs.find_chart(uri, "co2", "s1", "http://127.0.0.1:5000")


def test_keys_in_the_address_of_checkpoints_do_not_reach_mlflow(uri: str, home: Path, make: SimpleNamespace) -> None:
    address = "s3://KEY:hunter2@bucket/co2/trial-0000?secret_key=hunter2"
    started, ended = make.trial_started(0), make.trial_ended(0, 0.5)
    events = [make.sweep_started(), replace(started, checkpoint=address)]
    record(uri, home, [*events, replace(ended, checkpoint=address)], TrackingConfig(checkpoints="none"))
    assert trial_runs(uri)[0].data.tags["sweep.checkpoint"] == "s3://bucket/co2/trial-0000"
    assert b"hunter2" not in (home / "mlflow.db").read_bytes()
