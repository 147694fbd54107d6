from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from cluster.config import ResourcesConfig
from cluster.ray_backend import survey
from cluster.ray_backend.room import Growth, NodeType

HEAD = {
    "NodeID": "1",
    "Alive": True,
    "NodeManagerAddress": "10.0.0.1",
    "NodeManagerHostname": "head",
    "Resources": {"node:__internal_head__": 1.0, "CPU": 0.0},
}
SMALL = NodeType("small", 4.0, 0.0, 3)


@pytest.mark.parametrize(
    ("growth", "cpus", "codes"),
    [
        (None, 2, ["trial-fits-no-node"]),
        (Growth((SMALL,), 3), 2, []),
        (Growth((), 3, "nobody may read it"), 2, []),
        (Growth((SMALL,), 3), 8, ["trial-fits-no-node-type"]),
    ],
)
def test_a_cluster_without_room_is_at_fault_only_if_no_node_can_come(monkeypatch, tmp_path, growth, cpus, codes):
    @contextmanager
    def reached(address, *, ours):
        yield SimpleNamespace(nodes=lambda: [HEAD]), None

    monkeypatch.setattr(survey, "reached", reached)
    monkeypatch.setattr(survey, "growth", lambda _: growth)
    monkeypatch.setattr("ray.nodes", lambda: [HEAD])
    resources = ResourcesConfig(cpus_per_trial=cpus, gpus_per_trial=0)
    with survey.opened("10.0.0.1:6379", resources, str(tmp_path)) as cluster:
        assert [each.code for each in cluster.faults] == codes
        assert cluster.joined is None
