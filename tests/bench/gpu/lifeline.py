"""Ends a part, and all that it has started, when the command that started it is gone: nobody would look after it."""

import os
import signal
import threading
import time


def hold(pause_s: float = 1.0) -> None:
    """Begins to watch the command, if this process was started by `run.py`: it then leads a group of its own."""
    if os.getpgid(0) == os.getpid():
        threading.Thread(target=_watch, args=[os.getppid(), pause_s], daemon=True).start()


def _watch(parent: int, pause_s: float) -> None:
    while os.getppid() == parent:
        time.sleep(pause_s)
    os.killpg(0, signal.SIGKILL)
