"""A real MLflow server behind a proxy that breaks what passes: nobody waits, and each point arrives once."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from outages import BROKEN, Choose, MlflowServer, Mode, Proxy, Request, always, drawn, first_of_each

from dashboards.config import TrackingConfig
from dashboards.tracking import private_patches, recorder, runs
from dashboards.tracking.recorder import Recorder
from lstm import ownership
from lstm.messages.message import Message, note
from lstm.records.events import EpochEnded, Event, SweepEnded, TrialEnded, TrialLost, TrialStarted

ENOUGH_S = 120.0
REPORT = "<html>ü"
CHECKPOINT = bytes(range(256)) * 400  # larger than a socket takes at once
STAGES = ("creation", "curve", "end", "finish")
# Each kind of outage once and each stage once; all of them with `-m faults`.
QUICK = {("503", "creation"), ("refuse", "curve"), ("hang", "end"), ("swallow", "end"), ("cut", "finish")}


@pytest.fixture
def proxy(server: MlflowServer) -> Iterator[Proxy]:
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other quickly; a checkpoint is there to be read."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr(recorder, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(recorder, "_LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(recorder, "_GATHER_S", 0.05)
    monkeypatch.setattr(ownership, "read", lambda *_: (CHECKPOINT, None))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A sweep of its own: the server is shared."""
    return "".join(c if c.isalnum() else "-" for c in request.node.name)


def a_sweep(make: SimpleNamespace) -> dict[str, list[Event]]:
    """Its events by stage; trial 1 loses an attempt and computes its second epoch again, so its run is made anew."""
    end = make.trial_ended
    return {
        "creation": [make.sweep_started(), make.trial_started(0), make.trial_started(1)],
        "curve": [
            *(make.epoch_ended(0, epoch) for epoch in (1, 2, 3)),
            *(make.epoch_ended(1, epoch) for epoch in (1, 2)),
            TrialLost(1, 1, "its host is gone", 50_000),
            make.trial_started(1, attempt=2),
            make.epoch_ended(1, 2, 0.25, at_ms=60_000),
            make.epoch_ended(1, 3, 0.2, at_ms=61_000),
        ],
        "end": [
            end(0, 0.5, at_ms=90_000, place=1, best_value=0.5),
            make.trial_started(2),
            make.epoch_ended(2, 1, 0.9),
            end(2, 0.9, "PRUNED", at_ms=90_001, place=2, best_value=0.5),
            make.trial_started(3),
            end(3, None, "FAIL", "no GPU", at_ms=90_002, place=3, best_value=0.5),
            end(1, 0.2, at_ms=90_003, place=4, best_value=0.2),
        ],
        "finish": [SweepEnded(True, "", 99_000)],
    }


class Driver:
    """Feeds a recorder as `sweep run` does; `events` counts what it was given."""

    def __init__(self, uri: str, name: str, make: SimpleNamespace) -> None:
        self.notices: list[Message] = []
        self.recorder = Recorder(uri, None, TrackingConfig(), name, "s1", self.notices.append)
        self.events = 0
        self._make = make

    def feed(self, *stages: str) -> None:
        for stage in stages:
            for event in a_sweep(self._make)[stage]:
                self.recorder(event)
                self.events += 1
        if "finish" in stages:
            best = self._make.trial(1, 0.2, checkpoint="/c/trial-0001", ended_at_ms=90_003, best_epoch=3)
            self.recorder.finish(REPORT, {"test/loss": 0.25}, best)
            self.events += 1

    def arrived(self) -> None:
        """Return when all so far is delivered: questions are answered in their turn."""
        assert self.recorder.chart_address("", ENOUGH_S) is not None


def before(stage: str) -> tuple[str, ...]:
    return STAGES[: STAGES.index(stage)]


def since(stage: str) -> tuple[str, ...]:
    return STAGES[STAGES.index(stage) :]


def judge(server: MlflowServer, name: str, make: SimpleNamespace) -> None:
    """Look past the proxy: one run for each trial and one for the sweep, and in each all that it shall hold, once."""
    client = runs.connect(server.address)
    stages = a_sweep(make)
    events = [event for stage in STAGES for event in stages[stage]]
    sweep = _only(_runs(client, "sweeps", f"tags.`sweep.name` = '{name}'"))
    assert sweep.info.status == "FINISHED"
    assert sweep.info.end_time == 99_000
    assert sweep.data.params == {"metric": "val/loss", "direction": "minimize"}
    wanted = {"sweep.n_trials": "4", "sweep.trials.complete": "2", "sweep.trials.pruned": "1", "sweep.trials.fail": "1"}
    wanted |= {"sweep.ended": "complete", "sweep.best_trial": "1", "sweep.spec_hash": "hash"}
    assert {key: sweep.data.tags.get(key) for key in wanted} == wanted
    assert _points(client, sweep, "best") == [(i + 1, v, 90_000 + i) for i, v in enumerate([0.5, 0.5, 0.5, 0.2])]
    assert [step for step, _, _ in _points(client, sweep, "test/loss")] == [4]
    assert _artifacts(server, sweep) == {"spec.yaml": b"name: co2\n", "report.html": REPORT.encode()}

    trials = {int(run.data.tags["sweep.trial"]): run for run in _runs(client, name)}
    assert len(_runs(client, name)) == len(trials) == 4
    for number, run in trials.items():
        started = [e for e in events if isinstance(e, TrialStarted) and e.number == number][-1]
        (ended,) = (e for e in events if isinstance(e, TrialEnded) and e.number == number)
        assert run.data.params == runs.flatten(started.config)
        tags = {"mlflow.parentRunId": sweep.info.run_id, "sweep.name": name, "sweep.recorded": "true"}
        tags |= {"sweep.attempt": str(started.attempt), "sweep.worker": "host 7", "sweep.state": ended.state}
        tags |= {"sweep.checkpoint": ended.checkpoint, "sweep.settings": json.dumps(started.settings)}
        assert {key: run.data.tags.get(key) for key in tags} == tags
        assert ("sweep.best" in run.data.tags) == (number == 1)
        assert run.info.status == ("FAILED" if ended.state == "FAIL" else "FINISHED")
        assert (run.info.start_time, run.info.end_time) == (started.at_ms, ended.at_ms)
        curve: dict[int, tuple[float, int]] = {}
        for event in events:
            if isinstance(event, EpochEnded) and event.number == number:
                curve[event.epoch.number] = (event.epoch.value, event.epoch.measured_at_ms)
        assert _points(client, run, "val/loss") == [(step, *point) for step, point in sorted(curve.items())]
        assert _points(client, run, "train/loss") == [(s, 2 * v, at) for s, (v, at) in sorted(curve.items())]
        best = [] if ended.value is None else [(ended.best_epoch, ended.value, ended.at_ms)]
        assert _points(client, run, "best") == best
        files = _artifacts(server, run)
        assert yaml.safe_load(files.pop("config.yaml")) == started.config
        assert files == ({"checkpoint/checkpoint.pt": CHECKPOINT} if number == 1 else {})


def _only(found: list[Any]) -> Any:
    assert len(found) == 1, f"{len(found)} runs"
    return found[0]


def _runs(client: Any, experiment: str, query: str = "") -> list[Any]:
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id], query))


def _points(client: Any, run: Any, metric: str) -> list[tuple[int, float, int]]:
    return sorted((p.step, p.value, p.timestamp) for p in client.get_metric_history(run.info.run_id, metric))


def _artifacts(server: MlflowServer, run: Any) -> dict[str, bytes]:
    folder = server.artifacts / run.info.artifact_uri.removeprefix("mlflow-artifacts:/")
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def broken(requests: list[Request]) -> bool:
    return any(request.mode in BROKEN for request in requests)


# --- what follows an outage


@pytest.mark.faults  # after a fault it is so, too: each of the others judges it
def test_without_a_fault_all_is_as_the_judge_wants_it(
    server: MlflowServer, proxy: Proxy, name: str, make: SimpleNamespace
) -> None:
    driver = Driver(proxy.address, name, make)
    driver.feed(*STAGES)
    assert driver.recorder.close(ENOUGH_S) == 0
    assert driver.notices == []
    judge(server, name, make)


@pytest.mark.parametrize(
    ("mode", "stage"),
    [pytest.param(m, s, marks=[] if (m, s) in QUICK else pytest.mark.faults) for m in BROKEN for s in STAGES],
)
def test_events_are_taken_while_the_store_is_broken_and_delivered_once_when_it_is_back(
    server: MlflowServer, proxy: Proxy, name: str, make: SimpleNamespace, mode: Mode, stage: str
) -> None:
    driver = Driver(proxy.address, name, make)
    driver.feed(*before(stage))
    if stage != STAGES[0]:
        driver.arrived()
    proxy.mode = mode
    driver.feed(*since(stage))  # all are taken: nothing has let the store answer meanwhile
    assert proxy.wait_for(broken), "the outage was met"
    proxy.mode = "pass"
    proxy.release()
    assert driver.recorder.close(ENOUGH_S) == 0
    assert [each.code for each in driver.notices[:1]] == ["mlflow-away-while-running"]
    judge(server, name, make)


@pytest.mark.parametrize("mode", [pytest.param(m, marks=[] if m == "swallow" else pytest.mark.faults) for m in BROKEN])
def test_the_first_request_of_every_kind_may_break(
    server: MlflowServer, proxy: Proxy, name: str, make: SimpleNamespace, mode: Mode
) -> None:
    proxy.choose = first_of_each(mode)
    driver = Driver(proxy.address, name, make)
    driver.feed(*STAGES)
    assert driver.recorder.close(ENOUGH_S) == 0
    met = {request.endpoint for request in proxy.requests if request.mode == mode}
    assert {"experiments/create", "runs/create", "runs/log-batch", "runs/update", "runs/delete"} <= met
    assert {"artifacts/config.yaml", "artifacts/report.html", "artifacts/checkpoint/checkpoint.pt"} <= met
    judge(server, name, make)


@pytest.mark.parametrize(
    ("modes", "share", "seed"),
    [
        pytest.param(("swallow",), 0.15, 1, marks=pytest.mark.faults),
        pytest.param(("503", "swallow", "cut", "refuse"), 0.15, 2, marks=pytest.mark.faults),
        *(pytest.param(BROKEN, 0.1, seed, marks=pytest.mark.faults) for seed in range(10, 16)),
        *(pytest.param(("swallow",), 0.2, seed, marks=pytest.mark.faults) for seed in range(20, 26)),
    ],
)
def test_a_share_of_all_requests_may_break(
    server: MlflowServer,
    proxy: Proxy,
    name: str,
    make: SimpleNamespace,
    modes: tuple[Mode, ...],
    share: float,
    seed: int,
) -> None:
    proxy.choose = drawn(modes, share, seed)
    driver = Driver(proxy.address, name, make)
    driver.feed(*STAGES)
    assert driver.recorder.close(ENOUGH_S) == 0
    assert broken(proxy.requests)
    judge(server, name, make)


def test_a_user_who_asks_mlflow_to_retry_gets_no_second_run(
    server: MlflowServer, proxy: Proxy, name: str, make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    proxy.choose = first_of_each("swallow")
    driver = Driver(proxy.address, name, make)
    driver.feed(*STAGES)
    driver.arrived()
    # Not merely mended at the end: a second run was never there.
    made = [request for request in proxy.requests if request.endpoint == "runs/create"]
    assert len(made) == 1 + 4 + 1  # the sweep's, one for each trial, trial 1's anew
    assert driver.recorder.close(ENOUGH_S) == 0
    judge(server, name, make)


@pytest.mark.parametrize("which", ["sweep", "trial"])
def test_a_request_that_the_server_carries_out_after_it_was_given_up_leaves_no_second_run(
    server: MlflowServer, proxy: Proxy, name: str, make: SimpleNamespace, which: str
) -> None:
    driver = Driver(proxy.address, name, make)
    if which == "trial":
        driver.recorder(make.sweep_started())
        driver.arrived()
    late = first_of_each("late")
    proxy.choose = lambda endpoint: late(endpoint) if endpoint == "runs/create" else "pass"
    driver.feed("creation", "curve")
    driver.arrived()
    proxy.release()
    assert proxy.wait_for(lambda requests: requests[-1].mode == "committed")
    found = _runs(runs.connect(server.address), "sweeps", f"tags.`sweep.name` = '{name}'")
    assert len(found if which == "sweep" else _runs(runs.connect(server.address), name)) == (
        2 if which == "sweep" else 3
    )
    driver.feed("end", "finish")
    assert driver.recorder.close(ENOUGH_S) == 0
    judge(server, name, make)


@pytest.mark.faults  # a connection that is refused, and is not from then on, is above: [refuse-curve]
def test_a_server_that_is_killed_and_started_again_gets_the_rest(
    server: MlflowServer, name: str, make: SimpleNamespace
) -> None:
    driver = Driver(server.address, name, make)
    driver.feed("creation", "curve")
    driver.arrived()
    told = threading.Event()
    driver.recorder._notice = lambda text: (driver.notices.append(text), told.set())  # type: ignore[assignment, func-returns-value]
    server.kill()
    try:
        driver.feed("end")
        assert told.wait(ENOUGH_S)
    finally:
        server.start()
    driver.feed("finish")
    assert driver.recorder.close(ENOUGH_S) == 0
    # The connection that was open breaks first, where it was asked while the server died.
    assert [each.code for each in driver.notices] == ["mlflow-away-while-running", "mlflow-back"]
    judge(server, name, make)


def test_a_server_that_freezes_carries_out_what_waited_and_no_run_is_doubled(
    server: MlflowServer, name: str, make: SimpleNamespace
) -> None:
    driver = Driver(server.address, name, make)
    told = threading.Event()
    driver.recorder._notice = lambda _: told.set()
    server.freeze()
    try:
        driver.feed(*STAGES)
        assert told.wait(ENOUGH_S)
    finally:
        server.thaw()
    assert driver.recorder.close(ENOUGH_S) == 0
    judge(server, name, make)


# --- the driver's end


@pytest.mark.parametrize(
    "stage", [pytest.param(s, marks=() if s in ("creation", "finish") else pytest.mark.faults) for s in STAGES]
)
def test_what_a_driver_could_not_deliver_the_next_one_does(
    server: MlflowServer, proxy: Proxy, name: str, make: SimpleNamespace, stage: str
) -> None:
    first = Driver(proxy.address, name, make)
    first.feed(*before(stage))
    if stage != STAGES[0]:
        first.arrived()
    delivered = first.events
    proxy.mode = "swallow"  # the worst: each try is carried out
    first.feed(*since(stage))
    assert first.recorder.close(0.2) == first.events - delivered
    proxy.mode = "pass"
    second = Driver(proxy.address, name, make)
    second.feed(*STAGES)  # what `sweep run` sends again, from study and checkpoints
    assert second.recorder.close(ENOUGH_S) == 0
    judge(server, name, make)


def test_a_driver_that_is_interrupted_while_the_server_hangs_ends(
    proxy: Proxy, name: str, make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3600")  # longer than any test: what returns did not wait for it
    proxy.mode = "hang"
    driver = Driver(proxy.address, name, make)
    driver.feed(*STAGES)
    assert proxy.wait_for(broken)
    assert driver.recorder.recorded(timeout_s=0.05) == set()
    assert driver.recorder.chart_address("", timeout_s=0.05) is None
    assert driver.recorder.close(0.05) == driver.events


def test_a_store_that_comes_back_at_the_close_is_not_missed_for_a_long_pause(
    server: MlflowServer, proxy: Proxy, name: str, make: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_FIRST_PAUSE_S", 3600.0)  # after a long outage, tries are far between
    monkeypatch.setattr(recorder, "_LONGEST_PAUSE_AT_CLOSE_S", 0.01)
    proxy.mode = "refuse"
    driver = Driver(proxy.address, name, make)
    driver.feed(*STAGES)
    assert proxy.wait_for(broken)
    proxy.mode = "pass"
    assert driver.recorder.close(ENOUGH_S) == 0
    judge(server, name, make)


# --- what is said


@pytest.mark.parametrize(
    ("mode", "words"),
    [("503", "error 503"), ("hang", "no answer in time"), ("refuse", "the connection broke")],
)
def test_what_is_the_matter_is_said_in_plain_words_and_without_the_password(
    proxy: Proxy, name: str, make: SimpleNamespace, mode: Mode, words: str
) -> None:
    proxy.mode = mode
    told = threading.Event()
    driver = Driver(proxy.address_for("ann", "hunter2"), name, make)
    driver.recorder._notice = lambda text: (driver.notices.append(text), told.set())  # type: ignore[assignment, func-returns-value]
    driver.feed("creation")
    assert told.wait(ENOUGH_S)
    driver.recorder.close(0.0)
    assert driver.notices == [note("mlflow-away-while-running", why=words)]
    assert "hunter2" not in str(driver.notices[0])


def test_a_checkpoint_that_is_too_large_for_the_server_keeps_nothing_else_back(
    server: MlflowServer, proxy: Proxy, name: str, make: SimpleNamespace
) -> None:
    choose: Choose = always("pass")
    proxy.choose = lambda endpoint: "413" if endpoint.endswith(".pt") else choose(endpoint)
    driver = Driver(proxy.address, name, make)
    driver.feed(*STAGES)
    assert driver.recorder.close(ENOUGH_S) == 0
    values = {"what": "the checkpoint", "trial": 1, "why": "error 413"}
    assert driver.notices == [note("mlflow-refuses-some", **values)]
    assert driver.recorder.refused == ["the checkpoint of trial 1 (error 413)"]
    proxy.choose = choose
    again = Driver(proxy.address, name, make)
    again.feed("finish")
    assert again.recorder.close(ENOUGH_S) == 0
    assert again.recorder.refused == []
    judge(server, name, make)  # all but the checkpoint was there already


# --- a full disk under a store of this host


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder that is a disk of three megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root, to mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)  # MLflow keeps its database open


def fill(folder: Path, left: int = 0) -> Path:
    """A file that takes what is left of a disk but for so many bytes."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    os.truncate(filler, filler.stat().st_size - left)
    return filler


@pytest.mark.parametrize(
    ("store", "artifacts", "left", "told"),
    [
        ("small/mlflow.db", "small/artifacts", 0, "small"),
        ("small/mlflow.db", "artifacts", 400_000, "small"),  # its tables are made in many steps: full in the midst
        ("mlflow.db", "small/artifacts", 0, "small/artifacts"),
    ],
)
def test_a_full_disk_is_named_and_what_waited_is_written_when_there_is_room(
    small: Path,
    tmp_path: Path,
    empty_store: Path,
    make: SimpleNamespace,
    store: str,
    artifacts: str,
    left: int,
    told: str,
) -> None:
    if store == "mlflow.db":  # where there is room its tables may be there
        shutil.copy(empty_store, tmp_path)
    filler = fill(small, left)
    notices: list[Message] = []
    full = threading.Event()

    def notice(message: Message) -> None:
        notices.append(message)
        full.set()

    uri = f"sqlite:///{tmp_path / store}"
    made = Recorder(uri, str(tmp_path / artifacts), TrackingConfig(checkpoints="none"), "co2", "s1", notice)
    for stage in STAGES:
        for event in a_sweep(make)[stage]:
            made(event)
    assert full.wait(ENOUGH_S)
    filler.unlink()
    assert made.close(ENOUGH_S) == 0
    assert notices == [note("mlflow-disk-full", folder=str(tmp_path / told)), note("mlflow-back")]
    client = runs.connect(uri)
    trials = _runs(client, "co2")
    assert sorted(run.data.tags["sweep.trial"] for run in trials) == ["0", "1", "2", "3"]
    assert {run.data.tags.get("sweep.recorded") for run in trials} == {"true"}
    lengths = {run.data.tags["sweep.trial"]: len(_points(client, run, "val/loss")) for run in trials}
    assert lengths == {"0": 3, "1": 3, "2": 1, "3": 0}
    assert list((tmp_path / store).parent.glob(".mlflow.db*")) == []


def test_a_disk_that_fills_while_a_sweep_is_recorded_loses_nothing(
    small: Path, make: SimpleNamespace, empty_store: Path
) -> None:
    shutil.copy(empty_store, small / "mlflow.db")
    full = threading.Event()
    uri = f"sqlite:///{small / 'mlflow.db'}"
    made = Recorder(
        uri, str(small / "artifacts"), TrackingConfig(checkpoints="none"), "co2", "s1", lambda _: full.set()
    )
    stages = a_sweep(make)
    for event in stages["creation"]:
        made(event)
    assert made.recorded(ENOUGH_S) == set()
    filler = fill(small)
    for stage in ("curve", "end", "finish"):
        for event in stages[stage]:
            made(event)
    assert full.wait(ENOUGH_S)
    filler.unlink()
    assert made.close(ENOUGH_S) == 0
    client = runs.connect(uri)
    (run,) = (run for run in _runs(client, "co2") if run.data.tags["sweep.trial"] == "1")
    assert _points(client, run, "val/loss") == [(1, 0.5, 20_001), (2, 0.25, 60_000), (3, 0.2, 61_000)]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_by_its_error_wherever_it_is_wrapped(tmp_path: Path, number: int) -> None:
    error = RuntimeError("wrapped")
    error.__cause__ = OSError(number, "full", "/data/a")
    assert runs.full_disk(error, "http://user:secret@host", None) == "/data"
    assert not runs.is_refusal(error)
    assert runs.full_disk(OSError(number, "full"), "http://host", str(tmp_path)) in (
        str(tmp_path),
        tempfile.gettempdir(),
    )
    assert runs.full_disk(OSError(errno.EACCES, "not yours", "/data/a"), "http://host", None) is None


# --- a store whose making was cut short


def test_a_store_whose_making_failed_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "mlflow.db"
    real = private_patches.make_tables

    def killed(engine: Any) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE spans (half INTEGER)")
        raise KeyboardInterrupt

    monkeypatch.setattr(private_patches, "make_tables", killed)
    with pytest.raises(KeyboardInterrupt):
        runs.connect(f"sqlite:///{path}")
    assert list(path.parent.iterdir()) == []
    monkeypatch.setattr(private_patches, "make_tables", real)
    old, young = (path.with_name(f".mlflow.db.{name}.new") for name in ("old", "young"))
    for left in (old, young):
        left.write_bytes(b"")  # what a killed driver leaves, and what one at work needs
    os.utime(old, (0, 0))
    assert runs.connect(f"sqlite:///{path}").get_experiment("0").name == "Default"
    assert {p.name for p in path.parent.iterdir()} == {"mlflow.db", young.name}
