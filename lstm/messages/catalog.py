"""All messages by their code; each subject is in a file beside this one, those of tasks in a folder."""

from collections.abc import Mapping

from lstm.messages import cluster, findings, notes, search, spec, stores, tables, verbs
from lstm.messages.entry import Entry
from lstm.messages.systems import doctor, kubernetes, launch, slurm
from lstm.messages.tasks import asked, own_code, pairs, sequences, texts, video, warm

SUBJECTS: Mapping[str, Mapping[str, Entry]] = {
    "Fields of a spec": spec.FIELDS,
    "The search": search.ENTRIES,
    "The spec's file": spec.FILE,
    "Tables": {**tables.TABLES, **spec.DRAFTS, **sequences.SEQUENCES},
    "Texts": texts.TEXTS,
    "Pairs of sentences": {**pairs.FIELDS, **pairs.PAIRS},
    "Frames": video.FRAMES,
    "Your own code": own_code.OWN_CODE,
    "Tasks and predictions": asked.TASKS,
    "Checkpoints and files": stores.CHECKPOINTS,
    "Studies": stores.STUDIES,
    "The cluster": cluster.ENTRIES,
    "Launching": {**launch.ENTRIES, **slurm.ENTRIES},
    "Launching on Kubernetes": kubernetes.ENTRIES,
    "What `sweep doctor` finds": doctor.ENTRIES,
    "MLflow": stores.TRACKING,
    "The home and the names of sweeps": verbs.HOME,
    "Verbs and flags": verbs.VERBS,
    "What `sweep verify` finds": findings.ENTRIES,
}
NOTES: Mapping[str, Mapping[str, Entry]] = {
    "About the data": notes.DATA,
    "About frames": video.NOTES,
    "About the spec": notes.SPEC,
    "About a run": notes.RUN,
    "About what was kept": notes.KEPT,
    "About pairs of sentences": pairs.NOTES,
    "About a warm refit": warm.WARM,
    "While a sweep runs": cluster.SWEEP,
    "About a launch": {**launch.NOTES, **kubernetes.NOTES},
    "From `sweep doctor`": doctor.NOTES,
    "While MLflow is away": stores.AWAY,
}
CATALOG: Mapping[str, Entry] = {
    code: entry for entries in (*SUBJECTS.values(), *NOTES.values()) for code, entry in entries.items()
}
