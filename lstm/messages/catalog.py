"""All messages by their code; each subject has a file of its own beside this one."""

from collections.abc import Mapping

from lstm.messages import checkpoints, cluster, findings, home, own_code, spec, studies, tables, tasks, tracking, verbs
from lstm.messages.entry import Entry

SUBJECTS: Mapping[str, Mapping[str, Entry]] = {
    "The spec": spec.ENTRIES,
    "Tables and texts": tables.ENTRIES,
    "Your own code": own_code.ENTRIES,
    "Tasks and predictions": tasks.ENTRIES,
    "Checkpoints and files": checkpoints.ENTRIES,
    "Studies": studies.ENTRIES,
    "What `sweep verify` finds": findings.ENTRIES,
    "The cluster": cluster.ENTRIES,
    "MLflow": tracking.ENTRIES,
    "The home and the names of sweeps": home.ENTRIES,
    "Verbs and flags": verbs.ENTRIES,
}
CATALOG: Mapping[str, Entry] = {code: entry for entries in SUBJECTS.values() for code, entry in entries.items()}
