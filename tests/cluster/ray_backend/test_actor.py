import os
import pickle
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
import ray

from cluster.ray_backend import actor
from cluster.ray_backend.actor import ActorHandle, TrialActor


def imported_by(code, given=b""):
    code = f"import sys; {code}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, timeout=300, check=True)
    return set(ran.stdout.decode().split())


def test_a_worker_imports_only_what_trains(trial_config, series_of, walk):
    config = trial_config({}, {}, {"schedule": "plateau", "max_epochs": 1})
    work = pickle.dumps((config, series_of(config.data, walk(120))))
    code = "import pickle, cluster.ray_backend.actor; from lstm.training.loop import train; "
    code += "config, series = pickle.load(sys.stdin.buffer); list(train(config, series, None, device='cpu'))"
    found = imported_by(code, work)
    assert "torch" in found
    rooms = {"mlflow", "optuna", "sqlalchemy", "plotly", "sklearn", "experiments", "dashboards"}
    assert found & rooms == set()
    assert "torch._dynamo" not in found, "the compiler, which takes a second"


def test_a_driver_needs_no_pytorch_to_start_its_workers():
    found = imported_by("import cluster.ray_backend.tune, experiments.verbs.run, lstm.tasks.registry")
    assert "ray" in found
    assert "torch" not in found


@pytest.mark.parametrize(
    ("used", "cluster", "named"),
    [("cuda", {"GPU": 2.0}, " gpu 1"), ("cpu", {"GPU": 2.0}, " cpu"), ("cpu", {"CPU": 2.0}, "")],
)
def test_a_worker_is_named_after_the_device_in_use_not_after_the_gpu_that_it_took(monkeypatch, used, cluster, named):
    monkeypatch.setattr(ray, "get_gpu_ids", lambda: [1])
    monkeypatch.setattr(ray, "cluster_resources", lambda: cluster)
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "10.0.0.1")
    name = f"10.0.0.1 ({socket.gethostname()}) pid {os.getpid()}{named}"
    assert actor._name(used) == name


def test_an_actor_hands_on_what_tune_tells_it(monkeypatch):
    told = []

    class Noting:
        def __init__(self, series, clock, *, passing, **_):
            told.append((series, clock.spent.start > 0, passing))

        def __getattr__(self, name):
            return lambda *order: told.append((name, *order)) or {"done": False}

    monkeypatch.setattr(actor, "TrialWorker", Noting)
    made = TrialActor.__new__(TrialActor)  # Tune's own part needs a cluster
    made.setup({"number": 0}, "the series")
    assert made.step() == {"done": False}
    assert made.reset_config({"number": 1}) is True
    made.wind_up(), made.cleanup()
    series, (begin, step, take, wind_up, let_go) = told[0], told[1:]
    assert series == ("the series", True, (ray.exceptions.RayError,))
    assert (begin, take) == (("begin", {"number": 0}), ("take", {"number": 1}))
    assert (step, wind_up, let_go) == (("step",), ("wind_up",), ("let_go",))


def test_a_handle_winds_up_and_kills_an_actor_that_may_be_gone(monkeypatch):
    told = []
    held = ActorHandle(SimpleNamespace(wind_up=SimpleNamespace(remote=lambda: told.append("wind up"))))
    held.wind_up()
    monkeypatch.setattr(ray, "kill", told.append)
    held.kill()
    assert told == ["wind up", held.actor]

    def gone(_):
        raise ray.exceptions.RayActorError

    monkeypatch.setattr(ray, "kill", gone)
    held.kill()
