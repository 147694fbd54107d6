"""What Optuna was told of the live trials: a value for each step, which is an epoch or a later window of a backtest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lstm.records.epoch import Epoch, Place
from lstm.records.objective import Direction
from lstm.records.windows import Windows


class Reports:
    """The steps of the live trials, by the trial's number."""

    def __init__(self, windows: Windows, direction: Direction) -> None:
        """Prepare the reports; no trial is live yet."""
        self._windows, self._direction = windows, direction
        self._known: dict[int, dict[int, float]] = {}
        self._epochs: dict[int, dict[Place, Epoch]] = {}  # in a backtest

    def begin(self, number: int, known: Mapping[int, float]) -> None:
        """Take a trial that is now live, with the values by step that Optuna has of it."""
        self._known[number] = dict(known)

    def known(self, number: int) -> dict[int, float]:
        """Return the values by step that Optuna has of a live trial; the caller adds what it reports."""
        return self._known[number]

    def steps(self, number: int, epochs: Sequence[Epoch]) -> list[tuple[int, float]]:
        """Return the steps that epochs are, with their values; a later window is a step when it has ended."""
        if self._windows.count == 1 or not epochs:
            return self._windows.steps(epochs, self._direction)
        # A trial that goes on from an older checkpoint trains the later epochs again.
        before = {p: e for p, e in self._epochs.get(number, {}).items() if p < epochs[0].place}
        history = before | {epoch.place: replace(epoch, state=None) for epoch in epochs}
        self._epochs[number] = history
        return self._windows.steps([history[place] for place in sorted(history)], self._direction)

    def forget(self, number: int) -> None:
        """Let go of a trial that has ended."""
        del self._known[number]
        self._epochs.pop(number, None)
