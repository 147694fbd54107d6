"""Rules that end a sweep before its last trial: the failures and the target of `search.stop`."""

from cluster.config import StopConfig
from cluster.interrupts import Stop
from lstm.records.objective import Direction, is_better
from lstm.records.sweep import Sweep
from lstm.records.trial import counted


class StopRules:
    """The rules of `search.stop`: they watch the trials that count and ask for the sweep's end."""

    def __init__(self, rules: StopConfig, direction: Direction, stop: Stop) -> None:
        """Prepare the rules; no trial has failed until they are opened."""
        self._rules, self._stop, self._direction = rules, stop, direction
        self._failed: list[str] = []  # the reason of each trial that failed
        self._reached = ""  # how the target was reached

    def open(self, sweep: Sweep) -> None:
        """Load the failed trials of the sweep so far; nothing is asked for yet."""
        self._failed = [t.reason for t in sweep.counted if t.state == "FAIL"]

    def fails(self, reason: str) -> None:
        """Count a failed trial."""
        self._failed.append(reason)
        self.check_failures()

    def check_failures(self) -> None:
        """End the sweep if too many trials have failed."""
        most = self._rules.max_failures
        if most is not None and len(self._failed) >= most:
            last = self._failed[-1] if self._failed else ""
            text = f"{counted(len(self._failed), 'trial')} failed (search.stop.max_failures), the last: {last}"
            self._stop.now(text, 1)

    def check_target(self, number: int, value: float) -> None:
        """End the sweep if the value of the best completed trial is good enough."""
        target = self._rules.target
        if target is not None and not is_better(target, value, self._direction):
            self._reached = f"trial {number} reached the target {target:g} with {value:g}"
            self._stop.now(self._reached, 0)

    @property
    def ended_by_target(self) -> bool:
        """Return whether it is the target that ends the search."""
        return bool(self._reached) and self._stop.reason == self._reached
