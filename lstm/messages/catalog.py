"""All messages by their code; each subject has a file of its own beside this one."""

from collections.abc import Mapping

from lstm.messages import (
    checkpoints,
    cluster,
    home,
    own_code,
    search,
    spec,
    spec_file,
    studies,
    tables,
    tasks,
    texts,
    tracking,
    verbs,
)
from lstm.messages.entry import Entry

SUBJECTS: Mapping[str, Mapping[str, Entry]] = {
    "Fields of a spec": spec.ENTRIES,
    "The search": search.ENTRIES,
    "The spec's file": spec_file.ENTRIES,
    "Tables": tables.ENTRIES,
    "Texts": texts.ENTRIES,
    "Your own code": own_code.ENTRIES,
    "Tasks and predictions": tasks.ENTRIES,
    "Checkpoints and files": checkpoints.ENTRIES,
    "Studies": studies.ENTRIES,
    "The cluster": cluster.ENTRIES,
    "MLflow": tracking.ENTRIES,
    "The home and the names of sweeps": home.ENTRIES,
    "Verbs and flags": verbs.ENTRIES,
}
CATALOG: Mapping[str, Entry] = {code: entry for entries in SUBJECTS.values() for code, entry in entries.items()}
