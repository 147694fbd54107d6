"""The place at whose midnights days and months begin, where their times are written in UTC: 22:00 and 23:00."""

from pathlib import Path

import numpy as np
import pandas as pd

from lstm.data.tables.timing import zones
from lstm.records.errors import refused

# Places of which each has a clock of its own; the usual ones first.
CHANGING = (
    *("Europe/Berlin", "Europe/London", "Europe/Athens", "America/New_York", "America/Chicago", "America/Denver"),
    *("America/Los_Angeles", "America/Halifax", "America/St_Johns", "America/Anchorage", "America/Adak"),
    *("America/Sao_Paulo", "America/Santiago", "America/Asuncion", "America/Mexico_City", "America/Havana"),
    *("Australia/Sydney", "Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham"),
    *("Pacific/Apia", "Pacific/Fiji", "Asia/Jerusalem", "Asia/Beirut", "Asia/Amman", "Asia/Damascus", "Asia/Gaza"),
    *("Asia/Tehran", "Africa/Cairo", "Africa/Casablanca", "Atlantic/Azores", "America/Nuuk", "Europe/Moscow"),
    *("Europe/Istanbul", "Europe/Chisinau", "America/Montevideo", "America/Caracas", "Asia/Yekaterinburg"),
)
STEADY = (
    *("Africa/Lagos", "Africa/Johannesburg", "Africa/Nairobi", "Asia/Dubai", "Asia/Kabul", "Asia/Karachi"),
    *("Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Yangon", "Asia/Bangkok", "Asia/Singapore", "Asia/Tokyo"),
    *("Australia/Darwin", "Australia/Brisbane", "Pacific/Noumea"),
)
MOST_HOURS = 6  # different times of day: Venezuela's clock has had four midnights
QUARTER = pd.Timedelta(minutes=15)  # each offset from UTC is a multiple of it
EAST = pd.Timedelta(hours=13), pd.Timedelta(hours=22)  # in UTC at a midnight in the east; 23:00 may be a last hour
YEARS = 1800, 2200  # places have had clocks of their own before, and Python's days end
NEAR = 1000  # rows that tell how far times are apart


def place_of(instants: pd.Index, *, sure: bool = True) -> str | None:
    """Return a place at whose midnights times in UTC are; None if there is none, or two that differ by a day.

    The clock must change between the times, or, if it is `sure` that they are in UTC, they must be the starts of months
    that are on the last days of months in UTC. Else any hour of the day could be the midnight of some place.
    """
    if not isinstance(instants, pd.DatetimeIndex) or not (hours := _hours(instants)):
        return None
    steady = len(hours) == 1
    if steady and (not sure or not EAST[0] <= hours[0] <= EAST[1] or not instants.is_month_end.all()):
        return None
    found: list[tuple[str, pd.DatetimeIndex]] = []
    for name in (*STEADY, *CHANGING) if steady else (*CHANGING, *STEADY):  # clocks of the second changed long ago
        days = zones.at_midnight(instants, zones.walls_of(instants, name))
        if bool((days == days.normalize()).all()) and days.is_unique and (not steady or (days.day == 1).all()):
            found.append((name, days))
    return found[0][0] if found and all(days.equals(found[0][1]) for _, days in found) else None


def places_of(instants: pd.Index) -> list[str]:
    """Return the places where times in UTC are at one hour of the day, each with its hour: Europe/Berlin (06:00).

    If that is the midnight of one place, the others are left out. If it is one hour in UTC, too, only midnights count.
    """
    if not isinstance(instants, pd.DatetimeIndex) or not (hours := _hours(instants)):
        return []
    if place := place_of(instants):
        return [f"{place} (00:00)"]
    if len(hours) == 1 and hours[0] == pd.Timedelta(0):
        return []
    walls = {name: zones.walls_of(instants, name) for name in (*CHANGING, *STEADY)}
    found = {name: each[0] for name, each in walls.items() if zones.is_calendar(each)}
    return [f"{name} ({at:%H:%M})" for name, at in found.items() if len(hours) > 1 or at == at.normalize()]


def refuse(path: Path, instants: pd.DatetimeIndex, column: str, zone: str | None) -> None:
    """Check that irregular times are not those of a place's days. `zone`: that of the file's times, None without one.

    Raises:
        BadInput: they are; the message names the place.
    """
    if places := places_of(instants):
        code = "times-irregular-by-a-clock" if zone else "times-in-utc-without-z"
        raise refused(code, at=path, column=column, places=places[:3], place=places[0].split()[0])


def _hours(instants: pd.DatetimeIndex) -> list[pd.Timedelta]:
    """Return the times of day of times that may be the days of a place; [] if they can't be."""
    if len(instants) < 3 or not YEARS[0] <= instants.min().year <= instants.max().year <= YEARS[1]:
        return []
    if np.median(np.abs(np.diff(instants[:NEAR].to_numpy()))) < zones.ALMOST_A_DAY.to_timedelta64():
        return []
    hours = [*(instants - instants.normalize()).unique()]
    return hours if len(hours) <= MOST_HOURS and not any(each % QUARTER for each in hours) else []
