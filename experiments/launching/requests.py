"""Makes the request for a sweep: it is planned as `run` plans it, and fitted to the nodes that are asked for."""

import os
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cluster.launch import bring, written
from cluster.launch.bring import Upload
from cluster.launch.kubernetes import manifest
from cluster.launch.profile import KubernetesProfile, SlurmProfile, memory_mb, seconds
from cluster.launch.request import Need, Request, Shape, Size
from cluster.study.database import file_of
from dashboards.tracking import store
from experiments.home import Home
from experiments.launching import profiles
from experiments.launching.unseen import planned
from experiments.planning import Plan, describe
from experiments.spec import yaml_document
from experiments.spec.yaml_parser import value_at
from experiments.terminal.formats import duration
from lstm.messages.message import Note, note
from lstm.records.errors import BadInput, Fault, refused
from lstm.records.trial import counted


@dataclass(frozen=True)
class Asked:
    """What the command line asks of a system."""

    system: str
    profile: str | None  # the profile's file; None for the user's own
    fields: Mapping[str, Any]  # fields of the system's section
    upload: str | None = None  # the folder of a bucket by which data travel; None: they lie where the nodes see them


@dataclass(frozen=True)
class Ready:
    """A sweep that is ready to be launched: it was checked, and nothing is submitted or written yet."""

    request: Request
    shape: Shape
    plan: Mapping[str, Any]  # as `planning.describe` returns it
    study_url: str | None = field(repr=False)  # None: the study can't be asked here
    uploads: tuple[Upload, ...] = ()  # what the bucket gets when the sweep is submitted
    notes: tuple[Note, ...] = ()  # what could be asked for otherwise

    def not_submitted(self) -> "Ready":
        """Return the same with a note for each file that must be in the bucket before the text is submitted."""
        more = (note("launch-upload-first", at=each.path, address=each.address) for each in self.uploads)
        return replace(self, notes=(*self.notes, *more))

    def rows(self, *, whole: bool = True) -> list[tuple[str, str]]:
        """Return what will be submitted, and what is known of its run, in words, each with a label.

        Not `whole`: without what the plan says itself.
        """
        return list(_rows(self, whole=whole))

    def document(self) -> dict[str, Any]:
        """Return the same as plain data; times are in seconds."""
        size, shape = self.shape.size, self.shape
        return {
            "sweep": self.request.name,
            "system": self.request.system,
            "nodes": size.nodes,
            "cpus": size.cpus,
            "gpus": size.gpus,
            "memory_mb": size.memory_mb,
            "time_s": size.time_s,
            "at_once": shape.at_once,
            "a_node": shape.a_node,
            "sweep_s": list(shape.seconds),
            "runs": shape.runs,
            "unknown": list(shape.unknown),
            "notes": list(self.notes),
            "uploads": [{"path": each.path, "address": each.address} for each in self.uploads],
        }


def make(named: str, home: Home, asked: Asked, overrides: Sequence[str] = (), code: str | None = None) -> Ready:
    """Plan a sweep as `run` does, and return the request for it and its shape; start and write nothing.

    Raises:
        BadInput: `run` would refuse the sweep, the profile or an option is wrong, or no trial fits on a node.
    """
    profile = profiles.read(asked.system, asked.profile, asked.fields)
    if wrong := [*written.in_overrides(asked.system, overrides)]:
        raise BadInput(*wrong)
    seen = planned(named, home, profile, overrides, code)
    plan = seen.plan
    if asked.system == "kubernetes" and (wrong := [*_secrets(plan, code)]):
        raise BadInput(*wrong)
    shape = shape_of(plan, profile)
    found = seen.shown(describe(plan, shape.at_once))
    low, high = sorted(found["sweep_s"])
    shape = replace(shape, seconds=(low, high))
    unknown = _unknown(found, shape, asked.system, is_checked=bool(profile.shared) or asked.system != "slurm")
    shape = replace(shape, unknown=tuple(unknown))
    request = _request(plan, asked.system, named, home, shape.size, profile, overrides, code)
    request = replace(request, faults=seen.faults)
    uploads = bring.uploads(_data(plan), asked.upload) if asked.upload is not None else ()
    notes = [*seen.notes, *_on_claim(plan, profile), *_idle(shape, profile)]
    if asked.upload is not None and not uploads:
        notes.append(note("launch-nothing-to-upload", at=bring.FLAG))
    if _goes_with_pod(plan, profile):
        notes.append(note("launch-records-go-with-pod", at="tracking.uri", home=str(home.folder)))
    study_url = plan.order.study_url if seen.is_study_seen else None
    return Ready(bring.rewritten(request, uploads), shape, found, study_url, uploads, tuple(notes))


def _on_claim(plan: Plan, profile: SlurmProfile | KubernetesProfile) -> Iterator[Note]:
    """Yield a note if the study is a file on a volume of several pods, where locks may fail."""
    file = file_of(plan.order.study_url)
    if file and isinstance(profile, KubernetesProfile) and manifest.is_held(str(file.absolute()), profile):
        yield note("study-file-on-claim", "storage.study", file=str(file))


def shape_of(plan: Plan, profile: SlurmProfile | KubernetesProfile) -> Shape:
    """Return what a sweep is on the nodes of a profile.

    Raises:
        BadInput: no trial fits on such a node.
    """
    resources = plan.order.resources
    size = Size(
        nodes=profile.nodes,
        cpus=profile.cpus or resources.cpus_per_trial,
        gpus=profile.gpus,
        memory_mb=memory_mb(profile.memory) if profile.memory else None,
        time_s=seconds(profile.time) if profile.time else None,
        warn_s=profile.warn if isinstance(profile, SlurmProfile) else 0,
    )
    shape = Shape.of(size, resources, plan.order.width)
    if not shape.at_once:
        cpus, gpus = resources.cpus_per_trial, shape.gpus_per_trial
        raise refused(
            "trial-fits-no-asked-node", "resources", cpus=cpus, gpus=gpus, there=size.cpus, gpus_there=size.gpus
        )
    return shape


def _rows(ready: Ready, *, whole: bool) -> Iterator[tuple[str, str]]:
    shape, size, plan = ready.shape, ready.shape.size, ready.plan
    if whole:
        yield "sweep", f"{plan['sweep']} ({plan['task']}): {counted(plan['trials'], 'trial')}"
    memory = f", {size.memory_mb:,} MiB" if size.memory_mb else ""
    each = f"{counted(size.cpus, 'CPU')}, {counted(size.gpus, 'GPU')}{memory}"
    yield "nodes", f"{counted(size.nodes, 'node')} of {ready.request.system}, each with {each}"
    most = "" if shape.at_once == shape.a_node * size.nodes else "at most "
    yield "at once", f"{counted(shape.at_once, 'trial')}, {most}{shape.a_node} a node"
    low, high = (duration(span) for span in shape.seconds)
    if whole:
        yield "time", f"{low} to {high} of training from the first trial on" if low != high else f"{low} of training"
    for upload in ready.uploads:
        yield "upload", f"{upload.path} to {upload.address}"
    for told in shape.unknown:
        yield "unknown", str(told)
    for told in [*ready.notes, *(plan["warnings"] if whole else ())]:
        yield "note", str(told)


def _unknown(found: Mapping[str, Any], shape: Shape, system: str, *, is_checked: bool) -> Iterator[Note]:
    """Yield what can't be known before the sweep runs; `is_checked` says whether the nodes see what it needs."""
    if not is_checked:
        yield note("launch-folders-not-checked")
    yield note("launch-wait-unknown")
    yield note("launch-speed-unknown", device=found["device"], gpus=shape.size.gpus or None)
    if shape.runs and shape.runs[1] > 1:
        low, high = shape.runs
        yield note("launch-of-several-runs" if system == "slurm" else "launch-ends-early", low=low, high=high)


def _idle(shape: Shape, profile: SlurmProfile | KubernetesProfile) -> Iterator[Note]:
    """Yield a note if nodes are asked for that no trial will ever use."""
    nodes, busy = shape.size.nodes, shape.busy
    is_held = isinstance(profile, SlurmProfile) or profile.queue is not None
    if busy < nodes:
        told = {"trials": counted(shape.at_once, "trial"), "idle": nodes - busy, "nodes": nodes, "busy": busy}
        yield note("launch-nodes-idle", at="--nodes", **told, held="held" if is_held else None)


def _secrets(plan: Plan, code: str | None) -> Iterator[Fault]:
    """Yield a fault for each secret in the texts that are sent: the spec's, whatever --set says, and own code's."""
    path = plan.spec.document.path
    document = yaml_document.read(path, whole=False)
    found = {".".join(map(str, at)): (document.where(at), value_at(document.written, at)) for at in document.lines}
    texts = {path: text for path, (_, text) in found.items() if isinstance(text, str)}
    faults = [*written.in_spec("kubernetes", texts, {path: found[path][0] for path in texts})]
    yield from faults
    yield from written.in_text("kubernetes", document.text, path, {each.place for each in faults})
    for own in _own_files(plan, code):
        yield from written.in_text("kubernetes", Path(own).read_text(encoding="utf-8", errors="replace"), own)


def _request(
    plan: Plan,
    system: str,
    named: str,
    home: Home,
    size: Size,
    profile: SlurmProfile | KubernetesProfile,
    overrides: Sequence[str],
    code: str | None,
) -> Request:
    document = plan.spec.document
    is_file = Path(document.path).is_file() and document.path == named
    return Request(
        system=system,
        name=plan.order.name,
        named=os.path.abspath(named) if is_file else named,  # noqa: PTH100 # a link stays one
        spec_text=_whole(document, is_file=is_file),
        overrides=tuple(overrides),
        code=code and os.path.abspath(code),  # noqa: PTH100
        home=str(home.folder),
        cwd=str(Path.cwd()),
        size=size,
        profile=profile,
        python=sys.executable,
        needs=tuple(_needs(plan, named if is_file else None, code, profile)),
    )


def _whole(document: yaml_document.Document, *, is_file: bool) -> str:
    """Return a spec's text with the mark that some editors put before it, which no reader keeps."""
    is_marked = is_file and Path(document.path).read_bytes().startswith(BOM_UTF8)
    return "\ufeff" * is_marked + document.text


def _data(plan: Plan) -> dict[str, str]:
    """Return the full path, or the address, of each file of data, by its field of the spec."""
    found = {f"data.{name}": path for name, path in plan.spec.location if path is not None}
    return {name: path if "://" in path else os.path.abspath(path) for name, path in found.items()}  # noqa: PTH100


def _own_files(plan: Plan, code: str | None) -> list[str]:
    """Return the full paths of the user's own files."""
    return [os.path.abspath(code or plan.spec.folder / own) for own in plan.spec.document.code]  # noqa: PTH100


def _needs(
    plan: Plan, spec: str | None, code: str | None, profile: SlurmProfile | KubernetesProfile
) -> Iterator[tuple[Need, str]]:
    """Yield the files and folders of this machine that the driver needs where it runs."""
    order = plan.order
    if spec is not None:
        yield "spec", os.path.abspath(spec)  # noqa: PTH100
    yield "home", str(plan.home.folder)
    yield from (("data", path) for path in _data(plan).values() if "://" not in path)
    yield from (("code", own) for own in _own_files(plan, code))
    if file := file_of(order.study_url):
        yield "study", str(file.absolute())
    checkpoints = order.storage.checkpoints or str(plan.home.sweep(order.name))
    if "://" not in checkpoints:
        yield "checkpoints", checkpoints
    records = store.file_of(plan.tracking_uri)
    if records is not None and not _goes_with_pod(plan, profile):
        yield "records", str(records.absolute())


def _goes_with_pod(plan: Plan, profile: SlurmProfile | KubernetesProfile) -> bool:
    """Return whether what MLflow has of a sweep goes with the driver's pod: in a home that no volume holds.

    That is no fault, because `sweep rebuild` writes it again from the study and the checkpoints.
    """
    if not isinstance(profile, KubernetesProfile) or plan.artifacts is None:
        return False
    is_here = store.file_of(plan.tracking_uri) in (None, plan.home.database)
    return is_here and not any(plan.home.folder.is_relative_to(each.path) for each in profile.claims)
