"""Launches a sweep on Kubernetes as a RayJob of KubeRay."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

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
        return replace(there, where={**there.where, "before": _uid(there)})

    def submit(self, request: Request, text: str, intent: Launched) -> Launched:
        """Create the objects of the manifest; a RayJob of this sweep that has ended is replaced.

        Raises:
            Unsent: an object that a launch would make is there already, or the cluster can't be asked.
            BadInput: the cluster has refused.
        """
        kubectl = _kubectl(intent)
        try:
            _make_room(kubectl, request.name, intent.job)
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
            if launched.where.get("uid") not in ("", None, rayjob["metadata"].get("uid")):
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
        if states.state(rayjob).phase == "ended":
            return
        if states.QUEUE in (rayjob["metadata"].get("labels") or {}):
            kubectl.delete(name, f"configmap/{manifest.files_name(launched.job)}", wait=False)
        else:
            kubectl.patch(name, {"spec": {"suspend": True}})

    def logs(self, launched: Launched) -> Iterator[str]:
        """Yield the lines of the driver so far; before it has started, those of the plan in the head's init container.

        Raises:
            BadInput: there are none, or they can't be read.
        """
        lines = self._lines(launched)
        if not lines:
            label = f"{manifest.LABEL}={launched.job},ray.io/node-type=head"
            lines = list(_kubectl(launched).logs(label, manifest.PLAN))
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
    where = {name: value for name, value in intent.where.items() if name != "before"}
    return replace(intent, where={**where, "uid": uid})


def _make_room(kubectl: Kubectl, sweep: str, name: str) -> None:
    """Delete the RayJob of that name if it is this sweep's and has ended."""
    try:
        rayjob = kubectl.get(_rayjob(name))
    except Absent:
        return
    owner = (rayjob["metadata"].get("annotations") or {}).get(manifest.SWEEP)
    if owner != sweep:
        raise refused("kubernetes-name-taken", name=name, owner=owner)
    now = states.state(rayjob)
    if now.lives:
        raise refused("kubernetes-lives", name=name, word=now.word)
    kubectl.delete(_rayjob(name), f"configmap/{manifest.files_name(name)}")


def _kubectl(launched: Launched) -> Kubectl:
    return Kubectl(launched.where.get("context") or None, launched.where.get("namespace") or None)


def _rayjob(name: str) -> str:
    return f"rayjob.ray.io/{name}"


SYSTEM = Kubernetes()
