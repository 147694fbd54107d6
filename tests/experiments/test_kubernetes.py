"""A sweep launched on Kubernetes by the command line, and followed there: `launch`, `status`, `logs` and `stop`."""

import json
import re
import socket
from pathlib import Path

import fake_kubernetes
import kubernetes_schemas
import pytest
import yaml

from cluster.launch.kubernetes.entrypoint import END
from cluster.launch.profile import KubernetesProfile, Profile

LACKS = fake_kubernetes.missing() or kubernetes_schemas.missing()
pytestmark = pytest.mark.skipif(bool(LACKS), reason=LACKS)


@pytest.fixture
def cluster(tmp_path, monkeypatch, folder):
    """A cluster, and a profile that mounts the folder of the spec."""
    profile = {"image": "registry.example/sweeps:1", "memory": "8G", "claims": [{"name": "runs", "path": str(folder)}]}
    (folder / "clusters.yaml").write_text(yaml.safe_dump({"kubernetes": profile | {"driver_secrets": ["study"]}}))
    place = tmp_path / "kube"
    place.mkdir()
    with fake_kubernetes.served(place) as (made, variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield made


PAGE = Path(__file__).parents[2] / "docs" / "cluster" / "kubernetes.md"


def test_the_page_names_fields_of_a_profile_and_each_of_them():
    [block] = [each for each in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S) if "kubernetes:" in each]
    Profile.model_validate(yaml.safe_load(block))
    [table] = re.findall(r"\| field \| meaning \|\n\| --- \| --- \|\n(.*?)\n\n", PAGE.read_text(), re.S)
    named = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    fields = set(KubernetesProfile.model_fields) - {"shared"}
    assert named | {"image_pull_secrets"} == fields


ON = ("--on", "kubernetes", "--profile", "clusters.yaml")


def test_a_launched_sweep_is_followed_from_where_it_was_launched(cluster, sweep, folder):
    shown = sweep("launch", "tiny.yaml", *ON, "--dry-run")
    assert shown.code == 0, shown.err
    assert [each["kind"] for each in yaml.safe_load_all(shown.out)] == ["ConfigMap", "RayJob"]
    assert (cluster.objects, list(folder.glob("runs/*"))) == ({}, [])

    done = sweep("launch", "tiny.yaml", *ON)
    assert done.code == 0, done.err
    assert "kubernetes job tiny" in done.out
    sent = cluster.objects["ml", "configmaps", "tiny-files"]
    assert sent["data"]["spec.yaml"] == (folder / "tiny.yaml").read_text()
    assert json.loads((folder / "runs" / "tiny" / "launched.json").read_text())["where"]["namespace"] == "ml"

    told = sweep("status", "tiny")
    assert "KubeRay has not looked at it yet" in told.out
    note = "note: tiny: this is what kubectl says, since the study can't be read here: "
    assert (told.err.count("\n"), told.err.startswith(note)) == (1, True)
    assert told.err.endswith("has no sweep of this name\n"), (
        "what to do about it is another sentence, and not meant here"
    )
    cluster.play("tiny", jobDeploymentStatus="Running", jobStatus="RUNNING")
    cluster.pod("tiny-x", {"job-name": "tiny"}, {"ray-job-submitter": "epoch 1\n"})
    assert "Running RUNNING" in sweep("status", "tiny").out
    assert sweep("logs", "tiny").out == "epoch 1\n"
    again = sweep("launch", "tiny.yaml", *ON)
    assert (again.code, "Running RUNNING" in again.err) == (2, True)

    assert sweep("stop", "tiny").code == 0
    assert cluster.job("tiny")["spec"]["suspend"] is True
    cluster.play("tiny", jobDeploymentStatus="Suspended", jobStatus="")
    assert "the sweep was stopped" in sweep("status", "tiny").out


def test_two_homes_do_not_take_each_others_rayjob(cluster, sweep, folder):
    assert sweep("launch", "tiny.yaml", *ON).code == 0
    cluster.play("tiny", jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    other = ("--home", f"{folder}/b")
    answer = sweep("launch", "tiny.yaml", *ON, *other)
    assert (
        answer.code,
        f"was not launched from this home, but from {socket.gethostname()}:{folder}/runs" in answer.err,
    ) == (2, True)
    assert (("ml", "rayjobs", "tiny") in cluster.objects, list(folder.glob("b/*"))) == (True, [])
    del cluster.objects["ml", "rayjobs", "tiny"]  # as the message says, by kubectl
    assert sweep("launch", "tiny.yaml", *ON, *other).code == 0
    cluster.pod("tiny-x", {"job-name": "tiny"}, {"ray-job-submitter": "log of b\n"})
    answer = sweep("logs", "tiny")
    assert (answer.code, answer.out) == (2, "")
    assert "tiny: the RayJob tiny that was launched here was deleted, and its log with it. A RayJob of" in answer.err
    assert f"launched from the home {socket.gethostname()}:{folder}/b" in answer.err
    assert "Replaced" in sweep("status", "tiny").out


def test_an_end_with_2_is_shown_as_failed_with_its_sentence(cluster, sweep):
    assert sweep("launch", "tiny.yaml", *ON).code == 0
    told = json.dumps({"code": 2, "said": "tiny.yaml:3: data.path: there is no such file"})
    cluster.pod("tiny-x", {"job-name": "tiny"}, {"ray-job-submitter": f"{END}{told}\n"})
    cluster.play("tiny", jobDeploymentStatus="Complete", jobStatus="STOPPED")
    shown = sweep("status", "tiny")
    assert "no new cluster was started" in shown.out
    assert "tiny.yaml:3: data.path: there is no such file" in shown.out
    row = json.loads(sweep("status", "tiny", "--json").out)
    assert (row["launched"]["phase"], row["launched"]["code"]) == ("ended", 2)


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        (("--image", "a b"), "--image"),
        (("--queue", "Not A Queue"), "--queue"),
        (("--namespace", "A_B"), "--namespace"),
        (("--partition", "gpu"), "--partition"),
        (("--set", "name=" + "x" * 60), ""),
    ],
)
def test_a_wrong_option_is_refused_and_nothing_is_sent(cluster, sweep, folder, more, wanted):
    answer = sweep("launch", "tiny.yaml", *ON, *more)
    if wanted:
        assert (answer.code, wanted in answer.err) == (2, True), answer
        assert (cluster.objects, list(folder.glob("runs/*"))) == ({}, [])
    else:
        assert ("ml", "rayjobs", "x" * 47) in cluster.objects


def test_a_spec_whose_files_no_pod_sees_is_refused(cluster, sweep, folder):
    profile = {"kubernetes": {"image": "i", "memory": "8G"}}
    (folder / "clusters.yaml").write_text(yaml.safe_dump(profile))
    answer = sweep("launch", "tiny.yaml", *ON)
    assert answer.code == 2
    assert "the driver's pod does not see this path, which holds the data" in answer.err
    assert "which holds the study" in answer.err
    assert "which holds the checkpoints" in answer.err
    assert cluster.objects == {}


def with_study(folder, address):
    spec = (folder / "tiny.yaml").read_text()
    (folder / "tiny.yaml").write_text(f"{spec}storage: {{study: '{address}', checkpoints: 's3://${{BUCKET}}/a'}}\n")


@pytest.mark.parametrize(
    ("study", "said"),
    [
        (None, "storage.study, storage.checkpoints: not known here, and not checked. The driver checks it there"),
        ("postgresql://u:TOPSECRET@127.0.0.1:1/db", "not checked, as this machine does not reach it: storage.study: "),
    ],
)
def test_a_study_that_only_the_pods_reach_is_launched_and_followed(cluster, sweep, folder, monkeypatch, study, said):
    with_study(folder, "${STUDY_URL}")
    monkeypatch.delenv("STUDY_URL", raising=False)
    if study:
        monkeypatch.setenv("STUDY_URL", study)
        monkeypatch.setenv("BUCKET", "b")
    told = [sweep("launch", "tiny.yaml", *ON, "--dry-run"), sweep("plan", "tiny.yaml", *ON)]
    for answer in told:
        assert (answer.code, said in " ".join((answer.out + answer.err).split())) == (0, True), answer
    assert "unknown.invalid" not in str(told), "what stands in for an address is not shown"
    assert "STUDY_URL, BUCKET, which the Secrets study must have" in told[0].err
    assert sweep("launch", "tiny.yaml", *ON).code == 0
    assert "study: '${STUDY_URL}'" in cluster.objects["ml", "configmaps", "tiny-files"]["data"]["spec.yaml"]
    cluster.pod("tiny-x", {"job-name": "tiny"}, {"ray-job-submitter": "epoch 1\n"})
    cluster.play("tiny", jobDeploymentStatus="Running", jobStatus="RUNNING")
    for named in ("tiny", "tiny.yaml"):
        shown = sweep("status", named)
        assert (shown.code, "Running RUNNING" in shown.out) == (0, True), shown
        assert "this is what kubectl says, since the study can't be read here" in shown.err
        assert sweep("logs", named).out == "epoch 1\n"
        told.append(shown)
    assert "is Running RUNNING" in sweep("launch", "tiny.yaml", *ON).err, "it is known without the study"
    answer = sweep("stop", "tiny.yaml")
    assert (answer.code, answer.out) == (0, "tiny: kubernetes was asked to end the job tiny\n"), answer
    assert cluster.job("tiny")["spec"]["suspend"] is True
    assert "TOPSECRET" not in str([*told, answer, cluster.objects])


def test_an_address_that_is_none_is_refused_though_nothing_is_asked(cluster, sweep, folder, monkeypatch):
    with_study(folder, "${STUDY_URL}")
    monkeypatch.setenv("STUDY_URL", "mysql://TOPSECRET/db")
    monkeypatch.setenv("BUCKET", "b")
    answer = sweep("launch", "tiny.yaml", *ON)
    assert (answer.code, "storage.study: mysql is not offered" in answer.err, cluster.objects) == (2, True, {})


def test_a_variable_that_no_pod_would_have_is_refused(cluster, sweep, folder, monkeypatch):
    with_study(folder, "${STUDY_URL:-postgresql://127.0.0.1:1/db}")
    monkeypatch.setenv("BUCKET", "here-only")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "none"))
    profile = yaml.safe_load((folder / "clusters.yaml").read_text())
    del profile["kubernetes"]["driver_secrets"]
    (folder / "clusters.yaml").write_text(yaml.safe_dump(profile))
    line = len((folder / "tiny.yaml").read_text().splitlines())
    for words in (("launch",), ("plan",)):
        answer = sweep(*words, "tiny.yaml", *ON)
        assert answer.code == 2
        assert f"tiny.yaml:{line}: storage.checkpoints: needs BUCKET, which the profile does not give" in answer.err
    assert cluster.objects == {}
    noted = sweep("plan", "tiny.yaml", "--on", "kubernetes")
    assert noted.code == 0, "without a profile it is a note"
    assert "will refuse this as it is: tiny.yaml" in noted.out
    assert "needs BUCKET" in noted.out
    monkeypatch.delenv("BUCKET")
    profile["kubernetes"]["environment"] = {"BUCKET": "there"}
    (folder / "clusters.yaml").write_text(yaml.safe_dump(profile))
    answer = sweep("plan", "tiny.yaml", *ON)
    assert (answer.code, "s3://there/a/tiny" in answer.out) == (0, True), "the pods have it by the profile"


def test_a_study_in_a_file_on_a_claim_is_told_with_the_way_out(cluster, sweep, folder, monkeypatch):
    told = [sweep("launch", "tiny.yaml", *ON, "--dry-run").err, sweep("plan", "tiny.yaml", *ON).out]
    for said in told:
        assert f"storage.study: the study is a SQLite file, {folder}/runs/study.db, on a volume" in said
        assert "keep the study in PostgreSQL" in said
    monkeypatch.setenv("BUCKET", "b")
    with_study(folder, "postgresql://127.0.0.1:1/db")
    assert "SQLite" not in sweep("launch", "tiny.yaml", *ON, "--dry-run").err
