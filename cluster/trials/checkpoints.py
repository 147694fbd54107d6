"""The driver's handling of checkpoints: their owners, which of them keep weights, which are taken over."""

from collections.abc import Sequence
from dataclasses import replace

from cluster.study.retry import Patience
from cluster.study.study import Study
from cluster.trials.attempt import Attempt
from lstm import checkpoint, ownership
from lstm.checkpoint import Checkpoint
from lstm.config.trial import TrialConfig
from lstm.messages.message import note
from lstm.records.epoch import Epoch
from lstm.records.errors import BadInput, why_of
from lstm.records.events import EpochEnded, Notice, Record, now_ms
from lstm.records.goodput import NOTHING, Spent
from lstm.records.state import Derived
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial
from lstm.training.extension import continued


class TrialCheckpoints:
    """The checkpoints of one sweep, each trial's under its own address."""

    def __init__(
        self,
        study: Study,
        root: str,
        *,
        studies: Sequence[str],
        keep_best: bool,
        insist: Patience,
        record: Record,
        keeps: int = 1,
    ) -> None:
        """Prepare the checkpoints' handling; no storage is read.

        Args:
            study: The sweep's study, opened under its lease.
            root: Address under which each trial has its own.
            studies: Ids of the studies that these checkpoints may belong to.
            keep_best: Whether a trial that is not among the best loses its weights when it ends.
            keeps: How many of the best trials keep them.
            insist: Calls the study, again and again while its database does not answer.
            record: Receives the events.
        """
        self._study, self.root, self._studies, self._keep_best = study, root, tuple(studies), keep_best
        self._keeps = keeps
        self._insist, self._record = insist, record
        self._base: int | None = None  # the trial of the spec's own settings; its weights always stay

    def open(self, sweep: Sweep) -> None:
        """Load the sweep as it is now, and remove the weights that a killed driver left."""
        self._base = sweep.base.number if sweep.base else None
        self._strip_again(sweep)

    def address_of(self, number: int) -> str:
        """Return the address of a trial's checkpoints."""
        return checkpoint.address_of(self.root, number)

    def owner(self, number: int) -> ownership.Owner:
        """Return the owner that a trial's checkpoint must have."""
        trial = self._insist(lambda: self._study.trial(number))
        return ownership.Owner(self._studies, number, trial.config)

    def strip(self, number: int) -> None:
        """Remove a trial's weights if they are not to be kept."""
        if not self._keep_best or number == self._base:  # the base is judged together with the best
            return
        if self._insist(lambda: self._study.trial(number)).extends is not None:  # somebody asked for it
            return
        address = self.address_of(number)
        try:
            if found := ownership.load(address, self.owner(number)):
                checkpoint.strip(address, found)
        except (OSError, BadInput) as error:
            self._record(Notice(note("weights-not-removed", at=address, why=why_of(error))))

    def _strip_again(self, sweep: Sweep) -> None:
        """Finish what a driver killed at a trial's end left: strip that trial, or the earlier best one."""
        kept: set[int | None] = {t.number for t in (*sweep.leaders(self._keeps), sweep.base) if t}
        for extension in sweep.extensions:
            kept |= {extension.number} if extension.ended else {extension.number, extension.extends}
        others = [t for t in sweep.trials if t.checkpoint and t.number not in kept and not t.is_refit]
        if not others:
            return
        runner_up = replace(sweep, trials=tuple(others)).best
        last = max(others, key=lambda t: t.ended_at_ms or 0)
        # The parent of an extension that has ended: it may have been trained again for that.
        parents = {trial.extends for trial in sweep.extensions} - kept
        for number in {t.number for t in (runner_up, last) if t} | {n for n in parents if n is not None}:
            self.strip(number)

    def take_from_base(self, live: Attempt) -> None:
        """Give a trial with the base's settings the base's checkpoint; without one the trial is trained."""
        base = self._insist(self._study.base_trial)
        if base is None or not base.checkpoint:
            return
        try:
            found = ownership.load(base.checkpoint, self.owner(base.number))
            if found is not None and self._is_to_copy(found) and checkpoint.load(live.address) is None:
                config = TrialConfig.model_validate(live.config)
                mine = replace(found, config=config, number=live.number, spent=NOTHING)
                checkpoint.write(live.address, live.attempt, mine)
        except (OSError, BadInput) as error:
            self._record(Notice(note("base-trained-again", at=f"trial {live.number}", why=why_of(error))))

    def _is_to_copy(self, found: Checkpoint) -> bool:
        """Return whether a base's checkpoint is that of its last window; the test part has a training of its own."""
        last, windows = found.state.history[-1], self._study.windows
        return windows.is_over(last) and not windows.is_final(last)

    def take_from_parent(self, live: Attempt, derived: Derived) -> str:
        """Let a trial that extends another go on from its parent's last epoch, unless it has a checkpoint of its own.

        Returns why that is not possible, or "".

        Raises:
            OSError: the storage fails.
        """
        number = derived.parent
        assert number is not None
        parent = self._insist(lambda: self._study.trial(number))
        try:
            if ownership.load(live.address, self.owner(live.number)) is not None:
                return ""
            found = ownership.load(parent.checkpoint, self.owner(parent.number)) if parent.checkpoint else None
        except BadInput as error:
            return why_of(error)
        if found is None or not found.state.model:
            return f"the weights of trial {parent.number}, which it extends, are gone"
        config = TrialConfig.model_validate(live.config)
        checkpoint.write(live.address, live.attempt, continued(found, config, live.number, derived.row()))
        return ""

    def catch_up(self, number: int, address: str) -> tuple[Trial, list[Epoch], Spent]:
        """Report and record what a trial's checkpoint contains, before the trial is ended without its worker.

        An earlier driver, or an epoch in flight, may have left epochs unreported; no epoch is reported twice. The
        checkpoint is written again as a new attempt's: what a lost worker still writes is never read.

        Returns:
            The trial, its epochs, and the worker time that the checkpoint knows.

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
