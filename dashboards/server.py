"""Starts MLflow's own server over the local store, for `sweep ui`."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from dashboards import runs

_FIRST_PORT = 5000
_HOST = "127.0.0.1"
_START_S = 120.0


class ServerFailed(Exception):
    """MLflow's server did not start; the message says where its log is."""


class Server(NamedTuple):
    """Where MLflow is shown, and the process that shows it (None: a server that was there already)."""

    address: str
    process: "subprocess.Popen[bytes] | None"

    def wait(self) -> None:
        """Return when the server has ended; Ctrl-C ends it."""
        if self.process is None:
            return
        try:
            self.process.wait()
        except KeyboardInterrupt:
            pass
        finally:
            self.stop()

    def stop(self) -> None:
        """End the server that `serve` started."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve(uri: str, artifacts: str | None, port: int | None, log: Path) -> Server:
    """Show the store at `uri`: a server's address as it is, a database through a server of our own.

    The server listens on 127.0.0.1 alone and asks for no password. To look at it from another machine,
    carry the port there: `ssh -L 5000:127.0.0.1:5000 HOST`, then open http://127.0.0.1:5000. To share it
    with a team, run `mlflow server` where it is wanted, behind something that asks who is there, and put
    its address into `tracking.uri`.

    Args:
        uri: http(s)://... or a database, e.g. sqlite:////home/me/runs/mlflow.db.
        artifacts: Folder of the artifacts; MLflow's default if None.
        port: None or 0 takes the first free one from 5000.
        log: File that gets what the server says.

    Raises:
        ServerFailed: It ended, or did not answer within two minutes, or the port is taken.
    """
    if uri.startswith(("http://", "https://")):
        return Server(uri.rstrip("/"), None)
    chosen = port or _free_port()
    if port and not _is_free(port):
        raise ServerFailed(f"port {port} is taken; leave --port out to get a free one")
    command = [sys.executable, "-m", "mlflow", "server", "--host", _HOST, "--port", str(chosen), "--workers", "1"]
    if artifacts is not None:
        command += ["--artifacts-destination", artifacts]
    environment = os.environ | {
        "MLFLOW_BACKEND_STORE_URI": runs.with_driver(uri),  # not an argument: everyone on the host reads those
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # seven more processes that nothing here needs
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",  # -m would find an mlflow.py in the user's folder first
        "UVICORN_APP_DIR": str(log.parent),  # and uvicorn puts the working folder first
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
    server = Server(f"http://{_HOST}:{chosen}", process)
    try:
        _await_answer(server, log)
    except BaseException:  # Ctrl-C while it starts, too
        server.stop()
        raise
    return server


def _await_answer(server: Server, log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        if server.process is not None and server.process.poll() is not None:
            raise ServerFailed(f"MLflow's server ended while it started; see {log}")
        if _answers(server.address):
            return
        time.sleep(0.1)
    raise ServerFailed(f"MLflow's server does not answer after {_START_S:.0f} s; see {log}")


def _answers(address: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this host
    try:
        with direct.open(f"{address}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_port() -> int:
    for port in range(_FIRST_PORT, _FIRST_PORT + 1000):
        if _is_free(port):
            return port
    raise ServerFailed(f"no free port from {_FIRST_PORT} to {_FIRST_PORT + 999}; name one with --port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True
