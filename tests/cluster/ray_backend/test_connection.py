import gc
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from cluster.config import ResourcesConfig
from cluster.ray_backend import connection, head_watch
from cluster.ray_backend import nodes as node_checks
from lstm.records.errors import BadInput, fault


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("ray://head:10001", "ray-client-address"),
        ("head", "no-cluster-address"),
        (":6379", "no-cluster-address"),
        ("head:http", "no-cluster-address"),
        ("head:70000", "no-cluster-address"),
        ("head:0", "no-cluster-address"),
        ("head:²", "no-cluster-address"),
        ("", "no-cluster-address"),
        ("http://127.0.0.1:8265", "no-cluster-address"),
        ("a..b:6379", "nothing-listens"),
        ("x" * 70 + ".com:6379", "nothing-listens"),
    ],
)
def test_addresses_that_are_refused(address, code):
    with pytest.raises(BadInput) as refused:
        connection.check_address(address)
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.place) == (code, f"--address {address}")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("http://127.0.0.1:8265", "no-cluster-address"),
        ("ray://head:10001", "ray-client-address"),
        ("local", "no-cluster-address"),
        ("127.0.0.1:1", "nothing-listens"),
    ],
)
def test_auto_says_which_address_of_the_environment_is_wrong(monkeypatch, given, code):
    monkeypatch.setenv("RAY_ADDRESS", given)
    with pytest.raises(BadInput) as refused:
        connection.check_address("auto")
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.place) == (code, f"--address auto (RAY_ADDRESS is {given})")


def test_nothing_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(BadInput) as refused:
            connection.check_address(address)
        [wrong] = refused.value.faults
        assert (wrong.code, wrong.place) == ("nothing-listens", f"--address {address}")
        assert wrong.values == {"why": "Connection refused"}
        free.listen()
        connection.check_address(address)


@pytest.fixture
def starts(monkeypatch):
    """What `ray.init` was called with; it raises the error that is put in."""
    calls = SimpleNamespace(error=None, arguments=None, ended=0)

    def init(**arguments):
        calls.arguments = arguments
        raise calls.error

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: setattr(calls, "ended", calls.ended + 1))
    return calls


@pytest.mark.parametrize(
    ("address", "code", "place"), [("auto", "cluster-not-joined", "--address auto"), (None, "ray-not-started", "")]
)
@pytest.mark.parametrize("error", [ConnectionError, RuntimeError, TimeoutError, ray.exceptions.RaySystemError])
def test_a_cluster_that_cannot_be_joined(starts, tmp_path, monkeypatch, address, code, place, error):
    monkeypatch.setattr(connection.head, "ask", lambda _: 30.0)
    starts.error = error("x\nand a long story")
    with pytest.raises(BadInput) as refused, connection.join(address, ResourcesConfig(), str(tmp_path)):
        pytest.fail("joined")
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.place) == (code, place)
    assert wrong.values["why"].endswith("x\nand a long story"), "the last line often tells the mend"
    assert starts.arguments["address"] == (address or "local"), "a plain init may join a stale cluster"
    assert starts.ended == 1


# --- What surrounds a local Ray.

# As `uv run sweep` in a project's folder, from a job of another cluster, in a shell where Ray was used for other work.
LAUNCHER = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "1",
    "RAY_RUNTIME_ENV_HOOK": "no.such.hook",
    "RAY_CLIENT_MODE": "1",
    "RAY_ADDRESS": "127.0.0.1:1",
    "RAY_REDIS_ADDRESS": "127.0.0.1:1",
    "RAY_OVERRIDE_RESOURCES": '{"CPU": 64}',
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "0",
    "RAY_JOB_CONFIG_JSON_ENV_VAR": '{"runtime_env": {"working_dir": "gcs://a.zip", "py_modules": ["gcs://a.zip"]}}',
    "RAY_TUNE_CALLBACKS": "no.such.callback",
}
JOIN = """
import json, os, subprocess, sys
from cluster.config import ResourcesConfig
from cluster.ray_backend import private_patches
from cluster.ray_backend.connection import join

if __name__ == "__main__":
    with join(None, ResourcesConfig(), sys.argv[1]) as joined:
        import ray
        from ray.tune.utils.callback import _create_default_callbacks

        rooms = ray.get(ray.remote(lambda: __import__("cluster").__file__).remote(), timeout=90)
        warnings = [each.row() for each in joined.warnings]
        found = {"address": joined.address, "cpus": joined.cpus, "warnings": warnings, "rooms": rooms}
        _create_default_callbacks([])
        asked = [private_patches.QUESTION, ray.get_runtime_context().gcs_address, "found", "10"]
        ask = [sys.executable, "-P", "-c", *asked]
        answer = json.loads(subprocess.run(ask, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1])
        started = ray._private.worker._global_node.all_processes
        found |= {"started": sorted(started), "hosts": len(answer["hosts"]), "here": len(answer["here"])}
        monitor = started["monitor"][0].process
    print(json.dumps(found | {"monitor": monitor.wait(60)}))
"""


@pytest.fixture
def joins(tmp_path):
    """What a driver of its own finds that joins a local Ray, in an environment of its own."""

    def joins(prefix=(), **environment):
        (tmp_path / "join.py").write_text(JOIN)
        (tmp_path / "pyproject.toml").touch()
        # Ray asks for an ancestor that is called `uv` and was told to `run`.
        (tmp_path / "run").write_text("import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "TUNE_"))}
        done = subprocess.run(
            ["uv", "run", *prefix, sys.executable, "join.py", str(tmp_path)],
            executable=sys.executable,
            cwd=tmp_path,
            env=kept | {"PYTHONPATH": str(Path.cwd())} | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return joins


BIND = "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); os.execv(sys.argv[1], sys.argv[1:])"


def test_a_local_ray_is_ours_and_needs_neither_a_home_nor_a_short_tmpdir_and_takes_the_cores_that_it_is_bound_to(
    joins, tmp_path
):
    """Whatever the launcher's environment says. All in one start of Ray: each costs seconds."""
    (long := tmp_path / ("x" * 60)).mkdir()
    found = joins((sys.executable, "-c", BIND), **LAUNCHER, HOME="/proc/none", TMPDIR=str(long))
    assert (found["address"], found["cpus"]) == ("local", 1)
    assert not Path(found["rooms"]).is_relative_to(Path.cwd()), "workers get our rooms as shipped"
    (warning,) = found["warnings"]
    assert (warning["code"], warning["place"]) == ("rays-files-elsewhere", f"TMPDIR {long}")
    assert (warning["values"]["folder"], warning["values"]["variable"]) == ("/tmp/ray", "TMPDIR")
    assert [path for path in long.iterdir() if path.name.startswith(("ray", "lstm-sweeps-"))] == []
    assert {"gcs_server", "raylet", "monitor"} <= set(found["started"])
    assert "dashboard" not in found["started"], "the server that nobody asked for is not started"
    assert (found["hosts"], found["here"]) == (1, 1), "what its head answers"
    assert found["monitor"] != 0, "it was killed"


WAITS = """
import sys, threading
import ray
from cluster.ray_backend import connection
from cluster.config import ResourcesConfig
from lstm.records.errors import BadInput

def init(**_):
    while True:
        try:
            threading.Event().wait(0.01)
        except Exception:
            pass

ray.init, connection.head.ask = init, lambda _: 0.05
ray.shutdown = threading.Event().wait
try:
    with connection.join("auto", ResourcesConfig(), sys.argv[1]):
        print("joined")
except BadInput as error:
    print(error.code, *(f"{each.code} {each.place} {each.values}" for each in error.faults))
"""


def test_a_driver_that_is_not_let_in_gives_up_and_leaves(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", WAITS, tmp_path],
        env={key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr
    assert ran.stdout == "1 cluster-joined-too-late --address auto {'seconds': 30.0}\n"


def test_only_two_packages_travel(tmp_path):
    connection._stage(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cluster", "lstm"]
    assert (tmp_path / "lstm" / "training" / "loop.py").is_file()
    assert {p.suffix for p in tmp_path.rglob("*") if p.is_file()} == {".py", ".typed"}


NODES = [
    {"NodeManagerAddress": f"10.0.0.{n}", "NodeManagerHostname": f"host{n}", "NodeID": f"{n}" * 56} for n in (1, 2)
]


class FakeRay:
    """A cluster whose nodes give the answers that the test put in."""

    exceptions = ray.exceptions

    def __init__(self, answers, alive=True):
        self.answers, self.alive, self.forgetful = iter(answers), alive, 0

    def nodes(self):
        return [{"Alive": self.alive, **node} for node in NODES]

    def remote(self, **_):
        return lambda task: SimpleNamespace(
            options=lambda **__: SimpleNamespace(remote=self.look if task is node_checks.look else self.forget)
        )

    def look(self, checkpoints, probe):
        return next(self.answers)(checkpoints, probe)

    def forget(self, checkpoints, probe):
        self.forgetful += 1

    def wait(self, answers, num_returns, timeout):
        assert len(answers) == num_returns == len(NODES)

    def get(self, answer, timeout):
        if isinstance(answer, Exception):
            raise answer
        return answer


def fine(node):
    def answer(checkpoints, probe):
        connection.Path(checkpoints, f"{probe}-{node}").write_text("")
        return node_checks._versions(), ""

    return answer


@pytest.mark.parametrize(
    ("answer", "code", "values"),
    [
        (
            lambda *_: (("3.1.0", node_checks._versions()[1]), "x"),
            "versions-differ",
            {"what": "Python", "theirs": "3.1.0", "ours": node_checks._versions()[0]},
        ),
        (
            lambda *_: ((node_checks._versions()[0], "1.0"), "x"),
            "versions-differ",
            {"what": "torch", "theirs": "1.0", "ours": node_checks._versions()[1]},
        ),
        (
            lambda *_: (node_checks._versions(), "PermissionError: x"),
            "checkpoints-unwritable",
            {"why": "PermissionError: x"},
        ),
        (lambda *_: (node_checks._versions(), ""), "folder-not-shared", {}),
        (lambda *_: ray.exceptions.GetTimeoutError("x"), "node-silent", {"seconds": 90.0}),
        (lambda *_: ray.exceptions.RaySystemError("no module"), "node-fails", {}),
    ],
)
def test_every_node_is_checked_and_all_faults_told(tmp_path, answer, code, values):
    asked = FakeRay([answer, answer])
    with pytest.raises(BadInput) as error:
        node_checks._check_nodes(asked, NODES, str(tmp_path))
    found = [each for each in error.value.faults if each.code == code and values.items() <= each.values.items()]
    assert [each.place for each in found] == ["10.0.0.1 (host1)", "10.0.0.2 (host2)"]
    assert error.value.code == (1 if code == "node-silent" else 2), "who is only slow may be asked again"
    if code in ("checkpoints-unwritable", "folder-not-shared"):
        assert [each.values["folder"] for each in found] == [str(tmp_path)] * 2
    if code == "node-fails":
        assert all("no module" in each.values["why"] for each in found)
    assert list(tmp_path.iterdir()) == []
    assert asked.forgetful == 2, "each removes what it wrote to a disk of its own"


class Made:
    """A cluster in which an actor can be asked for on each node, and comes to life on some."""

    exceptions = ray.exceptions

    def __init__(self, *errors, cpus=1.0):
        self.errors, self.cpus, self.made = errors, cpus, 0

    def nodes(self):
        return [{"Alive": True, "Resources": {"CPU": self.cpus}, **node} for node in NODES]

    def remote(self, **_):
        return lambda _: SimpleNamespace(options=lambda scheduling_strategy: SimpleNamespace(remote=self._make))

    def _make(self):
        self.made += 1
        return SimpleNamespace(lives=SimpleNamespace(remote=lambda error=self.errors[self.made - 1]: error))

    def get(self, answer, timeout):
        if isinstance(answer, Exception):
            raise answer
        return answer


DEAD = ray.exceptions.RaySystemError("The actor died.\n\tactor_id: 1\nThe actor never ran.")
NO_ROOM = ray.exceptions.RuntimeEnvSetupError("OSError: No space left on device")
CAUSES = {DEAD: "The actor never ran", NO_ROOM: "No space left on device"}


@pytest.mark.parametrize(
    ("errors", "code"), [((DEAD, NO_ROOM), 1), ((DEAD, True), 2), ((True, ray.exceptions.GetTimeoutError("x")), 1)]
)
def test_where_no_actor_comes_to_life_the_node_and_rays_cause_are_told(errors, code, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(BadInput) as refused:
        node_checks._check_actors(Made(*errors), 0.0)
    assert refused.value.code == code
    faulty = {f"10.0.0.{n} (host{n})": error for n, error in enumerate(errors, 1) if error is not True}
    assert [each.place for each in refused.value.faults] == list(faulty)
    for each in refused.value.faults:
        cause = CAUSES.get(faulty[each.place])
        assert each.code == ("no-worker-lives" if cause else "no-worker-in-time")
        assert cause is None or cause in each.values["why"]
        assert "actor_id" not in str(each)


def test_a_driver_that_asks_for_a_token_is_told_that_the_cluster_may_have_none(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(BadInput) as refused:
        node_checks._check_actors(Made(DEAD, DEAD), 0.0)
    last = refused.value.faults[-1]
    assert (last.code, last.place) == ("token-for-cluster-without", "RAY_AUTH_MODE")
    node_checks._check_actors(Made(True, True), 0.0)


def test_an_actor_is_made_only_where_trials_may_run():
    head = Made(cpus=0.0)
    node_checks._check_actors(head, 0.0)
    assert head.made == 0


def test_a_node_that_has_died_is_no_fault_though_it_counted_as_alive(tmp_path):
    for error in (ray.exceptions.GetTimeoutError("x"), ray.exceptions.RaySystemError("not schedulable")):
        node_checks._check_nodes(FakeRay([lambda *_, e=error: e] * 2, alive=False), NODES, str(tmp_path))


def test_a_probe_is_removed_where_it_is_seen(tmp_path):
    for name in (".probe-1-a", ".probe-1-b", ".probe-2-a", "mine"):
        (tmp_path / name).touch()
    node_checks.forget(str(tmp_path), ".probe-1")
    node_checks.forget("s3://bucket", ".probe-1")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".probe-2-a", "mine"]


def test_a_probe_that_a_killed_driver_left_is_removed_by_a_later_one(tmp_path):
    old = (".probe-3-a", 1000), ("..probe-4-a.f00.7", 1000)  # the latter was half-written
    for name, age_s in ((".probe-1-a", 0), (".probe-2-a", 100), ("..probe-5-a.f00.8", 100), *old, ("mine", 1000)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (5000 - age_s, 5000 - age_s))
    node_checks.forget(str(tmp_path), ".probe-1")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["..probe-5-a.f00.8", ".probe-2-a", "mine"], (
        "2, 5 may be at work"
    )


def test_nodes_that_are_fine(tmp_path):
    node_checks._check_nodes(FakeRay([fine("1" * 56), fine("2" * 56)]), NODES, str(tmp_path))
    assert list(tmp_path.iterdir()) == [], "the probes are gone"


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "slots"),
    [
        ([{"CPU": 4.0}], 1, 0.0, 4),
        ([{"CPU": 4.0}, {"CPU": 3.0}], 2, 0.0, 3),
        ([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0}], 1, 1.0, 2),
        ([{"CPU": 8.0, "GPU": 2.0}], 1, 0.3, 6),
        ([{"CPU": 8.0, "GPU": 2.0}], 1, 0.4, 4),
        ([{"CPU": 8.0, "GPU": 1.0}], 1, 0.1, 8),
        ([{"CPU": 8.0, "GPU": 3.0}], 1, 2.0, 1),
        ([{"CPU": 1.0}], 2, 0.0, 0),
        ([{}], 1, 0.0, 0),
    ],
)
def test_slots(monkeypatch, nodes, cpus, gpus, slots):
    dead = {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}}
    monkeypatch.setattr(ray, "nodes", lambda: [dead, *({"Alive": True, "Resources": n} for n in nodes)])
    assert node_checks.count_slots(cpus, gpus) == slots


GPUS = [{"Alive": True, "Resources": {"CPU": 4.0, "GPU": gpus}, **n} for gpus, n in zip((2.0, 1.0), NODES, strict=True)]
GPUS.append({"Alive": True, "Resources": {"CPU": 4.0}, **NODES[0], "NodeManagerAddress": "10.0.0.3"})


@pytest.fixture
def with_gpus(monkeypatch, tmp_path):
    """Checks a cluster of three hosts, whose first two have 2 and 1 GPUs, of which PyTorch can use so many."""
    monkeypatch.setattr(ray, "nodes", lambda: GPUS)
    monkeypatch.setattr(node_checks, "_check_nodes", lambda *_: None)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)  # a local Ray before this test has set it

    def check(asked, *usable):
        answers = [(count, "" if count else "a build for the CPU") for count in usable]
        monkeypatch.setattr(node_checks, "_ask_for_gpus", lambda _, nodes: answers[: len(nodes)])
        return node_checks.check(ray, "auto", ResourcesConfig(gpus_per_trial=asked), str(tmp_path))

    return check


@pytest.mark.parametrize("asked", [1.0, 0.5])
def test_gpus_that_are_asked_for_by_number_and_can_not_be_used_are_refused(with_gpus, asked):
    assert with_gpus(asked, 2, 1).gpus_per_trial == asked
    with pytest.raises(BadInput) as refused:
        with_gpus(asked, 1, 0)
    first, second = refused.value.faults
    assert {(each.code, each.path) for each in (first, second)} == {("gpus-unusable", "resources.gpus_per_trial")}
    assert (first.place, first.values) == ("10.0.0.1 (host1)", {"usable": 1, "there": 2, "why": ""})
    build = "a build for the CPU"
    assert (second.place, second.values) == ("10.0.0.2 (host2)", {"usable": 0, "there": 1, "why": build})
    assert build in second.text


def test_gpus_that_can_not_be_used_are_noted_where_the_number_was_left_open(with_gpus):
    joined = with_gpus("auto", 2, 1)
    assert (joined.gpus_per_trial, joined.slots, len(joined.warnings)) == (1.0, 3, 1)
    joined = with_gpus("auto", 2, 0)
    assert (joined.gpus_per_trial, joined.slots) == (1.0, 3)
    assert (joined.warnings[-1].code, joined.warnings[-1].place) == ("gpus-unused", "10.0.0.2 (host2)")
    assert (joined.warnings[-1].values["usable"], joined.warnings[-1].values["there"]) == (0, 1)
    joined = with_gpus("auto", 0, 0)
    assert (joined.gpus_per_trial, joined.slots) == (0.0, 12), "none is held that trains nothing"
    assert [(w.code, w.place) for w in joined.warnings[-3:]] == [
        ("gpus-unused", "10.0.0.1 (host1)"),
        ("gpus-unused", "10.0.0.2 (host2)"),
        ("no-gpu-usable", ""),
    ]


def test_nobody_asks_for_gpus_that_no_trial_takes(with_gpus, monkeypatch):
    monkeypatch.setattr(node_checks, "_check_gpus", lambda *_, **__: pytest.fail("asked"))
    assert with_gpus(0.0).warnings[1:] == ()


def test_the_gpus_of_a_local_ray_are_looked_at_without_a_worker(monkeypatch, tmp_path):
    monkeypatch.setattr(ray, "nodes", lambda: GPUS[:1])
    monkeypatch.setattr(connection.device, "gpu_count", lambda: 0)
    with pytest.raises(BadInput) as error:
        node_checks.check(ray, None, ResourcesConfig(gpus_per_trial=1), str(tmp_path))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values["usable"], wrong.values["there"]) == ("gpus-unusable", 0, 2)
    assert node_checks.check(ray, None, ResourcesConfig(), str(tmp_path)).gpus_per_trial == 0.0


def test_a_node_that_does_not_say_what_its_gpus_are_worth_is_no_fault():
    def get(answer, timeout):
        raise ray.exceptions.GetTimeoutError("x")

    silent = SimpleNamespace(
        exceptions=ray.exceptions,
        get=get,
        remote=lambda **_: lambda _: SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda: None)),
    )
    assert node_checks._ask_for_gpus(silent, GPUS[:2]) == [(2, ""), (1, "")]


def test_a_trial_that_fits_nowhere(monkeypatch, tmp_path):
    node = {"Alive": True, "Resources": {"CPU": 4.0}, **NODES[0]}
    monkeypatch.setattr(ray, "nodes", lambda: [node])
    with pytest.raises(BadInput) as refused:
        node_checks.check(ray, None, ResourcesConfig(cpus_per_trial=5), str(tmp_path))
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.path) == ("trial-fits-no-node", "resources")
    assert wrong.values == {"cpus": 5, "gpus": 0, "nodes": 1, "cluster_cpus": 4, "cluster_gpus": 0}
    assert "5 CPUs and 0 GPUs" in wrong.text


# --- The head is watched.

WATCHING = """
import socket, sys, threading, time
from cluster.ray_backend.head_watch import Pace, Watch

listener = socket.create_server(("127.0.0.1", 0))
told = threading.Event()

def lost(why):
    print(why.code, why.values["address"], end="")  # what is said is said, though nobody flushes it
    told.set()
    return 7

address = "127.0.0.1:%d" % listener.getsockname()[1]
hangs = sys.argv[1] == "hangs"
with Watch(address, Pace(0.01, 0.05, 0.0 if hangs else 3600.0, OSError), lost):
    print(address, end=" ")
    listener.close()
    told.wait()
    if hangs:
        threading.Event().wait()
"""


@pytest.mark.parametrize("driver", ["hangs", "ends"])
def test_a_driver_that_lost_the_head_says_so_and_leaves_whether_it_hangs_or_ends(driver):
    ran = subprocess.run(
        [sys.executable, "-c", WATCHING, driver], capture_output=True, text=True, timeout=120, check=False
    )
    address, _, said = ran.stdout.partition(" ")
    assert (ran.returncode, said) == (7, f"cluster-head-gone {address}"), ran.stderr


@pytest.fixture
def scripted(monkeypatch):
    """Watches a head with a clock that each look at it moves by a second; what was told, when the process left."""

    def act(answers, lost=lambda _: 5, **named):
        told, clock = [], itertools.count()
        now = SimpleNamespace(s=next(clock))
        monkeypatch.setattr(head_watch, "time", SimpleNamespace(monotonic=lambda: now.s, sleep=told.append))
        monkeypatch.setattr(head_watch, "leave", lambda code: told.append(("left", code)))
        monkeypatch.setattr(head_watch.atexit, "register", lambda *_: None)
        script = iter(answers)

        class Scripted(head_watch.Watch):
            def _answers(self):
                now.s = next(clock)
                answer = next(script, None)
                if answer is None:
                    self.end()
                return answer in ("yes", None)

        watch = Scripted("head:6379", PACE, lambda why: told.append(why) or lost(why), **named)
        watch._watch()
        return watch, told

    return act


PACE = head_watch.Pace(every_s=0.0, patience_s=3.0, grace_s=15.0, silence=OSError)


@pytest.mark.parametrize("answers", [["yes"] * 9, ["no", "no", "no", "yes"] * 9, ["no", "no", "no"]])
def test_a_head_that_comes_back_in_time_was_never_lost(scripted, answers):
    watch, told = scripted(answers)
    assert (watch.lost, told) == (False, [])


def test_a_head_that_stays_silent_is_told_once_then_the_driver_has_a_grace(scripted):
    watch, told = scripted(["yes", "no", "yes", *["no"] * 9])
    assert watch.lost
    assert told == [fault("cluster-head-gone", address="head:6379"), 15.0, ("left", 5)]


def test_a_process_that_is_not_the_command_line_s_is_not_ended(scripted):
    watch, told = scripted(["yes", "no", "yes", *["no"] * 9], ours=False)
    assert (watch.lost, told) == (True, [fault("cluster-head-gone", address="head:6379")])


def test_a_driver_that_cannot_say_why_leaves_nevertheless(scripted, caplog):
    _, told = scripted(["no"] * 9, lambda _: 1 / 0)
    assert told[1:] == [15.0, ("left", 1)]
    assert "ZeroDivisionError" in caplog.text


def test_within_a_machine_only_a_refusal_tells_that_the_head_is_gone():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        silent = f"127.0.0.1:{free.getsockname()[1]}"
        nowhere = "255.255.255.255:6379"
        looks = {
            (pace, address): head_watch.Watch(address, pace, print)._answers()
            for pace in (head_watch.NEAR, head_watch.FAR)
            for address in (silent, nowhere)
        }
    assert looks == {
        (head_watch.NEAR, silent): False,
        (head_watch.FAR, silent): False,
        (head_watch.NEAR, nowhere): True,  # as where the laptop has left its network
        (head_watch.FAR, nowhere): False,
    }


@pytest.fixture
def joinable(monkeypatch):
    """A cluster that is joined and left at once; how it was left, each time with whether memory is tidied."""
    ended = []
    monkeypatch.setattr(connection.head, "ask", lambda _: 30.0)
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "shutdown", lambda: ended.append(gc.isenabled()))
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address="127.0.0.1:1"))
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": 4.0}, **NODES[0]}])
    monkeypatch.setattr(connection, "check", lambda *_: None)
    monkeypatch.setattr(connection, "growth", lambda _: None)
    monkeypatch.setattr(head_watch.Watch, "_watch", lambda _: None)
    return ended


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_head_is_not_asked_to_let_the_driver_go(monkeypatch, tmp_path, joinable, lost):
    monkeypatch.setattr(head_watch.Watch, "_watch", lambda self: setattr(self, "lost", lost))
    with connection.join("auto", ResourcesConfig(), str(tmp_path)):
        pass
    assert joinable == ([] if lost else [False]), "what is Ray's must not be let go meanwhile: it would end the process"
    assert gc.isenabled()


def test_a_cluster_without_room_is_refused_before_what_is_done_meanwhile(monkeypatch, tmp_path, joinable):
    done = threading.Event()
    with pytest.raises(BadInput) as refused:
        connection.join("auto", ResourcesConfig(cpus_per_trial=5), str(tmp_path), meanwhile=done.set).__enter__()
    assert ([each.code for each in refused.value.faults], done.is_set()) == (["trial-fits-no-node"], False)
    monkeypatch.setattr(connection, "check", lambda *_: done.wait(60))
    with connection.join("auto", ResourcesConfig(cpus_per_trial=4), str(tmp_path), meanwhile=done.set) as checked:
        assert checked, "while the nodes are checked"


def test_the_head_is_asked_while_ray_is_imported_and_its_refusal_is_told(monkeypatch, tmp_path, joinable):
    staged = threading.Event()
    stage = connection._stage

    def ask(_):
        assert staged.wait(60)
        raise connection.refused("cluster-without-hosts", at="auto", address="a")

    monkeypatch.setattr(connection.head, "ask", ask)
    monkeypatch.setattr(connection, "_stage", lambda folder: staged.set() or stage(folder))
    with pytest.raises(BadInput) as refused:
        connection.join("auto", ResourcesConfig(), str(tmp_path)).__enter__()
    assert ([each.code for each in refused.value.faults], joinable) == (["cluster-without-hosts"], [])


def test_room_is_counted_again_when_the_check_has_found_a_host_dead(monkeypatch, tmp_path):
    alive = [True, True]
    monkeypatch.setattr(
        ray, "nodes", lambda: [{"Alive": a, "Resources": {"CPU": 4.0}, **n} for a, n in zip(alive, NODES, strict=True)]
    )
    monkeypatch.setattr(node_checks, "_check_nodes", lambda *_: alive.pop() and alive.append(False))
    joined = node_checks.check(ray, "auto", ResourcesConfig(), str(tmp_path))
    assert (joined.hosts, joined.cpus, joined.slots) == (("10.0.0.1",), 4.0, 4)
    alive[:] = [False, True]
    with pytest.raises(BadInput) as error:
        node_checks.check(ray, "auto", ResourcesConfig(), str(tmp_path))
    [wrong] = error.value.faults
    assert (wrong.code, wrong.values["nodes"]) == ("trial-fits-no-node", 0)


def test_a_local_ray_is_checked_without_a_worker(tmp_path):
    node = {"Alive": True, "Resources": {"CPU": 4.0}, **NODES[0]}
    here = SimpleNamespace(nodes=lambda: [node])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(node_checks, "count_slots", lambda *_: 4)
        assert node_checks.check(here, None, ResourcesConfig(), str(tmp_path)).slots == 4
        assert list(tmp_path.iterdir()) == [], "the probe is gone"
        (tmp_path / "file").touch()
        with pytest.raises(BadInput) as error:
            node_checks.check(here, None, ResourcesConfig(), str(tmp_path / "file"))
        [wrong] = error.value.faults
        assert (wrong.code, wrong.place) == ("checkpoints-unwritable", node_checks.platform.node())
        assert wrong.values["folder"] == str(tmp_path / "file")


def test_what_is_done_meanwhile_is_done_while_ray_starts(starts, tmp_path):
    done = threading.Event()

    class Began(RuntimeError):
        def __str__(self):
            return "at once" if done.wait(60) else "nothing was done"

    starts.error = Began()
    arguments = None, ResourcesConfig(), str(tmp_path), lambda _: 1, done.set
    with pytest.raises(BadInput) as refused, connection.join(*arguments):
        pytest.fail("joined")
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.values) == ("ray-not-started", {"why": "at once"})
