"""What is the same for all sweeps on a cluster: the sections of a profile, and of the options that change it."""

import re
from typing import Annotated

from pydantic import Field

from lstm.config.section import Section

Word = Annotated[str, Field(min_length=1, pattern=r"^[^\s\x00-\x1f]+$", description="one word, without spaces")]
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\n\r\x00]+$", description="one line")]
Option = Annotated[str, Field(pattern=r"^--[a-z][a-z-]*(=[^\n\r\x00]*)?$", description="as in --option=value")]
Folder = Annotated[str, Field(pattern=r"^/", description="a whole path, from /")]
Memory = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,6}[MGT]$", description="a number with M, G or T, as in 64G")]
Time = Annotated[
    str,
    Field(
        pattern=r"^([0-9]{1,3}-)?[0-9]{1,3}:[0-5][0-9]:[0-5][0-9]$",
        description="HOURS:MINUTES:SECONDS or DAYS-HOURS:MINUTES:SECONDS, as in 12:00:00 or 1-00:00:00",
    ),
]
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


class KubernetesProfile(SystemProfile):
    """A cluster with Kubernetes and KubeRay."""

    namespace: Word | None = Field(None, description="Namespace. Absent: the one of kubectl's context.")
    image: Word | None = Field(None, description="Image with lstm-sweeps.")
    queue: Word | None = Field(None, description="Local queue of Kueue. Absent: no Kueue.")


class Profile(Section):
    """A profile: a section for each system that can be launched on."""

    slurm: SlurmProfile = Field(default_factory=SlurmProfile, description="A cluster with Slurm.")
    kubernetes: KubernetesProfile = Field(
        default_factory=KubernetesProfile, description="A cluster with Kubernetes and KubeRay."
    )
