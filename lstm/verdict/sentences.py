"""What a verdict says, in words: plain functions of the record, the same on every screen, page and run."""

import math

from lstm.records.objective import is_better
from lstm.verdict.interval import Difference
from lstm.verdict.verdict import Row, Verdict

MOST_DECIMALS = 6
OWN = "the spec's own settings"


def lines(found: Verdict) -> tuple[str, ...]:
    """The verdict: the sentence, the base, what has no figures. Where the base is better that comes first."""
    beside = base(found)
    first = (beside, sentence(found)) if worse_than_base(found) else (sentence(found), beside)
    return tuple(line for line in (*first, *left_out(found), *samples(found), note(found)) if line)


def left_out(found: Verdict) -> list[str]:
    """The rivals that have no figures, those of one reason together."""
    whose: dict[str, list[str]] = {}
    for row in found.absent:
        if row.role == "rival":
            whose.setdefault(row.why, []).append(row.name)
    return [f"{', '.join(names)}: {why}" for why, names in whose.items()]


def samples(found: Verdict) -> list[str]:
    """What is to be known of rivals' fits."""
    return [f"{row.name}: {row.note}" for row in found.rivals if row.note]


def sentence(found: Verdict) -> str:
    """Whether the network is better than the best rival; another that is better on the test part is named, too."""
    return "; ".join(part for part in (_sentence(found), another(found)) if part)


def _sentence(found: Verdict) -> str:
    rival = found.best_rival
    if found.network is None:
        return _without_network(found)
    if rival is None:
        return "no rival was judged: nothing tells whether a network is needed"
    difference = rival.difference
    if difference is None or difference.value is None:
        why = f": {difference.why}" if difference and difference.why else ""
        return f"can't be held against the best rival, {rival.name}{why}"
    told = amount(difference)
    if difference.answer == "better":
        return f"{told} than the best rival, {rival.name}"
    if difference.answer == "unknown":
        return f"too few independent blocks to tell ({difference.why}): {told} than the best rival, {rival.name}"
    instead = "use that, or search on" if found.searched else "use that, or search"
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
    """What the search gained over the spec's own settings; "" where there is nothing to hold against another."""
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
    """The base, in full."""
    return f"the base ({OWN}, trial {row.trial})" if row.trial is not None else f"the base ({OWN})"


def _gained(found: Verdict, network: Row, row: Row) -> str:
    difference, validation, than = row.difference, "", f"than {_named(row)}"
    if row.gain is not None:
        validation = _level(Difference(found.judged_by, row.gain_unit, row.gain))
    if (difference is None or difference.value is None) and validation and network.test is None:
        return f"{validation} {than} on validation"
    validation = f", {validation} on validation" if validation else ""
    if difference is None or difference.value is None:
        return f"can't be held against {_named(row)} on the test part{validation}"
    why = f" ({difference.why})" if difference.low is None and difference.why else ""
    told = f"{_level(difference)}{why}"
    if not worse_than_base(found):
        return f"{told} {than} on the test part{validation}"
    told = f"{told} {than}"
    if difference.value >= 0:  # of another metric than the figures are
        told = f"worse {than}: {found.metric} {network.test:.4g} against {row.test:.4g}"
    return f"{told} on the test part{validation}; {OWN} may do"


def _level(difference: Difference) -> str:
    """A difference in words; of figures that are the same no amount."""
    return "no better" if difference.value == 0 and difference.low is None else amount(difference)


def worse_than_base(found: Verdict) -> bool:
    """Whether the winner has the worse figure on the test part."""
    row, network = found.base, found.network
    if not found.searched or row is None or network is None or row.test is None or network.test is None:
        return False
    return is_better(row.test, network.test, found.direction)


def another(found: Verdict) -> str:
    """The rival that is better on the test part than the one that is best on validation; "" where there is none."""
    if not found.best_on_test:
        return ""
    row = found.row(found.best_on_test)
    told = f": the network is {amount(row.difference)}" if row.difference and row.difference.value is not None else ""
    return f"on the test part {row.name} is the best rival{told}"


def note(found: Verdict) -> str:
    """What differences are of, where the metric itself is no mean over items."""
    if found.judged_by == found.metric:
        return ""
    return f"differences are of {found.judged_by}, the nearest to {found.metric} that is a mean over items"


def amount(difference: Difference) -> str:
    """A difference with its interval: `12 % [7, 16] better`, `0.4 % worse [-3, 4]` where the interval holds zero."""
    assert difference.value is not None
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
    """A number as exact as half the width of its interval calls for, and never rounded to a zero that it is not."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.0f}"
    digits = math.ceil(math.log10(2 / (half or abs(value) / 4)))
    if digits > MOST_DECIMALS:  # zeros that nobody counts
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
    """Each row with the difference in words, for screens and pages."""
    return [(row, _against(row)) for row in found.rows]


def beside_base(row: Row) -> str:
    """How much better a network of two objectives is than the base, by both."""
    return "; ".join(
        amount(each) if each.unit == "metric" else f"{amount(each)} by {each.metric}" for each in row.beside_base
    )


def _against(row: Row) -> str:
    if row.why:
        return row.why
    if row.difference is None or row.difference.value is None:
        return row.difference.why if row.difference else ""
    return amount(row.difference)
