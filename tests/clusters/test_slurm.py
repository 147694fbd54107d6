"""Sweeps that `sweep launch` puts on a real Slurm, see `tests/lab/slurm.py`, and what Slurm does to them.

After each event the sweep must be whole: that say the training alone in this process, `audit.py` and `sweep verify`.
"""

import json
import os
import pwd
import re
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import audit
import postgres
import pytest
import slurm
import trainings

from cluster.launch.slurm import system
from cluster.study import lease, stored
from lstm import ownership
from lstm.config.section import File
from lstm.records.errors import BadInput

pytestmark = pytest.mark.clusters

# One window at a step, so that an epoch takes long enough to be hit in its middle.
SPEC = """
name: launched
data: {{path: wave.csv, target: y, lookback: 24, horizon: 6, split: {{validation: 0.2, test: 0.2}}}}
training: {{max_epochs: {epochs}, batch_size: 1, learning_rate: 1e-3}}
search:
  n_trials: {trials}
  sampler: {{type: random, seed: 3}}
  space:
    model.hidden_size: {{type: int, low: 8, high: 32}}
resources: {{gpus_per_trial: 0, max_concurrent: {at_once}}}
"""
LEFT_S = 900.0  # no time is asserted: what takes longer hangs
USERS = ("games", "www-data")


@pytest.fixture(scope="module")
def cluster() -> Iterator[slurm.Cluster]:
    """A login node and three nodes, which other users than root may use, too."""
    if reason := slurm.missing():
        pytest.skip(reason)
    with slurm.cluster(3, cpus=(2, 3, 2)) as made:
        made.open_to_all()
        yield made


@dataclass
class Sweep:
    """One sweep in a folder that all nodes see."""

    cluster: slurm.Cluster
    folder: Path
    at_once: int | str = 1  # slow, so that it is hit in its middle, and little work to do again alone
    epochs: int = 5
    trials: int = 4
    user: str | None = None
    address: str = ""  # of the study's database, which the environment names; "" for the home's own file

    def __post_init__(self) -> None:
        self.folder.mkdir()
        rows = "\n".join(f"{(i * 37) % 101 / 101 + (i % 12)}" for i in range(500))
        (self.folder / "wave.csv").write_text(f"y\n{rows}\n")
        spec = SPEC.format(epochs=self.epochs, trials=self.trials, at_once=self.at_once)
        spec += 'storage: {study: "${STUDY_URL}"}\n' if self.address else ""
        (self.folder / "spec.yaml").write_text(spec)
        if self.user is not None:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)

    def sweep(self, verb: str, *words: str, environment: dict[str, str] | None = None) -> "tuple[int, str]":
        """Types a verb on the login node; its exit code and what it said."""
        options = (verb, *words, "--home", "runs")
        environment = {"HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder), **(environment or {})}
        environment |= {"STUDY_URL": self.address} if self.address else {}
        done = self.cluster.run("sweep", *options, user=self.user, cwd=self.folder, environment=environment)
        return done.returncode, done.stdout

    def launch(self, *words: str, profile: str = "{}", environment: dict[str, str] | None = None) -> str:
        """Launches the sweep; the job's number."""
        (self.folder / "clusters.yaml").write_text(f"slurm: {profile}\n")
        options = ("spec.yaml", "--on", "slurm", "--profile", "clusters.yaml", "--json", *words)
        code, said = self.sweep("launch", *options, environment=environment)
        assert code == 0, said
        return str(json.loads(said)["job"])

    def stored(self) -> int:
        """How many epochs the study has; 0 while there is none."""
        if self.address:
            with suppress(BadInput):
                return sum(len(trial.curve) for trial in stored.read(self.address, "launched").trials)
            return 0
        try:
            with closing(sqlite3.connect(f"file:{self.folder}/runs/study.db?mode=ro", uri=True, timeout=60)) as study:
                return int(study.execute("SELECT count(*) FROM trial_intermediate_values").fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    def log(self, job: str) -> str:
        """What the job has written."""
        file = self.folder / f"runs/launched/slurm/{job}.log"
        return file.read_text() if file.exists() else ""

    def wait_for_epochs(self, more: int = 1) -> None:
        """Waits until so many more epochs are stored."""
        wanted = self.stored() + more
        self.cluster.wait(lambda: self.stored() >= wanted, LEFT_S)

    def preempt(self) -> str:
        """Submits a job that needs all nodes for a moment and goes before; its number."""
        blocked = ("--parsable", "--partition=high", "--nodes=3", "--ntasks-per-node=1", "--cpus-per-task=2")
        told = self.cluster.run("sbatch", *blocked, "--output=/dev/null", "--wrap", "sleep 2")
        return told.stdout.split()[-1]

    def wait_for_restart(self, job: str, times: int) -> None:
        """Waits until a job has been queued again so often; it must not end before."""

        def is_so() -> bool:
            found = self.cluster.job(job)
            assert found["JobState"] in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING"), self.log(job)
            return int(found["Restarts"]) == times

        self.cluster.wait(is_so, LEFT_S)

    def end(self, job: str, state: str) -> dict[str, str]:
        """Waits until the job has ended so."""
        ended = "COMPLETED FAILED CANCELLED TIMEOUT NODE_FAIL PREEMPTED OUT_OF_MEMORY"
        found = self.cluster.wait_job(job, ended, LEFT_S)
        assert found["JobState"] == state, f"{found}\n{self.log(job)}"
        return found

    def check_whole(self) -> set[str]:
        """The trials are what training alone gives, and the records agree; the hosts that trained them."""
        swept = stored.read(self.address or f"sqlite:///{self.folder}/runs/study.db", "launched")
        assert [trial.state for trial in swept.trials] == ["COMPLETE"] * (self.trials + 1)
        for trial in swept.trials:
            kept = ownership.load_trial(swept, trial)
            assert kept is not None
            assert trainings.is_alone(kept, File(path=str(self.folder / "wave.csv"))), trial.number
        assert audit.audit(self.folder / "runs", "launched", study=self.address or None) == []
        code, said = self.sweep("verify", "launched")
        assert code == 0, said
        return {trial.worker.split("(")[-1].partition(")")[0] for trial in swept.trials}


@pytest.fixture
def sweep(cluster: slurm.Cluster, request: pytest.FixtureRequest) -> Sweep:
    return Sweep(cluster, cluster.folder / request.node.name[5:30])


def test_a_sweep_over_two_nodes_ends_and_is_followed_from_the_login_node(cluster: slurm.Cluster) -> None:
    sweep = Sweep(cluster, cluster.folder / "two-nodes", at_once="auto", epochs=8)
    code, said = sweep.sweep("plan", "spec.yaml", "--on", "slurm", "--nodes", "2", "--cpus", "2")
    assert code == 0, said
    assert "4 trials, 2 a node" in said
    job = sweep.launch("--nodes", "2", "--cpus", "2", "--gpus", "1", "--time", "1:00:00", profile="{options: [--hold]}")
    code, said = sweep.sweep("status", "launched")
    assert (code, "PENDING" in said) == (0, True), said
    code, said = sweep.sweep("logs", "launched")
    assert (code, f"the job {job} has not begun" in said) == (2, True), said
    code, said = sweep.sweep("launch", "spec.yaml", "--on", "slurm")
    assert (code, f"was launched as slurm job {job}, which is PENDING" in said) == (2, True), said
    sweep.cluster.run("scontrol", "release", job, check=True)
    sweep.cluster.wait_job(job, "RUNNING", LEFT_S)
    code, said = sweep.sweep("status", "launched")
    assert (code, f"launched as slurm job {job}: RUNNING" in said) == (0, True), said
    sweep.end(job, "COMPLETED")
    hosts = sweep.check_whole()
    assert len(hosts) == 2, f"both nodes have trained: {hosts}"
    code, said = sweep.sweep("logs", "launched")
    assert "All trials have ended." in said
    document = json.loads(sweep.sweep("status", "launched", "--json")[1])
    assert (document["launched"]["word"], document["launched"]["code"]) == ("COMPLETED", 0)
    left = sorted(file.name for file in (sweep.folder / "runs/launched/slurm").iterdir())
    assert left == [f"{job}.0.ray", f"{job}.log", f"{job}.tries"], "no token and no address is left"


def test_a_preempted_sweep_goes_on_by_itself_three_times(sweep: Sweep) -> None:
    job = sweep.launch("--nodes", "2", "--cpus", "2")
    for times in range(3):
        sweep.wait_for_epochs()
        other = sweep.preempt()
        sweep.wait_for_restart(job, times + 1)
        sweep.cluster.wait_job(other, "COMPLETED", LEFT_S)
    found = sweep.end(job, "COMPLETED")
    assert found["Restarts"] == "3"
    assert sweep.log(job).count("the job is preempted: the sweep stops") == 3, sweep.log(job)
    assert sweep.log(job).count("every trial's last whole epoch is kept") == 3, "each driver has ended softly"
    sweep.check_whole()


def test_a_sweep_goes_on_after_its_time_limit(cluster: slurm.Cluster) -> None:
    # Slurm looks for jobs that are near their limit each 30 s: the sweep must take longer.
    sweep = Sweep(cluster, cluster.folder / "time-limit", epochs=20)
    job = sweep.launch("--nodes", "1", "--cpus", "2", "--time", "1:00:00")
    sweep.wait_for_epochs()
    sweep.cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=2", check=True)  # minutes: it is near
    sweep.wait_for_restart(job, 1)
    sweep.cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=60", check=True)
    assert sweep.end(job, "COMPLETED")["Restarts"] == "1"
    assert "the time limit is near: the sweep stops" in sweep.log(job)
    assert "every trial's last whole epoch is kept" in sweep.log(job)
    sweep.check_whole()


def test_a_cancelled_sweep_stays_so_and_goes_on_when_it_is_launched_again(sweep: Sweep) -> None:
    job = sweep.launch("--nodes", "2", "--cpus", "2")
    sweep.wait_for_epochs()
    sweep.cluster.run("scancel", job, check=True)
    found = sweep.end(job, "CANCELLED")
    assert found["Restarts"] == "0"
    assert "every trial's last whole epoch is kept" in sweep.log(job), sweep.log(job)
    sweep.end(sweep.launch("--nodes", "1", "--cpus", "2"), "COMPLETED")
    sweep.check_whole()


def test_a_job_that_is_cancelled_just_before_it_queues_itself_again_stays_cancelled(cluster: slurm.Cluster) -> None:
    """The script hears of scancel when Slurm has cancelled the job, and asks then, as if it had not heard."""
    [words] = re.findall(r"if (scontrol requeue .*?);", (Path(system.__file__).parent / "sweep.sbatch.j2").read_text())
    asked = cluster.folder / "asked"
    script = f"trap '{words}; touch {asked}; exit 0' TERM; touch {asked}.ready; sleep 300 & wait"
    told = cluster.run("sbatch", "--parsable", "--requeue", "--output=/dev/null", "--wrap", script, check=True)
    job = told.stdout.split()[-1]
    cluster.wait(Path(f"{asked}.ready").exists, LEFT_S)
    cluster.run("scancel", job, check=True)
    cluster.wait(asked.exists, LEFT_S)
    ended = cluster.wait_job(job, "CANCELLED PENDING RUNNING", LEFT_S)
    assert (ended["JobState"], ended["Restarts"]) == ("CANCELLED", "0")


def test_a_sweep_that_is_stopped_is_not_queued_again(cluster: slurm.Cluster) -> None:
    sweep = Sweep(cluster, cluster.folder / "stopped", epochs=1000)
    within = {"SLURM_JOB_ID": "9999", "SLURM_GPUS_ON_NODE": "4", "SLURM_MEM_PER_CPU": "9", "SLURM_MEM_PER_NODE": "9"}
    job = sweep.launch("--nodes", "2", "--cpus", "2", environment=within)  # as in an interactive job
    sweep.wait_for_epochs()
    assert (sweep.folder / f"runs/launched/slurm/{job}.0.ray").read_text().count("--num-cpus=2 --num-gpus=0") == 2
    code, said = sweep.sweep("stop", "launched")
    assert (code, "stopped" in said) == (0, True), said
    found = sweep.end(job, "FAILED")
    assert (found["Restarts"], found["ExitCode"]) == ("0", "130:0"), "who asks for the end by `stop` means it"


def test_a_stop_holds_also_in_a_preemption_and_for_a_job_that_is_queued_again(cluster: slurm.Cluster) -> None:
    sweep = Sweep(cluster, cluster.folder / "stop-and-preempt", epochs=1000)
    job = sweep.launch("--nodes", "2", "--cpus", "2")
    sweep.wait_for_epochs()
    other = sweep.preempt()
    code, said = sweep.sweep("stop", "launched")  # before or after the driver has ended
    assert (code, "stopped" in said or f"asked to end the job {job}" in said) == (0, True), said
    cluster.wait_job(other, "COMPLETED", LEFT_S)
    cluster.wait(lambda: cluster.job(job)["JobState"] in ("CANCELLED", "FAILED"), LEFT_S)
    assert "run 2" not in sweep.log(job)

    job = sweep.launch("--nodes", "1", "--cpus", "2")
    sweep.wait_for_epochs()
    lease.request_stop(f"sqlite:///{sweep.folder}/runs/study.db", "launched")  # as a `sweep stop` that is killed then
    cluster.run("scontrol", "requeue", job, check=True)
    found = sweep.end(job, "FAILED")
    assert (found["Restarts"], found["ExitCode"]) == ("1", "130:0"), sweep.log(job)
    assert "`sweep stop` has ended the job that this driver runs in" in sweep.log(job)


def test_nodes_that_differ_give_what_they_have(cluster: slurm.Cluster) -> None:
    sweep = Sweep(cluster, cluster.folder / "differ", epochs=1000)
    job = sweep.launch("--nodes", "3", "--cpus", "2", "--gpus", "1", profile="{options: [--exclusive]}")
    sweep.wait_for_epochs()
    told = (sweep.folder / f"runs/launched/slurm/{job}.0.ray").read_text()
    given = sorted(line.partition("gives Ray ")[2] for line in told.splitlines() if "gives Ray" in line)
    assert given == ["--num-cpus=2 --num-gpus=1", "--num-cpus=2 --num-gpus=1", "--num-cpus=3 --num-gpus=1"]
    assert "has 3 of 3 nodes" in sweep.log(job)
    sweep.cluster.run("scancel", job, check=True)
    sweep.end(job, "CANCELLED")


def test_a_job_that_waits_is_cancelled_by_stop(sweep: Sweep) -> None:
    job = sweep.launch(profile="{options: [--hold]}")
    code, said = sweep.sweep("stop", "spec.yaml")
    assert (code, f"asked to end the job {job}" in said) == (0, True), said
    sweep.end(job, "CANCELLED")


def test_a_job_whose_launch_was_killed_is_known_by_its_name(sweep: Sweep) -> None:
    tools = sweep.folder / "tools"
    tools.mkdir()
    (tools / "sbatch").write_text(f'#!/bin/bash\n{shutil.which("sbatch")} "$@" >{tools}/job\nkill -KILL $PPID\n')
    (tools / "sbatch").chmod(0o755)
    (sweep.folder / "clusters.yaml").write_text("slurm: {options: [--hold]}\n")
    words = ("spec.yaml", "--on", "slurm", "--profile", "clusters.yaml")
    code, said = sweep.sweep("launch", *words, environment={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert code == -signal.SIGKILL, said
    job = (tools / "job").read_text().strip()
    code, said = sweep.sweep("launch", *words)
    assert (code, f"was launched as slurm job {job}, which is PENDING" in said) == (2, True), said
    code, said = sweep.sweep("stop", "launched")
    assert (code, f"asked to end the job {job}" in said) == (0, True), said
    sweep.end(job, "CANCELLED")


def test_wrong_input_is_not_tried_again(sweep: Sweep) -> None:
    job = sweep.launch(profile="{options: [--hold]}")
    (sweep.folder / "wave.csv").unlink()
    sweep.cluster.run("scontrol", "release", job, check=True)
    found = sweep.end(job, "FAILED")
    assert (found["Restarts"], found["ExitCode"]) == ("0", "2:0"), sweep.log(job)
    assert "wave.csv" in sweep.log(job)


def test_a_job_without_progress_ends_after_three_tries_and_says_why(sweep: Sweep) -> None:
    (sweep.folder / "ray.py").write_text("raise SystemExit('this is not Ray')\n")
    job = sweep.launch(profile=f"{{setup: ['export PYTHONPATH={sweep.folder}']}}")
    found = sweep.end(job, "FAILED")
    assert (found["Restarts"], found["ExitCode"]) == ("3", "1:0"), sweep.log(job)
    assert "no epoch or trial was added in the last three runs (0 are kept)" in sweep.log(job)
    assert sweep.log(job).count("the head of the Ray cluster did not come up") == 3


def test_a_lost_node_leaves_the_sweep_to_the_others(sweep: Sweep) -> None:
    job = sweep.launch("--nodes", "2", "--cpus", "2")
    sweep.wait_for_epochs()
    names = [node.name for node in sweep.cluster.nodes]
    batch = sweep.cluster.job(job)["BatchHost"]
    sweep.cluster.nodes[names.index(batch)].kill(silently=True)
    found = sweep.end(job, "COMPLETED")
    assert int(found["Restarts"]) >= 1
    assert found["BatchHost"] != batch
    sweep.check_whole()
    sweep.cluster.replace(names.index(batch))


def test_a_study_in_postgresql_is_named_by_the_environment_alone(cluster: slurm.Cluster) -> None:
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.server() as database:
        sweep = Sweep(cluster, cluster.folder / "postgresql", address=database.create("sweeps"))
        job = sweep.launch("--nodes", "1", "--cpus", "2")
        sweep.wait_for_epochs()
        cluster.run("scontrol", "requeue", job, check=True)  # at once, as a preemption without time to end
        sweep.wait_for_restart(job, 1)
        sweep.end(job, "COMPLETED")
        sweep.check_whole()
        told = [file for file in (sweep.folder / "runs").rglob("*") if file.is_file() and file.suffix != ".pt"]
        assert [file for file in told if sweep.address.encode() in file.read_bytes()] == []


def test_two_users_share_a_node_and_the_end_of_one_leaves_the_other(cluster: slurm.Cluster) -> None:
    node = cluster.nodes[0].name
    sweeps = [Sweep(cluster, cluster.folder / user, user=user, epochs=1000) for user in USERS]
    jobs = [each.launch(profile=f"{{options: [--nodelist={node}]}}") for each in sweeps]
    for each in sweeps:
        each.wait_for_epochs()
    assert [cluster.job(job)["JobState"] for job in jobs] == ["RUNNING"] * 2, "at once"
    addresses = []
    for each, job in zip(sweeps, jobs, strict=True):
        kept = each.folder / "runs/launched/slurm"
        addresses.append((kept / f"{job}.0.address").read_text())
        token = kept / f"{job}.token"
        assert (token.stat().st_mode & 0o777, token.stat().st_uid) == (0o600, pwd.getpwnam(each.user or "").pw_uid)
    assert len(set(addresses)) == 2
    first, second = sweeps
    first.sweep("stop", "launched")
    assert first.end(jobs[0], "FAILED")["ExitCode"] == "130:0"
    second.wait_for_epochs(2)
    assert cluster.job(jobs[1])["JobState"] == "RUNNING"
    second.sweep("stop", "launched")
    assert second.end(jobs[1], "FAILED")["ExitCode"] == "130:0"
