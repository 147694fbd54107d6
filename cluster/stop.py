"""Where the end of a sweep is asked for, by whom and why."""

from dataclasses import dataclass


@dataclass(slots=True)
class Stop:
    """Why the sweep ends before its last trial; written from signal handlers and threads, read by Tune's loop."""

    reason: str = ""
    code: int = 0

    def now(self, reason: str, code: int) -> None:
        """Asks for the end; the first reason holds."""
        if not self.reason:
            self.code, self.reason = code, reason
