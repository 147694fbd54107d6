"""How often the test part of a sweep was looked at: each look after more trials makes its figures less certain."""

from collections.abc import Mapping, Sequence
from typing import Any

from lstm.records.sweep import Sweep

LOOKS = "looks"  # fact: a row for each look: how many `trials` had ended, which was `best`, and `at_ms` (Unix time)
FIGURE = "test_looks"  # the metric in MLflow: the number of looks; `test_looks/2`: the trials before the second


def looks(facts: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the looks at the test part, by the facts of a study.

    An earlier version counted none, but it has kept what it judged: one look, after an unknown number of trials.
    """
    judged = facts.get("judged")
    earlier = [{"trials": None, "best": judged.get("trial"), "at_ms": None}] if judged else []
    return list(facts.get(LOOKS, earlier))


def with_look(sweep: Sweep, at_ms: int) -> Sequence[Mapping[str, Any]]:
    """Return the looks with the one that follows now. It is the last one again unless more trials have ended since.

    A trial beside the search, such as an extension, is no reason for a new look. Without a completed trial there is
    nothing to look at.
    """
    known = looks(sweep.facts)
    if sweep.best is None:
        return known
    best = sweep.best.number
    now = {"trials": sweep.done, "best": best, "at_ms": at_ms}
    if not known:
        return [now]
    *before, last = known
    if last["trials"] is None and last["best"] == best:
        return [*before, {**now, "at_ms": last["at_ms"]}]
    return known if last["trials"] == sweep.done else [*known, now]


def figures(facts: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics that MLflow keeps of the looks: their number, and after how many trials each was."""
    known = facts.get(LOOKS) or ()
    after = {f"{FIGURE}/{number}": each["trials"] for number, each in enumerate(known, 1)}
    found = {name: float(trials) for name, trials in after.items() if trials is not None}
    return {FIGURE: float(len(known)), **found} if known else {}


def of_figures(metrics: Mapping[str, float], best: int | None) -> list[dict[str, Any]]:
    """Return the looks by the metrics of `figures`; `best` is the trial that was best at the last of them."""
    after = [metrics.get(f"{FIGURE}/{number}") for number in range(1, int(metrics.get(FIGURE, 0)) + 1)]
    return [{"trials": None if trials is None else int(trials), "best": best, "at_ms": None} for trials in after]


def said(sweep: Sweep) -> str:
    """Return a sentence if the test part was looked at more than once, else ""."""
    known = looks(sweep.facts)
    if len(known) < 2:
        return ""
    is_known = all(each["trials"] is not None for each in known)
    after = [str(each["trials"]) for each in known] if is_known else []
    when = f" (after {' and '.join(filter(None, (', '.join(after[:-1]), after[-1])))} trials)" if after else ""
    return (
        f"The test part was looked at {len(known)} times{when}: trust its figures less, because those who search "
        "further after a look may do so because of what they saw."
    )
