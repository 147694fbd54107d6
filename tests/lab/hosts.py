"""Hosts that are real for Ray: each has a network, a name, process ids and mounts of its own.

A host is a set of Linux namespaces around one process that sleeps. The kernel ends all others with that one, so a
host is killed at one stroke, and its network card goes with it. The card's other end lies on a bridge; there a host is
cut off and comes back. The disk is shared by all, but for the folders that a host is given for itself.

    with hosts.lab(3) as lab:
        first, *others = lab.hosts
        address = first.start_head(cpus=1)
        for host in others:
            host.join(address, cpus=1)
        driver = first.start("sweep", "run", "spec.yaml", "--address", address, cwd=folder)
        others[0].kill()

Needs root, iproute2 and util-linux; `missing()` says what is not there.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(sys.executable).parent
# Without tokens, the same on every host: a token file that lies about would else decide. One thread: two cores for all.
ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
# On a machine that is busy with other things. Ray's node ends by itself if its agent, a Python process, has not started
# within 15 s, which nothing changes; `ray start` then waits for this long, and has failed. Ray would end workers of all
# hosts when others fill the machine's memory, which the hosts share.
BUSY = {"RAY_raylet_start_wait_time_s": "40", "RAY_agent_register_timeout_ms": "300000"}
BUSY |= {"RAY_memory_monitor_refresh_ms": "0"}
TOO_SLOW, TRIES = "timed out during startup", 10
PROGRAMS = ("ip", "unshare", "nsenter", "setpriv", "bash", "mount", "hostname")
COMPILER = shutil.which("cc")  # for a host with another clock


def missing() -> str:
    """Why no hosts can be made here, or ""."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "needs Linux and root, to make network namespaces"
    if lacks := [program for program in PROGRAMS if shutil.which(program) is None]:
        return f"needs {', '.join(lacks)}"
    bridge = f"lab{uuid.uuid4().hex[:8]}"
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("link", "del", bridge)
        subprocess.run(["unshare", "--net", "--uts", "--pid", "--mount", "--fork", "--mount-proc", "true"], check=True)
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {(error.stderr or b'').decode().strip() or error}"
    return ""


def another_time(offset_s: int, folder: Path) -> dict[str, str]:
    """The environment in which our code and SQLite's see a time of day that is so far off; Ray's own code does not.

    libfaketime 0.9.10 can't be had without Ray's: under it Ray misses its own deadlines, now and then for ever, and
    `time.sleep` fails.
    """
    assert COMPILER is not None
    library = folder / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    # Ray takes what is preloaded from its workers otherwise.
    return {"LD_PRELOAD": str(library), "RAY_LD_PRELOAD_ON_WORKERS": "1", "LAB_CLOCK_S": str(offset_s)}


@dataclass
class Host:
    """One host; made by a lab."""

    name: str
    address: str  # its IP
    card: str  # the bridge's end of its cable
    scratch: Path  # a short path: Unix sockets have short names
    outer: "subprocess.Popen[str]"
    init: int  # the id, outside, of the process that holds all others
    alive: bool = True
    environment: dict[str, str] = field(default_factory=dict)  # for everything that runs here
    started: "list[subprocess.Popen[str]]" = field(default_factory=list)  # to be waited for once the host is dead

    def command(self, *words: str | Path, cwd: Path | None = None) -> list[str]:
        """A command line for this process that runs another on the host."""
        first, *rest = map(str, words)
        program = str(BIN / first) if (BIN / first).is_file() else first
        enter = ["nsenter", f"--target={self.init}", "--net", "--uts", "--pid", "--mount", f"--wdns={cwd or '/'}"]
        return [*enter, program, *rest]

    def run(
        self,
        *words: str | Path,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        timeout_s: float = 300,
        check: bool = False,
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a command on the host to its end; both streams in `stdout`."""
        return subprocess.run(
            self.command(*words, cwd=cwd),
            env=self._environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=check,
        )

    def start(
        self,
        *words: str | Path,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
        output: Path | None = None,
    ) -> "subprocess.Popen[str]":
        """Starts a command on the host; what it says goes to a file, or is read from `stdout`."""
        with (output or Path(os.devnull)).open("w") as file:
            process = subprocess.Popen(
                self.command(*words, cwd=cwd),
                env=self._environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=file if output else subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def _environment(self, more: Mapping[str, str] | None) -> dict[str, str]:
        return {**os.environ, **ENVIRONMENT, **self.environment, **(more or {})}

    def start_head(self, *, cpus: int, gpus: int = 0, environment: Mapping[str, str] | None = None) -> str:
        """Starts the head of a new cluster here; its address."""
        words = ("--head", "--port=6379", "--include-dashboard=false")
        self._ray_start(*words, cpus=cpus, gpus=gpus, environment=environment)
        return f"{self.address}:6379"

    def join(self, address: str, *, cpus: int, gpus: int = 0, environment: Mapping[str, str] | None = None) -> None:
        """Makes the host a part of the cluster at an address."""
        self._ray_start(f"--address={address}", cpus=cpus, gpus=gpus, environment=environment)

    def _ray_start(self, *role: str, cpus: int, gpus: int, environment: Mapping[str, str] | None) -> None:
        self.start_ray(*role, f"--num-cpus={cpus}", f"--num-gpus={gpus}", environment=environment)

    def start_ray(self, *words: str, environment: Mapping[str, str] | None = None) -> None:
        """Starts Ray here by `ray start`, again if the machine was too busy, and what that has left is ended."""
        # All hosts share the disk. In a folder that was another's, too, Ray's log monitor would move away the logs of
        # workers that it does not see alive, which these then miss.
        there, settings = {*self.pids()}, {**BUSY, **(environment or {})}
        for _ in range(TRIES):
            place = (f"--node-ip-address={self.address}", f"--temp-dir={tempfile.mkdtemp(dir=self.scratch)}")
            done = self.run("ray", "start", *words, *place, environment=settings, timeout_s=300)
            if TOO_SLOW not in done.stdout:
                break
            for pid in {*self.pids()} - there:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert done.returncode == 0, done.stdout

    def pids(self, name: str = "") -> list[int]:
        """The ids, outside, of the host's processes whose command line holds `name`; not the two that hold it."""
        mine = Path(f"/proc/{self.init}/ns/pid").readlink()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if (entry / "ns" / "pid").readlink() == mine and name in words and int(entry.name) != self.init:
                    found.append(int(entry.name))
        return found

    def send(self, process: "subprocess.Popen[str]", number: signal.Signals) -> None:
        """Sends a signal to what `start` started."""
        os.kill(_child(process.pid), number)

    def pid(self, process: "subprocess.Popen[str]") -> int:
        """The id, on the host, of what `start` started (`Popen` itself is only the door that it went through)."""
        status = Path(f"/proc/{_child(process.pid)}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1])

    def freeze(self, name: str = "") -> None:
        """Stops the processes whose command line holds `name`, or all: time passes them by."""
        self._signal_all(signal.SIGSTOP, name)

    def end(self, name: str) -> None:
        """Kills the processes whose command line holds `name`."""
        self._signal_all(signal.SIGKILL, name)

    def thaw(self, name: str = "") -> None:
        """Lets them go on."""
        self._signal_all(signal.SIGCONT, name)

    def _signal_all(self, number: signal.Signals, name: str) -> None:
        for pid in self.pids(name):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def cut_off(self) -> None:
        """Pulls the cable: nothing arrives any more and nobody is told; the host lives on."""
        _ip("link", "set", self.card, "down")

    def reconnect(self) -> None:
        """Plugs the cable in again."""
        _ip("link", "set", self.card, "up")

    def kill(self, *, silently: bool = False) -> None:
        """Ends the host with SIGKILL for all its processes at once.

        Their peers see closed connections, as after `kill -9`; `silently` they see nothing, as when the power fails.
        """
        if not self.alive:
            return
        if silently:
            self.cut_off()
        self.alive = False
        with suppress(ProcessLookupError):
            os.kill(self.init, signal.SIGKILL)
        self.outer.wait()  # the kernel lets go of the first process of a namespace after all others

    def let_go(self) -> None:
        """Waits for all that was started on the host, which is dead, and closes what it said."""
        for process in (self.outer, *self.started):
            with process:
                pass

    def keep_to_itself(self, folder: Path) -> Path:
        """Gives the host a disk of its own at a folder; where that lies for the others, who see nothing of it there."""
        own = Path(tempfile.mkdtemp(dir=self.scratch))
        self.run("mount", "--bind", own, folder, check=True)
        return own

    def make_read_only(self, folder: Path) -> None:
        """Takes the host the right to write to a folder; root is stopped by that, too."""
        self.run("mount", "--bind", folder, folder, check=True)
        self.run("mount", "-o", "remount,ro,bind", folder, check=True)


class Lab:
    """Hosts on one bridge; made by `lab`."""

    def __init__(self) -> None:
        """Builds the bridge."""
        self.hosts: list[Host] = []
        self._made: list[Host] = []  # those in whose place another stands, too
        self.scratch = Path(tempfile.mkdtemp(prefix="lab", dir="/tmp"))
        self._mark = f"{os.getpid()}{uuid.uuid4().hex[:3]}"
        self._bridge = f"lb{self._mark}"
        self._cards = 0
        # Two sessions that look for a free net at the same moment would find the same.
        with Path(tempfile.gettempdir(), "lab-of-hosts.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._net = _free_net()
            _ip("link", "add", self._bridge, "type", "bridge")
            _ip("addr", "add", f"{self._net}.254/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")

    @property
    def outside(self) -> str:
        """The address of this machine, as the hosts reach it."""
        return f"{self._net}.254"

    def host(self, number: int | None = None) -> Host:
        """Makes one more host, which runs nothing yet; with the number of a dead one, a new one in its place."""
        number = number or len(self.hosts) + 1
        self._cards += 1  # a dead host's card is there for a moment yet
        name, card = f"host{number}", f"l{self._cards}x{self._mark}"
        folder = self.scratch / name
        folder.mkdir(exist_ok=True)
        hold = 'hostname "$0" && ip link set lo up && echo $$ && { sleep infinity & wait; }'
        spaces = ("--net", "--uts", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")
        # Both die with this process, however it ends.
        words = ["setpriv", "--pdeathsig", "KILL", "unshare", *spaces, "bash", "-c", hold, name]
        # `unshare`, when its child is killed, complains of its own signal mask.
        pipe = subprocess.PIPE
        outer = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)
        assert outer.stdout is not None
        assert outer.stderr is not None
        ready = outer.stdout.readline()
        assert ready == "1\n", f"{name}: {ready or outer.stderr.read()}"
        made = Host(name, f"{self._net}.{number}", card, folder, outer, init=_child(outer.pid))
        self.hosts[number - 1 : number] = [made]
        self._made.append(made)
        _ip("link", "add", card, "type", "veth", "peer", "name", "e0", "netns", str(made.init))
        _ip("link", "set", card, "master", self._bridge, "up")
        made.run("ip", "addr", "add", f"{made.address}/24", "dev", "e0", check=True)
        made.run("ip", "link", "set", "e0", "up", check=True)
        made.run("ip", "route", "add", "default", "via", f"{self._net}.254", check=True)
        # A host knows its own name: Ray's agents, which ask for it, would else wait 10 s for a name server.
        names = folder / "names"
        names.write_text(f"127.0.0.1 localhost\n{made.address} {name}\n")
        made.run("mount", "--bind", names, "/etc/hosts", check=True)
        return made

    def end(self) -> None:
        """Kills all hosts and takes the bridge down."""
        for host in self._made:
            host.kill()
            host.let_go()
        subprocess.run(["ip", "link", "del", self._bridge], capture_output=True, check=False)
        shutil.rmtree(self.scratch, ignore_errors=True)


@contextmanager
def lab(count: int) -> Iterator[Lab]:
    """A lab with so many hosts, which are gone when the context ends."""
    made = Lab()
    try:
        for _ in range(count):
            made.host()
        yield made
    finally:
        made.end()


def cluster(first: Host, *others: Host, cpus: int = 1, gpus: int = 0) -> str:
    """Makes hosts one Ray cluster; the address of its head."""
    address = first.start_head(cpus=cpus, gpus=gpus)
    for host in others:
        host.join(address, cpus=cpus, gpus=gpus)
    return address


def _child(pid: int) -> int:
    """The id of a door's first child, which it makes a moment after it was started itself."""
    end = time.monotonic() + 30
    while not (children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        assert time.monotonic() < end, f"process {pid} has no child"
        time.sleep(0.01)
    return int(children[0])


def _free_net() -> str:
    """A /24 in 10.0.0.0/8 that no card of this machine has."""
    taken = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True, check=True).stdout
    for step in range(60_000):
        place = (os.getpid() + step) % 60_000
        net = f"10.{16 + place // 250}.{place % 250}"
        if f" {net}." not in taken:
            return net
    raise OSError("no free network in 10.0.0.0/8")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
