"""The winner of a sweep's confirmation, as the Python API returns it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lstm.records.sweep import Sweep
from lstm.records.trial import Trial

if TYPE_CHECKING:
    from lstm.verdict.company import Company


@dataclass(frozen=True)
class Winner:
    """The best of the settings that were confirmed, judged over several windows from several seeds."""

    trial: int  # the search's trial with this setting
    value: float  # the sweep's metric, the mean over windows and seeds
    answer: Literal["better", "alike", "base", "unknown", "none"]  # is it better than the base? `base`: it is the base
    alike: tuple[str, ...]  # what can't be told apart from it: `base`, `trial 7`, or the best rival's title
    told: tuple[str, ...]  # in sentences, the one on the base first
    parameters: Mapping[str, Any]  # the searched ones, by their path in the spec
    config: Mapping[str, Any] = field(repr=False)


def winner(swept: Sweep) -> Winner | None:
    """Return the winner of a sweep; None if confirm was not asked or has not ended, or if no setting has figures."""
    from lstm.verdict.company_sentences import lines

    found = company(swept)
    best = found.winner if found is not None else None
    if found is None or best is None or best.number is None or best.value is None:
        return None
    trial = next(trial for trial in swept.trials if trial.number == best.number)
    alike = tuple(member.name for member in found.alike)
    return Winner(trial.number, best.value, found.answer, alike, lines(found), dict(trial.settings), dict(trial.config))


def leader(swept: Sweep) -> Trial | None:
    """Return the trial whose setting is the sweep's answer: confirm's winner, or else the best trial of the search."""
    won = winner(swept)
    return next(trial for trial in swept.trials if trial.number == won.trial) if won else swept.best


def company(swept: Sweep) -> "Company | None":
    """Return the winner and its company; None if confirm was not asked or has not ended."""
    from lstm.verdict.company import concluded

    return concluded(swept) if swept.confirmation is not None else None
