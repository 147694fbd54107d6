"""Slurm: the script of a sweep, and the tools that submit, show and end its job."""
