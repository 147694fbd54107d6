import base64
import hashlib
import json
import multiprocessing
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cluster.launch import record
from experiments import planning
from lstm.records.errors import refused

ON = ("--on", "slurm")
ON_CLAIM = "study-file-on-claim"  # the study of these homes is a file on a volume
MEAN = Path(__file__).parents[1] / "cells" / "mean.py"


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
    return {**told, "warnings": planning.warnings(plan)}


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


def test_a_study_that_only_the_nodes_reach_is_launched_and_followed(folder, slurm, quick, sweep):
    study = "storage.study=postgresql://127.0.0.1:1/db"
    answer = sweep("launch", "tiny.yaml", *ON, "--set", study)
    assert answer.code == 0, answer.err
    assert "not checked, as this machine does not reach it: storage.study: " in answer.out
    assert "launched as slurm job 12: PENDING" in sweep("status", "tiny").out
    assert "asked to end the job 12" in sweep("stop", "tiny").out


@pytest.mark.parametrize(("checkpoints", "code"), [("s3://b/a", 0), ("kept", 2)])
def test_a_bucket_that_can_not_be_read_here_is_told_and_a_folder_is_refused(
    folder, slurm, quick, sweep, monkeypatch, checkpoints, code
):
    def unread(*_, **__):
        raise refused("checkpoint-store-unreadable", at=checkpoints, why="Permission denied")

    monkeypatch.setattr("experiments.operations.running.prepare", unread)
    answer = sweep("launch", "tiny.yaml", *ON, "--dry-run", "--set", f"storage.checkpoints={checkpoints}")
    assert (answer.code, "not checked, as this machine does not reach it: s3://b/a" in answer.err) == (code, code == 0)


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


def test_a_password_in_a_comment_or_in_own_code_is_in_no_configmap(folder, slurm, quick, sweep):
    profile = folder / "profile.yaml"
    profile.write_text(f"kubernetes: {{image: a, memory: 4G, claims: [{{name: a, path: {folder}}}]}}\n")
    cell = MEAN.read_text()
    (folder / "cells.py").write_text(
        cell + "# was: postgresql://u:hunter2@h/d\n# as postgresql://USER:PASSWORD@HOST/db\n"
    )
    spec = (folder / "tiny.yaml").read_text() + "# before: storage: {study: 'postgresql://u:hunter2@h/d'}\n"
    (folder / "tiny.yaml").write_text(spec)
    words = ("--set", "model.cell=cells.py:Mean", "--on", "kubernetes", "--profile", profile, "--dry-run")
    answer = sweep("launch", "tiny.yaml", *words)
    assert answer.code == 2
    assert f"tiny.yaml:{len(spec.splitlines())}: holds a password" in answer.err
    assert f"{folder}/cells.py:{len(cell.splitlines()) + 1}: holds a password" in answer.err
    assert 'read it there with os.environ["NAME"], and keep NAME in a Secret' in answer.err
    assert answer.err.count("holds a password") == 2, "an example's address has none"
    assert "hunter2" not in answer.out + answer.err


@pytest.mark.parametrize("content", [b"# -*- coding: latin-1 -*-\nWORD = '\xe9'\n", b"WORD = 1\r\n"])
def test_own_code_is_in_a_pod_as_the_launch_has_read_it(folder, quick, sweep, content):
    """A sweep is refused for code with another digest, so a line's end that changes on the way would end it."""
    code = content + MEAN.read_bytes()
    (folder / "mean.py").write_bytes(code)
    (folder / "tiny.yaml").write_bytes(b"\xef\xbb\xbf" + (folder / "tiny.yaml").read_bytes() + b"# \r\n")
    profile = folder / "profile.yaml"
    profile.write_text(f"kubernetes: {{image: a, memory: 4G, claims: [{{name: a, path: {folder}}}]}}\n")
    words = ("--on", "kubernetes", "--profile", profile, "--set", "model={cell: 'mean.py:Mean'}", "--dry-run")
    answer = sweep("launch", "tiny.yaml", *words)
    assert answer.code == 0, answer.err
    sent = next(yaml.safe_load_all(answer.out))
    texts = {name: text.encode() for name, text in sent["data"].items()}
    files = texts | {name: base64.b64decode(text) for name, text in sent.get("binaryData", {}).items()}
    digest = hashlib.sha256(files["code-0.py"]).hexdigest()
    assert (
        files["code-0.py"],
        f"mean.py: is your own code and is executed here and by every worker (SHA-256 {digest[:12]}" in answer.err,
    ) == (code, True), answer.err
    assert files["spec.yaml"] == (folder / "tiny.yaml").read_bytes()


def test_variables_of_sbatch_change_no_request_that_was_shown(folder, slurm, quick, sweep, monkeypatch):
    """They would go before what the script says: sbatch(1), INPUT ENVIRONMENT VARIABLES."""
    given = {
        "PARTITION": "debug",
        "ACCOUNT": "lab",
        "TIMELIMIT": "1",
        "MEM_PER_CPU": "1",
        "NO_REQUEUE": "1",
        "NO_KILL": "1",
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


@pytest.fixture
def bare(tmp_path_factory, monkeypatch):
    """The real tools of Slurm, which know no configuration: where they know one, a job would be submitted."""
    monkeypatch.delenv("SLURM_CONF", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("settings")))
    if not (shutil.which("sbatch") and shutil.which("scontrol")):
        pytest.skip("needs sbatch and scontrol")
    done = subprocess.run(["scontrol", "ping"], capture_output=True, text=True, check=False)
    if not done.returncode or "fatal: Could not establish a configuration source" not in done.stderr:
        pytest.skip("Slurm is configured here: this would submit a job")


@pytest.mark.usefixtures("bare")
def test_the_real_sbatch_without_a_configuration_has_submitted_nothing(folder, quick, sweep):
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
    assert "run no trial" not in answer.out
    assert "5 trials, at most 2 a node" in answer.out, "the base is one of them"
    assert not (folder / "runs").exists()
    answer = sweep("plan", "tiny.yaml", "--nodes", "3")
    assert (answer.code, "--nodes needs --on." in answer.err) == (2, True)


def profile_of(folder, *, shared=None):
    """A profile with all that a launch needs, whose nodes and pods see one folder."""
    place = shared or folder
    kubernetes = f"kubernetes: {{image: a, memory: 4G, claims: [{{name: a, path: {place}}}]}}"
    file = folder / "profile.yaml"
    file.write_text(f"{kubernetes}\nslurm: {{shared: [{place}, {sys.prefix}]}}\n")
    return ("--profile", file)


@pytest.fixture
def plain(monkeypatch):
    """A plan without the rows that are measured."""
    monkeypatch.setattr("experiments.verbs.plan.show", lambda plan, rows: [print(*row) for row in rows])


@pytest.mark.parametrize("system", ["slurm", "kubernetes"])
@pytest.mark.parametrize("verb", [("launch", "--dry-run"), ("plan",)])
def test_the_plan_refuses_what_a_launch_refuses(folder, slurm, quick, plain, sweep, system, verb):
    """All that the nodes need lies outside of what they see; the study would be lost with the first pod."""
    words = (verb[0], "tiny.yaml", *verb[1:], "--on", system)
    answer = sweep(*words, *profile_of(folder, shared="/elsewhere"))
    assert answer.code == 2, answer
    assert f"{folder}/runs" in answer.err
    assert f"{folder}/tiny.csv" in answer.err
    assert "with --upload s3://BUCKET/FOLDER" in answer.err
    assert sweep(*words, *profile_of(folder)).code == 0


def test_a_plan_without_a_profile_says_what_a_launch_needs(folder, slurm, quick, plain, sweep):
    answer = sweep("plan", "tiny.yaml", "--on", "kubernetes")
    assert answer.code == 0, answer.err
    for said in (
        "kubernetes.image: is missing",
        "kubernetes.memory: is missing",
        f"{folder}/tiny.csv: the driver's pod",
    ):
        assert f"`sweep launch` will refuse this as it is: {said}" in answer.out
    assert "or let it travel by a bucket with --upload s3://BUCKET/FOLDER" in answer.out, "the fault's own mend"
    assert ("write a profile first" in answer.out, "a server" in answer.out) == (False, False)
    (slurm / "lstm-sweeps").mkdir()
    (slurm / "lstm-sweeps" / "clusters.yaml").write_text("kubernetes: {nodes: 1}\n")
    answer = sweep("plan", "tiny.yaml", "--on", "kubernetes")
    assert (answer.code, "kubernetes.image: is missing" in answer.err) == (2, True), answer.err


@pytest.mark.parametrize("system", ["slurm", "kubernetes"])
def test_a_file_of_mlflow_that_no_node_sees_is_refused(folder, slurm, quick, plain, sweep, system):
    profile = profile_of(folder)
    for verb in (("launch", "--dry-run"), ("plan",)):
        words = (verb[0], "tiny.yaml", *verb[1:], "--on", system, *profile)
        answer = sweep(*words, "--set", "tracking.uri=sqlite:////tmp/mlflow.db")
        assert (answer.code, "/tmp/mlflow.db" in answer.err) == (2, True), answer.err
        assert {"slurm": "tracking.uri", "kubernetes": "records of MLflow"}[system] in answer.err
        assert ("tracking.uri" in answer.err, "--upload" in answer.err) == (True, False), "the mend for this path"
        assert sweep(*words, "--set", f"tracking.uri=sqlite:///{folder}/mlflow.db").code == 0
        assert sweep(*words, "--set", "tracking.uri=http://127.0.0.1:1").code == 0


def test_records_in_a_home_that_goes_with_the_pod_are_told(folder, slurm, quick, sweep):
    stores = (f"storage.study=sqlite:///{folder}/study.db", f"storage.checkpoints={folder}/kept")
    words = [word for each in stores for word in ("--set", each)]
    words += ["--on", "kubernetes", "--home", folder.parent / "home", "--dry-run", "--json", *profile_of(folder)]

    def noted(*more):
        answer = sweep("launch", "tiny.yaml", *words, *more)
        assert answer.code == 0, answer.err
        first, *codes = [each["code"] for each in json.loads(answer.out)["notes"]]
        assert first == ON_CLAIM
        return codes

    assert noted() == ["launch-records-go-with-pod"]
    assert noted("--set", "tracking.uri=postgresql://h/mlflow") == ["launch-records-go-with-pod"], "the artifacts do"
    assert noted("--set", "tracking.uri=http://127.0.0.1:1") == []
    assert noted("--home", folder / "runs") == []


@pytest.mark.parametrize("system", ["slurm", "kubernetes"])
def test_what_a_dry_run_does_not_upload_is_told(folder, slurm, quick, plain, sweep, system):
    words = ("tiny.yaml", "--on", system, "--upload", "s3://lab/up", *profile_of(folder))
    digest = hashlib.sha256((folder / "tiny.csv").read_bytes()).hexdigest()
    there = f"s3://lab/up/{digest}/tiny.csv"
    answer = sweep("launch", *words, "--dry-run")
    said = f"{folder}/tiny.csv: the sweep will read this file from {there}, and nothing is uploaded yet; copy the file"
    assert (answer.code, said in answer.err, there in answer.out) == (0, True, True), answer.err
    told = json.loads(sweep("launch", *words, "--dry-run", "--json").out)
    wanted = [*([ON_CLAIM] if system == "kubernetes" else []), "launch-upload-first"]
    assert [each["code"] for each in told["notes"]] == wanted
    assert f'#   "{folder}/tiny.csv" as "{there}"\n' in told["text"]
    answer = sweep("plan", *words)
    assert (answer.code, f"upload {folder}/tiny.csv to {there}" in answer.out) == (0, True), answer
    told = json.loads(sweep("launch", *words, "--dry-run", "--json", "--set", f"data.path={folder}/tiny.csv").out)
    assert [each["address"] for each in told["uploads"]] == [there]


@pytest.mark.parametrize("system", ["slurm", "kubernetes"])
def test_no_name_of_an_uploaded_file_ends_a_comment(folder, slurm, quick, sweep, system):
    name = "a\nkind: Secret\u2028x.csv"
    (folder / "tiny.csv").rename(folder / name)
    words = ("tiny.yaml", "--on", system, "--upload", "s3://lab/up", *profile_of(folder), "--dry-run")
    answer = sweep("launch", *words, "--set", f"data.path={json.dumps(name)}")
    assert answer.code == 0, answer.err
    assert [line for line in answer.out.splitlines() if line.startswith("kind: S")] == []
    assert system == "slurm" or len([*yaml.safe_load_all(answer.out)]) == 2


@pytest.mark.parametrize("verb", [("launch", "--dry-run"), ("launch",), ("plan",)])
def test_an_empty_place_to_upload_to_is_refused(folder, slurm, quick, plain, sweep, verb):
    """As of a variable of the shell that is not set."""
    answer = sweep(verb[0], "tiny.yaml", *verb[1:], *ON, "--upload", "", *profile_of(folder))
    assert (answer.code, "--upload: is no address of a bucket: it is empty" in answer.err) == (2, True), answer.err
    assert not (slurm / "calls").exists()
    answer = sweep("plan", "tiny.yaml", "--upload", "")
    assert (answer.code, "--upload needs --on." in answer.err) == (2, True)


@pytest.mark.parametrize(("queue", "held"), [((), False), (("--queue", "team"), True), (None, True)])
def test_nodes_that_no_trial_will_use_are_told_with_the_number_to_ask_for(folder, slurm, quick, sweep, queue, held):
    (slurm / "lstm-sweeps").mkdir()
    profile = f"kubernetes: {{image: a, memory: 4G, claims: [{{name: a, path: {folder}}}]}}\nslurm: {{nodes: 100}}\n"
    (slurm / "lstm-sweeps" / "clusters.yaml").write_text(profile)
    on = ("--nodes", "100", "--cpus", "4", *(ON if queue is None else ("--on", "kubernetes", *queue)))
    answer = sweep("launch", "tiny.yaml", *on, "--dry-run")
    said = "no more than 5 trials can ever run at once, so 98 of 100 nodes run no trial"
    assert (answer.code, said in answer.err, "held all the same" in answer.err) == (0, True, held), answer.err
    assert "ask for 2, with --nodes" in answer.err
    told = json.loads(sweep("launch", "tiny.yaml", *on, "--dry-run", "--json").out)
    codes = [each["code"] for each in told["notes"] if each["code"] != ON_CLAIM]
    assert (told["at_once"], codes) == (5, ["launch-nodes-idle"])
    told = json.loads(sweep("launch", "tiny.yaml", *on, "--nodes", "2", "--dry-run", "--json").out)
    assert (told["at_once"], [each for each in told["notes"] if each["code"] != ON_CLAIM]) == (5, [])


def test_a_finished_sweep_remembers_nothing_of_a_launch(copied, sweep):
    assert json.loads(sweep("status", "tiny", "--json").out)["launched"] is None


@pytest.mark.parametrize("system", ["slurm", "kubernetes"])
def test_only_kubernetes_has_a_port_to_forward_for_a_study_that_is_not_reached(folder, slurm, quick, sweep, system):
    words = ("--on", system, *profile_of(folder), "--set", "storage.study=postgresql://u@127.0.0.1:1/d", "--dry-run")
    answer = sweep("launch", "tiny.yaml", *words)
    assert (answer.code, "not checked, as this machine does not reach it" in answer.err) == (0, True), answer.err
    assert ("kubectl port-forward" in answer.err) is (system == "kubernetes")
