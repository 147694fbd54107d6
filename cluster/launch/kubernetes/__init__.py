"""Launches a sweep on Kubernetes as a RayJob of KubeRay."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.launch import record
from cluster.launch.kubernetes import manifest, states
from cluster.launch.kubernetes.checks import check
from cluster.launch.kubernetes.kubectl import Absent, Kubectl
from cluster.launch.profile import KubernetesProfile
from cluster.launch.record import Launched
from cluster.launch.request import Request
from cluster.launch.system import State
from cluster.launch.tool import Unsent
from lstm.records.errors import BadInput, Fault, refused, why_of

SUBMITTER = "ray-job-submitter"


class Kubernetes:
    """KubeRay's RayJobs, reached by kubectl. A job's id is the name of its RayJob."""

    name = "kubernetes"

    def render(self, request: Request) -> str:
        """Return the manifest; nothing is asked or written."""
        return manifest.render(request)

    def check(self, request: Request, text: str) -> Sequence[Fault]:
        """Return what is wrong with the manifest, or with the request for Kubernetes."""
        return check(request, text)

    def intend(self, request: Request) -> Launched:
        """Return the place of the RayJob, and which one is there now; see `System`."""
        assert isinstance(request.profile, KubernetesProfile)
        kubectl, name = Kubectl(request.profile.context, request.profile.namespace), manifest.job_name(request.name)
        context, namespace = kubectl.current()
        there = Launched(self.name, name, request.name, where={"context": context, "namespace": namespace})
        last = record.read(Path(request.home, request.name))
        ours = last.where.get("uid", "") if last else ""
        return replace(there, where={**there.where, "before": _uid(there), "ours": ours})

    def submit(self, request: Request, text: str, intent: Launched) -> Launched:
        """Create the objects of the manifest; the last RayJob of this home is replaced if it has ended.

        Raises:
            Unsent: an object that a launch would make is there already, or the cluster can't be asked.
            BadInput: the cluster has refused.
        """
        kubectl = _kubectl(intent)
        try:
            _make_room(kubectl, request, intent)
        except BadInput as error:
            raise Unsent(*error.faults) from None
        kubectl.create(text)
        return _made(intent, _uid(intent))

    def find(self, intent: Launched) -> Launched | None:
        """Return the RayJob that was created for an intent; see `System`."""
        uid = _uid(intent)
        return _made(intent, uid) if uid not in ("", intent.where.get("before")) else None

    def state(self, launched: Launched) -> State:
        """Return the state of the RayJob; `ended` if it was deleted, `unknown` if the cluster does not answer."""
        try:
            rayjob = _kubectl(launched).get(_rayjob(launched.job))
            if not _is_of(rayjob, launched):
                return State("ended", "Replaced", "another RayJob has its name now", asked=states.TOOL)
            status = rayjob.get("status") or {}
            is_stopped = status.get("jobDeploymentStatus") == "Complete" and status.get("jobStatus") != "SUCCEEDED"
            return states.state(rayjob, self._lines(launched) if is_stopped else ())
        except Absent:
            return State("ended", "NotFound", "the RayJob was deleted", asked=states.TOOL)
        except BadInput as error:
            return State("unknown", "", why_of(error), asked=states.TOOL)

    def stop(self, launched: Launched) -> None:
        """Take the cluster away; the driver keeps its last epochs before. The RayJob stays, except in a queue of Kueue.

        Kueue sets the field that suspends a RayJob itself, so a RayJob in a queue is deleted.

        Raises:
            BadInput: kubectl is missing, or the cluster has refused.
        """
        kubectl, name = _kubectl(launched), _rayjob(launched.job)
        try:
            rayjob = kubectl.get(name)
        except Absent:
            return
        if not _is_of(rayjob, launched) or states.state(rayjob).phase == "ended":
            return
        if states.QUEUE in (rayjob["metadata"].get("labels") or {}):
            kubectl.delete(name, f"configmap/{manifest.files_name(launched.job)}", wait=False)
        else:
            uid = {"uid": rayjob["metadata"]["uid"]}  # of another RayJob, made meanwhile, the server refuses the change
            kubectl.patch(name, {"metadata": uid, "spec": {"suspend": True}})

    def logs(self, launched: Launched) -> Iterator[str]:
        """Yield the lines of the driver so far; before it has started, those of the plan in the head's init container.

        Raises:
            BadInput: there are none, or they can't be read.
        """
        lines = self._lines(launched)
        if not lines:
            label = f"{manifest.LABEL}={launched.job},ray.io/node-type=head"
            lines = list(_kubectl(launched).logs(label, manifest.PLAN))
        _refuse_another(launched)  # asked last: a RayJob that is there now was there while the log was read
        if not lines:
            raise refused("kubernetes-no-log", name=launched.job)
        yield from lines

    def _lines(self, launched: Launched) -> list[str]:
        return list(_kubectl(launched).logs(f"job-name={launched.job}", SUBMITTER))


def _uid(launched: Launched) -> str:
    """Return the uid of the RayJob that has a job's name now; "" if there is none."""
    try:
        return str(_kubectl(launched).get(_rayjob(launched.job))["metadata"].get("uid", ""))
    except Absent:
        return ""


def _made(intent: Launched, uid: str) -> Launched:
    where = {name: value for name, value in intent.where.items() if name not in ("before", "ours")}
    return replace(intent, where={**where, "uid": uid})


def _is_of(rayjob: Mapping[str, Any], launched: Launched) -> bool:
    """Whether a RayJob is the one that was launched. If only the study knows the job, its sweep's name must do."""
    uid, kept = rayjob["metadata"].get("uid"), launched.where.get("uid")
    if kept:
        return bool(uid == kept)
    return uid != launched.where.get("before") and _note(rayjob, manifest.SWEEP) == launched.sweep


def _note(found: Mapping[str, Any], name: str) -> str | None:
    """Return an annotation of an object."""
    value = (found["metadata"].get("annotations") or {}).get(name)
    return None if value is None else str(value)


def _refuse_another(launched: Launched) -> None:
    """Refuse if the RayJob of a job was deleted, or another one has its name."""
    try:
        rayjob = _kubectl(launched).get(_rayjob(launched.job))
    except Absent:
        raise refused("kubernetes-log-gone", at=launched.sweep, name=launched.job, home=None, other=None) from None
    if not _is_of(rayjob, launched):
        told = {"name": launched.job, "other": _note(rayjob, manifest.SWEEP) or "an unknown sweep"}
        raise refused("kubernetes-log-gone", at=launched.sweep, home=_note(rayjob, manifest.HOME), **told)


def _make_room(kubectl: Kubectl, request: Request, intent: Launched) -> None:
    """Delete what an ended launch of this home has left of its RayJob and its ConfigMap.

    Raises:
        BadInput: something of the same name lives, or is not this home's; nothing was deleted.
    """
    name, files = _rayjob(intent.job), f"configmap/{manifest.files_name(intent.job)}"
    there = kubectl.present(name, files)
    if rayjob := there.get(name):
        _refuse_rayjob(rayjob, request, intent)
    if kept := there.get(files):
        owner, labels = _note(kept, manifest.SWEEP), kept["metadata"].get("labels") or {}
        is_ours = owner in (request.name, None)  # an earlier version wrote no annotation
        if labels.get(manifest.LABEL) != intent.job or not is_ours:
            raise refused("kubernetes-files-taken", name=manifest.files_name(intent.job), owner=owner)
    if there:
        kubectl.delete(*there)


def _refuse_rayjob(rayjob: Mapping[str, Any], request: Request, intent: Launched) -> None:
    """Refuse if a RayJob lives, or is not this home's.

    It is by its uid, or, as of one that was created by hand or was forgotten, by the home that it has itself.
    """
    place = {each: intent.where.get(each) for each in ("namespace", "context")}
    told = {"name": intent.job, "word": states.state(rayjob).word, **place}
    if (owner := _note(rayjob, manifest.SWEEP)) != request.name:
        raise refused("kubernetes-name-taken", name=intent.job, owner=owner)
    is_known, home = rayjob["metadata"].get("uid") == intent.where.get("ours"), _note(rayjob, manifest.HOME)
    if not is_known and home != manifest.home_of(request):
        raise refused("kubernetes-of-another-home", home=home, **told)
    if states.state(rayjob).lives:
        words = ["kubectl delete rayjob", intent.job, *(f"--{key}={value}" for key, value in place.items() if value)]
        command = None if is_known else " ".join(words)
        raise refused("kubernetes-lives", name=intent.job, word=told["word"], command=command)


def _kubectl(launched: Launched) -> Kubectl:
    return Kubectl(launched.where.get("context") or None, launched.where.get("namespace") or None)


def _rayjob(name: str) -> str:
    return f"rayjob.ray.io/{name}"


SYSTEM = Kubernetes()
