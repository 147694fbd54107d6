"""Frees the weights of ended trials that nothing needs any more, and what unfinished warm refits have left."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cluster.config import StorageConfig
from experiments import lookup
from experiments.recovery import moved_home
from experiments.trials import unfinished, winning
from lstm.messages.message import Message, Say, note
from lstm.records.confirmation import CONFIRM
from lstm.records.errors import BadInput, refused
from lstm.records.sweep import Sweep
from lstm.records.trial import Trial


@dataclass(frozen=True)
class Cleaned:
    """What `clean` has freed, or would free."""

    freed: Mapping[int, int]  # by trial: bytes
    kept: Mapping[int, str]  # by trial whose weights stay: why
    failed: tuple[int, ...] = ()  # trials whose weights could not be removed
    # By trial: bytes of the trainings for the windows of its warm refit, which is not whole.
    warm: Mapping[int, int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """All that is freed."""
        return sum(self.freed.values()) + sum(self.warm.values())


def clean(
    found: lookup.Found,
    keep: str,
    say: Say,
    *,
    dry_run: bool = False,
    about: Callable[[Cleaned], object] = lambda _: None,
) -> tuple[Cleaned, Sequence[Message]]:
    """Remove the weights of the trials that are not to be kept; their histories stay, and all that MLflow has.

    What is left of a warm refit that is not whole is removed, too.

    A repeated call, as after a kill, frees the rest.

    Args:
        found: The sweep.
        keep: best, or top:N for the best N trials.
        say: Called with a note for each trial that can't be read or changed, and is left as it is.
        dry_run: Whether to change nothing.
        about: Called with what will be freed, before anything is.

    Returns:
        What was freed, and why not everything was.

    Raises:
        BadInput: `keep` is no such value, there is no such sweep, or the checkpoints are another study's.
        HeldError: a driver is running.
    """
    from cluster.study import lease, stored
    from lstm import ownership

    top = _top(keep)
    swept = lookup.read(found)
    if driver := lease.driver(found.study_url, found.name):
        raise lease.held_by(found.name, driver)
    if dry_run:
        return _survey(swept, top, say), ()
    ended: list[Message] = []
    with lease.Lease(found.study_url, found.name, lost=ended.append, stop=lambda: None):
        facts = stored.facts(found.study_url, found.name) or {}
        moved_home.settle(found.place, moved_home.look(found.place, facts), facts, say)
        swept = lookup.read(found)  # as it is now that nobody else can change it
        if folder := str(swept.facts.get("checkpoints", "")):
            ownership.refuse_another(folder, str(swept.facts.get("id", "")))
        planned = _survey(swept, top, say)
        about(planned)
        done = _free(swept, planned, say, ended)
        if over := unfinished.ended(facts, [*done.warm]):
            stored.remember(found.study_url, found.name, **over)
    return done, ended


def _top(keep: str) -> int:
    """Return how many of the best trials `keep` names."""
    try:
        top = StorageConfig.model_validate({"keep": keep}).top
    except ValueError:
        top = None
    if top is None:
        raise refused("keep-unknown", at="--keep", came=str(keep))
    return top


def _survey(swept: Sweep, top: int, say: Say) -> Cleaned:
    """Return what is to be freed."""
    from lstm import checkpoint

    kept, freed = kept_by(swept, top), dict[int, int]()
    for trial in swept.trials:
        if trial.number in kept or not trial.checkpoint:
            continue
        try:
            there = _loaded(swept, trial, say)
            if there is not None and (size := checkpoint.freeable(trial.checkpoint, there)):
                freed[trial.number] = size
        except OSError as error:
            say(note("weights-not-removed", at=trial.checkpoint, why=str(error)))
    return Cleaned(freed, kept, warm=unfinished.left(swept))


def _free(swept: Sweep, planned: Cleaned, say: Say, ended: Sequence[Message]) -> Cleaned:
    """Free what is planned, unless the lease is lost."""
    from lstm import checkpoint

    freed, failed = dict[int, int](), list[int]()
    for trial in swept.trials:
        if trial.number not in planned.freed or ended:
            continue
        try:
            if (there := _loaded(swept, trial, say)) is not None:
                checkpoint.strip(trial.checkpoint, there)
                freed[trial.number] = planned.freed[trial.number]
                continue
        except OSError as error:
            say(note("weights-not-removed", at=trial.checkpoint, why=str(error)))
        failed.append(trial.number)
    warm = {number: size for number, size in planned.warm.items() if not ended and _is_cleared(swept, number, say)}
    failed += [number for number in planned.warm if number not in warm and not ended]
    return Cleaned(freed, planned.kept, tuple(failed), warm)


def _is_cleared(swept: Sweep, number: int, say: Say) -> bool:
    address = unfinished.address_of(str(swept.facts["checkpoints"]), number)
    try:
        unfinished.clear(address)
    except OSError as error:
        say(note("weights-not-removed", at=address, why=str(error)))
        return False
    return True


def _loaded(swept: Sweep, trial: Trial, say: Say) -> Any:
    """Return a trial's checkpoint; None if there is none, or if it is damaged or another's and so left as it is.

    Raises:
        OSError: the store can't be read.
    """
    from lstm import ownership

    broken = list[Message]()
    try:
        found = ownership.load_trial(swept, trial, broken.append)
    except BadInput as error:
        say(note("weights-not-removed", at=trial.checkpoint, why=error.faults[0].text))
        return None
    for each in broken:
        say(note("weights-not-removed", at=each.place, why=each.text))
    return None if broken else found


def kept_by(swept: Sweep, top: int) -> dict[int, str]:
    """Return the trials that keep their weights besides all but the best `top`: the reason, by the trial's number."""
    kept = dict[int, str]()

    def add(why: str, *trials: Trial | int | None) -> None:
        for trial in trials:
            if trial is not None:
                kept.setdefault(trial if isinstance(trial, int) else trial.number, why)

    add("the best", swept.best)
    add(f"of the best {top}", *swept.leaders(top))
    add("on the Pareto front", *swept.front)
    add("the base", swept.base)
    add("has not ended", *(trial for trial in swept.trials if not trial.ended))
    for trial in swept.extensions:
        add("an extension", trial)
        add(f"trial {trial.number} extends it", None if trial.ended else trial.extends)
    add("a refit", *swept.refits)
    if swept.confirmation is not None:
        won = winning.winner(swept)
        waits = swept.confirmation.open > 0
        add("the winner of confirm", won.trial if won else None)
        add("being confirmed", *(int(number) for _, number in swept.facts[CONFIRM]["settings"] if waits))
    return kept
