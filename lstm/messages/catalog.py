"""All messages by their code; each subject is in a file beside this one."""

from collections.abc import Mapping

from lstm.messages import cluster, findings, notes, search, spec, stores, tables, tasks, verbs
from lstm.messages.entry import Entry

SUBJECTS: Mapping[str, Mapping[str, Entry]] = {
    "Fields of a spec": spec.FIELDS,
    "The search": search.ENTRIES,
    "The spec's file": spec.FILE,
    "Tables": {**tables.TABLES, **spec.DRAFTS, **tasks.SEQUENCES},
    "Texts": tasks.TEXTS,
    "Your own code": tasks.OWN_CODE,
    "Tasks and predictions": tasks.TASKS,
    "Checkpoints and files": stores.CHECKPOINTS,
    "Studies": stores.STUDIES,
    "The cluster": cluster.ENTRIES,
    "MLflow": stores.TRACKING,
    "The home and the names of sweeps": verbs.HOME,
    "Verbs and flags": verbs.VERBS,
    "What `sweep verify` finds": findings.ENTRIES,
}
NOTES: Mapping[str, Mapping[str, Entry]] = {
    "About the data": notes.DATA,
    "About the spec": notes.SPEC,
    "About a run": notes.RUN,
    "About what was kept": notes.KEPT,
    "About a warm refit": tasks.WARM,
    "While a sweep runs": cluster.SWEEP,
    "While MLflow is away": stores.AWAY,
}
CATALOG: Mapping[str, Entry] = {
    code: entry for entries in (*SUBJECTS.values(), *NOTES.values()) for code, entry in entries.items()
}
