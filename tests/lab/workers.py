"""pytest's workers as forks of one process that has imported what they need: eight seconds of CPU less for each.

The Makefile names this file to xdist in the place of Python. xdist starts it once for each worker, as `workers.py -u -c
CODE`. The first to come starts the process that is forked, and that ends with its last worker. Each hands its standard
streams on, and stays until its worker has ended.
"""

import fcntl
import gc
import importlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

LAB = Path(__file__).parent
# What tests import, beside what a sweep needs; each of them would import it by itself.
MODULES = (
    "hypothesis",
    "ray.tune",
    "scipy.stats",
    "sklearn.ensemble",  # optuna-dashboard's
    "optuna.importance",
    "experiments.api",
    "mlflow.genai",
)


def main() -> int:
    """Have a worker forked, and wait for its end."""
    folder = Path(tempfile.gettempdir(), f"lstm-sweeps-workers-{os.getuid()}-{os.getppid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is another user's")
    server = 0
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asked = _connected(folder / "socket")
        if asked is None:
            (folder / "socket").unlink(missing_ok=True)
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(str(folder / "socket"))
            listening.listen()
            server = os.fork()
            if server == 0:
                lock.close()
                return _serve(listening, folder)
            listening.close()
            asked = _connected(folder / "socket")
    assert asked is not None
    socket.send_fds(asked, [b"."], [0, 1, 2])
    for stream in (0, 1):
        os.close(stream)  # the worker's alone, so that its end is seen
    asked.recv(1)  # nothing is sent: this is the worker's end
    if server:
        os.waitpid(server, 0)
    return 0


def _connected(address: Path) -> socket.socket | None:
    asked = socket.socket(socket.AF_UNIX)
    try:
        asked.connect(str(address))
    except OSError:
        asked.close()
        return None
    return asked


def _serve(listening: socket.socket, folder: Path) -> int:
    """Fork a worker for each who asks, until all have ended; return only in a worker, when it has ended."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    sys.path.insert(0, str(LAB))
    gc.disable()  # as in tests/conftest.py
    import twin

    twin.warm()
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()
    listening.settimeout(1.0)
    workers: set[int] = set()
    while True:
        try:
            asked, _ = listening.accept()
        except TimeoutError:
            while workers and (ended := os.waitpid(-1, os.WNOHANG)[0]):
                workers.discard(ended)
            if workers:
                continue
            break
        _, streams, _, _ = socket.recv_fds(asked, 1, 3)
        worker = os.fork()
        if worker == 0:
            listening.close()
            return _work(streams)  # `asked` is closed when this process ends
        workers.add(worker)
        for each in (asked.detach(), *streams):
            os.close(each)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _work(streams: list[int]) -> int:
    """Do what Python does that is started with `-u -c CODE` on these streams."""
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, "r" if n == 0 else "w", 1, closefd=False) for n in range(3))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.remove(str(LAB))
    code, sys.argv = sys.argv[-1], ["-c"]
    exec(code, vars(sys.modules["__main__"]))  # xdist's line
    return 0


if __name__ == "__main__":
    sys.exit(main())
