"""Messages about Slurm."""

from lstm.messages.entry import Entry

ENTRIES: dict[str, Entry] = {
    "slurm-option-ours": Entry(
        "{option} is what the script itself says to sbatch",
        "leave it out; nodes, cpus, gpus, memory and time are fields of the profile",
        {"option": "--requeue"},
    ),
}
