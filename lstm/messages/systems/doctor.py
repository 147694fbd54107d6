"""What `sweep doctor` finds."""

from lstm.messages.entry import Entry

_SHARE = "set storage.checkpoints to a folder that all hosts share, or to s3://…"

ENTRIES: dict[str, Entry] = {
    # --- places of this machine's disks
    "place-not-writable": Entry(
        "nothing can be written there: {why}",
        "make the place writable, or name another one with {field}",
        {"why": "Read-only file system", "field": "storage.checkpoints"},
    ),
    "place-without-room": Entry(
        "its disk has {free:,.1f} MB left, and the sweep needs {needed:,.0f} MB there",
        "make room on that disk, or name another place with {field}",
        {"free": 0.1, "needed": 20.0, "field": "--home"},
    ),
    "place-without-files": Entry(
        "its disk takes {files} more files, and a sweep makes at least {least}",
        "remove files from that disk, or name another place with {field}",
        {"files": 3, "least": 50, "field": "--home"},
    ),
    # --- hosts
    "host-silent": Entry(
        "can't be looked at: no answer came",
        "mend what else is told of this host, or take it out of the cluster (`ray stop`)",
    ),
    "folder-not-coherent": Entry(
        "does not see {count} of the files that hosts have just written to {folder}{why:?: *}",
        _SHARE,
        {"count": 2, "folder": "/shared/sweeps", "why": "No such file or directory"},
    ),
    "locks-do-not-hold": Entry(
        "does not heed a lock in {folder} that this host holds{why:? (*)}, so SQLite would lose what is written",
        "keep the study in PostgreSQL (storage.study: postgresql://…), or turn on the file system's locks",
        {"folder": "/shared/sweeps", "why": "No locks available"},
    ),
    "clock-refused-by-store": Entry(
        "has a clock that is {seconds:,.0f} s off, and object stores refuse what such a host signs",
        "set the clock there by NTP",
        {"seconds": 1200.0},
    ),
    "data-beyond-memory": Entry(
        "keeps objects in {memory:,} bytes, and the data have {size:,}",
        "start Ray there with a larger --object-store-memory, or take a smaller file",
        {"size": 8_000_000_000, "memory": 2_000_000_000},
    ),
    "disk-full": Entry(
        "has {share:.0%} of the disk of {folder} left, and Ray keeps its files there",
        "free some, or start Ray there with another --temp-dir",
        {"share": 0.02, "folder": "/tmp"},
    ),
    "port-closed": Entry(
        "can't reach {address}:{port}: {why}",
        "open the ports of Ray between all hosts; fixed ones are given to `ray start` (--node-manager-port, "
        "--object-manager-port, --min-worker-port, --max-worker-port)",
        {"address": "10.0.0.8", "port": 40017, "why": "timed out"},
    ),
}

NOTES: dict[str, Entry] = {
    "place-may-lack-room": Entry(
        "its disk has {free:,.1f} MB left, and the largest networks would take {needed:,.0f} MB there",
        "make room on that disk, name another place with {field}, or keep fewer weights (storage.keep)",
        {"free": 800.0, "needed": 2400.0, "field": "storage.checkpoints"},
    ),
    "gpus-hidden-from-ray": Entry(
        "has {machine} GPUs, and Ray counts {ray}",
        "start Ray there with --num-gpus={machine}, and without a CUDA_VISIBLE_DEVICES that hides some",
        {"machine": 4, "ray": 1},
    ),
    "gpus-not-in-machine": Entry(
        "has {machine} GPUs, and Ray counts {ray}",
        "start Ray there with --num-gpus={machine}",
        {"machine": 0, "ray": 2},
    ),
    "folder-shows-old": Entry(
        "still reads what a file in {folder} had some seconds ago",
        "mount the folder without a long cache of attributes, as with actimeo=3 for NFS",
        {"folder": "/shared/sweeps"},
    ),
    "clock-differs": Entry(
        "has a clock that is {seconds:,.1f} s off this host's, so times in logs and in MLflow don't fit together",
        "set all clocks by NTP",
        {"seconds": 12.5},
    ),
    "memory-disk-small": Entry(
        "has a /dev/shm of {size:,} bytes, and Ray would keep objects in {memory:,}, so it keeps them in files, slowly",
        "make /dev/shm larger: --shm-size for a container, a volume of medium Memory for a pod",
        {"size": 67_108_864, "memory": 2_000_000_000},
    ),
    "few-open-files": Entry(
        "lets a process open {count:,} files, and Ray may need {least:,}",
        "raise the limit before `ray start` (`ulimit -n 65536`)",
        {"count": 1024, "least": 4096},
    ),
    "study-slow": Entry(
        "an answer takes {answer_ms:,.0f} ms, and there are {commits:,.0f} commits a second, of which each epoch of "
        "each trial needs one",
        "move the study near the driver, or run the driver near the study",
        {"answer_ms": 120.0, "commits": 4.0},
    ),
    "mlflow-silent": Entry(
        "does not answer ({why}), so a sweep would run and send its records later",
        "start the server, or check the address",
        {"why": "Connection refused"},
    ),
}
