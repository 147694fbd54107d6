import http.server
import json
import socket
import socketserver
import threading
from contextlib import contextmanager

import pytest

from cluster.ray_backend import head, private_patches
from lstm.records.errors import BadInput

SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # how a server of Ray's greets


@contextmanager
def listening(answer):
    """The address of a server that answers any greeting with these bytes and hangs up; None is silence."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(4096)
            if answer is None:
                silent.wait()
            self.request.sendall(answer or b"")

    silent = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        silent.set()
        server.shutdown()


@contextmanager
def web(body):
    """The address of a web server with one page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        server_version, sys_version = "Acme/1.2", ""

        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def impatient(monkeypatch):
    """For what would wait for its time."""
    monkeypatch.setattr(head, "JOIN_S", 0.4)
    monkeypatch.setattr(head, "_LAST_S", 0.2)


@pytest.fixture
def refused():
    """With what fault an address is refused."""

    def refused(address, exit_code=2):
        with pytest.raises(BadInput) as error:
            head.ask(address)
        assert error.value.code == exit_code, "1 is for a cluster that is there, and may only be busy"
        [wrong] = error.value.faults
        return wrong

    return refused


@pytest.mark.parametrize(
    ("server", "code", "values"),
    [
        (web(b"{}"), "web-server", {"server": "Acme/1.2"}),
        (web(json.dumps({"version": "4", "ray_version": "2.60.0"}).encode()), "dashboard-of-ray", {}),
        (listening(b""), "listener-unknown", {}),
        (listening(b"SSH-2.0-OpenSSH_9.2\r\n"), "listener-unknown", {}),
        (listening(b"\x15\x03\x01\x00\x02\x02\x46"), "cluster-speaks-tls", {}),
    ],
)
def test_what_listens_there_and_is_no_cluster(refused, server, code, values):
    with server as address:
        wrong = refused(address)
    assert (wrong.code, wrong.place, wrong.values) == (code, f"--address {address}", values)


def test_what_listens_there_and_does_not_answer(refused, impatient, monkeypatch):
    with listening(None) as address:
        wrong = refused(address)
        assert (wrong.code, wrong.values) == ("listener-silent", {"seconds": 0.2})
        monkeypatch.setattr(private_patches, "found_address", lambda: (address, "this host runs"))
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        assert refused("auto", 1).code == "listener-silent", "Ray itself has named this head"


@pytest.mark.parametrize(
    ("answer", "code", "values"),
    [
        (
            {"error": "AuthenticationError", "text": "token is\nmissing"},
            "cluster-wants-token",
            {"why": "token is\nmissing"},
        ),
        ({"error": "RpcError", "text": "RPC error: "}, "port-of-ray-not-heads", {}),
        (
            {"error": "RuntimeError", "text": "Version mismatch:\n  2.1\n  2.60"},
            "cluster-not-joined",
            {"why": "Version mismatch:\n  2.1\n  2.60"},
        ),
        ({"hosts": ["10.0.0.7"], "here": []}, "host-outside-cluster", {"hosts": ["10.0.0.7"], "address": "ADDRESS"}),
        ({"hosts": [], "here": []}, "cluster-without-hosts", {"address": "ADDRESS"}),
    ],
)
def test_a_head_that_answers_may_be_no_cluster_to_join(refused, monkeypatch, answer, code, values):
    monkeypatch.setattr(private_patches, "QUESTION", f"print({json.dumps(answer)!r})")
    with listening(SETTINGS) as address:
        wrong = refused(address)
    assert (wrong.code, wrong.place) == (code, f"--address {address}")
    assert wrong.values == {name: address if value == "ADDRESS" else value for name, value in values.items()}


def test_a_head_that_hangs_is_given_up_and_so_is_who_asked_it(refused, impatient, monkeypatch):
    monkeypatch.setattr(private_patches, "QUESTION", "import threading; threading.Event().wait()")
    with listening(SETTINGS) as address:
        wrong = refused(address, 1)
    assert (wrong.code, wrong.values) == ("head-silent", {"seconds": 0.4})


def test_a_head_that_does_not_answer_in_rays_own_time(refused, monkeypatch):
    answer = {"error": "RpcError", "text": "RPC error: Deadline Exceeded"}
    monkeypatch.setattr(private_patches, "QUESTION", f"print({json.dumps(answer)!r})")
    with listening(SETTINGS) as address:
        wrong = refused(address, 1)
    assert (wrong.code, wrong.values) == ("head-silent", {"seconds": 10.0})


def test_a_node_of_this_host_that_hangs(refused, impatient, monkeypatch):
    with listening(SETTINGS) as address, listening(None) as node:
        host, _, port = node.partition(":")
        monkeypatch.setattr(head, "_question", lambda *_: {"hosts": [host], "here": [[host, int(port)]]})
        wrong = refused(address, 1)
    assert wrong.code == "listener-silent"
    assert wrong.place == f"--address {address}: this host's own node of the cluster"


def test_a_cluster_that_can_be_joined(monkeypatch):
    with listening(SETTINGS) as address:
        host, _, port = address.partition(":")
        monkeypatch.setattr(
            private_patches, "QUESTION", f"print({json.dumps({'hosts': [host], 'here': [[host, int(port)]]})!r})"
        )
        assert 0 < head.ask(address) <= head.JOIN_S
        monkeypatch.setattr(private_patches, "QUESTION", "import no_such_module")
        assert head.ask(address) > 0, "a Ray that is made otherwise is asked by `ray.init` alone"


@pytest.mark.parametrize("source", ["RAY_ADDRESS", "ray_current_cluster", "this host runs"])
def test_auto_names_the_address_that_it_took_and_where_from(refused, monkeypatch, tmp_path, source):
    from ray._private import services

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
        monkeypatch.setenv("RAY_ADDRESS", address if source == "RAY_ADDRESS" else "")
        running = {address} if source == "this host runs" else set()
        monkeypatch.setattr(services, "find_gcs_addresses", lambda: running)
        if source == "ray_current_cluster":
            (tmp_path / "ray").mkdir()
            (tmp_path / "ray" / "ray_current_cluster").write_text(address)
        wrong = refused("auto")
    assert wrong.code == "nothing-listens"
    assert wrong.place.startswith("--address auto (")
    assert source in wrong.place.partition(address)[0]


def test_where_auto_finds_no_cluster_ray_says_so_itself(monkeypatch, tmp_path):
    from ray._private import services

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(services, "find_gcs_addresses", set)
    assert head.ask("auto") == head.JOIN_S
