"""`sweep verify`: check a sweep from its records alone; print what is wrong and how to fix it."""

import sys
from typing import Any

from experiments import lookup
from experiments.home import Home
from experiments.operations.verifying import verify
from experiments.terminal.output import emit, print_note, tell
from lstm.records.errors import Finding
from lstm.records.trial import counted


def main(*, home: str, named: str, as_json: bool) -> int:
    """Print what is wrong. Returns the exit code: 1 if anything is wrong."""
    found = lookup.sweep(named, Home.at(home), print_note)
    findings, looked = verify(found)
    if as_json:
        rows = [finding._asdict() for finding in findings]
        emit({"sweep": found.name, "clean": not findings, "findings": rows, **looked})
    else:
        _show(found.name, findings, looked)
    return 1 if findings else 0


def _show(name: str, findings: list[Finding], looked: dict[str, Any]) -> None:
    tell(findings, sys.stdout)
    trials, epochs = counted(looked["trials"], "trial"), counted(looked["epochs"], "epoch")
    seen = f"{trials} and {epochs} in study, checkpoints and MLflow"
    if findings:
        print(f"{name}: {counted(len(findings), 'finding')}; looked at {seen}")
    else:
        running = "; a driver is running, what it has not finished yet was left out" if looked["driven"] else ""
        print(f"{name}: nothing is wrong with {seen}{running}")
