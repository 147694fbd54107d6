"""A small API server that kubectl talks to: it keeps objects, refuses what the schemas refuse, and plays a KubeRay.

No Kubernetes runs here. What a RayJob's status becomes is said by the test, as KubeRay 1.7's own code would set it. So
this server shows what `sweep` sends and how it reads each answer, and nothing of what a cluster makes of it.
"""

import copy
import json
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import kubernetes_schemas

from cluster.launch.kubernetes.rules import broken

KINDS = {"configmaps": ("v1", "ConfigMap"), "pods": ("v1", "Pod"), "rayjobs": ("ray.io/v1", "RayJob")}
PATH = re.compile(
    r"/(?:api/v1|apis/ray\.io/v1)/namespaces/(?P<space>[^/]+)/(?P<kind>[a-z]+)(?:/(?P<name>[^/]+))?(?P<log>/log)?"
)


def missing() -> str:
    """Why kubectl can't be used, or ""."""
    return "" if shutil.which("kubectl") else "no kubectl on the PATH"


class Cluster:
    """What the server keeps, by (namespace, plural, name)."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], dict] = {}
        self.logs: dict[tuple[str, str], str] = {}  # by pod and container
        self.requests: list[tuple[str, str]] = []  # method and path of each change
        self.forbidden = ""  # what each request for an object is answered, if not empty
        self.has_kuberay = True

    def put(self, space: str, kind: str, made: dict) -> dict:
        made["metadata"] |= {"namespace": space, "uid": str(uuid.uuid4()), "resourceVersion": "1"}
        made["metadata"].setdefault("creationTimestamp", "2026-11-30T19:00:00Z")
        self.objects[space, kind, made["metadata"]["name"]] = made
        return made

    def job(self, name: str, space: str = "ml") -> dict:
        return self.objects[space, "rayjobs", name]

    def play(self, name: str, space: str = "ml", **status: object) -> None:
        """Set a RayJob's status, as KubeRay would."""
        self.job(name, space)["status"] = status

    def pod(self, name: str, labels: dict, log: dict[str, str], space: str = "ml") -> None:
        """Make a pod with the logs of its containers."""
        containers = [{"name": each, "image": "i"} for each in log]
        self.put(
            space,
            "pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "labels": labels},
                "spec": {"containers": containers},
            },
        )
        self.logs |= {(name, container): text for container, text in log.items()}


class _Refused(Exception):
    def __init__(self, code: int, reason: str, message: str) -> None:
        self.code, self.reason, self.message = code, reason, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            code, answer = self._answered(urlsplit(self.path).path, body)
        except _Refused as refused:
            code = refused.code
            told = {"status": "Failure", "message": refused.message, "reason": refused.reason, "code": code}
            answer = {"kind": "Status", "apiVersion": "v1", **told}
        text = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answered(self, path: str, body: bytes) -> tuple[int, object]:
        if found := _discovery(path, has_kuberay=self.cluster.has_kuberay):
            return 200, found
        if self.cluster.forbidden:
            raise _Refused(403, "Forbidden", self.cluster.forbidden)
        parts = PATH.fullmatch(path)
        if not parts or (parts["kind"] == "rayjobs" and not self.cluster.has_kuberay):
            raise _Refused(404, "NotFound", "the server could not find the requested resource")
        space, kind, name = parts["space"], parts["kind"], parts["name"]
        if self.command != "GET":
            self.cluster.requests.append((self.command, path))
        if self.command == "POST":
            return 201, self._created(space, kind, json.loads(body))
        if parts["log"]:
            container = parse_qs(urlsplit(self.path).query).get("container", [""])[0]
            return 200, self.cluster.logs[name, container]
        return 200, self._object(space, kind, name, body) if name else self._listed(space, kind)

    def _object(self, space: str, kind: str, name: str, body: bytes) -> dict:
        if (space, kind, name) not in self.cluster.objects:
            group = ".ray.io" if kind == "rayjobs" else ""
            raise _Refused(404, "NotFound", f'{kind}{group} "{name}" not found')
        if self.command == "PATCH":
            change, old = json.loads(body), self.cluster.objects[space, kind, name]
            if change.get("metadata", {}).get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
                raise _Refused(422, "Invalid", "metadata.uid: Invalid value: field is immutable")
            _merge(old, change)
        if self.command == "DELETE":
            return self.cluster.objects.pop((space, kind, name))
        return self.cluster.objects[space, kind, name]

    def _created(self, space: str, kind: str, made: dict) -> dict:
        name = made["metadata"]["name"]
        if (space, kind, name) in self.cluster.objects:
            raise _Refused(409, "AlreadyExists", f'{kind} "{name}" already exists')
        if made["metadata"].get("namespace", space) != space:
            raise _Refused(400, "BadRequest", "the namespace of the provided object does not match the request")
        if wrong := kubernetes_schemas.wrong(copy.deepcopy(made)):
            raise _Refused(
                400, "BadRequest", f"{made['kind']} in version v1 cannot be handled: strict decoding error: {wrong}"
            )
        found = self.cluster.put(space, kind, made)
        if faults := broken([made]):
            found["status"] = {
                "jobDeploymentStatus": "ValidationFailed",
                "reason": "ValidationFailed",
                "message": str(faults[0]),
            }
        return found

    def _listed(self, space: str, kind: str) -> dict:
        asked = parse_qs(urlsplit(self.path).query).get("labelSelector", [""])[0]
        wanted = dict(each.split("=") for each in asked.split(",") if each)
        items = [each for (s, k, _), each in self.cluster.objects.items() if (s, k) == (space, kind)]
        items = [each for each in items if wanted.items() <= each["metadata"].get("labels", {}).items()]
        version, one = KINDS[kind]
        return {"apiVersion": version, "kind": f"{one}List", "metadata": {"resourceVersion": "1"}, "items": items}


def _merge(old: dict, new: dict) -> None:
    for name, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(name), dict):
            _merge(old[name], value)
        else:
            old[name] = value


def _discovery(path: str, *, has_kuberay: bool) -> dict | None:
    verbs = ["create", "delete", "get", "list", "patch"]

    def resources(version: str, *plurals: str) -> dict:
        each = [
            {"name": p, "singularName": KINDS[p][1].lower(), "namespaced": True, "kind": KINDS[p][1], "verbs": verbs}
            for p in plurals
        ]
        return {"kind": "APIResourceList", "groupVersion": version, "resources": each}

    # kubectl asks whether the server itself refuses unknown fields, and leaves it to the server then.
    def checked(version: str, *plurals: str) -> dict:
        group = version.rpartition("/")[0]
        paths = {}
        for plural in plurals:
            kind = {"group": group, "version": "v1", "kind": KINDS[plural][1]}
            parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
            patch = {"x-kubernetes-group-version-kind": kind, "parameters": [parameter], "responses": {}}
            paths[f"/x/namespaces/{{namespace}}/{plural}/{{name}}"] = {"patch": patch}
        return {"openapi": "3.0.0", "info": {"title": "fake", "version": "1"}, "paths": paths}

    ray = {"groupVersion": "ray.io/v1", "version": "v1"}
    group = {"name": "ray.io", "versions": [ray], "preferredVersion": ray}
    return {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group] if has_kuberay else []},
        "/api/v1": resources("v1", "configmaps", "pods"),
        **({"/apis/ray.io/v1": resources("ray.io/v1", "rayjobs")} if has_kuberay else {}),
        "/openapi/v3": {
            "paths": {
                place: {"serverRelativeURL": f"/openapi/v3/{place}"}
                for place in ("api/v1", *(["apis/ray.io/v1"] if has_kuberay else []))
            }
        },
        "/openapi/v3/api/v1": checked("v1", "configmaps", "pods"),
        "/openapi/v3/apis/ray.io/v1": checked("ray.io/v1", "rayjobs"),
        "/version": {"major": "1", "minor": "35", "gitVersion": "v1.35.0"},
    }.get(path)


@contextmanager
def served(folder: Path) -> Iterator[tuple[Cluster, dict[str, str]]]:
    """A cluster behind a server, and the variables with which kubectl finds it; its files lie in the folder."""
    cluster = Cluster()
    handler = type("Handler", (_Handler,), {"cluster": cluster})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "contexts": [{"name": "lab", "context": {"cluster": "fake", "user": "me", "namespace": "ml"}}],
        "users": [{"name": "me", "user": {}}],
        "current-context": "lab",
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    try:
        yield cluster, {"KUBECONFIG": str(folder / "kubeconfig"), "KUBECACHEDIR": str(folder / "cache")}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
