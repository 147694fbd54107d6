"""Writes the manifest of a sweep: a ConfigMap with the spec, and a RayJob.

Jinja's own output would let a value end a line and begin a field. So the environment writes each value as JSON,
whatever the template says: the structure of the manifest comes from the template alone.
"""

import base64
import json
import re
import socket
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

import jinja2

from cluster.launch.kubernetes import entrypoint
from cluster.launch.profile import KubernetesProfile, memory_mb
from cluster.launch.record import VARIABLE
from cluster.launch.render import environment
from cluster.launch.request import Request, Size

RAYJOB_LENGTH = 47  # characters of a RayJob's name: KubeRay makes longer names of it
LABEL = "lstm-sweeps/job"  # of all objects and pods of a launched sweep; its value is the name of the RayJob
SWEEP = "lstm-sweeps/sweep"  # annotation: the sweep's name, of which the RayJob's is made
HOME = "lstm-sweeps/home"  # annotation: the home from which the sweep was launched, as HOST:FOLDER
OWN_HOME = "/runs"  # in the pod, on a disk that goes with it: where no claim holds the home
READ_ONLY, _SHM = str(entrypoint.FILES), "/dev/shm"
OWN_FOLDERS = (_SHM, READ_ONLY, str(entrypoint.NOTES))  # of a pod
SPEC = "spec.yaml"  # key of the ConfigMap
PLAN = "plan"  # the head's init container
GRACE_S = 120  # more than `entrypoint.LEAVE_S`
START_S = 1800
_SHARE = 0.4  # of a pod's memory for /dev/shm: Ray's object store takes 30 % of the memory
_ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0"}
_NON_ROOT = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def job_name(sweep: str) -> str:
    """Return the name of a sweep's RayJob: what DNS-1035 allows of the sweep's name. Equal for each launch of it."""
    name = re.sub("[^a-z0-9]+", "-", sweep.lower()).strip("-")
    name = name if name[:1].isalpha() else f"sweep-{name}"
    return name[:RAYJOB_LENGTH].strip("-")


def render(request: Request) -> str:
    """Return the manifest of a request; nothing is asked or written."""
    return _template().render(_values(request))


def home_in_pod(request: Request) -> str:
    """Return the home as the driver has it: the same path if a claim holds it, else one that goes with the pod."""
    profile = _profile(request)
    return request.home if is_held(request.home, profile) else OWN_HOME


def is_held(path: str, profile: KubernetesProfile) -> bool:
    """Return whether one of the profile's claims holds a path."""
    return any(PurePosixPath(path).is_relative_to(each.path) for each in profile.claims)


def files_name(job: str) -> str:
    """Return the name of the ConfigMap of a RayJob."""
    return f"{job}-files"


def home_of(request: Request) -> str:
    """Return the home from which a sweep is launched, as its objects have it."""
    return f"{socket.gethostname()}:{request.home}"


def _values(request: Request) -> dict[str, Any]:
    profile, name, size = _profile(request), job_name(request.name), request.size
    labels = {LABEL: name}
    queued = {"kueue.x-k8s.io/queue-name": profile.queue} if profile.queue else {}
    if profile.queue and profile.priority:
        queued["kueue.x-k8s.io/priority-class"] = profile.priority
    return {
        "sweep": request.name,
        "uploads": request.uploads,
        "name": name,
        "namespace": profile.namespace,
        "files_name": files_name(name),
        **_travelling(_files(request)),
        "labels": labels,
        "annotations": {SWEEP: request.name, HOME: home_of(request)},
        "queue_labels": labels | queued,
        "queue": profile.queue,
        "retries": profile.retries,
        "start_s": START_S,
        "time_s": size.time_s,
        "image": profile.image,
        "pull_secrets": [{"name": each} for each in profile.image_pull_secrets],
        "ray_version": version("ray"),
        "pod_security": _pod_security(profile.user),
        "container_security": _NON_ROOT,
        "submitter_resources": _resources(1, 1024),
        "autoscaler_resources": _resources(1, 1024),
        **_head(request, profile, name),
        **_workers(profile, size),
    }


def _head(request: Request, profile: KubernetesProfile, name: str) -> dict[str, Any]:
    memory = memory_mb(profile.head_memory)
    variables = {
        **_ENVIRONMENT,
        # Ray kills a job 3 s after it was asked to end; a driver that keeps its last epochs may take longer.
        "RAY_JOB_STOP_WAIT_TIME_S": str(int(entrypoint.LEAVE_S)),
        VARIABLE: f"{request.system}:{name}",
        **profile.environment,
    }
    volumes, mounts = _volumes(profile, memory)
    return {
        "grace_s": GRACE_S,
        "plan": PLAN,
        "head_environment": _pairs(variables),
        "head_secrets": _from([*profile.secrets, *profile.driver_secrets]),
        "head_volumes": [
            *volumes,
            {"name": "files", "configMap": {"name": files_name(name)}},
            {"name": "notes", "emptyDir": {}},
            {"name": "home", "emptyDir": {}},
        ],
        "head_mounts": [*mounts, *_file_mounts(request)],
        "head_resources": _resources(profile.head_cpus, memory),
    }


def _workers(profile: KubernetesProfile, size: Size) -> dict[str, Any]:
    memory = size.memory_mb or 0
    volumes, mounts = _volumes(profile, memory)
    gpus = {profile.gpu_resource: size.gpus} if size.gpus else {}
    return {
        "least": size.nodes if profile.queue else 0,
        "nodes": size.nodes,
        "environment": _pairs({**_ENVIRONMENT, **profile.environment}),
        "secrets": _from(profile.secrets),
        "worker_volumes": volumes,
        "worker_mounts": mounts,
        "worker_resources": _resources(size.cpus, memory, gpus),
        # KubeRay and Ray count GPUs by the end of the resource's name, which nvidia.com/mig-1g.5gb does not have.
        "worker_start": {"num-gpus": str(size.gpus)} if size.gpus else {},
        "node_selector": dict(profile.node_selector),
        "tolerations": _tolerations(profile, size.gpus),
    }


def _volumes(profile: KubernetesProfile, memory: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes of every pod of the cluster, and where they are mounted."""
    volumes: list[dict[str, Any]] = [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _mib(_SHARE * memory)}}
    ]
    mounts: list[dict[str, Any]] = [{"name": "shm", "mountPath": _SHM}]
    for number, claim in enumerate(profile.claims):
        volumes.append({"name": f"claim-{number}", "persistentVolumeClaim": {"claimName": claim.name}})
        mounts.append({"name": f"claim-{number}", "mountPath": claim.path})
    return volumes, mounts


def _travelling(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Return the files as a ConfigMap keeps them, each to the byte: as text if they are UTF-8, else in base64."""
    texts, binaries = dict[str, str](), dict[str, str]()
    for key, content in files.items():
        try:
            texts[key] = content.decode()
        except UnicodeDecodeError:
            binaries[key] = base64.b64encode(content).decode()
    return {"texts": texts, "binaries": binaries}


def _files(request: Request) -> dict[str, bytes]:
    """Return the files of the ConfigMap by their key. Python knows the user's code by the digest of its bytes."""
    options = ["--home", home_in_pod(request)]
    options += [word for each in request.overrides for word in ("--set", each)]
    options += ["--code", request.code] if request.code else []
    commands = {
        "plan": ["sweep", "plan", request.named, *options],
        "run": ["sweep", "run", request.named, "--address", "auto", *options],
    }
    return {
        SPEC: request.spec_text.encode(),
        entrypoint.COMMAND: f"{json.dumps(commands, indent=1)}\n".encode(),
        "entrypoint.py": Path(entrypoint.__file__).read_bytes(),
        **{key: Path(path).read_bytes() for key, path in _code(request)},
    }


def _file_mounts(request: Request) -> list[dict[str, Any]]:
    """Return what the head alone mounts. Spec and code have the paths that they have here, so relative paths fit."""
    spec = [(SPEC, path) for need, path in request.needs if need == "spec"]
    return [
        {"name": "files", "mountPath": str(entrypoint.FILES)},
        {"name": "notes", "mountPath": str(entrypoint.NOTES)},
        *([] if is_held(OWN_HOME, _profile(request)) else [{"name": "home", "mountPath": OWN_HOME}]),
        *({"name": "files", "mountPath": path, "subPath": key} for key, path in (*spec, *_code(request))),
    ]


def _code(request: Request) -> list[tuple[str, str]]:
    """Return the user's own files, each with its key in the ConfigMap."""
    paths = dict.fromkeys(path for need, path in request.needs if need == "code")
    return [(f"code-{number}.py", path) for number, path in enumerate(paths)]


def _tolerations(profile: KubernetesProfile, gpus: int) -> list[dict[str, Any]]:
    """Return the taints that a worker's pod bears: of GPU nodes, of Spot nodes if asked for, and the profile's."""
    found: list[dict[str, Any]] = []
    if gpus:
        found.append({"key": profile.gpu_resource, "operator": "Exists", "effect": "NoSchedule"})
    if profile.spot:
        found += [
            {"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
            {"key": "kubernetes.azure.com/scalesetpriority", "operator": "Equal", "value": "spot"},
        ]
    return found + [each.model_dump(exclude_none=True) for each in profile.tolerations]


def _resources(cpus: int, memory: int, more: Mapping[str, int] | None = None) -> dict[str, Any]:
    amount = {"cpu": str(cpus), "memory": _mib(memory), **{name: str(number) for name, number in (more or {}).items()}}
    return {"requests": amount, "limits": amount}


def _pod_security(user: int) -> dict[str, Any]:
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _mib(memory: float) -> str:
    return f"{int(memory)}Mi"


def _pairs(environment: Mapping[str, str]) -> list[dict[str, str]]:
    # Kubernetes fills in $(NAME), and makes one dollar of two.
    return [{"name": name, "value": value.replace("$", "$$")} for name, value in environment.items()]


def _from(secrets: list[str]) -> list[dict[str, Any]]:
    return [{"secretRef": {"name": each}} for each in secrets]


def _profile(request: Request) -> KubernetesProfile:
    assert isinstance(request.profile, KubernetesProfile)
    return request.profile


class _Written(str):
    """What a filter has written, to be put into the manifest as it is."""

    __slots__ = ()


def scalar(value: object) -> str:
    """Return a value as JSON on one line, with YAML's escapes for what YAML allows nowhere else."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises, and says which name it is
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)


def block(text: str, indent: int) -> str:
    """Return a text as a literal block, which people can read; as JSON if the block would not hold it to the letter.

    Args:
        text: The text.
        indent: How far the key is indented.
    """
    lines = text.split("\n")
    if lines[-1] or not any(lines) or not all(line.replace("\t", "").isprintable() for line in lines):
        return _Written(scalar(text))
    return _Written("\n".join(["|2+", *(f"{' ' * (indent + 2)}{line}" if line else "" for line in lines[:-1])]))


def _finalize(value: object) -> str:
    return value if isinstance(value, _Written) else scalar(value)


@cache
def _template() -> jinja2.Template:
    made = environment(Path(__file__).parent, _finalize)
    made.filters["block"] = block
    return made.get_template("rayjob.yaml.j2")
