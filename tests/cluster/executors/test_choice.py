import socket

import pytest

from cluster.executors.choice import chosen
from cluster.executors.in_process import InProcess
from cluster.executors.ray_tune import RayTune
from lstm.records.errors import BadInput


def test_ray_tune_unless_this_process_is_asked_for():
    assert chosen(None, in_process=False) == RayTune(None)
    assert chosen(None, ["search.n_trials=3", "resources.max_concurrent=2"], in_process=False) == RayTune(None)
    assert isinstance(chosen(None, ["search.n_trials=3"], in_process=True), InProcess)


@pytest.mark.parametrize(
    ("address", "code"),
    [("", "no-cluster-address"), ("head", "no-cluster-address"), ("ray://head:10001", "ray-client-address")],
)
def test_an_address_that_is_none_is_refused(address, code):
    with pytest.raises(BadInput) as refused:
        chosen(address, in_process=False)
    [wrong] = refused.value.faults
    assert (wrong.code, wrong.place) == (code, f"--address {address}")


def test_a_cluster_that_listens_is_taken():
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        head.listen()
        address = f"127.0.0.1:{head.getsockname()[1]}"
        assert chosen(address, in_process=False) == RayTune(address)


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:6379", ""])
@pytest.mark.parametrize("set_", ["resources.max_concurrent=2", "resources.max_concurrent=1"])
def test_options_that_would_do_nothing_in_this_process_are_all_named(address, set_):
    with pytest.raises(BadInput) as refused:
        chosen(address, ["search.n_trials=3", set_], in_process=True)
    one, other = refused.value.faults
    assert (one.code, one.place) == ("address-in-process", f"--address {address}")
    assert (other.code, other.place, other.path) == ("max-concurrent-in-process", "--set", "resources.max_concurrent")
