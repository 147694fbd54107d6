"""The room that a cluster may grow to, as its autoscaler's configuration says it in each of its places."""

import inspect
import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import growing
import pytest
import ray
from ray import NodeID
from ray._private import services, state, worker
from ray.autoscaler._private.kuberay import node_provider
from ray.autoscaler._private.util import format_readonly_node_type
from ray.core.generated.autoscaler_pb2 import ClusterConfig

from cluster.ray_backend import private_patches, room
from cluster.ray_backend.room import NO_BOUND, Growth, NodeType

SMALL, LARGE = NodeType("small", 4, 0, 3), NodeType("large", 8, 2, 2)


@pytest.mark.parametrize(
    ("types", "most", "cpus", "gpus", "slots"),
    [
        ((SMALL,), 99, 1, 0.0, 12),
        ((SMALL,), 99, 3, 0.0, 3),
        ((SMALL,), 99, 5, 0.0, 0),
        ((SMALL,), 99, 1, 1.0, 0),
        ((SMALL, LARGE), 99, 1, 0.5, 8),
        ((SMALL, LARGE), 99, 2, 0.0, 14),
        ((SMALL, LARGE), 3, 2, 0.0, 10),  # two large ones and one small
        ((SMALL, LARGE), 1, 1, 1.0, 2),
        ((), 99, 1, 0.0, 0),
    ],
)
def test_room_that_types_have(types, most, cpus, gpus, slots):
    assert Growth(types, most).room(cpus, gpus) == slots


def test_a_type_says_what_it_has():
    assert [str(each) for each in (SMALL, LARGE)] == ["small with 4 CPUs", "large with 8 CPUs and 2 GPUs"]


@pytest.fixture
def said(monkeypatch):
    """Makes a cluster whose head says this; what `room.growth` reads there, and whether it asked on the head's host."""

    def act(*, reported=None, status=None, declared=None, joined=True):
        asked = []
        client = SimpleNamespace(internal_kv_get=lambda *_, **__: status and json.dumps(status).encode())
        monkeypatch.setattr(state.state, "get_cluster_config", lambda: reported)
        monkeypatch.setattr(worker.global_worker, "gcs_client", client, raising=False)
        monkeypatch.setattr(private_patches, "declared_here", lambda head: asked.append(head) or declared)
        head = {"Alive": True, "NodeID": "1", "Resources": {"node:__internal_head__": 1.0}}
        monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "NodeID": "2", "Resources": {}}, *[head] * joined])
        here = SimpleNamespace(gcs_address="head:6379", get_node_id=lambda: "1")
        monkeypatch.setattr(ray, "get_runtime_context", lambda: here)
        return room.growth(ray), asked

    return act


def test_types_that_the_head_knows(said):
    reported = ClusterConfig()
    for name, cpus, most in (("few", 4, 2), ("many", 8, -1), ("none", 8, 0)):
        reported.node_group_configs.add(name=name, max_count=most).resources["CPU"] = cpus
    found, asked = said(reported=reported)
    assert found == Growth((NodeType("few", 4, 0, 2), NodeType("many", 8, 0, NO_BOUND)), NO_BOUND)
    assert asked == []


def test_a_plain_cluster_is_known_without_a_question_to_the_heads_host(said):
    found, asked = said(
        status={"autoscaler_report": {"active_nodes": {f"node_{'ab12' * 14}": 1, f"node_{'c' * 56}": 1}}}
    )
    assert (found, asked) == (None, [])


def test_the_types_of_a_plain_cluster_are_named_as_they_are_looked_for():
    assert private_patches.LOOKED_AT.fullmatch(format_readonly_node_type(NodeID.from_random().hex()))


def test_a_cluster_whose_types_are_called_as_nodes_are_can_grow(said):
    declared = {"types": {"node_large": ({"CPU": 8, "GPU": 2}, 2)}, "most": 5}
    status = {"autoscaler_report": {"active_nodes": {"node_head": 1}}}
    assert said(status=status, declared=declared) == (Growth((replace(LARGE, name="node_large"),), 5), ["head:6379"])


def test_a_cluster_whose_head_has_not_joined_yet_may_grow(said):
    found, asked = said(joined=False)
    assert (found, asked) == (Growth((), NO_BOUND, "the head has not joined its cluster yet"), [])
    assert found.may_have(64, 8)


def test_types_of_the_autoscalers_own_file(said):
    declared = {"types": {"large": ({"CPU": 8, "GPU": 2}, 2), "none": ({"CPU": 1}, 0)}, "most": 5}
    for status in (None, {"autoscaler_report": None}, {"autoscaler_report": {"active_nodes": {"ray.head.default": 1}}}):
        found, asked = said(status=status, declared=declared)
        assert (found, asked) == (Growth((LARGE,), 5), ["head:6379"])


def test_a_cluster_without_types_can_not_grow_and_one_whose_types_can_not_be_read_may(said):
    assert said(declared=None)[0] is None
    assert said(declared={"types": {"none": ({"CPU": 1}, 0)}, "most": 5})[0] is None
    found, _ = said(declared={"types": {}, "most": None, "why": "PermissionError: no"})
    assert found == Growth((), NO_BOUND, "PermissionError: no")


# --- where the autoscaler reads them: while these pass, the patch fits the Ray that is installed

UNTIL_TOLD = "import sys; print('here', flush=True); sys.stdin.read()"


@pytest.fixture
def monitor(tmp_path):
    """A process with the command line of Ray's own, for a configuration."""
    started = []

    def act(config):
        file = tmp_path / "autoscaler.yaml"
        file.write_text(config if isinstance(config, str) else json.dumps(config))
        script = tmp_path / "monitor.py"
        script.write_text(UNTIL_TOLD)
        words = [sys.executable, script, "--gcs-address=10.0.0.7:63791", f"--autoscaling-config={file}"]
        started.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        started[-1].stdout.readline()

    yield act
    for each in started:
        each.communicate()


def test_the_autoscalers_file_is_found_by_its_process_and_read_as_ray_reads_it(monitor):
    assert private_patches.declared_here("10.0.0.7:63791") is None
    types = {"small": growing.Type(cpus=4, most=3), "large": growing.Type(cpus=8, gpus=2, most=2)}
    config = growing.configuration("10.0.0.7:63791", types, most=5)
    del config["available_node_types"]["large"]["max_workers"]
    monitor(config)
    assert private_patches.declared_here("10.0.0.7:63792") is None, "another cluster's"
    found = private_patches.declared_here("10.0.0.7:63791")
    rows = {name: (row["CPU"], row.get("GPU", 0), most) for name, (row, most) in found["types"].items()}
    assert rows == {"small": (4, 0, 3), "large": (8, 2, 5)}, "a type without a maximum has that of all"
    assert found["most"] == 5


def test_why_the_types_can_not_be_read_is_told(monitor):
    monitor("{")
    found = private_patches.declared_here("10.0.0.7:63791")
    assert (found["types"], found["most"]) == ({}, None)
    assert found["why"].startswith("ParserError: ")


def test_the_autoscalers_command_line_is_as_it_is_looked_for():
    assert "--gcs-address={gcs_address}" in inspect.getsource(services.start_monitor)
    assert "--autoscaling-config=" in inspect.getsource(services.start_monitor)
    assert '"monitor.py"' in inspect.getsource(services.start_monitor)


def group(name, cpus, most, gpus=0):
    limits = {"cpu": str(cpus), "memory": "4Gi"} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
    pod = {"spec": {"containers": [{"resources": {"limits": limits}}]}}
    return {"groupName": name, "minReplicas": 0, "maxReplicas": most, "rayStartParams": {}, "template": pod}


def test_a_kuberay_clusters_groups_are_its_types(monkeypatch, tmp_path):
    head = group("", 2, 0) | {"rayStartParams": {"num-cpus": "0"}}
    spec = {"headGroupSpec": head, "workerGroupSpecs": [group("small", 4, 3), group("large", 8, 2, gpus=2)]}
    served = {"metadata": {"name": "a", "namespace": "n"}, "spec": {"enableInTreeAutoscaling": True, **spec}}
    asked = []

    class Client:
        def __init__(self, namespace):
            self.namespace = namespace

        def get(self, path):
            asked.append((self.namespace, path))
            return served

    monkeypatch.setattr(node_provider, "KubernetesHttpApiClient", Client)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.1.0.1")
    monkeypatch.setenv("RAY_CLUSTER_NAME", "a")
    monkeypatch.setenv("RAY_CLUSTER_NAMESPACE", "n")
    monkeypatch.setattr(private_patches, "ACCOUNT", tmp_path)
    found = private_patches.declared_here("10.0.0.7:63791")
    assert (found["types"], "no token" in found["why"], asked) == ({}, True, []), "a lost node may come again"
    (tmp_path / "token").touch()
    found = private_patches.declared_here("10.0.0.7:63791")
    assert asked == [("n", "rayclusters/a")]
    assert {name: (row["CPU"], row.get("GPU", 0), most) for name, (row, most) in found["types"].items()} == {
        "small": (4, 0, 3),
        "large": (8, 2, 2),
    }
    assert found["most"] == 5
    served["spec"]["enableInTreeAutoscaling"] = False
    assert private_patches.declared_here("10.0.0.7:63791") is None
