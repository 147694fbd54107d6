"""The beginning of an attempt at a trial: its configuration, and the checkpoint that it may take from another trial."""

from cluster.space import suggest
from cluster.study.retry import Patience
from cluster.study.study import Study
from cluster.trials.attempt import Attempt
from cluster.trials.checkpoints import TrialCheckpoints


class Beginnings:
    """The beginnings of a sweep's attempts."""

    def __init__(self, study: Study, saved: TrialCheckpoints, insist: Patience) -> None:
        """Prepare the beginnings; nothing is stored."""
        self._study, self._saved, self._insist = study, saved, insist

    def begin(self, number: int) -> Attempt:
        """Commit a new attempt at a trial and return it."""
        settings, attempt = self._insist(lambda: self._study.begin_attempt(number))
        derived = self._study.derived(number)
        changes = derived.changes if derived else {}
        return Attempt(
            number,
            attempt,
            suggest.changed(settings, changes),
            suggest.resolve(self._study.base, settings, changes).model_dump(),
            self._saved.address_of(number),
            pruned_after=self._study.pruned_after(number),
            derived=derived,
        )

    def take_over(self, live: Attempt, base: int | None) -> str:
        """Give a trial the checkpoint of the base, if it has the base's settings, or of the trial that it extends.

        Returns why a trial can't be extended, or "".

        Raises:
            OSError: the store of checkpoints fails, and the trial extends another.
        """
        if live.derived is not None and live.derived.extends is not None:
            return self._saved.take_from_parent(live, live.derived)
        if live.number != base and self._insist(lambda: self._study.resolves_to_base(live.number)):
            self._saved.take_from_base(live)
        return ""
