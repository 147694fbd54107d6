"""Puts a verdict into words, from the record alone, so that the terminal, the report and MLflow show the same text."""

import math

from lstm.records.objective import is_better
from lstm.verdict.interval import Difference
from lstm.verdict.verdict import Row, Verdict

MOST_DECIMALS = 6
OWN = "the spec's own settings"


def lines(found: Verdict) -> tuple[str, ...]:
    """Return the verdict's lines: the sentence, the base, and the rivals without figures; a better base comes first."""
    beside = base(found)
    first = (beside, sentence(found)) if worse_than_base(found) else (sentence(found), beside)
    return tuple(line for line in (*first, *left_out(found), *samples(found), note(found)) if line)


def left_out(found: Verdict) -> list[str]:
    """Return a line for each reason with the rivals that have no figures for that reason."""
    whose: dict[str, list[str]] = {}
    for row in found.absent:
        if row.role == "rival":
            whose.setdefault(row.why, []).append(row.name)
    return [f"{', '.join(names)}: {why}" for why, names in whose.items()]


def samples(found: Verdict) -> list[str]:
    """Return a line for each rival with a note on its fit."""
    return [f"{row.name}: {row.note}" for row in found.rivals if row.note]


def sentence(found: Verdict) -> str:
    """Return the sentence that compares the network with the best rival, and names a rival that is better on test."""
    return "; ".join(part for part in (_sentence(found), another(found)) if part)


def _sentence(found: Verdict) -> str:
    rival = found.best_rival
    if found.network is None:
        return _without_network(found)
    if rival is None:
        return "no rival was judged: it is not known whether a network is needed"
    difference = rival.difference
    if difference is None or difference.value is None:
        why = f": {difference.why}" if difference and difference.why else ""
        return f"can't be compared with the best rival, {rival.name}{why}"
    told = amount(difference)
    if difference.answer == "better":
        return f"{told} than the best rival, {rival.name}"
    if difference.answer == "unknown":
        return f"too few independent blocks to tell ({difference.why}): {told} than the best rival, {rival.name}"
    instead = "use this rival, or search further" if found.searched else "use this rival, or search"
    return f"{_no_better(difference, told, rival.name)}; {instead}"


def _no_better(difference: Difference, told: str, rival: str) -> str:
    if difference.answer == "worse":
        return f"{told} than the best rival, {rival}"
    if difference.low == difference.high:
        return f"not better than {rival}: the same on every item"
    if difference.value is not None and difference.value < 0:
        return f"not better than {rival}: {told}"
    return f"can't be told apart from {rival}: {told}"


def base(found: Verdict) -> str:
    """Return the sentence on the search's gain over the spec's own settings; "" if there is nothing to compare."""
    row, network = found.base, found.network
    if row is not None and row.why:
        return f"the base, {OWN}, has no figures: {row.why}"
    if not found.searched:
        return ""
    if network is None:
        return f"{_named(row)} has {found.metric} {row.validation:.4g} on validation" if row and row.validation else ""
    if row is None:
        return f"no base: {found.no_base}" if found.no_base else ""
    if row.trial is not None and row.trial == network.trial:
        return f"the search found nothing better than {OWN}: {network.name} is the base"
    return _gained(found, network, row)


def _named(row: Row) -> str:
    """Return the words for the base, with its trial."""
    return f"the base ({OWN}, trial {row.trial})" if row.trial is not None else f"the base ({OWN})"


def _gained(found: Verdict, network: Row, row: Row) -> str:
    difference, validation, than = row.difference, "", f"than {_named(row)}"
    if row.gain is not None:
        validation = _level(Difference(found.judged_by, row.gain_unit, row.gain))
    if (difference is None or difference.value is None) and validation and network.test is None:
        return f"{validation} {than} on validation"
    validation = f", {validation} on validation" if validation else ""
    if difference is None or difference.value is None:
        return f"can't be compared with {_named(row)} on the test part{validation}"
    why = f" ({difference.why})" if difference.low is None and difference.why else ""
    told = f"{_level(difference)}{why}"
    if not worse_than_base(found):
        return f"{told} {than} on the test part{validation}"
    told = f"{told} {than}"
    if difference.value >= 0:  # the difference is in another metric than the figures
        told = f"worse {than}: {found.metric} {network.test:.4g} against {row.test:.4g}"
    return f"{told} on the test part{validation}; {OWN} may be enough"


def _level(difference: Difference) -> str:
    """Return a difference in words, without an amount if the figures are equal."""
    return "no better" if difference.value == 0 and difference.low is None else amount(difference)


def worse_than_base(found: Verdict) -> bool:
    """Return whether the best trial's network has a worse figure than the base on the test part."""
    row, network = found.base, found.network
    if not found.searched or row is None or network is None or row.test is None or network.test is None:
        return False
    return is_better(row.test, network.test, found.direction)


def another(found: Verdict) -> str:
    """Return a sentence on a rival that is better on test than the rival best on validation; "" if there is none."""
    if not found.best_on_test:
        return ""
    row = found.row(found.best_on_test)
    told = f": the network is {amount(row.difference)}" if row.difference and row.difference.value is not None else ""
    return f"on the test part {row.name} is the best rival{told}"


def note(found: Verdict) -> str:
    """Return a note on the metric of the differences if it is not the sweep's metric; else ""."""
    if found.asked:
        return f"all are compared by {found.metric}, because rivals have no {found.asked}"
    if found.judged_by == found.metric:
        return ""
    return f"differences are in {found.judged_by}, because {found.metric} is not a mean over items"


def amount(difference: Difference) -> str:
    """Return a difference with its interval: `12 % [7, 16] better`, or `0.4 % worse [-3, 4]` if it contains zero.

    Without any difference it is `no better`.
    """
    assert difference.value is not None
    if difference.value == difference.low == difference.high == 0:
        return "no better"
    unit, way = _unit(difference), "worse" if difference.value < 0 else "better"
    if difference.low is None or difference.high is None:
        return f"{number(abs(difference.value))}{unit} {way}"
    value, low, high = difference.value, difference.low, difference.high
    if way == "worse":
        value, low, high = -value, -high, -low
    half = (high - low) / 2
    told, interval = f"{number(value, half)}{unit}", f"[{number(low, half)}, {number(high, half)}]"
    return f"{told} {way} {interval}" if difference.answer == "alike" else f"{told} {interval} {way}"


def number(value: float, half: float = 0.0) -> str:
    """Return a number with as many digits as half the width of its interval allows, never rounded to zero."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    digits = math.ceil(math.log10(2 / (half or abs(value) / 4)))
    if digits > MOST_DECIMALS:  # too many zeros to count
        return f"{value:.{min(max(digits + math.floor(math.log10(abs(value))), 0), 12)}e}"
    told = f"{value:,.{max(digits, 0)}f}"
    return told if float(told.replace(",", "")) != 0 else f"{value:.1g}"


def _unit(difference: Difference) -> str:
    return {"%": " %", "points": " points", "metric": f" in {difference.metric}"}[difference.unit]


def _without_network(found: Verdict) -> str:
    rival = found.best_rival
    why = [row.why for row in found.absent if row.role == "network"]
    what = "no trial has completed" if found.searched else "the training has no result"
    what = f"the network was not judged ({why[0]})" if why else what
    if rival is None:
        return f"{what}, and no rival was judged"
    figure = "" if rival.test is None else f", {found.metric} {rival.test:.4g} on the test part"
    return f"{what}; the best rival is {rival.name}{figure}"


def table(found: Verdict) -> list[tuple[Row, str]]:
    """Return each row with its difference in words, for the terminal and the report."""
    return [(row, _against(row)) for row in found.rows]


def beside_base(row: Row) -> str:
    """Return how much better a network of a sweep with two objectives is than the base, by each objective."""
    return "; ".join(
        amount(each) if each.unit == "metric" else f"{amount(each)} by {each.metric}" for each in row.beside_base
    )


def _against(row: Row) -> str:
    if row.why:
        return row.why
    if row.difference is None or row.difference.value is None:
        return row.difference.why if row.difference else ""
    return amount(row.difference)
