"""What is changed in private parts of Ray, so that a start takes less."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Of Ray's system, where it is ours alone.
LOCAL = {
    "gcs_rpc_server_reconnect_timeout_s": 5,  # workers whose driver was killed would wait a minute for it to come back
    "prestart_worker_first_driver": False,  # workers without our rooms, which no trial can use
    # Its first process asks its second before that listens, then waits: for the usual second, of ten.
    "raylet_client_connect_timeout_milliseconds": 20,
    "raylet_client_num_connect_attempts": 500,
}
LOOK_S = 0.02  # between two looks whether a local Ray's node is there


def end_monitor(ray: Any) -> None:
    """Kills a local Ray's autoscaler, which nobody needs; `ray.shutdown` would wait a second for its end."""
    with suppress(AttributeError):  # these are no promises of Ray's; where the cluster is another's there is no node
        for info in ray._private.worker._global_node.all_processes.get("monitor", ()):
            info.process.kill()


@contextmanager
def sooner() -> Iterator[None]:
    """Has `ray.init` start a local Ray in half the time; where Ray is made otherwise, it starts as it does.

    It looks for its new node every few milliseconds, where it would sleep for a whole second between two looks, and
    starts no server for the dashboard, which `include_dashboard=False` leaves empty and waits for all the same.
    """
    from ray._private import node, services, state

    def get_node(gcs_address: str, node_id: str) -> Any:
        with suppress(AttributeError, TypeError):
            found = state.GlobalState()
            found._initialize_global_state(services._get_gcs_client_options(gcs_address))
            end = time.monotonic() + 1.0  # then Ray itself looks, and counts its time
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
