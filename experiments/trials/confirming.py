"""Checks what is to be confirmed of a sweep: that its search has ended, and that there is so much."""

from collections.abc import Iterator
from typing import Any

from lstm.config.trial import TrialConfig
from lstm.records.confirmation import IN_WORDS, JudgedOn, best_settings
from lstm.records.errors import BadInput, Fault, fault
from lstm.records.sweep import Sweep

MOST = {"top": 1000, "seeds": 100}  # as the fields of `search.confirm` allow


def check(sweep: Sweep, top: int | None, seeds: int | None, windows: JudgedOn | None = None) -> None:
    """Check that so much of a sweep can be confirmed.

    Args:
        sweep: The sweep as its study knows it.
        top: How many of its best settings; None for the spec's number.
        seeds: From how many seeds; None for the spec's number.
        windows: On which windows; None for what the spec says.

    Raises:
        BadInput: nothing was searched, the search has not ended, there is too little to confirm, or there are no such
            windows.
    """
    asked = [*of_numbers(top=top, seeds=seeds), *_of_windows(sweep, windows)]
    if faults := asked or [*_of_sweep(sweep, top)]:
        raise BadInput(*faults)


def of_numbers(**numbers: int | None) -> Iterator[Fault]:
    """Yield what is wrong with `top` or `seeds`, which a program can give as anything."""
    for name, given in numbers.items():
        if given is not None and (type(given) is not int or not 1 <= given <= MOST[name]):
            yield fault("confirm-number", at=f"--{name} {given}", most=MOST[name])


def _of_windows(sweep: Sweep, windows: JudgedOn | None) -> Iterator[Fault]:
    at = f"--windows {windows}"
    if windows is not None and windows not in IN_WORDS:
        yield fault("not-one-of", at=at, came=f'"{windows}"', allowed=[*IN_WORDS], near=None)
    elif windows == "fresh" and not TrialConfig.model_validate(sweep.facts["base"]).data.fresh_windows:
        yield fault("no-fresh-windows", at=at, able=None)


def _of_sweep(sweep: Sweep, top: int | None) -> Iterator[Fault]:
    named: dict[str, Any] = {"at": sweep.name, "sweep": sweep.name}
    if not any(path.startswith("search.") for path in sweep.facts.get("comparable", {})):
        yield fault("confirm-without-search", at=sweep.name)
    elif not (sweep.searched or sweep.reached(sweep.facts.get("target"))):
        yield fault("confirm-before-end", done=sweep.done, trials=max(sweep.n_trials, sweep.done), **named)
    elif not (there := len(best_settings(sweep))):
        yield fault("confirm-without-completed", at=sweep.name)
    elif top is not None and top > there:
        yield fault("confirm-more-than-there-is", at=f"--top {top}", there=there)
