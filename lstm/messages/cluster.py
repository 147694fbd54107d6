"""Messages about Ray, hosts, workers and executors, and notes while trials run."""

from lstm.messages.entry import Entry

_ASK_LESS = "ask for less in resources.cpus_per_trial and resources.gpus_per_trial"
_HEADS_PORT = "give the port of the cluster's head, which is 6379 by default"
_TEMPORARY = "set {variable} to a folder with a short path that can be written to"

_TOKEN = "set RAY_AUTH_MODE=token where the cluster is started, then here, too"
_STORAGE = "see to it that the disk or the store answers and has room"

ENTRIES: dict[str, Entry] = {
    # --- executors
    "address-in-process": Entry(
        "would do nothing with --in-process, which uses no Ray", "leave out --address or --in-process"
    ),
    "max-concurrent-in-process": Entry(
        "would do nothing with --in-process, with which one trial runs at a time",
        "leave out --set resources.max_concurrent or --in-process",
    ),
    "trial-too-large-here": Entry(
        "a trial asks for {cpus} CPUs and {gpus:g} GPUs, and this machine has {machine_cpus} CPUs and {machine_gpus} "
        "GPUs for it{why:? (*)}",
        _ASK_LESS,
        {
            "cpus": 4,
            "gpus": 1.0,
            "machine_cpus": 8,
            "machine_gpus": 0,
            "why": "PyTorch 2.9.1+cpu is a build for the CPU",
        },
    ),
    # --- the address of a cluster
    "no-cluster-address": Entry("is no address", "write HOST:PORT (6379 by default), or auto on a node"),
    "ray-client-address": Entry(
        "Ray Client is not offered, a sweep would end with its connection",
        "run the sweep on the cluster: `ray job submit --working-dir . -- sweep run SPEC --address auto`, or on the "
        "head node with --address auto",
    ),
    "nothing-listens": Entry(
        "nothing answers there ({why})",
        "start the cluster (`ray start --head` does), or give the address of its head",
        {"why": "Connection refused"},
    ),
    "cluster-speaks-tls": Entry(
        "speaks TLS", "for a cluster that does so set RAY_USE_TLS=1 and its certificates, as on its hosts"
    ),
    "dashboard-of-ray": Entry("is Ray's dashboard", _HEADS_PORT),
    "web-server": Entry("is a web server{server:? (*)}, no Ray cluster", _HEADS_PORT, {"server": "nginx/1.24"}),
    "listener-silent": Entry(
        "something listens there, but did not answer within {seconds:g} s as Ray's servers do",
        _HEADS_PORT,
        {"seconds": 25.0},
    ),
    "listener-unknown": Entry("something listens there that is no Ray cluster", _HEADS_PORT),
    "port-of-ray-not-heads": Entry("is another of Ray's ports, not that of the cluster's head", _HEADS_PORT),
    "head-silent": Entry(
        "did not answer within {seconds:g} s as a cluster's head does",
        "look on the head node whether Ray runs there (`ray status`), and restart it if it hangs",
        {"seconds": 30.0},
    ),
    "cluster-wants-token": Entry(
        "the cluster asks for a token and did not accept the given one. Ray says: {why}",
        "set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH where ~/.ray/auth_token is not the "
        "cluster's",
        {"why": "Authentication token is missing"},
    ),
    "host-outside-cluster": Entry(
        "this host runs no node of that cluster, whose hosts are {hosts}",
        "run the sweep on one of those hosts, or make this host part of the cluster: `ray start --address={address}`",
        {"hosts": ["10.0.0.7", "10.0.0.8"], "address": "10.0.0.7:6379"},
    ),
    "cluster-without-hosts": Entry(
        "this host runs no node of that cluster, which has no nodes",
        "make this host part of the cluster: `ray start --address={address}`",
        {"address": "10.0.0.7:6379"},
    ),
    # --- joining a cluster, starting Ray
    "cluster-not-joined": Entry(
        "no cluster could be joined: {why}",
        "see to it that the cluster runs and has the version of Ray that is installed here",
        {"why": "Version mismatch: The cluster was started with Ray 2.60.0"},
    ),
    "cluster-joined-too-late": Entry(
        "no cluster could be joined: the cluster did not let this driver in within {seconds:g} s",
        "look on the head node whether Ray runs there (`ray status`), and restart it if it hangs",
        {"seconds": 30.0},
    ),
    "ray-not-started": Entry(
        "Ray could not be started here: {why}",
        "mend what Ray says, or run the sweep without Ray (--in-process)",
        {"why": "Failed to start the GCS server"},
    ),
    "ray-in-use": Entry(
        "Ray is in use in this process already", "end that use with ray.shutdown(), or use another process"
    ),
    "no-temporary-folder": Entry(
        "temporary files have no place: {why}",
        "set TMPDIR to a folder that can be written to",
        {"why": "No usable temporary directory found in ['/tmp', '/var/tmp']"},
    ),
    "sockets-path-too-long": Entry(
        "the path is too long for Ray's sockets, which have room for {room} bytes",
        _TEMPORARY,
        {"room": 31, "variable": "TMPDIR"},
    ),
    "rays-folder-unwritable": Entry(
        "{folder} can't be written to", _TEMPORARY, {"folder": "/tmp/ray", "variable": "TMPDIR"}
    ),
    "cluster-head-gone": Entry(
        "the head of the Ray cluster at {address} does not answer",
        "run the same command again with a cluster that runs, and the sweep goes on",
        {"address": "10.0.0.7:6379"},
    ),
    # --- the nodes of a cluster
    "trial-fits-no-node": Entry(
        "a trial asks for {cpus} CPUs and {gpus:g} GPUs, and no node has as many (the {nodes} nodes of the "
        "cluster have {cluster_cpus:g} CPUs and {cluster_gpus:g} GPUs together)",
        f"{_ASK_LESS}, or add a larger node to the cluster",
        {"cpus": 16, "gpus": 0.0, "nodes": 2, "cluster_cpus": 16.0, "cluster_gpus": 0.0},
    ),
    "trial-fits-no-node-type": Entry(
        "a trial asks for {cpus} CPUs and {gpus:g} GPUs, and neither a node of the cluster has as many (its {nodes} "
        "nodes have {cluster_cpus:g} CPUs and {cluster_gpus:g} GPUs together) nor a node that its autoscaler may start "
        "({types})",
        f"{_ASK_LESS}, or give the autoscaler a larger type of nodes",
        {
            "cpus": 16,
            "gpus": 0.0,
            "nodes": 1,
            "cluster_cpus": 0.0,
            "cluster_gpus": 0.0,
            "types": ["small with 4 CPUs", "large with 8 CPUs and 2 GPUs"],
        },
    ),
    "wait-for-node-ended": Entry(
        "the wait for a node with room for a trial has ended: {why}",
        "run the same command again, nothing was started",
        {"why": "interrupted"},
    ),
    "gpus-unusable": Entry(
        "PyTorch can use {usable} of {there} GPUs{why:?: *}",
        "mend that, start Ray there with --num-gpus=0, or set resources.gpus_per_trial to 0 or auto",
        {"usable": 0, "there": 2, "why": "PyTorch 2.9.1+cpu is a build for the CPU"},
    ),
    "gpu-too-small": Entry(
        "the largest trial does not fit into its share of this machine's GPU, on which it was to be measured",
        "make the space, the model or training.batch_size smaller, or resources.gpus_per_trial larger; to plan for "
        "other machines, put CUDA_VISIBLE_DEVICES= before the command: it then measures on the CPU",
    ),
    "no-memory-to-train-it": Entry(
        "this process has no memory to train it for the test part, where it is not judged now: {why}",
        "run the same command again when other work has left the device",
        {"why": "CUDA out of memory. Tried to allocate 2.00 GiB"},
    ),
    "packages-missing": Entry(
        "lacks {packages}, imported by the spec's own code",
        "install what is missing on that host",
        {"packages": ["scipy", "einops"]},
    ),
    "no-worker-in-time": Entry(
        "no worker comes to life there within {seconds:g} s",
        "look into Ray's logs on that host (/tmp/ray/session_latest/logs), and restart Ray there",
        {"seconds": 90.0},
    ),
    "no-worker-lives": Entry(
        "no worker comes to life there: {why}",
        "mend there what Ray says, or take the host out of the cluster (`ray stop`)",
        {"why": "No space left on device"},
    ),
    "token-for-cluster-without": Entry(
        "is token here, and in a cluster that was started without it no worker comes to life",
        "unset RAY_AUTH_MODE, or start the cluster with RAY_AUTH_MODE=token",
    ),
    "node-silent": Entry(
        "did not answer within {seconds:g} s",
        "restart Ray on that host, or take the host out of the cluster (`ray stop`)",
        {"seconds": 90.0},
    ),
    "node-fails": Entry(
        "can't run the code of lstm-sweeps: {why}",
        "install there what is installed here",
        {"why": "ModuleNotFoundError: No module named 'optuna'"},
    ),
    "versions-differ": Entry(
        "has {what} {theirs}, this driver has {ours}",
        "install the same version everywhere",
        {"what": "Python", "theirs": "3.12.4", "ours": "3.13.1"},
    ),
    "folder-not-shared": Entry(
        "what the host writes to {folder} is not seen here",
        "set storage.checkpoints to a folder that all hosts share, or to s3://…",
        {"folder": "/home/ann/runs/checkpoints/co2"},
    ),
}

SWEEP: dict[str, Entry] = {
    # --- who is told
    "webhook-takes-nothing": Entry(
        "the webhook does not take what it is told ({why}), and the sweep goes on without",
        "look at the address and at its server",
        {"why": "error 401"},
    ),
    # --- where trials run
    "cluster-without-token": Entry(
        "the cluster may not ask for a token, and whoever reaches the ports of the cluster can run code there", _TOKEN
    ),
    "node-awaited": Entry(
        "no node has room for a trial yet ({cpus} CPUs and {gpus:g} GPUs), so the autoscaler is asked for {places} "
        "such places, on nodes of these types: {types:?*}{why:?unknown (*)}",
        "interrupt the command if you do not want to wait",
        {"cpus": 1, "gpus": 0.0, "places": 12, "types": ["small with 4 CPUs"], "why": ""},
    ),
    "node-left-out": Entry(
        "the node has joined and no trial runs there: {why}. To mend that: {mend}",
        example={"why": "has torch 2.9.1, this driver has 2.13.0", "mend": "install the same version everywhere"},
    ),
    "no-more-nodes-asked": Entry(
        "no more nodes are asked for: the last {count} that joined can't run trials", example={"count": 3}
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
    "launched-waits": Entry(
        "{why}, and the job asks again in {pause_s:g} s",
        example={"why": "storage.study: the database's server can't be reached: Connection refused", "pause_s": 2.0},
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
