import json
import multiprocessing
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from cluster.launch import record

ON = ("--on", "slurm")


@pytest.fixture
def slurm(tmp_path_factory, monkeypatch):
    """Slurm's tools as scripts, first on the PATH; the file `state` says what the job is."""
    folder = tmp_path_factory.mktemp("tools")
    tools = {
        "sbatch": f"env >{folder}/environment; cat >{folder}/submitted; echo x >>{folder}/calls; echo 12",
        "scontrol": f'echo "JobId=12 $(cat {folder}/state) Restarts=0 ExitCode=0:0"',
        "squeue": f"[ ! -e {folder}/calls ] || echo 12",
        "scancel": f'echo "$1" >{folder}/cancelled; echo "JobState=CANCELLED Reason=None" >{folder}/state',
    }
    for name, line in tools.items():
        (folder / name).write_text(f"#!/bin/bash\n{line}\n")
        (folder / name).chmod(0o755)
    (folder / "state").write_text("JobState=PENDING Reason=Resources")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


@pytest.fixture
def quick(monkeypatch):
    """A plan without its measurement, which takes seconds."""
    monkeypatch.setattr("experiments.launching.requests.describe", described)


def described(plan, at_once):
    told = {"sweep": plan.order.name, "task": "forecast", "trials": 4, "device": "cpu", "sweep_s": [10.0, 7300.0]}
    return {**told, "warnings": plan.notes}


def test_a_study_in_a_file_on_a_network_is_told_with_the_way_out(folder, slurm, quick, sweep, monkeypatch):
    mounts = folder / "mountinfo"
    mounts.write_text(f"20 1 8:1 / / rw - ext4 /dev/sda rw\n21 20 0:50 / {folder} rw shared:1 - nfs4 server:/home rw\n")
    monkeypatch.setattr("lstm.storage.disk.MOUNTS", mounts)
    answer = sweep("launch", "tiny.yaml", *ON, "--dry-run")
    assert "the study is a SQLite file on nfs4" in answer.err
    assert "keep the study in PostgreSQL" in answer.err
    (folder / "elsewhere").mkdir()
    mounts.write_text(mounts.read_text() + f"22 21 8:2 / {folder}/elsewhere rw - xfs /dev/sdb rw\n")
    answer = sweep("launch", "tiny.yaml", *ON, "--dry-run", "--set", f"storage.study=sqlite:///{folder}/elsewhere/s.db")
    assert (answer.code, "network file system" in answer.err) == (0, False)


def test_a_dry_run_prints_the_script_and_writes_nothing(folder, slurm, quick, sweep):
    answer = sweep("launch", "tiny.yaml", *ON, "--nodes", "2", "--time", "1:00:00", "--dry-run")
    assert answer.code == 0
    assert answer.out.startswith("#!/bin/bash\n#SBATCH --job-name=sweep-tiny\n#SBATCH --nodes=2\n")
    assert subprocess.run(["bash", "-n"], input=answer.out, text=True, check=False).returncode == 0
    assert "how long the job waits for its nodes can't be known" in answer.err
    assert "cuts the sweep into 1 to 3 runs" in answer.err
    assert sorted(file.name for file in folder.iterdir()) == ["tiny.csv", "tiny.yaml"]
    assert not (slurm / "calls").exists()


def test_a_launched_sweep_is_followed_and_stopped_before_it_runs(folder, slurm, quick, sweep):
    answer = sweep("launch", "tiny.yaml", *ON, "--nodes", "2", "--json")
    assert answer.code == 0, answer.err
    told = json.loads(answer.out)
    assert (told["job"], told["nodes"], told["at_once"], told["sweep_s"]) == ("12", 2, 2, [10.0, 7300.0])
    assert "run=(" + str(folder / "tiny.yaml") in (slurm / "submitted").read_text()
    kept = record.read(folder / "runs/tiny")
    assert (kept.system, kept.job, kept.sweep) == ("slurm", "12", "tiny")
    assert [file.name for file in (folder / "runs/tiny").iterdir()] == ["launched.json"]

    for named in ("tiny", "tiny.yaml"):
        answer = sweep("status", named)
        assert (answer.code, answer.out) == (0, "tiny: launched as slurm job 12: PENDING (Resources)\n")
        assert "the study can't be read here" in answer.err
        assert "scontrol" in answer.err
    told = json.loads(sweep("status", "tiny", "--json").out)
    assert told["launched"] == {
        **{"system": "slurm", "job": "12", "host": kept.host, "phase": "waiting", "word": "PENDING"},
        **{"reason": "Resources", "code": None, "restarts": 0},
    }
    answer = sweep("logs", "tiny")
    assert (answer.code, "the job 12 has not begun" in answer.err) == (2, True)

    answer = sweep("launch", "tiny.yaml", *ON)
    assert answer.code == 2
    assert "tiny: was launched as slurm job 12, which is PENDING (Resources); follow the job with" in answer.err
    assert (slurm / "calls").read_text() == "x\n", "submitted once"

    answer = sweep("stop", "tiny")
    assert (answer.code, answer.out) == (0, "tiny: slurm was asked to end the job 12\n")
    assert (slurm / "cancelled").read_text() == "12\n"
    assert sweep("stop", "tiny").out == "tiny: the slurm job 12 has ended\n"
    assert sweep("launch", "tiny.yaml", *ON).code == 0, "the sweep may be launched again"


def test_what_run_refuses_is_not_launched(folder, slurm, quick, sweep):
    (folder / "tiny.csv").unlink()
    answer = sweep("launch", "tiny.yaml", *ON)
    assert answer.code == 2
    assert "tiny.csv" in answer.err
    assert [file.name for file in folder.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--cpus", "1", "--set", "resources.cpus_per_trial=2"),
            "a trial asks for 2 CPUs and 0 GPUs, and a node",
        ),
        (("--set", "resources.gpus_per_trial=1"), "a trial asks for 1 CPUs and 1 GPUs"),
        (("--memory", "64"), "--memory 64: "),
        (("--profile", "nowhere.yaml"), "nowhere.yaml: does not exist"),
    ],
)
def test_a_wrong_option_starts_and_writes_nothing(folder, slurm, quick, sweep, words, said):
    answer = sweep("launch", "tiny.yaml", *ON, *words)
    assert (answer.code, said in answer.err) == (2, True), answer.err
    assert not (folder / "runs").exists()
    assert not (slurm / "calls").exists()


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
@pytest.mark.parametrize("system", ["slurm", "kubernetes"])
def test_a_password_of_an_override_is_in_no_job(folder, slurm, quick, sweep, system, more):
    words = ("--on", system, "--set", "storage.study=postgresql://u:TOPSECRET@h/db", *more)
    answer = sweep("launch", "tiny.yaml", *words)
    assert (answer.code, "--set storage.study=...: holds a password" in answer.err) == (2, True), answer.err
    assert "TOPSECRET" not in answer.out + answer.err
    assert not (folder / "runs").exists()


def test_a_password_of_the_spec_is_in_no_configmap(folder, slurm, quick, sweep):
    profile = folder / "profile.yaml"
    profile.write_text(f"kubernetes: {{image: a, memory: 4G, claims: [{{name: a, path: {folder}}}]}}\n")
    (folder / "tiny.yaml").write_text(
        (folder / "tiny.yaml").read_text() + "storage: {study: 'postgresql://u:TOP@h/d'}\n"
    )
    here = f"storage.study=sqlite:///{folder}/study.db"
    answer = sweep("launch", "tiny.yaml", "--on", "kubernetes", "--profile", profile, "--set", here, "--dry-run")
    line = len((folder / "tiny.yaml").read_text().splitlines())
    assert (answer.code, f"tiny.yaml:{line}: storage.study: holds a password" in answer.err) == (2, True), answer.err
    assert "keep it in a Secret that `driver_secrets` of the profile names" in answer.err
    assert "TOP" not in answer.out + answer.err
    assert sweep("launch", "tiny.yaml", *ON, "--set", here, "--dry-run").code == 0, "Slurm's job only names the file"


def test_variables_of_sbatch_change_no_request_that_was_shown(folder, slurm, quick, sweep, monkeypatch):
    """They would go before what the script says: sbatch(1), INPUT ENVIRONMENT VARIABLES."""
    given = {
        "PARTITION": "debug",
        "ACCOUNT": "lab",
        "TIMELIMIT": "1",
        "MEM_PER_CPU": "1",
        "NO_REQUEUE": "1",
        "GPUS": "8",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"SBATCH_{name}", value)
    assert sweep("launch", "tiny.yaml", *ON, "--partition", "gpu", "--memory", "4G").code == 0
    kept = [line for line in (slurm / "environment").read_text().splitlines() if line.startswith("SBATCH_")]
    assert sorted(kept) == ["SBATCH_ACCOUNT=lab", "SBATCH_TIMELIMIT=1"], "the profile says nothing of these two"


@pytest.mark.parametrize(
    ("system", "said"), [("slurm", "cuts the sweep into"), ("kubernetes", "ends the job for good")]
)
def test_a_time_limit_is_told_as_the_system_keeps_it(folder, slurm, quick, sweep, system, said):
    profile = folder / "profile.yaml"
    profile.write_text(f"kubernetes: {{image: a, memory: 4G, claims: [{{name: a, path: {folder}}}]}}\n")
    words = ("--on", system, "--profile", str(profile), "--time", "1:00:00")
    answer = sweep("launch", "tiny.yaml", *words, "--dry-run")
    assert (answer.code, said in answer.err) == (0, True), answer.err
    assert answer.err.count("the time limit") == 1


def test_a_refusal_of_slurm_leaves_nothing(folder, slurm, quick, sweep):
    (slurm / "sbatch").write_text("#!/bin/bash\necho 'sbatch: error: invalid partition specified: gpus' >&2; exit 1\n")
    answer = sweep("launch", "tiny.yaml", *ON)
    assert answer.code == 2
    assert "--on slurm: sbatch has refused: sbatch: error: invalid partition specified: gpus" in answer.err
    assert not (folder / "runs").exists(), "the home was not there before"


def test_a_machine_without_slurm_is_told(folder, quick, sweep, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    answer = sweep("launch", "tiny.yaml", *ON)
    assert (answer.code, "sbatch is not on this machine" in answer.err) == (2, True), answer.err
    assert not (folder / "runs").exists()


def test_a_job_of_which_sbatch_did_not_hear_any_more_is_known(folder, slurm, quick, sweep):
    """Slurm's tools tell of a time-out also where the controller has the job."""
    text = (slurm / "sbatch").read_text().replace("echo 12", "echo 'sbatch: error: Socket timed out' >&2; exit 1")
    (slurm / "sbatch").write_text(text)
    answer = sweep("launch", "tiny.yaml", *ON, "--json")
    assert (answer.code, json.loads(answer.out)["job"]) == (0, "12"), answer.err
    assert record.read(folder / "runs/tiny").job == "12"


@pytest.fixture
def cut_off(folder, slurm, quick, sweep):
    """A launch whose process is killed while sbatch runs; Slurm has the job when sbatch ends, a moment later."""
    text = (slurm / "sbatch").read_text()
    (slurm / "sbatch").write_text(text.replace("cat >", "kill -KILL $PPID; sleep 0.5; cat >"))
    launch = multiprocessing.get_context("fork").Process(target=sweep, args=("launch", "tiny.yaml", *ON))
    launch.start()
    launch.join()
    assert launch.exitcode == -signal.SIGKILL
    assert [file.name for file in (folder / "runs/tiny").iterdir() if file.suffix] == ["launching.json"]
    return sweep


def test_a_job_whose_launch_was_killed_is_followed_ended_and_not_submitted_again(cut_off, folder, slurm):
    answer = cut_off("launch", "tiny.yaml", *ON)
    assert (answer.code, "was launched as slurm job 12, which is PENDING" in answer.err) == (2, True), answer.err
    assert ((slurm / "calls").read_text(), record.read(folder / "runs/tiny").job) == ("x\n", "12")
    assert "launched as slurm job 12: PENDING" in cut_off("status", "tiny").out
    assert cut_off("stop", "tiny").out == "tiny: slurm was asked to end the job 12\n"
    assert (slurm / "cancelled").read_text() == "12\n"


def test_a_job_whose_launch_was_killed_is_ended_by_its_name_where_it_cannot_be_asked_for(cut_off, folder, slurm):
    (slurm / "squeue").write_text("#!/bin/bash\necho 'Unable to contact slurm controller' >&2; exit 1\n")
    answer = cut_off("launch", "tiny.yaml", *ON)
    assert (answer.code, "a launch was cut off, and slurm can't say" in answer.err) == (2, True), answer.err
    name = record.intended(folder / "runs/tiny").job
    assert f"asked to end the job {name}" in cut_off("stop", "tiny").out
    assert (slurm / "cancelled").read_text() == f"--name={name}\n"


def fails(slurm, said, *tools):
    for each in tools or ("sbatch", "squeue", "scontrol", "scancel"):
        (slurm / each).write_text(f"#!/bin/bash\necho '{each}: {said}' >&2; exit 1\n")


def test_tools_without_a_configuration_of_slurm_have_submitted_nothing(folder, slurm, quick, sweep):
    fails(slurm, "fatal: Could not establish a configuration source")
    answer = sweep("launch", "tiny.yaml", *ON)
    assert (answer.code, "--on slurm: sbatch has no configuration of Slurm: fatal" in answer.err) == (2, True)
    assert not (folder / "runs").exists()


@pytest.mark.skipif(not shutil.which("sbatch") or Path("/etc/slurm/slurm.conf").exists(), reason="no bare sbatch here")
def test_the_real_sbatch_without_a_configuration_has_submitted_nothing(folder, quick, sweep, monkeypatch):
    monkeypatch.delenv("SLURM_CONF", raising=False)
    answer = sweep("launch", "tiny.yaml", *ON)
    assert (answer.code, "sbatch has no configuration of Slurm" in answer.err) == (2, True), answer.err
    assert not (folder / "runs").exists()


def test_a_job_whose_system_is_gone_for_good_is_forgotten_on_demand(folder, slurm, quick, sweep):
    tools = {each: (slurm / each).read_text() for each in ("sbatch", "squeue", "scontrol", "scancel")}
    fails(slurm, "error: Unable to contact slurm controller (connect failure)")
    assert sweep("launch", "tiny.yaml", *ON).code == 2
    assert record.intended(folder / "runs/tiny"), "Slurm may have the job"
    forget = "`sweep stop tiny --forget` forgets the job"
    for verb, *words in (("launch", "tiny.yaml", *ON), ("stop", "tiny")):
        answer = sweep(verb, *words)
        assert (answer.code, forget in answer.err, "exit code 3" in answer.err) == (2, True, True), answer.err
    answer = sweep("logs", "tiny")
    assert answer.err.startswith(f"{folder}/runs/tiny/slurm: there is no log yet: a launch was cut off"), answer.err
    answer = sweep("stop", "tiny", "--forget", "--json")
    assert (answer.code, json.loads(answer.out)["stopped"]) == (0, False), answer.err
    assert not (folder / "runs/tiny").exists()

    for name, text in tools.items():
        (slurm / name).write_text(text)
    assert sweep("launch", "tiny.yaml", *ON).code == 0
    fails(slurm, "fatal: Could not establish a configuration source")
    answer = sweep("launch", "tiny.yaml", *ON)
    assert (
        answer.code,
        "tiny: whether the slurm job 12 still runs can't be known here: scontrol has no conf" in answer.err,
    ) == (2, True)
    assert (forget in answer.err, forget in sweep("stop", "tiny").err) == (True, True)
    assert sweep("stop", "tiny", "--forget").out.startswith("tiny: forgot the slurm job 12, which may still run: ")
    assert record.read(folder / "runs/tiny") is None


def test_a_job_that_can_be_asked_about_is_ended_and_not_forgotten(folder, slurm, quick, sweep):
    assert sweep("launch", "tiny.yaml", *ON).code == 0
    assert sweep("stop", "tiny", "--forget").out == "tiny: slurm was asked to end the job 12\n"
    assert record.read(folder / "runs/tiny").job == "12"
    (slurm / "state").write_text("JobState=RUNNING Reason=None")
    fails(slurm, "error: Access/permission denied", "scancel")
    answer = sweep("stop", "tiny", "--forget")
    assert (answer.code, "Access/permission denied" in answer.err) == (2, True)
    assert record.read(folder / "runs/tiny").job == "12"


def test_the_plan_says_what_a_sweep_is_on_a_system(folder, slurm, sweep):
    answer = sweep("plan", "tiny.yaml", *ON, "--nodes", "3", "--cpus", "2")
    assert answer.code == 0, answer.err
    assert "3 nodes of slurm, each with 2 CPUs, 0 GPUs" in answer.out
    assert "6 trials, 2 a node" in answer.out
    assert not (folder / "runs").exists()
    answer = sweep("plan", "tiny.yaml", "--nodes", "3")
    assert (answer.code, "--nodes needs --on." in answer.err) == (2, True)


def test_a_finished_sweep_remembers_nothing_of_a_launch(copied, sweep):
    assert json.loads(sweep("status", "tiny", "--json").out)["launched"] is None
