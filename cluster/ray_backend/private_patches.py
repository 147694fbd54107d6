"""All uses of Ray's private parts: a faster start and end, questions to a cluster's head, its node types, variables.

A use is left out with a version of Ray that it was not tried with, or if `SWEEP_WITHOUT_PATCHES` names ray; its
`Patch` says what Ray then does. The variables are set with every version: Ray ignores a variable it does not know.
"""

import gc
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lstm.patches import SWITCH, Patch

TRIED = ("2.60",)
START = Patch("ray", "sooner", TRIED, "a local Ray takes some seconds longer to start")
SYSTEM = Patch("ray", "system_settings", TRIED, "workers of a killed driver take a minute to end")
END = Patch("ray", "end_monitor", TRIED, "a local Ray takes a second longer to end")
HEAD = Patch("ray", "question", TRIED, "if a cluster does not answer, only Ray reports it, after its own timeout")
ADDRESS = Patch("ray", "found_address", TRIED, "if --address auto finds no cluster, only Ray reports it")
KEYS = Patch("ray", "withheld_keys", TRIED, "Ray's logs, which everyone may read, have the keys of the object store")
TYPES = Patch("ray", "node_types", TRIED, "a cluster that can grow is taken for one that can't")
IDLE = Patch("ray", "let_idle_go", TRIED, "a node may stay, idle, until the last trial has ended")

SEEN = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}  # a task that reserves no GPU may look at the GPUs
# Read by Ray and Tune when they are imported or started.
SETTINGS = {
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",  # under `ray job submit`, too, workers get only our packages
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run`, too: Ray would look for pyproject.toml in our packages
    "RAY_AIR_NEW_OUTPUT": "0",  # Tune's own progress output
    **SEEN,
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the sweep's own handler ends a sweep so that it can be resumed
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # Tune's state is not needed to resume
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "30",
    "TUNE_FORCE_TRIAL_CLEANUP_S": "5",
}
# Every slot's actor may start at once; the controller limits how many trials are asked for.
PENDING = {"TUNE_MAX_PENDING_TRIALS_PG": "1000000"}
CHOICES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}  # likewise, if the environment does not set them
# Variables of a launcher, or of other work with Ray, that would change our sweep: another runtime environment, Ray
# Client, foreign callbacks, several epochs in one report.
NOT_OURS = (
    "RAY_RUNTIME_ENV_HOOK",
    "RAY_CLIENT_MODE",
    "RAY_TUNE_CALLBACKS",
    "TUNE_RESULT_BUFFER_LENGTH",
    "TUNE_RESULT_BUFFER_MIN_TIME_S",
)
# Variables that would change a local Ray: another cluster's address, storage, port, size, job.
NOT_LOCAL = (
    "RAY_ADDRESS",
    "RAY_REDIS_ADDRESS",
    "RAY_GCS_SERVER_PORT",
    "RAY_OVERRIDE_RESOURCES",
    "RAY_JOB_CONFIG_JSON_ENV_VAR",
)
# System settings of a local Ray. Ray ends if it does not know one of them.
LOCAL = {
    "gcs_rpc_server_reconnect_timeout_s": 5,  # workers of a killed driver would wait a minute for it
    "prestart_worker_first_driver": False,  # such workers lack our packages, so no trial can use them
    # Ray's first process asks its second before that listens, then waits: usually 10 times 1 s, here 500 times 20 ms.
    "raylet_client_connect_timeout_milliseconds": 20,
    "raylet_client_num_connect_attempts": 500,
}
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # of a pod, if it may ask Kubernetes
LOOKED_AT = re.compile("node_[0-9a-f]{56}")  # a node as its own type; a user may call a type node_small
LOOK_S = 0.02  # between two looks for a local Ray's node

# A program for a process that can be ended: Ray's client can't be told to give up.
# It prints a JSON object: the living nodes, those of them on this host, or the error.
QUESTION = """
import json, sys, time
import ray
from ray._private import services
from ray._private.authentication import authentication_token_setup as tokens

def ask(address, found, end, call_s):
    if found:  # as Ray does: a token that lies about is used
        tokens.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    client = ray._raylet.GcsClient(address=services.canonicalize_bootstrap_address(address))
    while True:
        nodes = {key.hex(): node for key, node in client.get_all_node_info(timeout=call_s).items() if node.state == 0}
        here = [nodes[key] for key in services.find_node_ids() if key in nodes]
        if here or time.time() > end:  # a node that was just started may not be there yet
            break
        time.sleep(0.2)
    return {
        "hosts": sorted(node.node_manager_address for node in nodes.values()),
        "here": [[node.node_manager_address, node.node_manager_port] for node in here],
    }

try:
    answer = ask(sys.argv[1], sys.argv[2] == "found", time.time() + 5, float(sys.argv[3]))
except (AttributeError, ImportError, TypeError) as error:  # this Ray is made otherwise
    answer = {}
except Exception as error:
    answer = {"error": type(error).__name__, "text": str(error)}
print(json.dumps(answer))
"""


def set_environment(*, local: bool) -> None:
    """Set Ray's variables, whichever shell, launcher or job the driver was started from."""
    for name in NOT_OURS + (NOT_LOCAL if local else ()):
        os.environ.pop(name, None)
    os.environ.update(SETTINGS | PENDING)
    for name, value in CHOICES.items():
        os.environ.setdefault(name, value)


def worker_variables() -> dict[str, str]:
    """Return the variables for workers of a foreign cluster; workers of a local Ray see all of this process's."""
    return SEEN | ({SWITCH: os.environ[SWITCH]} if SWITCH in os.environ else {})


@contextmanager
def token_at(place: str) -> Iterator[None]:
    """Let a local Ray read its token from a file."""
    os.environ["RAY_AUTH_TOKEN_PATH"] = place
    try:
        yield
    finally:
        del os.environ["RAY_AUTH_TOKEN_PATH"]


def quiet_tune() -> None:
    """Silence Tune's warning that its own loggers, which are off, wrote nothing."""
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)


@contextmanager
def withheld_keys() -> Iterator[None]:
    """Keep Ray Tune from sending AWS's variables to workers: Ray's logs, which everyone may read, would have them.

    Workers of a local Ray have them all the same. Those of another cluster have the ones that Ray was started with.
    """
    import ray

    if not KEYS.fits(ray.__version__):
        yield
        return
    from ray.tune.execution import class_cache

    sent = {name for name in class_cache.ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")}
    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(sent)
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE.update(sent)


def start_options(ray: Any, *, place: str | None, local: bool) -> dict[str, Any]:
    """Return hidden options of `ray.init`: the folder of a local Ray's files, and its system settings."""
    options: dict[str, Any] = {"_temp_dir": place} if place else {}
    return options | ({"_system_config": LOCAL} if local and SYSTEM.fits(ray.__version__) else {})


def shut_down(ray: Any) -> None:
    """Leave Ray; a local Ray ends."""
    end_monitor(ray)
    # Ray ends the process, with exit code 1, if one of its objects is freed while it shuts down. Tune leaves reference
    # cycles, which the garbage collector frees at any time, in any thread. So it is off here, in anybody's process.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        if was_enabled:
            gc.enable()


def end_monitor(ray: Any) -> None:
    """Kill a local Ray's autoscaler, which nobody needs; `ray.shutdown` would wait a second for its end."""
    if not END.fits(ray.__version__):
        return
    with suppress(AttributeError):  # with a foreign cluster there is no node
        for info in ray._private.worker._global_node.all_processes.get("monitor", ()):
            info.process.kill()


@contextmanager
def sooner() -> Iterator[None]:
    """Let `ray.init` start a local Ray in half the time; if Ray is made differently, it starts as usual.

    It looks for its new node every few milliseconds, instead of sleeping a whole second between two looks. It starts no
    server for the dashboard, which `include_dashboard=False` leaves empty but still waits for.
    """
    import ray

    if not START.fits(ray.__version__):
        yield
        return
    from ray._private import node, services, state

    def get_node(gcs_address: str, node_id: str) -> Any:
        with suppress(AttributeError, TypeError):
            found = state.GlobalState()
            found._initialize_global_state(services._get_gcs_client_options(gcs_address))
            end = time.monotonic() + 1.0  # then Ray itself looks, with its own timeout
            while not any(each["NodeID"] == node_id for each in found.node_table()) and time.monotonic() < end:
                time.sleep(LOOK_S)
        return theirs[0](gcs_address, node_id)

    if not (hasattr(services, "get_node") and hasattr(node.Node, "start_api_server")):
        yield
        return
    theirs = services.get_node, node.Node.start_api_server
    services.get_node, node.Node.start_api_server = get_node, lambda *_, **__: None
    try:
        yield
    finally:
        services.get_node, node.Node.start_api_server = theirs


def may_ask() -> bool:
    """Return whether a cluster's head can be asked with `QUESTION`."""
    import ray

    return HEAD.fits(ray.__version__)


def found_address() -> tuple[str, str]:
    """Return the cluster that Ray finds for `auto` as HOST:PORT, and where Ray found it; "" if it finds none."""
    import ray

    if not ADDRESS.fits(ray.__version__):
        return "", ""
    with suppress(Exception):  # no cluster, or a Ray that looks for clusters differently
        from ray._private import services, utils

        found = str(services.get_ray_address_from_environment("auto", None))
        if found.rpartition(":")[2].isdecimal():
            file = utils.get_ray_address_file(None)
            return found, f"{file} names" if found == utils.read_ray_address(None) else "this host runs"
    return "", ""


def node_types(ray: Any, on_head: Callable[[Callable[..., Any], str], Any]) -> dict[str, Any] | None:
    """Return what a cluster's autoscaler may start, as `declared_here` does; None if the cluster can't grow.

    Ray's head knows the types only where a provider reports them. Else they are where the autoscaler itself reads them:
    in a file on the head's host, or in Kubernetes. `on_head` calls a function there with the head's address.
    """
    if not TYPES.fits(ray.__version__):
        return None
    from ray._private.state import state
    from ray._private.worker import global_worker

    if reported := state.get_cluster_config():
        groups = {each.name: (dict(each.resources), each.max_count) for each in reported.node_group_configs}
        return {"types": {name: row for name, row in groups.items() if row[1]}, "most": None}
    said = global_worker.gcs_client.internal_kv_get(b"__autoscaling_status", None, timeout=10)
    report = (json.loads(said).get("autoscaler_report") or {}) if said else {}
    if (kinds := report.get("active_nodes")) and all(LOOKED_AT.fullmatch(kind) for kind in kinds):
        return None  # Ray's monitor, which only looks: each node is a type of its own
    found: dict[str, Any] | None = on_head(declared_here, ray.get_runtime_context().gcs_address)
    return found


def declared_here(head: str) -> dict[str, Any] | None:
    """On the host of a cluster's head: return the autoscaler's own configuration; None if there is none.

    `types` has for each type its resources, and how many nodes of it there may be; a negative number is no bound.
    `most` is how many there may be of all types together. If it can't be read, `why` says so.
    """
    from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig, FileConfigReader

    try:
        if file := _autoscalers_file(head):
            config = FileConfigReader(file).get_cached_autoscaling_config()
        elif "KUBERNETES_SERVICE_HOST" in os.environ and (name := os.environ.get("RAY_CLUSTER_NAME")):
            if (made := _kuberay(name)) is None:
                return None
            config = AutoscalingConfig(made, skip_content_hash=True)
        else:
            return None
        types = config.get_config("available_node_types")
        rows = {name: (dict(row.get("resources") or {}), int(row.get("max_workers", 0))) for name, row in types.items()}
        rows.pop(config.get_head_node_type(), None)
        return {"types": rows, "most": config.get_max_num_worker_nodes()}
    except Exception as error:  # a file that nobody may read, a server that refuses, another provider's own rules
        first = (str(error).splitlines() or [""])[0][:300]
        return {"types": {}, "most": None, "why": f"{type(error).__name__}: {first}"}


def _autoscalers_file(head: str) -> str:
    """Return the file that the autoscaler of the head at an address was started with; "" if there is none."""
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = each.read_bytes().decode(errors="replace").split("\0")
            options = dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
            same = options.get("--gcs-address", "").rpartition(":")[2] == head.rpartition(":")[2]
            if same and any(word.endswith("monitor.py") for word in words) and options.get("--autoscaling-config"):
                return options["--autoscaling-config"]
    return ""


def _kuberay(name: str) -> dict[str, Any] | None:
    """Return the autoscaler's configuration as it makes it of a RayCluster; None if that has no autoscaler."""
    from ray.autoscaler._private.kuberay import autoscaling_config, node_provider

    if not (ACCOUNT / "token").exists():  # as in a queue of Kueue: KubeRay replaces a lost node there, too
        raise PermissionError("the pod has no token of Kubernetes, which knows them")
    space = os.environ.get("RAY_CLUSTER_NAMESPACE") or (ACCOUNT / "namespace").read_text().strip()
    found = node_provider.KubernetesHttpApiClient(namespace=space).get(f"rayclusters/{name}")
    if not found["spec"].get("enableInTreeAutoscaling"):
        return None
    made: dict[str, Any] = autoscaling_config._derive_autoscaling_config_from_ray_cr(found)
    return made


def let_idle_go(tune_controller: Any, *, go: bool) -> None:
    """Let Tune end each worker that has no trial, or let it keep one for a trial that may come.

    Tune ends the last such worker only when it knows that no trial will come: a trial that is lost may. Until then the
    worker would hold its node.
    """
    import ray

    if IDLE.fits(ray.__version__):
        with suppress(AttributeError):
            inner = vars(tune_controller).get("_tune_controller", tune_controller)  # a scheduler is given a wrapper
            inner._actor_cache._may_keep_one = not go


@contextmanager
def through_logging() -> Iterator[None]:
    """Send Ray's messages through logging, and not to this process's streams, which are not ours."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray._private", "ray.tune")]  # `ray.init` resets the 1st
    before = [(each.handlers[:], each.propagate, each.level) for each in loggers]
    for each in loggers:
        each.handlers[:], each.propagate = [logging.NullHandler()], True
        each.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for each, (handlers, propagate, level) in zip(loggers, before, strict=True):
            each.handlers[:], each.propagate = handlers, propagate
            each.setLevel(level)
