import sys
import urllib.request
from pathlib import Path

import pytest

from dashboards.tracking import runs
from dashboards.tracking.server import Server, ServerFailed, serve


def test_a_server_that_is_there_is_only_named(tmp_path: Path) -> None:
    server = serve("https://mlflow.example.org/", None, None, tmp_path / "log")
    assert server == Server("https://mlflow.example.org", None)
    server.wait()
    server.stop()


def test_a_store_is_served_until_stopped(uri: str, home: Path) -> None:
    (home / "mlflow.py").write_text("raise SystemExit('the user has a file of this name')")
    server = serve(uri, str(home / "artifacts"), None, home / "logs" / "ui.log")
    try:
        port = int(server.address.rsplit(":", 1)[1])
        for host in ("127.0.0.1", "localhost"):
            with urllib.request.urlopen(f"http://{host}:{port}/") as page:
                assert b"<title>MLflow</title>" in page.read()
        assert runs.connect(server.address).get_experiment("0").name == "Default"
        with pytest.raises(ServerFailed) as error:
            serve(uri, None, port, home / "second.log")
        [wrong] = error.value.faults
        assert (wrong.code, wrong.place, wrong.values) == ("port-taken", "--port", {"port": port})
    finally:
        server.stop()
    assert server.process is not None
    assert server.process.poll() is not None


@pytest.mark.parametrize("program", ["one that says why and ends", pytest.param("mlflow", marks=pytest.mark.faults)])
def test_a_server_that_can_not_start_says_where_its_log_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    if program != "mlflow":  # which takes seconds to find out that it knows no such store
        (tmp_path / "python").write_text("#!/bin/sh\necho no such store: $MLFLOW_BACKEND_STORE_URI\nexit 1\n")
        (tmp_path / "python").chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ServerFailed) as error:
        serve("nonsense://", None, None, tmp_path / "ui.log")
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values) == ("mlflow-server-not-started", {"log": str(tmp_path / "ui.log")})
    assert "nonsense" in (tmp_path / "ui.log").read_text()
