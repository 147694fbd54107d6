"""Slurm: the script of a sweep, and the tools that submit, show and end its job."""

from cluster.launch.slurm.system import SYSTEM

__all__ = ["SYSTEM"]
