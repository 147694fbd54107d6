"""Examines what a sweep would find: the hosts of a cluster or this machine, the study's database, MLflow, the data."""

import platform
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.config import ResourcesConfig
from cluster.doctor import looks
from cluster.doctor.judging import Host, Shared, judge
from cluster.doctor.line import Line, lines
from cluster.doctor.study import examine as examine_study
from cluster.study.database import file_of
from dashboards.tracking import preflight
from dashboards.tracking.runs import without_password
from experiments import lookup
from experiments.doctor import places
from experiments.doctor.subject import Subject
from experiments.home import Home
from experiments.own_code import CodeFile
from experiments.planning import make
from lstm import device
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput, Fault, fault

if TYPE_CHECKING:
    from cluster.ray_backend.survey import Cluster, Node

DRIVER = "driver"  # the end of the name of the driver's probe file


def examine(
    named: str | None, home: Home, address: str | None, overrides: Sequence[str] = (), code: CodeFile = None
) -> list[Line]:
    """Examine what a sweep would find. What is written for that is removed again.

    Args:
        named: A NAME or a SPEC; None for a home alone.
        home: The folder for everything that is kept.
        address: The address of a Ray cluster; None for this machine, on which nothing is started.
        overrides: Fields of the spec with other values.
        code: The path of the one file of the user's own code, if it is not where the spec says.

    Raises:
        BadInput: the spec is wrong, or no cluster can be joined at the address.
    """
    if named is None:
        subject = Subject(home, home.study_url, home.tracking_uri, str(home.folder), ResourcesConfig())
    else:
        subject = Subject.of(make(lookup.spec(named, home, overrides, execute=True, code=code), home, to_look=True))
    found = [*_data(subject), *places.examine(subject)]
    with _cleared(subject.checkpoints):
        found += _cluster(subject, address) if address else _here(subject)
    return [*found, *examine_study(subject.study), *_mlflow(subject)]


def _data(subject: Subject) -> Iterator[Line]:
    if subject.data:
        yield Line("data", f"{', '.join(subject.data)}: {subject.data_bytes:,} bytes as arrays")


def _mlflow(subject: Subject) -> list[Line]:
    uri = subject.tracking
    shown = without_password(uri)
    if uri == subject.home.tracking_uri and not subject.home.folder.exists():
        return [Line("mlflow", f"{shown}: made by the first run")]
    try:
        away = preflight.ask(uri, "tracking.uri")
    except BadInput as error:
        return [Line("mlflow", said=replace(each, place=each.place or shown)) for each in error.faults]
    said = [note("mlflow-silent", at=shown, why=away)] if away else []
    return lines("mlflow", said, f"{shown}: takes records")


# --- the hosts


def _here(subject: Subject) -> list[Line]:
    """Return what is good and what is wrong with this machine."""
    from cluster.ray_backend import nodes

    asked = time.time()
    looked = looks.look(subject.checkpoints, (), "", ())
    gpus = looked.gpus or 0
    host = Host(looked.host, looked, asked, time.time(), ray_gpus=gpus)
    said = list[Fault | Note]()
    try:
        nodes.check_here(subject.checkpoints)
    except BadInput as error:
        said += error.faults
    if gpus > device.gpu_count():
        values: dict[str, Any] = {"usable": device.gpu_count(), "there": gpus, "why": device.why_no_gpu() or None}
        if subject.resources.gpus_per_trial == "auto":
            said.append(note("gpus-unused", at=looked.host, **values))
        else:
            said.append(fault("gpus-unusable", "resources.gpus_per_trial", at=looked.host, **values))
    judged = judge([host], Shared(subject.checkpoints, is_address=True))
    wanted = [line for line in judged if line.area not in ("memory", "ports", "clock")]  # of which one host has none
    version, torch = _versions()
    return [*lines("checks", said, f"Python {version}, torch {torch}; checkpoints can be written here"), *wanted]


def _cluster(subject: Subject, address: str) -> list[Line]:
    """Return what is good and what is wrong with the hosts of a cluster.

    Raises:
        BadInput: none can be joined at the address.
    """
    from cluster.ray_backend import survey

    folder, is_address = subject.checkpoints, "://" in subject.checkpoints
    with survey.opened(address, subject.resources, folder, subject.packages) as cluster:
        hosts, written = _asked(cluster, folder, is_address=is_address)
        study = file_of(subject.study)
        has_study = study is not None and study.absolute().is_relative_to(Path(folder).absolute())
        shared = Shared(folder, written, is_address, has_study)
        return [*_checks(cluster), *_silent(hosts), *judge(hosts, shared, subject.data_bytes)]


def _checks(cluster: "Cluster") -> list[Line]:
    """Return what the checks of `run` have found."""
    if not cluster.joined and not cluster.faults:
        awaited = "no node has room for a trial now; the autoscaler may start one, for which `run` waits to check it"
        return [Line("checks", awaited)]
    version, torch = _versions()
    count = len(cluster.nodes)
    is_far = any(not node.address.startswith("127.") for node in cluster.nodes)
    notes = [each for each in (cluster.joined.warnings if cluster.joined else ()) if _is_told(each.code, is_far=is_far)]
    slots = f", {cluster.joined.slots} trials at once" if cluster.joined else ""
    good = f"{count} host{'s' * (count != 1)} with Python {version} and torch {torch}{slots}"
    # Warnings don't take the place of what is good.
    return [*lines("checks", cluster.faults, good), *(Line("checks", said=each) for each in notes)]


def _is_told(code: str, *, is_far: bool) -> bool:
    return is_far or code != "cluster-without-token"  # nobody else reaches this host's own addresses


def _silent(hosts: Sequence[Host]) -> list[Line]:
    return [Line("checks", said=fault("host-silent", at=host.name)) for host in hosts if host.looked is None]


def _asked(cluster: "Cluster", folder: str, *, is_address: bool) -> tuple[list[Host], dict[str, str]]:
    """Ask each host; return what they say, and what was written to the shared folder by name."""
    probe = f".doctor-{uuid.uuid4().hex}"
    own, lock = f"{probe}-{DRIVER}", f"{probe}-lock"
    written: dict[str, str] = {}
    try:
        if not is_address:
            wrote = cluster.ask(looks.write, lambda node: (folder, f"{probe}-{node.id}", node.id))
            pairs = zip(cluster.nodes, wrote, strict=True)
            written = {f"{probe}-{node.id}": node.id for node, each in pairs if each.value == ""}
            for name in (own, lock):
                if not looks.write(folder, name, "first"):
                    written |= {name: "first"} if name == own else {}
        with _locked(folder, lock) as locked:
            answers = cluster.ask(looks.look, lambda node: (folder, [*written], locked, _peers(cluster.nodes, node)))
        changed = own in written and not looks.write(folder, own, "second")
        seen = cluster.ask(looks.sees, lambda node: (folder, own, "second")) if changed else [None] * len(answers)
    finally:
        if not is_address:
            with suppress(OSError):
                looks.remove(folder, probe)
            cluster.ask(looks.remove, lambda node: (folder, probe))  # what a host has written to its own disk
    hosts = [
        Host(
            node.name,
            answer.value,
            answer.asked_s,
            answer.answered_s,
            node.gpus,
            node.memory,
            sees_change=sight is None or sight.value is not False,
        )
        for node, answer, sight in zip(cluster.nodes, answers, seen, strict=True)
    ]
    return hosts, written


def _peers(nodes: Sequence["Node"], node: "Node") -> list[looks.Peer]:
    return [(other.address, port) for other in nodes if other.id != node.id for port in other.ports]


@contextmanager
def _locked(folder: str, name: str) -> Iterator[str]:
    """Hold a lock on a file while hosts look; yield its name, or "" if this host itself can take none."""
    try:
        lock = looks.Lock(Path(folder, name))
    except OSError:
        yield ""
        return
    with lock:
        yield name


@contextmanager
def _cleared(folder: str) -> Iterator[None]:
    """Remove the folders that a check makes at a folder's path."""
    path = Path(folder).absolute() if "://" not in folder else None
    made = [each for each in (path, *path.parents) if not each.exists()] if path else []
    try:
        yield
    finally:
        for each in made:
            with suppress(OSError):
                each.rmdir()


def _versions() -> tuple[str, str]:
    return platform.python_version(), device.version()
