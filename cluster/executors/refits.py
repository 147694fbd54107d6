"""Trains the trials of a refit on an executor, as those of a sweep: as many at once as there is room for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cluster.controller import TrialController
from cluster.executors.executor import Workplace, limit
from cluster.interrupts import Stop
from cluster.order import Order
from cluster.protocol import Probed
from cluster.study.retry import Patience
from cluster.study.study import Study
from cluster.trials.attempt import Attempt
from cluster.trials.refits import RefitEndings, RefitQueue
from lstm.data.dataset import Dataset
from lstm.records.epoch import Epoch
from lstm.records.events import Record
from lstm.records.state import TrialState

Show = Callable[[int, Epoch], None]  # takes a trial's number, and an epoch that has ended and is kept


def train(
    study: Study,
    numbers: Sequence[int],
    series: Dataset,
    workplace: Workplace,
    order: Order,
    *,
    stop: Stop,
    record: Record,
    patience: Patience,
    start: Mapping[str, Any] | None,
    show: Show,
) -> None:
    """Train the open trials of a refit to their ends, or until the end is asked for.

    Args:
        study: The sweep's study, opened under its lease.
        numbers: The numbers of the trials.
        series: The data that they are fitted on.
        workplace: Runs the trials.
        order: The sweep's order.
        stop: Asks for the end. A trial that can't go on asks for it, too: the same command goes on with it.
        record: Receives the events.
        patience: Calls the study, again and again while its database does not answer.
        start: The weights that a warm refit begins with; None draws them.
        show: Is told of each epoch.
    """
    given = {**order.for_workers(workplace.gpus_per_trial), "probe": False, "start": start}
    controller = _Controller(
        study,
        numbers,
        show,
        checkpoints=order.checkpoints,
        order=given,
        limit=limit(order.resources, workplace),
        stop=stop,
        record=record,
        patience=patience,
    )
    workplace.run(controller, series, order.name)


class _Controller(TrialController):
    """The controller of a refit: it has the given trials and no others, and nothing judges or prunes them."""

    def __init__(self, study: Study, numbers: Sequence[int], show: Show, **given: Any) -> None:
        super().__init__(study, keep=None, beside=True, **given)
        patience, record = given["patience"], given["record"]
        last_ms = max((trial.ended_at_ms or 0 for trial in patience(study.sweep).trials), default=0)
        self._queue = RefitQueue(study, patience, numbers)
        self._endings = RefitEndings(study, patience, record, last_ms)
        self._show, self._numbers = show, dict[str, int]()  # the numbers of the trials, by the executor's ids

    def suggest(self, tune_id: str) -> dict[str, Any] | str | None:
        """Return the next trial's order as the search does."""
        order = super().suggest(tune_id)
        if isinstance(order, dict):
            self._numbers[tune_id] = order["number"]
        return order

    def result(self, tune_id: str, result: Mapping[str, Any]) -> bool | None:
        """Take a step's result as the search does, and show its epoch."""
        is_over = super().result(tune_id, result)
        if not result.get("started"):
            for epoch in result["epochs"]:
                self._show(self._numbers[tune_id], epoch)
        return is_over

    def _after(self, live: Attempt, *, prune: bool, probed: Probed | None) -> None:
        last = live.epochs[-1] if live.epochs else None
        if last and last.stop == "diverged":
            self._endings.end(live, "PRUNED", f"diverged in epoch {last.number}", diverged=True)
        elif last and last.stop:
            self._endings.end(live, "COMPLETE", "")

    def _end_for_good(self, live: Attempt, state: TrialState, reason: str) -> None:
        """Ask for the end: the trial stays open, and the same command goes on with it when the cause is removed."""
        live.ended = True
        self.stop.now(f"trial {live.number}: {reason}", 1)
