"""The entrypoint of a RayJob on real Ray hosts (`tests/lab/hosts.py`), which stand in for the pods of a Kubernetes.

What KubeRay would do is done here by hand: a head and its workers for each attempt, the submission of the job in
KubeRay's own words, the loss of a head, and a second attempt while the first still drives (kuberay#5211).
"""

import importlib.util
import json
import os
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import Popen
from typing import Any

import hosts
import launches
import postgres
import pytest
import sqlalchemy

from cluster.launch.kubernetes import entrypoint, manifest
from cluster.launch.kubernetes.documents import documents
from cluster.launch.kubernetes.states import last_end, state
from cluster.study import lease
from cluster.study.database import engine

pytestmark = pytest.mark.clusters

# One window at a step: an epoch of a network that small takes long enough to be hit in its middle.
SPEC = """
name: attempts
data: {path: wave.csv, target: y, lookback: 24, horizon: 6, split: {validation: 0.2, test: 0.2}}
training: {max_epochs: 8, batch_size: 1, learning_rate: 1e-3}
search:
  n_trials: 4
  sampler: {type: random, seed: 3}
  space:
    model.hidden_size: {type: int, low: 8, high: 32}
resources: {gpus_per_trial: 0}
storage: {study: "${STUDY_URL}", keep: all}
"""
LEFT_S = 1500.0  # no time is asserted: what takes longer hangs
# As KubeRay gives them to its pods.
PORTS = (
    "--metrics-export-port=8080",
    "--dashboard-agent-listen-port=52365",
    "--dashboard-agent-grpc-port=52366",
    "--runtime-env-agent-port=52367",
)


@pytest.fixture
def lab() -> Iterator[hosts.Lab]:
    if reason := hosts.missing():
        pytest.skip(reason)
    with hosts.lab(0) as made:
        yield made


@dataclass
class Attempt:
    """A cluster of its own and the head's entrypoint on it, as KubeRay makes them for each attempt."""

    folder: Path
    head: hosts.Host
    address: str
    variables: dict[str, str]
    process: "Popen[str] | None" = None

    @property
    def notes(self) -> Path:
        return Path(self.variables["SWEEP_NOTES"])

    def start(self) -> None:
        files = self.variables["SWEEP_FILES"]
        self.process = self.head.start(
            "python", f"{files}/entrypoint.py", environment=self.variables, output=self.folder / f"{self.head.name}.log"
        )

    def again(self) -> None:
        """Starts the entrypoint again if it has failed, as KubeRay does in a new cluster: a node may be too slow."""
        if self.process is not None and self.process.poll() == 1:
            self.start()

    @property
    def log(self) -> str:
        return (self.folder / f"{self.head.name}.log").read_text()

    def ended(self) -> tuple[int, str] | None:
        return last_end(self.log.splitlines())


@dataclass
class Rayjob:
    """A launched sweep in a folder that all hosts see, with its study in PostgreSQL."""

    folder: Path
    lab: hosts.Lab
    url: str

    def __post_init__(self) -> None:
        rows = "\n".join(f"{(i * 37) % 101 / 101 + (i % 12)}" for i in range(1400))
        (self.folder / "wave.csv").write_text(f"y\n{rows}\n")
        (self.folder / "attempts.yaml").write_text(SPEC)
        spec = str(self.folder / "attempts.yaml")
        claims = [{"name": "runs", "path": str(self.folder)}]
        request = launches.request(
            "attempts", SPEC, named=spec, needs=(("spec", spec),), home=str(self.folder / "home"), claims=claims
        )
        files, _ = documents(manifest.render(request))
        (self.folder / "files").mkdir()
        for name, content in files["data"].items():
            (self.folder / "files" / name).write_text(content)

    def attempt(self, workers: int) -> Attempt:
        """Makes the pods of one more attempt: a head on which no trial runs, and workers."""
        head = self.lab.host()
        notes = self.folder / f"notes-{head.name}"
        notes.mkdir()
        start(head, "--head", "--port=6379", "--include-dashboard=false", cpus=0)
        address = f"{head.address}:6379"
        for _ in range(workers):
            start(self.lab.host(), f"--address={address}", cpus=1)
        variables = {
            "PATH": f"{hosts.BIN}:{os.environ['PATH']}",
            "STUDY_URL": self.url,
            "SWEEP_FILES": str(self.folder / "files"),
            "SWEEP_NOTES": str(notes),
            "RAY_ADDRESS": address,
            "SWEEP_HELD_S": str(LEFT_S),
            "SWEEP_AGAIN_S": "2",
        }
        return Attempt(self.folder, head, address, variables)

    def holder(self) -> tuple[str, int] | None:
        """The host that drives, and which driver in a row it is."""
        found = lease.driver(self.url, "attempts")
        return (found.owner.host, found.generation) if found else None

    def epochs(self) -> int:
        """How many epochs the study knows."""
        try:
            return int(self.rows("SELECT count(*) FROM trial_intermediate_values")[0][0])
        except sqlalchemy.exc.ProgrammingError:  # no tables yet
            return 0

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What plain SQL finds in the study."""
        database = engine(self.url)
        try:
            with database.connect() as connection:
                return [tuple(row) for row in connection.execute(sqlalchemy.text(query))]
        finally:
            database.dispose()


def start(host: hosts.Host, *role: str, cpus: int) -> None:
    """Starts Ray on a host with the ports that KubeRay gives its pods."""
    host.start_ray(*role, f"--num-cpus={cpus}", "--num-gpus=0", *PORTS)


def until(said: str, condition: Callable[[], Any], *attempts: Attempt) -> None:
    end = time.monotonic() + LEFT_S
    while not condition():
        for each in attempts[-1:]:
            each.again()
        logs = "\n\n".join(f"{each.head.name}:\n{each.log[-3000:]}" for each in attempts)
        assert time.monotonic() < end, f"{said}\n{logs}"
        time.sleep(0.5)


def test_attempts_that_overlap_never_both_drive_and_one_that_is_killed_goes_on(lab, tmp_path):
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.server() as server:
        job = Rayjob(tmp_path, lab, server.address())
        first, second = job.attempt(workers=2), job.attempt(workers=1)
        first.start()
        until("the first attempt trains", lambda: job.epochs() >= 2, first)
        assert job.holder() == (first.head.name, 1)

        # A second attempt, while the first still drives: it is refused, and waits.
        second.start()
        until("the second attempt is refused", lambda: "host1" in second.log and "drive" in second.log, first, second)
        assert second.ended() is None
        assert job.holder() == (first.head.name, 1)

        # The first head hangs for so long that its lease ends, and wakes up when the second attempt drives.
        first.head.freeze()
        until("the second attempt drives", lambda: job.holder() == (second.head.name, 2), second)
        known = job.epochs()
        until("the second attempt trains", lambda: job.epochs() > known, second)
        first.head.thaw()
        first.process.send_signal(signal.SIGCONT)  # nsenter stops itself when its child is stopped
        until("the first attempt ends", first.ended, first, second)
        assert first.ended()[0] == 1  # KubeRay would try again, and the lease would hold that attempt, too
        assert job.holder() == (second.head.name, 2)

        # All that the second attempt's job ran is killed, and started again.
        for name in ("entrypoint.py", "sweep run"):
            second.head.end(name)
        third = replace(second, folder=tmp_path / "third")
        third.folder.mkdir()
        third.start()
        until("the third attempt ends", lambda: third.ended() == (0, ""), third)
        assert third.process.wait(60) == 0
        verified = third.head.run(
            "sweep", "verify", "attempts", "--home", "home", cwd=tmp_path, environment=third.variables
        )
        assert verified.returncode == 0, verified.stdout
        # The base is beside the search, and Optuna has FAIL for it.
        assert job.rows("SELECT count(*) FROM trials WHERE state = 'COMPLETE'") == [(4,)]


LACKS = [each for each in ("aiohttp_cors", "opencensus", "prometheus_client") if not importlib.util.find_spec(each)]


@pytest.mark.skipif(
    bool(LACKS), reason=f"ray[default] (requirements-cluster.lock) is not installed: no {', '.join(LACKS)}"
)
def test_a_wrong_spec_is_a_stopped_job_for_ray_and_so_no_failure_that_kuberay_tries_again(lab, tmp_path):
    job = Rayjob(tmp_path, lab, f"sqlite:///{tmp_path}/study.db")
    (tmp_path / "wave.csv").unlink()
    head = lab.host()
    notes = tmp_path / "notes"
    notes.mkdir()
    head.environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "a-token-of-this-job-and-of-no-other",
        "PATH": f"{hosts.BIN}:{os.environ['PATH']}",
        "STUDY_URL": job.url,
        "SWEEP_FILES": str(tmp_path / "files"),
        "SWEEP_NOTES": str(notes),
    }
    start(head, "--head", "--port=6379", "--dashboard-host=0.0.0.0", cpus=0)

    planned = head.run("python", tmp_path / "files" / "entrypoint.py", "plan")
    assert planned.returncode == 0, planned.stdout
    assert (notes / entrypoint.REFUSED).exists()
    # KubeRay's own words, for the container of its submitter.
    entry = shlex.join(["python", str(tmp_path / "files" / "entrypoint.py")])
    where = f"--address http://{head.address}:8265"
    submit = (
        f"if ! ray job status {where} attempts-1 >/dev/null 2>&1 ; "
        f"then ray job submit {where} --no-wait --submission-id attempts-1 -- {entry} ; fi ; "
        f"ray job logs {where} --follow attempts-1"
    )
    until("the jobs' agent answers", lambda: head.run("ray", "job", "list", *where.split()).returncode == 0)
    submitted = head.run("bash", "-c", submit, timeout_s=LEFT_S)
    assert submitted.returncode == 0, submitted.stdout
    asked = head.run("python", "-c", ASK.format(address=f"http://{head.address}:8265"))
    status = json.loads(asked.stdout.splitlines()[-1])
    assert status == "STOPPED", submitted.stdout
    # KubeRay 1.7 makes `Complete` of a job that is STOPPED once its submitter has ended well.
    rayjob = {"metadata": {}, "status": {"jobDeploymentStatus": "Complete", "jobStatus": status}}
    found = state(rayjob, submitted.stdout.splitlines())
    assert (found.phase, found.code) == ("ended", 2)
    assert "wave.csv" in found.reason


ASK = """
import json
from ray.job_submission import JobSubmissionClient
print(json.dumps(JobSubmissionClient({address!r}).get_job_info("attempts-1").status))
"""
