"""The command line in a forked child, on files, pipes and terminals of its own: all of a process but its imports.

What it prints, its exit code and its signals are a process's. How Python starts, and what it finds to import, are not.
"""

import contextlib
import fcntl
import os
import pty
import signal
import struct
import sys
import tempfile
import termios
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import twin

from experiments.cli import main
from experiments.terminal import log
from experiments.verbs import run as run_verb


def _drawn(path: Path, *, to_stderr: bool, **_: object) -> Any:
    """Without Ray, where a debugger may ask for the terminal, nothing is drawn on it: here it is, as with Ray."""
    return log.redirected(path, to_stderr=to_stderr)


def start(
    words: Sequence[object],
    cwd: Path,
    environment: Mapping[str, str],
    streams: Sequence[int | None],
    *,
    leave: Sequence[int] = (),
    before: Callable[[], object] = lambda: None,
    is_debugged: bool = False,
) -> int:
    """Starts the command in a child, its sweeps without Ray; the child's process id.

    `streams` are the descriptors for standard input, output and error; one that is None is closed. `leave` are those
    that the child closes: the other ends of pipes and terminals. `before` is called in the child. Its screen is as
    with Ray, except where it `is_debugged`.
    """
    twin.warm()
    child = os.fork()
    if child:
        return child

    def act() -> None:
        twin.tell_where_it_hangs()
        for descriptor in leave:
            os.close(descriptor)
        _stand(streams)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        warnings.simplefilter("ignore")  # pytest's errors are for this process; a driver has a log for warnings
        before()
        here = ["--in-process"] if words[0] in ("run", "retry", "extend", "confirm", "refit") else []
        with mock.patch.object(run_verb, "redirected", log.redirected if is_debugged else _drawn):
            main([*map(str, words), *here], prog_name="sweep")

    code = 99
    try:
        code = twin.code_of(act)
    finally:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = 120  # as Python ends then
        os._exit(code)


def call(
    words: Sequence[object],
    cwd: Path,
    environment: Mapping[str, str],
    *,
    stdout: int | None = -1,
    stderr: int | None = -1,
    before: Callable[[], object] = lambda: None,
) -> SimpleNamespace:
    """Runs the command; its `code`, and its `out` and `err` where they are not given a descriptor or closed (None)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open("rb") as nothing:
        given = (out.fileno() if stdout == -1 else stdout, err.fileno() if stderr == -1 else stderr)
        code = twin.wait(start(words, cwd, environment, (nothing.fileno(), *given), before=before))
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return SimpleNamespace(code=code, out=texts[0], err=texts[1])


def on_terminal(
    words: Sequence[object],
    cwd: Path,
    environment: Mapping[str, str],
    columns: int = 80,
    *,
    answers: Callable[[bytes], bytes] = lambda _: b"",
    until: bytes | None = None,
    before: Callable[[], object] = lambda: None,
    is_debugged: bool = False,
) -> SimpleNamespace:
    """Runs the command on a terminal; its `code` and all that was `shown`.

    `answers` is asked after each reading what to type. The terminal is closed as soon as it has shown `until`.
    """
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = start(words, cwd, environment, (there,) * 3, leave=(here,), before=before, is_debugged=is_debugged)
    os.close(there)
    shown = b""
    try:
        with contextlib.suppress(OSError):  # the other side is closed
            while (until is None or until not in shown) and (data := os.read(here, 65536)):
                shown += data
                os.write(here, answers(shown))
    except BaseException as error:  # the test's time is over
        error.add_note(f"shown: {shown.decode(errors='replace')}")
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.close(here)
        code = twin.wait(child)
    return SimpleNamespace(code=code, shown=shown.decode())


def _stand(streams: Sequence[int | None]) -> None:
    """Puts descriptors in the place of the standard streams, as Python finds them when it starts."""
    kept = [None if each is None else os.dup(each) for each in streams]
    for number, (name, each) in enumerate(zip(("stdin", "stdout", "stderr"), kept, strict=True)):
        if each is None:
            os.close(number)
            stream = None
        else:
            os.dup2(each, number)
            os.close(each)
            stream = os.fdopen(number, "r" if number == 0 else "w", closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
