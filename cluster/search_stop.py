"""When a sweep ends before its last trial: the failures and the target of `search.stop`."""

from cluster.config import StopConfig
from cluster.interrupts import Stop
from lstm.records.objective import Direction, is_better
from lstm.records.sweep import Sweep
from lstm.records.trial import counted


class StopRules:
    """Watches the trials that count; asks for the end where `search.stop` says so."""

    def __init__(self, rules: StopConfig, direction: Direction, stop: Stop) -> None:
        """Prepares them; no trial has failed until they are opened."""
        self._rules, self._stop, self._direction = rules, stop, direction
        self._failed: list[str] = []  # why, of each trial that failed

    def open(self, sweep: Sweep) -> None:
        """Starts from the sweep as it stands; nothing is asked for yet."""
        self._failed = [t.reason for t in sweep.counted if t.state == "FAIL"]

    def fails(self, reason: str) -> None:
        """A trial has failed."""
        self._failed.append(reason)
        self.check_failures()

    def check_failures(self) -> None:
        """Ends the sweep where too many trials have failed."""
        most = self._rules.max_failures
        if most is not None and len(self._failed) >= most:
            last = self._failed[-1] if self._failed else ""
            text = f"{counted(len(self._failed), 'trial')} failed (search.stop.max_failures), the last: {last}"
            self._stop.now(text, 1)

    def check_target(self, number: int, value: float) -> None:
        """Ends the sweep where the value of the best completed trial is good enough."""
        target = self._rules.target
        if target is not None and not is_better(target, value, self._direction):
            self._stop.now(f"trial {number} reached the target {target:g} with {value:g}", 0)
