"""Who may do what: tokens, hostile files, secrets, and who can look."""

import base64
import functools
import os
import pickle
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import moving
import pytest
import torch
from outages import MlflowServer, Proxy, first_of_each, free_port
from webhook import Webhook

from cluster.config import ResourcesConfig
from cluster.ray_backend import nodes
from dashboards.tracking import runs, server
from lstm.storage import files

# --- who may run code on the cluster

JOIN = """
import os, subprocess, sys
from pathlib import Path
from cluster.config import ResourcesConfig
from cluster.ray_backend.connection import join

if __name__ == "__main__":
    os.umask(0)  # nothing but ourselves keeps others out
    with join(None, ResourcesConfig(), sys.argv[1]) as joined:
        import ray
        print("warnings", len(joined.warnings))
        print("mode", oct((Path.home() / ".ray" / "auth_token").stat().st_mode & 0o777))
        knock = "import sys; from ray._raylet import GcsClient; print(len(GcsClient(sys.argv[1]).get_all_node_info()))"
        token = (Path.home() / ".ray" / "auth_token").read_text()
        for who, environment in (
            ("stranger", {"RAY_AUTH_MODE": "disabled"}),
            ("guesser", {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * len(token)}),
            ("owner", {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}),
        ):
            command = [sys.executable, "-c", knock, ray.get_runtime_context().gcs_address]
            environment = {**os.environ, **environment}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
            print(who, done.stdout.strip() or "refused" if done.returncode == 0 else "refused")
"""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: Ray's sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as folder:
        yield Path(folder)


def test_a_local_ray_lets_in_who_has_its_token_which_its_owner_alone_can_read(short: Path, tmp_path: Path) -> None:
    (short / "join.py").write_text(JOIN)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, short / "join.py", tmp_path],
        env=environment | {"HOME": str(short), "RAY_TMPDIR": str(short), "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:5] == ["warnings 0", "mode 0o600", "stranger refused", "guesser refused", "owner 1"]


@pytest.mark.parametrize(
    ("address", "mode", "warned"),
    [
        ("10.0.0.1:6379", None, 1),
        ("10.0.0.1:6379", "disabled", 1),
        ("auto", None, 1),
        ("auto", "token", 0),
        (None, None, 0),
    ],
)
def test_a_cluster_that_may_not_ask_for_a_token_is_warned_of_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str | None, mode: str | None, warned: int
) -> None:
    node = {"Alive": True, "Resources": {"CPU": 4.0}, "NodeManagerAddress": "10.0.0.1"}
    cluster = SimpleNamespace(nodes=lambda: [node])
    monkeypatch.setattr(nodes, "_check_nodes", lambda *_: None)
    monkeypatch.setattr(nodes, "count_slots", lambda *_: 4)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    warnings = nodes.check(cluster, address, ResourcesConfig(), str(tmp_path)).warnings
    assert len(warnings) == warned
    for warning in warnings:
        assert "\n" not in str(warning)
        assert warning.code == "cluster-without-token"
        assert "RAY_AUTH_MODE=token" in warning.mend


# --- nothing that is stored is ever run


class Hostile:
    """Unpickled, it makes a file."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.trap,)


@pytest.fixture
def poisoned(finished: SimpleNamespace, folder: Path) -> SimpleNamespace:
    """A whole copy of the finished sweep in whose stores somebody has put code; `trap` is there when it has run."""
    home, trap = folder / "runs", folder / "trap"
    shutil.copytree(finished.home, home)
    moving.readdress(home, finished.home)
    torch.save({"format": 1, "config": Hostile(trap)}, folder / "code.pt")
    body = (folder / "code.pt").read_bytes()[:-2]
    sealed = body + files.seal(body)  # its checksum is right
    bare = pickle.dumps(Hostile(trap), protocol=2)
    for place in sorted((home / "tiny").glob("*/trial-*")):
        (place / "attempt-01-epoch-000098.pt").write_bytes(bare + files.seal(bare))
        (place / "attempt-01-epoch-000099.pt").write_bytes(sealed)
        (place / "checkpoint.pkl").write_bytes(bare)
    with sqlite3.connect(home / "study.db") as study:
        # Under Optuna's own names for pickles, too: CMA-ES keeps its state as one, in hexadecimal.
        for key in ("cma:optimizer:0", "cmaes:optimizer", "hostile"):
            for value in (f'"{bare.hex()}"', f'"{base64.b64encode(bare).decode()}"'):
                name = f"{key}:{len(value)}" if key == "hostile" else key
                row = (1, name, value)
                study.execute(
                    "INSERT OR REPLACE INTO study_system_attributes (study_id, key, value_json) VALUES (?,?,?)", row
                )
                study.execute(
                    "INSERT OR REPLACE INTO trial_system_attributes (trial_id, key, value_json) VALUES (?,?,?)", row
                )
                study.execute(
                    "INSERT OR REPLACE INTO trial_user_attributes (trial_id, key, value_json) VALUES (?,?,?)", row
                )
    study.close()
    for artifact in sorted((home / "artifacts").rglob("*")):
        if artifact.name == "checkpoint.pt":
            artifact.write_bytes(sealed)
        elif artifact.name in ("config.yaml", "spec.yaml"):
            artifact.write_text(f"!!python/object/apply:os.system ['touch {trap}']\n")
            (artifact.parent / "model.pkl").write_bytes(bare)
            (artifact.parent / "MLmodel").write_text("flavors: {python_function: {loader_module: pickle}}\n")
    return SimpleNamespace(home=home, trap=trap, bare=bare, sealed=sealed)


def drawing(request: pytest.FixtureRequest, how: str) -> Callable[..., SimpleNamespace]:
    """`near` or `command`, which trains over Ray, with a report in which something may stand."""
    run: Callable[..., SimpleNamespace] = request.getfixturevalue(how)
    return functools.partial(run, drawn=True) if how == "near" else run


@pytest.mark.parametrize("how", ["near", pytest.param("command", marks=pytest.mark.faults)])
def test_code_in_checkpoints_study_and_artifacts_is_never_run(
    request: pytest.FixtureRequest,
    finished: SimpleNamespace,
    poisoned: SimpleNamespace,
    folder: Path,
    sweep: Callable[..., SimpleNamespace],
    how: str,
) -> None:
    run = drawing(request, how)
    for verb in ("best", "compare", "status", "predict"):
        answer = sweep(verb, "tiny")
        assert answer.code == 0, (verb, answer.err)
        assert answer.out == sweep(verb, "tiny", "--home", finished.home).out.replace(
            str(finished.home), str(poisoned.home)
        )
        assert not poisoned.trap.exists(), verb
    for more in (4, 5):  # complete; with a trial to train and the best to judge
        answer = run("run", "tiny.yaml", "--set", f"search.n_trials={more}", cwd=folder)
        assert answer.code == 0, answer.out + answer.err
        assert not poisoned.trap.exists(), "run"
    sweep("verify", "tiny")
    assert not poisoned.trap.exists(), "verify"

    pickle.loads(poisoned.bare)
    assert poisoned.trap.exists(), "the trap works"
    poisoned.trap.unlink()
    (folder / "sealed.pt").write_bytes(poisoned.sealed)
    torch.load(folder / "sealed.pt", weights_only=False)
    assert poisoned.trap.exists(), "the other trap works"


# --- secrets of the environment

STUDY, TRACK, DATA, STORE, HOOK = (f"hunter2{what}xq" for what in ("study", "track", "data", "store", "hook"))
SPEC = """
storage: {study: "${STUDY_URL}"}
tracking: {uri: "${TRACKING_URI}"}
"""


def holders(secret: str, *places: Path) -> list[str]:
    """The files under some folders in which a secret stands, as it is or as a password is sent."""
    forms = [secret.encode(), base64.b64encode(f"ann:{secret}".encode()), secret.encode("utf-16-le")]
    files = [file for place in places for file in sorted(place.rglob("*")) if stat.S_ISREG(file.lstat().st_mode)]
    assert files, "nothing was looked at"
    return [str(file) for file in files if any(form in file.read_bytes() for form in forms)]


@pytest.mark.parametrize("how", ["near", pytest.param("command", marks=pytest.mark.faults)])
def test_secrets_of_the_environment_stay_there(
    request: pytest.FixtureRequest,
    short: Path,
    folder: Path,
    tiny: SimpleNamespace,
    sweep: Callable[..., SimpleNamespace],
    how: str,
) -> None:
    run = drawing(request, how)
    away = folder.parent / f"{folder.name}-away"  # what is named by secrets; not looked at
    for secret in (STUDY, DATA):
        (away / secret).mkdir(parents=True)
    (folder / "tiny.csv").rename(away / DATA / "tiny.csv")
    spec = tiny.spec.replace("path: tiny.csv", 'path: "${DATA}"').replace("n_trials: 4", "n_trials: 1")
    told = SPEC.replace('"${TRACKING_URI}"', '"${TRACKING_URI}", notify: "${HOOK}"')
    (folder / "tiny.yaml").write_text(spec.replace("batch_size: 16,", "batch_size: 32,") + told)
    (folder / "server").mkdir()
    (short / "home").mkdir()
    with MlflowServer(folder / "server") as mlflow, Proxy(mlflow.port) as proxy, Webhook("401", f"/{HOOK}") as hook:
        proxy.choose = first_of_each("503")  # what is said of a fault, too
        secrets = {
            "STUDY_URL": f"sqlite:///{away / STUDY / 'study.db'}",
            "TRACKING_URI": proxy.address_for("ann", TRACK),
            "DATA": str(away / DATA / "tiny.csv"),
            "HOOK": hook.address.replace("//", f"//ann:{HOOK}@"),
        }
        places = {"HOME": str(short / "home"), "RAY_TMPDIR": str(short)}
        keys = {"AWS_ACCESS_KEY_ID": STORE, "AWS_SECRET_ACCESS_KEY": STORE}
        answer = run("run", "tiny.yaml", cwd=folder, **secrets, **keys, **places)
        assert answer.code == 0, answer.out + answer.err
        assert "MLflow does not answer (error 503)" in answer.out
        assert "the webhook does not take what it is told (error 401)" in " ".join(answer.out.split())
        said = [answer.out + answer.err]
        proxy.mode = "pass"
        for words in (["status", "tiny"], ["compare", "tiny"], ["best", "tiny"], ["predict", "tiny", "--json"]):
            answer = sweep(*words, **secrets)
            assert answer.code == 0, answer.err
            said.append(answer.out + answer.err)
        # Broken input, which is told about at length.
        (away / DATA / "tiny.csv").write_text("day,load\n2020-01-01,many\n")
        answer = sweep("run", "tiny.yaml", **secrets)
        assert answer.code == 2
        said.append(answer.out + answer.err)
        assert any(request.endpoint == "artifacts/report.html" for request in proxy.requests)
    (folder / "said").write_text("\n".join(said))
    assert (folder / "runs" / "tiny" / "sweep.log").is_file()
    rays = any(file.name == "raylet.out" for file in short.rglob("*"))
    assert rays == (how == "command"), "Ray's session is looked at"
    for secret in (STUDY, TRACK, DATA, STORE, HOOK):
        assert holders(secret, folder, short) == []
    # The study knows nothing of its own address, nor of the others.
    for secret in (STUDY, TRACK, DATA, HOOK):
        assert holders(secret, away / STUDY) == []


@pytest.mark.parametrize(
    "words", [["run"], ["status"], ["compare"], ["best"], ["stop"], ["predict"], ["verify"], ["run", "--json"]]
)
def test_a_study_that_does_not_answer_is_told_without_its_password(
    folder: Path, tiny: SimpleNamespace, sweep: Callable[..., SimpleNamespace], words: list[str]
) -> None:
    pytest.importorskip("psycopg2", reason="PostgreSQL's driver is not installed")
    (folder / "tiny.yaml").write_text(tiny.spec + SPEC)
    study = f"postgresql://ann:{STUDY}@127.0.0.1:{free_port()}/db?application_name={DATA}"
    answer = sweep(words[0], "tiny.yaml", *words[1:], STUDY_URL=study, TRACKING_URI=f"http://ann:{TRACK}@127.0.0.1:1")
    assert answer.code == 2
    assert answer.err.startswith("storage.study: ")
    assert not [secret for secret in (STUDY, TRACK, DATA) if secret in answer.out + answer.err]


def test_a_server_that_does_not_answer_is_told_without_its_password(
    folder: Path, tiny: SimpleNamespace, sweep: Callable[..., SimpleNamespace]
) -> None:
    (folder / "tiny.yaml").write_text(tiny.spec + SPEC)
    port = free_port()
    environment = {"STUDY_URL": f"sqlite:///{folder}/s.db", "TRACKING_URI": f"http://ann:{TRACK}@127.0.0.1:{port}"}
    answer = sweep("ui", "tiny.yaml", **environment)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == f"http://127.0.0.1:{port}: MLflow does not answer (nothing listens at the address)\n"


# --- who may look


def test_the_page_is_shown_with_how_to_share_it_safely(
    finished: SimpleNamespace, sweep: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(timeout: float | None = None) -> int:
        raise KeyboardInterrupt

    process = SimpleNamespace(wait=interrupted, poll=lambda: 0)
    monkeypatch.setattr(server, "serve", lambda *_: server.Server("http://127.0.0.1:5007", process))  # type: ignore[arg-type]
    answer = sweep("ui", "tiny", "--home", finished.home)
    assert answer.code == 0
    shown, told = answer.out.splitlines()
    assert shown.startswith("http://127.0.0.1:5007/#/experiments/")
    assert told.startswith("This page is for this machine only; anyone who can open it can change everything.")
    assert " ssh -L 5007:127.0.0.1:5007 " in told


def test_a_database_password_is_not_on_the_servers_command_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    def popen(command: list[str], *, env: dict[str, str], **_: object) -> None:
        started.append((command, env))
        raise OSError("enough")

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(OSError, match="enough"):
        server.serve(f"postgresql://ann:{STUDY}@host/db", None, None, tmp_path / "ui.log")
    ((command, environment),) = started
    assert STUDY not in " ".join(command)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    # With the driver that is installed with us.
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"postgresql+psycopg2://ann:{STUDY}@host/db"
    assert runs.with_driver("sqlite:///a.db") == "sqlite:///a.db"
