"""Checks a manifest before it is submitted: KubeRay's rules, and whether the driver's pod sees its files."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from cluster.launch.kubernetes import manifest
from cluster.launch.kubernetes.documents import Document, documents
from cluster.launch.kubernetes.rules import broken
from cluster.launch.profile import KubernetesProfile
from cluster.launch.request import Request
from lstm.records.errors import Fault, fault

FILES_BYTES = 1_000_000  # Kubernetes takes 1 MiB for a ConfigMap, with its names
_WORDS = {"data": "data", "study": "study", "checkpoints": "checkpoints", "records": "records of MLflow"}
_ROOTS_OWN = PurePosixPath("/root")  # closed to other users in each image


def check(request: Request, text: str) -> list[Fault]:
    """Return what is wrong with a request for Kubernetes, and with its manifest."""
    assert isinstance(request.profile, KubernetesProfile)
    faults = [*_asked(request, request.profile), *_places(request, request.profile)]
    try:
        found = documents(text)
    except ValueError as error:
        return [*faults, fault("manifest-unreadable", why=str(error))]
    return [*faults, *broken(found), *_size(found)]


def _asked(request: Request, profile: KubernetesProfile) -> Iterator[Fault]:
    if not profile.image:
        yield fault("launch-needs", "kubernetes.image", what="the pods need an image with lstm-sweeps")
    if request.size.memory_mb is None:
        yield fault(
            "launch-needs", "kubernetes.memory", what="without a limit a pod takes the memory of its neighbours"
        )
    if profile.priority and not profile.queue:
        yield fault("kueue-without-queue", "kubernetes.priority")
    for number, taint in enumerate(profile.tolerations):
        if taint.value and taint.operator == "Exists":
            yield fault("toleration-value", f"kubernetes.tolerations.{number}.value")
        if taint.key is None and taint.operator == "Equal":
            yield fault("toleration-without-key", f"kubernetes.tolerations.{number}")
    yield from _mounts(profile)


def _mounts(profile: KubernetesProfile) -> Iterator[Fault]:
    """Yield a fault for each claim whose path is in use: Kubernetes would make no pod, or could not start it."""
    for number, claim in enumerate(profile.claims):
        if number > (first := [each.path for each in profile.claims].index(claim.path)):
            yield fault("claim-path-taken", f"kubernetes.claims.{number}.path", what=f"kubernetes.claims.{first}")
        for own in manifest.OWN_FOLDERS:
            is_below = own == manifest.READ_ONLY and PurePosixPath(claim.path).is_relative_to(own)
            if claim.path == own or is_below:
                yield fault("claim-path-taken", f"kubernetes.claims.{number}.path", what=own)


def _places(request: Request, profile: KubernetesProfile) -> Iterator[Fault]:
    """Yield a fault for each path that the driver's pod does not have. Spec and code travel in the ConfigMap."""
    for need, path in request.needs:
        if "://" in path:
            continue
        if need in _WORDS and not manifest.is_held(path, profile):
            claims = [each.path for each in profile.claims] or None
            yield _unseen(path, need, claims)
        if need in ("spec", "code") and PurePosixPath(path).is_relative_to(_ROOTS_OWN):
            yield fault("path-of-root", at=path)
    if not any(need == "spec" for need, _ in request.needs) and not manifest.is_held(request.home, profile):
        yield _unseen(request.home, "home", None)


def _unseen(path: str, need: str, claims: list[str] | None) -> Fault:
    """Return the fault for a path that the driver's pod does not have: with the mend for this kind of path."""
    mends: dict[str, Any] = {each: each if each == need else None for each in _WORDS}
    mends["other"] = None if need == "study" else need
    return fault("path-not-in-pod", at=path, what=_WORDS.get(need, need), claims=claims, **mends)


def _size(found: Sequence[Document]) -> Iterator[Fault]:
    for each in found:
        size = sum(len(text.encode()) for text in (each.get("data") or {}).values())
        size += sum(len(base64.b64decode(text)) for text in (each.get("binaryData") or {}).values())
        if each.get("kind") == "ConfigMap" and size > FILES_BYTES:
            yield fault("files-too-large", size=size, most=FILES_BYTES)
