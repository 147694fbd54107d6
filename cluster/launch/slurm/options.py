"""The options of sbatch: which a profile may add, which its fields have, which the script itself gives."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cluster.launch.profile import SlurmProfile
from lstm.records.errors import Fault, fault

# What the script itself says to sbatch. The names are sbatch's.
OURS = (
    *("array", "batch", "chdir", "error", "export", "export-file", "input", "job-name", "no-requeue", "ntasks"),
    *("ntasks-per-node", "open-mode", "output", "parsable", "requeue", "signal", "test-only", "wait", "wrap"),
)
# What a field of the profile says: the fields as they are to be written, and sbatch's names.
OF_FIELD = {
    "nodes: N": ("nodes",),
    "cpus: N": ("cpus-per-task", "cpus-per-gpu"),
    "gpus: N": ("gpus", "gpus-per-node", "gpus-per-socket", "gpus-per-task", "ntasks-per-gpu"),
    "cpus: N, gpus: N": ("tres-per-job", "tres-per-node", "tres-per-socket", "tres-per-task"),
    "memory: 64G": ("mem", "mem-per-cpu", "mem-per-gpu"),
    "time: 12:00:00": ("time",),
    "partition: NAME": ("partition",),
    "account: NAME": ("account",),
    "qos: NAME": ("qos",),
}
# What makes no job, or a job that the script can't bring back; each with the reason.
_NO_JOB = "makes no job: sbatch only says something"
_AS_OTHERS = "submits as somebody else, who may not write where the sweep is kept"
UNFIT = {
    **dict.fromkeys(("help", "usage", "version"), _NO_JOB),
    **dict.fromkeys(("uid", "gid"), _AS_OTHERS),
    "external": "makes a job that does not run the script",
    "het-group": "is an option of srun for a part of a job, and a sweep's job has one part",
    "no-kill": "keeps the job when a node fails, so that Slurm would not queue it again with all its nodes",
}
OTHERS = ("gres", "mem-bind", "time-min")  # sbatch's own, though one of those begins so
# Variables that sbatch takes before what a script says. Those of a field count where the profile leaves it out.
_ALWAYS = (
    *("ARRAY_INX", "BATCH", "CPUS_PER_GPU", "ERROR", "EXPORT", "GPUS", "GPUS_PER_NODE", "GPUS_PER_SOCKET"),
    *("GPUS_PER_TASK", "INPUT", "JOB_NAME", "NO_REQUEUE", "NTASKS_PER_GPU", "OPEN_MODE", "OUTPUT", "REQUEUE"),
    *("NO_KILL", "SIGNAL", "TRES_PER_TASK", "WAIT"),
)
_VARIABLES = {
    "partition": ("PARTITION",),
    "account": ("ACCOUNT",),
    "qos": ("QOS",),
    "time": ("TIMELIMIT",),
    "memory": ("MEM_PER_NODE", "MEM_PER_CPU", "MEM_PER_GPU"),
}
_GRES = "SBATCH_GRES"
# Of a job in which somebody launches. Slurm sets some of them only where they hold, so the new job would keep the old:
# with the memory per CPU and per node, no step of it starts.
_OF_JOB = ("SLURM_", "SLURMD_", "SRUN_", "CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "ROCR_VISIBLE_DEVICES")
_OF_USER = {"SLURM_CONF", "SLURM_CLUSTERS", "SLURM_HINT", "SLURM_JWT", "SLURM_TIME_FORMAT", "SLURM_UMASK"}
_GPUS = ("gpu", "mps", "shard")  # generic resources that are GPUs, or shares of them


def faults(at: str, options: Sequence[str]) -> Iterator[Fault]:
    """Yield a fault for each option that is not for a profile to add.

    Args:
        at: The field of the options; the faults are at its items.
        options: The options, each as in `--constraint=a100`.
    """
    for number, option in enumerate(options):
        name, _, value = option.removeprefix("--").partition("=")
        if told := _of_gres(value) if name == "gres" else _of_field(name):
            yield fault("slurm-option-of-field", f"{at}.{number}", option=option, **told)
        elif name not in OTHERS and any(each.startswith(name) for each in OURS):
            yield fault("slurm-option-ours", f"{at}.{number}", option=f"--{name}")
        elif why := next((why for each, why in UNFIT.items() if each.startswith(name)), None):
            yield fault("slurm-option-unfit", f"{at}.{number}", option=f"--{name}", why=why)


def environment_for(profile: SlurmProfile, environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for sbatch without what would change a request after it was planned and shown.

    Within a job, as in an interactive one, that is also what Slurm says of this job, such as its memory.
    """
    fields = [name for field, names in _VARIABLES.items() if getattr(profile, field) for name in names]
    dropped = {f"SBATCH_{name}" for name in (*_ALWAYS, *fields)}
    if _of_gres(environment.get(_GRES, "")):
        dropped.add(_GRES)
    if "SLURM_JOB_ID" in environment:
        dropped |= {name for name in environment if name.startswith(_OF_JOB)} - _OF_USER
    return {name: value for name, value in environment.items() if name not in dropped}


def cluster_of(options: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the clusters that a job may go to, as sbatch reads them; "" for the one of this machine."""
    named = (each.removeprefix("--").partition("=") for each in options)
    given = [value for name, _, value in named if "clusters".startswith(name)]
    return (given or [environment.get("SBATCH_CLUSTERS", "")])[-1]


def _of_field(name: str) -> dict[str, Any] | None:
    """Return what to write in place of an option; sbatch takes the beginning of a name for the whole."""
    if name in (*OURS, *OTHERS):
        return None
    known = {each: field for field, names in OF_FIELD.items() for each in names}
    field = known.get(name) or next((field for each, field in known.items() if each.startswith(name)), None)
    return {"instead": field, "rest": None} if field else None


def _of_gres(value: str) -> dict[str, Any] | None:
    """Return what to write in place of generic resources among which are GPUs; None where none are."""
    entries = [(each, *_entry(each)) for each in value.split(",")]
    gpus = [(name, kind, count) for _, name, kind, count in entries if name in _GPUS]
    if not gpus:
        return None
    kept = [each for each, name, *_ in entries if name not in _GPUS]
    name, kind, count = gpus[0]
    is_whole = len(gpus) == 1 and name == "gpu"
    instead = f"gpus: {count or 1}" + (f", gpu_type: {kind}" if kind else "") if is_whole else "gpus: N"
    return {"instead": instead, "rest": f"--gres={','.join(kept)}" if kept else None}


def _entry(text: str) -> tuple[str, str, str]:
    """Return name, type and count of a generic resource, as in gpu:a100:2; "" for what it does not say."""
    name, *rest = re.split("[:=]", re.sub("^gres[:/]", "", text.strip()))
    count = rest.pop() if rest and rest[-1].isdecimal() else ""
    return name, ":".join(rest), count
