"""The command line: its verbs and their flags."""

from experiments.cli import commands
from experiments.cli.group import main

__all__ = ["commands", "main"]
