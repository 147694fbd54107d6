"""Messages about Slurm."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {
    "slurm-option-ours": Entry(
        "{option} is what the script itself says to sbatch",
        "leave it out; nodes, cpus, gpus, memory and time are fields of the profile",
        {"option": "--requeue"},
    ),
    "slurm-option-unfit": Entry(
        "{option} {why}",
        "leave it out",
        {"option": "--version", "why": "makes no job: sbatch only says something"},
    ),
    "slurm-not-configured": Entry(
        "{tool} has no configuration of Slurm: {why}",
        "launch from where `sinfo` answers, such as the cluster's login node; or say where slurm.conf is: export "
        "SLURM_CONF",
        {"tool": "sbatch", "why": "fatal: Could not establish a configuration source"},
    ),
    "gpu-type-without-gpus": Entry(
        "would do nothing: no GPUs are asked for", "give `gpus`, the GPUs of each node, or --gpus; or leave it out"
    ),
    "slurm-option-of-field": Entry(
        "{option} is for a field of the profile to say: the sweep is planned and shown by its fields",
        "write `{instead}` in its place{rest:?, and keep *}; cpus, gpus and memory are those of each node",
        {"option": "--gres=gpu:a100:2,disk:9", "instead": "gpus: 2, gpu_type: a100", "rest": "--gres=disk:9"},
    ),
}
