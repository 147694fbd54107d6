import os
import shlex
import shutil
import signal
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from cluster.launch.record import Launched
from cluster.launch.request import Size
from cluster.launch.slurm import SYSTEM
from lstm.records.errors import BadInput

SYSTEM_VERSION = version("lstm-sweeps")
GOLDEN = Path(__file__).parent / "sweep.sbatch"
JOB = Launched("slurm", "12", "co2")
FULL = {
    "time": "12:00:00",
    "partition": "gpu",
    "account": "lab_7",
    "gpu_type": "a100",
    "options": ["--constraint=a100&nvlink"],
    "modules": ["python/3.11", "cuda"],
    "setup": ["export OMP_NUM_THREADS=1"],
    "warn": 300,
}


def test_the_script_is_the_one_that_was_looked_at(request_of):
    text = SYSTEM.render(request_of(FULL, overrides=("search.n_trials=5",)))
    text = text.replace(f"lstm-sweeps {SYSTEM_VERSION}", "lstm-sweeps VERSION")
    if os.environ.get("RENEW"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "if it is meant: RENEW=1 python -m pytest " + __file__


def test_the_script_is_sound_shell(request_of):
    for profile in ({}, FULL):
        request = request_of(profile, size=Size(1, 1, 0, None, None) if not profile else None)
        text = SYSTEM.render(request)
        assert not SYSTEM.check(request, text)
        if shellcheck := shutil.which("shellcheck"):
            done = subprocess.run([shellcheck, "-"], input=text, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout


HOSTILE = "a b'; touch broken; $(touch broken) `touch broken` \"\\ #"


def test_no_value_is_run_as_shell(request_of, tmp_path):
    """What comes before the first tool of Slurm is run, with values that want to be commands."""
    where = tmp_path / HOSTILE.replace("/", "")
    where.mkdir()
    (tmp_path / f"a\n{HOSTILE}").mkdir()
    request = request_of(
        {"environment": f"{where}/env"},
        name=HOSTILE,
        named=f"{where}/{HOSTILE}.yaml",
        home=str(where),
        overrides=(f"name={HOSTILE}",),
        code=f"{where}/own.py",
        cwd=f"{tmp_path}/a\n{HOSTILE}",
    )
    text = SYSTEM.render(request)
    assert not SYSTEM.check(request, text)
    assert f"\ncd -- {shlex.quote(request.cwd)} ||" in text
    head = text[: text.index("attempt=")] + '\nprintf "%s\\0" "$name" "$home" "$python" "${run[@]}"\n'
    done = subprocess.run(["bash"], input=head, capture_output=True, text=True, cwd=tmp_path, check=True)
    told = [HOSTILE, str(where), f"{where}/env/bin/python", request.named, "--home", str(where), "--set"]
    assert done.stdout.split("\0")[:-1] == [*told, request.overrides[0], "--code", request.code]
    assert not list(tmp_path.rglob("broken"))


def test_what_is_wrong_with_a_request_is_told_at_once(request_of):
    profile = {
        "shared": ["/shared"],
        "setup": ["if true; then"],
    }
    needs = (("spec", "/shared/ann/co2.yaml"), ("data", "/home/ann/co2.csv"), ("home", "/sharedfolder/runs"))
    request = request_of(profile, needs=needs)
    found = [(each.code, each.path) for each in SYSTEM.check(request, SYSTEM.render(request))]
    assert found == [
        ("launch-not-shared", "data"),
        ("launch-not-shared", "home"),
        ("launch-script-wrong", "slurm.setup"),
    ]


def submit(request, text=""):
    return SYSTEM.submit(request, text, SYSTEM.intend(request))


def test_a_script_is_submitted_on_sbatchs_input(request_of, tool):
    folder = tool("sbatch", 'cat >"$0.in"', "echo '1234;alpha'")
    request = request_of()
    intent = SYSTEM.intend(request)
    launched = SYSTEM.submit(request, "#!/bin/bash\n", intent)
    assert launched.job == "1234"
    assert launched.where == {"log": "/shared/ann/runs/co2/slurm/1234.log", "cluster": "alpha"}
    words, told = (folder / "sbatch.words").read_text(), (folder / "sbatch.in").read_text()
    assert (words, told) == (f"--parsable --job-name={intent.job}\n", "#!/bin/bash\n")


def test_a_jobs_name_is_its_own(request_of):
    names = [SYSTEM.intend(request_of(name="a sweep, é" + "x" * 99)).job for _ in range(2)]
    assert names[0] != names[1]
    assert all(name.startswith("sweep-a-sweep-xx") and len(name) < 64 for name in names)


def test_a_job_of_a_launch_that_was_cut_off_is_found_by_its_name(request_of, tool):
    intent = SYSTEM.intend(request_of())
    folder = tool("squeue", "echo 77")
    tool("sacct", "echo")
    found = SYSTEM.find(intent)
    assert (found.job, found.where) == ("77", {"log": "/shared/ann/runs/co2/slurm/77.log"})
    words = (folder / "squeue.words").read_text()
    assert words == f"--noheader --states=all --name={intent.job} --format=%i\n"
    tool("squeue")
    assert SYSTEM.find(intent) is None
    tool("sacct", "echo '78|alpha'")
    assert SYSTEM.find(intent).where == {"log": "/shared/ann/runs/co2/slurm/78.log"}
    assert f"--name={intent.job} --starttime=20" in (folder / "sacct.words").read_text()
    tool("squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(BadInput) as error:
        SYSTEM.find(intent)
    assert codes(error) == [("launch-refused", "squeue", "slurm_load_jobs error: Unable to contact slurm controller")]
    assert SYSTEM.state(intent).lives, "it may be there"
    tool("scancel")
    SYSTEM.stop(intent)
    assert (folder / "scancel.words").read_text() == f"--name={intent.job}\n"


def test_a_job_that_was_cut_off_is_looked_for_on_its_clusters(request_of, tool, monkeypatch):
    tool("squeue", "printf 'CLUSTER: alpha\\nCLUSTER: beta\\n78\\n'")
    intent = SYSTEM.intend(request_of({"options": ["--clusters=alpha,beta"]}))
    assert SYSTEM.find(intent).where["cluster"] == "beta"
    monkeypatch.setenv("SBATCH_CLUSTERS", "alpha")
    assert SYSTEM.intend(request_of()).where["clusters"] == "alpha"


def test_a_job_of_another_cluster_is_asked_for_and_ended_there(tool):
    there = Launched("slurm", "12", "co2", where={"cluster": "alpha"})
    folder = tool("scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    tool("sacct", "echo 'COMPLETED|0:0'")
    tool("scancel")
    assert SYSTEM.state(there).code == 0
    SYSTEM.stop(there)
    for name in ("scontrol", "sacct", "scancel"):
        assert (folder / f"{name}.words").read_text().startswith("--clusters=alpha "), name


def codes(error):
    return [(each.code, each.values["tool"], each.values.get("why")) for each in error.value.faults]


def test_what_slurm_refuses_is_told_in_its_words(request_of, tool):
    with pytest.raises(BadInput) as error:
        submit(request_of())
    if shutil.which("sbatch") is None:
        assert codes(error) == [("launch-tool-missing", "sbatch", None)]
    tool("sbatch", "echo 'sbatch: error: invalid partition specified: gpus' >&2; exit 1")
    with pytest.raises(BadInput) as error:
        submit(request_of())
    assert codes(error) == [("launch-refused", "sbatch", "sbatch: error: invalid partition specified: gpus")]
    tool("scancel", "echo 'scancel: error: Access denied' >&2; exit 1")
    tool("scontrol", "echo 'JobId=12 JobState=RUNNING Reason=None'")
    with pytest.raises(BadInput) as error:
        SYSTEM.stop(JOB)
    assert codes(error) == [("launch-not-stopped", "scancel", "scancel: error: Access denied")]


def test_a_job_that_has_just_ended_needs_no_end(tool):
    tool("scancel", "echo 'scancel: error: Kill job error on job id 12: already completing or completed' >&2; exit 1")
    tool("scontrol", "echo 'JobId=12 JobState=CANCELLED Reason=None'")
    SYSTEM.stop(JOB)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("JobState=PENDING Reason=Resources Restarts=0 ExitCode=0:0", ("waiting", "PENDING", "Resources", None, 0)),
        ("JobState=PENDING Reason=BeginTime Restarts=2 ExitCode=0:0", ("waiting", "PENDING", "BeginTime", None, 2)),
        ("JobState=RUNNING Reason=None Restarts=1 ExitCode=0:0", ("running", "RUNNING", "", None, 1)),
        ("JobState=COMPLETING Reason=None Restarts=0 ExitCode=0:0", ("running", "COMPLETING", "", None, 0)),
        ("JobState=COMPLETED Reason=None Restarts=3 ExitCode=0:0", ("ended", "COMPLETED", "", 0, 3)),
        (
            "JobState=FAILED Reason=NonZeroExitCode Restarts=0 ExitCode=2:0",
            ("ended", "FAILED", "NonZeroExitCode", 2, 0),
        ),
        ("JobState=CANCELLED Reason=None Restarts=0 ExitCode=0:15", ("ended", "CANCELLED", "", None, 0)),
        ("JobState=TIMEOUT Reason=TimeLimit Restarts=0 ExitCode=0:0", ("ended", "TIMEOUT", "TimeLimit", None, 0)),
        ("JobState=FAILED Reason=None Restarts=0 ExitCode=0:9", ("ended", "FAILED", "", None, 0)),
        ("JobState=SIGNALING Reason=None Restarts=0 ExitCode=0:0", ("running", "SIGNALING", "", None, 0)),
        ("JobState=OUT_OF_MEMORY Reason=None Restarts=0 ExitCode=0:125", ("ended", "OUT_OF_MEMORY", "", None, 0)),
        ("JobState=EXPEDITING Reason=None Restarts=1 ExitCode=0:0", ("unknown", "EXPEDITING", "", None, 1)),
        ("JobState=NODE_FAIL Reason=NodeDown Restarts=0 ExitCode=0:1", ("ended", "NODE_FAIL", "NodeDown", None, 0)),
    ],
)
def test_a_jobs_state_is_the_controllers(tool, fields, expected):
    tool("scontrol", f"echo 'JobId=12 JobName=sweep-co2 {fields} RunTime=00:00:37'")
    state = SYSTEM.state(JOB)
    assert (state.phase, state.word, state.reason, state.code, state.restarts) == expected
    assert state.asked == "scontrol"


def test_a_job_that_the_controller_has_forgotten_is_in_the_accounting_or_ended(tool):
    tool("scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    tool("sacct", "echo 'CANCELLED by 1000|0:15'")
    state = SYSTEM.state(JOB)
    assert (state.phase, state.word, state.reason, state.asked) == ("ended", "CANCELLED", "by 1000", "sacct")
    assert state.code is None, "Slurm says 0 of a job that it has ended itself"
    tool("sacct", "echo 'FAILED|2:0'")
    assert SYSTEM.state(JOB).code == 2
    tool("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    state = SYSTEM.state(JOB)
    assert (state.phase, state.word, state.code) == ("ended", "GONE", None)


def test_a_controller_that_does_not_answer_leaves_the_state_open(tool):
    tool("scontrol", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    state = SYSTEM.state(JOB)
    assert (state.phase, state.lives) == ("unknown", True)
    assert "Unable to contact" in state.reason


def test_the_log_is_the_jobs_file(tmp_path):
    file = tmp_path / "12.log"
    launched = Launched("slurm", "12", "co2", where={"log": str(file)})
    with pytest.raises(BadInput) as error:
        list(SYSTEM.logs(launched))
    assert [each.code for each in error.value.faults] == ["no-log-yet"]
    file.write_text("one\ntwo")
    assert list(SYSTEM.logs(launched)) == ["one", "two"]


def test_the_log_of_a_launch_that_was_cut_off_has_the_folder_of_the_logs_as_its_place(request_of):
    with pytest.raises(BadInput) as error:
        list(SYSTEM.logs(SYSTEM.intend(request_of())))
    [told] = error.value.messages
    assert told.startswith("/shared/ann/runs/co2/slurm: there is no log yet: a launch was cut off, and whether its job")


def test_a_tool_that_hangs_leaves_the_state_open(tool, monkeypatch):
    monkeypatch.setattr("cluster.launch.slurm.system.TOOL_S", 0.2)
    tool("scontrol", "exec sleep 9")
    state = SYSTEM.state(JOB)
    assert (state.is_known, state.lives, state.reason) == (False, True, "scontrol did not answer within 0.2 s")


# --- The script as a job; `tests/clusters/test_slurm.py` has the same on a real Slurm.


@pytest.mark.parametrize(("code", "again"), [(0, False), (2, False), (1, True), (137, True)])
def test_only_a_run_that_has_failed_by_itself_is_queued_again(job, code, again):
    job.start([f"exit {code}"])
    assert (job.ended(), job.is_requeued) == (0 if again else code, again)
    assert (job.folder / "runs").read_text() == f"run co2.yaml --home {job.home} --address 127.0.0.1:20000\n"
    left = sorted(file.name for file in (job.home / "co2/slurm").iterdir())
    assert left == ["7.0.ray", "7.log", "7.tries"], "no token and no address is left"


def test_a_sweep_that_stop_has_ended_is_not_queued_again(job):
    job.start(["exit 130"])
    assert (job.ended(), job.is_requeued) == (130, False)


def test_a_run_that_another_driver_keeps_out_is_queued_again_if_slurm_ends_it(job):
    job.start(["touch ready", "exit 3"])
    job.until((job.folder / "ready").exists)
    job.until(lambda: "another driver has the sweep" in job.log)
    job.process.send_signal(signal.SIGUSR1)
    assert (job.ended(), job.is_requeued) == (0, True)


SOFT = ["trap 'exit 130' INT", "touch ready", "sleep 100 & wait"]


@pytest.mark.parametrize(
    ("number", "state", "again"),
    [
        (signal.SIGUSR1, "RUNNING", True),  # before the time limit
        (signal.SIGUSR1, "SIGNALING", True),  # a node has not taken Slurm's signal yet
        (signal.SIGTERM, "COMPLETING", False),  # of scancel
        (signal.SIGUSR1, "COMPLETING", False),  # cancelled just then
    ],
)
def test_a_signal_ends_the_driver_softly(job, number, state, again):
    job.start(SOFT)
    job.until((job.folder / "ready").exists)
    (job.folder / "state").write_text(state)
    job.process.send_signal(number)
    assert (job.ended(), job.is_requeued) == (0 if again else 130, again)
    assert "the sweep stops, and keeps its last epochs" in job.log


def test_a_controller_that_is_away_for_a_moment_is_asked_again(job):
    (job.folder / "state").write_text("")
    job.start(["exit 1"])
    job.until(lambda: job.asked() >= 2)
    (job.folder / "state").write_text("RUNNING")
    assert (job.ended(), job.is_requeued) == (0, True)


def test_a_job_is_queued_again_also_if_that_does_not_go_at_once(job):
    job.start(["exit 1"], is_refused=True)
    assert (job.ended(), job.is_requeued) == (0, True)


def test_a_job_that_is_cancelled_while_it_leaves_is_not_queued_again(job):
    job.start(SOFT, cleaned="CANCELLED")
    job.until((job.folder / "ready").exists)
    job.process.send_signal(signal.SIGUSR1)
    assert (job.ended(), job.is_requeued) == (130, False)
    assert "the job was ended meanwhile" in job.log


def test_a_signal_to_the_driver_too_does_not_end_it_at_once(job):
    job.start(["trap 'echo heard >>heard' INT TERM", "touch ready", "sleep 0.3", "sleep 0.3", "exit 130"])
    job.until((job.folder / "ready").exists)
    (job.folder / "state").write_text("COMPLETING")
    os.killpg(job.process.pid, signal.SIGTERM)  # as Slurm does: to all that the script has started
    assert job.ended() == 130
    assert (job.folder / "heard").read_text() == "heard\n"


@pytest.mark.parametrize("state", ["RUNNING", "SIGNALING"])
def test_a_preemption_is_told_by_a_step_that_waits(job, state):
    job.start(SOFT)
    job.until((job.folder / "ready").exists)
    (job.folder / "state").write_text(state)
    os.kill(int((job.folder / "watch").read_text()), signal.SIGTERM)
    assert (job.ended(), job.is_requeued) == (0, True)
    assert "the job is preempted" in job.log


def test_a_token_is_for_this_user_alone(job):
    job.start([*SOFT[:1], 'stat -c %a "$RAY_AUTH_TOKEN_PATH" >mode', 'cat "$RAY_AUTH_TOKEN_PATH" >token', *SOFT[1:]])
    job.until((job.folder / "ready").exists)
    assert (job.folder / "mode").read_text() == "600\n"
    assert len((job.folder / "token").read_text()) == 64


def test_three_runs_without_an_epoch_are_enough(job):
    for restarts in range(3):
        job.start(["exit 1"], stored="5", restarts=restarts)
        assert job.ended() == 0
        assert job.is_requeued
        job.requeued.unlink()
    job.start(["exit 1"], stored="5", restarts=3)
    assert (job.ended(), job.is_requeued) == (1, False)
    assert "no epoch or trial was added in the last three runs (5 are kept)" in job.log
    job.start(["exit 1"], stored="6", restarts=3)
    assert (job.ended(), job.is_requeued) == (0, True), "an epoch more is progress"


def test_what_nodes_do_not_see_is_told_once_with_its_own_way(request_of):
    needs = {
        "spec": "/home/ann/co2.yaml",
        "home": "/home/ann/runs",
        "data": "/home/ann/co2.csv",
        "study": "/home/ann/runs/study.db",
        "checkpoints": "/scratch/ann",
    }
    shared = {"shared": ["/shared", "/work"]}
    request = request_of(shared, home=needs["home"], needs=tuple(needs.items()), python="/home/ann/env/bin/python")
    told = {each.path: str(each) for each in SYSTEM.check(request, "")}
    assert list(told) == ["spec", "home", "data", "checkpoints", "environment"], "the study lies in the home"
    assert (
        "/home/ann/co2.yaml is not below a folder that all nodes see: /shared, /work; move it there; if" in told["spec"]
    )
    assert "name a folder there with --home; if" in told["home"]
    assert "move it there, or let it travel by a bucket with --upload s3://BUCKET/FOLDER; if" in told["data"]
    assert "name a place there in storage.checkpoints; if" in told["checkpoints"]
    assert "/home/ann/env/bin/python is not below a folder that all nodes see" in told["environment"]
    assert "name a place there in `environment` of the profile; if" in told["environment"]


def test_a_node_without_the_environment_is_told_and_not_tried_again(job):
    job.start([])
    assert job.ended() == 0
    job.sweep.unlink()
    job.again()
    assert (job.ended(), job.is_requeued) == (2, False)
    assert f"{job.sweep} is not on this node" in job.log
