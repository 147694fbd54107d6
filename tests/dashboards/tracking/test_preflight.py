"""What a store answers before anything is started: ready, away, or no, told as what it is."""

import http.server
import json
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import postgres
import pytest
from outages import MlflowServer, free_port

from dashboards.config import address_fault
from dashboards.tracking.preflight import ask
from lstm.records.errors import BadInput

SECRET = "hunter2"
MISSING = json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no experiment"})
THERE = json.dumps({"experiment": {"experiment_id": "1", "name": "sweeps"}})
PAGE = "<!doctype html><title>Welcome</title>"


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Serves (status, body) of the call for the experiment, and of that for logged models; the server's address."""
    servers = []

    def serve(first: tuple[int, str], second: tuple[int, str] = (200, "{}")) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = second if "logged-models" in self.path else first
                self.send_response(status)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://ann:{SECRET}@127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def refusal(uri: str) -> str:
    """The code of the fault."""
    with pytest.raises(BadInput) as no:
        ask(uri, "a.yaml:3: tracking.uri")
    [wrong] = no.value.faults
    assert (wrong.place, wrong.path) == ("a.yaml:3", "tracking.uri")
    assert SECRET not in str(wrong)
    return wrong.code


@pytest.mark.parametrize("first", [(404, MISSING), (200, THERE)])
def test_a_server_that_knows_mlflows_calls_is_ready(answering: Callable[..., str], first: tuple[int, str]) -> None:
    assert ask(answering(first)) is None


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ((401, PAGE), (200, "{}"), "mlflow-login-refused"),
        ((401, '{"detail": "who are you?"}'), (200, "{}"), "mlflow-login-refused"),
        ((403, "Invalid Host header - possible DNS rebinding attack detected"), (200, "{}"), "mlflow-host-refused"),
        ((403, "Permission denied"), (200, "{}"), "mlflow-no-permission"),
        ((404, MISSING), (404, PAGE), "mlflow-server-too-old"),
        ((200, THERE), (404, ""), "mlflow-server-too-old"),
        ((200, PAGE), (200, PAGE), "no-mlflow-server"),
        ((404, PAGE), (404, PAGE), "no-mlflow-server"),
        ((404, '{"detail": "Not Found"}'), (404, PAGE), "no-mlflow-server"),
        ((200, "{}"), (200, "{}"), "no-mlflow-server"),
        ((200, ""), (200, ""), "no-mlflow-server"),
        ((400, PAGE), (400, PAGE), "no-mlflow-server"),
        ((501, PAGE), (501, PAGE), "no-mlflow-server"),
    ],
)
def test_a_server_that_says_no_is_told_as_what_it_is(
    answering: Callable[..., str], first: tuple[int, str], second: tuple[int, str], code: str
) -> None:
    assert refusal(answering(first, second)) == code


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_server_in_trouble_is_away(answering: Callable[..., str], status: int) -> None:
    assert ask(answering((status, PAGE))) == f"error {status}"
    assert ask(answering((404, MISSING), (status, "{}"))) == f"error {status}"


def test_who_does_not_answer_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    assert ask(f"http://127.0.0.1:{free_port()}") == "nothing listens at the address"
    assert ask("http://no-such-host.invalid:5000") == "the host is not known"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert ask(f"http://127.0.0.1:{silent.getsockname()[1]}") == "no answer in time"


def test_what_speaks_otherwise_is_no_mlflow(answering: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=greet, daemon=True).start()
        assert refusal(f"http://127.0.0.1:{other.getsockname()[1]}") == "no-mlflow-server"
    assert refusal(answering((404, MISSING)).replace("http:", "https:")) == "mlflow-server-without-https"


def test_a_real_server(server: MlflowServer) -> None:
    assert ask(server.address) is None
    # Another way to write this host, which a server does not know by itself, as it does no host's name.
    assert refusal(f"http://127.1:{server.port}") == "mlflow-host-refused"
    assert refusal(f"{server.address}/elsewhere") == "no-mlflow-server"


# --- databases


def test_a_file(uri: str, home: Path, tmp_path: Path) -> None:
    assert ask(uri) is None
    assert ask(f"sqlite:///{home}/new.db") is None
    assert refusal(f"sqlite:///{tmp_path}/none/mlflow.db") == "mlflow-folder-missing"
    (tmp_path / "notes.db").write_text("not a database " * 100)
    assert refusal(f"sqlite:///{tmp_path}/notes.db") == "mlflow-file-foreign"
    with sqlite3.connect(home / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'v9.9'")
    database.close()
    assert refusal(uri) == "mlflow-database-newer"
    assert sorted(path.name for path in home.iterdir()) == ["mlflow.db", "notes.db"]


def test_a_locked_file_is_away(uri: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboards.tracking.preflight._LOCKED_S", 0.1)
    other = sqlite3.connect(home / "mlflow.db")
    other.execute("BEGIN EXCLUSIVE")
    assert ask(uri) == "the database is locked"
    other.close()


@pytest.mark.skipif(bool(postgres.missing()), reason=postgres.missing() or "-")
def test_postgresql() -> None:
    with postgres.server() as server:
        assert ask(server.create("mlflow")) is None
        assert refusal(server.address("none")) == "mlflow-database-missing"
        nobody = server.address("mlflow").replace("sweeps@", f"nobody:{SECRET}@")
        assert refusal(nobody) == "mlflow-database-login-refused"
        assert refusal(server.address("mlflow") + "&no_such_option=1") == "mlflow-database-unknown-option"
        away = server.address("mlflow")
        server.stop()
        try:
            assert ask(away) is not None
        finally:
            server.start()
    assert ask(f"postgresql://ann:{SECRET}@127.0.0.1:{free_port()}/x") == "nothing listens at the address"


# --- the form of an address


@pytest.mark.parametrize(
    ("uri", "code", "mend"),
    [
        ("localhost:5000", "no-mlflow-address", "http://localhost:5000"),
        ("nonsense", "no-mlflow-address", "http://localhost:5000"),
        ("./mlruns", "no-mlflow-address", "sqlite:///FILE"),
        ("/srv/mlruns", "no-mlflow-address", "sqlite:///FILE"),
        ("file:///srv/mlruns", "no-mlflow-address", "sqlite:///FILE"),
        ("databricks", "no-mlflow-address", "sqlite:///FILE"),
        ("HTTP://host:5000", "no-mlflow-address", "http://localhost:5000"),
        (f"mysql://ann:{SECRET}@host/db", "mlflow-database-not-offered", "http://localhost:5000"),
        (f"http://ann:{SECRET}@", "no-server-address", "http://HOST:5000"),
        ("http://host:port", "no-server-address", "http://HOST:5000"),
        ("http://host:99999", "no-server-address", "http://HOST:5000"),
        ("http://host:5000/#/experiments/3", "address-of-a-page", "http://HOST:5000"),
        ("http://ho st:5000", "mlflow-address-blank", "blank"),
        ("sqlite://", "mlflow-file-without-slashes", "sqlite:///FILE"),
        ("sqlite://mlflow.db", "mlflow-file-without-slashes", "sqlite:///FILE"),
        ("sqlite:///:memory:", "database-address-without-file", "sqlite:///FILE"),
        ("sqlite:///a?b.db", "mlflow-address-unknown-option", "?"),
        ("sqlite:///a%41.db", "mlflow-address-percent", "characters"),
        ("postgresql://host:port/db", "no-database-address", "postgresql://"),
        (f"postgresql://ann:{SECRET}@x@host/db", "address-with-two-ats", "%40"),
    ],
)
def test_an_address_that_can_be_no_stores(uri: str, code: str, mend: str) -> None:
    fault = address_fault(uri)
    assert fault is not None
    assert (fault.code, fault.path) == (code, "tracking.uri")
    assert mend in fault.mend
    assert SECRET not in str(fault)


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:5000",
        f"https://ann:{SECRET}@mlflow.example.com/prefix",
        "http://[::1]:5000",
        "sqlite:///mlflow.db",
        "sqlite:////srv/my runs/50%/{a}#[1]/mlflow.db",
        "sqlite:///mlflow.db?timeout=30",
    ],
)
def test_an_address_that_can_be(uri: str) -> None:
    assert address_fault(uri) is None


def test_postgresql_needs_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str, *_: Any) -> object | None:
        return None if name.startswith("psycopg") else object()

    monkeypatch.setattr("importlib.util.find_spec", without)
    fault = address_fault(f"postgresql://ann:{SECRET}@host/db")
    assert fault is not None
    assert fault.code == "postgresql-driver-missing"
    assert "pip install psycopg2-binary" in fault.mend
