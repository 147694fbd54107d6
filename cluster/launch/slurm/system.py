"""Submits a sweep with `sbatch`, asks `scontrol` and `sacct` for its job, ends the job with `scancel`."""

import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cluster.launch import tool
from cluster.launch.profile import SlurmProfile
from cluster.launch.record import Launched
from cluster.launch.render import render
from cluster.launch.request import Request
from cluster.launch.slurm.options import cluster_of, environment_for
from cluster.launch.system import Phase, State
from lstm.records.errors import BadInput, Fault, fault, refused, why_of
from lstm.storage import files

TOOL_S = 90.0  # for an answer of one of Slurm's tools: without a configuration they try for 60 s
_LONGEST = 40  # characters of a sweep's name in its job's name
_UNCONFIGURED = (  # said by a tool that ends before it has looked for Slurm's controller
    "fatal: Could not establish a configuration source",
    "fatal: Unable to process configuration file",
)
_CLOCKS_S = 86_400  # by which the clocks of Slurm and of this machine may differ
FOLDER = "slurm"  # in the sweep's folder: the logs of its jobs, their tokens and tries
_WAITS = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
_ENDS = {
    *("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE"),
    *("OUT_OF_MEMORY", "REVOKED"),
}
_RUNS = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
_FIELDS = {  # of the spec or the profile, by what is needed
    "study": "storage.study",
    "checkpoints": "storage.checkpoints",
    "records": "tracking.uri",
    "environment": "`environment` of the profile",
}


class Slurm:
    """Slurm, as `cluster.launch.system.System` has it."""

    name = "slurm"

    def render(self, request: Request) -> str:
        """Return the script."""
        profile = request.profile
        assert isinstance(profile, SlurmProfile)
        python = _python(request)
        return render(
            Path(__file__).parent,
            "sweep.sbatch.j2",
            version=version("lstm-sweeps"),
            name=request.name,
            uploads=request.uploads,
            size=request.size,
            profile=profile,
            cwd=request.cwd,
            home=request.home,
            folder=FOLDER,
            python=python,
            sweep=str(Path(python).with_name("sweep")),
            run=_run_words(request),
        )

    def check(self, request: Request, text: str) -> Sequence[Fault]:
        """Return what is wrong: paths that nodes don't see, the shell's syntax."""
        profile = request.profile
        assert isinstance(profile, SlurmProfile)
        wrong = [*_not_shared(request, profile.shared)] if profile.shared else []
        if bash := shutil.which("bash"):
            read = subprocess.run([bash, "-n"], input=text, capture_output=True, text=True, check=False)
            if read.returncode:
                wrong.append(fault("launch-script-wrong", "slurm.setup", why=_first(read.stderr)))
        return wrong

    def intend(self, request: Request) -> Launched:
        """Return what finds the job of a launch that was cut off: a name that no other job has. Nothing is asked."""
        name = f"sweep-{re.sub('[^A-Za-z0-9._-]+', '-', request.name)[:_LONGEST]}-{secrets.token_hex(4)}"
        assert isinstance(request.profile, SlurmProfile)
        where = {"folder": str(Path(request.home, request.name, FOLDER))}
        if clusters := cluster_of(request.profile.options, os.environ):
            where["clusters"] = clusters
        return Launched("slurm", name, request.name, where=where)

    def submit(self, request: Request, text: str, intent: Launched) -> Launched:
        """Submit the script; see `System`."""
        assert isinstance(request.profile, SlurmProfile)
        environment = environment_for(request.profile, os.environ)
        told = _tool("sbatch", "--parsable", f"--job-name={intent.job}", text=text, environment=environment)
        if told.returncode or not (found := re.match(r"\s*([0-9]+)(?:;(\S+))?", told.stdout)):
            raise refused("launch-refused", at="--on slurm", tool="sbatch", why=_first(told.stderr or told.stdout))
        return _made(intent, found[1], found[2] or "")

    def find(self, intent: Launched) -> Launched | None:
        """Return the job of a launch that was cut off; see `System`."""
        name, clusters = intent.job, intent.where.get("clusters")
        on = [f"--clusters={clusters}"] if clusters else []
        told = _tool("squeue", *on, "--noheader", "--states=all", f"--name={name}", "--format=%i")
        if told.returncode:
            raise refused("launch-refused", tool="squeue", why=_first(told.stderr))
        cluster = ""
        for line in map(str.strip, told.stdout.splitlines()):
            if line.startswith("CLUSTER:"):
                cluster = line.partition(":")[2].strip()
            elif line.isdecimal():
                return _made(intent, line, cluster)
        return _in_accounting(intent, on, name)

    def state(self, launched: Launched) -> State:
        """Return what `scontrol`, or else `sacct`, says of a job; `unknown` with the reason if they can't be asked."""
        try:
            return self._state(launched)
        except BadInput as error:
            return State("unknown", reason=why_of(error), asked="scontrol")

    def _state(self, launched: Launched) -> State:
        if not launched.job.isdecimal():  # of a launch that was cut off, and whose job could not be asked for
            return State("unknown", reason="whether Slurm has its job can't be asked here", asked="squeue")
        told = _tool("scontrol", *_on(launched), "show", "job", launched.job, "--oneliner")
        if told.returncode == 0 and "JobState=" in told.stdout:
            return _of_controller(told.stdout)
        if "Invalid job id" not in told.stderr:
            return State("unknown", reason=_first(told.stderr), asked="scontrol")
        return _of_accounting(launched) or State(
            "ended", "GONE", "Slurm's controller does not know the job any more", asked="scontrol"
        )

    def stop(self, launched: Launched) -> None:
        """End a job; see `System`."""
        job = launched.job if launched.job.isdecimal() else f"--name={launched.job}"  # of a launch that was cut off
        told = _tool("scancel", *_on(launched), job)
        if told.returncode and self.state(launched).phase != "ended":  # it may have ended just before
            raise refused("launch-not-stopped", at=launched.text, tool="scancel", why=_first(told.stderr))

    def logs(self, launched: Launched) -> Iterator[str]:
        """Yield the lines of the job's log; see `System`."""
        path = launched.where.get("log")
        if not path:  # of a launch that was cut off, and whose job could not be asked for
            place = launched.where.get("folder", launched.sweep)
            raise refused("no-log-of-a-cut-off-launch", at=place, job=launched.job)
        try:
            yield from files.lines(Path(path))
        except FileNotFoundError:
            raise refused("no-log-yet", at=path, job=launched.job) from None


def _made(intent: Launched, job: str, cluster: str) -> Launched:
    """Return the job that was submitted for an intent; `cluster` is told where there are several."""
    where = {
        "log": str(Path(intent.where.get("folder", ""), f"{job}.log")),
        **({"cluster": cluster} if cluster else {}),
    }
    return replace(intent, job=job, where=where)


def _in_accounting(intent: Launched, on: Sequence[str], name: str) -> Launched | None:
    """Return the job of an intent that Slurm's controller has forgotten; None if the accounting does not know it."""
    begin = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(intent.at - _CLOCKS_S))
    asked = ("--allocations", "--noheader", "--parsable2", "--format=JobID,Cluster", f"--name={name}")
    try:
        told = _tool("sacct", *on, *asked, f"--starttime={begin}")
    except tool.Unsent:
        return None
    job, _, cluster = told.stdout.strip().partition("\n")[0].partition("|")
    return _made(intent, job, cluster if on else "") if told.returncode == 0 and job.isdecimal() else None


def _not_shared(request: Request, shared: Sequence[str]) -> Iterator[Fault]:
    """Yield a fault for each thing that the nodes don't see. What lies in the home is told by the home alone."""
    for need, path in (*request.needs, ("environment", _python(request))):
        if any(Path(path).is_relative_to(each) for each in shared):
            continue
        if need in ("study", "checkpoints", "records") and Path(path).is_relative_to(request.home):
            continue
        told: dict[str, Any] = {
            "file": need if need in ("spec", "data", "code") else None,
            "home": need if need == "home" else None,
        }
        told |= {"field": _FIELDS.get(need), "upload": need if need == "data" else None}
        yield fault("launch-not-shared", need, path=path, shared=list(shared), **told)


def _python(request: Request) -> str:
    """Return the path of Python on the nodes."""
    assert isinstance(request.profile, SlurmProfile)
    return f"{request.profile.environment}/bin/python" if request.profile.environment else request.python


def _on(launched: Launched) -> list[str]:
    """Return the option that names a job's cluster, where there are several."""
    return [f"--clusters={cluster}"] if (cluster := launched.where.get("cluster")) else []


def _run_words(request: Request) -> list[str]:
    """Return the words of `sweep run` after the verb, without the cluster's address."""
    words = [request.named, "--home", request.home]
    words += [word for each in request.overrides for word in ("--set", each)]
    return words + (["--code", request.code] if request.code else [])


def _tool(
    name: str, *words: str, text: str | None = None, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run one of Slurm's tools.

    Raises:
        Unsent: it is not on this machine, or has no configuration of Slurm.
        BadInput: it does not answer.
    """
    at = "--on slurm" if name == "sbatch" else ""
    missing = tool.Missing(fault("launch-tool-missing", at=at, tool=name))
    silent = refused("launch-tool-silent", at=at, tool=name, seconds=TOOL_S)
    told = tool.run([name, *words], seconds=TOOL_S, missing=missing, silent=silent, text=text, environment=environment)
    said = next((each for each in _UNCONFIGURED if each in told.stderr), None)
    if told.returncode and said:
        raise tool.Unsent(fault("slurm-not-configured", at=at, tool=name, why=said))
    return told


def _first(text: str) -> str:
    """Return what a tool has said, on one line."""
    return " ".join(text.split()) or "no reason given"


def _of_controller(line: str) -> State:
    """Return the state in a line of `scontrol show job --oneliner`."""
    found = dict(re.findall(r"(?:^|\s)(JobState|Reason|Restarts|ExitCode)=(\S*)", line))
    word, why = found["JobState"], found.get("Reason", "None")
    code = _code(word, found.get("ExitCode", ""))
    return State(_phase(word), word, "" if why == "None" else why, code, int(found.get("Restarts", 0)), "scontrol")


def _of_accounting(launched: Launched) -> State | None:
    """Return the state that Slurm's accounting has; None where there is no accounting, or no such job in it."""
    if shutil.which("sacct") is None:
        return None
    asked = ("--jobs", launched.job, "--allocations", "--noheader", "--parsable2", "--format=State,ExitCode")
    told = _tool("sacct", *_on(launched), *asked)
    word, _, code = told.stdout.strip().partition("\n")[0].partition("|")
    if told.returncode or not word:
        return None
    word, _, why = word.partition(" ")  # as in CANCELLED by 1000
    return State(_phase(word), word, why, _code(word, code), asked="sacct")


def _code(word: str, told: str) -> int | None:
    """Return the script's exit code; None if it has not ended by itself: Slurm often says 0 of what it has killed."""
    code, _, number = told.partition(":")
    return int(code) if word in ("COMPLETED", "FAILED") and code and number in ("", "0") else None


def _phase(word: str) -> Phase:
    """Return what a word of Slurm's means; a job in a state that a newer Slurm has may live."""
    known: dict[Phase, set[str]] = {"waiting": _WAITS, "running": _RUNS, "ended": _ENDS}
    return next((phase for phase, words in known.items() if word in words), "unknown")


SYSTEM = Slurm()
