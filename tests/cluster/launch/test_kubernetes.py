"""Kubernetes through kubectl, against a small API server: what is sent, and what is made of each answer."""

import json
import socket

import fake_kubernetes
import kubernetes_schemas
import launches
import pytest

from cluster.launch import record
from cluster.launch.kubernetes import SYSTEM, manifest
from cluster.launch.kubernetes.entrypoint import END
from cluster.launch.kubernetes.kubectl import Kubectl
from cluster.launch.record import Launched
from cluster.launch.tool import Unsent
from lstm.records.errors import BadInput

LACKS = fake_kubernetes.missing() or kubernetes_schemas.missing()
pytestmark = pytest.mark.skipif(bool(LACKS), reason=LACKS)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    with fake_kubernetes.served(tmp_path) as (made, variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def submit(cluster, tmp_path):
    """Launches a sweep from one of several homes, as `sweep launch` does."""

    def launched(home="a", **asked):
        request = launches.request(home=str(tmp_path / home), **asked)
        made = SYSTEM.submit(request, SYSTEM.render(request), SYSTEM.intend(request))
        record.write(tmp_path / home / request.name, made)
        return made

    return launched


def refused(call, *arguments):
    with pytest.raises(BadInput) as caught:
        call(*arguments)
    [fault] = caught.value.faults
    return fault


def test_a_launched_sweep_is_followed_to_its_end_and_launched_again(cluster, submit):
    launched = submit()
    assert (launched.job, launched.where["context"], launched.where["namespace"]) == ("co2", "lab", "ml")
    assert launched.where["uid"] == cluster.job("co2")["metadata"]["uid"]
    assert SYSTEM.state(launched).phase == "waiting"
    assert refused(list, SYSTEM.logs(launched)).code == "kubernetes-no-log"

    head = {"lstm-sweeps/job": "co2", "ray.io/node-type": "head"}
    cluster.pod("co2-head", head, {"plan": "12 trials\n", "ray-head": "no\n"})
    assert list(SYSTEM.logs(launched)) == ["12 trials"]
    cluster.pod("co2-x", {"job-name": "co2"}, {"ray-job-submitter": "epoch 1\nepoch 2\n"})
    assert list(SYSTEM.logs(launched)) == ["epoch 1", "epoch 2"]
    cluster.play("co2", jobDeploymentStatus="Running", jobStatus="RUNNING")
    assert SYSTEM.state(launched).phase == "running"
    assert refused(submit).code == "kubernetes-lives"

    cluster.logs["co2-x", "ray-job-submitter"] = f"no\n{END}{json.dumps({'code': 2, 'said': 'a.yaml:3: no'})}\n"
    cluster.play("co2", jobDeploymentStatus="Complete", jobStatus="STOPPED")
    state = SYSTEM.state(launched)
    assert (state.phase, state.code, state.reason.rpartition(": no")[1]) == ("ended", 2, ": no")

    again = submit()
    assert again.where["uid"] != launched.where["uid"]
    assert SYSTEM.state(launched).word == "Replaced"
    assert SYSTEM.state(again).phase == "waiting"


def test_stopping_suspends_a_job_and_deletes_one_in_a_queue_which_kueue_would_start_again(cluster, submit):
    launched = submit()
    cluster.play("co2", jobDeploymentStatus="Running", jobStatus="RUNNING")
    SYSTEM.stop(launched)
    assert cluster.job("co2")["spec"]["suspend"] is True
    cluster.play("co2", jobDeploymentStatus="Suspended", jobStatus="")
    before = len(cluster.requests)
    SYSTEM.stop(launched)
    assert len(cluster.requests) == before

    queued = submit(name="queued", queue="gpus")
    SYSTEM.stop(queued)
    assert ("ml", "rayjobs", "queued") not in cluster.objects
    assert ("ml", "configmaps", "queued-files") not in cluster.objects
    assert SYSTEM.state(queued).word == "NotFound"
    SYSTEM.stop(queued)  # no error: it has ended


def test_what_the_cluster_refuses_leaves_nothing_behind(cluster):
    request = launches.request()
    text = SYSTEM.render(request).replace("backoffLimit: 10", "backofLimit: 10")
    fault = refused(SYSTEM.submit, request, text, SYSTEM.intend(request))
    assert fault.code == "kubernetes-refused"
    assert "backofLimit" in fault.values["why"]
    assert cluster.objects == {}


def test_the_objects_of_others_are_never_replaced(cluster, submit):
    submit(name="co.2")
    cluster.play("co-2", jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    fault = refused(lambda: submit(name="co-2"))
    assert (fault.code, fault.values["owner"]) == ("kubernetes-name-taken", "co.2")


def test_a_rayjob_that_was_deleted_leaves_a_configmap_that_is_replaced(cluster, submit):
    first = submit()
    del cluster.objects["ml", "rayjobs", "co2"]
    assert SYSTEM.state(first).word == "NotFound"
    assert refused(list, SYSTEM.logs(first)).code == "kubernetes-log-gone"
    cluster.requests.clear()
    again = submit()
    assert again.where["uid"] == cluster.job("co2")["metadata"]["uid"] != first.where["uid"]
    assert [method for method, _ in cluster.requests] == ["DELETE", "POST", "POST"]


@pytest.mark.parametrize(("labels", "owner"), [({}, None), ({"lstm-sweeps/job": "co2"}, "CO2")])
def test_a_configmap_that_is_not_of_the_sweep_is_left_and_nothing_is_created(cluster, submit, labels, owner):
    notes = {"annotations": {"lstm-sweeps/sweep": owner}} if owner else {}
    kept = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "co2-files", "labels": labels, **notes}}
    cluster.put("ml", "configmaps", kept)
    with pytest.raises(Unsent) as caught:
        submit()
    [fault] = caught.value.faults
    assert (fault.code, fault.values) == ("kubernetes-files-taken", {"name": "co2-files", "owner": owner})
    assert (cluster.requests, list(cluster.objects)) == ([], [("ml", "configmaps", "co2-files")])


def test_a_rayjob_of_another_home_is_left_with_its_log(cluster, submit, tmp_path):
    submit()
    cluster.requests.clear()
    for status in ({"jobDeploymentStatus": "Running"}, {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}):
        cluster.play("co2", **status)
        fault = refused(lambda: submit(home="b"))
        assert fault.code == "kubernetes-of-another-home"
        assert f"was not launched from this home, but from {socket.gethostname()}:{tmp_path}/a; give the" in str(fault)
        assert "`kubectl delete rayjob co2 --namespace=ml --context=lab`" in str(fault)
    assert cluster.requests == []


def test_objects_of_a_version_that_wrote_fewer_annotations_are_replaced(cluster, submit):
    first = submit()
    del cluster.objects["ml", "configmaps", "co2-files"]["metadata"]["annotations"]
    del cluster.job("co2")["metadata"]["annotations"][manifest.HOME]
    cluster.play("co2", jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    again = submit()
    assert again.where["uid"] == cluster.job("co2")["metadata"]["uid"] != first.where["uid"]
    del cluster.objects["ml", "rayjobs", "co2"]
    del cluster.objects["ml", "configmaps", "co2-files"]["metadata"]["annotations"]
    assert submit().where["uid"] == cluster.job("co2")["metadata"]["uid"]


def test_a_rayjob_of_this_home_that_it_keeps_nothing_of_is_replaced_once_it_has_ended(cluster, submit, tmp_path):
    first = submit()
    (tmp_path / "a/co2" / record.FILE).unlink()
    cluster.play("co2", jobDeploymentStatus="Running", jobStatus="RUNNING")
    cluster.requests.clear()
    fault = refused(submit)
    assert fault.code == "kubernetes-lives"
    assert "`kubectl delete rayjob co2 --namespace=ml --context=lab`" in str(fault)
    assert cluster.requests == []
    cluster.play("co2", jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    assert submit().where["uid"] == cluster.job("co2")["metadata"]["uid"] != first.where["uid"]


def test_of_two_homes_each_follows_and_ends_its_own_rayjob(cluster, submit, tmp_path):
    first = submit()
    del cluster.objects["ml", "rayjobs", "co2"]
    second = submit(home="b")
    cluster.pod("co2-x", {"job-name": "co2"}, {"ray-job-submitter": "log of b\n"})
    cluster.play("co2", jobDeploymentStatus="Running", jobStatus="RUNNING")
    fault = refused(list, SYSTEM.logs(first))
    assert fault.code == "kubernetes-log-gone"
    assert f"A RayJob of the sweep co2 has its name now, launched from the home {socket.gethostname()}:" in str(fault)
    assert list(SYSTEM.logs(second)) == ["log of b"]
    cluster.requests.clear()
    SYSTEM.stop(first)
    assert cluster.requests == []
    of_study = Launched("kubernetes", "co2", "CO2", at=0.0)  # of another sweep whose name gives the same
    assert SYSTEM.state(of_study).word == "Replaced"
    SYSTEM.stop(of_study)
    assert cluster.requests == []
    SYSTEM.stop(second)
    assert cluster.job("co2")["spec"]["suspend"] is True


def test_a_rayjob_that_takes_the_name_while_the_old_one_is_ended_goes_on(cluster, submit, monkeypatch):
    launched, get = submit(), Kubectl.get

    def replaced(self, name):
        found = get(self, name)
        cluster.job("co2")["metadata"]["uid"] = "another"
        return found

    monkeypatch.setattr(Kubectl, "get", replaced)
    fault = refused(SYSTEM.stop, launched)
    assert (fault.code, "metadata.uid: Invalid value" in fault.values["why"]) == ("kubernetes-refused", True)
    assert not cluster.job("co2")["spec"].get("suspend")


def test_a_cluster_that_does_not_answer_as_wished_is_told(cluster, submit, monkeypatch, tmp_path):
    launched = submit()
    cluster.forbidden = 'rayjobs.ray.io "co2" is forbidden: User "ann" cannot get resource'
    state = SYSTEM.state(launched)
    assert (state.phase, state.lives) == ("unknown", True)
    assert 'User "ann" cannot get resource' in state.reason
    assert "memcache" not in state.reason
    cluster.forbidden = ""
    cluster.has_kuberay = False
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path / "another"))
    assert refused(lambda: submit(name="new")).code == "kuberay-missing"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(lambda: submit(name="new")).code == "kubectl-missing"


def test_a_launch_that_was_cut_off_is_found_by_its_new_rayjob(cluster, submit, tmp_path):
    first = submit()
    cluster.play("co2", jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    request = launches.request(home=str(tmp_path / "a"))
    intent = SYSTEM.intend(request)
    assert SYSTEM.find(intent) is None, "the one that is there was there before"
    made = SYSTEM.submit(request, SYSTEM.render(request), intent)
    assert SYSTEM.find(intent) == made
    assert made.where["uid"] not in ("", first.where["uid"])
    cluster.forbidden = "no"
    assert refused(SYSTEM.find, intent).code == "kubernetes-refused"
