"""What is the same for all sweeps on a cluster: the sections of a profile, and of the options that change it."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field

from lstm.config.section import Section


def _text(pattern: str, form: str, **more: Any) -> Any:
    """Return the constraint of a text; messages show its form, whatever a field's own description says."""
    return Field(pattern=pattern, description=form, json_schema_extra={"form": form}, **more)


Word = Annotated[str, _text(r"^[^\s\x00-\x1f]+$", "one word, without spaces", min_length=1)]
Line = Annotated[str, _text(r"^[^\n\r\x00]+$", "one line", min_length=1)]
Option = Annotated[str, _text(r"^--[a-z][a-z-]*(=[^\n\r\x00]*)?$", "as in --option=value")]
Folder = Annotated[str, _text(r"^/", "a whole path, from /")]
Memory = Annotated[str, _text(r"^[1-9][0-9]{0,6}[MGT]$", "a number with M, G or T, as in 64G")]
GpuType = Annotated[str, _text(r"^[^\s\x00-\x1f:,=]+$", "one word, such as a100, without :; `gpus` has the number")]
Time = Annotated[
    str,
    _text(
        r"^([0-9]{1,3}-)?[0-9]{1,3}:[0-5][0-9]:[0-5][0-9]$",
        "HOURS:MINUTES:SECONDS or DAYS-HOURS:MINUTES:SECONDS, as in 12:00:00 or 1-00:00:00",
    ),
]
# Names as Kubernetes' own code has them, and an image's as containers have it. Kubernetes looks at most of them only
# when it makes a pod, or starts it: the pod would never come.
_LABEL, _WORD = "[a-z0-9]([-a-z0-9]*[a-z0-9])?", "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_HOST = r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\]"
_PART = "[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*"
_TAG = "(:[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?(@sha256:[0-9a-f]{64})?"
_STEP = r"[^/:\x00.][^/:\x00]*|\.[^/:\x00.][^/:\x00]*|\.\.[^/:\x00]+"  # a folder's name, neither . nor ..
_SMALL = "small letters, digits, - and ., with a letter or a digit at both ends"
ObjectName = Annotated[str, _text(f"^{_DOMAIN}$", _SMALL, max_length=253)]
ShortName = Annotated[str, _text(f"^{_DOMAIN}$", f"{_SMALL}, at most 63", max_length=63)]
Namespace = Annotated[str, _text(f"^{_LABEL}$", "small letters, digits and -, at most 63", max_length=63)]
Key = Annotated[
    str,
    _text(
        f"^({_DOMAIN}/)?{_WORD}$",
        "letters, digits, -, _ and ., at most 63; before them there may be a domain and /, as in example.com/pool",
        max_length=317,
    ),
]
LabelValue = Annotated[
    str,
    _text(f"^({_WORD})?$", "letters, digits, -, _ and ., at most 63, with a letter or a digit at both ends"),
]
ResourceName = Annotated[
    str, _text(f"^{_DOMAIN}/{_WORD}$", "a domain and a name, as in nvidia.com/gpu", max_length=317)
]
Image = Annotated[
    str,
    _text(f"^(({_HOST})(:[0-9]+)?/)?{_PART}(/{_PART})*{_TAG}$", "as in REGISTRY/NAME:TAG, the name in small letters"),
]
MountPath = Annotated[
    str, _text(f"^(/({_STEP}))+$", "a whole path, as in /shared/runs, without :, .. and a / at its end")
]
VariableName = Annotated[str, _text(r"^[A-Za-z_][A-Za-z0-9_]*$", "letters, digits and _, no digit first")]
# Ray's processes, the driver and one trial took 930 MB on one machine: PyTorch and MLflow alone are most of it.
LEAST_MB = 1024
_UNITS_MB = {"M": 1, "G": 1024, "T": 1024 * 1024}


def memory_mb(text: str) -> int:
    """Return a memory in units of 2^20 bytes."""
    return int(text[:-1]) * _UNITS_MB[text[-1]]


def seconds(text: str) -> int:
    """Return a time in seconds."""
    days, hours, minutes, rest = (int(part or 0) for part in re.split("[-:]", text if "-" in text else f"0-{text}"))
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


class SystemProfile(Section):
    """What every system is asked for: nodes, and what each of them has."""

    nodes: int = Field(1, ge=1, le=10_000, description="Nodes.")
    cpus: int | None = Field(
        None, ge=1, le=4096, description="CPUs of each node. Absent: as many as one trial asks for."
    )
    gpus: int = Field(0, ge=0, le=128, description="GPUs of each node.")
    memory: Memory | None = Field(None, description="Memory of each node, as in 64G. Absent: what the system gives.")
    time: Time | None = Field(
        None,
        description="The longest time of one run of the job, as in 12:00:00 or 1-00:00:00. Absent: the system's own.",
    )
    shared: list[Folder] = Field(
        default_factory=list,
        description="Folders that this machine and all nodes see under the same path. Absent: the paths are not "
        "checked, and taken for shared.",
    )


class SlurmProfile(SystemProfile):
    """A cluster with Slurm."""

    partition: Word | None = Field(None, description="Partition. Absent: the cluster's default.")
    account: Word | None = Field(None, description="Account that is charged. Absent: your default.")
    qos: Word | None = Field(None, description="Quality of service. Absent: your default.")
    gpu_type: GpuType | None = Field(
        None, description="Type of the GPUs, as Slurm names it, such as a100. Absent: any."
    )
    options: list[Option] = Field(
        default_factory=list, description="More options of sbatch, each as in --constraint=a100."
    )
    modules: list[Word] = Field(default_factory=list, description="Modules that are loaded, as by `module load`.")
    environment: Folder | None = Field(
        None, description="Python environment with lstm-sweeps on the nodes. Absent: the one that launches."
    )
    setup: list[Line] = Field(
        default_factory=list, description="Lines of shell that are run on the first node before anything else."
    )
    warn: int = Field(
        120,
        ge=30,
        le=3600,
        description="Seconds before the time limit at which the sweep is stopped. Raise it if epochs or storage are "
        "slow.",
    )


class Claim(Section):
    """A volume that all pods of a sweep mount."""

    name: ObjectName = Field(description="Name of the PersistentVolumeClaim. Its access mode is ReadWriteMany.")
    path: MountPath = Field(description="Where the pods mount the volume.")


class Toleration(Section):
    """A taint of nodes that the workers' pods bear."""

    key: Key | None = Field(None, description="The taint's key. Absent: every taint.")
    operator: Literal["Exists", "Equal"] = Field("Exists", description="Whether its value counts.")
    value: LabelValue | None = Field(None, description="The taint's value, with `operator: Equal`.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="The taint's effect. Absent: every effect."
    )


class KubernetesProfile(SystemProfile):
    """A cluster with Kubernetes and KubeRay."""

    context: Line | None = Field(None, description="kubectl's context. Absent: its current one.")
    namespace: Namespace | None = Field(None, description="Namespace. Absent: that of kubectl's context.")
    image: Image | None = Field(None, description="Image with lstm-sweeps, made by the Dockerfile. `launch` needs it.")
    image_pull_secrets: list[ObjectName] = Field(
        default_factory=list, description="Secrets with which the image is pulled."
    )
    queue: ShortName | None = Field(
        None,
        description="Local queue of Kueue; the workers are `nodes` pods from the first on. Absent: no Kueue, and Ray's "
        "autoscaler starts up to `nodes` workers as trials need them.",
    )
    priority: ShortName | None = Field(None, description="Kueue's WorkloadPriorityClass, with `queue`.")
    secrets: list[ObjectName] = Field(
        default_factory=list, description="Secrets whose entries all pods of the cluster have as variables."
    )
    driver_secrets: list[ObjectName] = Field(
        default_factory=list, description="Secrets whose entries only the driver's pod has as variables."
    )
    environment: dict[VariableName, str] = Field(
        default_factory=dict, description="Variables of all pods of the cluster. What is secret is in a Secret instead."
    )
    claims: list[Claim] = Field(default_factory=list, description="Volumes that all pods of the cluster mount.")
    head_cpus: int = Field(2, ge=1, le=4096, description="CPUs of the head's pod, where the driver runs and no trial.")
    head_memory: Memory = Field("8G", description="Memory of the head's pod.")
    gpu_resource: ResourceName = Field("nvidia.com/gpu", description="Kubernetes' name for the GPUs.")
    spot: bool = Field(False, description="The workers may run on Spot nodes of GKE and AKS.")
    tolerations: list[Toleration] = Field(
        default_factory=list, description="More taints of nodes that the workers' pods bear."
    )
    node_selector: dict[Key, LabelValue] = Field(
        default_factory=dict, description="Labels of the nodes on which the workers' pods run."
    )
    retries: int = Field(
        10,
        ge=0,
        le=100,
        description="New clusters after a lost head, a preemption or a failure. The sweep goes on in each.",
    )
    user: int = Field(1000, ge=1, le=2_147_483_647, description="User and group id of all processes: never root.")


class Profile(Section):
    """A profile: a section for each system that can be launched on."""

    slurm: SlurmProfile = Field(default_factory=SlurmProfile, description="A cluster with Slurm.")
    kubernetes: KubernetesProfile = Field(
        default_factory=KubernetesProfile, description="A cluster with Kubernetes and KubeRay."
    )
