"""The options of what is asked of a system that gives out nodes, such as Slurm."""

from functools import wraps
from typing import Any

import click

from experiments.cli.group import Function

SYSTEMS = ("slurm", "kubernetes")  # as `cluster.launch.system.SYSTEMS`, which `sweep --help` does not import
UPLOAD = click.option(
    "--upload", metavar="ADDRESS", help="Bring the data there by this folder of a bucket (s3://…, gs://…)."
)
_PROFILE = click.option(
    "--profile", metavar="FILE", help="The cluster's profile.  [default: ~/.config/lstm-sweeps/clusters.yaml]"
)
# Each is a field of the profile's section for the system, and goes before what the file says.
FIELDS = ("nodes", "cpus", "gpus", "memory", "time", "partition", "account", "image", "queue", "namespace")
_FIELD_OPTIONS = (
    click.option("--nodes", type=int, metavar="N", help="Nodes.  [default: the profile's, or 1]"),
    click.option("--cpus", type=int, metavar="N", help="CPUs of each node.  [default: the profile's, or one trial's]"),
    click.option("--gpus", type=int, metavar="N", help="GPUs of each node.  [default: the profile's, or 0]"),
    click.option("--memory", metavar="SIZE", help="Memory of each node, as in 64G.  [default: the profile's]"),
    click.option("--time", metavar="TIME", help="The longest run, as in 12:00:00.  [default: the profile's]"),
    click.option("--partition", metavar="NAME", help="Slurm's partition.  [default: the profile's]"),
    click.option("--account", metavar="NAME", help="The account to charge.  [default: the profile's]"),
    click.option("--image", metavar="IMAGE", help="Image of the pods on Kubernetes.  [default: the profile's]"),
    click.option("--queue", metavar="NAME", help="Kueue's local queue.  [default: the profile's]"),
    click.option("--namespace", metavar="NAME", help="Kubernetes' namespace.  [default: the profile's]"),
)


def sized(command: Function) -> Function:
    """Give a command the options of what is asked of a system; it gets them as one mapping, `fields`."""

    @wraps(command)
    def gathered(**arguments: Any) -> Any:
        fields = {name: value for name in FIELDS if (value := arguments.pop(name)) is not None}
        return command(**arguments, fields=fields)

    made: Function = gathered
    for option in reversed((_PROFILE, *_FIELD_OPTIONS)):
        made = option(made)
    return made
