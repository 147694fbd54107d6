"""The trials' checkpoints as a driver handles them: whose they are, which keep their weights, which are taken over."""

from collections.abc import Sequence
from dataclasses import replace

from cluster.study.retry import Patience
from cluster.study.study import Study
from cluster.trials.attempt import Attempt
from lstm import checkpoint, ownership
from lstm.config.trial import TrialConfig
from lstm.messages.message import note
from lstm.records.epoch import Epoch
from lstm.records.errors import BadInput
from lstm.records.events import EpochEnded, Notice, Record, now_ms
from lstm.records.goodput import NOTHING, Spent
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial


class TrialCheckpoints:
    """The checkpoints of one sweep, each trial's under an address of its own."""

    def __init__(
        self,
        study: Study,
        root: str,
        *,
        studies: Sequence[str],
        keep_best: bool,
        insist: Patience,
        record: Record,
    ) -> None:
        """Prepares it; no store is asked.

        Args:
            study: The sweep's study, held under its lease.
            root: Address under which each trial has its own.
            studies: Ids of the studies whose checkpoints these may be.
            keep_best: Whether a trial that is not the best loses its weights when it ends.
            insist: Calls the study, which may be away.
            record: Receives the events.
        """
        self._study, self.root, self._studies, self._keep_best = study, root, tuple(studies), keep_best
        self._insist, self._record = insist, record
        self._base: int | None = None  # the trial of the spec's own settings, whose weights always stay

    def open(self, sweep: Sweep) -> None:
        """Starts from the sweep as it stands, and removes the weights that a killed driver left."""
        self._base = sweep.base.number if sweep.base else None
        self._strip_again(sweep)

    def address_of(self, number: int) -> str:
        """Where a trial has its checkpoints."""
        return checkpoint.address_of(self.root, number)

    def owner(self, number: int) -> ownership.Owner:
        """Whose a trial's checkpoint must be."""
        trial = self._insist(lambda: self._study.trial(number))
        return ownership.Owner(self._studies, number, trial.config)

    def strip(self, number: int) -> None:
        """Removes the weights of a trial, where they are not kept."""
        if not self._keep_best or number == self._base:  # the base is judged beside the best
            return
        address = self.address_of(number)
        try:
            if found := ownership.load(address, self.owner(number)):
                checkpoint.strip(address, found)
        except (OSError, BadInput) as error:
            self._record(Notice(note("weights-not-removed", at=address, why=str(error))))

    def _strip_again(self, sweep: Sweep) -> None:
        """Does what a driver that was killed at a trial's end left: that trial's turn, or the earlier best's."""
        best = sweep.best
        kept = {t.number for t in (best, sweep.base) if t}
        others = [t for t in sweep.trials if t.checkpoint and t.number not in kept]
        if not others:
            return
        runner_up = replace(sweep, trials=tuple(others)).best
        last = max(others, key=lambda t: t.ended_at_ms or 0)
        for number in {t.number for t in (runner_up, last) if t}:
            self.strip(number)

    def take_from_base(self, live: Attempt) -> None:
        """Gives a trial the base's checkpoint, where it is the base once more; without one it is trained."""
        base = self._insist(self._study.base_trial)
        if base is None or not base.checkpoint:
            return
        try:
            found = ownership.load(base.checkpoint, self.owner(base.number))
            if found is not None and found.state.history[-1].stop and checkpoint.load(live.address) is None:
                config = TrialConfig.model_validate(live.config)
                mine = replace(found, config=config, number=live.number, spent=NOTHING)
                checkpoint.write(live.address, live.attempt, mine)
        except (OSError, BadInput) as error:
            self._record(Notice(note("base-trained-again", at=f"trial {live.number}", why=str(error))))

    def catch_up(self, number: int, address: str) -> tuple[Trial, list[Epoch], Spent]:
        """Reports and records what a trial's checkpoint holds before the trial is ended without its actor.

        An earlier driver, or an epoch in flight, may have left it unsaid; what was said is not doubled. The state
        becomes that of an attempt of its own: what an actor that was cut off still writes is never read.

        Raises:
            OSError: the storage fails.
        """
        found = ownership.load(address, self.owner(number))
        if found:
            _, attempt = self._insist(lambda: self._study.begin_attempt(number))
            checkpoint.write(address, attempt, found)
        epochs = list(found.state.history) if found else []
        self._insist(lambda: self._study.report(number, epochs))
        trial = self._insist(lambda: self._study.trial(number))
        self._record(trial.starting(address, now_ms()))
        for epoch in epochs:
            self._record(EpochEnded(number, epoch))
        return trial, epochs, found.spent if found else NOTHING
