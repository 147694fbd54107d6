"""What is said goes to views: where a view can't be written, it is remembered and the work goes on."""

import io
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable

BACKLOG = 1000  # writes that wait for a slow reader


class View(io.TextIOBase):
    """A stream for people, or the next program. What can't be written to it is dropped; the first error is kept.

    No `io.TextIOWrapper`, which keeps what it could not write, and would write it again at the end.
    """

    encoding = "utf-8"
    errors = "replace"  # where an encoding has no … or ←

    def __init__(
        self,
        descriptor: int,
        lost: Callable[[OSError], None] = lambda _: None,
        *,
        encoding: str = "utf-8",
        closefd: bool = False,
    ) -> None:
        """Makes a view of an open file. `lost` is called with the first error."""
        self.encoding = encoding
        self.buffer = io.FileIO(descriptor, "w", closefd=closefd)
        self.error: OSError | None = None
        self._lost, self._lock, self._line = lost, threading.RLock(), ""

    def writable(self) -> bool:
        """It can be written to."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.buffer.isatty()

    def fileno(self) -> int:
        """The file's number."""
        return self.buffer.fileno()

    def write(self, text: str) -> int:
        """Takes the text, and writes whole lines at once."""
        with self._lock:
            self._line += text
            if "\n" in text:
                self.flush()
        return len(text)

    def flush(self) -> None:
        """Writes what was taken, or drops it."""
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
        """Writes the rest."""
        super().close()
        self.buffer.close()

    def _send(self, data: bytes) -> int:
        written = self.buffer.write(data)
        if written is None:  # another that shares the file has made it non-blocking
            room = select.poll()
            room.register(self.buffer, select.POLLOUT)
            room.poll()
        return written or 0


class Relay(io.TextIOBase):
    """Writes to a view from a thread of its own, so that the work never waits for a reader.

    A terminal that is held or cut off, or a pager, may not read for hours. Of what then waits the oldest is dropped.
    """

    def __init__(self, view: View, *, is_plain: bool = False) -> None:
        """Begins to write what comes; `close` waits for the rest, for `patience_s` where that is set.

        `is_plain` has it taken for no terminal, on which nothing is drawn over.
        """
        self.patience_s: float | None = None
        self._view, self._is_plain = view, is_plain
        self._waiting: deque[str] = deque(maxlen=BACKLOG)
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._hand_on, name="screen", daemon=True)
        self._thread.start()

    def writable(self) -> bool:
        """It can be written to."""
        return True

    def isatty(self) -> bool:
        """Whether the view is a terminal that may be drawn on."""
        return self._view.isatty() and not self._is_plain

    def fileno(self) -> int:
        """The view's, for those who ask for the terminal's size."""
        return self._view.fileno()

    def write(self, text: str) -> int:
        """Takes all of it at once."""
        with self._changed:
            self._waiting.append(text)
            self._changed.notify()
        return len(text)

    def close(self) -> None:
        """Waits until the view has it all."""
        with self._changed:
            self._over = True
            self._changed.notify()
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
            self._view.write(text)
            self._view.flush()


def hold() -> None:
    """Makes the three standard streams be there, and makes views of output and error.

    The next file to be opened, a database, would else become a stream that was closed, and get what is printed. A
    closed one becomes a file that can't be written: so it stays an error to write to it.
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
    """Why not all of standard output was written; None where it was, or where its reader has left (`| head`)."""
    sys.stdout.flush()
    error = sys.stdout.error if isinstance(sys.stdout, View) else None
    return None if isinstance(error, BrokenPipeError) else error


def forget() -> None:
    """Forgets what could not be written while standard output led elsewhere."""
    if isinstance(sys.stdout, View):
        sys.stdout.error = None
