"""What a verb prints: notes, faults and findings on standard error, a JSON document on standard output."""

import json
import math
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import click

from lstm.messages.message import Message
from lstm.records.errors import Finding


def print_note(message: Message) -> None:
    """Print a message on standard error: an assumption that was made, or a problem that does not end the command."""
    print(f"note: {message}", file=sys.stderr)


def print_faults(faults: Sequence[Message]) -> int:
    """Print on standard error what went wrong after the work. Returns the exit code: 1 if anything did."""
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def tell(findings: Sequence[Finding], file: TextIO) -> None:
    """Print each finding, and how to fix it on the line below."""
    for finding in findings:
        whose = "the sweep" if finding.trial is None else f"trial {finding.trial}"
        print(f"{whose}: {finding.store}: {finding.what}\n    {finding.mend}", file=file)


def emit(document: Any) -> None:
    """Print a JSON document on standard output. NaN and infinities, which JSON does not have, become null."""
    click.echo(json.dumps(sayable(document), indent=2, default=str))


def sayable(value: Any) -> Any:
    """Return a document as JSON can have it: a message as its record, NaN and infinities as null."""
    if isinstance(value, Message):
        value = value.row()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(k): sayable(v) for k, v in value.items()}
    return [sayable(v) for v in value] if isinstance(value, list | tuple) else value
