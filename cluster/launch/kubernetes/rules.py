"""Rules that KubeRay 1.7 checks only once it has a RayJob, which then stays in the state ValidationFailed.

The schema of a RayJob can't say them: they are in KubeRay's own code.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cluster.launch.kubernetes.documents import Document
from lstm.records.errors import Fault, fault

MOST = {"RayJob": 47, "RayCluster": 53}  # characters of a name
_NAME = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile("([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_LABEL_LENGTH = 63
_RAY_RESOURCES = ("num-cpus", "num-gpus", "memory", "resources")
_GATES = {  # fields of a cluster behind a gate that is off by default
    "networkPolicy": "RayClusterNetworkPolicy",
    "tlsOptions": "RayClusterMTLS",
    "historyServerOptions": "RayClusterHistoryServer",
}
_V2 = "RAY_enable_autoscaler_v2"
_TOKEN_SINCE = (2, 52)


def broken(documents: Sequence[Document]) -> list[Fault]:
    """Return a fault for each rule that a document breaks; what KubeRay has no part in is not looked at."""
    found: list[Fault] = []
    for each in documents:
        kind, spec = each.get("kind"), each.get("spec") or {}
        if kind in MOST:
            found += _named(kind, each)
        if kind == "RayJob":
            found += [*_job(spec), *_deletion(spec), *_submission(spec)]
        cluster = spec.get("rayClusterSpec") if kind == "RayJob" else spec if kind == "RayCluster" else None
        if cluster:
            path = "spec.rayClusterSpec" if kind == "RayJob" else "spec"
            found += [*_groups(path, cluster), *_scaling(path, cluster), *_access(path, cluster, kind == "RayJob")]
            found += _redis(path, cluster, each)
        found += _queued(each, cluster or {})
    return found


def _named(kind: str, document: Document) -> Iterator[Fault]:
    name = str((document.get("metadata") or {}).get("name", ""))
    if not _NAME.fullmatch(name) or len(name) > MOST[kind]:
        yield fault("kuberay-name", "metadata.name", name=name, kind=kind, most=MOST[kind])


def _job(spec: Mapping[str, Any]) -> Iterator[Fault]:
    selects = bool(spec.get("clusterSelector"))
    shuts_down = bool(spec.get("shutdownAfterJobFinishes"))
    if not selects and not spec.get("rayClusterSpec"):
        yield _needs("entrypoint", "rayClusterSpec")
    if selects and spec.get("suspend"):
        yield _excludes("clusterSelector", "suspend")
    if selects and not spec["clusterSelector"].get("ray.io/cluster"):
        yield _needs("clusterSelector", "clusterSelector.ray.io/cluster")
    if spec.get("suspend") and not shuts_down:
        yield _needs("suspend", "shutdownAfterJobFinishes")
    if spec.get("ttlSecondsAfterFinished", 0) > 0 and not shuts_down:
        yield _needs("ttlSecondsAfterFinished", "shutdownAfterJobFinishes")
    for name, least in (
        ("ttlSecondsAfterFinished", 0),
        ("backoffLimit", 0),
        ("activeDeadlineSeconds", 1),
        ("preRunningDeadlineSeconds", 1),
    ):
        yield from _at_least(f"spec.{name}", spec.get(name), least)


def _submission(spec: Mapping[str, Any]) -> Iterator[Fault]:
    mode, selects = spec.get("submissionMode", "K8sJobMode"), bool(spec.get("clusterSelector"))
    if spec.get("backoffLimit", 0) > 0:
        if selects:
            yield _excludes("backoffLimit", "clusterSelector")
        if mode == "InteractiveMode":
            yield _excludes("backoffLimit", "submissionMode: InteractiveMode")
    if mode == "SidecarMode":
        for name in ("clusterSelector", "submitterPodTemplate", "submitterConfig"):
            if spec.get(name):
                yield _excludes(name, "submissionMode: SidecarMode")
        yield from _never("spec.rayClusterSpec.headGroupSpec", (spec.get("rayClusterSpec") or {}).get("headGroupSpec"))


def _deletion(spec: Mapping[str, Any]) -> Iterator[Fault]:
    strategy = spec.get("deletionStrategy")
    if strategy is None:
        return
    rules, path = strategy.get("deletionRules") or [], "deletionStrategy.deletionRules"
    earlier = [name for name in ("onSuccess", "onFailure") if strategy.get(name)]
    if rules and spec.get("shutdownAfterJobFinishes"):
        yield _excludes(path, "shutdownAfterJobFinishes")
    if rules and earlier:
        yield _excludes(path, f"deletionStrategy.{earlier[0]}")
    if not rules and len(earlier) != 2:
        yield _needs("deletionStrategy", path)
    policies = [(f"{path}.{number}", rule.get("policy")) for number, rule in enumerate(rules)]
    policies += [(f"deletionStrategy.{name}", strategy[name].get("policy")) for name in earlier]
    grows = (spec.get("rayClusterSpec") or {}).get("enableInTreeAutoscaling")
    for place, policy in policies:
        if policy == "DeleteWorkers" and grows:
            yield _excludes(f"{place}: DeleteWorkers", "rayClusterSpec.enableInTreeAutoscaling")
        if policy in ("DeleteWorkers", "DeleteCluster") and spec.get("clusterSelector"):
            yield _excludes(f"{place}: {policy}", "clusterSelector")
    for number, rule in enumerate(rules):
        condition = rule.get("condition") or {}
        if len({"jobStatus", "jobDeploymentStatus"} & set(condition)) != 1:
            yield _needs(f"{path}.{number}", "one of condition.jobStatus and condition.jobDeploymentStatus")
        yield from _at_least(f"spec.{path}.{number}.condition.ttlSeconds", condition.get("ttlSeconds"), 0)


def _groups(path: str, cluster: Mapping[str, Any]) -> Iterator[Fault]:
    for place, group in _each_group(path, cluster):
        if not _pod(group).get("containers"):
            yield fault("kuberay-no-container", f"{place}.template.spec.containers")
        started = group.get("rayStartParams") or {}
        if group.get("resources") and any(started.get(each) for each in _RAY_RESOURCES):
            yield fault("kuberay-excludes", place, field="resources", other="rayStartParams")
        if "labels" in started:
            yield fault("kuberay-excludes", place, field="rayStartParams.labels", other="labels")
        yield from _labels(f"{place}.labels", group.get("labels") or {})
    for number, group in enumerate(cluster.get("workerGroupSpecs") or []):
        place = f"{path}.workerGroupSpecs.{number}"
        least, most = group.get("minReplicas"), group.get("maxReplicas")
        if not cluster.get("enableInTreeAutoscaling") and (least is None or most is None):
            yield fault("kuberay-needs", place, field="a group of fixed size", needed="minReplicas and maxReplicas")
        yield from _at_least(f"{place}.minReplicas", least, 0)
        yield from _at_least(f"{place}.maxReplicas", most, least or 0)


def _scaling(path: str, cluster: Mapping[str, Any]) -> Iterator[Fault]:
    grows, options = bool(cluster.get("enableInTreeAutoscaling")), cluster.get("autoscalerOptions") or {}
    environment = _environment(cluster.get("headGroupSpec"))
    is_v2 = grows and options.get("version") == "v2"
    if not grows and environment.get(_V2) in ("1", "true"):
        yield fault("kuberay-needs", path, field=_V2, needed="enableInTreeAutoscaling")
    if grows and options.get("version") and _V2 in environment:
        yield fault("kuberay-excludes", path, field="autoscalerOptions.version", other=_V2)
    if any(each.get("name") == "KUBERAY_GEN_AUTOSCALER_START_CMD" for each in options.get("env") or []):
        yield fault("kuberay-own-variable", f"{path}.autoscalerOptions.env", name="KUBERAY_GEN_AUTOSCALER_START_CMD")
    yield from _at_least(f"{path}.autoscalerOptions.idleTimeoutSeconds", options.get("idleTimeoutSeconds"), 0)
    for place, group in _each_group(path, cluster):
        if is_v2:
            yield from _never(place, group)
        if group.get("suspend") and grows:
            yield fault("kuberay-excludes", place, field="suspend", other="enableInTreeAutoscaling")
        for name in ("idleTimeoutSeconds", "priority"):
            if group.get(name) is not None and not (is_v2 or environment.get(_V2) in ("1", "true")):
                yield fault("kuberay-needs", place, field=name, needed="autoscalerOptions.version: v2")
        yield from _at_least(f"{place}.idleTimeoutSeconds", group.get("idleTimeoutSeconds"), 0)


def _access(path: str, cluster: Mapping[str, Any], is_job: bool) -> Iterator[Fault]:
    options = cluster.get("authOptions") or {}
    place, text = f"{path}.authOptions", str(cluster.get("rayVersion", ""))
    if options.get("enableK8sTokenAuth") and is_job:
        yield fault("kuberay-excludes", place, field="enableK8sTokenAuth", other="kind: RayJob")
    if options and options.get("mode", "token") == "token":
        parts = re.match(r"v?(\d+)\.(\d+)", text)
        if not parts or (int(parts[1]), int(parts[2])) < _TOKEN_SINCE:
            yield fault("kuberay-ray-version", place, version=text, least=".".join(map(str, (*_TOKEN_SINCE, 0))))
    for name, gate in _GATES.items():
        if cluster.get(name):
            yield fault("kuberay-gate", f"{path}.{name}", gate=gate)


def _redis(path: str, cluster: Mapping[str, Any], document: Document) -> Iterator[Fault]:
    options, environment = cluster.get("gcsFaultToleranceOptions"), _environment(cluster.get("headGroupSpec"))
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    started = (cluster.get("headGroupSpec") or {}).get("rayStartParams") or {}
    place = f"{path}.gcsFaultToleranceOptions"
    if options is None:
        if "RAY_REDIS_ADDRESS" in environment and annotations.get("ray.io/ft-enabled") != "true":
            yield fault("kuberay-needs", path, field="RAY_REDIS_ADDRESS", needed="gcsFaultToleranceOptions")
    else:
        if options.get("backend") == "rocksdb":
            yield fault("kuberay-gate", place, gate="GCSFaultToleranceEmbeddedStorage")
        for name in ("RAY_REDIS_ADDRESS", "REDIS_PASSWORD"):
            if name in environment:
                yield fault("kuberay-excludes", path, field="gcsFaultToleranceOptions", other=name)
        if started.get("redis-password"):
            yield fault("kuberay-excludes", path, field="gcsFaultToleranceOptions", other="redis-password")
        if "ray.io/ft-enabled" in annotations:
            yield fault("kuberay-excludes", path, field="gcsFaultToleranceOptions", other="ray.io/ft-enabled")
    if "REDIS_USERNAME" in environment or started.get("redis-username"):
        yield fault("kuberay-own-variable", path, name="REDIS_USERNAME")


def _queued(document: Document, cluster: Mapping[str, Any]) -> Iterator[Fault]:
    """Kueue's own rules, which KubeRay does not know."""
    labels = (document.get("metadata") or {}).get("labels") or {}
    yield from _labels("metadata.labels", labels)
    if document.get("kind") == "RayJob" and "kueue.x-k8s.io/queue-name" in labels:
        if cluster.get("enableInTreeAutoscaling"):
            yield fault("kuberay-excludes", "spec", field="kueue.x-k8s.io/queue-name", other="enableInTreeAutoscaling")
        if not document["spec"].get("shutdownAfterJobFinishes"):
            yield fault("kuberay-needs", "spec", field="kueue.x-k8s.io/queue-name", needed="shutdownAfterJobFinishes")


def _labels(path: str, labels: Mapping[str, Any]) -> Iterator[Fault]:
    for key, value in labels.items():
        name = key.rpartition("/")[2]
        is_right = _LABEL_KEY.fullmatch(key) and len(name) <= _LABEL_LENGTH
        if not is_right or not _LABEL_VALUE.fullmatch(str(value)) or len(str(value)) > _LABEL_LENGTH:
            yield fault("kubernetes-label", path, key=key, value=str(value))


def _each_group(path: str, cluster: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield f"{path}.headGroupSpec", cluster.get("headGroupSpec") or {}
    for number, group in enumerate(cluster.get("workerGroupSpecs") or []):
        yield f"{path}.workerGroupSpecs.{number}", group


def _pod(group: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = ((group or {}).get("template") or {}).get("spec") or {}
    return found


def _environment(group: Mapping[str, Any] | None) -> dict[str, str]:
    containers = _pod(group).get("containers") or [{}]
    return {each["name"]: str(each.get("value", "")) for each in containers[0].get("env") or []}


def _never(path: str, group: Mapping[str, Any] | None) -> Iterator[Fault]:
    policy = _pod(group).get("restartPolicy", "Never")
    if policy != "Never":
        yield fault("kuberay-restart-policy", f"{path}.template.spec.restartPolicy", policy=policy)


def _at_least(path: str, value: Any, least: int) -> Iterator[Fault]:
    if value is not None and value < least:
        yield fault("kuberay-too-small", path, value=value, least=least)


def _needs(name: str, needed: str) -> Fault:
    return fault("kuberay-needs", "spec", field=name, needed=needed)


def _excludes(name: str, other: str) -> Fault:
    return fault("kuberay-excludes", "spec", field=name, other=other)
