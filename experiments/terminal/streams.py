"""Output streams for people that never stop the work: a view that can't be written keeps its error."""

import io
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable

BACKLOG = 1000  # writes that wait for a slow reader


class View(io.TextIOBase):
    """A stream for people or the next program. What can't be written is dropped; the first error is kept.

    It is not an `io.TextIOWrapper`, which keeps what it could not write and would try to write it again at the end.
    """

    encoding = "utf-8"
    errors = "replace"  # for encodings without … or ←

    def __init__(
        self,
        descriptor: int,
        lost: Callable[[OSError], None] = lambda _: None,
        *,
        encoding: str = "utf-8",
        closefd: bool = False,
    ) -> None:
        """Make a view of an open file. `lost` is called with the first error."""
        self.encoding = encoding
        self.buffer = io.FileIO(descriptor, "w", closefd=closefd)
        self.error: OSError | None = None
        self._lost, self._lock, self._line = lost, threading.RLock(), ""

    def writable(self) -> bool:
        """Return True: the view can be written to."""
        return True

    def isatty(self) -> bool:
        """Return whether the view is a terminal."""
        return self.buffer.isatty()

    def fileno(self) -> int:
        """Return the file's descriptor."""
        return self.buffer.fileno()

    def write(self, text: str) -> int:
        """Take the text, and write it once a line is complete."""
        with self._lock:
            self._line += text
            if "\n" in text:
                self.flush()
        return len(text)

    def flush(self) -> None:
        """Write what was taken, or drop it."""
        with self._lock:
            data, self._line = self._line.encode(self.encoding, self.errors), ""
            try:
                while data:
                    data = data[self._send(data) :]
            except OSError as error:
                if self.error is None:
                    self.error = error
                    self._lost(error)

    def close(self) -> None:
        """Write the rest and close the file."""
        super().close()
        self.buffer.close()

    def _send(self, data: bytes) -> int:
        written = self.buffer.write(data)
        if written is None:  # another process that shares the file has made it non-blocking
            room = select.poll()
            room.register(self.buffer, select.POLLOUT)
            room.poll()
        return written or 0


class Relay(io.TextIOBase):
    """A stream that writes to a view in its own thread, so that the work never waits for a reader.

    A pager, or a terminal that is held or disconnected, may not read for hours. Then the oldest of `BACKLOG` waiting
    writes are dropped.
    """

    def __init__(self, view: View, *, is_plain: bool = False) -> None:
        """Start the thread. `close` waits for the rest, for at most `patience_s` seconds if that is set.

        With `is_plain` the stream says that it is not a terminal, so that nothing is drawn over.
        """
        self.patience_s: float | None = None
        self._view, self._is_plain = view, is_plain
        self._waiting: deque[str] = deque(maxlen=BACKLOG)
        self._changed = threading.Condition()
        self._over = self._writes = False
        self._thread = threading.Thread(target=self._hand_on, name="screen", daemon=True)
        self._thread.start()

    def writable(self) -> bool:
        """Return True: the stream can be written to."""
        return True

    def isatty(self) -> bool:
        """Return whether the view is a terminal that may be drawn on."""
        return self._view.isatty() and not self._is_plain

    def fileno(self) -> int:
        """Return the view's descriptor, for code that asks for the terminal's size."""
        return self._view.fileno()

    def write(self, text: str) -> int:
        """Take the text at once; the thread writes it."""
        with self._changed:
            self._waiting.append(text)
            self._changed.notify_all()
        return len(text)

    def settle(self, patience_s: float) -> None:
        """Wait until the view has what was written so far, or `patience_s` have passed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._writes, patience_s)

    def close(self) -> None:
        """Wait until the view has all of it, or `patience_s` have passed."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._thread.join(self.patience_s)
        if not self._thread.is_alive():
            self._view.close()
        super().close()

    def _hand_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._over)
                if not self._waiting:
                    return
                text = self._waiting.popleft()
                self._writes = True
            self._view.write(text)
            self._view.flush()
            with self._changed:
                self._writes = False
                self._changed.notify_all()


def hold() -> None:
    """Open standard streams that are closed, and make views of standard output and error.

    Otherwise the next file to be opened, such as a database, would take the number of the closed stream and receive
    what is printed. A closed stream becomes a file that can't be written, so that writing to it is still an error.
    """
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, closefd=False)
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = View(1, encoding=getattr(sys.stdout, "encoding", "utf-8"))
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = View(2, encoding=getattr(sys.stderr, "encoding", "utf-8"))


def fault() -> OSError | None:
    """Return why not all of standard output was written; None if it was, or if its reader has left (`| head`)."""
    sys.stdout.flush()
    error = sys.stdout.error if isinstance(sys.stdout, View) else None
    return None if isinstance(error, BrokenPipeError) else error


def forget() -> None:
    """Forget an error of standard output that occurred while it was redirected."""
    if isinstance(sys.stdout, View):
        sys.stdout.error = None
