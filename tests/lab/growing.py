"""A cluster that grows and shrinks by Ray's own autoscaler, whose nodes are processes on one host of the lab.

The provider is Ray's fake one (nodes_with_disks.py). `ray.cluster_utils.AutoscalingCluster` would start it, too, but
ends every Ray on the machine; here all lives in a host's namespaces and dies with it.

    with hosts.lab(1) as lab:
        address = growing.start(lab.hosts[0], {"small": growing.Type(cpus=1, most=3)})
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import hosts

HEAD, HEAD_TYPE = "f" * 51 + "00000", "ray.head.default"  # the fake provider knows its head by these
NOTHING = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
PROVIDER = "nodes_with_disks.Provider"


@dataclass(frozen=True)
class Type:
    """A type of nodes that the autoscaler may start."""

    cpus: int
    most: int
    gpus: int = 0

    def row(self) -> dict[str, object]:
        resources = {"CPU": self.cpus, "object_store_memory": 80_000_000} | ({"GPU": self.gpus} if self.gpus else {})
        return {"resources": resources, "node_config": {}, "min_workers": 0, "max_workers": self.most}


def configuration(address: str, types: Mapping[str, Type], *, idle_s: float = 6, most: int = 8) -> dict[str, Any]:
    """The autoscaler's own, for a head at an address that has no CPUs."""
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    provider = {"type": "external", "module": PROVIDER, "gcs_address": address, "head_node_id": HEAD}
    switches = ("use_node_id_as_ip", "disable_node_updaters", "disable_launch_config_check", "launch_multiple")
    return {
        "cluster_name": "lab",
        "max_workers": most,
        "idle_timeout_minutes": idle_s / 60,
        "upscaling_speed": 100.0,
        "provider": {**provider, **dict.fromkeys(switches, True)},
        "available_node_types": {HEAD_TYPE: head, **{name: each.row() for name, each in types.items()}},
        "head_node_type": HEAD_TYPE,
        **{f"{name}_commands": [] for name in NOTHING},
        **{key: {} for key in ("auth", "docker", "file_mounts")},
        **{key: [] for key in ("cluster_synced_files", "rsync_exclude", "rsync_filter")},
        "file_mounts_sync_continuously": False,
    }


def start(
    host: hosts.Host,
    types: Mapping[str, Type],
    *,
    version: Literal[1, 2] = 1,
    idle_s: float = 6,
    most: int = 8,
    cpus: int = 0,
) -> str:
    """Starts a head with so many CPUs and its autoscaler on a host; the address."""
    address = f"{host.address}:6379"
    file = host.scratch / "autoscaler.yaml"  # JSON is YAML
    file.write_text(json.dumps(configuration(address, types, idle_s=idle_s, most=most)))
    environment = {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1", "LAB_DISKS": str(host.scratch)}
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    if version == 2:
        environment |= {"RAY_enable_autoscaler_v2": "1", "RAY_CLOUD_INSTANCE_ID": HEAD}
        environment |= {"RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD}
    words = ("--head", "--port=6379", "--include-dashboard=false", f"--num-cpus={cpus}")
    host.start_ray(*words, f"--autoscaling-config={file}", "--object-store-memory=80000000", environment=environment)
    return address


def nodes(host: hosts.Host) -> int:
    """How many nodes the autoscaler has started that live: each has a raylet, as the head has."""
    return len(_of(host, "raylet/raylet")) - 1


def at_work(host: hosts.Host) -> set[int]:
    """The nodes, each by its raylet, on which a worker of a trial lives."""
    found = set()
    for pid in _of(host, "ray::TrialActor"):
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            found.add(int(next(line for line in lines if line.startswith("PPid:")).split()[1]))
    return found


def _of(host: hosts.Host, program: str) -> list[int]:
    """The ids, outside, of the host's processes whose command line begins with a program of this name."""
    found = []
    for pid in host.pids(program):
        with suppress(OSError):
            first = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
            if program in first:
                found.append(pid)
    return found
