"""The trials of a refit: how they begin in the study, which of them is next, and how they end."""

from collections.abc import Sequence, Set

from cluster.decisions import Decisions, End, derived_of
from cluster.protocol import Probed
from cluster.study.drafts import running_like
from cluster.study.retry import Patience
from cluster.study.stored import FORM, FORMAT
from cluster.study.study import Study
from cluster.trials.attempt import Attempt
from cluster.trials.endings import Endings
from cluster.trials.queue import TrialQueue
from lstm.records.epoch import epochs_s
from lstm.records.events import Record, now_ms
from lstm.records.state import Derived, TrialState


def begin(study: Study, derived: Derived) -> int:
    """Add a trial that runs at once, with the settings of its parent, or find the same one; return its number.

    It never waits in the queue, where a driver of the search would ask for it.
    """
    trials = study.frozen()
    for each in trials:
        if derived_of(each.user_attrs) == derived and not each.state.is_finished():
            return each.number
    study.remember(**{FORM: FORMAT})  # before the trial: an earlier version would train it as one of the search
    parent = next(each for each in trials if each.number == derived.parent)
    study.add(running_like(parent, Decisions(derived).asked()))
    return study.frozen()[-1].number


class RefitQueue(TrialQueue):
    """The trials of a refit that wait for a worker; those of the search and of confirm are never among them."""

    def __init__(self, study: Study, insist: Patience, numbers: Sequence[int]) -> None:
        """Take the numbers of the open trials."""
        super().__init__(study, insist, beside=True)
        self.ready = [(0.0, number) for number in numbers]

    def _look_for_lost(self, live: Set[int]) -> None:
        """Do nothing: no trial is suggested, so none can be lost between two writes."""


class RefitEndings(Endings):
    """The ends of a refit's trials. They have no value and no place in the search, and keep their weights."""

    def __init__(self, study: Study, insist: Patience, record: Record, last_end_ms: int) -> None:
        """Take the study, and when a trial of the sweep last ended (Unix time in ms).

        Nothing else of `Endings` is needed: there is no best trial and no account of the workers' time.
        """
        self._study, self._insist, self._record, self._last_end_ms = study, insist, record, last_end_ms

    def end(
        self,
        live: Attempt,
        state: TrialState,
        reason: str,
        *,
        diverged: bool = False,
        probed: Probed | None = None,
    ) -> None:
        """Store how a trial ends, and record it. No account is kept of its time: that is no part of the search's."""
        self._last_end_ms = max(now_ms(), self._last_end_ms + 1)  # the ends have one order, even if clocks differ
        end = End(
            state,
            reason=reason,
            diverged=diverged,
            checkpoint=live.address if live.epochs else "",
            at_ms=self._last_end_ms,
            epochs_s=epochs_s(live.epochs),
            epochs=len(live.epochs),
        )
        self._insist(lambda: self._study.end(live.number, end))
        live.ended = True
        self._record(self._insist(lambda: self._study.trial(live.number)).ending())
