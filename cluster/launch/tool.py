"""Runs a system's own tool, such as sbatch or kubectl."""

import subprocess
from collections.abc import Mapping, Sequence

from lstm.records.errors import BadInput, fault


class Unsent(BadInput):
    """The tool has certainly asked nothing of the system: it did not start, or did not know where the system is."""


class Missing(Unsent):
    """The tool is not on this machine."""


def run(
    command: Sequence[str],
    *,
    seconds: float,
    missing: Missing,
    silent: BadInput,
    text: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a tool to its end and return it with what it has written.

    A file that this process has made inheritable stays open in the tool, as the lock of a launch: the lock lasts as
    long as the tool, also if this process is killed.

    Args:
        command: The tool and its words.
        seconds: How long it may take.
        missing: Raised if the tool is not on this machine.
        silent: Raised if it takes longer.
        text: What it reads; None: nothing.
        environment: Its environment; None: that of this process.

    Raises:
        Unsent: the tool could not be started.
    """
    try:
        return subprocess.run(
            command,
            input=text or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env=environment,
            close_fds=False,
        )
    except (FileNotFoundError, PermissionError):
        raise missing from None
    except OSError as error:  # no program of this machine, or too much in the environment
        raise Unsent(fault("launch-tool-not-started", at=command[0], why=error.strerror or str(error))) from None
    except subprocess.TimeoutExpired:
        raise silent from None
