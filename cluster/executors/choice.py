"""The choice of an executor from the options of a command line."""

from collections.abc import Sequence

from cluster.executors.executor import Executor
from cluster.executors.in_process import InProcess
from cluster.executors.ray_tune import RayTune
from cluster.ray_backend.connection import check_address
from lstm.records.errors import BadInput, Fault, fault

AT_ONCE = "resources.max_concurrent"


def chosen(address: str | None, overrides: Sequence[str] = (), *, in_process: bool, ours: bool = True) -> Executor:
    """Return the executor that the options ask for.

    Args:
        address: Address of a running Ray cluster, or None for a local Ray.
        overrides: Fields that the command line sets, each as PATH=VALUE.
        in_process: Whether trials run in this process.
        ours: Whether this is the command line's own process.

    Raises:
        BadInput: nothing listens at the address, or an option would have no effect.
    """
    if not in_process:
        if address is not None:
            check_address(address)
        return RayTune(address, ours)
    faults = list[Fault]()
    if address is not None:
        faults.append(fault("address-in-process", at=f"--address {address}"))
    if any(each.partition("=")[0].strip() == AT_ONCE for each in overrides):
        faults.append(fault("max-concurrent-in-process", AT_ONCE, at="--set"))
    if faults:
        raise BadInput(*faults)
    return InProcess()
