"""`sweep doctor` finds what is planted, and nothing on a sound cluster.

Databases, MLflow, stores and files are real. A cluster's nodes are children of this process, which look at this machine
as nodes do; a fault of another machine is put into their answers. Real hosts are in `tests/faults/test_doctor.py`.
"""

import http.server
import json
import os
import pickle
import shutil
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import inside
import object_store
import postgres
import pytest
import sqlalchemy
from outages import free_port

from cluster.doctor import looks
from cluster.doctor import study as study_checks
from cluster.ray_backend import survey
from cluster.ray_backend.nodes import Joined
from cluster.ray_backend.survey import Answer, Node
from lstm.messages.message import note
from lstm.records.errors import BadInput, fault, may_pass, refused
from lstm.storage import disk, room

SPEC = """\
name: tiny
data: {path: tiny.csv, target: load, lookback: 4, horizon: 2, split: {validation: 0.2, test: 0.2}}
model: {hidden_size: 4}
training: {max_epochs: 1, batch_size: 32}
"""
MEMORY = 200_000_000
NODES = [Node(f"{n}" * 8, f"10.0.0.{n}", f"10.0.0.{n} (host{n})", (), 0, MEMORY) for n in (1, 2)]
HOST = NODES[1].name


def child(task, arguments):
    """What a function returns in a process of its own: a lock holds between processes only."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            with os.fdopen(write, "wb") as out:
                pickle.dump(task(*arguments), out)
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as into:
        found = into.read()
    os.waitpid(pid, 0)
    return pickle.loads(found)


class Cluster:
    """Two nodes in this machine; `planted` changes what the second one answers to a question."""

    def __init__(self, planted):
        self.planted, self.nodes = planted, [*planted.get("nodes", NODES)]
        self.faults = tuple(planted.get("faults", ()))
        warnings = tuple(planted.get("warnings", ()))
        joined = Joined("10.0.0.1:6379", ("10.0.0.1", "10.0.0.2"), 2.0, 0.0, 2, 0.0, warnings)
        self.joined = None if self.faults or planted.get("awaits") else joined

    def ask(self, task, arguments):
        change = self.planted.get(task, lambda answer: answer)
        asked = time.time()
        call = child if task is looks.look else lambda task, arguments: task(*arguments)
        values = [call(task, arguments(node)) for node in self.nodes]
        values[-1] = change(values[-1])
        return [Answer(value, asked, time.time()) for value in values]


@pytest.fixture
def planted(monkeypatch):
    """What is wrong with the cluster that `survey.opened` joins: nothing, unless a test puts it in."""
    planted = {}

    @contextmanager
    def opened(address, resources, checkpoints, packages=()):
        yield Cluster(planted)

    monkeypatch.setattr(survey, "opened", opened)
    # A machine like any other, whatever this one is.
    real = looks.look

    def sound(*arguments):
        usual = {"gpus": 0, "memory_disk": MEMORY, "temporary_free": 0.5, "open_files": 65536, "kind": ""}
        return replace(real(*arguments), **usual)

    monkeypatch.setattr(looks, "look", sound)
    monkeypatch.setattr(disk, "MOUNTS", Path("/nonexistent"))
    return planted


@pytest.fixture
def doctor(tmp_path, monkeypatch):
    """`sweep doctor --json`; its exit code, and the lines that are not good."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(inside, "LOOKS", (*inside.LOOKS, "doctor"))
    (tmp_path / "tiny.csv").write_text("load\n" + "".join(f"{n % 7}.5\n" for n in range(100)))
    (tmp_path / "tiny.yaml").write_text(SPEC)

    def doctor(*words, address="10.0.0.1:6379"):
        where = ("--address", address) if address else ()
        before = set(tmp_path.rglob("*"))
        done = inside.call(["doctor", *words, *where, "--json"], tmp_path)
        assert set(tmp_path.rglob("*")) == before  # nothing stays
        told = json.loads(done.out)
        lines = told.get("lines", [])
        return SimpleNamespace(
            code=done.code,
            wrong=[(line["grade"], line["code"]) for line in lines if line["grade"] != "good"],
            lines=[line for line in lines if line["grade"] != "good"],
            areas=[line["area"] for line in lines],
            errors=[each["code"] for each in told.get("errors", [])],
            err=done.err,
        )

    return doctor


def test_nothing_is_wrong_with_a_sound_cluster(planted, doctor):
    found = doctor()
    assert (found.code, found.wrong) == (0, [])
    areas = ["home", "checks", "gpus", "folder", "locks", "clock", "memory", "disk", "ports", "study", "mlflow"]
    assert found.areas == areas
    found = doctor("tiny.yaml")
    assert (found.code, found.wrong) == (0, [])
    assert found.areas == ["data", *areas]


def test_nothing_is_wrong_with_a_cluster_whose_nodes_come_as_they_are_needed(planted, doctor):
    planted["awaits"] = True
    found = doctor()
    assert (found.code, found.wrong) == (0, [])
    assert "checks" in found.areas


def test_nothing_is_wrong_with_this_machine(doctor, planted):
    found = doctor("tiny.yaml", address=None)
    assert (found.code, found.wrong) == (0, [])
    assert found.areas == ["data", "home", "checks", "gpus", "disk", "study", "mlflow"]


LOOKED = {
    "a clock": ({"time_s": 0.0}, "warning", "clock-differs"),
    "/dev/shm of a container": ({"memory_disk": 2**26 // 2}, "warning", "memory-disk-small"),
    "a full disk": ({"temporary_free": 0.02}, "wrong", "disk-full"),
    "few open files": ({"open_files": 1024}, "warning", "few-open-files"),
    "a GPU that Ray does not count": ({"gpus": 4}, "warning", "gpus-hidden-from-ray"),
    "a closed port": ({"unreached": (("10.0.0.1", 40017, "timed out"),)}, "wrong", "port-closed"),
    "no lock": ({"lock": looks.FREE}, "wrong", "locks-do-not-hold"),
    "no locks at all": ({"lock": "No locks available"}, "wrong", "locks-do-not-hold"),
    "another folder": ({"seen": {}}, "wrong", "folder-not-coherent"),
}


@pytest.mark.parametrize("name", LOOKED)
def test_a_fault_of_one_host_is_found(name, planted, doctor):
    values, grade, code = LOOKED[name]
    planted[looks.look] = lambda looked: replace(looked, **values)
    found = doctor()
    assert found.wrong == [(grade, code)]
    assert found.lines[0]["place"] == HOST
    assert found.lines[0]["mend"]
    assert found.code == (1 if grade == "wrong" else 0)


CHECKED = [
    ("faults", [fault("versions-differ", at=HOST, what="Python", theirs="3.1", ours="3.11")], "wrong"),
    ("faults", [fault("folder-not-shared", at=HOST, folder="runs")], "wrong"),
    ("faults", [fault("checkpoints-unwritable", at=HOST, folder="runs", why="Permission denied")], "wrong"),
    ("faults", [fault("gpus-unusable", at=HOST, usable=0, there=2, why="no driver")], "wrong"),
    ("warnings", [note("cluster-without-token")], "warning"),
]


@pytest.mark.parametrize(("kind", "said", "grade"), CHECKED, ids=lambda each: str(each)[:40])
def test_what_the_checks_of_run_say_is_told(kind, said, grade, planted, doctor):
    planted[kind] = said
    found = doctor()
    assert found.wrong == [(grade, said[0].code)]
    assert found.code == (1 if grade == "wrong" else 0)


def test_a_cluster_that_only_this_host_reaches_needs_no_token(planted, doctor):
    planted["warnings"] = [note("cluster-without-token")]
    planted["nodes"] = [replace(NODES[0], address="127.0.0.1")]
    assert doctor().wrong == []


def test_a_host_that_reads_what_was_there_before_is_found(planted, doctor):
    planted[looks.sees] = lambda _: False
    assert doctor().wrong == [("warning", "folder-shows-old")]


def test_a_host_that_does_not_answer_is_found(planted, doctor):
    planted[looks.look] = lambda _: None
    found = doctor()
    assert (found.code, found.wrong) == (1, [("wrong", "host-silent")])


def test_data_that_no_host_can_keep_are_found(planted, doctor):
    planted["nodes"] = [NODES[0], replace(NODES[1], memory=100)]
    found = doctor("tiny.yaml")
    assert (found.code, found.wrong) == (1, [("wrong", "data-beyond-memory")])


def test_gpus_that_the_machine_lacks_are_found(planted, doctor):
    planted["nodes"] = [NODES[0], replace(NODES[1], gpus=2)]
    assert doctor().wrong == [("warning", "gpus-not-in-machine")]


def test_a_clock_that_a_store_refuses_is_found(planted, doctor):
    planted[looks.look] = lambda looked: replace(looked, time_s=looked.time_s - 3600)
    found = doctor("tiny.yaml", "--set", "storage.checkpoints=s3://lab/sweeps")
    assert (found.code, found.wrong) == (1, [("wrong", "clock-refused-by-store")])
    assert "folder" not in found.areas


def test_sqlite_on_a_network_disk_is_found(planted, doctor, tmp_path, monkeypatch):
    mounts = tmp_path.parent / f"{tmp_path.name}-mounts"
    point = str(tmp_path).replace(" ", "\\040")
    mounts.write_text(f"1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / {point} rw - nfs4 server:/home rw\n")
    monkeypatch.setattr(disk, "MOUNTS", mounts)
    found = doctor()
    assert (found.code, found.wrong) == (0, [("warning", "study-file-on-network")])
    assert found.lines[0]["values"]["kind"] == "nfs4"
    assert disk.network_of(tmp_path.parent) == ""


# --- places


@pytest.fixture
def mounted(tmp_path):
    """Mounts a small disk, with options, below the test's folder."""
    if not shutil.which("mount"):
        pytest.skip("needs mount, for a small disk")
    point = tmp_path / "small"
    point.mkdir()
    made = []

    def mounted(options):
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", point], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"needs root, to mount a small disk: {done.stderr.decode().strip()}")
        made.append(point)
        return point

    yield mounted
    for each in made:
        subprocess.run(["umount", "-l", each], check=True)


DISKS = {
    "a full disk": ("size=3m", "place-without-room"),
    "a disk without files left": ("size=40m,nr_inodes=20", "place-without-files"),
    "a read-only disk": ("size=40m,ro", "place-not-writable"),
}


@pytest.mark.parametrize("name", DISKS)
def test_a_home_that_takes_nothing_is_found(name, doctor, planted, mounted):
    options, code = DISKS[name]
    home = mounted(options)
    if code == "place-without-room":
        (home / "filler").write_bytes(bytes(os.statvfs(home).f_bavail * os.statvfs(home).f_frsize - 100_000))
    found = doctor("tiny.yaml", "--home", home, address=None)
    lines = [line for line in found.lines if line["area"] == "home"]
    assert (found.code, [line["code"] for line in lines]) == (1, [code])
    assert "name another" in lines[0]["mend"]
    assert "--home" in lines[0]["mend"]


def test_a_quota_of_which_the_disk_says_nothing_is_found(doctor, planted, monkeypatch):
    monkeypatch.setattr(room, "why_not", lambda folder: ("Disk quota exceeded", True))
    found = doctor("tiny.yaml", address=None)
    assert (found.code, found.wrong) == (1, [("wrong", "place-not-writable")])
    assert found.lines[0]["values"]["why"] == "Disk quota exceeded"


PLACES = {
    "storage.checkpoints={}": ("folder", 4),
    "storage.study=sqlite:///{}/study.db": ("study", 4),
    "tracking.uri=sqlite:///{}/mlflow.db": ("mlflow", 4),
}


@pytest.mark.parametrize("field", PLACES)
def test_each_place_of_a_sweep_is_judged_and_not_the_home_alone(field, doctor, planted, mounted):
    """In an empty disk of 2 MB, which can be written to."""
    area, needed = PLACES[field]
    found = doctor("tiny.yaml", "--set", field.format(mounted("size=2m")), address=None)
    assert (found.code, found.wrong) == (1, [("wrong", "place-without-room")])
    assert (found.lines[0]["area"], found.lines[0]["values"]["needed"]) == (area, needed)
    assert field.partition("=")[0] in found.lines[0]["mend"]


def test_a_disk_is_held_against_all_that_is_written_there(doctor, planted, mounted):
    disk = mounted("size=18m")
    assert doctor("tiny.yaml", "--home", disk, "--set", f"storage.checkpoints={disk.parent}/a", address=None).code == 0
    found = doctor("tiny.yaml", "--home", disk, address=None)
    assert (found.code, found.wrong, found.lines[0]["values"]["needed"]) == (1, [("wrong", "place-without-room")], 20)


def test_checkpoints_need_what_the_sizes_of_the_networks_say(doctor, planted, mounted):
    """67,330 weights take 1.1 MB a file; with 12 trials at least 13 files, with `keep: best` three trials' at once."""
    at = f"storage.checkpoints={mounted('size=12m')}"
    space = "search={n_trials: 12, space: {training.learning_rate: {type: float, low: 0.001, high: 0.01}}}"
    words = ("tiny.yaml", "--set", at, "--set", "model.hidden_size=128", "--set", space)
    found = doctor(*words, address=None)
    assert (found.code, found.wrong) == (1, [("wrong", "place-without-room")])
    assert 13 * 1.09 < found.lines[0]["values"]["needed"] < 13 * 1.11
    assert doctor(*words, "--set", "storage.keep=best", address=None).wrong == []


def test_a_place_that_may_become_full_is_a_warning(doctor, planted, mounted):
    at = f"storage.checkpoints={mounted('size=12m')}"
    space = "search={n_trials: 6, space: {model.hidden_size: {type: int, low: 4, high: 128}}}"
    found = doctor("tiny.yaml", "--set", at, "--set", space, address=None)
    assert (found.code, found.wrong) == (0, [("warning", "place-may-lack-room")])


# --- the database


def test_a_study_without_room_is_told_as_that(tmp_path):
    engine = study_checks.database.engine(f"sqlite:///{tmp_path}/study.db")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(sqlalchemy.exc.OperationalError) as error:
            connection.exec_driver_sql("CREATE TABLE a (b)")
    [told] = study_checks.database.unopened(error.value).faults
    assert (told.code, told.values["why"]) == ("study-disk-full", "database or disk is full")
    assert "make room" in told.mend
    assert may_pass(BadInput(told)), "a launched job waits for room"


def test_a_study_whose_server_has_no_room_is_told_as_that():
    class DiskFull(Exception):
        pgcode = "53100"  # as psycopg2 has it

    error = sqlalchemy.exc.OperationalError("", {}, DiskFull("could not extend file: No space left on device"))
    [told] = study_checks.database.unopened(error).faults
    assert told.code == "study-disk-full"


@pytest.fixture(scope="module")
def database():
    """A PostgreSQL."""
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.server() as made:
        yield made


@contextmanager
def delayed(target, seconds):
    """A port of this host whose answers come so many seconds later than the target's."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source, sink, pause):
        try:
            while block := source.recv(2**16):
                time.sleep(pause)
                sink.sendall(block)
        except OSError:
            pass
        finally:
            for each in (source, sink):
                each.close()

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(target)
            for pair in ((client, server, 0), (server, client, seconds)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def test_a_database_far_away_is_found(database):
    url = database.create("far")
    assert [line.grade for line in study_checks.examine(url)] == ["good"]
    path = next(Path(database.address().partition("host=")[2].partition("&")[0]).glob(".s.PGSQL.*[0-9]"))
    with delayed(str(path), 0.08) as port:
        user = database.address().partition("://")[2].partition("@")[0]
        [line] = study_checks.examine(f"postgresql://{user}:not-to-be-shown@127.0.0.1:{port}/far")
    assert (line.grade, line.said.code) == ("warning", "study-slow")
    assert line.said.values["answer_ms"] > 70
    assert "not-to-be-shown" not in str(line)


def test_a_database_whose_clock_is_off_is_found(monkeypatch, tmp_path):
    monkeypatch.setitem(study_checks.database.CLOCK, "sqlite", "(julianday('now') - 2440587.5) * 86400.0 + 60")
    [line] = study_checks.examine(f"sqlite:///{tmp_path}/study.db")
    assert (line.grade, line.said.code) == ("warning", "clock-differs")
    assert 55 < line.said.values["seconds"] < 65
    assert [*tmp_path.iterdir()] == []


def test_a_database_that_does_not_answer_is_found(doctor, planted):
    study = f"storage.study=postgresql://me:not-to-be-shown@127.0.0.1:{free_port()}/none"
    found = doctor("tiny.yaml", "--set", study)
    assert (found.code, found.wrong) == (1, [("wrong", "study-server-unreached")])
    assert "not-to-be-shown" not in json.dumps(found.lines)


# --- MLflow and object stores


@pytest.fixture
def served():
    """A web server that answers every request with a status and a text; its address."""
    servers = []

    def serve(status, text):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text.encode())

            def do_HEAD(self):
                self.do_GET()

            def do_PUT(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.do_GET()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_mlflow_that_does_not_know_its_name_is_found(served, doctor, planted):
    address = served(403, "Invalid Host header - possible DNS rebinding attack detected")
    found = doctor("tiny.yaml", "--set", f"tracking.uri={address}")
    assert (found.code, found.wrong) == (1, [("wrong", "mlflow-host-refused")])
    assert "--allowed-hosts" in found.lines[0]["mend"]


def test_an_mlflow_that_is_away_is_found(doctor, planted):
    found = doctor("tiny.yaml", "--set", f"tracking.uri=http://127.0.0.1:{free_port()}")
    assert (found.code, found.wrong) == (0, [("warning", "mlflow-silent")])


def test_a_store_without_the_right_is_found(served, doctor, planted, monkeypatch):
    for name, value in object_store.environment(served(403, "")).items():
        monkeypatch.setenv(name, value)
    found = doctor("tiny.yaml", "--set", "storage.checkpoints=s3://lab/sweeps", address=None)
    assert (found.code, found.wrong) == (1, [("wrong", "checkpoints-unwritable")])
    assert object_store.SECRET not in json.dumps(found.lines)


# --- wrong input


def test_a_wrong_spec_and_a_wrong_address_are_exit_code_2(doctor, monkeypatch):
    found = doctor("tiny.yaml", "--set", "model.hidden_size=0", address=None)
    assert found.code == 2
    assert found.errors
    found = doctor(address=f"127.0.0.1:{free_port()}")
    assert (found.code, found.errors) == (2, ["nothing-listens"])
    monkeypatch.setattr(survey, "reached", lambda *_, **__: (_ for _ in ()).throw(refused("ray-in-use")))
    monkeypatch.setattr(survey, "check_address", lambda _: None)
    assert doctor().code == 2
