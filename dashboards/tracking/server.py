"""Start MLflow's own server over the local store, for `sweep ui`."""

import errno
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from dashboards.tracking import runs
from lstm.records.errors import BadInput, fault

_FIRST_PORT = 5000
_HOST = "127.0.0.1"
_START_S = 120.0


class ServerFailed(BadInput):
    """The error that MLflow's server did not start, or has ended: exit code 1; the fault names its log."""

    code = 1


class Server(NamedTuple):
    """The address of MLflow, and the process that serves it (None: a server that was running already)."""

    address: str
    process: "subprocess.Popen[bytes] | None"
    log: Path | None = None

    def wait(self) -> None:
        """Wait until Ctrl-C ends the server.

        Raises:
            ServerFailed: it ended by itself.
        """
        if self.process is None:
            return
        try:
            code = self.process.wait()
        except KeyboardInterrupt:
            return
        finally:
            self.stop()
        raise ServerFailed(fault("mlflow-server-ended", exit_code=code, log=str(self.log)))

    def stop(self) -> None:
        """End the server if `serve` started it."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve(uri: str, artifacts: str | None, port: int | None, log: Path) -> Server:
    """Serve the store at `uri`: a server's address stays as it is, a database gets a server of our own.

    The server listens only on 127.0.0.1 and asks for no password. To see it from another machine, forward the port:
    `ssh -L 5000:127.0.0.1:5000 HOST`, then open http://127.0.0.1:5000. To share it with a team, run `mlflow server`
    behind a proxy that asks for a password, and put its address into `tracking.uri`.

    Args:
        uri: http(s)://... or a database, e.g. sqlite:////home/me/runs/mlflow.db.
        artifacts: Folder of the artifacts; MLflow's default if None.
        port: Port to listen on; None or 0 takes the first free one from 5000.
        log: File for the server's output.

    Raises:
        ServerFailed: it ended, it did not answer within two minutes, or the port is taken.
    """
    if uri.startswith(("http://", "https://")):
        return Server(uri.rstrip("/"), None)
    listener = listen(port)
    chosen = listener.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", _HOST, "--port", str(chosen), "--workers", "1"]
    if artifacts is not None:
        command += ["--artifacts-destination", artifacts]
    environment = os.environ | {
        "MLFLOW_BACKEND_STORE_URI": runs.with_driver(uri),  # not an argument: everyone on the host can read arguments
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # would start seven processes that nothing here needs
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONSAFEPATH": "1",  # without it, -m would find an mlflow.py in the user's folder first
        "UVICORN_APP_DIR": str(log.parent),  # by default uvicorn puts the working folder first
        "UVICORN_FD": "0",
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    # The port is bound here and passed on as standard input, the one file that reaches uvicorn through MLflow's
    # process. So nobody else can answer on it, however many servers start at once.
    with listener, log.open("ab") as out:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # uvicorn does not set it on a given socket
        out.truncate(0)
        process = subprocess.Popen(command, stdin=listener.fileno(), stdout=out, stderr=out, env=environment)
    server = Server(f"http://{_HOST}:{chosen}", process, log)
    try:
        _await_answer(server, log)
    except BaseException:  # also Ctrl-C while it starts
        server.stop()
        raise
    return server


def _await_answer(server: Server, log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        if server.process is not None and server.process.poll() is not None:
            raise ServerFailed(fault("mlflow-server-not-started", log=str(log)))
        if _answers(server.address):
            return
        time.sleep(0.1)
    raise ServerFailed(fault("mlflow-server-silent", seconds=_START_S, log=str(log)))


def _answers(address: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # without a proxy: it is on this host
    try:
        with direct.open(f"{address}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def listen(port: int | None) -> socket.socket:
    """Return a socket that listens on the port, or on the first free one from 5000.

    Raises:
        ServerFailed: the port is taken, or no port can be used.
    """
    for each in [port] if port else range(_FIRST_PORT, _FIRST_PORT + 1000):
        try:
            return socket.create_server((_HOST, each))
        except OSError as error:
            taken, why = error.errno == errno.EADDRINUSE, error.strerror or str(error)
            if port and taken:
                raise ServerFailed(fault("port-taken", at="--port", port=port)) from None
            if port:
                raise ServerFailed(fault("port-unusable", at="--port", port=port, why=why)) from None
            if not taken:
                raise ServerFailed(fault("no-port-usable", host=_HOST, why=why)) from None
    raise ServerFailed(fault("no-free-port", first=_FIRST_PORT, last=_FIRST_PORT + 999))
