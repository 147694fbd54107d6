import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest


def test_nothing_recorded(folder, sweep):
    answer = sweep("ui", "--home", "nothing")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"--home {folder}/nothing: ")
    assert "`sweep run`" in answer.err
    assert not (folder / "nothing").exists()


def test_a_port_that_is_taken(finished, sweep, monkeypatch):
    monkeypatch.chdir(finished.folder)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = sweep("ui", "tiny", "--port", port)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"--port: port {port} ")


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.faults)])
def test_the_address_answers_here_alone_and_ends_with_the_command(finished, tmp_path, number):
    script = Path(sys.executable).with_name("sweep")
    words = ["ui", "tiny", "--home", finished.home]
    ui = subprocess.Popen([script, *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        address = ui.stdout.readline().strip()
        port = int(
            re.fullmatch(r"http://127\.0\.0\.1:(\d+)/#/experiments/\d+/runs\?compareRunsMode=CHART.*", address)[1]
        )
        with urllib.request.urlopen(address.partition("#")[0], timeout=20) as page:
            assert b"MLflow" in page.read()
        assert _listeners(port) == {"0100007F"}
        assert ui.stdout.readline().startswith("This page is for this machine only; ")
        ui.send_signal(number)
        assert ui.wait(timeout=30) == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    finally:
        ui.kill()


def test_two_at_once_each_show_their_own_home(finished, home):
    """Both look for a free port at the same moment; each answer is from the store that was asked for."""
    script = Path(sys.executable).with_name("sweep")
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("UPDATE experiments SET name = 'of the copy' WHERE name = 'sweeps'")
    homes = {"sweeps": finished.home, "of the copy": home}
    started = {
        name: subprocess.Popen([script, "ui", "--home", each, "--json"], stdout=subprocess.PIPE, text=True)
        for name, each in homes.items()
    }
    try:
        addresses = {name: json.loads("".join(ui.stdout.readline() for _ in range(3))) for name, ui in started.items()}
        assert len({each["address"] for each in addresses.values()}) == 2
        for name, each in addresses.items():
            query = f"{each['address']}/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(name)}"
            with urllib.request.urlopen(query, timeout=20) as answer:
                assert json.load(answer)["experiment"]["name"] == name
    finally:
        for ui in started.values():
            ui.terminate()
        codes = [ui.wait(timeout=30) for ui in started.values()]
    assert codes == [0, 0]


def test_a_server_that_ends_by_itself_is_a_failure(home):
    script = Path(sys.executable).with_name("sweep")
    ui = subprocess.Popen([script, "ui", "--home", home], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert ui.stdout.readline().startswith("http://127.0.0.1:")
        (child,) = Path(f"/proc/{ui.pid}/task/{ui.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGTERM)
        _, err = ui.communicate(timeout=60)
    finally:
        ui.kill()
    assert (ui.returncode, err.count("\n")) == (1, 1)
    assert str(home / "ui.log") in err


def test_modules_in_the_users_folder_change_nothing(finished, tmp_path):
    (tmp_path / "yaml.py").write_text("raise SystemExit(9)\n")
    script = Path(sys.executable).with_name("sweep")
    words = ["ui", "tiny", "--home", finished.home]
    ui = subprocess.Popen([script, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert ui.stdout.readline().startswith("http://127.0.0.1:")
    finally:
        ui.terminate()
        ui.wait(timeout=30)


def _listeners(port):
    """The addresses (hex, as Linux has them) on which somebody listens on a port."""
    rows = [
        line.split() for file in ("/proc/net/tcp", "/proc/net/tcp6") for line in Path(file).read_text().splitlines()
    ]
    return {row[1].split(":")[0] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
