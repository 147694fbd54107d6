"""Puts the winner and its company into words, from the record alone, as `sentences.py` does with a verdict."""

from collections.abc import Sequence
from typing import Any

from lstm.records.trial import counted
from lstm.verdict.company import Company, Member, as_row
from lstm.verdict.sentences import OWN, amount

ENOUGH = f"{OWN} may be enough"


def lines(found: Company) -> tuple[str, ...]:
    """Return all sentences: the winner and the base first, how they were judged, then the rival and the company."""
    told = [sentence(found), _judged(found), _second(found), _rival(found), _company(found), _beaten(found)]
    return tuple(filter(None, [*told, *_notes(found)]))


def sentence(found: Company) -> str:
    """Return the sentence on the winner and the base; if they can't be told apart, it says so."""
    winner, base = found.winner, found.base
    if winner is None:
        return "no setting was confirmed: none has figures from all seeds in all windows"
    if base is None or base.why:
        why = base.why if base else "it was not confirmed"
        return f"{winner.name} is the best of {_confirmed(found)}; it can't be compared with {_own(base)}: {why}"
    if base is winner:
        return f"nothing that the search found is better than {_own(base)}: it is the best of {_confirmed(found)}"
    assert base.difference is not None
    told = amount(base.difference)
    if found.answer == "unknown":
        return f"too few windows to tell ({base.difference.why}): {winner.name} is {told} than {_own(base)}"
    if found.answer == "better":
        return f"{winner.name} is {told} than {_own(base)}"
    return f"{winner.name}, the best of {_confirmed(found)}, can't be told apart from {_own(base)}: {told}; {ENOUGH}"


def _own(base: Member | None) -> str:
    return "the base" if base is None or base.number is None else f"the base ({OWN}, trial {base.number})"


def _named(member: Member) -> str:
    return "the base" if member.role == "base" else member.name


def _confirmed(found: Company) -> str:
    """Return how many settings were confirmed, in words."""
    return counted(sum(member.role != "rival" for member in found.members), "setting")


def _rival(found: Company) -> str:
    """Return the sentence on the best rival. A study that was lost and restored has none until `sweep run` goes on."""
    winner, rival = found.winner, found.rival
    if winner is not None and rival is None:
        return "no rival was judged over these windows"
    if winner is None or rival is None or rival.difference is None:
        return ""
    told, name = amount(rival.difference), f"the best rival, {rival.name}"
    ours = f"over these windows {_named(winner)}"
    if rival.difference.answer == "unknown":
        return f"{ours} is {told} than {name}: too few windows to tell"
    if rival.difference.answer == "alike":
        return f"{ours} can't be told apart from {name}: {told}"
    instead = "; use this rival, or search further" if rival.difference.answer == "worse" else ""
    return f"{ours} is {told} than {name}{instead}"


def _company(found: Company) -> str:
    """Return the sentence that names the other settings which can't be told apart from the winner."""
    alike = [member.name for member in found.alike if member.role == "setting"]
    return f"{_each(alike)} can't be told apart from {_named(found.winner)}" if alike and found.winner else ""


def _beaten(found: Company) -> str:
    """Return the sentence that names the other settings which are worse than the winner."""
    beaten = [member.name for member in found.beaten if member.role == "setting"]
    return f"{_each(beaten)} {'is' if len(beaten) == 1 else 'are'} worse" if beaten else ""


def _each(names: Sequence[str]) -> str:
    """Return names in words: `trial 3, trial 9 and trial 4`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _notes(found: Company) -> list[str]:
    """Return who has the lower mean if it is not the winner, and who was left out."""
    missed = "" if found.missed is None else f"trial {found.missed}, now the best of the search, was not confirmed"
    absent = (f"{member.name}: {member.why}" for member in found.absent)
    return [*filter(None, [_mean(found), missed]), *absent]


def _judged(found: Company) -> str:
    if found.winner is None:
        return ""
    seeds = counted(found.winner.seeds, "seed")
    if found.windows == "fresh":
        where = f"{counted(found.count, 'window')} that the search has not seen"
        what = f"{counted(found.comparisons, 'comparison')} together"
    else:
        where = f"{counted(found.count, 'window')} on which the search has chosen"
        what = f"all {counted(found.comparisons, 'setting')} together that the search has tried there"
    intervals = any(m.difference and m.difference.low is not None for m in found.members)
    told = f"judged over {where}, each setting from {seeds}"
    if not intervals:
        return told
    folds = ", and may be too short, because folds share most of what they are trained on" if found.are_folds else ""
    return f"{told}; the intervals hold for {what}{folds}"


def _second(found: Company) -> str:
    """Return a note if the search had a second objective, which does not count here; else ""."""
    if found.second is None or found.winner is None:
        return ""
    return f"by {found.metric} alone: {found.second}, the second objective, is not part of this"


def _mean(found: Company) -> str:
    """Return a note if the mean over the windows is lower for another setting than for the winner; else ""."""
    winner = found.winner
    settings = [m for m in found.members if m.role != "rival" and m.value is not None]
    if winner is None or winner.value is None or found.direction == "maximize":
        return ""
    least = min(settings, key=lambda m: m.value or 0.0)
    if least is winner or least.value is None or least.value >= winner.value:
        return ""
    return (
        f"{_named(least)} has the lower mean of {found.metric}, {least.value:.4g} against {winner.value:.4g}: "
        "a window with large errors counts more in it"
    )


def table(found: Company) -> list[tuple[Member, str]]:
    """Return each member with the words on how much better the winner is, for the terminal and the report."""
    return [(member, _against(member, found)) for member in found.members]


def document(found: Company) -> dict[str, Any]:
    """Return a company as plain data, with its sentences as `lines` and the words of `table` with each member."""
    winner = found.winner
    told = [{**row, "told": words} for row, (_, words) in zip(as_row(found)["members"], table(found), strict=True)]
    return {
        "trial": winner.number if winner else None,
        **as_row(found),
        "members": told,
        "lines": list(lines(found)),
    }


def _against(member: Member, found: Company) -> str:
    if member is found.winner:
        return "the winner"
    return member.why or (amount(member.difference) if member.difference is not None else "")
