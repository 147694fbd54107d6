"""Messages about launching on Kubernetes, with KubeRay and Kueue."""

from lstm.messages.entry import Entry

_OPTION = "this is a fault of the template unless the manifest was changed by hand: undo that, or report it"

ENTRIES: dict[str, Entry] = {
    # --- what a launch needs
    "launch-needs": Entry(
        "is missing: {what}",
        "write it into the profile (~/.config/lstm-sweeps/clusters.yaml), or give the option",
        {"what": "the pods need an image with lstm-sweeps"},
    ),
    "kueue-without-queue": Entry(
        "would do nothing without a queue of Kueue", "give kubernetes.queue, too, or leave it out"
    ),
    "toleration-value": Entry(
        "a value counts only with operator: Equal", "write operator: Equal beside it, or leave the value out"
    ),
    "toleration-without-key": Entry(
        "only operator: Exists, which bears every taint, goes without a key", "name the key, or leave the operator out"
    ),
    "claim-path-taken": Entry(
        "the pods have something else at this path: {what}",
        "mount the volume at another path",
        {"what": "kubernetes.claims.0"},
    ),
    "path-not-in-pod": Entry(
        "the driver's pod does not see this path, which holds the {what}{claims:? (claims are mounted at *)}",
        "{study:?keep the study in PostgreSQL: storage.study takes postgresql://HOST/NAME. A volume that "
        "kubernetes.claims mounts would hold the file, but its locks can fail there}{other:?move it to a volume that "
        "kubernetes.claims mounts at the same path as here}{data:?; or let it travel by a bucket with --upload "
        "s3://BUCKET/FOLDER, or give its address there}{checkpoints:?; or give an address as s3://BUCKET/FOLDER in "
        "storage.checkpoints}{records:?; or give the address of a server in tracking.uri}",
        {
            **{"what": "study", "claims": ["/shared"], "study": "study"},
            **{"other": None, "data": None, "checkpoints": None, "records": None},
        },
    ),
    "launch-variable-lacking": Entry(
        "needs {name}, which the profile does not give",
        "name the Secret that has it in `driver_secrets` or `secrets` of the profile; if it is no secret, give it in "
        "`environment` of the profile, or give a default: ${{{name}:-default}}",
        {"name": "STUDY_URL"},
    ),
    "path-of-root": Entry(
        "lies in root's own folder, which the user of a pod may not read",
        "move the file to another folder, such as /srv or a user's home",
    ),
    "files-too-large": Entry(
        "the spec and its files of code have {size:,} bytes, and a ConfigMap takes {most:,}",
        "move what is large into a file of data",
        {"size": 2_345_678, "most": 1_000_000},
    ),
    "manifest-unreadable": Entry(
        "the manifest is no YAML: {why}", _OPTION, {"why": "mapping values are not allowed here"}
    ),
    # --- KubeRay's rules
    "kuberay-name": Entry(
        "{name!q} is no name of a {kind}: those have small letters, digits and -, a letter first, and at most {most} "
        "characters",
        "give the sweep another name",
        {"name": "CO2", "kind": "RayJob", "most": 47},
    ),
    "kuberay-needs": Entry(
        "KubeRay takes {field} only with {needed}", _OPTION, {"field": "suspend", "needed": "shutdownAfterJobFinishes"}
    ),
    "kuberay-excludes": Entry(
        "KubeRay does not take {field} together with {other}",
        _OPTION,
        {"field": "backoffLimit", "other": "clusterSelector"},
    ),
    "kuberay-too-small": Entry(
        "{value} is less than {least}, which KubeRay asks for", _OPTION, {"value": 0, "least": 1}
    ),
    "kuberay-no-container": Entry("a pod needs at least one container", _OPTION),
    "kuberay-own-variable": Entry("{name} is a variable that KubeRay sets itself", _OPTION, {"name": "REDIS_USERNAME"}),
    "kuberay-restart-policy": Entry("{policy} is not taken here by KubeRay, only Never", _OPTION, {"policy": "Always"}),
    "kuberay-ray-version": Entry(
        "KubeRay takes this from Ray {least} on, and rayVersion is {version!q}",
        "launch from an environment with a newer Ray",
        {"least": "2.52.0", "version": "2.51.1"},
    ),
    "kuberay-gate": Entry(
        "lies behind KubeRay's feature gate {gate}, which is off by default", _OPTION, {"gate": "RayClusterMTLS"}
    ),
    "kubernetes-label": Entry(
        "{key!q}: {value!q} is no label of Kubernetes",
        "use letters, digits, -, _ and . only, at most 63",
        {"key": "kueue.x-k8s.io/queue-name", "value": "my queue"},
    ),
    # --- the cluster
    "kubectl-missing": Entry(
        "kubectl is not on the PATH", "install kubectl, and log in to the cluster (`kubectl get pods` then answers)"
    ),
    "kubernetes-silent": Entry(
        "the cluster did not answer within {seconds} s",
        "try `kubectl get pods`; kubernetes.context says which cluster is meant",
        {"seconds": 30},
    ),
    "kubernetes-refused": Entry(
        "kubectl says: {why}",
        "see whether the context, the namespace and your rights are right: `kubectl auth can-i create rayjobs`",
        {"why": 'Error from server (Forbidden): rayjobs.ray.io is forbidden: User "ann" cannot create them'},
    ),
    "kuberay-missing": Entry(
        "the cluster knows no RayJobs: {why}",
        "have the cluster's administrator install the KubeRay operator, 1.7 or newer",
        {"why": 'error: the server doesn\'t have a resource type "rayjob"'},
    ),
    "kubernetes-name-taken": Entry(
        "a RayJob {name} is there{owner:?, of the sweep *}, and this sweep's would have the same name",
        "give the sweep another name, or delete that RayJob",
        {"name": "co2", "owner": "CO2"},
    ),
    "kubernetes-lives": Entry(
        "the RayJob {name} of this sweep has not ended: {word}",
        "look with `sweep status`, or end it with `sweep stop`{command:?; if these do not know it, as one that was "
        "created by hand or forgotten, let it end, or delete it: `*`}",
        {"name": "co2", "word": "Running RUNNING", "command": "kubectl delete rayjob co2 --namespace=ml"},
    ),
    "kubernetes-of-another-home": Entry(
        "a RayJob {name} is there ({word}), of a sweep of the same name that was not launched from this home{home:?, "
        "but from *}",
        "give the sweep another `name`; or, if it is the same sweep, let that RayJob end, keep its log if you need it, "
        "and delete it: `kubectl delete rayjob {name} --namespace={namespace}{context:? --context=*}`",
        {
            **{"name": "co2", "word": "Complete SUCCEEDED", "home": "laptop:/home/ann/runs", "namespace": "ml"},
            "context": "lab",
        },
    ),
    "kubernetes-files-taken": Entry(
        "a ConfigMap {name} is there{owner:?, of the sweep *}, and this sweep's would have the same name",
        "give the sweep another `name`, or delete that ConfigMap if nothing uses it",
        {"name": "co2-files", "owner": "CO2"},
    ),
    "kubernetes-log-gone": Entry(
        "the RayJob {name} that was launched here was deleted, and its log with it{other:?. A RayJob of the sweep * "
        "has its name now}{home:?, launched from the home *}",
        "launch again{other:?; give the sweep another `name` if that RayJob is not yours}",
        {"name": "co2", "other": "co2", "home": "laptop:/home/ann/runs"},
    ),
    "kubernetes-no-log": Entry(
        "the RayJob {name} has no log yet, or none any more",
        "look with `sweep status`; `kubectl describe rayjob {name}` shows what Kubernetes did",
        {"name": "co2"},
    ),
}

NOTES: dict[str, Entry] = {
    "launch-variables-of-secrets": Entry(
        "the pods need {names}, which the Secrets {secrets} must have",
        example={"names": ["STUDY_URL"], "secrets": ["study"]},
    ),
    "study-file-on-claim": Entry(
        "the study is a SQLite file, {file}, on a volume of several pods. Most such volumes are NFS or CephFS, where "
        "its locks can fail, and with them the lease that lets one of two attempts drive",
        "keep the study in PostgreSQL, as postgresql://HOST/NAME",
        {"file": "/shared/runs/study.db"},
    ),
}
