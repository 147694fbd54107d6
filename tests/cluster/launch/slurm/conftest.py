"""Slurm's tools as scripts that answer what a test wants, first on the PATH."""

import os
import signal
import subprocess
import time
from contextlib import suppress

import pytest

from cluster.launch.profile import SlurmProfile
from cluster.launch.request import Request, Size
from cluster.launch.slurm import SYSTEM


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Puts a tool on the PATH: `tool("sbatch", "echo 12")`; its words and input are in `sbatch.words`, `sbatch.in`."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def tool(name, *lines, silent=False):
        kept = [] if silent else [f'printf "%s\\n" "$*" >>{folder}/{name}.words']
        text = "\n".join(["#!/bin/bash", *kept, *lines, ""])
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
        return folder

    return tool


@pytest.fixture
def request_of(tmp_path):
    """A request; anything of it, and of its profile, can be set by name."""

    def make(profile=None, size=None, **changed):
        told = {
            "system": "slurm",
            "name": "co2",
            "named": "/shared/ann/co2.yaml",
            "spec_text": "name: co2\n",
            "overrides": (),
            "code": None,
            "home": "/shared/ann/runs",
            "cwd": "/shared/ann",
            "size": Size(2, 8, 1, 65_536, 43_200) if size is None else size,
            "profile": SlurmProfile(**(profile or {})),
            "python": "/shared/env/bin/python",
        }
        return Request(**told | changed)

    return make


@pytest.fixture
def job(tmp_path, tool, request_of):
    """The script as a job, with Slurm's tools and `sweep run` as scripts: `job(run="exit 1")` is what it has done."""
    made = _Job(tmp_path, tool, request_of)
    yield made
    made.end()


class _Job:
    def __init__(self, folder, tool, request_of):
        self.folder, self.home = folder, folder / "home"
        self.mark = folder / "runs"  # a line for each call of `sweep run`
        self.requeued = folder / "tools" / "requeued"
        env = folder / "env" / "bin"
        env.mkdir(parents=True)
        # Of the daemons only the head's address is needed; the steps live until they are ended.
        tool(
            "srun",
            'case "$*" in',
            '  *" node head "*) for file; do :; done; echo 127.0.0.1:20000 >"$file"; exec sleep 100 ;;',
            f'  *" node clean"*) [ ! -e {folder}/cleaned ] || cp {folder}/cleaned {folder}/state; exit 0 ;;',
            f'  *"sleep infinity"*) echo $$ >{folder}/watch; exec sleep 100 ;;',
            "  *) exec sleep 100 ;;",
            "esac",
        )
        tool(
            "scontrol",
            f"[ -s {folder}/state ] || echo >>{folder}/asked",
            'case "$1 $2" in',
            '  "show hostnames") printf "n1\\nn2\\n" ;;',
            f'  "show job") [ ! -s {folder}/state ] || echo "JobId=7 JobState=$(cat {folder}/state) Reason=None" ;;',
            '  "requeue Incomplete")',
            f"    rm {folder}/refusal 2>/dev/null && exit 1; echo >>{self.requeued}; kill -TERM $PPID ;;",
            "esac",
        )
        (folder / "state").write_text("RUNNING")
        self._program(env / "python", 'case "$*" in *" wait "*) echo 2 ;; *) exec python3 "$@" ;; esac')
        self.sweep = env / "sweep"
        request = request_of(
            {"environment": str(folder / "env")}, home=str(self.home), cwd=str(folder), named="co2.yaml"
        )
        self.text = SYSTEM.render(request).replace(".slurm.node", " node")
        self.process = None

    def _program(self, path, *lines):
        path.write_text("\n".join(["#!/bin/bash", *lines, ""]))
        path.chmod(0o755)

    def start(self, run, stored="0", restarts=0, cleaned=None, is_refused=False):
        """Starts the script; `run` has the lines of `sweep run`, `stored` is what `sweep status` says is kept.

        `cleaned` is the job's state once its daemons have ended; None: as before. `is_refused`: whether Slurm at first
        does not queue it again.
        """
        self._program(
            self.sweep,
            f'[ "$1" = status ] && {{ echo \'{{"stored": {stored}}}\'; exit 0; }}',
            f'echo "$*" >>{self.mark}',
            *run,
        )
        if cleaned:
            (self.folder / "cleaned").write_text(cleaned)
        if is_refused:
            (self.folder / "refusal").touch()
        self.again(restarts)

    def again(self, restarts=0):
        """Starts the script as its environment is."""
        environment = {
            "PATH": os.environ["PATH"],
            "SLURM_JOB_ID": "7",
            "SLURM_JOB_NODELIST": "n[1-2]",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURMD_NODENAME": "n1",
            "SLURM_RESTART_COUNT": str(restarts),
        }
        self.process = subprocess.Popen(
            ["bash", "-c", self.text], cwd=self.folder, env=environment, start_new_session=True
        )

    def ended(self):
        """The exit code of the script."""
        return self.process.wait(30)

    def until(self, is_so):
        """Waits until something is so."""
        end = time.monotonic() + 30
        while not is_so():
            assert time.monotonic() < end, self.log
            time.sleep(0.01)

    def asked(self):
        """How often Slurm has been asked while it had no answer."""
        file = self.folder / "asked"
        return len(file.read_text().splitlines()) if file.exists() else 0

    @property
    def is_requeued(self):
        return self.requeued.exists()

    @property
    def log(self):
        return (self.home / "co2/slurm/7.log").read_text()

    def end(self):
        """Ends what is left of it."""
        with suppress(OSError, AttributeError):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
