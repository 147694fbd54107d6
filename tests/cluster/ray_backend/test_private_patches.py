import inspect
import json
import mmap
import subprocess
import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import ray
from ray._private import node, services, state, utils
from ray._private.authentication import authentication_token_setup
from ray.tune.execution import class_cache

from cluster.ray_backend import head, private_patches
from lstm import patches

PATCHES = [each for each in vars(private_patches).values() if isinstance(each, patches.Patch)]


def parts():
    return services.get_node, node.Node.start_api_server


@pytest.fixture
def another(monkeypatch):
    monkeypatch.setattr(ray, "__version__", "99.1.0")
    monkeypatch.setattr(patches, "_told", set())


# --- while these pass, the patches fit the Ray that is installed; where one fails, try that, then add its version


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_it_was_tried_with_the_ray_that_is_installed(patch):
    assert patch.fits(ray.__version__), ray.__version__


def test_tune_would_send_keys_and_does_not_while_they_are_withheld():
    before = set(class_cache.ENV_VARS_TO_PROPAGATE)
    assert "AWS_SECRET_ACCESS_KEY" in before, "the patch is no longer needed"
    with private_patches.withheld_keys():
        assert {name for name in before if not name.startswith("AWS_")} == class_cache.ENV_VARS_TO_PROPAGATE
    assert before == class_cache.ENV_VARS_TO_PROPAGATE


def test_ray_is_as_it_was_after_its_sooner_start(monkeypatch):
    before = parts()
    with private_patches.sooner():
        assert not set(parts()) & set(before)
    assert parts() == before
    monkeypatch.delattr(services, "get_node")
    with private_patches.sooner():
        assert node.Node.start_api_server is before[1]


def test_the_parts_are_called_as_they_are_replaced():
    assert list(inspect.signature(services.get_node).parameters) == ["gcs_address", "node_id"]
    assert "services.get_node(" in inspect.getsource(node.Node)
    assert "self.start_api_server(" in inspect.getsource(node.Node)
    for owner, name in [
        (services, "_get_gcs_client_options"),
        (services, "canonicalize_bootstrap_address"),
        (services, "find_node_ids"),
        (services, "get_ray_address_from_environment"),
        (state.GlobalState, "_initialize_global_state"),
        (state.GlobalState, "node_table"),
        (utils, "get_ray_address_file"),
        (utils, "read_ray_address"),
        (authentication_token_setup, "maybe_enable_token_auth_if_token_available"),
        (ray._private.worker, "_global_node"),
    ]:
        assert hasattr(owner, name), name


@pytest.mark.parametrize("name", private_patches.LOCAL)
def test_rays_system_knows_each_setting(name):
    programs = Path(ray.__file__).parent / "core" / "src" / "ray"
    for program in (programs / "gcs" / "gcs_server", programs / "raylet" / "raylet"):
        with program.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            assert content.find(name.encode()) >= 0, program


# In each run of the tests tests/cluster/ray_backend/test_connection.py holds the same of the local Ray that it starts.
@pytest.mark.faults
def test_a_local_ray_starts_with_them_is_asked_and_ends_its_monitor():
    code = """
import json, subprocess, sys
from cluster.ray_backend import private_patches
private_patches.set_environment(local=True)
import ray
with private_patches.sooner():
    options = private_patches.start_options(ray, place=None, local=True)
    ray.init("local", num_cpus=1, include_dashboard=False, logging_level="ERROR", **options)
address = ray.get_runtime_context().gcs_address
ask = [sys.executable, "-P", "-c", private_patches.QUESTION, address, "found", "10"]
answer = json.loads(subprocess.run(ask, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1])
processes = ray._private.worker._global_node.all_processes
there = sorted(processes)
monitor = processes["monitor"][0].process
private_patches.end_monitor(ray)
ended = monitor.wait(60)
private_patches.shut_down(ray)
print(json.dumps([there, answer, ended]))
"""
    ended = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=280, check=True)
    there, answer, code = json.loads(ended.stdout.splitlines()[-1])
    assert {"gcs_server", "raylet", "monitor"} <= set(there)
    assert "dashboard" not in there, "the server that nobody asked for is not started"
    assert (len(answer["hosts"]), len(answer["here"])) == (1, 1)
    assert code != 0, "it was killed"


# --- where one of these fails, Ray does by itself what a patch does: the patch is to go


def test_ray_starts_a_monitor_and_a_dashboards_server_that_nobody_asked_for(monkeypatch):
    made = MagicMock(_gcs_address=None, _gcs_client=None)
    made._ray_params.include_dashboard, made._ray_params.no_monitor = False, False
    node.Node.start_head_processes(made)
    assert made.start_monitor.called
    assert made.start_api_server.called
    started = MagicMock(return_value=("", None))
    monkeypatch.setattr(services, "start_api_server", started)
    made.get_log_file_names.return_value = "out", "err"
    made.all_processes = {}
    node.Node.start_api_server(made, include_dashboard=False, raise_on_failure=False)
    assert started.called


def test_ray_asks_its_new_node_by_what_sleeps_between_two_looks():
    """`GlobalState.get_node` waits in C++, a second at a time; a loop of Ray's own in Python would make ours idle."""
    assert "accessor.get_node(node_id)" in inspect.getsource(state.GlobalState.get_node)


# --- left out


def test_with_another_ray_all_is_as_ray_does_it(another, monkeypatch, caplog):
    before = parts()
    sent = set(class_cache.ENV_VARS_TO_PROPAGATE)
    with private_patches.sooner(), private_patches.withheld_keys():
        assert parts() == before
        assert sent == class_cache.ENV_VARS_TO_PROPAGATE
    assert private_patches.start_options(ray, place=None, local=True) == {}
    assert private_patches.start_options(ray, place="/tmp/ray", local=True) == {"_temp_dir": "/tmp/ray"}
    assert private_patches.found_address() == ("", "")
    asked = MagicMock()
    monkeypatch.setattr(head.subprocess, "run", asked)
    assert head.ask("auto") == head.JOIN_S
    assert not private_patches.may_ask()
    assert not asked.called
    private_patches.end_monitor(MagicMock(__version__="99.1.0", _private=None))
    assert private_patches.node_types(ray, pytest.fail) is None
    private_patches.let_idle_go(held := MagicMock(), go=True)
    assert held._actor_cache._may_keep_one is not False
    assert {patch.name for patch in PATCHES if patch.name in caplog.text} == {patch.name for patch in PATCHES}


@pytest.mark.parametrize("off", ["ray", "all"])
def test_the_switch_leaves_ray_as_it_is(monkeypatch, caplog, off):
    monkeypatch.setenv(patches.SWITCH, off)
    before = parts()
    sent = set(class_cache.ENV_VARS_TO_PROPAGATE)
    with private_patches.sooner(), private_patches.withheld_keys():
        assert parts() == before
        assert sent == class_cache.ENV_VARS_TO_PROPAGATE
    assert private_patches.start_options(ray, place=None, local=True) == {}
    assert not private_patches.may_ask()
    assert private_patches.found_address() == ("", "")
    assert private_patches.worker_variables()[patches.SWITCH] == off, "workers elsewhere are told, too"
    assert not caplog.text


def test_workers_elsewhere_are_told_nothing_that_was_not_said(monkeypatch):
    monkeypatch.delenv(patches.SWITCH, raising=False)
    assert private_patches.worker_variables() == private_patches.SEEN
