"""Facts about a series in words, for the comments of a drafted spec."""

import re

from lstm.data.profile.profile import Profile
from lstm.data.profile.seasons import Season

LONGEST_NAME = 60  # characters of a column's name in a comment
STEP_WORDS = {"1s": "a second", "1min": "a minute", "1h": "an hour", "1D": "a day", "7D": "a week"}
STEP_WORDS |= {"B": "a working day", "MS": "a month", "ME": "a month", "QS": "a quarter", "QE": "a quarter"}
STEP_WORDS |= {"YS": "a year", "YE": "a year", "BME": "a month, named by its last working day"}
STEP_WORDS |= {"BMS": "a month, named by its first working day"}
UNITS = {"D": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "ms", "us": "µs", "ns": "ns"}
UNITS |= {"MS": "months", "ME": "months"}


def in_seasons(basis: Season | None, steps: int) -> str:
    """Return a number of steps in seasons, as `, two years`; "" without a season, or for less than half of one."""
    if not basis or 2 * steps < basis.steps:
        return ""
    count = steps / basis.steps
    halves = {0.5: "half a", 1: "one", 2: "two", 3: "three", 4: "four"}
    word = halves.get(count, f"{count:.1f}")
    return f", {word} {basis.name}{'s' if count > 1 else ''}"


def season_text(found: Profile) -> str:
    """Return the strongest season, or what was looked for."""
    if found.season:
        season = found.season
        return f"{season.steps} steps are a {season.name}: the strongest season found ({season.strength:.2f})"
    looked = ", ".join(f"{s.name} {s.strength:.2f}" for s in found.seasons)
    return f"no clear season{f' ({looked})' if looked else ''}; the baseline repeats the last value"


def step_text(found: Profile) -> str:
    """Return what a row is in time."""
    if found.step in STEP_WORDS:
        return f"a row is {STEP_WORDS[found.step]}"
    if found.step.isdigit():
        return f"whole numbers, {found.step} apart"
    parts = re.fullmatch(r"(\d*)([A-Za-z]+)", found.step)
    if parts is None or parts[2] not in UNITS:
        return f"rows are {found.step} apart"
    return f"rows are {parts[1] or 1} {UNITS[parts[2]]} apart"


def gaps(found: Profile) -> str:
    """Return what is missing: steps, and values of columns."""
    told = []
    if found.missing_steps:
        told.append(f"{found.missing_steps:,} of {found.steps:,} steps are missing (first {found.first_missing_step})")
    for column, count in found.missing_values.items():
        are = "value of {} is" if count == 1 else "values of {} are"
        told += [f"{count:,} {are.format(shown(column))} missing"] if count > 0 else []
    return ", ".join(told[:3]) + (f" and {len(told) - 3} more columns" if len(told) > 3 else "")


def shown(name: str) -> str:
    """Return a column's name for a comment, cut if it is long. Names that can't be printed were left out before."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."
