"""Each rule of KubeRay's own code: a manifest that keeps it, and one that breaks it."""

import copy

import launches
import pytest

from cluster.launch.kubernetes import manifest
from cluster.launch.kubernetes.documents import documents
from cluster.launch.kubernetes.rules import broken

GROWS = documents(manifest.render(launches.request()))[1]
FIXED = documents(manifest.render(launches.request(queue="gpus")))[1]
CLUSTER = "spec.rayClusterSpec"
HEAD, GROUP = f"{CLUSTER}.headGroupSpec", f"{CLUSTER}.workerGroupSpecs.0"
V2 = {"name": "RAY_enable_autoscaler_v2", "value": "true"}


def changed(job, **fields):
    """A copy with fields set, by their path with two underscores for a dot; None takes a field away."""
    made = copy.deepcopy(job)
    for path, value in fields.items():
        *way, last = path.split("__")
        node = made
        for step in way:
            node = node[int(step)] if isinstance(node, list) else node.setdefault(step, {})
        if value is None:
            node.pop(last, None)
        else:
            node[last] = value
    return made


def found(job):
    return [(each.code, each.path, *each.values.values()) for each in broken([job])]


@pytest.mark.parametrize("job", [GROWS, FIXED])
def test_our_own_manifests_keep_each_rule(job):
    assert found(job) == []


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"metadata__name": "a" * 48}, ("kuberay-name", "metadata.name", "a" * 48, "RayJob", 47)),
        ({"metadata__name": "Co2"}, ("kuberay-name", "metadata.name", "Co2", "RayJob", 47)),
        ({"metadata__name": "2co"}, ("kuberay-name", "metadata.name", "2co", "RayJob", 47)),
        ({"metadata__name": "a-"}, ("kuberay-name", "metadata.name", "a-", "RayJob", 47)),
        ({"spec__backoffLimit": -1}, ("kuberay-too-small", "spec.backoffLimit", -1, 0)),
        ({"spec__activeDeadlineSeconds": 0}, ("kuberay-too-small", "spec.activeDeadlineSeconds", 0, 1)),
        ({"spec__preRunningDeadlineSeconds": 0}, ("kuberay-too-small", "spec.preRunningDeadlineSeconds", 0, 1)),
        ({"spec__ttlSecondsAfterFinished": -1}, ("kuberay-too-small", "spec.ttlSecondsAfterFinished", -1, 0)),
        (
            {"spec__shutdownAfterJobFinishes": False},
            ("kuberay-needs", "spec", "ttlSecondsAfterFinished", "shutdownAfterJobFinishes"),
        ),
        (
            {"spec__shutdownAfterJobFinishes": False, "spec__ttlSecondsAfterFinished": 0, "spec__suspend": True},
            ("kuberay-needs", "spec", "suspend", "shutdownAfterJobFinishes"),
        ),
        (
            {"spec__submissionMode": "InteractiveMode"},
            ("kuberay-excludes", "spec", "backoffLimit", "submissionMode: InteractiveMode"),
        ),
        (
            {"spec__clusterSelector": {"ray.io/cluster": "c"}},
            ("kuberay-excludes", "spec", "backoffLimit", "clusterSelector"),
        ),
        (
            {"spec__clusterSelector": {"x": "c"}, "spec__backoffLimit": 0},
            ("kuberay-needs", "spec", "clusterSelector", "clusterSelector.ray.io/cluster"),
        ),
        (
            {"spec__clusterSelector": {"ray.io/cluster": "c"}, "spec__backoffLimit": 0, "spec__suspend": True},
            ("kuberay-excludes", "spec", "clusterSelector", "suspend"),
        ),
        (
            {"spec__submissionMode": "SidecarMode", "spec__submitterConfig": None},
            ("kuberay-excludes", "spec", "submitterPodTemplate", "submissionMode: SidecarMode"),
        ),
        (
            {"spec__submissionMode": "SidecarMode", "spec__submitterPodTemplate": None},
            ("kuberay-excludes", "spec", "submitterConfig", "submissionMode: SidecarMode"),
        ),
        (
            {
                "spec__deletionStrategy": {
                    "deletionRules": [{"policy": "DeleteCluster", "condition": {"jobStatus": "FAILED"}}]
                }
            },
            ("kuberay-excludes", "spec", "deletionStrategy.deletionRules", "shutdownAfterJobFinishes"),
        ),
        (
            {
                "spec__shutdownAfterJobFinishes": None,
                "spec__ttlSecondsAfterFinished": None,
                "spec__deletionStrategy": {
                    "deletionRules": [{"policy": "DeleteWorkers", "condition": {"jobStatus": "FAILED"}}]
                },
            },
            (
                "kuberay-excludes",
                "spec",
                "deletionStrategy.deletionRules.0: DeleteWorkers",
                "rayClusterSpec.enableInTreeAutoscaling",
            ),
        ),
        (
            {"spec__deletionStrategy": {"onSuccess": {"policy": "DeleteCluster"}}},
            ("kuberay-needs", "spec", "deletionStrategy", "deletionStrategy.deletionRules"),
        ),
        (
            {
                "spec__shutdownAfterJobFinishes": None,
                "spec__ttlSecondsAfterFinished": None,
                "spec__deletionStrategy": {"deletionRules": [{"policy": "DeleteSelf", "condition": {}}]},
            },
            (
                "kuberay-needs",
                "spec",
                "deletionStrategy.deletionRules.0",
                "one of condition.jobStatus and condition.jobDeploymentStatus",
            ),
        ),
        ({"spec__rayClusterSpec": None}, ("kuberay-needs", "spec", "entrypoint", "rayClusterSpec")),
    ],
)
def test_a_job_that_breaks_a_rule_is_found(fields, wanted):
    assert found(changed(GROWS, **fields)) == [wanted]


@pytest.mark.parametrize(
    ("job", "fields", "wanted"),
    [
        (
            GROWS,
            {"headGroupSpec__template__spec__containers": []},
            ("kuberay-no-container", f"{HEAD}.template.spec.containers"),
        ),
        (
            GROWS,
            {"workerGroupSpecs__0__template__spec__containers": []},
            ("kuberay-no-container", f"{GROUP}.template.spec.containers"),
        ),
        (
            GROWS,
            {"headGroupSpec__resources": {"CPU": "1"}},
            ("kuberay-excludes", HEAD, "resources", "rayStartParams"),
        ),
        (
            GROWS,
            {"workerGroupSpecs__0__rayStartParams__labels": "a=b"},
            ("kuberay-excludes", GROUP, "rayStartParams.labels", "labels"),
        ),
        (GROWS, {"workerGroupSpecs__0__labels": {"a/b/c": "d"}}, ("kubernetes-label", f"{GROUP}.labels", "a/b/c", "d")),
        (
            FIXED,
            {"workerGroupSpecs__0__minReplicas": None},
            ("kuberay-needs", GROUP, "a group of fixed size", "minReplicas and maxReplicas"),
        ),
        (GROWS, {"workerGroupSpecs__0__minReplicas": 2}, ("kuberay-too-small", f"{GROUP}.maxReplicas", 1, 2)),
        (GROWS, {"workerGroupSpecs__0__minReplicas": -1}, ("kuberay-too-small", f"{GROUP}.minReplicas", -1, 0)),
        (
            GROWS,
            {"headGroupSpec__template__spec__restartPolicy": "Always"},
            ("kuberay-restart-policy", f"{HEAD}.template.spec.restartPolicy", "Always"),
        ),
        (
            GROWS,
            {"workerGroupSpecs__0__template__spec__restartPolicy": "OnFailure"},
            ("kuberay-restart-policy", f"{GROUP}.template.spec.restartPolicy", "OnFailure"),
        ),
        (
            GROWS,
            {"headGroupSpec__template__spec__containers__0__env": [V2]},
            ("kuberay-excludes", CLUSTER, "autoscalerOptions.version", V2["name"]),
        ),
        (
            FIXED,
            {"headGroupSpec__template__spec__containers__0__env": [V2]},
            ("kuberay-needs", CLUSTER, V2["name"], "enableInTreeAutoscaling"),
        ),
        (
            FIXED,
            {"workerGroupSpecs__0__idleTimeoutSeconds": 60},
            ("kuberay-needs", GROUP, "idleTimeoutSeconds", "autoscalerOptions.version: v2"),
        ),
        (
            GROWS,
            {"autoscalerOptions__idleTimeoutSeconds": -1},
            ("kuberay-too-small", f"{CLUSTER}.autoscalerOptions.idleTimeoutSeconds", -1, 0),
        ),
        (
            GROWS,
            {"autoscalerOptions__env": [{"name": "KUBERAY_GEN_AUTOSCALER_START_CMD", "value": "x"}]},
            ("kuberay-own-variable", f"{CLUSTER}.autoscalerOptions.env", "KUBERAY_GEN_AUTOSCALER_START_CMD"),
        ),
        (
            GROWS,
            {"workerGroupSpecs__0__suspend": True},
            ("kuberay-excludes", GROUP, "suspend", "enableInTreeAutoscaling"),
        ),
        (GROWS, {"rayVersion": "2.51.9"}, ("kuberay-ray-version", f"{CLUSTER}.authOptions", "2.51.9", "2.52.0")),
        (GROWS, {"rayVersion": ""}, ("kuberay-ray-version", f"{CLUSTER}.authOptions", "", "2.52.0")),
        (
            GROWS,
            {"authOptions__enableK8sTokenAuth": True},
            ("kuberay-excludes", f"{CLUSTER}.authOptions", "enableK8sTokenAuth", "kind: RayJob"),
        ),
        (GROWS, {"tlsOptions": {"enabled": True}}, ("kuberay-gate", f"{CLUSTER}.tlsOptions", "RayClusterMTLS")),
        (
            GROWS,
            {"networkPolicy": {"mode": "DenyAll"}},
            ("kuberay-gate", f"{CLUSTER}.networkPolicy", "RayClusterNetworkPolicy"),
        ),
        (
            GROWS,
            {"historyServerOptions": {"collectorOptions": {}}},
            ("kuberay-gate", f"{CLUSTER}.historyServerOptions", "RayClusterHistoryServer"),
        ),
        (
            GROWS,
            {"gcsFaultToleranceOptions": {"backend": "rocksdb"}},
            ("kuberay-gate", f"{CLUSTER}.gcsFaultToleranceOptions", "GCSFaultToleranceEmbeddedStorage"),
        ),
        (
            GROWS,
            {"headGroupSpec__template__spec__containers__0__env": [{"name": "RAY_REDIS_ADDRESS", "value": "r:1"}]},
            ("kuberay-needs", CLUSTER, "RAY_REDIS_ADDRESS", "gcsFaultToleranceOptions"),
        ),
        (
            GROWS,
            {"headGroupSpec__rayStartParams__redis-username": "me"},
            ("kuberay-own-variable", CLUSTER, "REDIS_USERNAME"),
        ),
    ],
)
def test_a_cluster_that_breaks_a_rule_is_found(job, fields, wanted):
    assert found(changed(job, **{f"spec__rayClusterSpec__{name}": value for name, value in fields.items()})) == [wanted]


def test_an_elastic_job_in_a_queue_of_kueue_is_found():
    job = changed(GROWS, metadata__labels={"kueue.x-k8s.io/queue-name": "gpus"})
    assert found(job) == [("kuberay-excludes", "spec", "kueue.x-k8s.io/queue-name", "enableInTreeAutoscaling")]


@pytest.mark.parametrize("value", ["my queue", "-a", "a" * 64])
def test_a_label_that_kubernetes_refuses_is_found(value):
    job = changed(FIXED, metadata__labels={"kueue.x-k8s.io/queue-name": value})
    assert found(job) == [("kubernetes-label", "metadata.labels", "kueue.x-k8s.io/queue-name", value)]


def test_other_objects_are_not_looked_at():
    assert broken([{"kind": "Secret", "metadata": {"name": "X"}}]) == []
