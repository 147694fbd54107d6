"""What each status of a RayJob means, for all that KubeRay 1.7's code can write into one."""

import json

import pytest

from cluster.launch.kubernetes import states
from cluster.launch.kubernetes.entrypoint import END


def rayjob(*, labels=None, deleted=False, **status):
    metadata = {"name": "co2", "labels": labels or {}} | ({"deletionTimestamp": "now"} if deleted else {})
    return {"metadata": metadata, "status": status} if status else {"metadata": metadata}


def ended(code, said=""):
    return f"{END}{json.dumps({'code': code, 'said': said})}"


def told(job, log=()):
    found = states.state(job, log)
    return found.phase, found.code, found.restarts, found.reason


NEW = "KubeRay has not looked at it yet; if that lasts, no KubeRay watches this namespace"
UP = "the cluster is up, and the driver starts"
ANEW = "an attempt has failed; a new cluster is made, and the sweep goes on from its last epochs"
QUEUED = {"kueue.x-k8s.io/queue-name": "gpus"}
DECIDES = "the driver has ended, and KubeRay decides what follows"
STOPPED = "the sweep was stopped; `sweep launch` goes on with it"
OVER = "the time limit has passed; `sweep launch` goes on with the sweep"
BAD = "the sweep can't run as it is; no new cluster was started, since it would end the same way"


@pytest.mark.parametrize(
    ("job", "wanted"),
    [
        (rayjob(), ("waiting", None, 0, NEW)),
        (rayjob(jobDeploymentStatus=""), ("waiting", None, 0, NEW)),
        (rayjob(jobDeploymentStatus="Initializing"), ("waiting", None, 0, "the pods of the cluster start")),
        (rayjob(jobDeploymentStatus="Initializing", failed=2), ("waiting", None, 2, "the pods of the cluster start")),
        (rayjob(jobDeploymentStatus="Running"), ("waiting", None, 0, UP)),
        (rayjob(jobDeploymentStatus="Running", jobStatus="PENDING"), ("waiting", None, 0, UP)),
        (rayjob(jobDeploymentStatus="Running", jobStatus="RUNNING", failed=1), ("running", None, 1, "")),
        (rayjob(jobDeploymentStatus="Running", jobStatus="SUCCEEDED"), ("running", None, 0, DECIDES)),
        (rayjob(jobDeploymentStatus="Running", jobStatus="FAILED"), ("running", None, 0, DECIDES)),
        (rayjob(jobDeploymentStatus="Running", jobStatus="STOPPED"), ("running", None, 0, DECIDES)),
        (rayjob(jobDeploymentStatus="Retrying", jobStatus="FAILED", failed=1), ("waiting", None, 1, ANEW)),
        (
            rayjob(jobDeploymentStatus="Suspending"),
            ("waiting", None, 0, "the cluster is taken away; the sweep goes on from its last epochs"),
        ),
        (
            rayjob(jobDeploymentStatus="Suspended", labels=QUEUED),
            ("waiting", None, 0, "Kueue has not admitted it yet"),
        ),
        (rayjob(jobDeploymentStatus="Suspended"), ("ended", 130, 0, STOPPED)),
        (
            rayjob(jobDeploymentStatus="Complete", jobStatus="SUCCEEDED", succeeded=1, failed=3),
            ("ended", 0, 3, "the sweep is done"),
        ),
        (
            rayjob(jobDeploymentStatus="Complete", jobStatus="STOPPED"),
            ("ended", None, 0, "the job was stopped from outside"),
        ),
        (
            rayjob(jobDeploymentStatus="Failed", jobStatus="RUNNING", reason="DeadlineExceeded", failed=1),
            ("ended", None, 0, OVER),
        ),
        (
            rayjob(jobDeploymentStatus="Failed", reason="PreRunningDeadlineExceeded", message="30 min", failed=11),
            ("ended", None, 10, "the cluster was not up in time: 30 min"),
        ),
        (
            rayjob(jobDeploymentStatus="Failed", reason="SubmissionFailed", message="BackoffLimitExceeded", failed=1),
            ("ended", None, 0, "the pod that submits the job to Ray has failed: BackoffLimitExceeded"),
        ),
        (
            rayjob(
                jobDeploymentStatus="Failed",
                jobStatus="FAILED",
                reason="AppFailed",
                failed=11,
                message=f"Job entrypoint command failed with exit code 1, last …:\nx\n{ended(1, 'no worker')}\n",
            ),
            ("ended", 1, 10, "the sweep has failed: no worker"),
        ),
        (
            rayjob(
                jobDeploymentStatus="Failed",
                jobStatus="FAILED",
                reason="AppFailed",
                failed=1,
                message="Job entrypoint command failed with exit code 137. No logs available.",
            ),
            (
                "ended",
                137,
                0,
                "the driver has failed: Job entrypoint command failed with exit code 137. No logs available.",
            ),
        ),
        (
            rayjob(jobDeploymentStatus="Failed", reason="AppFailed", message="Ray head pod not found.", failed=1),
            ("ended", None, 0, "the driver has failed: Ray head pod not found."),
        ),
        (
            rayjob(jobDeploymentStatus="Failed", reason="JobStatusCheckTimeoutExceeded", failed=1),
            ("ended", None, 0, "the head did not answer KubeRay"),
        ),
        (
            rayjob(
                jobDeploymentStatus="Failed",
                jobStatus="FAILED",
                reason="JobDeploymentStatusTransitionGracePeriodExceeded",
                failed=1,
            ),
            ("ended", None, 0, "Ray and the pod that submits the job disagree on its end"),
        ),
        (
            rayjob(jobDeploymentStatus="ValidationFailed", reason="ValidationFailed", message="name too long"),
            ("ended", 2, 0, "KubeRay refuses the RayJob: name too long"),
        ),
        (
            rayjob(jobDeploymentStatus="Running", jobStatus="RUNNING", deleted=True),
            ("running", None, 0, "it is being deleted"),
        ),
        (
            rayjob(jobDeploymentStatus="Waiting"),
            ("unknown", None, 0, "KubeRay says Waiting, which this version does not know"),
        ),
    ],
)
def test_a_status_is_told_in_a_sentence(job, wanted):
    assert told(job) == wanted


@pytest.mark.parametrize(
    ("log", "wanted"),
    [
        ([ended(2, "a.yaml:3: no")], ("ended", 2, 0, f"{BAD}: a.yaml:3: no")),
        (
            [ended(3, "held"), "Job was stopped"],
            ("ended", 3, 0, "another driver holds the sweep; no new cluster was started: held"),
        ),
        ([ended(130)], ("ended", 130, 0, STOPPED)),
        ([ended(3, "held"), ended(2, "no")], ("ended", 2, 0, f"{BAD}: no")),
        ([ended(2, "no"), END + '{"code": '], ("ended", 2, 0, f"{BAD}: no")),
        (["something else"], ("ended", None, 0, "the job was stopped from outside")),
    ],
)
def test_an_end_that_no_new_cluster_may_follow_is_read_from_the_log(log, wanted):
    assert told(rayjob(jobDeploymentStatus="Complete", jobStatus="STOPPED"), log) == wanted


def test_why_the_pods_do_not_start_is_told():
    conditions = [
        {"type": "HeadPodReady", "status": "False", "message": "ImagePullBackOff"},
        {"type": "RayClusterProvisioned", "status": "True", "message": "no"},
    ]
    job = rayjob(jobDeploymentStatus="Initializing", rayClusterStatus={"conditions": conditions})
    assert told(job)[3] == "the pods of the cluster start: ImagePullBackOff"
