"""Kubernetes' own tool, with the context and the namespace of a cluster."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cluster.launch import tool
from lstm.records.errors import BadInput, fault, refused

TIMEOUT_S = 30
_KLOG = re.compile(r"[EWI]\d{4} ")  # begins what kubectl's own parts log
_NO_KUBERAY = ("have a resource type", "no matches for kind")  # no such CRD


class Absent(BadInput):
    """What was asked for is not there."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """The tool for one cluster. Each method raises BadInput with the tool's words if the tool fails."""

    context: str | None = None  # None: kubectl's own
    namespace: str | None = None  # None: that of the context

    def create(self, text: str) -> list[str]:
        """Create the objects of a manifest; their names, as in `rayjob.ray.io/NAME`. On an error, none is left."""
        done = self._run("create", "-f", "-", "-o", "name", text=text)
        made = done.stdout.split()
        if done.returncode:
            if made:
                self.delete(*made)
            raise _refused(done.stderr)
        return made

    def get(self, name: str) -> dict[str, Any]:
        """Return an object.

        Raises:
            Absent: it is not there.
        """
        found: dict[str, Any] = json.loads(self._said("get", name, "-o", "json"))
        return found

    def present(self, *names: str) -> dict[str, dict[str, Any]]:
        """Return those of some objects that are there, by their names as given. The names are of unlike kinds."""
        said = self._said("get", *names, "--ignore-not-found", "-o", "json")
        found = json.loads(said) if said.strip() else {"items": []}
        by_kind = {each["kind"].lower(): each for each in found.get("items", [found])}
        kinds = {name: name.partition("/")[0].partition(".")[0] for name in names}
        return {name: by_kind[kind] for name, kind in kinds.items() if kind in by_kind}

    def delete(self, *names: str, wait: bool = True) -> None:
        """Delete objects; one that is not there is no error."""
        self._said("delete", *names, "--ignore-not-found", f"--wait={str(wait).lower()}", "--timeout=60s", timeout_s=90)

    def patch(self, name: str, change: dict[str, Any]) -> None:
        """Change fields of an object."""
        self._said("patch", name, "--type=merge", "-p", json.dumps(change))

    def logs(self, label: str, container: str) -> Iterator[str]:
        """Yield the lines of the pods with a label, so far."""
        said = self._said("logs", "-l", label, "-c", container, "--tail=-1", "--ignore-errors=true")
        yield from said.splitlines()

    def current(self) -> tuple[str, str]:
        """Return the context and the namespace that are meant, by their names."""
        view = json.loads(self._said("config", "view", "--minify", "-o", "json"))
        contexts = view.get("contexts") or [{}]
        inside = contexts[0].get("context") or {}
        return str(contexts[0].get("name", "")), self.namespace or str(inside.get("namespace") or "default")

    def _said(self, *words: str, timeout_s: int = TIMEOUT_S) -> str:
        done = self._run(*words, timeout_s=timeout_s)
        if done.returncode:
            raise _refused(done.stderr)
        return done.stdout

    def _run(self, *words: str, text: str = "", timeout_s: int = TIMEOUT_S) -> "subprocess.CompletedProcess[str]":
        place = [f"--context={self.context}"] if self.context else []
        place += [f"--namespace={self.namespace}"] if self.namespace else []
        command = ["kubectl", *place, f"--request-timeout={TIMEOUT_S}s", *words]
        missing, silent = tool.Missing(fault("kubectl-missing")), refused("kubernetes-silent", seconds=timeout_s)
        return tool.run(command, seconds=timeout_s + 5, missing=missing, silent=silent, text=text)


def _refused(said: str) -> BadInput:
    why = "; ".join(line for line in said.splitlines() if line.strip() and not _KLOG.match(line))
    if any(each in why for each in _NO_KUBERAY):
        return refused("kuberay-missing", why=why)
    error = refused("kubernetes-refused", why=why or "nothing")
    return Absent(*error.faults) if "(NotFound)" in why else error
