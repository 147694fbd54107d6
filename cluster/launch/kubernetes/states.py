"""Says what a RayJob's status means for its sweep. KubeRay tells of the job and of its deployment apart."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from cluster.launch.kubernetes.entrypoint import BAD_INPUT, END, HELD, INTERRUPTED
from cluster.launch.system import Phase, State

TOOL = "kubectl"
QUEUE = "kueue.x-k8s.io/queue-name"
_REASONS = {
    "SubmissionFailed": "the pod that submits the job to Ray has failed",
    "DeadlineExceeded": "the time limit has passed; `sweep launch` goes on with the sweep",
    "PreRunningDeadlineExceeded": "the cluster was not up in time",
    "AppFailed": "the driver has failed",
    "JobDeploymentStatusTransitionGracePeriodExceeded": "Ray and the pod that submits the job disagree on its end",
    "JobStatusCheckTimeoutExceeded": "the head did not answer KubeRay",
    "ValidationFailed": "KubeRay refuses the RayJob",
}
_ENDS = {
    0: "the sweep is done",
    1: "the sweep has failed",
    BAD_INPUT: "the sweep can't run as it is; no new cluster was started, since it would end the same way",
    HELD: "another driver holds the sweep; no new cluster was started",
    INTERRUPTED: "the sweep was stopped; `sweep launch` goes on with it",
}
_WAITS = {
    "": "KubeRay has not looked at it yet; if that lasts, no KubeRay watches this namespace",
    "Initializing": "the pods of the cluster start",
    "Suspending": "the cluster is taken away; the sweep goes on from its last epochs",
    "Suspended": "Kueue has not admitted it yet",
    "Retrying": "an attempt has failed; a new cluster is made, and the sweep goes on from its last epochs",
}
_CODE = re.compile(r"exit code (\d+)")


def state(rayjob: Mapping[str, Any], log: Iterable[str] = ()) -> State:
    """Return the state of a RayJob.

    Args:
        rayjob: The object, as kubectl gives it.
        log: Lines of the log of the job; looked at only if the job was stopped, since its status has no exit code then.
    """
    status: Mapping[str, Any] = rayjob.get("status") or {}
    deployed, job = status.get("jobDeploymentStatus") or "", status.get("jobStatus") or ""
    word = " ".join(filter(None, (deployed, job))) or "New"
    failed = int(status.get("failed") or 0)
    if rayjob["metadata"].get("deletionTimestamp"):
        return State("running", "Terminating", "it is being deleted", restarts=failed, asked=TOOL)
    if deployed == "Complete":
        return _complete(word, job, failed, log)
    if deployed == "Failed":
        return _failed(word, status, failed)
    if deployed == "ValidationFailed":
        said = _joined(_REASONS[deployed], status.get("message"))
        return State("ended", word, said, code=BAD_INPUT, restarts=failed, asked=TOOL)
    if deployed == "Suspended" and QUEUE not in (rayjob["metadata"].get("labels") or {}):
        return State("ended", word, _ENDS[INTERRUPTED], code=INTERRUPTED, restarts=failed, asked=TOOL)
    phase, said = _under_way(deployed, job, status)
    return State(phase, word, said, restarts=failed, asked=TOOL)


def last_end(lines: Iterable[str]) -> tuple[int, str] | None:
    """Return exit code and words of the last driver that has ended, from the lines of a log; None without one."""
    for line in reversed(list(lines)):
        _, mark, text = line.partition(END)
        if mark:
            try:
                found = json.loads(text)
                return int(found["code"]), str(found["said"])
            except (ValueError, KeyError, TypeError):
                continue  # cut by the log
    return None


def _under_way(deployed: str, job: str, status: Mapping[str, Any]) -> tuple[Phase, str]:
    if deployed == "Initializing":
        return "waiting", _joined(_WAITS[deployed], _cluster(status))
    if deployed == "Running" and job in ("", "PENDING"):
        return "waiting", "the cluster is up, and the driver starts"
    if deployed == "Running":
        return "running", "" if job == "RUNNING" else "the driver has ended, and KubeRay decides what follows"
    if deployed in _WAITS:
        return "waiting", _WAITS[deployed]
    return "unknown", f"KubeRay says {deployed}, which this version does not know"


def _complete(word: str, job: str, failed: int, log: Iterable[str]) -> State:
    if job == "SUCCEEDED":
        return State("ended", word, _ENDS[0], code=0, restarts=failed, asked=TOOL)
    code, said = last_end(log) or (None, "")
    known = _ENDS.get(code, "") if code is not None else "the job was stopped from outside"
    return State("ended", word, _joined(known, said), code=code, restarts=failed, asked=TOOL)


def _failed(word: str, status: Mapping[str, Any], failed: int) -> State:
    reason, message = status.get("reason") or "", str(status.get("message") or "")
    restarts = max(0, failed - 1)  # the last attempt has failed, too
    ended = last_end(message.splitlines())
    if reason == "AppFailed" and ended:
        said = _joined(_ENDS.get(ended[0], _REASONS[reason]), ended[1])
        return State("ended", word, said, code=ended[0], restarts=restarts, asked=TOOL)
    found = _CODE.search(message) if reason == "AppFailed" else None
    said = _joined(_REASONS.get(reason, reason), message)
    return State("ended", word, said, code=int(found[1]) if found else None, restarts=restarts, asked=TOOL)


def _cluster(status: Mapping[str, Any]) -> str:
    """Return why the pods of the cluster are not up, if KubeRay says so."""
    conditions = (status.get("rayClusterStatus") or {}).get("conditions") or []
    said = [each.get("message") for each in conditions if each.get("status") == "False" and each.get("message")]
    return "; ".join(said)


def _joined(*parts: object) -> str:
    return ": ".join(str(each).strip() for each in parts if each)
