"""A real MLflow server that can be killed, and a proxy in front of it that breaks what passes.

with MlflowServer(folder) as server, Proxy(server.port) as proxy:
    proxy.mode = "swallow"      # or proxy.choose = first_of_each("503"), drawn("swallow", 0.2, seed=1)
"""

import http.client
import multiprocessing
import os
import random
import re
import signal
import socket
import struct
import sys
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

from dashboards.tracking import private_patches, store

Mode = Literal["pass", "503", "413", "hang", "late", "swallow", "cut", "refuse", "committed"]
# pass     as if nothing stood between
# 503, 413 answered by the proxy; the server never hears of it
# hang     accepted and read, never answered; the server never hears of it
# late     as hang, but the server gets it when `release` is called: the asker has given up by then
# swallow  the server commits and answers; the connection ends before the answer
# cut      the connection ends in the middle of the request, at both ends
# refuse   the connection is reset at once
# committed  (among the requests, never chosen) a late one reached the server and was carried out
BROKEN: tuple[Mode, ...] = ("503", "hang", "swallow", "cut", "refuse")
HOST = "127.0.0.1"
START_S = 120.0
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """`mlflow server` over SQLite in a folder; `kill` and `start` again keep port and store.

    What the command starts in a new process is done in a forked child: most of a start's six seconds of CPU are imports
    that this process has made. That the command itself serves, tests/dashboards/tracking/test_server.py tries.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self.port = port or free_port()
        self.artifacts = folder / "artifacts"
        self.database = folder / "mlflow.db"
        self._process: multiprocessing.process.BaseProcess | None = None

    @property
    def address(self) -> str:
        """Where it answers, past any proxy."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it and wait for its answer."""
        if not self.database.exists():
            engine = store.database(f"sqlite:///{self.database}")
            private_patches.make_tables(engine)  # MLflow's migrations take a second of CPU
            engine.dispose()
        self._process = multiprocessing.get_context("fork").Process(target=self._serve, daemon=True)
        self._process.start()
        end = time.monotonic() + START_S
        while not self._answers():
            if not self._process.is_alive() or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"MLflow's server did not start; see {self.folder / 'server.log'}")
            time.sleep(0.1)  # a port can only be asked

    def _serve(self) -> None:
        """Do what `mlflow server` does and what it starts, in the child."""
        os.setsid()
        log = os.open(self.folder / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number, descriptor in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
            os.dup2(descriptor, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        os.chdir(self.folder)
        for name in [name for name in os.environ if name.startswith(("PYTEST_", "MLFLOW_"))]:
            del os.environ[name]
        address = f"sqlite:///{self.database}"
        os.environ |= {
            "MLFLOW_BACKEND_STORE_URI": address,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        warnings.simplefilter("ignore")  # pytest's errors are for this process
        import uvicorn
        from mlflow import server

        def started(command: Sequence[str], *, extra_env: Mapping[str, str], **_: object) -> None:
            os.environ.update(extra_env)
            assert command[:3] == [sys.executable, "-m", "uvicorn"], command
            uvicorn.main(command[3:])

        replaced: Any = server  # of the child alone
        replaced._exec_cmd = started
        replaced._run_server(
            file_store_path=address,
            registry_store_uri=None,
            default_artifact_root="mlflow-artifacts:/",
            serve_artifacts=True,
            artifacts_only=False,
            artifacts_destination=str(self.artifacts),
            host=HOST,
            port=self.port,
            workers=1,
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._signal(signal.SIGKILL)
        self._process.join()
        self._process = None

    def freeze(self) -> None:
        """Stop it where it stands: what is sent to it waits in the system's buffers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, with all that waits first."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(f"{self.address}/health", timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Request(NamedTuple):
    """A request that reached the proxy."""

    method: str
    endpoint: str  # "runs/create", "experiments/get-by-name", "artifacts/report.html"
    mode: Mode  # what became of it


Choose = Callable[[str], Mode]  # by endpoint


def always(mode: Mode) -> Choose:
    """The same for all that comes."""
    return lambda _: mode


def first_of_each(mode: Mode, times: int = 1) -> Choose:
    """Breaks the first requests to each endpoint; no stage of a run's life is spared."""
    seen: dict[str, int] = {}

    def choose(endpoint: str) -> Mode:
        seen[endpoint] = seen.get(endpoint, 0) + 1
        return mode if seen[endpoint] <= times else "pass"

    return choose


def drawn(modes: Sequence[Mode], share: float, seed: int) -> Choose:
    """Breaks a share of all requests, at random and the same in each run."""
    generator = random.Random(seed)
    return lambda _: generator.choice(modes) if generator.random() < share else "pass"


class Proxy:
    """HTTP to a server's port, each request as `choose` says; settable at any time.

    It listens on 127.0.0.1, or on an address that hosts of a lab can reach.
    """

    def __init__(self, port: int, host: str = HOST) -> None:
        self.upstream = port
        self.choose: Choose = always("pass")
        self.requests: list[Request] = []
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._server = _Server((host, 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def address(self) -> str:
        """Where it listens."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def address_for(self, user: str, password: str) -> str:
        """The same with a name and a password, which the server does not ask for."""
        return self.address.replace("://", f"://{user}:{password}@")

    @property
    def mode(self) -> Mode:
        """What becomes of the next request, where `choose` does not ask which it is."""
        return self.choose("")

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self.choose = always(mode)

    def release(self) -> None:
        """Let all that hangs go: a "late" request to the server, the others nowhere."""
        self._released.set()

    def wait_for(self, there: Callable[[list[Request]], bool], timeout_s: float = 60.0) -> bool:
        """Whether the requests so far come to satisfy a condition in time."""
        with self._changed:
            return self._changed.wait_for(lambda: there(self.requests), timeout_s)

    def note(self, method: str, path: str, mode: Mode | None = None) -> Mode:
        """Decide what becomes of a request, and remember it."""
        endpoint = _endpoint(path)
        with self._changed:
            mode = mode or self.choose(endpoint)
            self.requests.append(Request(method, endpoint, mode))
            self._changed.notify_all()
        return mode

    def hang(self) -> None:
        """Return when `release` is called."""
        self._released.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()


def _endpoint(path: str) -> str:
    path = path.partition("?")[0]
    if found := re.search(r"/mlflow-artifacts/artifacts/.*?/artifacts/(.*)$", path):
        return f"artifacts/{found[1]}"
    return re.sub(r"^/(ajax-)?api/[\d.]+/mlflow/", "", path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # what hangs, hangs
    proxy: Proxy

    def handle_error(self, *_: Any) -> None:
        """Keep quiet: a connection that ends early is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True  # an answer is two writes; the second would wait for the first one's receipt

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        mode = self.server.proxy.note(self.command, self.path)
        if mode.isdecimal():
            self._answer(int(mode), [("Content-Type", "text/plain")], b"this is not the server that you look for")
        elif mode == "refuse":
            self._drop(reset=True)
        elif mode == "cut":
            self._forward_half(body)
            self._drop()
        elif mode in ("hang", "late"):
            self.server.proxy.hang()
            if mode == "late":
                self._forward(body)
                self.server.proxy.note(self.command, self.path, "committed")
            self._drop()
        else:
            self._pass(body, swallow=mode == "swallow")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815, http.server asks for these names

    def _pass(self, body: bytes, *, swallow: bool) -> None:
        try:
            answer = self._forward(body)
        except OSError:  # the server is not there
            self._drop(reset=True)
            return
        if swallow:
            self._drop()
        else:
            self._answer(*answer)

    def _headers(self) -> dict[str, str]:
        return {key: value for key, value in self.headers.items() if key.lower() not in _HOP}

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(HOST, self.server.proxy.upstream)
        try:
            upstream.request(self.command, self.path, body or None, self._headers())
            response = upstream.getresponse()
            content = response.read()
            return response.status, response.getheaders(), content
        finally:
            upstream.close()

    def _forward_half(self, body: bytes) -> None:
        lines = [f"{self.command} {self.path} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {max(len(body), 1)}"]
        lines += [f"{key}: {value}" for key, value in self._headers().items()]
        with suppress(OSError), socket.create_connection((HOST, self.server.proxy.upstream)) as upstream:
            upstream.sendall("\r\n".join([*lines, "", ""]).encode() + body[: len(body) // 2])

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for key, value in headers:
            if key.lower() not in _HOP:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _drop(self, *, reset: bool = False) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        pass
