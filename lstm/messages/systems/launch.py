"""Messages about launching a sweep on a system that gives out nodes, whichever it is."""

from lstm.messages.entry import Entry

_FORGET = (
    "`sweep stop {sweep}{flag} --forget` forgets the job; if the job runs all the same, one driver at a time has the "
    "sweep, and the other ends with exit code 3"
)

ENTRIES: dict[str, Entry] = {
    "trial-fits-no-asked-node": Entry(
        "a trial asks for {cpus} CPUs and {gpus:g} GPUs, and a node is to have {there} CPUs and {gpus_there} GPUs",
        "ask for larger nodes with --cpus and --gpus, or in the cluster's profile; or let a trial ask for less in "
        "resources.cpus_per_trial and resources.gpus_per_trial",
        {"cpus": 4, "gpus": 1.0, "there": 8, "gpus_there": 0},
    ),
    "launch-secret-written": Entry(
        "holds {password:?a password}{webhook:?the address of a webhook, which is a secret}. It would be in {place}, "
        "which more people can read",
        "write ${{NAME}} in its place{quotes:?, in single quotes}, {way}",
        {
            **{"password": "password", "webhook": None, "place": "the script of the job", "quotes": "quotes"},
            "way": "and export NAME where you launch: the job gets that environment",
        },
    ),
    "launch-secret-in-code": Entry(
        "holds a password. It would be in {place}, which more people can read",
        'read it there with os.environ["NAME"], and keep NAME in a Secret that `secrets` of the profile names',
        {"place": "a ConfigMap"},
    ),
    "launch-secret-in-profile": Entry(
        "holds a {name:?secret, by the name *}{address:?*}, which would be in what is submitted, and which more people "
        "can read",
        "{slurm:?export the variable where you launch: the job gets that environment; or let the line read a file that "
        "only you can read}{kubernetes:?keep it in a Secret that `driver_secrets` or `secrets` of the profile names}",
        {"slurm": "slurm", "kubernetes": None, "name": "MLFLOW_TRACKING_PASSWORD", "address": None},
    ),
    "profile-without-section": Entry(
        "has no section",
        "write a section for the system and its fields in it, as in {system}: {{nodes: 2}}",
        {"system": "slurm"},
    ),
    "launch-system-unknown": Entry(
        "the sweep was launched on {system}, which this version does not know",
        "use the version that launched it; or ask {system} itself for the job",
        {"system": "hpc"},
    ),
    "launch-time-too-short": Entry(
        "is {time_s} s{warn_s:?, and the sweep stops * s before the limit}, so no run would train anything",
        "give a longer time; leave it out for the system's own limit{warn_s:?; `warn` in the profile says when the "
        "sweep stops}",
        {"time_s": 60, "warn_s": 120},
    ),
    "launch-memory-too-small": Entry(
        "is {memory_mb:,} MiB, and Ray with one trial and the libraries needs at least {least:,} MiB",
        "give more memory; what the plan says of a trial's memory comes on top for each trial of a node",
        {"memory_mb": 1, "least": 1024},
    ),
    "launched-already": Entry(
        "was launched as {system} job {job}, which is {word}{reason:? (*)}",
        "follow the job with `sweep status {sweep}{flag}`, or end it with `sweep stop {sweep}{flag}` first",
        {"system": "slurm", "job": "1234", "word": "RUNNING", "reason": None, "sweep": "co2", "flag": ""},
    ),
    "launched-unknown": Entry(
        "whether the {system} job {job} still runs can't be known here: {why}",
        f"launch again once {{system}} answers here. If it never will, {_FORGET}",
        {"system": "slurm", "job": "1234", "why": "scontrol is not on this machine", "sweep": "co2", "flag": ""},
    ),
    "driven-already": Entry(
        "is driven by {owner}",
        "wait for its end, or end it with `sweep stop {sweep}{flag}` first",
        {"owner": "process 4711 on node-1", "sweep": "co2", "flag": ""},
    ),
    "launch-record-not-read": Entry(
        "can't be read: {why}", "make the file readable", example={"why": "Permission denied"}
    ),
    "launch-record-damaged": Entry(
        "is damaged", "remove the file; ask the system itself for the job of the sweep, if it may still run"
    ),
    "launch-tool-missing": Entry(
        "{tool} is not on this machine",
        "launch from where {tool} is, such as the cluster's login node",
        {"tool": "sbatch"},
    ),
    "launch-tool-not-started": Entry(
        "can't be started: {why}",
        "see whether the tool is one of this machine, and whether the environment is small enough to be given to it",
        {"why": "Exec format error"},
    ),
    "launch-tool-silent": Entry(
        "{tool} did not answer within {seconds:g} s",
        "try again once the system answers",
        {"tool": "scontrol", "seconds": 60.0},
    ),
    "launch-refused": Entry(
        "{tool} has refused: {why}",
        "mend what {tool} says, with the options of `sweep launch` or in the cluster's profile",
        {"tool": "sbatch", "why": "invalid partition specified: gpus"},
    ),
    "launch-cut-off": Entry(
        "a launch was cut off, and {system} can't say whether its job is there: {why}",
        f"launch again once {{system}} answers here. If it never will, {_FORGET}",
        {"system": "slurm", "why": "Unable to contact slurm controller", "sweep": "co2", "flag": ""},
    ),
    "launch-not-stopped": Entry(
        "{tool} has refused: {why}",
        "end the job by {tool} itself",
        {"tool": "scancel", "why": "Access/permission denied"},
    ),
    "launch-out-of-reach": Entry(
        "whether the {system} job {job} still runs can't be known here: {why}",
        f"end the job from where {{system}} answers. If it never will again, {_FORGET}",
        {"system": "slurm", "job": "1234", "why": "scancel is not on this machine", "sweep": "co2", "flag": ""},
    ),
    "launch-of-study-out-of-reach": Entry(
        "whether the {system} job {job}, which the sweep's study names, still runs can't be known here: {why}",
        "end the job from where {system} answers. Nothing of it is kept here, so `sweep launch` goes on without it; if "
        "it runs all the same, one driver at a time has the sweep, and the other ends with exit code 3",
        {"system": "slurm", "job": "1234", "why": "scancel is not on this machine", "sweep": "co2", "flag": ""},
    ),
    "launch-not-shared": Entry(
        "{path} is not below a folder that all nodes see: {shared}",
        "{file:?move it there}{home:?name a folder there with --home}{field:?name a place there in *}"
        "{upload:?, or let it travel by a bucket with --upload s3://BUCKET/FOLDER}; if the nodes do see this path, add "
        "its folder to `shared` in the cluster's profile",
        {
            **{"path": "/home/ann/sales.csv", "shared": ["/shared"], "file": "data", "home": None, "field": None},
            "upload": "data",
        },
    ),
    "launch-option-of-another-system": Entry(
        "goes with --on {other}, and the sweep goes to {system}",
        "leave it out{instead:?; its like there is *}",
        {"system": "slurm", "other": "kubernetes", "instead": "--partition that says on which nodes"},
    ),
    "upload-to-no-bucket": Entry(
        "is no address of a bucket{empty:?: it is empty, as a variable of the shell that is not set}",
        "write s3://BUCKET/FOLDER or gs://BUCKET/FOLDER",
        {"empty": None},
    ),
    "file-changed": Entry("has changed while it was uploaded", "run the command again when the file is whole"),
    "file-unread": Entry("can't be read: {why}", "check the path and its permissions", {"why": "Permission denied"}),
    "launch-script-wrong": Entry(
        "what would be submitted is wrong: {why}",
        "mend the profile's fields that it comes from",
        {"why": "line 7: syntax error"},
    ),
    "no-log-yet": Entry(
        "there is no log yet{job:?: the job * has not begun}", "ask again once the sweep runs", {"job": "1234"}
    ),
    "no-log-of-a-cut-off-launch": Entry(
        "there is no log yet: a launch was cut off, and whether its job {job} is there can't be known here",
        "look with `sweep status`; launch again, which says what can be done",
        {"job": "sweep-co2-1a2b3c4d"},
    ),
}

NOTES: dict[str, Entry] = {
    "launch-wait-unknown": Entry("how long the job waits for its nodes can't be known"),
    "launch-speed-unknown": Entry(
        "the time was measured on this machine ({device}), and the nodes {gpus:?with their GPUs }may be faster or "
        "slower",
        example={"device": "cpu", "gpus": None},
    ),
    "launch-upload-first": Entry(
        "the sweep will read this file from {address}, and nothing is uploaded yet",
        "copy the file there before you submit the text, as with `aws s3 cp` or `gcloud storage cp`; `sweep launch` "
        "without --dry-run does both",
        {"address": "s3://lab/up/9f86d081884c/sales.csv"},
    ),
    "launch-nothing-to-upload": Entry(
        "has nothing to upload: the data have addresses of a store already, or there are none",
        "leave it out",
    ),
    "launch-records-go-with-pod": Entry(
        "what MLflow keeps in the home goes with the driver's pod, since no volume of kubernetes.claims holds {home}",
        "name an MLflow server in tracking.uri; or write the runs again afterwards with `sweep rebuild`",
        {"home": "/home/ann/runs"},
    ),
    "launch-will-refuse": Entry(
        "`sweep launch` will refuse this as it is: {why}",
        "{mend}",
        {
            "why": "kubernetes.image: is missing: the pods need an image with lstm-sweeps",
            "mend": "write it into the profile (~/.config/lstm-sweeps/clusters.yaml), or give the option",
        },
    ),
    "launch-nodes-idle": Entry(
        "no more than {trials} can ever run at once, so {idle:,} of {nodes:,} nodes run no trial{held:?, and are held "
        "all the same}",
        "ask for {busy:,}, with --nodes or in the profile; resources.max_concurrent is a bound, too",
        {"trials": "4 trials", "idle": 99, "nodes": 100, "busy": 1, "held": "held"},
    ),
    "launch-of-several-runs": Entry(
        "the time limit cuts the sweep into {low} to {high} runs of the job, between which it waits for nodes again",
        example={"low": 1, "high": 3},
    ),
    "launch-ends-early": Entry(
        "the time limit ends the job for good, and the sweep may take {low} to {high} such jobs",
        "give a longer --time, or launch again after each end: the same sweep goes on",
        {"low": 1, "high": 3},
    ),
    "study-file-on-network": Entry(
        "the study is a SQLite file on {kind}, a network file system whose locks can fail when the driver moves to "
        "another machine",
        "keep the study in PostgreSQL, or give the file a folder on a disk of the machine that drives",
        {"kind": "nfs4"},
    ),
    "launch-address-unknown": Entry(
        "{fields}: not known here, and not checked. The driver checks it there before anything is trained",
        "export its variables here, too, to have it checked before",
        {"fields": ["storage.study"]},
    ),
    "launch-store-unreached": Entry(
        "not checked, as this machine does not reach it: {why}. The driver checks it there before anything is trained",
        "launch from where it can be reached{kubernetes:?, as through `kubectl port-forward`,} to have it checked "
        "before",
        {
            "kubernetes": "kubernetes",
            "why": "storage.study: the database's server can't be reached: could not translate host name \"db.ml.svc\"",
        },
    ),
    "launch-folders-not-checked": Entry(
        "the spec, its data and the home must be seen by all nodes under the same paths, which is not checked",
        "name the folders that are shared in `shared` of the cluster's profile; data may travel by a bucket (--upload)",
    ),
    "launch-answered-by": Entry(
        "this is what {tool} says, since the study can't be read here: {why}",
        example={"why": "/shared/runs has no sweep of this name", "tool": "squeue"},
    ),
}
