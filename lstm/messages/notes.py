"""Notes: what the user should know and what stops nothing. A mend is there if something can be done about it."""

from collections.abc import Mapping

from lstm.messages.entry import Entry

DATA: Mapping[str, Entry] = {}

SPEC: Mapping[str, Entry] = {}

RUN: Mapping[str, Entry] = {}

KEPT: Mapping[str, Entry] = {}

_TOKEN = "set RAY_AUTH_MODE=token where the cluster is started, then here, too"
_STORAGE = "see to it that the disk or the store answers and has room"

SWEEP: Mapping[str, Entry] = {
    # --- where trials run
    "cluster-without-token": Entry(
        "the cluster may not ask for a token, and whoever reaches the ports of the cluster can run code there", _TOKEN
    ),
    "gpus-unused": Entry(
        "PyTorch can use {usable} of {there} GPUs{why:?: *}",
        "install a PyTorch and a driver there that can use the GPUs, or start Ray there with --num-gpus={usable}",
        {"usable": 0, "there": 2, "why": "PyTorch 2.9.1+cpu is a build for the CPU"},
    ),
    "no-gpu-usable": Entry("PyTorch can use no GPU of the cluster, so trials take no GPU and run on the CPU"),
    "one-trial-at-a-time": Entry(
        "is {at_once}, and one trial runs at a time in this process",
        "leave out --in-process to run trials at once",
        {"at_once": 4},
    ),
    "rays-files-elsewhere": Entry(
        "{room:?the path is too long for Ray's sockets, which have room for * bytes}{unwritable:?* can't be written to}"
        ", so Ray's files are in {folder}",
        "set {variable} to a folder with a short path that can be written to",
        {"room": 31, "unwritable": None, "folder": "/tmp/ray", "variable": "TMPDIR"},
    ),
    "trial-without-worker": Entry(
        "no worker came to life for the trial, and the trial is tried again: {why}",
        example={"why": "The actor died because its node has died"},
    ),
    # --- the study
    "study-away": Entry(
        "the study's database does not answer ({why}), and is asked again in {pause_s:g} s",
        example={"why": "database is locked: /home/ann/runs/study.db", "pause_s": 0.5},
    ),
    "study-file-gone": Entry(
        "the file of the study's database no longer exists ({file}), and is looked for again in {pause_s:g} s",
        "restore the file",
        {"file": "/home/ann/runs/study.db", "pause_s": 0.5},
    ),
    "claim-not-renewed": Entry(
        "the claim on the sweep was not renewed, since the study's database does not answer, and the study is asked "
        "again in {pause_s:g} s",
        example={"pause_s": 0.5},
    ),
    "earlier-trials-unrecorded": Entry(
        "earlier trials could not all be recorded ({why}), and the next run records the rest",
        example={"why": "ConnectionError"},
    ),
    # --- a trial and its checkpoints
    "trial-waits-for-storage": Entry(
        "the trial waits until checkpoints can be read and written: {why}",
        _STORAGE,
        {"why": "checkpoints: No space left on device: /srv/checkpoints (disk /srv, 0 MB free), on node7 pid 4711"},
    ),
    "earlier-checkpoint-used": Entry(
        "a checkpoint can't be used, and an earlier checkpoint is used: {why}",
        example={"why": "/srv/checkpoints/co2/trial-0003/attempt-1-epoch-7.pt: is truncated"},
    ),
    "checkpoint-unreachable": Entry(
        "the checkpoint can't be read or written: {why}", _STORAGE, {"why": "[Errno 13] Permission denied"}
    ),
    "epochs-without-checkpoint": Entry(
        "the checkpoints hold {kept} of {trained} epochs, and the study and MLflow keep the figures of all",
        example={"kept": 5, "trained": 7},
    ),
    "weights-not-removed": Entry(
        "the weights of the checkpoint could not be removed: {why}", example={"why": "[Errno 13] Permission denied"}
    ),
    "base-trained-again": Entry(
        "the trial has the spec's own settings and is trained, since the checkpoint of these settings can't be used: "
        "{why}",
        example={"why": "[Errno 13] Permission denied"},
    ),
    "trial-not-probed": Entry(
        "the trial could not be probed: {why}", example={"why": "ValueError: array must not contain infs or NaNs"}
    ),
}

_MLFLOW_ROOM = "make room on that disk"

TRACKING: Mapping[str, Entry] = {
    "mlflow-away-while-running": Entry(
        "MLflow does not answer ({why}), and gets the records when MLflow answers again", example={"why": "error 503"}
    ),
    "mlflow-refuses-all": Entry(
        "MLflow refuses all records ({why}), and the records are sent again and again",
        "let MLflow take records of this user and host",
        {"why": "error 403"},
    ),
    "mlflow-disk-full": Entry(
        "MLflow can't write, since the disk of {folder} is full, and gets the records when the disk has room",
        _MLFLOW_ROOM,
        {"folder": "/home/ann/runs"},
    ),
    "mlflow-database-disk-full": Entry(
        "MLflow can't write, since the disk of the database is full, and gets the records when the disk has room",
        _MLFLOW_ROOM,
    ),
    "mlflow-back": Entry("MLflow answers again, and gets the records that waited"),
    "mlflow-refuses-some": Entry(
        "MLflow refuses {what}{trial:? of trial *} ({why}), and what MLflow refuses for this reason is left out from "
        "now on",
        "let MLflow take the records, then run the same command again",
        {"what": "the checkpoint", "trial": 3, "why": "error 413"},
    ),
    "checkpoint-not-sent": Entry(
        "the checkpoint can't be read for MLflow ({why}), so the run of the trial in MLflow has no checkpoint",
        example={"why": "PermissionError"},
    ),
    "no-checkpoint-to-send": Entry(
        "{address} holds no valid checkpoint, so the run of the trial in MLflow has no checkpoint",
        example={"address": "/srv/checkpoints/co2/trial-0003"},
    ),
}
