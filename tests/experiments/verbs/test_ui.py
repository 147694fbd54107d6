import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
import stand_in


def test_nothing_recorded(folder, sweep):
    answer = sweep("ui", "--home", "nothing")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"--home {folder}/nothing: ")
    assert "`sweep run`" in answer.err
    assert not (folder / "nothing").exists()


@pytest.mark.parametrize(("words", "named"), [(["tiny"], "tiny"), ([], "NAME")])
def test_without_mlflows_database_rebuild_is_the_way_out(copied, sweep, words, named):
    (copied.home / "mlflow.db").unlink()
    answer = sweep("ui", *words)
    assert (answer.code, answer.out) == (2, "")
    assert "mlflow.db" in answer.err
    assert f"`sweep rebuild {named}` writes MLflow again" in answer.err
    assert not (copied.home / "mlflow.db").exists()


def test_a_port_that_is_taken(finished, sweep, monkeypatch):
    monkeypatch.chdir(finished.folder)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = sweep("ui", "tiny", "--port", port)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"--port: port {port} ")


@pytest.fixture(params=["stand-in", pytest.param("mlflow", marks=pytest.mark.faults)])
def page(request, tmp_path):
    """Starts `sweep ui`, whose server is MLflow's, or one that answers as quickly which experiments a store has.

    That MLflow's own is started and answers is the promise of `tests/dashboards/tracking/test_server.py`, too.
    """
    instead = stand_in.command(tmp_path / "server") if request.param == "stand-in" else ()
    started = []

    def page(*words):
        started.append(begin(["ui", *words], tmp_path, instead))
        return started[-1]

    page.whose = b"a stand-in" if request.param == "stand-in" else b"MLflow"
    yield page
    for each in started:
        each.terminate()  # so that its server ends, too
        each.communicate(timeout=120)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.faults)])
def test_the_address_answers_here_alone_and_ends_with_the_command(finished, page, tmp_path, number):
    """From a folder with a module's name, which changes nothing."""
    (tmp_path / "yaml.py").write_text("raise SystemExit(9)\n")
    ui = page("tiny", "--home", finished.home)
    try:
        address = ui.stdout.readline().strip()
        port = int(
            re.fullmatch(r"http://127\.0\.0\.1:(\d+)/#/experiments/\d+/runs\?compareRunsMode=CHART.*", address)[1]
        )
        base = address.partition("#")[0]
        assert page.whose in get(base)
        assert get(f"{base}{BY_NAME}tiny") is not None
        assert get(f"{base}{BY_NAME}other") is None
        assert _listeners(port) == {"0100007F"}
        assert ui.stdout.readline().startswith("This page is for this machine only; ")
        ui.send_signal(number)
        assert ui.wait(timeout=120) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    finally:
        (finished.home / "ui.log").unlink(missing_ok=True)


def test_two_at_once_each_show_their_own_home(home, page, tmp_path):
    """Both look for a free port at the same moment; each answer is from the store that was asked for."""
    shutil.copytree(home, tmp_path / "copy")
    with closing(sqlite3.connect(tmp_path / "copy" / "mlflow.db")) as database, database:
        database.execute("UPDATE experiments SET name = 'of the copy' WHERE name = 'sweeps'")
    names = ("sweeps", "of the copy")
    both = [page("--home", each, "--json") for each in (home, tmp_path / "copy")]
    addresses = [json.loads("".join(ui.stdout.readline() for _ in range(3)))["address"] for ui in both]
    assert addresses[0] != addresses[1]
    found = [[get(f"{each}/{BY_NAME}{quote(name)}") is not None for name in names] for each in addresses]
    assert found == [[True, False], [False, True]]
    for ui in both:
        ui.terminate()
    assert [ui.wait(timeout=120) for ui in both] == [0, 0]


def test_a_server_that_ends_by_itself_is_a_failure(home, page):
    ui = page("--home", home)
    assert ui.stdout.readline().startswith("http://127.0.0.1:")
    (child,) = Path(f"/proc/{ui.pid}/task/{ui.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGTERM)
    _, err = ui.communicate(timeout=120)
    assert (ui.returncode, err.count("\n")) == (1, 1)
    assert str(home / "ui.log") in err


def begin(words, folder, command=()):
    command = command or [Path(sys.executable).with_name("sweep")]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, *words], cwd=folder, **streams)


BY_NAME = "api/2.0/mlflow/experiments/get-by-name?experiment_name="


def get(address):
    """What is answered; None if there is no such thing."""
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return None


def _listeners(port):
    """The addresses (hex, as Linux has them) on which somebody listens on a port."""
    rows = [
        line.split() for file in ("/proc/net/tcp", "/proc/net/tcp6") for line in Path(file).read_text().splitlines()
    ]
    return {row[1].split(":")[0] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
