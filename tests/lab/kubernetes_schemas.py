"""What a Kubernetes with KubeRay 1.7 takes, by strict JSON Schemas beside the checkout or in SWEEP_SCHEMAS.

kubernetes-validate has those of Kubernetes itself. KubeRay's are made of its CRDs and are in no package.
"""

import json
import os
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate

ROOT = Path(__file__).parents[2]
VERSION = "1.37"  # of Kubernetes; a field that is newer than what a cluster has would be refused there
KINDS = {"RayJob": "rayjobs.json", "RayCluster": "rayclusters.json"}


def folder() -> Path | None:
    """Where KubeRay's schemas are; None where they are missing."""
    given = os.environ.get("SWEEP_SCHEMAS")
    places = [Path(given)] if given else [parent / "shared" / "schemas" for parent in ROOT.parents]
    return next((each for each in places if all((each / name).is_file() for name in KINDS.values())), None)


def missing() -> str:
    """Why the schemas can't be used, or ""."""
    return "" if folder() else "KubeRay's schemas are neither in SWEEP_SCHEMAS nor in ../shared/schemas"


@cache
def validator(kind: str) -> jsonschema.Draft7Validator:
    found = folder()
    assert found is not None
    return jsonschema.Draft7Validator(json.loads((found / KINDS[kind]).read_text()))


def wrong(document: dict) -> list[str]:
    """What the API server would say of an object, field by field."""
    if document["kind"] in KINDS:
        errors = validator(document["kind"]).iter_errors(document)
        found = [f"{error.json_path}: {error.message[:300]}" for error in errors]
        return found + [text for pod in pods(document) for text in _core({"apiVersion": "v1", "kind": "Pod", **pod})]
    return _core(document)


def _core(document: dict) -> list[str]:
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [str(error)[:500]]
    return []


def pods(rayjob: dict) -> list[dict]:
    """The pods that a RayJob's templates become."""
    cluster = rayjob["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    templates = [rayjob["spec"]["submitterPodTemplate"], *(group["template"] for group in groups)]
    return [{"metadata": {"name": "pod", **each.get("metadata", {})}, "spec": each["spec"]} for each in templates]
