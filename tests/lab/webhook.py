"""A webhook on this machine that takes what it is told, or is as bad as webhooks can be."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook:
    """As a context manager, a server at `address`; `mode` says how it answers from now on.

    - `take`: with 200.
    - a number, such as `"401"`: with that status; a redirect leads to `/elsewhere`.
    - `silent`: never.
    - `half`: with half a line, and then never.
    - `drip`: with a byte of its head each tenth of a second, without end.
    - `garbage`: with what is no HTTP.
    """

    def __init__(self, mode: str = "take", path: str = "/hook") -> None:
        self.mode, self._path = mode, path
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []  # method, path, headers, body
        self._came = threading.Condition()
        self.over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hook = self

    def __enter__(self) -> "Webhook":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}{self._path}"

    @property
    def told(self) -> list[Any]:
        """The documents that came."""
        return [json.loads(body) for _, _, _, body in self.asked]

    def came(self, *request: Any) -> None:
        with self._came:
            self.asked.append(request)  # type: ignore[arg-type]
            self._came.notify_all()

    def wait(self, count: int, timeout_s: float = 30.0) -> None:
        """Wait until so many requests have come."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.asked) >= count, timeout_s), self.asked


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    hook: Webhook


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the other side has gone
            self.close_connection = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.hook.came(self.command, self.path, dict(self.headers), body)
        self._answer(self.server.hook.mode, self.server.hook.over)
        self.close_connection = True

    def do_GET(self) -> None:
        self.do_POST()

    def _answer(self, mode: str, over: threading.Event) -> None:
        if mode == "silent":
            over.wait()
        elif mode == "half":
            self._write(b"HTTP/1.1 200 O")
            over.wait()
        elif mode == "drip":
            self._write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.1):
                self._write(b"x")
        elif mode == "garbage":
            self._write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        else:
            self.send_response(200 if mode == "take" else int(mode))
            if mode.startswith("3"):
                self.send_header("Location", "/elsewhere")
            self.end_headers()

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass
