"""A real Slurm: munged, slurmctld and a slurmd for each node, on the lab's hosts (tests/lab/hosts.py).

    with slurm.cluster(2) as cluster:
        cluster.run("sbatch", "job.sh")             # on the login node
        cluster.nodes[0].kill()

The first host is the login node with the controller; each further host is a node with two CPUs and two GPUs that no
driver backs. The partition `low` (the default) is preempted by `high`, whose jobs may use the same nodes. There is no
accounting, so `sacct` answers nothing. All paths are those of this machine, so that every folder is shared.
"""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import hosts

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "srun", "munged")
REQUEUE_S = 10  # a job that is queued again waits so long for old credentials; at least 120 s on most clusters
GRACE_S = 40

CONF = """\
ClusterName=lab
SlurmctldHost={login.name}({login.address})
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket,cred_expire={requeue_s}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
SlurmctldPort=6817
SlurmdPort=6818
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=15
KillWait=10
MinJobAge=3600
InactiveLimit=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
{nodes}
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime={grace_s}
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


def missing() -> str:
    """Why there can be no Slurm here, or ""."""
    if lacks := [program for program in PROGRAMS if shutil.which(program) is None]:
        return f"needs {', '.join(lacks)} (Debian: slurm-wlm, munge)"
    return hosts.missing()


class Cluster:
    """A Slurm that runs; made by `cluster`."""

    def __init__(self, lab: hosts.Lab, folder: Path, cpus: Sequence[int]) -> None:
        """Writes its files and starts its daemons; `cpus` has those of each node."""
        self.folder, self._lab, self._is_open = folder, lab, False
        self.login, *self.nodes = lab.hosts
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        for name in ("munge", "state", "spool"):
            (folder / name).mkdir(mode=0o755)
        rows = [
            f"NodeName={host.name} NodeAddr={host.address} NodeHostName={host.name} CPUs={count} RealMemory=4000 "
            "Gres=gpu:2 State=UNKNOWN"
            for host, count in zip(self.nodes, cpus, strict=True)
        ]
        told = {"login": self.login, "folder": folder, "requeue_s": REQUEUE_S, "grace_s": GRACE_S}
        (folder / "slurm.conf").write_text(CONF.format(nodes="\n".join(rows), **told))
        for number in range(2):  # as many devices that only have a card's name
            os.mknod(folder / f"nvidia{number}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        (folder / "gres.conf").write_text(f"Name=gpu File={folder}/nvidia[0-1]\n")
        self._munge()
        for host in lab.hosts:
            host.environment.update(self.environment)
        self.login.start("slurmctld", "-D", "-i", output=folder / "slurmctld.out")
        for host in self.nodes:
            self.start_node(host)
        self.wait(lambda: self.states() == ["idle"] * len(self.nodes), 60)

    def _munge(self) -> None:
        folder = self.folder / "munge"
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o600)
        files = [
            f"--{name}={folder}/{name.partition('-')[0]}" for name in ("socket", "pid-file", "log-file", "seed-file")
        ]
        # Foreground: it ends with the login node, like all that was started there.
        self.login.start("munged", "--foreground", "--force", f"--key-file={folder}/key", *files, output=folder / "out")
        self.wait((folder / "socket").exists, 30)

    def start_node(self, host: hosts.Host) -> None:
        """Starts the daemon of a node."""
        host.start("slurmd", "-D", "-N", host.name, output=self.folder / f"{host.name}.out")

    def open_to_all(self) -> None:
        """Lets other users than root run this very Python, which may lie in a folder of root's alone."""
        self._is_open = True
        for host in self._lab.hosts:
            self._open(host)

    def _open(self, host: hosts.Host) -> None:
        python = Path(sys.executable).resolve()
        closed = [folder for folder in python.parents if folder != folder.parent and not folder.stat().st_mode & 0o001]
        if not closed:
            return
        above, inner = closed[-1], python.parents[1]
        kept = Path(tempfile.mkdtemp(dir=host.scratch))
        host.run("mount", "--bind", inner, kept, check=True)
        # Before it a folder that all may enter, with Python alone.
        host.run("mount", "-t", "tmpfs", "-o", "mode=755", "none", above, check=True)
        host.run("mkdir", "-p", inner, check=True)
        host.run("mount", "--bind", kept, inner, check=True)

    def replace(self, place: int) -> None:
        """Puts a new node in the place of one that was killed."""
        made = self._lab.host(place + 2)
        made.environment.update(self.environment)
        if self._is_open:
            self._open(made)
        self.nodes[place] = made
        self.start_node(made)
        self.wait(lambda: self.states()[place] == "idle", 120)

    def run(
        self,
        *words: str | Path,
        user: str | None = None,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        check: bool = False,
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a command on the login node, as root or another user."""
        if user is not None:
            known = pwd.getpwnam(user)
            first = str(hosts.BIN / str(words[0])) if (hosts.BIN / str(words[0])).is_file() else words[0]
            become = (f"--reuid={known.pw_uid}", f"--regid={known.pw_gid}", "--clear-groups")
            words = ("setpriv", *become, "--", first, *words[1:])
        return self.login.run(*words, cwd=cwd, environment=environment, check=check)

    def states(self) -> list[str]:
        """The state of each node, as `sinfo` has it."""
        told = self.run("sinfo", "--noheader", "--Node", "--partition=low", "--format=%T")
        return told.stdout.split()

    def job(self, number: str) -> dict[str, str]:
        """What the controller knows of a job, by field."""
        told = self.run("scontrol", "show", "job", number, "--oneliner").stdout
        return dict(word.split("=", 1) for word in told.split() if "=" in word)

    def wait(self, is_so: Callable[[], bool], seconds: float) -> None:
        """Waits until something is so."""
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, self.told()
            time.sleep(0.3)

    def wait_job(self, number: str, states: str, seconds: float) -> dict[str, str]:
        """Waits until a job has one of the states, which a space separates; what is known of it then."""
        self.wait(lambda: self.job(number).get("JobState", "") in states.split(), seconds)
        return self.job(number)

    def told(self) -> str:
        """What the daemons have said last, for the message of a failure."""
        queue = self.run("scontrol", "show", "job").stdout
        logs = [f"{file.name}:\n{file.read_text(errors='replace')[-1500:]}" for file in self.folder.glob("*.log")]
        return "\n".join([queue, *logs])


@contextmanager
def cluster(nodes: int = 2, cpus: Sequence[int] | None = None) -> Iterator[Cluster]:
    """A Slurm of so many nodes, which is gone when the context ends."""
    with hosts.lab(nodes + 1) as lab:
        folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))
        folder.chmod(0o755)
        try:
            yield Cluster(lab, folder, cpus or [2] * nodes)
        finally:
            for host in lab.hosts:
                host.kill()
            shutil.rmtree(folder, ignore_errors=True)
