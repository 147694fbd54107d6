import pytest

from cluster.config import ResourcesConfig
from cluster.launch.request import Shape, Size


def shape(nodes, cpus, gpus, width=100, **resources):
    return Shape.of(Size(nodes, cpus, gpus, None, None), ResourcesConfig(**resources), width)


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "resources", "expected"),
    [
        (2, 8, 0, {"cpus_per_trial": 3}, (2, 4)),
        (2, 8, 2, {}, (2, 4)),  # auto: one GPU a trial, where there are any
        (3, 8, 1, {"gpus_per_trial": 0.25}, (4, 12)),
        (3, 2, 1, {"gpus_per_trial": 0.25}, (2, 6)),  # CPUs are the bound
        (2, 8, 1, {"gpus_per_trial": 0.7}, (1, 2)),  # a fraction never spans two GPUs
        (4, 8, 0, {"max_concurrent": 5}, (5, 5)),
        (4, 8, 0, {"max_concurrent": 12}, (8, 12)),
        (100, 64, 0, {"width": 5}, (5, 5)),
        (3, 2, 0, {"width": 5}, (2, 5)),
        (100, 64, 0, {"width": 200, "max_concurrent": 100}, (64, 100)),
        (1, 1, 0, {"cpus_per_trial": 2}, (0, 0)),
        (1, 8, 0, {"gpus_per_trial": 1.0}, (0, 0)),
    ],
)
def test_trials_are_counted_as_run_counts_them_on_each_node(nodes, cpus, gpus, resources, expected):
    found = shape(nodes, cpus, gpus, **resources)
    assert (found.a_node, found.at_once) == expected


@pytest.mark.parametrize(
    ("nodes", "cpus", "width", "expected"),
    [(100, 64, 4, 1), (100, 64, 65, 2), (100, 64, 6400, 100), (100, 64, 6401, 100), (3, 2, 5, 3), (3, 2, 4, 2)],
)
def test_the_nodes_that_trials_need_are_counted(nodes, cpus, width, expected):
    assert shape(nodes, cpus, 0, width).busy == expected


def test_a_time_limit_cuts_a_sweep_into_runs():
    def runs(low, high, limit, warn=0):
        return Shape(Size(1, 1, 0, None, limit, warn), 0.0, 1, 1, (low, high)).runs

    assert runs(10, 7300, 3600) == (1, 3)
    assert runs(3600, 3600, 3600) == (1, 1)
    assert runs(3600, 3600, 3600, 120) == (2, 2), "the driver stops before the limit"
    assert runs(10, 20, None) is None
