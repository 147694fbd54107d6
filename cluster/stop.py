"""Where the end of a sweep is asked for, by whom and why."""


class Stop:
    """Why the sweep ends before its last trial; written from signal handlers and threads, read by Tune's loop."""

    def __init__(self) -> None:
        """Nothing is asked for yet."""
        self._first: dict[str, tuple[str, int]] = {}

    def now(self, reason: str, code: int) -> None:
        """Asks for the end; the first reason holds, but one that ends it well gives way to a failure.

        Takes no lock: a signal handler may interrupt another call. Each line is atomic, so reason and code
        are always one caller's.
        """
        self._first.setdefault("first", (reason, code))
        if code == 1 and not self.code:
            self._first["first"] = (reason, code)

    @property
    def reason(self) -> str:
        """Why, or "" while nobody asked."""
        return self._first.get("first", ("", 0))[0]

    @property
    def code(self) -> int:
        """The exit code that goes with the reason: 0 where the sweep is to end well, 0 while nobody asked."""
        return self._first.get("first", ("", 0))[1]
