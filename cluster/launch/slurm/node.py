"""Ray's daemons on one node of a Slurm job: `python -m cluster.launch.slurm.node`, a step of the job's script.

    node head FILE       starts the head, writes its address into FILE and stays
    node join ADDRESS    starts a node of that cluster and stays
    node wait ADDRESS N  waits until the cluster has N nodes
    node clean           removes what the daemons have left on this node

Slurm ends the steps of a preempted job with SIGTERM, and gives the job time. The daemons must live in that time, in
which the driver ends its trials. They block SIGTERM. To ignore it is not enough: Ray's daemons handle it themselves.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from cluster.ray_backend import head, scratch

# One port for each, counted from the base. The kernel chooses the ports of workers (0): it gives none away twice.
PORTS = (
    "port",
    "node-manager-port",
    "object-manager-port",
    "runtime-env-agent-port",
    "dashboard-agent-grpc-port",
    "dashboard-agent-listen-port",
    "metrics-export-port",
    "dashboard-port",
)
HEADS = ("port", "dashboard-port")
FIRST, STEP, BASES = 20_000, 100, 120  # below 32768, where the kernel's own choices begin
TRIES = 5  # bases on which Ray is started, where another takes a port just before Ray does
COMES_UP_S = 90.0  # for a daemon; a cold file system is slow
ALL_JOIN_S = 120.0  # for all nodes


def bases(job: int) -> Iterator[int]:
    """Yield the bases in the order in which a job tries them; each is the first of `STEP` ports."""
    for number in range(BASES):
        yield FIRST + (job + 7 * number) % BASES * STEP


def is_free(base: int) -> bool:
    """Return whether nothing listens on the ports from a base."""
    with ExitStack() as stack:
        try:
            for offset in range(len(PORTS)):
                stack.enter_context(socket.socket()).bind(("", base + offset))
        except OSError:
            return False
    return True


def options(role: str, base: int, environment: Mapping[str, str]) -> list[str]:
    """Return the options of `ray start` for this node: its ports, and what Slurm has given the job here."""
    ports = {name: base + offset for offset, name in enumerate(PORTS) if role == "head" or name not in HEADS}
    gpus = int(environment.get("SLURM_GPUS_ON_NODE") or 0)
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if gpus and visible is not None:  # Ray refuses more than are visible
        gpus = min(gpus, len([each for each in visible.split(",") if each]))
    return [
        *(f"--{name}={port}" for name, port in ports.items()),
        "--min-worker-port=0",
        "--max-worker-port=0",
        f"--num-cpus={environment.get('SLURM_CPUS_ON_NODE') or 1}",
        f"--num-gpus={gpus}",
        *(["--head", "--include-dashboard=false"] if role == "head" else []),
    ]


def place(environment: Mapping[str, str]) -> Path:
    """Make the folder of Ray's files on this node: a short path, for this user alone; an earlier one is removed.

    Raises:
        OSError: it can't be made.
    """
    clean(environment)
    name, tried = _name(environment), _bases_of_files(environment)
    for base in tried:
        if not scratch.fits(f"{base / name}-12345678"):
            continue
        try:
            (base / name).mkdir(mode=0o700)
        except FileExistsError:  # another user's
            return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base))
        except OSError:
            continue
        return base / name
    raise OSError(f"no folder with a short path for Ray's files; tried {', '.join(map(str, tried))}")


def clean(environment: Mapping[str, str]) -> None:
    """Remove the folders of this user that Ray's daemons of the job have left on this node."""
    name = _name(environment)
    for base in _bases_of_files(environment):
        for left in [base / name, *base.glob(f"{name}-*")]:
            if not left.is_symlink() and left.is_dir() and left.stat().st_uid == os.geteuid():
                shutil.rmtree(left, ignore_errors=True)


def _name(environment: Mapping[str, str]) -> str:
    """Return the folder's name: of the job, and of the node, because some clusters share even /tmp."""
    node = hashlib.sha256(environment.get("SLURMD_NODENAME", "").encode()).hexdigest()
    return f"r{environment['SLURM_JOB_ID']}{node[:4]}"


def _bases_of_files(environment: Mapping[str, str]) -> list[Path]:
    given = (environment.get("SLURM_TMPDIR"), environment.get("TMPDIR"), "/tmp")
    return [Path(each) for each in dict.fromkeys(given) if each and Path(each).is_absolute()]


def address_here(environment: Mapping[str, str], towards: str = "") -> str:
    """Return this node's address, as others reach it: the one by which it reaches the head, or that Slurm has of it."""
    if not towards:
        towards = _address_of_slurm(environment)
        if towards and not towards.startswith("127."):
            return towards
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((towards or "192.0.2.1", 9))  # sends nothing: only the route is looked up
            return str(asked.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _address_of_slurm(environment: Mapping[str, str]) -> str:
    name = environment.get("SLURMD_NODENAME", "")
    command = ["scontrol", "show", "node", name, "--oneliner"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
        found = [word.partition("=")[2] for word in told.split() if word.startswith("NodeAddr=")]
        return socket.gethostbyname((found or [name])[0])
    except (OSError, subprocess.TimeoutExpired):
        return ""


def serve(role: str, given: str, environment: Mapping[str, str]) -> int:
    """Start the head or a node and stay as long as it lives; return an exit code.

    Args:
        role: "head" or "join".
        given: For the head the file that gets its address; for a node the head's address.
        environment: Slurm's variables of the step.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # all that is started from here on inherits this
    folder = place(environment)
    here = address_here(environment, "" if role == "head" else given.rpartition(":")[0])
    common = [f"--node-ip-address={here}", f"--temp-dir={folder}", "--disable-usage-stats", "--block"]
    common += [] if role == "head" else [f"--address={given}"]
    told = [word for word in options(role, 0, environment) if word.startswith("--num-")]
    print(f"sweep launch: {here} gives Ray {' '.join(told)}", flush=True)
    free = (base for base in bases(int(environment["SLURM_JOB_ID"])) if is_free(base))
    for base, _ in zip(free, range(TRIES), strict=False):
        ray = [str(Path(sys.executable).with_name("ray")), "start", *options(role, base, environment), *common]
        started = subprocess.Popen(ray, stdin=subprocess.DEVNULL)
        if _is_up(started, here, base + PORTS.index("port" if role == "head" else "node-manager-port")):
            if role == "head":
                _write(Path(given), f"{here}:{base}\n")
            return started.wait()
        started.kill()
        started.wait()
    print(f"sweep launch: Ray did not come up on {here} with any of {TRIES} bases of ports", file=sys.stderr)
    return 1


def _is_up(started: "subprocess.Popen[bytes]", host: str, port: int) -> bool:
    """Wait until a daemon listens on its port; return whether it does."""
    end = time.monotonic() + COMES_UP_S
    while started.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.2)  # a port can only be polled
        else:
            return True
    return False


def _write(file: Path, text: str) -> None:
    part = file.with_name(f"{file.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


def wait_for(address: str, count: int) -> int:
    """Wait until a cluster has so many nodes, for `ALL_JOIN_S` at most; return how many it has."""
    end, there = time.monotonic() + ALL_JOIN_S, 0
    while time.monotonic() < end:
        found = head.hosts(address)
        if found is None:
            break
        if (there := len(found)) >= count:
            break
        time.sleep(1.0)  # the head can only be polled
    return there


def main(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run one of the commands; return the exit code."""
    match words:
        case ["head" | "join" as role, given]:
            return serve(role, given, environment)
        case ["wait", address, count]:
            print(wait_for(address, int(count)))
        case ["clean"]:
            clean(environment)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
